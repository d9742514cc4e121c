"""Layers of the user's own: Python files with a table `LAYERS` from a name to a function.

A key is a layer's class, the name of one layer (for Lambda), or the name of an activation. A
function is called like ours: `function(layer, *tensors, **config)`, with `layer.weights` the arrays
in the file's order. A value may also be a `Rule`, which names weights and says more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.tree import ALL_WEIGHTS, Rule
from webconv.ir.errors import UnsupportedError


def load_plugins(paths: Sequence[Path]) -> dict[str, Rule]:
    """The rules that plugin files define; raises UnsupportedError for a file without a table."""
    rules: dict[str, Rule] = {}
    for path in paths:
        for name, value in _table(path).items():
            rules[name] = _rule(path, name, value)
    return rules


def _table(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UnsupportedError(f"plugin {path.name}: there is no such file")
    module = _imported(path)
    table = getattr(module, "LAYERS", None)
    if not isinstance(table, Mapping) or not all(isinstance(k, str) for k in table):
        raise UnsupportedError(
            f"plugin {path.name}: a table LAYERS from names to functions is needed"
        )
    return table


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"webconv_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UnsupportedError(f"plugin {path.name}: it must be a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rule(path: Path, name: str, value: Rule | Callable[..., Any]) -> Rule:
    if isinstance(value, Rule):
        return value
    if not callable(value):
        raise UnsupportedError(f"plugin {path.name}: {shown(name)} must be a function")
    return Rule(value, ALL_WEIGHTS, keeps_mask=True)
