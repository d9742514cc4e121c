"""chainer.functions.loss: what measures how far two arrays are apart, which has no labels."""

from __future__ import annotations

from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import ops
from webconv.ir.graph import Value


@function("SquaredError")
def squared_error(call: Applied, x: Value, y: Value) -> Value:
    """(x - y) ** 2; F.squared_difference is the same."""
    apart = ops.Sub()(x, y)
    return ops.Mul()(apart, apart)


@function("AbsoluteError")
def absolute_error(call: Applied, x: Value, y: Value) -> Value:
    """|x - y|."""
    return ops.Abs()(ops.Sub()(x, y))


@function("MeanSquaredError")
def mean_squared_error(call: Applied, x: Value, y: Value) -> Value:
    """The mean of squared differences, over all axes."""
    return ops.ReduceMean()(squared_error(call, x, y))


@function("MeanAbsoluteError")
def mean_absolute_error(call: Applied, x: Value, y: Value) -> Value:
    """The mean of differences, over all axes."""
    return ops.ReduceMean()(absolute_error(call, x, y))
