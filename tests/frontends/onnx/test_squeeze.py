"""Squeeze without axes, where a size is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Program


def squeezed(body: str) -> Program:
    text = (
        f'<ir_version: 8, opset_import: ["" : 13]> g (float[batch, 3, 1] x) => (float[3] y) {body}'
    )
    return convert(onnx.parser.parse_model(text), Path(), {}, {})


def test_a_size_that_something_before_settles_is_known() -> None:
    """A symbol that must equal a number is that number, as batch is beside an initial state."""
    program = squeezed("<int64[3] s = {1, 3, 1}> { r = Reshape(x, s) y = Squeeze(r) }")
    x = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    np.testing.assert_array_equal(program.run({"x": x})["y"], [0, 1, 2])


def test_a_size_that_may_be_one_is_refused() -> None:
    with pytest.raises(ShapeError, match="which sizes of f32\\[batch, 3, 1\\] are 1"):
        squeezed("{ y = Squeeze(x) }")


def test_a_size_that_a_guard_fixes_is_that_number() -> None:
    """The size stays a symbol; that it must be 1 is a guard of the recurrence."""
    program = squeezed("""
        <int64[3] s = {1, 6, 1}, int64[3] t = {1, 6, 2}, int64[3] u = {1, 1, 2}> {
            p = Transpose <perm = [1, 0, 2]> (x)
            w = ConstantOfShape(s)
            r = ConstantOfShape(t)
            h = ConstantOfShape(u)
            z = GRU <hidden_size = 2> (p, w, r, , , h)
            y = Squeeze(z)
        }""")
    assert program.run({"x": np.zeros((1, 3, 1), np.float32)})["y"].shape == (3, 2)


def test_what_cannot_be_one_stays() -> None:
    program = squeezed("<int64[6] n = {2, 0, 0, 0, 0, 0}> { p = Pad(x, n) y = Squeeze(p) }")
    assert program.run({"x": np.zeros((1, 3, 1), np.float32)})["y"].shape == (3, 3)
