"""The networks of the zoo by name: the keys of the tables in `zoo_<family>.py`.

They are read from the source: Chainer, which those modules import, lives in an environment of
its own, and pytest names its tests where Chainer is not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
FAMILIES = sorted({path.stem[4:] for path in HERE.glob("zoo_*.py")} - {"rows"})


def keys(family: str) -> Iterator[str]:
    """The keys that are written in the tables of a family's module."""
    source = (HERE / f"zoo_{family}.py").read_text()
    for line in ast.parse(source).body:
        if isinstance(line, (ast.Assign, ast.AnnAssign)) and isinstance(line.value, ast.Dict):
            yield from (key.value for key in line.value.keys if isinstance(key, ast.Constant))


NAMES = [f"{family}/{name}" for family in FAMILIES for name in keys(family)]
