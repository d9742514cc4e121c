"""Compositions of operators that every frontend needs, with sizes that may be symbols.

All of them give a value; where nothing is to be done they give the value they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DType
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis
from webconv.ir.reference import evaluate


class Span(NamedTuple):
    """`size` elements of an axis from `start` on, `step` apart."""

    start: Dim
    size: Dim
    step: int


def scalar(value: float | bool, like: Value) -> Value:
    """A constant without axes, of the dtype of `like`."""
    return graph.constant(np.asarray(value).astype(like.type.dtype.numpy))


def cast(x: Value, dtype: DType) -> Value:
    """`x` as `dtype`."""
    return x if x.type.dtype == dtype else ops.Cast(dtype)(x)


def span(n: Dim, start: Dim | None, stop: Dim | None, step: int = 1) -> Span:
    """What `range(n)[start:stop:step]` holds, by Python's rules: negative counts from the end."""
    if step == 0:
        raise ShapeError("a slice's step must not be 0")
    if step > 0:
        first = 0 if start is None else _clamp(start, n, 0, n)
        last = n if stop is None else _clamp(stop, n, 0, n)
        size = dims.ceildiv(last - first, step)
    else:
        first = n - 1 if start is None else _clamp(start, n, -1, n - 1)
        last = -1 if stop is None else _clamp(stop, n, -1, n - 1)
        size = dims.ceildiv(first - last, -step)
    return Span(first, dims.maximum(size, 0), step)


def _clamp(index: Dim, n: Dim, low: Dim, high: Dim) -> Dim:
    negative = isinstance(index, int) and index < 0
    return dims.maximum(dims.minimum(n + index if negative else index, high), low)


def slice_axes(x: Value, spans: dict[int, Span]) -> Value:
    """`x` cut to a span of some axes."""
    full = {a: Span(0, n, 1) for a, n in enumerate(x.shape)}
    wanted = full | {normalise_axis(a, x.type.rank): s for a, s in spans.items()}
    if wanted == full:
        return x
    starts, sizes, steps = zip(*wanted.values(), strict=True)
    return ops.Slice(starts, sizes, steps)(x)


def slice_axis(
    x: Value, axis: int, start: Dim | None = None, stop: Dim | None = None, step: int = 1
) -> Value:
    """`x[start:stop:step]` along `axis`, by Python's rules."""
    axis = normalise_axis(axis, x.type.rank)
    return slice_axes(x, {axis: span(x.shape[axis], start, stop, step)})


def flip(x: Value, axis: int) -> Value:
    """`x` with one axis reversed."""
    return slice_axis(x, axis, step=-1)


def at(x: Value, axis: int, index: Dim) -> Value:
    """`x[index]` along `axis`, which goes away; a negative index counts from the end."""
    axis = normalise_axis(axis, x.type.rank)
    n = x.shape[axis]
    first = n + index if isinstance(index, int) and index < 0 else index
    return squeeze(slice_axes(x, {axis: Span(first, 1, 1)}), axis)


def reshape(x: Value, shape: Sequence[Dim]) -> Value:
    """`x` under `shape`, of which one size may be -1: what is left over."""
    shape = tuple(shape)
    if shape.count(-1) > 1:
        raise ShapeError(f"at most one size of a shape may be -1, but it is {list(shape)}")
    if -1 in shape:
        rest = dims.product(d for d in shape if d != -1)
        if rest == 0:
            raise ShapeError(f"shape {list(shape)} leaves the size -1 open")
        if isinstance(x.type.size, int) and isinstance(rest, int) and x.type.size % rest:
            raise ShapeError(f"{x.type} does not fit shape {list(shape)}")
        missing = dims.floordiv(x.type.size, rest)
        shape = tuple(missing if d == -1 else d for d in shape)
    return x if shape == x.shape else ops.Reshape(shape)(x)


def expand_dims(x: Value, *axes: int) -> Value:
    """`x` with axes of size 1 inserted; `axes` count in the result."""
    rank = x.type.rank + len(axes)
    where = {normalise_axis(a, rank) for a in axes}
    sizes = iter(x.shape)
    return reshape(x, [1 if a in where else next(sizes) for a in range(rank)])


def squeeze(x: Value, *axes: int) -> Value:
    """`x` without some axes of size 1."""
    where = {normalise_axis(a, x.type.rank) for a in axes}
    for a in where:
        if isinstance(x.shape[a], int) and x.shape[a] != 1:
            raise ShapeError(f"axis {a} of {x.type} must have size 1")
    return reshape(x, [d for a, d in enumerate(x.shape) if a not in where])


def flatten(x: Value, axis: int = 1) -> Value:
    """`x` with all axes from `axis` on joined."""
    return reshape(x, (*x.shape[:axis], dims.product(x.shape[axis:])))


def transpose(x: Value, permutation: Sequence[int]) -> Value:
    """`x` with its axes permuted."""
    if tuple(permutation) == tuple(range(x.type.rank)):
        return x
    return ops.Transpose(tuple(permutation))(x)


