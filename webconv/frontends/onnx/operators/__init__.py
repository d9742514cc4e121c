"""Every operator, family by family; importing this fills the registry."""

from webconv.frontends.onnx.operators import (
    attention,
    control,
    convolution,
    dynamic,
    elementwise,
    indexing,
    linear,
    linear_attention,
    losses,
    movement,
    normalization,
    pooling,
    recurrent,
    reduction,
    rotary,
    suppression,
)

__all__ = [
    "attention",
    "control",
    "convolution",
    "dynamic",
    "elementwise",
    "indexing",
    "linear",
    "linear_attention",
    "losses",
    "movement",
    "normalization",
    "pooling",
    "recurrent",
    "reduction",
    "rotary",
    "suppression",
]
