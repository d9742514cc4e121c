"""Pooling over windows and over all spatial axes, and its inverse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.windows import Sliding, ceiled, sliding
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import sizes
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value


@operator("MaxPool", context=True)
def max_pool(
    call: Any,
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> tuple[Value | None, ...]:
    """The maximum of each window, and where in the whole input it lies."""
    slide = sliding(x, kernel_shape, strides, dilations, pads, auto_pad)
    slide = ceiled(x, slide) if ceil_mode else slide
    around = (slide.strides, slide.dilations, slide.pads, slide.kernel)
    y = common.channels_first(ops.MaxPool(*around)(common.channels_last(x)))
    if not call.wants(1):
        return (y,)
    where = common.channels_first(ops.ArgMaxPool(*around)(common.channels_last(x)))
    return y, _whole_index(where, x.shape, bool(storage_order))


def _whole_index(where: Value, shape: Shape, column_major: bool) -> Value:
    """A position within a plane [S] as one in the whole of [N, C, S]."""
    spatial = shape[2:]
    if column_major:
        where = _reordered(where, spatial)
    return ops.Add()(common.cast(where, dtypes.i64), _plane_start(shape))


def _plane_start(shape: Shape) -> Value:
    """Where each plane [S] of [N, C, S] starts: [N, C, 1, ...]."""
    planes = common.cast(ops.Iota(shape[0] * shape[1])(), dtypes.i64)
    plane = common.cast(common.size_value(dims.product(shape[2:])), dtypes.i64)
    return common.reshape(ops.Mul()(planes, plane), (shape[0], shape[1], *(1,) * (len(shape) - 2)))


def _reordered(where: Value, spatial: Shape) -> Value:
    """A row-major position as the one in column-major order."""
    out: Value | None = None
    behind: Dim = 1
    for axis, n in enumerate(spatial):
        inner = common.size_value(dims.product(spatial[axis + 1 :]))
        coordinate = ops.Mod()(ops.Div()(where, inner), common.size_value(n))
        part = ops.Mul()(coordinate, common.size_value(behind))
        out = part if out is None else ops.Add()(out, part)
        behind = behind * n
    assert out is not None
    return out


@operator("AveragePool")
def average_pool(
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The mean of each window; what `ceil_mode` adds beyond the padding never counts."""
    slide = sliding(x, kernel_shape, strides, dilations, pads, auto_pad)
    around, padded = ceiled(x, slide) if ceil_mode else slide, x
    if ceil_mode and count_include_pad:
        before, after = ((0, 0, *ends) for ends in zip(*slide.pads, strict=True))
        padded = ops.Pad(before, after)(x)
        beyond = tuple(
            (0, more - less) for (_, less), (_, more) in zip(slide.pads, around.pads, strict=True)
        )
        around, count_include_pad = around._replace(pads=beyond), 0
    op = ops.AveragePool(
        around.strides, around.dilations, around.pads, around.kernel, bool(count_include_pad)
    )
    return common.channels_first(op(common.channels_last(padded)))


def _power(x: Value, p: float) -> Value:
    """|x| to the p."""
    whole: Value = ops.Abs()(x)
    if p == 1:
        return whole
    out: Value = ops.Mul()(x, x) if p == 2 else ops.Pow()(whole, common.scalar(p, x))
    return out


def _root(x: Value, p: float) -> Value:
    """x >= 0 to the 1/p."""
    if p == 1:
        return x
    out: Value = ops.Sqrt()(x) if p == 2 else ops.Pow()(x, common.scalar(1 / p, x))
    return out


