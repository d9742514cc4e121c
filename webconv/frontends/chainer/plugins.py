"""Functions of the user's own: Python files with a table `FUNCTIONS` from a class's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from webconv.frontends.chainer.registry import Convert
from webconv.frontends.chainer.source import imported
from webconv.ir.errors import UnsupportedError


def load_plugins(paths: Sequence[Path]) -> dict[str, Convert]:
    """The functions that plugin files define, which stand before ours."""
    found: dict[str, Convert] = {}
    for path in paths:
        if not path.is_file():
            raise UnsupportedError(f"plugin {path.name}: there is no such file")
        table = getattr(imported(path), "FUNCTIONS", None)
        if not isinstance(table, Mapping) or not all(map(callable, table.values())):
            raise UnsupportedError(
                f"plugin {path.name}: a table FUNCTIONS from names to functions is needed"
            )
        found |= table
    return found
