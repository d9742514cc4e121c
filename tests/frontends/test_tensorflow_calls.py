"""TensorFlow functions as layers of tf.keras, against what TensorFlow gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.oracle import assert_close
from webconv.frontends.keras import load
from webconv.ir.graph import Program

# Made by tensorflow_calls.py where TensorFlow is.
with np.load(Path(__file__).with_name("tensorflow_calls.npz")) as file:
    FOUND: dict[str, Any] = dict(file)
CALLS = [key.removesuffix("/y") for key in FOUND if key.endswith("/y")]


def loaded(folder: Path, config: str) -> Program:
    path = folder / "model.json"
    path.write_text(config)
    return load(path)


@pytest.mark.parametrize("call", CALLS)
def test_call(call: str, tmp_path: Path) -> None:
    program = loaded(tmp_path, str(FOUND[f"{call}/config"]))
    x = FOUND[f"{call.partition('/')[0]}/x"]
    for batch in (x, x[:1]):
        (got,) = program.run({"x": batch}).values()
        want = FOUND[f"{call}/y"][: len(batch)]
        assert got.shape == want.shape
        assert_close(got, want)