@operator("LpPool")
def lp_pool(
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: float = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The p-norm of each window: the mean of the powers times the window's size, and the root."""
    slide = sliding(x, kernel_shape, strides, dilations, pads, auto_pad)
    slide = ceiled(x, slide) if ceil_mode else slide
    op = ops.AveragePool(slide.strides, slide.dilations, slide.pads, slide.kernel, True)
    mean = op(common.channels_last(_power(x, p)))
    total = ops.Mul()(mean, common.scalar(int(np.prod(slide.kernel)), mean))
    return common.channels_first(_root(total, p))


def _spatial(x: Value) -> tuple[int, ...]:
    return tuple(range(2, x.type.rank))


@operator("GlobalAveragePool")
def global_average_pool(x: Value) -> Value:
    """The mean over all spatial axes."""
    out: Value = ops.ReduceMean(_spatial(x), True)(x)
    return out


@operator("GlobalMaxPool")
def global_max_pool(x: Value) -> Value:
    """The maximum over all spatial axes."""
    out: Value = ops.ReduceMax(_spatial(x), True)(x)
    return out


@operator("GlobalLpPool")
def global_lp_pool(x: Value, *, p: float = 2) -> Value:
    """The p-norm over all spatial axes."""
    return _root(ops.ReduceSum(_spatial(x), True)(_power(x, p)), p)


@operator("MaxUnpool")
def max_unpool(
    x: Value,
    indices: Value,
    output_shape: Value | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The inverse of MaxPool: each element at its index in the pooled tensor, 0 elsewhere."""
    slide = sliding(x, kernel_shape, strides, None, pads, "NOTSET")
    pooled = tuple(
        (n - 1) * s + k - before - after
        for n, s, k, (before, after) in zip(
            x.shape[2:], slide.strides, slide.kernel, slide.pads, strict=True
        )
    )
    shape = (*x.shape[:2], *pooled)
    y = _from_windows(x, indices, shape, slide)
    y = _scattered(x, indices, shape) if y is None else y
    if output_shape is None:
        return y
    wanted = sizes(output_shape, "output_shape")
    if len(wanted) != len(shape):
        raise ShapeError(f"output_shape must hold {len(shape)} sizes, but it is {list(wanted)}")
    after = tuple(w - n for w, n in zip(wanted, shape, strict=True))
    return y if not any(d != 0 for d in after) else ops.Pad((0,) * len(shape), after)(y)


def _scattered(x: Value, indices: Value, shape: Shape) -> Value:
    """Elements at indices in the whole of a tensor of `shape`."""
    within = common.cast(ops.Sub()(indices, _plane_start(shape)), dtypes.i32)
    planes, plane = shape[0] * shape[1], dims.product(shape[2:])
    zeros = common.broadcast_to(common.scalar(0, x), (planes, plane))
    flat = [common.reshape(v, (planes, dims.product(x.shape[2:]))) for v in (within, x)]
    return common.reshape(ops.ScatterElements(1)(zeros, *flat), shape)


def _from_windows(x: Value, indices: Value, shape: Shape, slide: Sliding) -> Value | None:
    """The inverse of a MaxPool that is in the model: only windows over an element can place it."""
    argmax = _pooled_by(indices)
    around = (slide.strides, slide.dilations, slide.pads, slide.kernel)
    if argmax is None or argmax.op != ops.ArgMaxPool(*around):
        return None
    pooled = argmax.inputs[0]
    if pooled is None or pooled.shape != (shape[0], *shape[2:], shape[1]):
        return None
    values, where = common.channels_last(x), argmax.outputs[0]
    own = common.reshape(ops.Iota(dims.product(shape[2:]))(), (*shape[2:], 1))
    y: Value = common.scalar(0, x)
    steps = [range(-(-k // s)) for k, s in zip(slide.kernel, slide.strides, strict=True)]
    for backs in itertools.product(*steps):
        found, value = where, values
        for axis, back in enumerate(backs):
            window = _window_over(shape[2 + axis], slide, axis, back)
            found, value = (ops.Gather(1 + axis)(v, window) for v in (found, value))
        y = ops.Where()(ops.Equal()(found, own), value, y)
    return common.channels_first(y)


def _pooled_by(indices: Value) -> graph.Node | None:
    """The ArgMaxPool that made row-major indices, if one did."""
    node: graph.Node = indices.node
    for op in (ops.Add, ops.Cast, ops.Transpose):
        if type(node.op) is not op or node.inputs[0] is None:
            return None
        node = node.inputs[0].node
    return node if isinstance(node.op, ops.ArgMaxPool) else None


def _window_over(n: Dim, slide: Sliding, axis: int, back: int) -> Value:
    """For each element of an axis the last window over it, or the one `back` before that."""
    shifted = ops.Add()(ops.Iota(n)(), common.size_value(slide.pads[axis][0]))
    last = ops.Div()(shifted, common.size_value(slide.strides[axis]))
    before: Value = ops.Sub()(last, common.size_value(back))
    return ops.Clip(low=0)(before) if back else before


@operator("MaxRoiPool")
def max_roi_pool(
    x: Value, rois: Value, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0
) -> Value:
    """The maximum of each cell of a grid over regions; rois [R, (image, x1, y1, x2, y2)]."""
    if x.type.rank != 4 or len(pooled_shape) != 2:
        raise ShapeError(f"x must be [N, C, H, W] and pooled_shape two sizes, but x is {x.type}")
    images = ops.Gather(0)(x, common.cast(common.at(rois, 1, 0), dtypes.i32))
    corners = [_nearest_pixel(common.at(rois, 1, k), spatial_scale) for k in range(1, 5)]
    lowest = common.scalar(-np.inf, x)
    # [R, C, H, W] -> [R, C, H, 1, PW] -> [R, C, PH, PW]: a maximum of maxima.
    columns = _cells(corners[0], corners[2], pooled_shape[1], x.shape[3])  # [R, W, PW]
    rows = _cells(corners[1], corners[3], pooled_shape[0], x.shape[2])  # [R, H, PH]
    wide = ops.Where()(common.expand_dims(columns, 1, 2), common.expand_dims(images, -1), lowest)
    best = ops.ReduceMax((3,))(wide)  # [R, C, H, PW]
    tall = ops.Where()(common.expand_dims(rows, 1, -1), common.expand_dims(best, 3), lowest)
    out = ops.ReduceMax((2,))(tall)
    return ops.Where()(ops.Equal()(out, lowest), common.scalar(0, x), out)


def _nearest_pixel(x: Value, scale: float) -> Value:
    scaled = ops.Mul()(x, common.scalar(scale, x))
    # Halves round away from 0, as C's `round`.
    whole = ops.Floor()(ops.Add()(ops.Abs()(scaled), common.scalar(0.5, x)))
    return ops.Mul()(ops.Sign()(scaled), whole)


def _cells(first: Value, last: Value, cells: int, n: Dim) -> Value:
    """Which elements of an axis each cell of each region holds: [R, n, cells]."""
    one, zero = common.scalar(1, first), common.scalar(0, first)
    size = ops.Max()(ops.Add()(ops.Sub()(last, first), one), one)
    step = common.expand_dims(ops.Div()(size, common.scalar(cells, first)), 1, 2)
    start = common.expand_dims(first, 1, 2)
    cell = common.cast(ops.Iota(cells)(), first.type.dtype)
    low = ops.Add()(ops.Floor()(ops.Mul()(cell, step)), start)
    high = ops.Add()(ops.Ceil()(ops.Mul()(ops.Add()(cell, one), step)), start)
    at = common.expand_dims(common.cast(ops.Iota(n)(), first.type.dtype), 1)
    low = ops.Max()(low, zero)
    return ops.And()(ops.GreaterOrEqual()(at, low), ops.Less()(at, high))
