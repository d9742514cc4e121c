"""Sampling at computed positions, and blocks put back in place, in gather form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from webconv.backends.expr import Const, Expr, Index, as_index, call, f32, select
from webconv.backends.functions import apply
from webconv.backends.lowering.indexing import readable
from webconv.backends.lowering.linear import meeting, meetings, nested
from webconv.backends.tensor import LOOP_COST, Context, Tensor, guarded
from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.op import Op, TensorType
from webconv.ir.ops.image import CUBIC, MODES

# Positions beyond this are outside of anything, and still have an integer.
FARTHEST = float(1 << 30)


class Tap(NamedTuple):
    """An element of an axis that a position reads; None: of weight 1, or always inside."""

    element: Dim
    weight: Expr | None
    inside: Expr | None


def sample(ctx: Context, op: Any, x: Tensor, where: Tensor) -> Tensor:
    """One expression of all taps, nested by axes."""
    x, where = readable(ctx, x), readable(ctx, where)
    types = (TensorType(t.dtype, t.shape) for t in (x, where))
    (result,) = op.infer(*types)
    rank = x.rank - 2

    def at(index: tuple[Dim, ...]) -> Expr:
        axes = [_taps(op, where.at((*index[:-1], a)), x.shape[1 + a]) for a in range(rank)]

        def level(a: int, spatial: tuple[Dim, ...], inside: Expr) -> Expr:
            if a == rank:
                return guarded(x.at((index[0], *spatial, index[-1])), inside)
            total: Expr | None = None
            for t in axes[a]:
                shown = inside if t.inside is None else inside & t.inside
                part = level(a + 1, (*spatial, t.element), shown)
                part = part if t.weight is None else part * t.weight
                total = part if total is None else total + part
            assert total is not None
            return total

        return level(0, (), Const(True, "bool"))

    return Tensor(x.dtype, result.shape, at, LOOP_COST)


def _taps(op: Any, at: Expr, n: Dim) -> list[Tap]:
    """What a position on an axis of n elements reads."""
    at = call("round", at) if op.mode == "nearest" else at
    at = call("min", call("max", select(apply("is_nan", at), 0.0, at), -FARTHEST), FARTHEST)
    if op.outside == "reflection":
        at = _mirrored(at, call("f32", Index(n - 1)), op.align_corners)
    floor = call("floor", at)
    whole, part = call("i32", floor), at - floor
    count = MODES[op.mode]
    offsets = range(1 - count // 2, count // 2 + 1) if count > 1 else range(1)
    return [_tap(op, whole + k if k else whole, _weight(op.mode, part, k), n) for k in offsets]


def _mirrored(at: Expr, last: Expr, corners: bool) -> Expr:
    """The position in the range that mirrors bound: the outer centres, or the outer edges."""
    low = f32(0.0 if corners else -0.5)
    span = call("max", last * 2.0 if corners else last * 2.0 + 2.0, 1e-9)
    away = at - low
    distance = call("max", away, -away)
    over = distance - span * call("floor", distance / span)
    inside = (at >= low) & (away * 2.0 <= span)
    return select(inside, at, low + call("min", over, span - over))


def _tap(op: Any, i: Expr, weight: Expr | None, n: Dim) -> Tap:
    inside = None
    if op.outside == "zeros":
        inside = (i >= 0) & (i < Index(n))
    elif op.outside == "reflection":
        period = call("max", Index(2 * n - 2 if op.align_corners else 2 * n), 1)
        # After the position was mirrored, a tap is at most two elements outside.
        over = call("rem", i + period * 2, period)
        back = period - over if op.align_corners else period - over - 1
        i = select(over < Index(n), over, back)
    return Tap(as_index(call("max", call("min", i, Index(n - 1)), 0), n), weight, inside)


def _weight(mode: str, part: Expr, k: int) -> Expr | None:
    """The weight of the tap `k` after the one below a position, `part` beyond that."""
    if mode == "nearest":
        return None
    if mode == "linear":
        return part if k else 1.0 - part
    d = part + 1.0 if k < 0 else part if k == 0 else float(k) - part
    if k in (0, 1):
        return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1.0
    return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC


def col2im(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Folds over the window: output position p takes from blocks whose element lies there."""
    x = readable(ctx, x)
    (result,) = op.infer(TensorType(x.dtype, x.shape))
    extents, rank = meetings(op, op.kernel), len(op.kernel)
    symbols = [ctx.symbol(n) for n in extents]

    def at(index: tuple[Dim, ...]) -> Expr:
        def step(offsets: tuple[Dim, ...], acc: Expr) -> Expr:
            sizes = x.shape[1 : 1 + rank]
            blocks, taps, inside = meeting(op, index[1:-1], offsets, op.kernel, sizes)
            return acc + guarded(x.at((index[0], *blocks, *taps, index[-1])), inside)

        zero = f32(0.0) if x.compute == "f32" else Const(0, x.compute)
        return nested(ctx, extents, symbols, zero, step)

    return Tensor(x.dtype, result.shape, at, LOOP_COST)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {ops.Sample: sample, ops.Col2Im: col2im}
