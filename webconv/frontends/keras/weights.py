"""Gives every layer of a tree its arrays.

Two layouts exist. The old one (`.h5` of all versions) has a group per layer of the outermost model
with its arrays in order: all trainable ones, then the others. The new one (`.weights.h5`, inside
`.keras` too) is a tree: `layers/<class>_<n>/<attribute>/vars/<k>`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import h5py

from webconv.frontends.keras import hdf5
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.schema import parameters
from webconv.frontends.keras.tree import ALL_WEIGHTS, Layer, Model
from webconv.ir.errors import ModelFormatError
from webconv.ir.op import Array

MAX_DEPTH = 32


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


def load(model: Model, file: h5py.Group | None) -> None:
    """Fill the arrays of all layers below `model` from an open weights file.

    Raises ModelFormatError if arrays are missing, or their number is not what the layers need.
    """
    needed = list(slots(model))
    if needed or (file is not None and any(_takes_all(n) for n in model.layers.values())):
        _fill(model, file, needed)
    for layer in dict.fromkeys(slot.layer for slot in needed):
        if layer.rule.repack:
            layer.rule.repack(layer)


def _fill(model: Model, file: h5py.Group | None, needed: Sequence[Slot]) -> None:
    if file is None:
        slot = needed[0]
        raise ModelFormatError(
            f"{slot.layer.label}: the file holds no weights; give the weights file with --weights"
        )
    names = hdf5.texts(file, "layer_names")
    if names is not None:
        _load_groups(model, file, names)
    else:
        _load_tree(model, file)


# The old layout -----------------------------------------------------------------------------


def _has_weights(node: Layer | Model, groups: Container[str]) -> bool:
    return any(True for _ in slots(node)) or (_takes_all(node) and node.name in groups)


def _takes_all(node: Layer | Model) -> bool:
    """True for a layer of a plugin that wants whatever arrays there are."""
    return isinstance(node, Layer) and node.rule.weights == ALL_WEIGHTS


def _load_groups(model: Model, file: h5py.Group, names: Sequence[str]) -> None:
    major = 1 if (hdf5.text(file, "keras_version") or "1").startswith("1") else 2
    groups: dict[str, tuple[h5py.Group, list[str]]] = {}
    for name in names:
        found = hdf5.group(file, name)
        if found is None:
            raise ModelFormatError(f"the weights of layer {shown(name)} are missing")
        weights = hdf5.texts(found, "weight_names") or []
        if weights:
            groups[name] = (found, weights)
    layers = [n for n in _flattened(model) if _has_weights(n, groups)]
    by_name = all(n.name in groups for n in layers)
    if not by_name and len(groups) != len(layers):
        missing = ", ".join(shown(n.name) for n in layers if n.name not in groups)
        raise ModelFormatError(
            f"{len(layers)} layers need weights, but the file has {len(groups)}; missing: {missing}"
        )
    chosen = [groups[n.name] for n in layers] if by_name else list(groups.values())
    for layer, (group, weights) in zip(layers, chosen, strict=True):
        _fill_in_order(layer, group, weights, major)


def _flattened(model: Model) -> Iterator[Layer | Model]:
    """The layers that have a group of their own: a Merge's branches have none, their layers do."""
    for name, node in model.layers.items():
        if isinstance(node, Model) and name in model.branches:
            yield from _flattened(node)
        else:
            yield node


def _fill_in_order(
    node: Layer | Model, group: h5py.Group, names: Sequence[str], major: int
) -> None:
    if isinstance(node, Layer) and _takes_all(node):
        node.arrays |= {str(k): hdf5.array(group, name) for k, name in enumerate(names)}
        return
    wanted = list(slots(node))
    if major > 1:
        wanted = [s for s in wanted if s.trainable] + [s for s in wanted if not s.trainable]
    if len(wanted) != len(names):
        listed = ", ".join(s.name for s in wanted)
        rule = f"{len(wanted)} weights are needed ({listed}), but the file has {len(names)}"
        raise ModelFormatError(f"{node.label}: {rule}")
    for slot, name in zip(wanted, names, strict=True):
        slot.layer.arrays[slot.name] = hdf5.array(group, name)


# The new layout -----------------------------------------------------------------------------


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


def _load_tree(model: Model, file: h5py.Group) -> None:
    _load_model(model, file, "", set())


def _load_model(model: Model, group: h5py.Group, path: str, done: set[int]) -> None:
    container = next(
        (c for c in ("layers", "_layer_checkpoint_dependencies") if hdf5.group(group, c)), "layers"
    )
    children = [
        n
        for n in model.layers.values()
        if not (model.is_sequential and n.class_name == "InputLayer")
        and not (isinstance(n, Layer) and not n.autocast)
    ]
    _load_list(children, group, container, f"{path}/{container}", done)


def _load_list(
    nodes: Sequence[Layer | Model], parent: h5py.Group, name: str, path: str, done: set[int]
) -> None:
    """Layers in a container, which are named by class and counted."""
    counts: dict[str, int] = {}
    container = hdf5.group(parent, name)
    for node in nodes:
        found = None
        for snake in snake_names(node.class_name):
            count = counts.get(snake, 0)
            counts[snake] = count + 1
            key = f"{snake}_{count}" if count else snake
            found = found or (hdf5.group(container, key) if container else None)
        _load_node(node, found, f"{path}/{snake_names(node.class_name)[0]}", done)


def _load_node(node: Layer | Model, group: h5py.Group | None, path: str, done: set[int]) -> None:
    if isinstance(node, Layer) and _takes_all(node):
        node.arrays |= _everything(group) if group is not None else {}
        return
    if id(node) in done or not any(True for _ in slots(node)):
        return
    done.add(id(node))
    if group is None:
        raise ModelFormatError(f"{node.label}: its weights are missing at {path}")
    if isinstance(node, Model):
        _load_model(node, group, path, done)
        return
    _fill_vars(node, group, path)
    inner = node.config.get("model")
    if isinstance(inner, Model):
        _load_model(inner, group, path, done)
    lists: dict[str, list[Layer]] = {}
    for attribute, child in node.children.items():
        container, _, _ = attribute.partition("/")
        if "/" in attribute:
            lists.setdefault(container, []).append(child)
        else:
            found = hdf5.group(group, attribute) or hdf5.group(group, f"_{attribute}")
            _load_node(child, found, f"{path}/{attribute}", done)
    for container, members in lists.items():
        _load_list(members, group, container, f"{path}/{container}", done)


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


def _fill_vars(layer: Layer, group: h5py.Group, path: str) -> None:
    wanted = own_slots(layer)
    wanted = [s for s in wanted if s.trainable] + [s for s in wanted if not s.trainable]
    if not wanted:
        return
    variables = hdf5.group(group, "vars")
    found = hdf5.children(variables) if variables is not None else []
    if variables is None or len(found) != len(wanted):
        listed = ", ".join(s.name for s in wanted)
        rule = f"{len(wanted)} weights are needed ({listed}), but the file has {len(found)}"
        raise ModelFormatError(f"{layer.label}: {rule} at {path}/vars")
    for k, slot in enumerate(wanted):
        layer.arrays[slot.name] = hdf5.array(variables, str(k))
