"""Golden WebAssembly text, which shows at a glance what a change does to the kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases import CASES
from webconv.backends.compiled import gather_weights
from webconv.backends.lower import lower
from webconv.backends.wasm.module import Module

GOLDEN = Path(__file__).parent / "golden"
SHOWN = ("matmul_4_16_16", "LSTM_forward_symbolic", "Softmax", "maxpool_symbolic", "topk")


@pytest.mark.parametrize("name", SHOWN)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    """Written anew by `--golden`."""
    program = next(c for c in CASES if c.name == name).program()
    entries = {"main": lower(program)}
    text = Module(program, gather_weights(entries.values()), relaxed=True).compile(entries)
    file = GOLDEN / f"wasm_{name}.wat"
    if request.config.getoption("--golden"):
        file.write_text(text)
    assert text == file.read_text()