def move_axis(x: Value, source: int, destination: int) -> Value:
    """`x` with one axis moved, the others in order."""
    rank = x.type.rank
    source, destination = normalise_axis(source, rank), normalise_axis(destination, rank)
    order = [a for a in range(rank) if a != source]
    order.insert(destination, source)
    return transpose(x, order)


def swap_axes(x: Value, a: int, b: int) -> Value:
    """`x` with two axes swapped."""
    order = list(range(x.type.rank))
    a, b = normalise_axis(a, x.type.rank), normalise_axis(b, x.type.rank)
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


def channels_last(x: Value) -> Value:
    """`[N, C, ...]` to `[N, ..., C]`."""
    return move_axis(x, 1, -1)


def channels_first(x: Value) -> Value:
    """`[N, ..., C]` to `[N, C, ...]`."""
    return move_axis(x, -1, 1)


def concat(values: Sequence[Value], axis: int) -> Value:
    """Values joined along an axis."""
    return values[0] if len(values) == 1 else ops.Concat(axis)(*values)


def stack(values: Sequence[Value], axis: int) -> Value:
    """Values joined along a new axis."""
    axis = normalise_axis(axis, values[0].type.rank + 1)
    return concat([expand_dims(v, axis) for v in values], axis)


def split(x: Value, sizes: Sequence[Dim], axis: int) -> list[Value]:
    """`x` cut along `axis` into pieces of `sizes`."""
    axis, start = normalise_axis(axis, x.type.rank), 0
    out: list[Value] = []
    offset: Dim = start
    for size in sizes:
        out.append(slice_axes(x, {axis: Span(offset, size, 1)}))
        offset = offset + size
    return out


def split_evenly(x: Value, count: int, axis: int) -> list[Value]:
    """`count` pieces of one size along an axis, not negative; a guard that nothing is left."""
    size = dims.floordiv(x.shape[axis], count)
    whole = [size * count if k == axis else n for k, n in enumerate(x.shape)]
    return split(reshape(x, whole), [size] * count, axis)


def broadcast_to(x: Value, shape: Shape) -> Value:
    """`x` broadcast to `shape`."""
    return x if x.shape == tuple(shape) else ops.Expand(tuple(shape))(x)


def repeat(x: Value, n: Dim, axis: int) -> Value:
    """Each element of an axis `n` times in a row, as `np.repeat`."""
    axis = normalise_axis(axis, x.type.rank)
    if n == 1:
        return x
    wide = expand_dims(x, axis + 1)
    wide = broadcast_to(wide, (*wide.shape[: axis + 1], n, *wide.shape[axis + 2 :]))
    return reshape(wide, (*x.shape[:axis], x.shape[axis] * n, *x.shape[axis + 1 :]))


def tile(x: Value, repeats: Sequence[Dim]) -> Value:
    """The whole of each axis several times, as `np.tile`."""
    x = reshape(x, (*[1] * (len(repeats) - x.type.rank), *x.shape))
    repeats = (*[1] * (x.type.rank - len(repeats)), *repeats)
    for axis, n in enumerate(repeats):
        if n != 1:
            wide = expand_dims(x, axis)
            wide = broadcast_to(wide, (*wide.shape[:axis], n, *wide.shape[axis + 1 :]))
            x = reshape(wide, (*x.shape[:axis], x.shape[axis] * n, *x.shape[axis + 1 :]))
    return x


def one_hot(indices: Value, depth: Dim, dtype: DType) -> Value:
    """`[..., depth]` with 1 at each index; all 0 for an index out of range."""
    classes = cast(ops.Iota(depth)(), indices.type.dtype)
    return cast(ops.Equal()(expand_dims(indices, -1), classes), dtype)


def any_along(mask: Value, axis: int, keepdims: bool = False) -> Value:
    """True where a bool mask has a True along `axis`."""
    whole = ops.ReduceMax((axis,), keepdims)(cast(mask, dtypes.i32))
    return cast(whole, dtypes.bool_)


def not_equal(x: Value, y: Value) -> Value:
    """x != y."""
    return ops.Not()(ops.Equal()(x, y))


def float_constant(value: float) -> Value:
    """A constant of f32."""
    return graph.constant(np.float32(value))


def size_value(size: Dim) -> Value:
    """A size as an i32 without axes, known when converting or only when running."""
    if isinstance(size, int):
        if size >= 1 << 31:
            raise ShapeError(f"a size must be below 2^31, but it is {size}")
        return graph.constant(np.int32(size))
    return reshape(ops.Sizes((size,), dtypes.i32)(), ())


# Results of more elements than this are left to be computed where the model runs.
FOLDED_SIZE = 1 << 22


def folded(x: Value, most: int = FOLDED_SIZE) -> Value:
    """`x` evaluated now, if it depends on no input and no symbol and is not huge; else `x`."""
    nodes = graph.toposort([x])
    sizes = [v.type.size for n in nodes for v in n.outputs]
    if any(not isinstance(size, int) or size > most for size in sizes):
        return x
    if any(isinstance(n.op, graph.Input) or any(True for _ in n.op.dims) for n in nodes):
        return x
    values = evaluate(graph.Graph({}, {"x": x}), {}, {})
    return graph.constant(values[x].astype(x.type.dtype.numpy))
