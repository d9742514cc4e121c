"""Images resized and sampled, and pooling over regions of interest.

R regions (y_min, x_min, y_max, x_max), unless said otherwise; bins are the cells of the output.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.connection import as_i32
from webconv.frontends.chainer.functions.formula import Formula, where
from webconv.frontends.chainer.registry import Applied, Convert, function
from webconv.frontends.onnx.operators.resize import resized
from webconv.frontends.onnx.operators.resize_tables import Sampling
from webconv.frontends.onnx.operators.resize_taps import Axis
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value


@function("ResizeImages")
def resize_images(call: Applied, x: Value) -> Value:
    """Images [N, C, H, W] of another size, from the nearest or the four nearest elements."""
    axes = [Axis(2, x.shape[2], call.out_H, None), Axis(3, x.shape[3], call.out_W, None)]
    if call.mode == "nearest":
        return resized(x, axes, Sampling("nearest", "asymmetric", "floor"))
    where = "align_corners" if call.align_corners else "half_pixel"
    return resized(x, axes, Sampling("linear", where))


@function("SpatialTransformerGrid")
def spatial_transformer_grid(call: Applied, theta: Value) -> Value:
    """Where affine maps [N, 2, 3] take the points of an image, in [-1, 1]: [N, 2, H, W]."""
    rows, columns = call.output_shape
    ys, xs = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    points = np.stack([xs, ys, np.ones_like(xs)]).reshape(3, -1)
    y = ops.MatMul()(theta, graph.constant(points.astype(theta.type.dtype.numpy)))
    return common.reshape(y, (theta.shape[0], 2, rows, columns))


@function("SpatialTransformerSampler")
def spatial_transformer_sampler(call: Applied, x: Value, grid: Value) -> Value:
    """x [N, C, H, W] at the points of a grid [N, 2, H', W'] of (x, y) in [-1, 1]; 0 outside."""
    axes = []
    for k, n in ((1, x.shape[2]), (0, x.shape[3])):
        last = common.cast(common.size_value(n - 1), grid.type.dtype)
        axes.append(((Formula(common.at(grid, 1, k)) + 1) * Formula(last) * 0.5).value)
    where_ = common.stack(axes, -1)
    return common.channels_first(ops.Sample()(common.channels_last(x), where_))


def _in_f32(convert: Convert) -> Convert:
    """Computed in f32, whose positions are exact enough; given in the dtype of the image."""

    def cast(call: Applied, x: Value, rois: Value, *which: Value) -> Value:
        wide = (common.cast(v, dtypes.f32) for v in (x, rois))
        return common.cast(convert(call, *wide, *which), x.type.dtype)

    return cast


class Bins(NamedTuple):
    """Along an axis of `size`, the bins' first and last positions: floats [R, bins, 1]."""

    start: Formula
    end: Formula
    size: Dim


def _corner(rois: Value, column: int, scale: float) -> Formula:
    return Formula(common.at(rois, 1, column)) * scale


def _rounded_bins(
    low: Formula, high: Formula, bins: int, size: Dim, inclusive: bool = False
) -> Bins:
    """Regions between rounded corners, in bins that may share elements."""
    start, end = low.map(ops.Round()), high.map(ops.Round())
    length = (end - start + (1 if inclusive else 0)).most(1)
    number = Formula(graph.constant(np.arange(bins, dtype=np.float32)[:, None]))
    origin = _wide(start)
    # A bin's length times its number, divided last, so that whole numbers stay whole.
    first = (_wide(length) * number / bins).map(ops.Floor()) + origin
    last = (_wide(length) * (number + 1) / bins).map(ops.Ceil()) + origin
    limit = Formula(common.cast(common.size_value(size), dtypes.f32))
    return Bins(first.most(0).least(limit), last.most(0).least(limit), size)


def _wide(x: Formula) -> Formula:
    return Formula(common.expand_dims(x.value, 1, 2))


def _inside(bins: Bins) -> Formula:
    """Which elements lie in a bin: bool [R, bins, size]."""
    place = Formula(common.cast(ops.Iota(bins.size)(), dtypes.f32))
    return (bins.start <= place) & (bins.end > place)


