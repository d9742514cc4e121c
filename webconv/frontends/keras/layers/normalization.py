"""Normalisations. What is learnt is folded into one scale and one shift where that is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array, normalise_axis

Axes = int | tuple[int, ...]


def sorted_axes(axis: Axes, x: Value) -> list[int]:
    """The axes counted from the front, in order."""
    axes = (axis,) if isinstance(axis, int) else axis
    return sorted({normalise_axis(a, x.type.rank) for a in axes})


def _along(array: Array, axes: Sequence[int], rank: int) -> Array:
    """`array` [sizes of axes] as an array that broadcasts against `rank` axes."""
    shape = [1] * rank
    for size, a in zip(array.shape, axes, strict=True):
        shape[a] = size
    first = min(axes)
    return array.reshape(shape[first:])


def _scaled(
    layer: Layer, x: Value, axes: Sequence[int], scale: Array | None, shift: Array | None
) -> Value:
    """x * scale + shift along `axes`."""
    if scale is not None:
        made = _along(scale, axes, x.type.rank)
        x = ops.Mul()(x, layer.constant("scale", lambda: layer.cast(made)))
    if shift is not None:
        added = _along(shift, axes, x.type.rank)
        x = ops.Add()(x, layer.constant("shift", lambda: layer.cast(added)))
    return x


def batch_normalization(
    layer: Layer,
    x: Value,
    *,
    axis: Axes = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    mask: Value | None = None,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with the statistics of training.

    These are what a mask is for.
    """
    axes = sorted_axes(axis, x)
    x = common.cast(x, layer.dtype) if not x.type.dtype.is_float else x

    def wide(name: str) -> Array:
        array = layer.stored(name)
        layer.array(name, *_sizes(x, axes))
        return array.astype(np.float64)

    with np.errstate(all="ignore"):
        factor = 1 / np.sqrt(wide("moving_variance") + epsilon)
    factor = factor * wide("gamma") if scale else factor
    shift = -wide("moving_mean") * factor
    shift = shift + wide("beta") if center else shift
    return _scaled(layer, x, axes, factor, shift)


def _sizes(x: Value, axes: Sequence[int]) -> list[int | None]:
    return [n if isinstance(n := x.shape[a], int) else None for a in axes]


def layer_normalized(x: Value, axes: Sequence[int], epsilon: float, rms_scaling: bool) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over `axes`; with `rms_scaling` x stays where it is."""
    if not rms_scaling:
        return ops.Normalize(tuple(axes), epsilon)(x)
    # Keras divides by the root of the variance here, not of the mean square.
    mean = ops.ReduceMean(tuple(axes), True)(x)
    middle = ops.Sub()(x, mean)
    variance = ops.ReduceMean(tuple(axes), True)(ops.Mul()(middle, middle))
    return ops.Div()(x, ops.Sqrt()(ops.Add()(variance, scalar(epsilon, x))))


def layer_normalization(
    layer: Layer,
    x: Value,
    *,
    axis: Axes = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    rms_scaling: bool = False,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over `axis`, scaled and shifted."""
    axes = sorted_axes(axis, x)
    y = layer_normalized(x, axes, epsilon, rms_scaling)
    if rms_scaling:
        return _scaled(layer, y, axes, layer.array("gamma", *_sizes(x, axes)), None)
    gamma = layer.array("gamma", *_sizes(x, axes)) if scale else None
    beta = layer.array("beta", *_sizes(x, axes)) if center else None
    return _scaled(layer, y, axes, gamma, beta)


