"""chainer.functions.pooling. Windows cover the whole input unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.connection import cropped
from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value

Pads = tuple[tuple[int, int], ...]


def _pads(call: Applied, pads: Sequence[int], strides: Sequence[int]) -> Pads:
    """cover_all pads the end by up to a stride."""
    more = [s - 1 if call.cover_all else 0 for s in strides]
    return tuple((p, p + m) for p, m in zip(pads, more, strict=True))


def _pool(op: Any, x: Value) -> Value:
    return common.channels_first(op(common.channels_last(x)))


@function("MaxPoolingND")
def max_pooling(call: Applied, x: Value) -> Value:
    """The maximum of each window."""
    kernel, strides = tuple(call.ksize), tuple(call.stride)
    pads = _pads(call, call.pad, strides)
    return _pool(ops.MaxPool(strides, (1,) * len(kernel), pads, kernel), x)


@function("AveragePooling2D")
def average_pooling_2d(call: Applied, x: Value) -> Value:
    """The mean of each window; padding counts."""
    pads = tuple((p, p) for p in (call.ph, call.pw))
    op = ops.AveragePool((call.sy, call.sx), (1, 1), pads, (call.kh, call.kw), True)
    return _pool(op, x)


@function("AveragePoolingND")
def average_pooling(call: Applied, x: Value) -> Value:
    """The mean of each window; padding counts unless pad_value is None."""
    kernel, strides = tuple(call.ksize), tuple(call.stride)
    pads = tuple((p, p) for p in call.pad)
    counts = call.pad_value is not None
    return _pool(ops.AveragePool(strides, (1,) * len(kernel), pads, kernel, counts), x)


@function("MaxPoolingWithIndices")
def max_pooling_with_indices(call: Applied, x: Value) -> tuple[Value, Value]:
    """The maxima, and where in its window [K] each was found, the first of equals."""
    kernel, strides = tuple(call.ksize), tuple(call.stride)
    pads = _pads(call, call.pad, strides)
    plain = ops.MaxPool(strides, (1,) * len(kernel), pads, kernel)
    where = ops.ArgMaxPool(strides, (1,) * len(kernel), pads, kernel)
    index = _pool(where, x)
    # The place in the plane less the window's first: row and column within it.
    rest, found = index, graph.constant(np.int32(0))
    for axis in reversed(range(len(kernel))):
        n = x.shape[2 + axis]
        size = common.size_value(n)
        at = ops.Mod()(rest, size)
        rest = ops.Div()(rest, size)
        count = index.shape[2 + axis]
        first = ops.Mul()(ops.Iota(count)(), common.size_value(strides[axis]))
        first = ops.Sub()(first, common.size_value(pads[axis][0]))
        first = common.reshape(first, (count, *[1] * (len(kernel) - 1 - axis)))
        step = graph.constant(np.int32(np.prod(kernel[axis + 1 :], dtype=np.int64)))
        place = ops.Mul()(ops.Sub()(at, first), step)
        found = ops.Add()(place, found)
    return _pool(plain, x), found


@function("UpsamplingVariable")
def upsampling_2d(call: Applied, x: Value, where: Value) -> Value:
    """Each element to its place in its window; where windows meet, they are added."""
    kernel, strides = (call.kh, call.kw), (call.sy, call.sx)
    taps = call.kh * call.kw
    n, c, h, w = x.shape
    hot = common.one_hot(where, taps, x.type.dtype)
    spread = ops.Mul()(common.expand_dims(x, -1), hot)
    # Each element of a window is a channel, which a transposed convolution puts in its place.
    single = common.reshape(spread, (n * c, h, w, taps))
    places = np.eye(taps, dtype=np.float32).reshape(*kernel, 1, taps)
    sizes = _grown(call, x, kernel, strides, (call.ph, call.pw), (call.outh, call.outw))
    y = _spread(single, graph.constant(places), strides, (call.ph, call.pw), sizes)
    return common.reshape(y, (n, c, *y.shape[1:-1]))


def _unpooled(
    call: Applied,
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    sizes: Sequence[Dim | None],
) -> Value:
    """Each element to all places of its window; where windows meet, they are added."""
    # Channel by channel: the channels go to the batch.
    n, c, *spatial = x.shape
    single = common.reshape(x, (n * c, *spatial, 1))
    ones = graph.constant(np.ones((*kernel, 1, 1), np.float32))
    wanted = _grown(call, x, kernel, strides, pads, sizes)
    y = _spread(single, ones, strides, pads, wanted)
    return common.reshape(y, (n, c, *y.shape[1:-1]))


def _grown(
    call: Applied,
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    sizes: Sequence[Dim | None],
) -> list[Dim]:
    """The sizes that are wanted, or those whose pooling has the sizes of x."""
    rows = zip(x.shape[2:], kernel, strides, pads, sizes, strict=True)
    less = [s - 1 if call.cover_all else 0 for s in strides]
    return [
        (n - 1) * s + k - 2 * p - m if wanted is None else wanted
        for (n, k, s, p, wanted), m in zip(rows, less, strict=True)
    ]


def _spread(
    x: Value, w: Value, strides: Sequence[int], pads: Sequence[int], sizes: Sequence[Dim]
) -> Value:
    """Each element of x spread over its window, in an array of the given sizes."""
    rank = len(strides)
    more = tuple(s - 1 for s in strides)
    both = tuple((p, p) for p in pads)
    op = ops.ConvTranspose(tuple(strides), (1,) * rank, both, more)
    return cropped(op(x, common.cast(w, x.type.dtype)), sizes)


@function("Unpooling2D")
def unpooling_2d(call: Applied, x: Value) -> Value:
    """The reverse of pooling: elements are repeated."""
    sizes = (call.outh, call.outw)
    return _unpooled(call, x, (call.kh, call.kw), (call.sy, call.sx), (call.ph, call.pw), sizes)


@function("UnpoolingND")
def unpooling(call: Applied, x: Value) -> Value:
    """The same over any number of axes."""
    sizes = call.outs if call.outs is not None else (None,) * call.ndim
    return _unpooled(call, x, tuple(call.ksize), tuple(call.stride), tuple(call.pad), sizes)
