"""Reductions over axes, arg-reductions, softmax and normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webconv.backends.expr import Const, Expr, Index, as_index, call, f32, select
from webconv.backends.functions import apply
from webconv.backends.lowering.elementwise import narrow, pointwise
from webconv.backends.tensor import LOOP_COST, Context, Tensor
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.op import Op

Combine = Callable[[Expr, Expr], Expr]

LARGEST = 3.4028235e38


def extreme(type: str, lowest: bool) -> Expr:
    """The identity of max (`lowest`) or min; +-3.4e38 stand for the infinities."""
    if type == "f32":
        return f32(float("-inf") if lowest else float("inf"))
    if type == "bool":
        return Const(not lowest, "bool")
    bits = 64 if type in ("i64", "u64") else 32
    if type in ("u32", "u64"):
        return Const(0 if lowest else 2**bits - 1, type)
    return Const(-(2 ** (bits - 1)) if lowest else 2 ** (bits - 1) - 1, type)


def reduce_axes(
    x: Tensor, axes: tuple[int, ...], keepdims: bool, value: Callable[[tuple[Dim, ...]], Expr]
) -> Tensor:
    """A tensor with `axes` reduced; `value` gives an element from an index with 0 in them."""
    kept = [a for a in range(x.rank) if a not in axes]
    if keepdims:
        shape: Shape = tuple(1 if a in axes else d for a, d in enumerate(x.shape))
        return Tensor(x.dtype, shape, value, LOOP_COST)

    def at(index: tuple[Dim, ...]) -> Expr:
        full: list[Dim] = [0] * x.rank
        for k, a in enumerate(kept):
            full[a] = index[k]
        return value(tuple(full))

    return Tensor(x.dtype, tuple(x.shape[a] for a in kept), at, LOOP_COST)


def folded(
    ctx: Context, x: Tensor, axes: tuple[int, ...], kind: str, init: Expr | None, combine: Combine
) -> Callable[[tuple[Dim, ...]], Expr]:
    """The combination of all elements along `axes`, loops nested with the last axis innermost."""
    symbols = {a: ctx.symbol(x.shape[a]) for a in axes}

    def value(index: tuple[Dim, ...]) -> Expr:
        def level(depth: int, at: tuple[Dim, ...]) -> Expr:
            if depth == len(axes):
                return x.at(at)
            axis = axes[depth]

            def term(k: Dim) -> Expr:
                return level(depth + 1, (*at[:axis], k, *at[axis + 1 :]))

            if kind == "sum":
                return ctx.sum(x.shape[axis], term, symbols[axis])
            first = init
            assert first is not None
            return ctx.fold(
                x.shape[axis], first, lambda k, acc: combine(acc, term(k)), kind, symbols[axis]
            )

        return level(0, index)

    return value


def reduce_sum(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Sum."""
    axes = op.normal_axes(x.rank)
    value = folded(ctx, x, axes, "sum", None, lambda a, b: a + b)
    return reduce_axes(x, axes, op.keepdims, lambda i: narrow(value(i), x.dtype))


