"""chainer.functions.array: shapes, axes and dtypes."""

from __future__ import annotations

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


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
