"""Every operator, family by family; importing this fills the registry."""

from webconv.frontends.onnx.operators import (
    control,
    convolution,
    elementwise,
    indexing,
    linear,
    movement,
    normalization,
    recurrent,
    reduction,
)

__all__ = [
    "control",
    "convolution",
    "elementwise",
    "indexing",
    "linear",
    "movement",
    "normalization",
    "recurrent",
    "reduction",
]
