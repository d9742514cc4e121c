"""What TensorFlow does with images, with the arguments that it has there: `tf.image`, `tf.nn`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from webconv.frontends import common
from webconv.frontends.keras.layers import images
from webconv.frontends.keras.layers.resizing import Coordinates
from webconv.frontends.keras.layers.resizing import resize as resize_axes
from webconv.frontends.keras.operations import neural
from webconv.frontends.keras.operations.elementwise import floating, tensor
from webconv.frontends.keras.operations.images import framed, to_grayscale
from webconv.frontends.keras.operations.sizes import sizes_of
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value

Method = Literal["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"]
Padding = Literal["SAME", "VALID"]
Windows = int | tuple[int, ...]
# TensorFlow's bicubic kernel is a table (tensorflow/core/kernels/image/resize_bicubic_op.cc).
CUBIC_PARTS = 1024


def _resized(
    x: Value, size: Any, method: Method, antialias: bool, coordinates: Coordinates
) -> Value:
    sizes = sizes_of(size)
    if len(sizes) != 2:
        raise ShapeError(f"a height and a width are needed, not {len(sizes)} sizes")
    value = x if method == "nearest" else floating(x)
    axes = images.spatial_axes(x, None)
    parts = CUBIC_PARTS if method == "bicubic" and not antialias else None
    wanted = dict(zip(axes, sizes, strict=True))
    return resize_axes(value, wanted, method, antialias, coordinates, parts)


def resize(
    layer: Layer, x: Value, size: Any, *, method: Method = "bilinear", antialias: bool = False
) -> Value:
    """`tf.image.resize`: half-pixel centres; a size may be that of another tensor."""
    return _resized(x, size, method, antialias, "half_pixel")


def resize_v1(
    layer: Layer,
    x: Value,
    size: Any,
    *,
    method: Literal["bilinear", "nearest", 0, 1] = "bilinear",
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Value:
    """`tf.compat.v1.image.resize`: where the axes begin, or where they begin and end."""
    if half_pixel_centers and align_corners:
        raise UnsupportedError("half_pixel_centers and align_corners exclude each other")
    known: Method = "nearest" if method in ("nearest", 1) else "bilinear"
    coordinates: Coordinates = "half_pixel" if half_pixel_centers else "asymmetric"
    return _resized(x, size, known, False, "align_corners" if align_corners else coordinates)


def resize_nearest_v1(
    layer: Layer,
    x: Value,
    size: Any,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Value:
    """`tf.compat.v1.image.resize_nearest_neighbor`."""
    own = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return resize_v1(layer, x, size, method="nearest", **own)


def _spatial(value: Windows | None, what: str) -> Windows | None:
    """Sizes without those of the batch and the channels, which are 1."""
    if not isinstance(value, tuple) or len(value) < 3:
        return value
    if value[0] != 1 or value[-1] != 1:
        raise UnsupportedError(f"{what} {list(value)} over batch or channels is not supported")
    return value[1:-1]


def _pool(kind: str) -> Callable[..., Value]:
    rule = neural.RULES[f"{kind}Pool"]

    def pool(
        layer: Layer, x: Value, *, ksize: Windows, strides: Windows | None = None, padding: Padding
    ) -> Value:
        """Pooling over windows; channels come last."""
        return rule.function(
            layer,
            x,
            pool_size=_spatial(ksize, "ksize"),
            strides=_spatial(strides, "strides"),
            padding=padding.lower(),
        )

    return pool


def _conv(function: Callable[..., Value]) -> Callable[..., Value]:
    def conv(
        layer: Layer,
        x: Value,
        kernel: Any,
        *,
        strides: Windows = 1,
        padding: Padding,
        dilations: Windows | None = None,
    ) -> Value:
        """A convolution with a kernel that the graph has; channels come last."""
        return function(
            layer,
            x,
            tensor(kernel, x),
            strides=_spatial(strides, "strides") or 1,
            padding=padding.lower(),
            dilation_rate=_spatial(dilations, "dilations") or 1,
        )

    return conv


def local_response(
    layer: Layer,
    x: Value,
    *,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Value:
    """x / (bias + alpha * sum(x^2)) ** beta, over 2 r + 1 channels (Krizhevsky 2012)."""
    value = floating(x)
    size = 2 * depth_radius + 1
    rows = common.reshape(ops.Mul()(value, value), (dims.product(x.shape[:-1]), x.shape[-1], 1))
    window = ops.AveragePool((1,), (1,), ((depth_radius, depth_radius),), (size,), True)
    mean = common.reshape(window(rows), x.shape)
    base = ops.Affine(alpha * size, bias)(mean)
    made: Value = ops.Mul()(value, ops.Pow()(base, common.scalar(-beta, value)))
    return made


def _flip(axis: int) -> Callable[..., Value]:
    def flip(layer: Layer, x: Value) -> Value:
        """Images mirrored."""
        return common.flip(x, images.spatial_axes(x, None)[axis])

    return flip


def _box(sign: int) -> Callable[..., Value]:
    def box(
        layer: Layer,
        x: Value,
        *,
        offset_height: int,
        offset_width: int,
        target_height: int,
        target_width: int,
    ) -> Value:
        """Zeros around images, or a part of them if `sign` is negative."""
        height = (sign * offset_height, None, target_height)
        return framed(x, None, height, (sign * offset_width, None, target_width))

    return box


def central_crop(layer: Layer, x: Value, *, central_fraction: float) -> Value:
    """The middle of images."""
    before = [_edge(x.shape[axis], central_fraction) for axis in images.spatial_axes(x, None)]
    height, width = ((-n, -n, None) for n in before)
    return framed(x, None, height, width)


def _edge(n: Dim, fraction: float) -> int:
    if not isinstance(n, int):
        raise UnsupportedError("the size of the image must be known when converting")
    return int((n - n * fraction) / 2)


def _floats(x: Value) -> Value:
    """x, which TensorFlow would scale by the range of its dtype if it were integers."""
    if not x.type.dtype.is_float:
        raise UnsupportedError(f"it scales images of {x.type.dtype}; cast them to float32 before")
    return x


def brighter(layer: Layer, x: Value, delta: Any) -> Value:
    """A number added to every pixel."""
    made: Value = ops.Add()(_floats(x), tensor(delta, x))
    return made


def gray(layer: Layer, x: Value) -> Value:
    """Red, green and blue as one channel."""
    return to_grayscale(layer, _floats(x))


def standardized(layer: Layer, x: Value) -> Value:
    """Every image less its mean, by its deviation, which is at least 1 / sqrt(size)."""
    value = floating(x)
    axes = tuple(range(x.type.rank - 3, x.type.rank))
    centred = ops.Sub()(value, ops.ReduceMean(axes, True)(value))
    deviation = ops.Sqrt()(ops.ReduceMean(axes, True)(ops.Mul()(centred, centred)))
    size = common.cast(common.size_value(dims.product(x.shape[-3:])), value.type.dtype)
    least = ops.Reciprocal()(ops.Sqrt()(size))
    made: Value = ops.Div()(centred, ops.Max()(deviation, least))
    return made


RULES: Mapping[str, Rule] = {
    "ResizeImages": Rule(resize),
    "ResizeV1": Rule(resize_v1),
    "ResizeNearestV1": Rule(resize_nearest_v1),
    "MaxPoolNHWC": Rule(_pool("Max")),
    "AveragePoolNHWC": Rule(_pool("Average")),
    "ConvNHWC": Rule(_conv(neural.conv)),
    "DepthwiseNHWC": Rule(_conv(neural.depthwise_conv)),
    "LocalResponse": Rule(local_response),
    "FlipLeftRight": Rule(_flip(1)),
    "FlipUpDown": Rule(_flip(0)),
    "CropBox": Rule(_box(-1)),
    "PadBox": Rule(_box(1)),
    "CentralCrop": Rule(central_crop),
    "Standardized": Rule(standardized),
    "Brighter": Rule(brighter),
    "Gray": Rule(gray),
}
