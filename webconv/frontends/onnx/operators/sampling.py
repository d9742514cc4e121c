"""Operators that read an image at computed positions: GridSample, DeformConv, RoiAlign."""

from __future__ import annotations

import math
from collections.abc import Sequence

from webconv.frontends import arithmetic as m
from webconv.frontends import common
from webconv.frontends.arithmetic import Number
from webconv.frontends.onnx.operators.convolution import kernel_sizes
from webconv.frontends.onnx.operators.image import points
from webconv.frontends.onnx.operators.windows import Sliding, sliding
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value

MODES = {"bilinear": "linear", "bicubic": "cubic"}


@operator("GridSample")
def grid_sample(
    x: Value,
    grid: Value,
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> Value:
    """x [N, C, S] at positions [N, P, (x, y, ...)], where -1 and 1 are the image's ends."""
    if grid.type.rank < 2 or grid.shape[-1] != x.type.rank - 2:
        raise ShapeError(f"the grid {grid.type} does not fit the image {x.type}")
    sizes = points([Number(common.expand_dims(m.size(n).value, 0)) for n in x.shape[2:]])
    at = Number(common.cast(common.flip(grid, -1), dtypes.f32))
    n = Number(sizes)
    where = (at + 1.0) * 0.5 * (n - 1.0) if align_corners else ((at + 1.0) * n - 1.0) * 0.5
    op = ops.Sample(MODES.get(mode, mode), padding_mode, bool(align_corners))
    return common.channels_first(op(common.channels_last(x), where.value))


@operator("DeformConv")
def deform_conv(
    x: Value,
    w: Value,
    offset: Value,
    b: Value | None = None,
    mask: Value | None = None,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """A convolution whose taps are moved by `offset`, and weighted by `mask` (Zhu 2018)."""
    kernel = kernel_sizes(w, kernel_shape)
    slide = sliding(x, kernel, strides, dilations, pads, "NOTSET")
    rank, taps, (batch, channels) = len(kernel), math.prod(kernel), x.shape[:2]
    spatial = offset.shape[2:]
    if offset.shape[1] != offset_group * taps * rank or len(spatial) != rank:
        raise ShapeError(f"offset {offset.type} does not fit {offset_group} groups of {w.type}")
    if not isinstance(channels, int) or channels % offset_group or channels % group:
        raise ShapeError(f"{channels} channels do not divide into {offset_group} and {group}")
    each = channels // offset_group
    moved = common.reshape(offset, (batch, offset_group, taps, rank, *spatial))
    # [N, G, taps, k, P] -> [N, P, taps, k] per group
    order = (0, *range(3, 3 + rank), 1, 2)
    base = _tap_positions(slide, spatial)
    columns = []
    for g in range(offset_group):
        at = Number(common.transpose(common.at(moved, 1, g), order)) + Number(base)
        own = common.slice_axes(x, {1: common.Span(g * each, each, 1)})
        read = ops.Sample()(common.channels_last(own), common.cast(at.value, dtypes.f32))
        if mask is not None:
            shown = common.at(common.reshape(mask, (batch, offset_group, taps, *spatial)), 1, g)
            read = ops.Mul()(read, common.expand_dims(common.channels_last(shown), -1))
        columns.append(read)
    y = _products(common.concat(columns, -1), w, group)
    return common.channels_first(y if b is None else ops.Add()(y, b))


def _tap_positions(slide: Sliding, spatial: Sequence[Dim]) -> Value:
    """Where the taps of each window lie without offsets: [P, taps, k]."""
    rank, taps = len(slide.kernel), math.prod(slide.kernel)
    coordinates, rest = [], ops.Iota(taps)()
    for axis in reversed(range(rank)):
        k = common.size_value(slide.kernel[axis])
        tap = common.cast(ops.Mod()(rest, k), dtypes.f32)
        rest = ops.Div()(rest, k)
        start = m.iota(spatial[axis]) * float(slide.strides[axis])
        along = [n if a == axis else 1 for a, n in enumerate(spatial)]
        first = Number(common.reshape(start.value, (*along, 1, 1)))
        before = slide.pads[axis][0]
        assert isinstance(before, int)
        offset = Number(common.reshape(tap, (taps, 1))) * float(slide.dilations[axis])
        coordinates.append(first + (offset - float(before)))
    return points(coordinates[::-1])


def _products(columns: Value, w: Value, group: int) -> Value:
    """Columns [N, P, taps, C] with the weights [O, C/G, K]: [N, P, O]."""
    *lead, taps, channels = columns.shape
    outputs, each = w.shape[:2]
    assert isinstance(channels, int)
    if not isinstance(outputs, int) or each != channels // group or outputs % group:
        raise ShapeError(f"weights {w.type} do not fit {channels} channels in {group} groups")
    per, parts = outputs // group, []
    flat = common.reshape(w, (outputs, each, taps))
    for g in range(group):
        own = common.slice_axes(columns, {-1: common.Span(g * each, each, 1)})
        kernel = common.slice_axes(flat, {0: common.Span(g * per, per, 1)})
        matrix = common.reshape(common.transpose(kernel, (2, 1, 0)), (taps * each, per))
        parts.append(ops.MatMul()(common.reshape(own, (*lead, taps * each)), matrix))
    return common.concat(parts, -1)


# -- regions --------------------------------------------------------------------------------------


@operator("RoiAlign", since=16)
def roi_align_16(
    x: Value,
    rois: Value,
    batch_indices: Value,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Value:
    """Regions (x1, y1, x2, y2) of images, sampled evenly in each cell of a grid (He 2017)."""
    if x.type.rank != 4 or mode not in ("avg", "max"):
        raise ModelFormatError(f"x must be [N, C, H, W] and mode avg or max, not {mode!r}")
    if coordinate_transformation_mode not in ("half_pixel", "output_half_pixel"):
        raise ModelFormatError(f"mode {coordinate_transformation_mode!r} is unknown")
    half = coordinate_transformation_mode == "half_pixel"
    images = ops.Gather(0)(x, common.cast(batch_indices, dtypes.i32))
    scaled = Number(common.cast(rois, dtypes.f32)) * spatial_scale - (0.5 if half else 0.0)
    corners = [Number(common.at(scaled.value, 1, k)) for k in range(4)]
    axes = []
    for first, last, cells in ((1, 3, output_height), (0, 2, output_width)):
        extent = corners[last] - corners[first]
        extent = extent if half else m.maximum(extent, 1.0)
        axes.append((corners[first], extent / float(cells), cells))
    if sampling_ratio > 0:
        return _sampled(images, axes, sampling_ratio, mode)
    if mode == "max":
        raise UnsupportedError("mode max needs a sampling_ratio above 0")
    return _averaged(images, axes)


@operator("RoiAlign", since=10)
def roi_align_10(
    x: Value,
    rois: Value,
    batch_indices: Value,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Value:
    """The same with regions whose corners are at element centres (opset 10)."""
    return roi_align_16(
        x,
        rois,
        batch_indices,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


Grid = Sequence[tuple[Number, Number, int]]


def _sampled(images: Value, axes: Grid, ratio: int, mode: str) -> Value:
    """The mean or maximum of `ratio` samples in each direction of a cell."""
    at, inside = [], []
    for axis, (start, step, cells) in enumerate(axes):
        line = (m.iota(cells * ratio) + 0.5) / float(ratio)  # [cells * ratio]
        position = _column(start) + _column(step) * line
        n = m.size(images.shape[2 + axis])
        inside.append(_spread((position >= -1.0) & (position <= n), axis))
        limited = m.minimum(m.maximum(position, 0.0), n - 1.0)
        at.append(_spread(limited, axis))
    shown = inside[0] & inside[1]  # [R, PH * ratio, PW * ratio, 1]
    x = common.channels_last(images)
    if mode == "avg":
        read = ops.Sample("linear", "border")(x, points(at))
        return _pooled(m.where(shown, Number(read), 0.0).value, ratio, ops.ReduceMean)
    # Of each sample the largest of the four weighted elements counts, as in all runtimes.
    best: Value | None = None
    for corner in range(4):
        near = [m.floor(p) for p in at]
        parts = [p - f for p, f in zip(at, near, strict=True)]
        sides = (corner // 2, corner % 2)
        place = [f + float(s) for f, s in zip(near, sides, strict=True)]
        row, column = (p if s else 1.0 - p for p, s in zip(parts, sides, strict=True))
        read = Number(ops.Sample("nearest", "border")(x, points(place)))
        weighted = m.where(shown, read * (row * column), 0.0).value
        largest = _pooled(weighted, ratio, ops.ReduceMax)
        best = largest if best is None else ops.Max()(best, largest)
    assert best is not None
    return best


def _column(v: Number) -> Number:
    return Number(common.expand_dims(v.value, 1))


def _spread(v: Number, axis: int) -> Number:
    """[R, P] as [R, P, 1, 1] or [R, 1, P, 1]."""
    return Number(common.expand_dims(v.value, *((2, 3) if axis == 0 else (1, 3))))


def _pooled(y: Value, ratio: int, reduce: type[ops.ReduceMax | ops.ReduceMean]) -> Value:
    """[R, PH * ratio, PW * ratio, C] to [R, C, PH, PW]."""
    r, h, w, c = y.shape
    cells = (r, dims.floordiv(h, ratio), ratio, dims.floordiv(w, ratio), ratio, c)
    return common.channels_first(reduce((2, 4))(common.reshape(y, cells)))


def _averaged(images: Value, axes: Grid) -> Value:
    """The mean of as many samples as a cell has elements: a product for each axis.

    A sample is a weighted sum over rows and columns, so that those of all samples are added first.
    """
    rows, columns = (
        _added_weights(start, step, cells, images.shape[2 + axis])
        for axis, (start, step, cells) in enumerate(axes)
    )
    counts = [m.ceil(step) for _, step, _ in axes]
    count = m.maximum(counts[0] * counts[1], 1.0)
    tall = ops.MatMul()(common.expand_dims(rows, 1), images)  # [R, C, PH, W]
    both = ops.MatMul()(tall, common.expand_dims(common.swap_axes(columns, 1, 2), 1))
    return (Number(both) / Number(common.expand_dims(count.value, 1, 2, 3))).value


def _added_weights(start: Number, step: Number, cells: int, n: Dim) -> Value:
    """How much each element of an axis weighs in each cell of each region: [R, cells, n].

    Samples are at least half an element apart unless there is one, so that at most 2n + 4 of a
    cell lie within the image; those before are left out.
    """
    count = m.ceil(step)  # [R]
    apart = Number(common.expand_dims((step / m.maximum(count, 1.0)).value, 1, 2))
    cell = m.iota(cells)
    edge = _column(start) + _column(step) * cell  # [R, cells]
    edge = Number(common.expand_dims(edge.value, 2))
    skipped = m.maximum(m.floor((edge * -1.0 - 1.0) / apart - 0.5), 0.0)
    skipped = m.where(apart > 0.0, skipped, 0.0)
    number = skipped + m.iota(2 * n + 4)  # [R, cells, T]
    position = edge + (number + 0.5) * apart
    size = m.size(n)
    valid = number < Number(common.expand_dims(count.value, 1, 2))
    valid = valid & (position >= -1.0) & (position <= size)
    limited = m.minimum(m.maximum(position, 0.0), size - 1.0)
    distance = m.abs(Number(common.expand_dims(limited.value, 3)) - m.iota(n))
    weight = m.maximum(1.0 - distance, 0.0)
    shown = Number(common.expand_dims(valid.value, 3))
    out: Value = ops.ReduceSum((2,))(m.where(shown, weight, 0.0).value)
    return out
