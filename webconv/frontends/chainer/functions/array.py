"""chainer.functions.array: shapes, views and joins."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.slicing import get_item
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def indices(array: Any) -> Value:
    """A constant of i32."""
    return graph.constant(np.asarray(array, np.int32))


@function("Reshape")
def reshape(call: Applied, x: Value) -> Value:
    """Another shape; one size may be -1."""
    return common.reshape(x, call.shape)


@function("Transpose")
def transpose(call: Applied, x: Value) -> Value:
    """Axes permuted, or reversed."""
    rank = x.type.rank
    axes = call.axes if call.axes is not None else tuple(range(rank))[::-1]
    return common.transpose(x, tuple(normalise_axis(a, rank) for a in axes))


@function("Swapaxes")
def swapaxes(call: Applied, x: Value) -> Value:
    """Two axes swapped."""
    return common.swap_axes(x, call.axis1, call.axis2)


@function("Moveaxis")
def moveaxis(call: Applied, x: Value) -> Value:
    """Axes moved to other places."""
    rank = x.type.rank
    source = [normalise_axis(a, rank) for a in call.source]
    target = [normalise_axis(a, rank) for a in call.destination]
    order = [a for a in range(rank) if a not in source]
    for to, a in sorted(zip(target, source, strict=True)):
        order.insert(to, a)
    return common.transpose(x, order)


@function("Rollaxis")
def rollaxis(call: Applied, x: Value) -> Value:
    """An axis moved before another."""
    rank = x.type.rank
    axis, start = normalise_axis(call.axis, rank), call.start % (rank + 1)
    start = call.start + rank if call.start < 0 else call.start
    return common.move_axis(x, axis, start - 1 if axis < start else start)


@function("ExpandDims")
def expand_dims(call: Applied, x: Value) -> Value:
    """A new axis of size 1."""
    return common.expand_dims(x, call.axis)


@function("Squeeze")
def squeeze(call: Applied, x: Value) -> Value:
    """Without axes of size 1: all, or those that are named."""
    axes = call.axis
    if axes is None:
        axes = [a for a, n in enumerate(x.shape) if n == 1]
    return common.squeeze(x, *axes) if axes else x


@function("BroadcastTo")
def broadcast_to(call: Applied, x: Value) -> Value:
    """Broadcast to a shape."""
    return common.broadcast_to(x, tuple(call._shape))


@function("Broadcast")
def broadcast(call: Applied, *xs: Value) -> list[Value]:
    """All broadcast to one shape."""
    rank = max(x.type.rank for x in xs)
    shape: list[Dim] = [1] * rank
    for x in xs:
        for k, n in enumerate(x.shape, rank - x.type.rank):
            shape[k] = n if shape[k] == 1 else shape[k]
    return [common.broadcast_to(x, tuple(shape)) for x in xs]


@function("Cast")
def cast(call: Applied, x: Value) -> Value:
    """Another dtype."""
    return common.cast(x, from_numpy(np.dtype(call.type)))


@function("Copy", "Identity")
def same(call: Applied, *xs: Value) -> tuple[Value, ...]:
    """The inputs as they are."""
    return xs


@function("Concat")
def concat(call: Applied, *xs: Value) -> Value:
    """Joined along an axis, by default the second."""
    return common.concat(xs, call.axis)


@function("Hstack")
def hstack(call: Applied, *xs: Value) -> Value:
    """Joined along the second axis; vectors along their only one."""
    xs = tuple(common.reshape(x, (1,)) if x.type.rank == 0 else x for x in xs)
    return common.concat(xs, 0 if xs[0].type.rank == 1 else 1)


@function("Vstack")
def vstack(call: Applied, *xs: Value) -> Value:
    """Joined along the first axis of what has two or more."""
    rows = [common.reshape(x, (1, x.type.size)) if x.type.rank < 2 else x for x in xs]
    return common.concat(rows, 0)


@function("Dstack")
def dstack(call: Applied, *xs: Value) -> Value:
    """Joined along the third axis."""
    deep = []
    for x in xs:
        if x.type.rank < 2:
            x = common.reshape(x, (1, x.type.size))
        deep.append(common.expand_dims(x, 2) if x.type.rank == 2 else x)
    return common.concat(deep, 2)


@function("Stack")
def stack(call: Applied, *xs: Value) -> Value:
    """Joined along a new axis."""
    return common.stack(xs, call.axis)


@function("Separate")
def separate(call: Applied, x: Value) -> list[Value]:
    """The elements of an axis."""
    return [common.at(x, call.axis, k) for k in range(call.outputs)]


@function("SplitAxis")
def split_axis(call: Applied, x: Value) -> list[Value]:
    """Pieces of an axis, between given places or of one size."""
    axis = normalise_axis(call.axis, x.type.rank)
    n = x.shape[axis]
    if call.indices is None:
        size = dims.floordiv(n, call.sections)
        return common.split(x, [size] * call.outputs, axis)
    places = [0, *call.indices, n]
    starts = [dims.minimum(p, n) for p in places]
    sizes = [dims.maximum(b - a, 0) for a, b in itertools.pairwise(starts)]
    pieces = zip(starts, sizes, strict=False)
    return [common.slice_axes(x, {axis: Span(a, size, 1)}) for a, size in pieces]


@function("GetItem")
def getitem(call: Applied, x: Value) -> Value:
    """x[...] with numbers, slices, new axes and arrays of indices."""
    return get_item(x, call.slices)


@function("SelectItem")
def select_item(call: Applied, x: Value, t: Value) -> Value:
    """x[k, t[k]] for each row k."""
    taken = ops.GatherElements(1)(x, common.expand_dims(common.cast(t, _i32()), 1))
    return common.squeeze(taken, 1)


def _i32() -> Any:
    return from_numpy(np.dtype(np.int32))


@function("Assign")
def assign(call: Applied, x: Value) -> Value:
    """Zeros, but for element t[k] of each row k."""
    raise UnsupportedError("the gradient of select_item has no meaning at inference")


@function("Flip")
def flip(call: Applied, x: Value) -> Value:
    """An axis reversed."""
    return common.flip(x, call.axis)


@function("FlipLR")
def fliplr(call: Applied, x: Value) -> Value:
    """The second axis reversed."""
    return common.flip(x, 1)


@function("FlipUD")
def flipud(call: Applied, x: Value) -> Value:
    """The first axis reversed."""
    return common.flip(x, 0)


@function("Tile")
def tile(call: Applied, x: Value) -> Value:
    """The whole several times."""
    return common.tile(x, call.reps)


@function("Repeat")
def repeat(call: Applied, x: Value) -> Value:
    """Elements several times in a row."""
    axis = call.axis
    if axis is None:
        x, axis = common.reshape(x, (x.type.size,)), 0
    if len(call.repeats) == 1:
        return common.repeat(x, call.repeats[0], axis)
    which = np.repeat(np.arange(len(call.repeats)), call.repeats)
    return ops.Gather(axis)(x, indices(which))


@function("Permutate")
def permutate(call: Applied, x: Value) -> Value:
    """The elements of an axis in another order."""
    order = np.asarray(call.indices)
    if call.inv:
        order = np.argsort(order)
    return ops.Gather(call.axis)(x, indices(order))


@function("Diagonal")
def diagonal(call: Applied, x: Value) -> Value:
    """The diagonals of two axes, as the last axis."""
    rank = x.type.rank
    a, b = normalise_axis(call.axis1, rank), normalise_axis(call.axis2, rank)
    rest = [k for k in range(rank) if k not in (a, b)]
    plane = common.transpose(x, (*rest, a, b))
    rows, columns = plane.shape[-2:]
    down, right = max(-call.offset, 0), max(call.offset, 0)
    n = dims.maximum(dims.minimum(rows - down, columns - right), 0)
    flat = common.reshape(plane, (*plane.shape[:-2], rows * columns))
    steps = ops.Iota(n)()
    stride = ops.Mul()(steps, _size(columns + 1))
    where = ops.Add()(stride, _size(columns * down + right))
    return ops.Gather(-1)(flat, where)


def _size(n: Dim) -> Value:
    return common.size_value(n)


@function("Depth2Space")
def depth2space(call: Applied, x: Value) -> Value:
    """Channels to blocks of r by r; the channels of a block lie apart by their number."""
    n, c, a, b = x.shape
    r = call.r
    channels = dims.floordiv(c, r * r)
    x = common.reshape(x, (n, r, r, channels, a, b))
    x = common.transpose(x, (0, 3, 4, 1, 5, 2))
    return common.reshape(x, (n, channels, a * r, b * r))


@function("Space2Depth")
def space2depth(call: Applied, x: Value) -> Value:
    """Blocks of r by r to channels."""
    n, c, a, b = x.shape
    r = call.r
    rows, columns = dims.floordiv(a, r), dims.floordiv(b, r)
    x = common.reshape(x, (n, c, rows, r, columns, r))
    x = common.transpose(x, (0, 3, 5, 1, 2, 4))
    return common.reshape(x, (n, r * r * c, rows, columns))


@function("Where")
def where_array(call: Applied, x: Value, y: Value) -> Value:
    """x or y by a condition that was made when the chain was traced."""
    return _where(graph.constant(np.asarray(call.condition)), x, y)


@function("WhereVariable")
def where(call: Applied, condition: Value, x: Value, y: Value) -> Value:
    """x where the condition holds, else y."""
    return _where(condition, x, y)


def _where(condition: Value, x: Value, y: Value) -> Value:
    return ops.Where()(common.cast(condition, from_numpy(np.dtype(bool))), x, y)


PAD_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@function("Pad")
def pad(call: Applied, x: Value) -> Value:
    """Axes made longer, as np.pad."""
    widths = np.asarray(call.pad_width, object)
    pairs = np.broadcast_to(widths, (x.type.rank, 2))
    before, after = (tuple(column) for column in pairs.T)
    mode, keywords = call.mode, dict(call.keywords)
    value = keywords.pop("constant_values", 0)
    if mode == "symmetric":
        return _symmetric(x, before, after)
    uniform = np.ndim(value) == 0 or len({*np.ravel(value)}) == 1
    if mode not in PAD_MODES or keywords or not uniform:
        raise UnsupportedError(
            f"mode must be constant (of one value), edge, reflect, symmetric or wrap, not {mode!r}"
        )
    return ops.Pad(before, after, mode, float(np.ravel(value)[0]))(x)


def _symmetric(x: Value, before: tuple[Dim, ...], after: tuple[Dim, ...]) -> Value:
    """Mirrored with the edge repeated."""
    for axis, (b, a) in enumerate(zip(before, after, strict=True)):
        n = x.shape[axis]
        if not (isinstance(n, int) and isinstance(b, int) and isinstance(a, int)):
            raise UnsupportedError("symmetric padding needs sizes that are known")
        where = np.pad(np.arange(n), (b, a), "symmetric")
        if b or a:
            x = ops.Gather(axis)(x, indices(where))
    return x


@function("PadSequence")
def pad_sequence(call: Applied, *xs: Value) -> Value:
    """Sequences as one array, the short ones filled up."""
    length: Dim = call.length if call.length is not None else 0
    if call.length is None:
        for x in xs:
            length = dims.maximum(length, x.shape[0])
    return common.stack([padded(x, length, float(call.padding)) for x in xs], 0)


def padded(x: Value, length: Dim, value: float = 0.0) -> Value:
    """`x` filled up to `length` along its first axis."""
    more = length - x.shape[0]
    if more == 0:
        return x
    rest = (0,) * (x.type.rank - 1)
    return ops.Pad((0, *rest), (more, *rest), "constant", value)(x)


@function("TransposeSequence")
def transpose_sequence(call: Applied, *xs: Value) -> list[Value]:
    """The k-th elements of all sequences that are so long; they lie in falling order of length."""
    lengths = [x.shape[0] for x in xs]
    if not all(isinstance(n, int) for n in lengths):
        raise UnsupportedError("the lengths of the sequences must be known")
    out = []
    for k in range(call.outputs):
        rows = [common.at(x, 0, k) for x, n in zip(xs, lengths, strict=True) if k < n]  # type: ignore[operator]
        out.append(common.stack(rows, 0))
    return out


@function("ScatterAdd")
def scatter_add(call: Applied, a: Value, b: Value) -> Value:
    """a with b added at a[...]; what is written twice counts twice."""
    if not all(isinstance(n, int) for n in a.shape):
        raise UnsupportedError("the sizes of its first input must be known")
    places = np.arange(int(np.prod(a.shape))).reshape(a.shape)[tuple(call.slices)]  # type: ignore[arg-type]
    flat = common.reshape(a, (a.type.size,))
    where = indices(places.reshape(-1, 1))
    updates = common.reshape(b, (places.size,))
    return common.reshape(ops.ScatterND("add")(flat, where, updates), a.shape)


@function("AsStrided")
def as_strided(call: Applied, x: Value) -> Value:
    """The memory of x, which lies in row-major order, seen with other strides."""
    offset = call.storage_offset or 0
    where = np.full((), offset, np.int64)
    for n, stride in zip(call.shape, call.strides, strict=True):
        where = where[..., None] + np.arange(n) * stride
    return ops.Gather(0)(common.reshape(x, (x.type.size,)), indices(where))
