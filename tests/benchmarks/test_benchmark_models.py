"""The ONNX and the Keras file of each benchmark model compute the same, by other implementations.

onnxruntime reads one, Keras the other: a wrong gate order or layout in either would show.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import MODELS, make_input, make_weights, write_models

# Read once, when Keras is first imported.
os.environ.setdefault("KERAS_BACKEND", "numpy")

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All models, written once."""
    path = tmp_path_factory.mktemp("models")
    write_models(list(MODELS), path)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_onnx_and_keras_agree(folder: Path, name: str) -> None:
    load_model = pytest.importorskip("keras").saving.load_model
    values = make_input(MODELS[name])
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
    (from_onnx,) = session.run(None, {"x": values})
    from_keras = np.asarray(load_model(folder / f"{name}.h5", compile=False)(values))
    assert from_onnx.shape == (1, MODELS[name].classes)
    np.testing.assert_allclose(from_onnx, from_keras, rtol=0, atol=1e-5)
    # An answer that hardly depends on the input would agree whatever the weights did.
    assert 0.001 < from_onnx.max() < 0.999


def test_char_has_the_parameters_of_the_tutorial() -> None:
    weights = make_weights(MODELS["char"])
    arrays = [*weights.lstm[0], *weights.dense]
    assert sum(array.size for array in arrays) == 89_124


def test_files_are_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    write_models(["char"], tmp_path)
    for name in ("char.onnx", "char.h5", "char.inputs.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
