"""Every Keras file of the shared models against what the Keras that wrote it computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MODELS, require_models
from tests.frontends.oracle import assert_close, by_position
from webconv.frontends.keras import load

FOLDERS = {
    "keras1.2.2_theano_generated": 27,
    "keras2.15.0_tf_generated": 58,
    "keras3_generated": 54,
}
REAL = (
    "ethnicolr_wiki_name/wiki_name_lstm.h5",
    "chars2vec_eng_50/rebuilt_keras2.15.h5",
    "sleepecg_wrn_gru_mesa/classifier.keras",
)


def files(folder: str) -> list[Path]:
    """The models in a folder."""
    return sorted(p for p in (MODELS / folder).glob("*") if p.suffix in (".h5", ".keras"))


GENERATED = [p for folder in FOLDERS for p in files(folder)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_files_are_there(folder: str) -> None:
    require_models(folder)
    assert len(files(folder)) == FOLDERS[folder]


def check(path: Path, inputs: Path, expect: Path) -> None:
    program = load(path)
    given = by_position(list(program.main.inputs), dict(np.load(inputs)))
    for precision in (np.float64, np.float32):
        got = program.run(given, precision=precision)
        want = by_position(list(got), dict(np.load(expect)))
        for name, array in got.items():
            assert_close(array, want[name], f"{name}, {precision.__name__}")


@pytest.mark.parametrize("path", GENERATED, ids=lambda p: f"{p.parent.name[:6]}-{p.name}")
def test_generated(path: Path) -> None:
    stem = path.with_suffix("")
    check(path, Path(f"{stem}.inputs.npz"), Path(f"{stem}.expect.npz"))


@pytest.mark.parametrize("name", REAL)
def test_real(name: str) -> None:
    path = require_models(name)
    check(path, path.parent / "inputs.npz", path.parent / "expect.npz")


def test_weights_file_alone_says_what_to_give() -> None:
    path = require_models("chars2vec_eng_50/weights.h5")
    with pytest.raises(Exception, match="only weights; give the model's JSON file as MODEL"):
        load(path)
