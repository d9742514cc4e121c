"""Every shared ONNX file of a third party, verified in the browser on all backends, as a user
would: `webconv verify --inputs --expect`, by the pass rule.

The sampling rate of silero is fixed, so that its branches fold, and open, so that they are taken at
run time. The echo scorer runs at another number of frames than it was recorded with, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.conftest import MODELS, require_models
from webconv.cli.verify import without_constants
from webconv.edits import Edits
from webconv.verify.browser import Browser
from webconv.verify.machines import BrowserMachine

AECMOS = "aecmos_1663829550/Run_1663829550_Stage_0.onnx"
SILERO = "silero_vad_16k_op15/silero_vad_16k_op15.onnx"
SILERO_4 = "silero_vad_v4/silero_vad_legacy.onnx"


@dataclass(frozen=True)
class Model:
    """A file, with `inputs.npz` and `expect.npz` beside it, and how it is converted."""

    path: str
    constants: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        fixed = "".join(f"-{name}={value}" for name, value in self.constants.items())
        return self.path.split("/")[0] + fixed


CASES = [
    Model(SILERO),
    Model(SILERO, {"sr": 16000}),
    Model(SILERO_4),
    Model(SILERO_4, {"sr": 16000}),
    Model(AECMOS),
    Model("attacut_sc/attacut-sc.onnx"),
    Model("basic_pitch/nmp.onnx"),
    Model("rapidocr_cls_v2/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
]


@pytest.fixture(scope="module")
def machine(browser: Browser) -> Iterator[BrowserMachine]:
    """One page for all files."""
    with BrowserMachine(browser) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_file(case: Model, machine: BrowserMachine, tmp_path: Path) -> None:
    model = require_models(case.path)
    bundle = webconv.convert(model, tmp_path / "bundle", edits=Edits(constants=case.constants))
    files: dict[str, Any] = {
        "inputs": [without_constants(model.with_name("inputs.npz"), case.constants)],
        "expect": [model.with_name("expect.npz")],
    }
    report = bundle.verify(browser=machine, **files)
    assert report.ok, report.failures()
    assert {r.backend for r in report.results} == {"wasm", "webgpu", "webgl"}


@pytest.mark.parametrize("frames", [16, 75])
def test_aecmos_at_other_lengths(frames: int, machine: BrowserMachine, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = require_models(AECMOS)
    rng = np.random.default_rng(frames)
    feeds = {
        "input": rng.normal(size=(1, 3, frames, 160)).astype(np.float32),
        "h0": rng.normal(size=(4, 1, 64)).astype(np.float32),
    }
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(names, feeds), strict=True))
    bundle = webconv.convert(model, tmp_path / "bundle")
    report = bundle.verify(browser=machine, inputs=[feeds], expect=[expected])
    assert report.ok, report.failures()


def test_files_are_found() -> None:
    require_models()
    assert {c.path.split("/")[0] for c in CASES} == {
        p.parent.name for p in MODELS.glob("*/*.onnx") if p.parent.name != "tf1_rnn_tf221"
    }
