"""Control flow and sizes that only a run can tell: by the reference and in wasmtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from tests.backends.test_wasm import instances, run_program
from tests.frontends.onnx.control_models import MODELS, Model
from webconv.ir.parse import parse_program
from webconv.ir.text import print_program


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_reference_gives_what_numpy_gives(model: Model) -> None:
    program = model.program()
    for feeds in model.runs:
        got, want = program.run(feeds), model.numpy(**feeds)
        for name, array in want.items():
            assert got[name].shape == np.shape(array)
            np.testing.assert_allclose(got[name], array, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_wasm_gives_what_numpy_gives(model: Model) -> None:
    for instance in instances(model.program()):
        for feeds in model.runs:
            got, want = instance.run(feeds), model.numpy(**feeds)
            for name, array in want.items():
                assert got[name].shape == np.shape(array)
                np.testing.assert_allclose(got[name], array, rtol=1e-6)


def test_a_condition_that_folds_leaves_one_branch() -> None:
    model = MODELS[2]

    from webconv.frontends.onnx.convert import convert

    head = '<ir_version: 10, opset_import: ["" : 21]>\n'
    proto = onnx.parser.parse_model(head + model.text)

    program = convert(proto, Path(), {}, {"rate": 16000})
    assert [type(n.op).__name__ for n in program.main.nodes] == ["Input", "Neg"]
    assert run_program(program, {"x": model.runs[0]["x"]})["y"][0] == -1


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_text_form_keeps_control_flow(model: Model) -> None:
    program = model.program()
    again = parse_program(print_program(program))
    for feeds in model.runs:
        got, want = again.run(feeds), program.run(feeds)
        for name, array in want.items():
            np.testing.assert_array_equal(got[name], array)
