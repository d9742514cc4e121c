"""Normalisation."""

from __future__ import annotations

from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import ops
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value


def per_channel(v: Value, x: Value) -> Value:
    """A vector [C] as [C, 1, ...], to meet x [N, C, ...]."""
    return common.reshape(v, (*v.shape, *[1] * (x.type.rank - 2)))


@operator("BatchNormalization")
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
    training_mode: int = 0,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, per channel."""
    if training_mode:
        raise UnsupportedError("training_mode is on; export the model for inference")
    root = ops.Sqrt()(ops.Add()(variance, common.scalar(epsilon, variance)))
    factor = ops.Div()(common.cast(scale, root.type.dtype), root)
    shift = ops.Sub()(common.cast(bias, root.type.dtype), ops.Mul()(mean, factor))
    wide: Any = ops.Mul()(x, common.cast(per_channel(factor, x), x.type.dtype))
    out: Value = ops.Add()(wide, common.cast(per_channel(shift, x), x.type.dtype))
    return out
