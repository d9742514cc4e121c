"""Scan, and Loops that end after a known number of iterations, beside onnxruntime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.passes.programs import run_wasm
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Program
from webconv.passes import optimise

Array = Any
HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
RNG = np.random.default_rng(7)


def normal(*shape: int) -> Array:
    """Normal f32 numbers."""
    return RNG.normal(size=shape).astype(np.float32)


def operators(program: Program) -> Counter[str]:
    """How often each operator is in the main entry."""
    return Counter(type(n.op).__name__ for n in program.main.nodes)


def check(text: str, feeds: Mapping[str, Array], rtol: float = 1e-5) -> Program:
    """The model runs as it does in onnxruntime, by the reference and on wasm; gives its program."""
    model = onnx.parser.parse_model(text if text.startswith("<") else HEAD + text)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [o.name for o in model.graph.output]
    want = dict(zip(names, session.run(names, dict(feeds)), strict=True))
    program = convert(model, Path(), {}, {})
    for got in (program.run(feeds), run_wasm(optimise(program), feeds)):
        for name, array in want.items():
            assert got[name].shape == array.shape
            np.testing.assert_allclose(got[name], array, rtol, 1e-5, err_msg=name)
    return program


# A running product, and what enters it scaled by a value from outside.
BODY = """(float[2, k] c, float[2, k] x, float[2, 1] u)
=> (float[2, k] d, float[2, k] y, float[k] z) {
    t = Mul(x, w)
    v = Add(t, u)
    d = Mul(c, v)
    y = Sub(d, x)
    z = ReduceSum<keepdims = 0>(d, zero)
}"""


def scan(attributes: str, time: str = "[t, 2, 3]", other: str = "[t, 2, 1]") -> str:
    return f"""g (float[2, 3] start, float{time} x, float{other} u, float[3] w)
        => (float last, float ys, float zs) <int64[1] zero = {{0}}> {{
        last, ys, zs = Scan<num_scan_inputs = 2{attributes}, body = step {BODY}>(start, x, u)
    }}"""


def given(x: tuple[int, ...] = (4, 2, 3), u: tuple[int, ...] = (4, 2, 1)) -> dict[str, Array]:
    return {"start": normal(2, 3), "x": normal(*x), "u": normal(*u), "w": normal(3)}


@pytest.mark.parametrize("ways", [(0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 1), (0, 1, 1, 1)])
def test_directions(ways: tuple[int, ...]) -> None:
    text = ", scan_input_directions = [{}, {}], scan_output_directions = [{}, {}]".format(*ways)
    program = check(scan(text), given())
    assert operators(program)["Scan"] == 1


def test_axes() -> None:
    text = ", scan_input_axes = [1, -1], scan_output_axes = [2, -1]"
    check(scan(text, "[2, t, 3]", "[2, 1, t]"), given((2, 4, 3), (2, 1, 4)))


def test_one_step() -> None:
    check(scan(""), given((1, 2, 3), (1, 2, 1)))


def test_constants_lie_in_the_body() -> None:
    text = """g (float[3] start, float[t, 3] x) => (float last, float ys)
        <float[3] w = {1.0, 2.0, 0.5}> {
        last, ys = Scan<num_scan_inputs = 1, body = step (float[3] c, float[3] s)
            => (float[3] d, float[3] y) { d = Mul(c, w)  y = Add(d, s) }>(start, x)
    }"""
    program = check(text, {"start": normal(3), "x": normal(5, 3)})
    (node,) = [n for n in program.main.nodes if type(n.op).__name__ == "Scan"]
    assert len(node.inputs) == 2


def test_scan_within_scan() -> None:
    text = """g (float[3] start, float[t, s, 3] x) => (float last, float ys) {
        last, ys = Scan<num_scan_inputs = 1, body = outer (float[3] c, float[s, 3] rows)
            => (float[3] d, float[s, 3] y) {
                d, y = Scan<num_scan_inputs = 1, body = inner (float[3] e, float[3] row)
                    => (float[3] f, float[3] z) { p = Mul(e, row)  f = Sub(p, start)  z = Tanh(f) }
                >(c, rows)
            }>(start, x)
    }"""
    check(text, {"start": normal(3), "x": normal(2, 4, 3)})


def test_batches_of_opset_8() -> None:
    """onnxruntime's operator of opset 8 has a batch axis that the body does not see."""
    text = """<ir_version: 4, opset_import: ["": 8]>
    g (float[2, 3] start, float[2, 4, 3] x) => (float[2, 3] last, float[2, 4, 3] ys) {
        last, ys = Scan<num_scan_inputs = 1, directions = [1], body = step
            (float[3] c, float[3] s) => (float[3] d, float[3] y) { d = Add(c, s)  y = Tanh(d) }
        >(nothing, start, x)
    }"""
    model = onnx.parser.parse_model(text)
    model.graph.node[0].input[0] = ""
    feeds = {"start": normal(2, 3), "x": normal(2, 4, 3)}
    sums = feeds["start"][:, None] + np.cumsum(feeds["x"][:, ::-1], 1)
    program = convert(model, Path(), {}, {})
    for got in (program.run(feeds), run_wasm(optimise(program), feeds)):
        np.testing.assert_allclose(got["last"], sums[:, -1], 1e-5, 1e-6)
        np.testing.assert_allclose(got["ys"], np.tanh(sums), 1e-5, 1e-6)


