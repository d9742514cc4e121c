"""Arrays from the new layout of files, a tree: `layers/<class>_<n>/<attribute>/vars/<k>`.

`.weights.h5` is one, also inside of `.keras`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import h5py

from webconv.frontends.keras import hdf5
from webconv.frontends.keras.slots import own_slots, slots, takes_all
from webconv.frontends.keras.tree import Layer, Model
from webconv.ir.errors import ModelFormatError
from webconv.ir.op import Array

MAX_DEPTH = 32
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # the latter in Keras 2.12
# Classes that are exported under another name than their own, by which their weights are stored.
EXPORTED = {"GroupQueryAttention": "GroupedQueryAttention"}


def snake_names(class_name: str) -> list[str]:
    """How Keras 3, and how Keras 2.12 to 2.15, write a class in snake case."""
    plain = re.sub(r"\W+", "", class_name.split(">")[-1])
    plain = EXPORTED.get(plain, plain)
    out = []
    for word in ("[A-Z][a-z]+", "[A-Z][a-z0-9]+"):
        split = re.sub(f"(.)({word})", r"\1_\2", plain)
        out.append(re.sub("([a-z])([A-Z])", r"\1_\2", split).lower())
    return list(dict.fromkeys(out))


class TreeLoader:
    """Fills layers from a tree; a layer that is used in several places is stored at the first."""

    def __init__(self) -> None:
        self.done: set[int] = set()
        self.filled: dict[tuple[str, str], Layer] = {}

    def model(self, model: Model, group: h5py.Group, path: str) -> None:
        """The layers of `model`, whose group is `group`."""
        container = next((c for c in CONTAINERS if hdf5.group(group, c)), CONTAINERS[0])
        stored = [n for n in model.layers.values() if _is_stored(model, n)]
        self._list(stored, group, container, f"{path}/{container}")

    def _list(
        self, nodes: Sequence[Layer | Model], parent: h5py.Group, name: str, path: str
    ) -> None:
        """Layers in a container, which are named by class and counted."""
        counts: dict[str, int] = {}
        container = hdf5.group(parent, name)
        for node in nodes:
            keys = []
            for snake in snake_names(node.class_name):
                count = counts[snake] = counts.get(snake, -1) + 1
                keys.append(f"{snake}_{count}" if count else snake)
            found = [g for k in keys if container and (g := hdf5.group(container, k))]
            self._node(node, found[0] if found else None, f"{path}/{keys[0]}")

    def _node(self, node: Layer | Model, group: h5py.Group | None, path: str) -> None:
        if takes_all(node):
            assert isinstance(node, Layer)
            node.arrays |= _everything(group) if group is not None else {}
            return
        if id(node) in self.done or not any(True for _ in slots(node)):
            return
        self.done.add(id(node))
        if isinstance(node, Layer):
            twin = self.filled.setdefault((node.class_name, node.name), node)
            if group is None and twin is not node and twin.config == node.config:
                _share(node, twin)
                return
        if group is None:
            raise ModelFormatError(f"{node.label}: its weights are missing at {path}")
        if isinstance(node, Model):
            self.model(node, group, path)
        else:
            self._layer(node, group, path)

    def _layer(self, layer: Layer, group: h5py.Group, path: str) -> None:
        self._own(layer, group, path)
        inner = layer.config.get("model")
        if isinstance(inner, Model):
            self.model(inner, group, path)
        lists: dict[str, list[Layer]] = {}
        for attribute, child in layer.children.items():
            container, _, _ = attribute.partition("/")
            if "/" in attribute:
                lists.setdefault(container, []).append(child)
            else:
                found = hdf5.group(group, attribute) or hdf5.group(group, f"_{attribute}")
                self._node(child, found, f"{path}/{attribute}")
        for container, members in lists.items():
            self._list(members, group, container, f"{path}/{container}")

    def _own(self, layer: Layer, group: h5py.Group, path: str) -> None:
        wanted = own_slots(layer)
        if not wanted:
            return
        wanted = [s for s in wanted if s.trainable] + [s for s in wanted if not s.trainable]
        variables = hdf5.group(group, "vars")
        found = hdf5.children(variables) if variables is not None else []
        if variables is None or len(found) != len(wanted):
            listed = ", ".join(s.name for s in wanted)
            rule = f"{len(wanted)} weights are needed ({listed}), but the file has {len(found)}"
            raise ModelFormatError(f"{layer.label}: {rule} at {path}/vars")
        for k, slot in enumerate(wanted):
            layer.arrays[slot.name] = hdf5.array(variables, str(k))


def _share(layer: Layer, twin: Layer) -> None:
    """Give `layer` the arrays of `twin`: Keras writes their configs twice, but stores one layer."""
    layer.arrays, layer.constants = twin.arrays, twin.constants
    for name, child in layer.children.items():
        if name in twin.children:
            _share(child, twin.children[name])


def _is_stored(model: Model, node: Layer | Model) -> bool:
    """False for operations, and for the inputs of a Sequential."""
    if isinstance(node, Layer) and node.is_operation:
        return False
    return not (model.is_sequential and node.class_name == "InputLayer")


def _everything(group: h5py.Group, path: str = "") -> dict[str, Array]:
    """All arrays of a layer by name: `0`, `1` for its own, `attribute/0` for those inside."""
    found: dict[str, Array] = {}
    own = hdf5.group(group, "vars")
    for name in hdf5.children(own) if own is not None else []:
        found[f"{path}{name}"] = hdf5.array(own, name)
    for child in hdf5.children(group):
        inner = hdf5.group(group, child)
        if child != "vars" and inner is not None and path.count("/") < MAX_DEPTH:
            found |= _everything(inner, f"{path}{child}/")
    return found
