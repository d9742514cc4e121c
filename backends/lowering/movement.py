"""Operators that move elements: views, but for Concat, which stores its inputs side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from webconv.backends.expr import Const, Expr, Index, call, f32, select, wrap
from webconv.backends.kernel import COMPUTE
from webconv.backends.lowering.elementwise import broadcast_index, convert
from webconv.backends.tensor import Context, Tensor, guarded, reindex, stored, view, where
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DType
from webconv.ir.op import Op

# What finding an element of an axis costs that is padded by its own elements.
FOLDED_COST = 5


def literal(value: float, dtype: DType) -> Expr:
    """A literal of the type that `dtype` is computed in."""
    kind = COMPUTE[dtype.name]
    return f32(value) if kind == "f32" else wrap(value, kind)


def reshape(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Another shape over the same storage, or a view where that needs no division."""
    if x.buffer is None:
        axes = ctx.axes(op.shape)
        index = tuple(0 if a.extent == 1 else a.index for a in axes)
        moved = reindex(index, op.shape, x.shape)
        divides = any(isinstance(a, dims.Apply) for d in moved for a in dims.atoms(d))
        if not divides and x.panel == 1:
            return view(x, op.shape, lambda index: x.at(reindex(index, op.shape, x.shape)))
        x = ctx.store(x)
    assert x.buffer is not None
    return stored(x.buffer, op.shape)


def transpose(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Axes permuted."""

    def at(index: tuple[Dim, ...]) -> Expr:
        source: list[Dim] = [0] * len(index)
        for k, axis in enumerate(op.permutation):
            source[axis] = index[k]
        return x.at(tuple(source))

    return view(x, tuple(x.shape[a] for a in op.permutation), at)


def slice_(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Index k of an axis reads start + k * step."""

    def at(index: tuple[Dim, ...]) -> Expr:
        triples = zip(index, op.starts, op.steps, strict=True)
        return x.at(tuple(start + i * step for i, start, step in triples))

    return view(x, op.sizes, at)


def expand(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Axes of size 1 repeat."""
    return view(x, op.shape, lambda index: x.at(broadcast_index(index, x.shape)))


def pad(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """A guarded view in constant mode, else a view with folded indices."""
    shape = tuple(b + n + a for b, n, a in zip(op.before, x.shape, op.after, strict=True))

    def constant(index: tuple[Dim, ...]) -> Expr:
        inside: Expr = Const(True, "bool")
        for i, b, a, n in zip(index, op.before, op.after, x.shape, strict=True):
            if (b, a) != (0, 0):
                inside = inside & where(i - b, n)
        source = tuple(i - b for i, b in zip(index, op.before, strict=True))
        return guarded(x.at(source), inside, literal(op.value, x.dtype))

    def folded(index: tuple[Dim, ...]) -> Expr:
        source = zip(index, op.before, op.after, x.shape, strict=True)
        return x.at(tuple(_fold(op.mode, i, b, a, n) for i, b, a, n in source))

    if op.mode == "constant":
        return view(x, shape, constant)
    padded = sum((b, a) != (0, 0) for b, a in zip(op.before, op.after, strict=True))
    return replace(view(x, shape, folded), cost=x.cost + FOLDED_COST * padded)


def _fold(mode: str, i: Dim, before: Dim, after: Dim, n: Dim) -> Dim:
    """The index in [0, n) that padded index `i` reads; reflections may repeat."""
    if (before, after) == (0, 0):
        return i
    if mode == "edge":
        return dims.maximum(0, dims.minimum(i - before, n - 1))
    period = n if mode == "wrap" else dims.maximum(2 * n - 2, 1)
    # Whole periods make the dividend non-negative.
    shift = dims.ceildiv(before, period) * period - before
    k = dims.mod(i + shift, period)
    return k if mode == "wrap" else dims.minimum(k, period - k)


def concat(ctx: Context, op: Any, *inputs: Tensor) -> Tensor:
    """One kernel per input, each writing its box of the output."""
    axis = op.axis % inputs[0].rank
    total = sum((t.shape[axis] for t in inputs[1:]), inputs[0].shape[axis])
    shape: Shape = (*inputs[0].shape[:axis], total, *inputs[0].shape[axis + 1 :])
    out = ctx.temp(inputs[0].dtype, shape)
    start: Dim = 0
    for t in inputs:
        base = start

        def place(index: tuple[Dim, ...], base: Dim = base) -> tuple[Dim, ...]:
            return (*index[:axis], index[axis] + base, *index[axis + 1 :])

        ctx.write(t, out, place, shape)
        start = start + t.shape[axis]
    return stored(out)


def iota(ctx: Context, op: Any) -> Tensor:
    """The index itself."""
    return Tensor(dtypes.i32, (op.size,), lambda index: Index(index[0]))


def sizes(ctx: Context, op: Any) -> Tensor:
    """A choice among the sizes by the index."""

    def at(index: tuple[Dim, ...]) -> Expr:
        values = [convert(Index(d), dtypes.i32, op.dtype) for d in op.values]
        picked = values[-1]
        for k, value in reversed(list(enumerate(values[:-1]))):
            picked = select(call("eq", Index(index[0]), k), value, picked)
        return picked

    return Tensor(op.dtype, (len(op.values),), at)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.Reshape: reshape,
    ops.Transpose: transpose,
    ops.Slice: slice_,
    ops.Expand: expand,
    ops.Pad: pad,
    ops.Concat: concat,
    ops.Iota: iota,
    ops.Sizes: sizes,
}
