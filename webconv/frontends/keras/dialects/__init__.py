"""What older Keras calls otherwise, brought to the words of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webconv.frontends.keras.dialects import keras1, keras2
from webconv.frontends.keras.dialects.structure import CANONICAL as STRUCTURE
from webconv.frontends.keras.reader import Dialect
from webconv.frontends.keras.tree import Rule

Config = dict[str, Any]
RULES: Mapping[str, Rule] = {**keras2.RULES, **keras1.RULES}


def canonical(class_name: str, config: Config, dialect: Dialect) -> tuple[str, Config]:
    """The key of the rule, and the config in the words of Keras 3."""
    key = class_name.removeprefix("keras.layers>").removeprefix("Keras>")
    if dialect.major == 1:
        key, config = keras1.canonical(key, config)
    if dialect.major < 3:
        key, config = keras2.canonical(key, config)
    change = STRUCTURE.get(key.partition(":")[0])
    if change:
        config = change(key, config, dialect)
    if dialect.flips_kernels and config.get("padding") == "same":
        config = {**config, "padding": "half"}
    return key, config


def is_operation(class_name: str, config: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """True if an entry of Keras 3 is an operation (`keras.ops.add`), not a layer (`Add`).

    Files with a module say so; `.h5` files have none, but only layers have `trainable`.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return ".ops." in module or ".activations." in module
    return "inbound_nodes" in entry and "trainable" not in config and class_name != "InputLayer"
