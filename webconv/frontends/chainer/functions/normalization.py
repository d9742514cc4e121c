"""chainer.functions.normalization, as it is at inference."""

from __future__ import annotations

from collections.abc import Sequence

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import scalar
from webconv.ir import ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def _key_axes(call: Applied, x: Value, gamma: Value) -> list[int]:
    """The axes that gamma has: those that are not normalised."""
    axes = call.axis
    if axes is None:
        axes = (0, *range(gamma.type.rank + 1, x.type.rank))
    reduced = {normalise_axis(a, x.type.rank) for a in axes}
    return [a for a in range(x.type.rank) if a not in reduced]


def _spread(v: Value, x: Value, axes: Sequence[int]) -> Value:
    """`v` with axes of size 1 where it has none of x's."""
    sizes = iter(v.shape)
    return common.reshape(v, [next(sizes) if a in axes else 1 for a in range(x.type.rank)])


def _scaled(x: Value, gamma: Value, beta: Value, axes: Sequence[int]) -> Value:
    y = ops.Mul()(x, _spread(gamma, x, axes))
    return ops.Add()(y, _spread(beta, x, axes))


@function("FixedBatchNormalization")
def fixed_batch_normalization(
    call: Applied, x: Value, gamma: Value, beta: Value, mean: Value, var: Value
) -> Value:
    """(x - mean) / sqrt(var + eps) * gamma + beta."""
    axes = _key_axes(call, x, gamma)
    deviation = ops.Sqrt()(ops.Add()(var, scalar(call.eps, var)))
    scale = common.folded(ops.Div()(gamma, deviation))
    shift = common.folded(ops.Sub()(beta, ops.Mul()(mean, scale)))
    return _scaled(x, scale, shift, axes)


@function("BatchNormalization")
def batch_normalization(call: Applied, x: Value, gamma: Value, beta: Value) -> Value:
    """By the mean and variance of the batch at hand."""
    axes = _key_axes(call, x, gamma)
    reduced = tuple(a for a in range(x.type.rank) if a not in axes)
    return _scaled(ops.Normalize(reduced, call.eps)(x), gamma, beta, axes)


@function("LayerNormalization")
def layer_normalization(call: Applied, x: Value, gamma: Value, beta: Value) -> Value:
    """Each row by its own mean and variance."""
    return _scaled(ops.Normalize((1,), call.eps)(x), gamma, beta, [1])


@function("GroupNormalization")
def group_normalization(call: Applied, x: Value, gamma: Value, beta: Value) -> Value:
    """Groups of channels of each sample by their own mean and variance."""
    n = x.shape[0]
    apart = common.reshape(x, (n, call.groups, -1))
    y = common.reshape(ops.Normalize((2,), call.eps)(apart), x.shape)
    return _scaled(y, gamma, beta, [1])


@function("NormalizeL2")
def normalize(call: Applied, x: Value) -> Value:
    """x divided by its length along axes, to which eps is added."""
    axes = tuple(call.axis)
    length = ops.Sqrt()(ops.ReduceSum(axes, True)(ops.Mul()(x, x)))
    return ops.Div()(x, ops.Add()(length, scalar(call.eps, x)))


@function("LocalResponseNormalization")
def local_response_normalization(call: Applied, x: Value) -> Value:
    """x / (k + alpha * the sum of squares of n neighbouring channels) ** beta."""
    half = call.n // 2
    rest = (0,) * (x.type.rank - 2)
    square = ops.Mul()(x, x)
    wide = ops.Pad((0, half, *rest), (0, half, *rest))(square)
    total = square
    c = x.shape[1]
    for k in range(2 * half + 1):
        if k != half:
            part = common.slice_axes(wide, {1: common.Span(k, c, 1)})
            total = ops.Add()(total, part)
    scale = ops.Add()(ops.Mul()(total, scalar(call.alpha, x)), scalar(call.k, x))
    return ops.Mul()(x, ops.Pow()(scale, scalar(-call.beta, x)))


@function("FixedDecorrelatedBatchNormalization")
def fixed_decorrelated_batch_normalization(
    call: Applied, x: Value, mean: Value, projection: Value
) -> Value:
    """Groups of channels by their mean, and a matrix that makes them independent."""
    n, c, *spatial = x.shape
    size = c // call.groups
    rest = range(2, x.type.rank)
    apart = common.reshape(common.transpose(x, (1, 0, *rest)), (call.groups, size, -1))
    centred = ops.Sub()(apart, common.expand_dims(mean, 2))
    y = common.reshape(ops.MatMul()(projection, centred), (c, n, *spatial))
    return common.transpose(y, (1, 0, *rest))
