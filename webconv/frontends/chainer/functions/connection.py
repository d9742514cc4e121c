"""chainer.functions.connection: products with weights. Chainer is channels-first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span, cast, scalar
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value


def turned(call: Applied, w: Value, order: Sequence[int]) -> Value:
    """Weights with their axes permuted; constants are permuted now, and once."""

    def make() -> Value:
        if w.constant is None:
            return common.transpose(w, order)
        return graph.constant(np.ascontiguousarray(w.constant.transpose(order)), w.node.name)

    return call.once(("turned", w, tuple(order)), make)


@function("LinearFunction")
def linear(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """x [N, I], w [O, I], b [O]."""
    y = ops.MatMul()(x, turned(call, w, (1, 0)))
    return y if b is None else ops.Add()(y, b)


@function("SimplifiedDropconnect")
def simplified_dropconnect(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """A product with weights, of which none are dropped when not training."""
    if call.ratio:
        raise UnsupportedError("it drops weights at random; call it with train=False")
    return linear(call, x, w, b)


@function("EmbedIDFunction")
def embed_id(call: Applied, x: Value, w: Value) -> Value:
    """The rows of w at x; zeros for the label that is ignored."""
    rows = ops.Gather(0)(w, x)
    if call.ignore_label is None:
        return rows
    ignored = common.expand_dims(ops.Equal()(x, scalar(call.ignore_label, x)), -1)
    return ops.Where()(ignored, scalar(0, w), rows)


@function("BilinearFunction")
def bilinear(call: Applied, a: Value, b: Value, w: Value, *rest: Value) -> Value:
    """y[k] = a w[:, :, k] b + a v1 + b v2 + bias."""
    a, b = common.flatten(a), common.flatten(b)
    n, (i, j, out) = a.shape[0], w.shape
    left = ops.MatMul()(a, common.reshape(w, (i, j * out)))
    y = ops.MatMul()(common.expand_dims(b, 1), common.reshape(left, (n, j, out)))
    y = common.squeeze(y, 1)
    if rest:
        v1, v2, bias = rest
        y = ops.Add()(ops.Add()(y, ops.MatMul()(a, v1)), ops.MatMul()(b, v2))
        y = ops.Add()(y, bias)
    return y


def _convolution(
    call: Applied,
    x: Value,
    w: Value,
    b: Value | None,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
) -> Value:
    rank = x.type.rank
    # cover_all pads the end by up to a stride, so that every element is seen.
    more = [s - 1 if call.cover_all else 0 for s in strides]
    both = tuple((p, p + m) for p, m in zip(pads, more, strict=True))
    kernel = turned(call, w, (*range(2, rank), 1, 0))
    y = ops.Conv(strides, dilations, both, call.groups)(common.channels_last(x), kernel)
    return common.channels_first(y if b is None else ops.Add()(y, b))


@function("Convolution2DFunction")
def convolution_2d(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """x [N, C, H, W], w [O, C / groups, K, K]."""
    return _convolution(call, x, w, b, (call.sy, call.sx), (call.ph, call.pw), (call.dy, call.dx))


@function("ConvolutionND")
def convolution_nd(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """The same over any number of axes."""
    return _convolution(call, x, w, b, tuple(call.stride), tuple(call.pad), tuple(call.dilate))


def _deconvolution(
    call: Applied,
    x: Value,
    w: Value,
    b: Value | None,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    sizes: Sequence[Dim | None],
) -> Value:
    kernel = turned(call, w, (*range(2, x.type.rank), 1, 0))
    # What is past the natural end, by less than a stride, is kept if `outsize` asks for it.
    extra = tuple(0 if n is None else s - 1 for n, s in zip(sizes, strides, strict=True))
    both = tuple((p, p) for p in pads)
    op = ops.ConvTranspose(strides, dilations, both, extra, call.groups)
    y = cropped(op(common.channels_last(x), kernel), sizes)
    return common.channels_first(y if b is None else ops.Add()(y, b))


def cropped(y: Value, sizes: Sequence[Dim | None]) -> Value:
    """`y [N, ..., C]` cut to those of its sizes that are given."""
    wanted = enumerate(zip(sizes, y.shape[1:-1], strict=True), start=1)
    spans = {a: Span(0, n, 1) for a, (n, full) in wanted if n is not None and n != full}
    return common.slice_axes(y, spans)


@function("Deconvolution2DFunction")
def deconvolution_2d(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """x [N, C, H, W], w [C, O / groups, K, K]."""
    sizes = (call.outh, call.outw)
    return _deconvolution(
        call, x, w, b, (call.sy, call.sx), (call.ph, call.pw), (call.dy, call.dx), sizes
    )


@function("DeconvolutionND")
def deconvolution_nd(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """The same over any number of axes."""
    sizes = call.outs if call.outs is not None else (None,) * call.ndim
    return _deconvolution(
        call, x, w, b, tuple(call.stride), tuple(call.pad), tuple(call.dilate), sizes
    )


@function("LocalConvolution2DFunction")
def local_convolution_2d(call: Applied, x: Value, w: Value, b: Value | None = None) -> Value:
    """A convolution whose weights [O, H', W', C, K, K] differ from place to place."""
    o, rows, columns, c, kh, kw = w.shape
    patches = im2col(x, (kh, kw), (call.sy, call.sx), ((0, 0), (0, 0)), (1, 1))
    # [N, C, K, K, H', W'] to [H', W', N, C * K * K]
    n, places = x.shape[0], rows * columns
    patches = common.reshape(patches, (n, c * kh * kw, places))
    patches = common.transpose(patches, (2, 0, 1))
    kernel = common.reshape(common.transpose(w, (1, 2, 3, 4, 5, 0)), (places, c * kh * kw, o))
    y = common.transpose(ops.MatMul()(patches, kernel), (1, 2, 0))
    y = common.reshape(y, (n, o, rows, columns))
    return y if b is None else ops.Add()(y, b)


def im2col(
    x: Value,
    kernel: Sequence[Dim],
    strides: Sequence[int],
    pads: Sequence[tuple[Dim, Dim]],
    dilations: Sequence[int],
) -> Value:
    """The windows of x [N, C, H, W] as [N, C, K, K, H', W']; what is padded is 0."""
    if any(d != 0 for pair in pads for d in pair):
        before, after = zip(*pads, strict=True)
        x = ops.Pad((0, 0, *before), (0, 0, *after))(x)
    for axis, (k, s, d) in enumerate(zip(kernel, strides, dilations, strict=True)):
        # The axis of offsets goes before those of places: axis 2, then axis 3.
        where = 2 + 2 * axis
        n = x.shape[where]
        size = dims.floordiv(n - (k - 1) * d - 1, s) + 1
        offsets = ops.Mul()(ops.Iota(k)(), common.size_value(d))
        starts = ops.Mul()(ops.Iota(size)(), common.size_value(s))
        index = ops.Add()(common.expand_dims(offsets, 1), starts)
        x = ops.Gather(where)(x, index)
    # [N, C, K, H', K, W']
    return common.transpose(x, (0, 1, 2, 4, 3, 5))


@function("Im2Col")
def im2col_function(call: Applied, x: Value) -> Value:
    """The windows as channels."""
    more = [s - 1 if call.cover_all else 0 for s in (call.sy, call.sx)]
    pads = [(p, p + m) for p, m in zip((call.ph, call.pw), more, strict=True)]
    y = im2col(x, (call.kh, call.kw), (call.sy, call.sx), pads, (call.dy, call.dx))
    n, c, kh, kw, rows, columns = y.shape
    return common.reshape(y, (n, c * kh * kw, rows, columns))


@function("Shift")
def shift(call: Applied, x: Value) -> Value:
    """Groups of channels moved each in its own direction (Wu 2017)."""
    _, c, h, w = x.shape
    if not isinstance(c, int):
        raise UnsupportedError("the number of channels must be known")
    py, px = call.kh // 2 * abs(call.dy), call.kw // 2 * abs(call.dx)
    wide = ops.Pad((0, 0, py, px), (0, 0, py, px))(x)
    groups = call.kh * call.kw
    size, middle = c // groups, (groups - 1) // 2
    parts = []
    for k in range(groups):
        # The middle direction, which moves nothing, has the last group: that of what is left over.
        place = {middle: groups - 1, groups - 1: middle}.get(k, k)
        ky = place // call.kw - py // abs(call.dy)
        kx = place % call.kw - px // abs(call.dx)
        rest = c - k * size if k == groups - 1 else size
        spans = {
            1: Span(k * size, rest, 1),
            2: Span(py - ky * call.dy, h, 1),
            3: Span(px - kx * call.dx, w, 1),
        }
        if rest:
            parts.append(common.slice_axes(wide, spans))
    return common.concat(parts, 1)


def as_i32(x: Value) -> Value:
    """`x` as i32."""
    return cast(x, dtypes.i32)
