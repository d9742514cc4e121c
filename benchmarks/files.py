"""Real ONNX files to compare on, with the inputs that lie beside them in ../shared/models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import BenchmarkError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "models"


@dataclass(frozen=True)
class File:
    """A model file with `inputs.npz` beside it; `constants` are fixed when it is converted."""

    path: str
    constants: Mapping[str, str] = field(default_factory=dict)


FILES = {
    "silero_vad": File("silero_vad_16k_op15/silero_vad_16k_op15.onnx", {"sr": "16000"}),
    "silero_vad_v4": File("silero_vad_v4/silero_vad_legacy.onnx", {"sr": "16000"}),
    "rapidocr_cls": File("rapidocr_cls_v2/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    "basic_pitch": File("basic_pitch/nmp.onnx"),
    "aecmos": File("aecmos_1663829550/Run_1663829550_Stage_0.onnx"),
    "attacut": File("attacut_sc/attacut-sc.onnx"),
}


def present(shared: Path) -> list[str]:
    """Give the names of the files that are there."""
    return [name for name, file in FILES.items() if (shared / file.path).is_file()]


def copy_files(names: list[str], shared: Path, folder: Path) -> None:
    """Bring NAME.onnx and NAME.inputs.json into `folder` for each file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = shared / FILES[name].path
        if not source.is_file():
            raise BenchmarkError(f"{name}: {source} does not exist")
        shutil.copy(source, folder / f"{name}.onnx")
        with np.load(source.with_name("inputs.npz")) as arrays:
            write_inputs(dict(arrays), folder / f"{name}.inputs.json")


def write_inputs(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write inputs by name as `page/sides.js` takes them."""
    inputs = [
        {"name": name, "dtype": a.dtype.name, "shape": a.shape, "data": a.reshape(-1).tolist()}
        for name, a in arrays.items()
    ]
    path.write_text(json.dumps(inputs))