def _images(x: Value, which: Value) -> Value:
    """The image of each region: [R, C, H, W]."""
    return ops.Gather(0)(x, as_i32(which))


def _maxima(images: Value, rows: Bins, columns: Bins, empty: float) -> Value:
    """The largest element of each bin: [R, C, bins, bins]."""
    lowest = Formula(graph.constant(np.float32(-np.inf)))
    # [R, C, 1, W, H] where [R, 1, bins, 1, H], then the same of columns.
    wide = Formula(common.expand_dims(common.swap_axes(images, 2, 3), 2))
    inside = Formula(common.expand_dims(_inside(rows).value, 1, 3))
    y = ops.ReduceMax((4,))(where(inside, wide, lowest).value)
    inside = Formula(common.expand_dims(_inside(columns).value, 1, 2))
    y = ops.ReduceMax((4,))(where(inside, Formula(common.expand_dims(y, 3)), lowest).value)
    some = _some(rows, columns)
    return where(some, Formula(y), empty).value


def _some(rows: Bins, columns: Bins) -> Formula:
    """True for bins with an element: [R, 1, bins, bins]."""
    down = common.expand_dims((rows.end > rows.start).value, 1)
    across = common.swap_axes(common.expand_dims((columns.end > columns.start).value, 1), 2, 3)
    return Formula(down) & Formula(across)


@function("ROIPooling2D")
@_in_f32
def roi_pooling_2d(call: Applied, x: Value, rois: Value) -> Value:
    """The maxima of bins; regions are (image, x_min, y_min, x_max, y_max), the last included."""
    left, top, right, bottom = (_corner(rois, k, call.spatial_scale) for k in (1, 2, 3, 4))
    rows = _rounded_bins(top, bottom, call.outh, x.shape[2], True)
    columns = _rounded_bins(left, right, call.outw, x.shape[3], True)
    return _maxima(_images(x, common.at(rois, 1, 0)), rows, columns, 0.0)


def _bins_of(call: Applied, x: Value, rois: Value) -> tuple[Bins, Bins]:
    top, left, bottom, right = (_corner(rois, k, call.spatial_scale) for k in range(4))
    rows = _rounded_bins(top, bottom, call.outh, x.shape[2])
    return rows, _rounded_bins(left, right, call.outw, x.shape[3])


@function("ROIMaxPooling2D")
@_in_f32
def roi_max_pooling_2d(call: Applied, x: Value, rois: Value, which: Value) -> Value:
    """The maxima of bins; -inf in those without an element."""
    return _maxima(_images(x, which), *_bins_of(call, x, rois), -np.inf)


@function("ROIAveragePooling2D")
@_in_f32
def roi_average_pooling_2d(call: Applied, x: Value, rois: Value, which: Value) -> Value:
    """The means of bins."""
    rows, columns = _bins_of(call, x, rois)
    down = common.expand_dims(common.cast(_inside(rows).value, dtypes.f32), 1)
    across = common.expand_dims(common.cast(_inside(columns).value, dtypes.f32), 1)
    total = _between(down, _images(x, which), across)
    high = Formula(common.expand_dims((rows.end - rows.start).value, 1))
    wide = Formula(
        common.swap_axes(common.expand_dims((columns.end - columns.start).value, 1), 2, 3)
    )
    return (Formula(total) / (high.most(1) * wide.most(1))).value


def _between(down: Value, images: Value, across: Value) -> Value:
    """down [R, 1, P, H] @ images [R, C, H, W] @ across [R, 1, Q, W] transposed."""
    y = ops.MatMul()(down, images)
    return ops.MatMul()(y, common.swap_axes(across, -1, -2))


class Samples(NamedTuple):
    """Samples along an axis: their weights [R, bins * per, size], and which are in the image."""

    weights: Value
    valid: Value
    per: int


