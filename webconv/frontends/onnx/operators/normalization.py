"""Normalisation: by statistics of a batch, of channels, of groups and of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def per_channel(v: Value, x: Value) -> Value:
    """A vector [C] as [C, 1, ...], to meet x [N, C, ...]; what has more axes stays as it is."""
    missing = max(x.type.rank - 1 - v.type.rank, 0)
    return common.reshape(v, (*v.shape, *[1] * missing))


def scaled(x: Value, scale: Value, bias: Value | None) -> Value:
    """x * scale + bias."""
    y: Value = ops.Mul()(x, scale)
    return y if bias is None else ops.Add()(y, bias)


@operator("BatchNormalization")
def batch_normalization_6(
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    consumed_inputs: Sequence[int] = (),
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    is_test: int = 0,
    spatial: int = 1,
) -> Value:
    """With an attribute for inference (opset 6)."""
    if not is_test:
        raise UnsupportedError("is_test is 0; export the model for inference")
    return batch_normalization(x, scale, bias, mean, variance, epsilon=epsilon)


@operator("BatchNormalization", since=7)
def batch_normalization(
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, per channel or (opset 7) element."""
    root = ops.Sqrt()(ops.Add()(variance, common.scalar(epsilon, variance)))
    factor = ops.Div()(common.cast(scale, root.type.dtype), root)
    shift = ops.Sub()(common.cast(bias, root.type.dtype), ops.Mul()(mean, factor))
    dtype = x.type.dtype
    return scaled(
        x,
        common.cast(per_channel(factor, x), dtype),
        common.cast(per_channel(shift, x), dtype),
    )