def loop(trips: str, going: str, body: str, outputs: str = "last, ys", initial: str = "") -> str:
    return f"""g (float[n, 3] x) => (float last, float ys)
        <int64 two = {{2}}, int64 many = {{40}}, int64 most = {{9223372036854775807}},
         bool yes = {{1}}, bool no = {{0}}, int64 one = {{1}}, int64[1] zero = {{0}}> {{
        {initial}
        {outputs} = Loop<body = step (int64 k, bool on, float[n, 3] c)
            => (bool go, float[n, 3] d, float[n, 3] y) {{ {body} }}>({trips}, {going}, x)
    }}"""


STEP = "f = Cast<to = 1>(k)  y = Add(c, f)  d = Tanh(y)  go = Identity(on)"


@pytest.mark.parametrize(("trips", "scans"), [("two", 0), ("many", 1)])
def test_loops(trips: str, scans: int) -> None:
    program = check(loop(trips, "yes", STEP), {"x": normal(2, 3)})
    assert operators(program)["Scan"] == scans


def test_a_loop_over_a_size() -> None:
    rows = "s = Shape(x)  n = Gather(s, zero)  rows = Squeeze(n)"
    program = check(loop("rows", "yes", STEP, initial=rows), {"x": normal(5, 3)})
    assert operators(program)["Scan"] == 1


def test_a_loop_without_a_condition() -> None:
    program = check(loop("many", "", STEP), {"x": normal(2, 3)})
    assert operators(program)["Scan"] == 1


def test_a_loop_that_counts_itself() -> None:
    """The condition is computed from the counter: the iterations are found by writing them out."""
    body = "f = Cast<to = 1>(k)  y = Add(c, f)  d = Tanh(y)  go = Less(k, two)"
    program = check(loop("most", "yes", body), {"x": normal(2, 3)})
    assert operators(program)["Tanh"] == 3


def test_a_loop_that_grows() -> None:
    text = """g (float[2, 3] x) => (float last) <int64 many = {20}, bool yes = {1}> {
        last = Loop<body = step (int64 k, bool on, float[m, 3] c) => (bool go, float[p, 3] d) {
            d = Concat<axis = 0>(c, x)  go = Identity(on)
        }>(many, yes, x)
    }"""
    program = check(text, {"x": normal(2, 3)})
    assert program.main.outputs["last"].shape == (42, 3)


def test_what_is_carried_keeps_its_type() -> None:
    text = """g (float[3] start, float[t, 3] x) => (float last) {
        last = Scan<num_scan_inputs = 1, body = step (float[k] c, float[3] s)
            => (float[m] d) { d = Concat<axis = 0>(c, s) }>(start, x)
    }"""
    with pytest.raises(ShapeError, match="must keep its type"):
        convert(onnx.parser.parse_model(HEAD + text), Path(), {}, {})


def test_counts_are_checked() -> None:
    text = scan("").replace("num_scan_inputs = 2", "num_scan_inputs = 4")
    with pytest.raises(ModelFormatError, match="num_scan_inputs is 4 of 3 inputs"):
        convert(onnx.parser.parse_model(HEAD + text), Path(), {}, {})
    text = scan(", scan_input_axes = [0]")
    with pytest.raises(ModelFormatError, match="1 axes or directions are given for 2 inputs"):
        convert(onnx.parser.parse_model(HEAD + text), Path(), {}, {})
