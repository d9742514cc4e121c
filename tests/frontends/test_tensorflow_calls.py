"""TensorFlow functions as layers of tf.keras, against what TensorFlow gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.oracle import assert_close
from webconv.frontends.keras import load
from webconv.ir.errors import ShapeError, UnsupportedError
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


def test_a_shape_that_is_told_is_guarded(tmp_path: Path) -> None:
    config = str(FOUND["rows/ensure_shape/config"]).replace('"shape": [null', '"shape": [2')
    program = loaded(tmp_path, config)
    assert len(next(iter(program.run({"x": FOUND["rows/x"]}).values()))) == 2
    with pytest.raises(ShapeError, match="must equal"):
        program.run({"x": FOUND["rows/x"][:1]})


def test_images_of_integers_that_would_be_scaled(tmp_path: Path) -> None:
    config = str(FOUND["image/adjust_brightness/config"]).replace("float32", "uint8")
    with pytest.raises(UnsupportedError, match="it scales images of u8; cast them to float32"):
        loaded(tmp_path, config)