@operator("BatchNormalization", since=14)
def batch_normalization_14(
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> tuple[Value, ...]:
    """With `training_mode` the statistics are those of the batch, and outputs move towards them."""
    if not training_mode:
        return (batch_normalization(x, scale, bias, mean, variance, epsilon=epsilon),)
    dtype = mean.type.dtype
    wide = common.cast(x, dtypes.f32)
    axes = tuple(a for a in range(x.type.rank) if a != 1)
    own = ops.ReduceMean(axes, True)(wide)
    centred = ops.Sub()(wide, own)
    spread = ops.ReduceMean(axes)(ops.Mul()(centred, centred))
    own, spread = (common.cast(common.reshape(v, mean.shape), dtype) for v in (own, spread))
    y = batch_normalization(x, scale, bias, own, spread, epsilon=epsilon)
    return y, _moved(mean, own, momentum), _moved(variance, spread, momentum)


def _moved(old: Value, new: Value, momentum: float) -> Value:
    kept = ops.Mul()(old, common.scalar(momentum, old))
    out: Value = ops.Add()(kept, ops.Mul()(new, common.scalar(1 - momentum, new)))
    return out


@operator("InstanceNormalization")
def instance_normalization(x: Value, scale: Value, bias: Value, *, epsilon: float = 1e-5) -> Value:
    """Each channel of each element by its own statistics."""
    y = ops.Normalize(tuple(range(2, x.type.rank)), epsilon)(x)
    return scaled(y, per_channel(scale, x), per_channel(bias, x))


def _groups(x: Value, groups: int, epsilon: float, stash: DType | None) -> Value:
    """x [N, C, ...], normalised over the elements of each group of channels."""
    channels = x.shape[1]
    if groups <= 0 or (isinstance(channels, int) and channels % groups):
        raise ShapeError(f"{channels} channels do not divide into {groups} groups")
    wide = common.cast(x, stash or x.type.dtype)
    rows = common.reshape(wide, (x.shape[0], groups, _rest(x, groups)))
    y = common.reshape(ops.Normalize((2,), epsilon)(rows), x.shape)
    return common.cast(y, x.type.dtype)


def _rest(x: Value, groups: int) -> Dim:
    return dims.floordiv(dims.product(x.shape[1:]), groups)


@operator("GroupNormalization", since=18)
def group_normalization_18(
    x: Value, scale: Value, bias: Value, *, num_groups: int, epsilon: float = 1e-5
) -> Value:
    """By groups of channels; scale and bias [groups]."""
    each = dims.floordiv(x.shape[1], num_groups)
    wide = [per_channel(common.repeat(v, each, 0), x) for v in (scale, bias)]
    return scaled(_groups(x, num_groups, epsilon, None), wide[0], wide[1])


@operator("GroupNormalization", since=21)
def group_normalization_21(
    x: Value,
    scale: Value,
    bias: Value,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Value:
    """By groups of channels; scale and bias [C]."""
    y = _groups(x, num_groups, epsilon, dtypes.f32 if stash_type == 1 else None)
    return scaled(y, per_channel(scale, x), per_channel(bias, x))


@operator("LayerNormalization", context=True)
def layer_normalization(
    call: Any,
    x: Value,
    scale: Value,
    bias: Value | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> tuple[Value | None, ...]:
    """Over the axes from `axis` on; also the mean and 1 / the standard deviation."""
    axes = tuple(range(normalise_axis(axis, x.type.rank), x.type.rank))
    wide = common.cast(x, dtypes.f32) if stash_type == 1 else x
    y = common.cast(ops.Normalize(axes, epsilon)(wide), x.type.dtype)
    mean = deviation = None
    if call.wants(1) or call.wants(2):
        mean = ops.ReduceMean(axes, True)(wide)
        centred = ops.Sub()(wide, mean)
        variance = ops.ReduceMean(axes, True)(ops.Mul()(centred, centred))
        root = ops.Sqrt()(ops.Add()(variance, common.scalar(epsilon, variance)))
        deviation = ops.Reciprocal()(root)
    return scaled(y, scale, bias), mean, deviation


@operator("RMSNormalization", since=23)
def rms_normalization(
    x: Value, scale: Value, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Value:
    """x / sqrt(mean(x^2) + epsilon) * scale over the axes from `axis` on."""
    axes = tuple(range(normalise_axis(axis, x.type.rank), x.type.rank))
    wide = common.cast(x, dtypes.f32) if stash_type == 1 else x
    y = ops.Normalize(axes, epsilon, False)(wide)
    return scaled(common.cast(y, x.type.dtype), scale, None)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(x: Value, *, axes: Sequence[int] = (0, 2, 3)) -> Any:
    """(x - mean) / (the standard deviation + 1e-9)."""
    where = tuple(normalise_axis(a, x.type.rank) for a in axes)
    centred = ops.Sub()(x, ops.ReduceMean(where, True)(x))
    deviation = ops.Sqrt()(ops.ReduceMean(where, True)(ops.Mul()(centred, centred)))
    return ops.Div()(centred, ops.Add()(deviation, common.scalar(1e-9, x)))


@operator("LpNormalization")
def lp_normalization(x: Value, *, axis: int = -1, p: int = 2) -> Any:
    """x / its norm along an axis; 0 where that is 0."""
    axis = normalise_axis(axis, x.type.rank)
    if p not in (1, 2):
        raise ModelFormatError(f"p must be 1 or 2, but it is {p}")
    size = ops.Abs()(x) if p == 1 else ops.Mul()(x, x)
    total = ops.ReduceSum((axis,), True)(size)
    norm = total if p == 1 else ops.Sqrt()(total)
    zero = common.scalar(0, x)
    empty = ops.Equal()(norm, zero)
    return ops.Where()(empty, zero, ops.Div()(x, ops.Where()(empty, common.scalar(1, x), norm)))


@operator("LRN")
def local_response(
    x: Value, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Any:
    """x / (bias + alpha * mean(x^2)) ** beta, over `size` channels (Krizhevsky 2012)."""
    before, after = (size - 1) // 2, size // 2
    squares = common.reshape(ops.Mul()(x, x), (x.shape[0], x.shape[1], dims.product(x.shape[2:])))
    window = ops.AveragePool((1,), (1,), ((before, after),), (size,), True)
    mean = common.reshape(window(squares), x.shape)
    base = ops.Affine(alpha, bias)(mean)
    return ops.Mul()(x, ops.Pow()(base, common.scalar(-beta, x)))
