"""Which arrays each layer of a tree needs, in Keras's order of creation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from webconv.frontends.keras.schema import parameters
from webconv.frontends.keras.tree import ALL_WEIGHTS, Layer, Model


class Slot(NamedTuple):
    """A place for an array: a weight of a layer."""

    layer: Layer
    name: str
    trainable: bool

    @property
    def is_repeated(self) -> bool:
        """True for a child's weight that only the new layout stores here too."""
        return self.name.startswith("=")


def own_slots(layer: Layer) -> list[Slot]:
    """The layer's own weights in Keras's order of creation."""
    spec = layer.rule.weights
    words = spec(layer.config) if callable(spec) else spec
    if words == ALL_WEIGHTS:
        return [Slot(layer, name, layer.trainable) for name in layer.arrays]
    slots = []
    for word in words.split():
        name, _, condition = word.partition("?")
        if condition and not _holds(layer, condition):
            continue
        trainable = layer.trainable and not name.startswith("~")
        slots.append(Slot(layer, name.lstrip("~"), trainable))
    return slots


def _holds(layer: Layer, argument: str) -> bool:
    if argument in layer.config:
        return bool(layer.config[argument])
    return bool(parameters(layer.rule.function)[argument][0].default)


def slots(node: Layer | Model, trainable: bool = True) -> Iterator[Slot]:
    """All weights of a layer or model, its children's after its own."""
    trainable = trainable and node.trainable
    if isinstance(node, Layer):
        for slot in own_slots(node):
            if slot.is_repeated:
                continue
            yield slot._replace(trainable=slot.trainable and trainable)
        inner = node.config.get("model")
        children: Sequence[Layer | Model] = list(node.children.values())
        children = [inner] if isinstance(inner, Model) else children
    else:
        children = list(node.layers.values())
    for child in children:
        yield from slots(child, trainable)


def takes_all(node: Layer | Model) -> bool:
    """True for a layer of a plugin that wants whatever arrays there are."""
    return isinstance(node, Layer) and node.rule.weights == ALL_WEIGHTS
