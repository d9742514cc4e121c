"""Functions of the user's own: Python files with a table `FUNCTIONS` from a class's name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webconv.frontends.chainer.registry import Convert
from webconv.frontends.chainer.source import imported
from webconv.frontends.chainer.tape import Call
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Value


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
        found |= {name: _checked(name, convert, path.name) for name, convert in table.items()}
    return found


def _checked(name: str, convert: Convert, file: str) -> Convert:
    """`convert`, which must give values."""

    @functools.wraps(convert)
    def checked(*given: Any) -> Any:
        made = convert(*given)
        for value in made if isinstance(made, tuple | list) else (made,):
            if not isinstance(value, Value):
                raise ModelFormatError(
                    f"plugin {file}: the function for {name} must give what ops of webconv.ir "
                    f"make, but it gives {type(value).__name__}"
                )
        return made

    return checked


def lines_to_write(calls: Sequence[Call]) -> str:
    """A plugin file's lines for functions that are called so; what they compute is left open."""
    lines = ["from webconv.ir import ops"]
    table = []
    for call in calls:
        name = re.sub(r"\W", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", call.name)).lower()
        count = len(call.inputs)
        inputs = ["x"] if count == 1 else [f"x{k}" for k in range(count)]
        own = [f"call.{a}" for a in call.attributes if not a.startswith("_")]
        known = f"  # {', '.join(own)}" if own else ""
        made = ", ".join("..." for _ in call.outputs)
        lines += [f"def {name}({', '.join(['call', *inputs])}):{known}", f"    return {made}"]
        table.append(f"{call.name!r}: {name}")
    lines.append(f"FUNCTIONS = {{{', '.join(table)}}}")
    return "\n".join(f"  {line}" for line in lines)