def group_normalization(
    layer: Layer,
    x: Value,
    *,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Value:
    """Normalised over all axes but the batch, in groups of channels."""
    axis = normalise_axis(axis, x.type.rank)
    channels = x.shape[axis]
    if not isinstance(channels, int):
        raise ShapeError(f"the size of axis {axis} must be known, but {x.type} does not tell")
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        raise ShapeError(f"groups must divide the {channels} channels, but it is {groups}")
    split = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    axes = tuple(a for a in range(1, len(split)) if a != axis)
    y = common.reshape(ops.Normalize(axes, epsilon)(common.reshape(x, split)), x.shape)
    gamma = layer.array("gamma", channels) if scale else None
    beta = layer.array("beta", channels) if center else None
    return _scaled(layer, y, [axis], gamma, beta)


def rms_normalized(x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """x / sqrt(mean(x^2) + epsilon) over `axes`."""
    return ops.Normalize(tuple(axes), epsilon, center=False)(x)


def rms_normalization(layer: Layer, x: Value, *, axis: Axes = -1, epsilon: float = 1e-6) -> Value:
    """x / sqrt(mean(x^2) + epsilon) * scale (Zhang 2019)."""
    axes = sorted_axes(axis, x)
    y = rms_normalized(x, axes, epsilon)
    return _scaled(layer, y, axes, layer.array("scale", *_sizes(x, axes)), None)


def unit_normalization(layer: Layer, x: Value, *, axis: Axes = -1) -> Value:
    """x divided by its Euclidean norm over `axis`."""
    return l2_normalized(x, sorted_axes(axis, x), 1e-12)


def l2_normalized(x: Value, axes: Sequence[int], least: float) -> Value:
    """x / max(norm, least), the norm's square limited from below by the square of `least`."""
    square = ops.ReduceSum(tuple(axes), True)(ops.Mul()(x, x))
    return ops.Div()(x, ops.Sqrt()(ops.Max()(square, scalar(least * least, x))))


def normalization(
    layer: Layer,
    x: Value,
    *,
    axis: Axes | None = -1,
    mean: object = None,
    variance: object = None,
    invert: bool = False,
) -> Value:
    """(x - mean) / sqrt(variance), or the way back with `invert`; adapted or given."""
    x = common.cast(x, layer.dtype)
    kept = [] if axis is None else sorted_axes(axis, x)
    centre, spread = (
        _statistic(layer, given, name, x, kept)
        for given, name in ((mean, "mean"), (variance, "variance"))
    )
    with np.errstate(all="ignore"):
        deviation = np.maximum(np.sqrt(spread), 1e-7)
    if invert:
        factor, shift = deviation, centre
    else:
        factor, shift = 1 / deviation, -centre / deviation
    y = ops.Mul()(x, layer.constant("scale", lambda: layer.cast(factor)))
    return ops.Add()(y, layer.constant("shift", lambda: layer.cast(shift)))


def _statistic(layer: Layer, given: object, name: str, x: Value, kept: Sequence[int]) -> Array:
    """A mean or variance that broadcasts against x: from the config, or as adapted."""
    if given is None:
        array = layer.array(name, *_sizes(x, kept)).astype(np.float64)
        return _along(array, kept, x.type.rank) if kept else array
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} must be numbers") from None
    if array.size == 1:
        return array.reshape(())
    shape = [x.shape[a] if a in kept else 1 for a in range(x.type.rank)]
    if dims.product(shape) != array.size:
        raise ShapeError(f"{name} must have {dims.product(shape)} elements, not {array.size}")
    return array.reshape([int(n) for n in shape if isinstance(n, int)])


def _norm(config: Mapping[str, object]) -> str:
    adapted = config.get("mean") is None or config.get("variance") is None
    return "~mean ~variance ~count" if adapted else ""


def _layer_norm(config: Mapping[str, object]) -> str:
    if config.get("rms_scaling"):
        return "gamma"
    return "gamma?scale beta?center"


BATCH_IGNORES = (
    "momentum synchronized virtual_batch_size fused renorm renorm_clipping renorm_momentum"
)
BATCH_WEIGHTS = "gamma?scale beta?center ~moving_mean ~moving_variance"
Least = Positive

RULES: Mapping[str, Rule] = {
    "BatchNormalization": Rule(batch_normalization, BATCH_WEIGHTS, BATCH_IGNORES, keeps_mask=True),
    "LayerNormalization": Rule(layer_normalization, _layer_norm, keeps_mask=True),
    "GroupNormalization": Rule(group_normalization, "gamma?scale beta?center", keeps_mask=True),
    "RMSNormalization": Rule(rms_normalization, "scale"),
    "UnitNormalization": Rule(unit_normalization, keeps_mask=True),
    "Normalization": Rule(normalization, _norm, "input_mean input_variance", keeps_mask=True),
}
