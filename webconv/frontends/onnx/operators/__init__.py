"""Every operator, family by family; importing this fills the registry."""

from webconv.frontends.onnx.operators import (
    attention,
    control,
    convolution,
    elementwise,
    indexing,
    linear,
    losses,
    linear_attention,
    movement,
    normalization,
    pooling,
    recurrent,
    reduction,
    rotary,
)

__all__ = [
    "attention",
    "control",
    "convolution",
    "elementwise",
    "indexing",
    "linear",
    "losses",
    "linear_attention",
    "movement",
    "normalization",
    "pooling",
    "recurrent",
    "reduction",
    "rotary",
]
