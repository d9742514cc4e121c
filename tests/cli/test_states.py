"""What `inspect` says of states and of what is done between kernels, and `--state` at work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import webconv
from tests.conftest import require_models
from webconv.cli import run
from webconv.cli.proposals import propose_states
from webconv.edits import Edits
from webconv.ir import dtypes
from webconv.ir.graph import Graph, input
from webconv.ir.op import TensorType
from webconv.verify.browser import Browser

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
agraph (float[1, 2] x, float[1, 2] total_in, float[1, 2] other)
    => (float[1, 2] y, float[1, 2] total_out) {
    total_out = Add(x, total_in)
    y = Mul(total_out, other)
}"""


Capture = pytest.CaptureFixture[str]


def inspected(capsys: Capture, *arguments: str) -> Any:
    """What `inspect` writes as JSON."""
    assert run(["inspect", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose input `total_in` is the output `total_out` of the run before."""
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(TEXT).SerializeToString())
    return path


def graph(inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> Graph:
    """A graph of which only names and types matter."""
    given = {n: input(n, TensorType(dtypes.f32, s)) for n, s in inputs.items()}
    made = {n: input(n, TensorType(dtypes.f32, s)) for n, s in outputs.items()}
    return Graph({**given, **made}, made)


@pytest.mark.parametrize(
    ("inputs", "outputs", "pairs"),
    [
        ({"x": (1, 4), "state": (2, 4)}, {"y": (1,), "stateN": (2, 4)}, {"state": "stateN"}),
        (
            {"h": (2, 4), "c": (2, 4)},
            {"p": (1, 1), "hn": (2, 4), "cn": (2, 4)},
            {"h": "hn", "c": "cn"},
        ),
        ({"past_0": (1, 8)}, {"present_0": (1, 8), "y": (2,)}, {"past_0": "present_0"}),
        ({"tokens": (1, 8)}, {"scores": (1, 9)}, {}),
        ({"image": (1, 8)}, {"probabilities": (1, 8)}, {}),
    ],
)
def test_pairs_alike_in_name_and_type_are_proposed(
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    pairs: dict[str, str],
) -> None:
    found = {i: o for i, o in propose_states(graph(inputs, outputs)) if i in inputs}
    found = {i: o for i, o in found.items() if i != o}
    assert found == pairs


def test_inspect_and_convert_propose_states(model: Path, tmp_path: Path, capsys: Capture) -> None:
    found = inspected(capsys, str(model), "--json", "-")
    assert found["proposed_states"] == [{"input": "total_in", "output": "total_out"}]
    hint = "input 'total_in' looks like a state: --state total_in=total_out would carry it"
    assert run(["inspect", str(model)]) == 0
    assert hint in capsys.readouterr().out
    convert = ["convert", str(model), "-o", str(tmp_path / "o"), "--backend", "wasm", "--force"]
    assert run(convert) == 0
    assert hint in capsys.readouterr().out
    assert run([*convert, "--state", "total_in=total_out"]) == 0
    assert "looks like a state" not in capsys.readouterr().out


def test_a_state_is_carried_on_every_backend(model: Path, browser: Browser, tmp_path: Path) -> None:
    edits = Edits(states={"total_in": "total_out"}, constants={"other": 2})
    bundle = webconv.convert(model, tmp_path / "out", edits=edits)
    runs = [{"x": np.array([[1, 2]], np.float32)}] * 3
    wants = [{"y": np.array([[2 * k, 4 * k]], np.float32)} for k in (1, 2, 3)]
    report = bundle.verify(browser=browser, inputs=runs, expect=wants)
    assert report.ok, report.failures()


def test_inspect_names_what_is_done_between_stages(capsys: Capture) -> None:
    path = require_models("silero_vad_v4") / "silero_vad_legacy.onnx"
    found = inspected(capsys, str(path), "--json", "-")
    pairs = {(s["input"], s["output"]) for s in found["proposed_states"]}
    assert pairs == {("h", "hn"), ("c", "cn")}
    branches = [s["name"] for s in found["host_steps"]]
    assert any("a branch is taken by an input's value" in name for name in branches)
    assert not inspected(capsys, str(path), "--const", "sr=16000", "--json", "-")["host_steps"]