def reduce_mean(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Sum over the count."""
    axes = op.normal_axes(x.rank)
    count = dims.product(x.shape[a] for a in axes)
    value = folded(ctx, x, axes, "sum", None, lambda a, b: a + b)
    return reduce_axes(x, axes, op.keepdims, lambda i: value(i) * reciprocal(count))


def reciprocal(count: Dim) -> Expr:
    """1 / count in f32."""
    if isinstance(count, int):
        return f32(1 / count if count else float("nan"))
    return 1.0 / call("f32", Index(count))


def reduce_prod(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Product."""
    axes = op.normal_axes(x.rank)
    one = f32(1.0) if x.compute == "f32" else Const(1, x.compute)
    value = folded(ctx, x, axes, "prod", one, lambda a, b: a * b)
    return reduce_axes(x, axes, op.keepdims, lambda i: narrow(value(i), x.dtype))


def reduce_max(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Maximum."""
    axes = op.normal_axes(x.rank)
    start = _limit(x, lowest=True)
    value = folded(ctx, x, axes, "max", start, _max(x))
    return reduce_axes(x, axes, op.keepdims, value)


def reduce_min(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Minimum."""
    axes = op.normal_axes(x.rank)
    start = _limit(x, lowest=False)
    value = folded(ctx, x, axes, "min", start, _min(x))
    return reduce_axes(x, axes, op.keepdims, value)


def _limit(x: Tensor, lowest: bool) -> Expr:
    limits = {"i8": 7, "i16": 15, "u8": 8, "u16": 16}
    if x.dtype.name in limits:
        bits = limits[x.dtype.name]
        signed = x.dtype.kind == "i"
        low, high = (-(2**bits) if signed else 0), 2**bits - 1
        return Const(low if lowest else high, "i32")
    return extreme(x.compute, lowest)


def _max(x: Tensor) -> Combine:
    if x.compute == "bool":
        return lambda a, b: a | b
    return lambda a, b: call("max", a, b)


def _min(x: Tensor) -> Combine:
    if x.compute == "bool":
        return lambda a, b: a & b
    return lambda a, b: call("min", a, b)


def sort_key(value: Expr) -> Expr:
    """An integer that orders as the value does; -0 equals 0 and NaN comes above all."""
    if value.type == "bool":
        return call("i32", value)
    if value.type != "f32":
        return value
    bits = call("bits", value)
    ordered = select(bits < 0, bits ^ 0x7FFFFFFF, bits)
    zero = call("eq", bits & 0x7FFFFFFF, 0)
    return select(apply("is_nan", value), 0x7FFFFFFF, select(zero, 0, ordered))


def arg_extreme(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """The index whose key no other beats."""
    x = ctx.store(x) if x.cost else x
    axis = op.axis % x.rank
    n, largest = x.shape[axis], isinstance(op, ops.ArgMax)
    symbol = ctx.symbol(n)

    def value(index: tuple[Dim, ...]) -> Expr:
        def key(k: Dim) -> Expr:
            return sort_key(x.at((*index[:axis], k, *index[axis + 1 :])))

        def better(k: Dim, best: Expr) -> Expr:
            a, b = key(k), key(as_index(best, n))
            beats = {
                (True, False): a > b,
                (True, True): a >= b,
                (False, False): nan_last(a) < nan_last(b),
                (False, True): nan_last(a) <= nan_last(b),
            }[largest, op.last]
            return select(beats, Index(k), best)

        def nan_last(k: Expr) -> Expr:
            # np.argmin also takes the first NaN: it must come below all.
            return k if x.compute != "f32" else select(call("eq", k, 0x7FFFFFFF), -0x80000000, k)

        return ctx.fold(n, Const(0, "i32"), better, None, symbol)

    t = reduce_axes(x, (axis,), op.keepdims, value)
    return Tensor(dtypes.i32, t.shape, t.at, t.cost)


def _along(ctx: Context, x: Tensor, axes: tuple[int, ...], kind: str) -> Tensor:
    """A stored reduction of a stored tensor, axes kept."""
    if kind == "max":
        value = folded(ctx, x, axes, "max", f32(-LARGEST), lambda a, b: call("max", a, b))
    else:
        value = folded(ctx, x, axes, "sum", None, lambda a, b: a + b)
    return ctx.store(reduce_axes(x, axes, True, value))


def softmax(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Maximum, exponentials and sum are stored; the division is left to the reader."""
    x = ctx.store(x) if x.cost else x
    axis = op.axis % x.rank
    top = _along(ctx, x, (axis,), "max")
    if isinstance(op, ops.LogSoftmax):
        shifted = pointwise([x, top], x.dtype, lambda a, m: a - m)
        total = _along(
            ctx, pointwise([shifted], x.dtype, lambda a: apply("exp", a)), (axis,), "sum"
        )
        return pointwise([shifted, total], x.dtype, lambda a, s: a - apply("log", s), 10)
    e = ctx.store(pointwise([x, top], x.dtype, lambda a, m: apply("exp", a - m)))
    total = _along(ctx, e, (axis,), "sum")
    return pointwise([e, total], x.dtype, lambda a, s: a / s)


def normalize(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Mean and scale are stored; centring and scaling are left to the reader."""
    x = ctx.store(x) if x.cost else x
    axes = tuple(sorted(a % x.rank for a in op.axes))
    share = reciprocal(dims.product(x.shape[a] for a in axes))
    centred = x
    if op.center:
        total = _along(ctx, x, axes, "sum")
        centred = pointwise([x, total], x.dtype, lambda a, s: a - s * share)
    squares = pointwise([centred], x.dtype, lambda a: a * a)
    square = folded(ctx, squares, axes, "sum", None, lambda a, b: a + b)
    scale = reduce_axes(x, axes, True, lambda i: 1.0 / call("sqrt", square(i) * share + op.epsilon))
    return pointwise([centred, ctx.store(scale)], x.dtype, lambda a, s: a * s)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.ReduceSum: reduce_sum,
    ops.ReduceMean: reduce_mean,
    ops.ReduceProd: reduce_prod,
    ops.ReduceMax: reduce_max,
    ops.ReduceMin: reduce_min,
    ops.ArgMax: arg_extreme,
    ops.ArgMin: arg_extreme,
    ops.Softmax: softmax,
    ops.LogSoftmax: softmax,
    ops.Normalize: normalize,
}
