"""Reads ONNX models, opset 7 and newer: the format is onnx's own reader's, no code is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from webconv.ir.dims import Dim
from webconv.ir.graph import Program


def load(
    path: str | Path,
    *,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    constants: Mapping[str, object] | None = None,
) -> Program:
    """The model at `path` as a program.

    `input_shapes` replaces shapes of inputs by name, `constants` makes inputs constants. Raises
    ModelFormatError, ShapeError, or UnsupportedError with all that is missing.
    """
    from webconv.frontends.onnx.convert import convert
    from webconv.frontends.onnx.reader import read

    path = Path(path)
    model = read(path)
    return convert(model, path.parent, input_shapes or {}, constants or {})
