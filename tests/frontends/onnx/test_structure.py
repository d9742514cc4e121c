"""What a graph is made of: functions, constants, optional values, sizes that fold away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Constant, Input, Program

HEAD = '<ir_version: 10, opset_import: ["" : 21, "own" : 1]>\n'


def program(text: str, **options: Any) -> Program:
    """The program of a model in ONNX's text form."""
    shapes = options.get("input_shapes", {})
    model = onnx.parser.parse_model(HEAD + text)
    return convert(model, Path(), shapes, options.get("constants", {}))


def operators(made: Program) -> list[str]:
    """The names of the operators, in order."""
    nodes = (n for n in made.main.nodes if not isinstance(n.op, Constant | Input))
    return [type(n.op).__name__ for n in nodes]


def test_shape_arithmetic_becomes_a_size() -> None:
    made = program("""agraph (float[batch, time, 8] x) => (float[a, b] y) {
        shape = Shape(x)
        zero = Constant<value = int64 {0}>()
        first = Gather(shape, zero)
        axes = Constant<value_ints = [0]>()
        rows = Unsqueeze(first, axes)
        rest = Constant<value_ints = [-1]>()
        wanted = Concat<axis = 0>(rows, rest)
        y = Reshape(x, wanted)
    }""")
    assert operators(made) == ["Reshape"]
    assert str(made.main.outputs["y"].type) == "f32[batch, 8*time]"
    x = np.arange(48, dtype=np.float32).reshape(2, 3, 8)
    np.testing.assert_array_equal(made.run({"x": x})["y"], x.reshape(2, 24))


def test_a_size_as_data() -> None:
    made = program("""agraph (float[n, 4] x) => (float[n, 4] y) {
        count = Size(x)
        whole = Cast<to = 1>(count)
        y = Div(x, whole)
    }""")
    got = made.run({"x": np.ones((3, 4), np.float32)})["y"]
    np.testing.assert_allclose(got, np.full((3, 4), 1 / 12))


def test_local_functions_take_attributes_and_their_defaults() -> None:
    made = program("""agraph (float[2] x) => (float[2] y, float[2] z) {
        y = own.leak <alpha = 0.5> (x)
        z = own.leak (x)
    }
    <opset_import: ["" : 21], domain: "own">
    leak <alpha: float = 0.25> (a) => (b) { b = LeakyRelu <alpha: float = @alpha> (a) }""")
    got = made.run({"x": np.array([-4, 4], np.float32)})
    np.testing.assert_array_equal(got["y"], [-2, 4])
    np.testing.assert_array_equal(got["z"], [-1, 4])


def test_a_function_sees_nothing_but_its_inputs() -> None:
    with pytest.raises(ModelFormatError, match="'x' is used before it is computed"):
        program("""agraph (float[2] x) => (float[2] y) { y = own.steal (x) }
        <opset_import: ["" : 21], domain: "own">
        steal (a) => (b) { b = Add(a, x) }""")


def test_optional_inputs_and_outputs() -> None:
    made = program("""agraph (float[1, 3, 4] x) => (float[1, 3] low, float[1, 3, 2] top) {
        most = Constant<value = float {0.5}>()
        clipped = Clip(x, , most)
        k = Constant<value_ints = [2]>()
        top, at = TopK(clipped, k)
        , where = TopK(clipped, k)
        axes = Constant<value_ints = [2]>()
        low = ReduceMin<keepdims = 0>(clipped, axes)
    }""")
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 3, 4)
    got = made.run({"x": x})
    np.testing.assert_allclose(got["low"], np.minimum(x, 0.5).min(2))
    np.testing.assert_allclose(got["top"], -np.sort(-np.minimum(x, 0.5))[..., :2])


def test_weights_that_stand_among_the_inputs_are_none() -> None:
    made = program("""agraph (float[2] x, float[2] w) => (float[2] y)
        <float[2] w = {3.0, 4.0}> { y = Mul(x, w) }""")
    assert list(made.main.inputs) == ["x"]


@pytest.mark.parametrize(
    ("written", "symbol"),
    [("batch size", "batch_size"), ("3d", "n3d"), ("min", "size_min"), ("value_k", "size_value_k")],
)
def test_names_of_sizes_are_names(written: str, symbol: str) -> None:
    model = onnx.parser.parse_model(HEAD + "agraph (float[n] x) => (float[n] y) { y = Relu(x) }")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = written
    made = convert(model, Path(), {}, {})
    assert str(made.main.inputs["x"].type) == f"f32[{symbol}]"


def test_an_axis_must_be_constant() -> None:
    text = """agraph (float[2, 3] x, int64[1] axes) => (float[a, b] y) {
        y = ReduceSum(x, axes)
    }"""
    with pytest.raises(ShapeError, match=r"'axes' .* is an input; give its value with --const"):
        program(text)
    made = program(text, constants={"axes": [1]})
    got = made.run({"x": np.ones((2, 3), np.float32)})["y"]
    np.testing.assert_array_equal(got, [[3], [3]])


def test_an_input_shape_and_a_constant_must_name_inputs() -> None:
    text = "agraph (float[n] x) => (float[n] y) { y = Relu(x) }"
    with pytest.raises(ModelFormatError, match="there is no input 'z'; there are x"):
        program(text, input_shapes={"z": (3,)})
    with pytest.raises(ModelFormatError, match="there is no input 'z'; there are x"):
        program(text, constants={"z": 3})
