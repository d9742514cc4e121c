"""Functions of images: `keras.ops.image`, and blocks of pixels as channels."""

from __future__ import annotations

from collections.abc import Mapping

from webconv.frontends import common
from webconv.frontends.keras.layers import images
from webconv.frontends.keras.layers.resizing import Interpolation
from webconv.frontends.keras.layers.windows import DataFormat
from webconv.frontends.keras.operations.elementwise import floating, saturate_cast, tensor
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

# What an RGB image weighs to the eye (ITU-R BT.601), as Keras and TensorFlow have it.
LUMA = (0.2989, 0.5870, 0.1140)


def resize(
    layer: Layer,
    x: Value,
    *,
    size: tuple[Positive, Positive],
    interpolation: Interpolation = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_value: float = 0.0,
    data_format: DataFormat = None,
) -> Value:
    """Images of another height and width, in the dtype that they have."""
    made = images.resizing(
        layer,
        floating(x),
        height=size[0],
        width=size[1],
        interpolation=interpolation,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        fill_value=fill_value,
        antialias=antialias,
        data_format=data_format,
    )
    whole = not x.type.dtype.is_float and interpolation != "nearest"
    return saturate_cast(layer, ops.Round()(made) if whole else made, dtype=str(x.type.dtype.numpy))


# What is put before and after an axis, or taken away if negative, and its size then; two are given.
Edge = tuple[int | None, int | None, int | None]


def framed(x: Value, data_format: DataFormat, height: Edge, width: Edge) -> Value:
    """Images with zeros around, or without their edges."""
    before: list[Dim] = [0] * x.type.rank
    after = [*before]
    axes = images.spatial_axes(x, data_format)
    for axis, (first, last, target) in zip(axes, (height, width), strict=True):
        if target is None:
            before[axis], after[axis] = first or 0, last or 0
        else:
            more = target - x.shape[axis]
            before[axis] = more - (last or 0) if first is None else first
            after[axis] = more - before[axis]
    made: Value = ops.Pad(tuple(before), tuple(after))(x)
    return made


def pad_images(
    layer: Layer,
    x: Value,
    *,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: DataFormat = None,
) -> Value:
    """Zeros around images, so many or up to a size."""
    height = (top_padding, bottom_padding, target_height)
    return framed(x, data_format, height, (left_padding, right_padding, target_width))


def crop_images(
    layer: Layer,
    x: Value,
    *,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: DataFormat = None,
) -> Value:
    """A part of images, without so much at their edges or of a size."""
    edges = (top_cropping, bottom_cropping, left_cropping, right_cropping)
    top, bottom, left, right = (None if n is None else -n for n in edges)
    return framed(x, data_format, (top, bottom, target_height), (left, right, target_width))


def to_grayscale(layer: Layer, x: Value, *, data_format: DataFormat = None) -> Value:
    """Red, green and blue as one channel; that of gray images stays."""
    axis = x.type.rank - (3 if data_format == "channels_first" else 1)
    if x.shape[axis] == 1:
        return x
    if x.shape[axis] != 3:
        raise ShapeError(f"images must have 1 or 3 channels, but they are {x.type}")
    value = floating(x)
    shares = common.reshape(tensor(LUMA, value), (3, *[1] * (x.type.rank - 1 - axis)))
    gray = ops.ReduceSum((axis,), True)(ops.Mul()(value, shares))
    return common.cast(gray, x.type.dtype)


def depth_to_space(
    layer: Layer, x: Value, *, block_size: Positive, data_format: DataFormat = None
) -> Value:
    """Channels as blocks of pixels: the first ones, or the last if they come first (Shi 2016)."""
    b = block_size
    first = data_format == "channels_first"
    n, c, h, w = x.shape if first else common.channels_first(x).shape
    if isinstance(c, int) and c % (b * b):
        raise ShapeError(f"{c} channels do not divide into blocks of {b} x {b}")
    depth = dims.floordiv(c, b * b)
    if first:
        y = common.transpose(common.reshape(x, (n, depth, b, b, h, w)), (0, 1, 4, 2, 5, 3))
        return common.reshape(y, (n, depth, h * b, w * b))
    y = common.transpose(common.reshape(x, (n, h, w, b, b, depth)), (0, 1, 3, 2, 4, 5))
    return common.reshape(y, (n, h * b, w * b, depth))


def space_to_depth(
    layer: Layer, x: Value, *, block_size: Positive, data_format: DataFormat = None
) -> Value:
    """Blocks of pixels as channels."""
    b = block_size
    first = data_format == "channels_first"
    axes = images.spatial_axes(x, data_format)
    if sides := [x.shape[a] for a in axes if isinstance(x.shape[a], int) and x.shape[a] % b]:
        raise ShapeError(f"{sides[0]} pixels do not divide into blocks of {b}")
    h, w = (dims.floordiv(x.shape[a], b) for a in axes)
    if first:
        n, c = x.shape[:2]
        y = common.transpose(common.reshape(x, (n, c, h, b, w, b)), (0, 1, 3, 5, 2, 4))
        return common.reshape(y, (n, c * b * b, h, w))
    n, c = x.shape[0], x.shape[3]
    y = common.transpose(common.reshape(x, (n, h, b, w, b, c)), (0, 1, 3, 2, 4, 5))
    return common.reshape(y, (n, h, w, b * b * c))


RULES: Mapping[str, Rule] = {
    "Resize": Rule(resize, ignores="fill_mode"),
    "PadImages": Rule(pad_images),
    "CropImages": Rule(crop_images),
    "RGBToGrayscale": Rule(to_grayscale),
    "DepthToSpace": Rule(depth_to_space),
    "SpaceToDepth": Rule(space_to_depth),
}
