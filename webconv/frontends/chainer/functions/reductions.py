"""chainer.functions.math: sums, extremes and running sums over axes."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import ops
from webconv.ir.graph import Value


@function("Sum")
def sum_(call: Applied, x: Value) -> Value:
    """The sum over axes."""
    return ops.ReduceSum(call.axis, call.keepdims)(x)


@function("Mean")
def mean(call: Applied, x: Value) -> Value:
    """The mean over axes."""
    return ops.ReduceMean(call.axis, call.keepdims)(x)


@function("Prod")
def prod(call: Applied, x: Value) -> Value:
    """The product over axes."""
    return ops.ReduceProd(call.axis, call.keepdims)(x)


@function("Max")
def max_(call: Applied, x: Value) -> Value:
    """The largest element over axes."""
    return ops.ReduceMax(call.axis, call.keepdims)(x)


@function("Min")
def min_(call: Applied, x: Value) -> Value:
    """The smallest."""
    return ops.ReduceMin(call.axis, call.keepdims)(x)


@function("ArgMax")
def argmax(call: Applied, x: Value) -> Value:
    """Where the largest is; of the whole array without an axis."""
    return ops.ArgMax(*_along(call))(_flat_unless(call, x))


@function("ArgMin")
def argmin(call: Applied, x: Value) -> Value:
    """Where the smallest is."""
    return ops.ArgMin(*_along(call))(_flat_unless(call, x))


def _along(call: Applied) -> tuple[int]:
    return (0 if call.axis is None else call.axis,)


def _flat_unless(call: Applied, x: Value) -> Value:
    return common.reshape(x, (x.type.size,)) if call.axis is None else x


@function("SumTo")
def sum_to(call: Applied, x: Value) -> Value:
    """The sum over the axes along which `shape` would be broadcast to x."""
    shape = tuple(call._shape)
    lead = x.type.rank - len(shape)
    axes = [k for k in range(x.type.rank) if k < lead or (shape[k - lead] == 1 != x.shape[k])]
    y = ops.ReduceSum(tuple(axes))(x) if axes else x
    return common.reshape(y, shape)


@function("LogSumExp")
def logsumexp(call: Applied, x: Value) -> Value:
    """log(sum(exp(x))) over axes."""
    axes = call.axis
    top = ops.ReduceMax(axes, True)(x)
    total = ops.ReduceSum(axes)(ops.Exp()(ops.Sub()(x, top)))
    return ops.Add()(ops.Log()(total), common.reshape(top, total.shape))


@function("Cumsum")
def cumsum(call: Applied, x: Value) -> Value:
    """Running sums."""
    return ops.CumSum(*_along(call))(_flat_unless(call, x))


@function("Cumprod")
def cumprod(call: Applied, x: Value) -> Value:
    """Running products."""
    return ops.CumProd(*_along(call))(_flat_unless(call, x))


@function("BatchL2NormSquared")
def batch_l2_norm_squared(call: Applied, x: Value) -> Value:
    """The sum of squares of each row."""
    flat = common.flatten(x)
    return ops.ReduceSum((1,))(ops.Mul()(flat, flat))
