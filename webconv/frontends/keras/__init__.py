"""Reads Keras models: `.h5` of Keras 1, 2 and 3, `.keras`, and architecture JSON with weights.

Keras itself is never imported, and no code that a file may hold is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from webconv.frontends.keras.convert import convert
from webconv.frontends.keras.reader import read
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, WebconvError
from webconv.ir.graph import Program


def load(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    plugins: Sequence[str | Path] = (),
) -> Program:
    """The model at `path` as a program.

    `weights` is a weights file for an architecture without. `input_shapes` replaces shapes of
    inputs by name. `plugins` are Python files with a table `LAYERS` of functions for layers of the
    user's own. Raises ModelFormatError, ShapeError, or UnsupportedError with all that is missing.
    """
    with read(Path(path), None if weights is None else Path(weights)) as saved:
        return convert(saved, input_shapes or {}, [Path(p) for p in plugins])


__all__ = ["ShapeError", "WebconvError", "load"]
