"""Layers on images: resizing and cropping, and augmentation, which does nothing at inference."""

from __future__ import annotations

from collections.abc import Mapping

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.resizing import Interpolation, resize
from webconv.frontends.keras.layers.windows import DataFormat
from webconv.frontends.keras.schema import Positive, words
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value


def spatial_axes(x: Value, data_format: str | None) -> tuple[int, int]:
    """The axes of height and width."""
    if x.type.rank not in (3, 4):
        raise ShapeError(f"the input must have 3 or 4 axes, but it is {x.type}")
    rank = x.type.rank
    return (rank - 2, rank - 1) if data_format == "channels_first" else (rank - 3, rank - 2)


def _known(x: Value, axes: tuple[int, int]) -> tuple[int, int]:
    height, width = (x.shape[a] for a in axes)
    if not isinstance(height, int) or not isinstance(width, int):
        raise UnsupportedError(f"height and width must be known when converting, but x is {x.type}")
    return height, width


def resizing(
    layer: Layer,
    x: Value,
    *,
    height: Positive,
    width: Positive,
    interpolation: Interpolation = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: DataFormat = None,
) -> Value:
    """Images of height x width; distorted, or cropped or padded before to keep their ratio."""
    axes = spatial_axes(x, data_format)
    x = common.cast(x, layer.dtype)
    if crop_to_aspect_ratio:
        x = _cropped_to_ratio(x, axes, height, width)
    elif pad_to_aspect_ratio:
        x = _padded_to_ratio(x, axes, height, width, fill_value)
    return resize(x, dict(zip(axes, (height, width), strict=True)), interpolation, antialias)


def _cropped_to_ratio(x: Value, axes: tuple[int, int], height: int, width: int) -> Value:
    h, w = _known(x, axes)
    crop_h = max(min(h, int(w * height / width)), 1)
    crop_w = max(min(w, int(h * width / height)), 1)
    starts = int((h - crop_h) / 2), int((w - crop_w) / 2)
    spans = zip(axes, starts, (crop_h, crop_w), strict=True)
    return common.slice_axes(x, {a: common.Span(s, n, 1) for a, s, n in spans})


def _padded_to_ratio(
    x: Value, axes: tuple[int, int], height: int, width: int, fill: float
) -> Value:
    h, w = _known(x, axes)
    around_h = int((max(h, int(w * height / width)) - h) / 2)
    around_w = int((max(w, int(h * width / height)) - w) / 2)
    before = [0] * x.type.rank
    if around_h > 0:
        before[axes[0]] = around_h
    elif around_w > 0:
        before[axes[1]] = around_w
    return ops.Pad(tuple(before), tuple(before), "constant", fill)(x) if any(before) else x


def center_crop(
    layer: Layer, x: Value, *, height: Positive, width: Positive, data_format: DataFormat = None
) -> Value:
    """The middle of images; those that are too small are cropped to the ratio and resized."""
    axes = spatial_axes(x, data_format)
    x = common.cast(x, layer.dtype)
    sizes = tuple(x.shape[a] for a in axes)
    small = any(
        isinstance(n, int) and n < wanted for n, wanted in zip(sizes, (height, width), strict=True)
    )
    if small:
        return smart_resize(x, axes, height, width)
    spans = {}
    for a, n, wanted in zip(axes, sizes, (height, width), strict=True):
        start: Dim = dims.floordiv(n - wanted, 2)
        spans[a] = common.Span(start, wanted, 1)
    return common.slice_axes(x, spans)


def smart_resize(x: Value, axes: tuple[int, int], height: int, width: int) -> Value:
    """Cropped to the ratio of the target, then resized."""
    x = _cropped_to_ratio(x, axes, height, width)
    return resize(x, dict(zip(axes, (height, width), strict=True)), "bilinear")


def random_crop(
    layer: Layer, x: Value, *, height: Positive, width: Positive, data_format: DataFormat = None
) -> Value:
    """Keras 2 crops and resizes at inference; Keras 3 gives images as they are."""
    x = common.cast(x, layer.dtype)
    if layer.dialect.major == 3:
        return x
    return smart_resize(x, spatial_axes(x, data_format), height, width)


def auto_contrast(layer: Layer, x: Value, *, value_range: tuple[float, float] = (0, 255)) -> Value:
    """Each channel stretched to the whole range of values."""
    low, high = value_range
    if high == low:
        raise ShapeError(f"value_range must not be empty, but it is {list(value_range)}")
    x = common.cast(x, layer.dtype)
    to_bytes = ops.Affine(255 / (high - low), -255 * low / (high - low))(x)
    first = ops.ReduceMin((1, 2), True)(to_bytes)
    spread = ops.Sub()(ops.ReduceMax((1, 2), True)(to_bytes), first)
    flat = ops.Equal()(spread, scalar(0, spread))
    scale = ops.Div()(scalar(255, spread), ops.Where()(flat, scalar(1, spread), spread))
    y = ops.Clip(0.0, 255.0)(ops.Mul()(ops.Sub()(to_bytes, first), scale))
    back = ops.Affine((high - low) / 255, low)(y)
    return ops.Where()(flat, x, back)


def augmentation(layer: Layer, x: Value) -> Value:
    """Nothing at inference, but whole numbers become floats."""
    return common.cast(x, layer.dtype)


AUGMENTATIONS = words(
    "AugMix CutMix Equalization MixUp RandAugment RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomElasticTransform "
    "RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight "
    "RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation "
    "RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth "
    "RandomZoom Solarization"
)
RULES: Mapping[str, Rule] = {
    **{name: Rule(augmentation, ignores="*") for name in AUGMENTATIONS},
    "Resizing": Rule(resizing, ignores="fill_mode bounding_box_format"),
    "CenterCrop": Rule(center_crop, ignores="bounding_box_format"),
    "RandomCrop": Rule(random_crop, ignores="seed bounding_box_format"),
    "AutoContrast": Rule(auto_contrast, ignores="data_format bounding_box_format"),
}
