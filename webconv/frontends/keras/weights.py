"""Gives every layer of a tree its arrays.

Two layouts exist. The old one (`.h5` of all versions) has a group per layer of the outermost model
with its arrays in order: all trainable ones, then the others. The new one (`.weights.h5`, inside
`.keras` too) is a tree: `layers/<class>_<n>/<attribute>/vars/<k>`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import h5py

from webconv.frontends.keras import hdf5
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.slots import Slot, slots, takes_all
from webconv.frontends.keras.tree import Layer, Model
from webconv.frontends.keras.tree_weights import TreeLoader
from webconv.ir.errors import ModelFormatError


def load(model: Model, file: h5py.Group | None) -> None:
    """Fill the arrays of all layers below `model` from an open weights file.

    Raises ModelFormatError if arrays are missing, or their number is not what the layers need.
    """
    needed = list(slots(model))
    if needed or (file is not None and any(takes_all(n) for n in model.layers.values())):
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
        TreeLoader().model(model, file, "")


def _has_weights(node: Layer | Model, groups: Container[str]) -> bool:
    return any(True for _ in slots(node)) or (takes_all(node) and node.name in groups)


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
    if isinstance(node, Layer) and takes_all(node):
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
