"""Layers around layers: TimeDistributed, SpectralNormalization, and models used as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webconv.frontends import common
from webconv.frontends.keras.schema import words
from webconv.frontends.keras.tree import Layer, Model, Rule, Tensor, map_leaves
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

# Layers that treat all axes but the last alike: TimeDistributed around one is the layer itself.
ELEMENTWISE = frozenset(
    words("Dense Activation Dropout Identity ReLU LeakyReLU ELU GaussianNoise GaussianDropout")
)


def inner(name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """The one child of a wrapper, under attribute `name`."""
    return lambda config: {name: config.get(name)}


def call_model(layer: Layer, x: Any, *, model: object = None) -> Any:
    """A model used as a layer."""
    assert isinstance(model, Model)
    tensors = map_leaves(lambda v: Tensor(v) if isinstance(v, Value) else v, x)
    return layer.tracer.nested(model, tensors)


def call_child(layer: Layer, x: Value, mask: Value | None = None) -> Any:
    """The outputs of the layer inside, as Tensors; None if it is unsupported."""
    child = layer.children["layer"]
    return layer.tracer.layer(child, [Tensor(x, mask)], {})


def time_distributed(layer: Layer, x: Value, *, mask: Value | None = None) -> Any:
    """The layer inside at every step: the steps become part of the batch."""
    if x.type.rank < 3:
        raise ShapeError(f"the input must have at least 3 axes, but it is {x.type}")
    child = layer.children["layer"]
    if child.class_name in ELEMENTWISE:
        return map_leaves(lambda t: Tensor(t.value, mask), call_child(layer, x))
    batch, time = x.shape[:2]
    flat = common.reshape(x, (batch * time, *x.shape[2:]))
    own = None
    if mask is not None and mask.type.rank > 2:
        own = common.reshape(mask, (batch * time, *mask.shape[2:]))
    outputs = call_child(layer, flat, own)

    def unflatten(tensor: Tensor) -> Tensor:
        value = tensor.value
        back = common.reshape(value, (batch, time, *value.shape[1:]))
        return Tensor(back, _outer_mask(layer, tensor.mask, mask, batch, time))

    return None if outputs is None else map_leaves(unflatten, outputs)


def _outer_mask(layer: Layer, own: Value | None, mask: Value | None, batch: Any, time: Any) -> Any:
    """Keras 3 keeps the mask it was given; Keras 2 takes the inner layer's, if that has one."""
    if layer.dialect.major == 3:
        return mask
    if own is not None:
        return common.reshape(own, (batch, time, *own.shape[1:]))
    while mask is not None and mask.type.rank > 2:
        mask = common.any_along(mask, -1)
    return mask


def spectral_normalization(layer: Layer, x: Value) -> Any:
    """The layer inside; its kernel was normalised while training."""
    return call_child(layer, x)


def pipeline(layer: Layer, x: Value, *, mask: Value | None = None) -> Any:
    """Layers one after the other."""
    tensor: Any = Tensor(x, mask)
    for child in layer.children.values():
        tensor = layer.tracer.layer(child, [tensor], {})
    return tensor


def _steps(config: Mapping[str, Any]) -> Mapping[str, Any]:
    layers = config.get("layers")
    return {f"layers/{k}": c for k, c in enumerate(layers if isinstance(layers, list) else [])}


RULES: Mapping[str, Rule] = {
    "TimeDistributed": Rule(time_distributed, ignores="layer", children=inner("layer")),
    "SpectralNormalization": Rule(
        spectral_normalization,
        "=kernel ~vector_u",
        "layer power_iterations",
        children=inner("layer"),
    ),
    "Pipeline": Rule(pipeline, ignores="layers", children=_steps),
    "Wrapper": Rule(spectral_normalization, "", "layer", children=inner("layer")),
}
