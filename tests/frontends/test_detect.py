"""Which frontend reads a file its content decides, not its name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import webconv
from webconv import frontends
from webconv.frontends import detect
from webconv.ir.errors import ModelFormatError


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "frontend"),
    [
        (b"\x89HDF\r\n\x1a\n rest", "keras"),
        (bytes(512) + b"\x89HDF\r\n\x1a\n rest", "keras"),
        (zipped("config.json", "model.weights.h5"), "keras"),
        (b'  {"class_name": "Sequential"}', "keras"),
        (b"\xef\xbb\xbf{}", "keras"),
        (b"\x08\x07\x12\x07pytorch", "onnx"),
    ],
)
def test_the_content_decides(tmp_path: Path, content: bytes, frontend: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    assert detect(path) == frontend


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06", b"\x93NUMPY", b"\x00" * 600])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"it is not a model|the file is empty"):
        detect(path)
    with pytest.raises(ModelFormatError, match="No such file"):
        detect(tmp_path / "gone")
    with pytest.raises(ModelFormatError, match="Is a directory"):
        detect(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("model.pt", zipped("model/data.pkl", "model/version"), "torch.onnx.export"),
        ("model.pth", b"\x80\x02\x8a\nl", "torch.onnx.export"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3", "tf2onnx.convert --tflite"),
        ("model.pb", b"\n\x10\n\x01x", "tf2onnx.convert"),
        ("net.py", b"import chainer", "given as net.py:make_net"),
    ],
)
def test_models_of_other_frameworks_are_told_the_way(
    tmp_path: Path, name: str, content: bytes, way: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=rf"not a model that webconv reads: .*{way}"):
        detect(tmp_path / name)


def test_a_folder_of_tensorflow_is_told_the_way(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelFormatError, match=r"SavedModel.* tf2onnx.convert --saved-model"):
        webconv.load(tmp_path)


def test_arrays_alone_are_no_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(2))
    with pytest.raises(ModelFormatError, match=r"given as net.py:make_net.*--weights"):
        frontends.load(tmp_path / "w.npz")


def test_a_function_in_a_file_is_a_chainer_model() -> None:
    assert detect(Path("some/net.py:make_net")) == "chainer"
    with pytest.raises(ModelFormatError):
        detect(Path("some/net.py"))