def _samples(low: Formula, high: Formula, bins: int, per: int, size: Dim) -> Samples:
    """Positions spread evenly in each bin, as weights of their two neighbours."""
    parts = (np.arange(bins * per) + 0.5) / (bins * per)
    number = Formula(graph.constant(parts.astype(np.float32)[:, None]))
    length = (high - low).most(1)
    position = _wide(low) + _wide(length) * number
    limit = Formula(common.cast(common.size_value(size), dtypes.f32))
    valid = (position >= -1) & (position <= limit)
    inside = position.most(0).least(limit - 1)
    place = Formula(common.cast(ops.Iota(size)(), dtypes.f32))
    weights = (1 - (inside - place).map(ops.Abs())).most(0)
    return Samples(weights.value, valid.value, per)


def _aligned(call: Applied, x: Value, rois: Value) -> tuple[Samples, Samples]:
    if any(n is None for n in call.sampling_ratio):
        raise UnsupportedError("sampling_ratio must be given: without, data decides it")
    top, left, bottom, right = (_corner(rois, k, call.spatial_scale) for k in range(4))
    down, across = call.sampling_ratio
    rows = _samples(top, bottom, call.outh, down, x.shape[2])
    return rows, _samples(left, right, call.outw, across, x.shape[3])


@function("ROIAverageAlign2D")
@_in_f32
def roi_average_align_2d(call: Applied, x: Value, rois: Value, which: Value) -> Value:
    """The means of samples in each bin; samples outside of the image count as 0."""
    matrices = []
    for bins, s in zip((call.outh, call.outw), _aligned(call, x, rois), strict=True):
        kept = where(Formula(s.valid), Formula(common.broadcast_to(s.weights, s.weights.shape)), 0)
        r, _, size = s.weights.shape
        apart = common.reshape(kept.value, (r, bins, s.per, size))
        matrices.append(common.expand_dims(ops.ReduceMean((2,))(apart), 1))
    return _between(matrices[0], _images(x, which), matrices[1])


@function("ROIMaxAlign2D")
@_in_f32
def roi_max_align_2d(call: Applied, x: Value, rois: Value, which: Value) -> Value:
    """The largest sample in each bin; samples outside of the image do not count."""
    rows, columns = _aligned(call, x, rois)
    y = _between(
        common.expand_dims(rows.weights, 1),
        _images(x, which),
        common.expand_dims(columns.weights, 1),
    )
    down = Formula(common.expand_dims(rows.valid, 1))
    across = Formula(common.swap_axes(common.expand_dims(columns.valid, 1), 2, 3))
    lowest = Formula(graph.constant(np.float32(-np.inf)))
    kept = where(down & across, Formula(y), lowest).value
    r, c = y.shape[:2]
    apart = common.reshape(kept, (r, c, call.outh, rows.per, call.outw, columns.per))
    return ops.ReduceMax((3, 5))(apart)


@function("SpatialPyramidPooling")
def spatial_pyramid_pooling_2d(call: Applied, x: Value) -> Value:
    """The maxima of 1, 4, 16, ... bins, whatever the size of the image."""
    n, c = x.shape[:2]
    levels = []
    for level in range(call.pyramid_height):
        count = 2**level
        rows, columns = (_windows(size, count) for size in x.shape[2:])
        y = _maxima(common.cast(x, dtypes.f32), rows, columns, -np.inf)
        levels.append(common.reshape(y, (n, c * count * count, 1, 1)))
    return common.cast(common.concat(levels, 1), x.type.dtype)


def _windows(size: Dim, count: int) -> Bins:
    """`count` bins of one length, which reach over both ends of an axis."""
    if isinstance(size, int) and size < count:
        raise UnsupportedError(f"an image must have at least {count} rows and columns, not {size}")
    length = dims.ceildiv(size, count)
    over = dims.floordiv(length * count - size, 2)
    first = ops.Mul()(ops.Iota(count)(), common.size_value(length))
    first = ops.Sub()(first, common.size_value(over))
    start = Formula(common.reshape(common.cast(first, dtypes.f32), (1, count, 1)))
    limit, wide = (Formula(common.cast(common.size_value(d), dtypes.f32)) for d in (size, length))
    return Bins(start.most(0), (start + wide).most(0).least(limit), size)
