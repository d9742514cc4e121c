"""Crops, grids of positions, and blocks put back together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from webconv.frontends import arithmetic as m
from webconv.frontends import common
from webconv.frontends.arithmetic import Number
from webconv.frontends.onnx.operators.windows import paddings, steps_of
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import ints, sizes
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


@operator("CenterCropPad")
def center_crop_pad(x: Value, shape: Value, *, axes: Sequence[int] | None = None) -> Value:
    """Axes cropped or padded with zeros on both sides; what is odd goes to the end."""
    rank = x.type.rank
    where = range(rank) if axes is None else [normalise_axis(a, rank) for a in axes]
    wanted = sizes(shape, "shape")
    if len(wanted) != len(where):
        raise ShapeError(f"shape must hold {len(where)} sizes, but it is {list(wanted)}")
    before: list[Dim] = [0] * rank
    after: list[Dim] = [0] * rank
    spans: dict[int, common.Span] = {}
    for axis, size in zip(where, wanted, strict=True):
        n = x.shape[axis]
        kept = dims.minimum(n, size)
        spans[axis] = common.Span(dims.floordiv(n - kept, 2), kept, 1)
        before[axis] = dims.floordiv(size - kept, 2)
        after[axis] = size - kept - before[axis]
    cropped = common.slice_axes(x, spans)
    if not any(d != 0 for d in (*before, *after)):
        return cropped
    out: Value = ops.Pad(tuple(before), tuple(after))(cropped)
    return out


def points(coordinates: Sequence[Number]) -> Value:
    """Coordinates [..., 1] as vectors [..., k]: views and sums, where joining would store."""
    index = common.cast(ops.Iota(len(coordinates))(), dtypes.f32)
    total: Number | None = None
    for k, c in enumerate(coordinates):
        own = m.where(m.equal(Number(index), float(k)), c, 0.0)
        total = own if total is None else total + own
    assert total is not None
    return total.value


@operator("AffineGrid")
def affine_grid(theta: Value, size: Value, *, align_corners: int = 0) -> Value:
    """Positions (x, y, ...) in [-1, 1] of each element of an image, transformed by `theta`."""
    shape = sizes(size, "size")[2:]
    rank = len(shape)
    if theta.shape[1:] != (rank, rank + 1):
        raise ShapeError(f"theta must be [N, {rank}, {rank + 1}], but it is {theta.type}")

    def factor(column: int) -> Number:
        part = common.slice_axes(theta, {2: common.Span(column, 1, 1)})
        return Number(common.reshape(part, (theta.shape[0], *(1,) * rank, rank)))

    total = factor(rank)
    for column in range(rank):
        axis = rank - 1 - column
        n = shape[axis]
        even = m.iota(n)
        if align_corners:
            at = even * 2.0 / m.size(dims.maximum(n - 1, 1)) - 1.0
        else:
            at = (even * 2.0 + 1.0) / m.size(n) - 1.0
        along = [n if a == axis else 1 for a in range(rank)]
        position = common.reshape(common.cast(at.value, theta.type.dtype), (*along, 1))
        total = total + factor(column) * Number(position)
    return total.value


@operator("Col2Im")
def col2im(
    x: Value,
    image_shape: Value,
    block_shape: Value,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """Blocks [N, C * K, L] added up where they lie in an image."""
    image, kernel = sizes(image_shape, "image_shape"), ints(block_shape, "block_shape")
    rank = len(kernel)
    if x.type.rank != 3 or len(image) != rank:
        raise ShapeError(f"{x.type} and blocks {list(kernel)} do not fit an image {list(image)}")
    steps, spread = steps_of("strides", strides, rank), steps_of("dilations", dilations, rank)
    around = paddings(pads, rank)
    blocks = [
        dims.floordiv(n + before + after - (k - 1) * d - 1, s) + 1
        for n, k, s, d, (before, after) in zip(image, kernel, steps, spread, around, strict=True)
    ]
    channels = dims.floordiv(x.shape[1], math.prod(kernel))
    split = common.reshape(x, (x.shape[0], channels, *kernel, *blocks))
    order = (0, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank), 1)
    op = ops.Col2Im(steps, spread, around, kernel, image)
    return common.channels_first(op(common.transpose(split, order)))
