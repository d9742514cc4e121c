"""Readers of model files; each gives a Program. Which one reads a file its content decides."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Program

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"

FRONTENDS = ("keras", "onnx", "chainer")

# `net.py:make_net`: a function in a file, which makes a Chainer model.
CHAIN = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")
AS_CHAIN = (
    "a Chainer model is given as net.py:make_net, a function that returns the chain and its "
    "example inputs"
)


def model_file(path: Path) -> Path:
    """The file of a model: `net.py` of `net.py:make_net`."""
    found = CHAIN.fullmatch(str(path))
    return Path(found["file"]) if found else path


def chain_function(path: Path) -> tuple[Path, str]:
    """The file and the function of `net.py:make_net`; raises ModelFormatError for other paths."""
    found = CHAIN.fullmatch(str(path))
    if found is None:
        rule = "; an npz file holds arrays only, and goes with --weights"
        raise ModelFormatError(AS_CHAIN + (rule if path.suffix == ".npz" else ""))
    return Path(found["file"]), found["name"]


def detect(path: Path) -> str:
    """The frontend for the file at `path`; raises ModelFormatError if none reads it."""
    if CHAIN.fullmatch(str(path)):
        return "chainer"
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise ModelFormatError(f"the file cannot be read: {error.strerror}") from None
    if not head:
        raise ModelFormatError("the file is empty")
    # HDF5 may begin at 512, 1024, ... after a block of the user's.
    if (way := _way_out(path, head)) is not None:
        raise ModelFormatError(f"it is not a model that webconv reads: {way}")
    if head.startswith((HDF5, ZIP)) or HDF5 in head:
        return "chainer" if _is_npz(path, head) else "keras"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        return "keras"
    if head[:1] == b"\x08":  # field 1, a varint: ir_version of an ONNX ModelProto
        return "onnx"
    raise ModelFormatError(
        "it is not a model that webconv reads: HDF5, .keras or JSON of Keras, or ONNX; " + AS_CHAIN
    )


def check_there(path: Path) -> None:
    """Raise ModelFormatError if there is no model at `path`, without a look at what is there."""
    if not model_file(path).exists():
        raise ModelFormatError("the file cannot be read: No such file or directory")


def _check_weights(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ModelFormatError(f"the weights {path} cannot be read: {error.strerror}") from None


def refuse_folder(path: Path) -> None:
    """Raises ModelFormatError for a folder that another framework has written."""
    if (path / "saved_model.pb").exists():
        raise ModelFormatError(
            f"{path}: it is a SavedModel of TensorFlow; python -m tf2onnx.convert --saved-model "
            "makes ONNX of it"
        )


def _way_out(path: Path, head: bytes) -> str | None:
    """What to do with a model of another framework, by what it begins with."""
    if head.startswith(b"\x80") or any(n.endswith("/data.pkl") for n in _archived(path, head)):
        return "it holds pickled objects, as PyTorch saves them; export it with torch.onnx.export"
    if head[4:8] == b"TFL3":
        return "it is a TensorFlow Lite model; python -m tf2onnx.convert --tflite makes ONNX of it"
    if path.suffix == ".py":
        return AS_CHAIN
    if path.suffix == ".pb":
        return "it may be a TensorFlow graph; python -m tf2onnx.convert makes ONNX of it"
    return None


def _is_npz(path: Path, head: bytes) -> bool:
    """True for a zip of arrays, as Chainer saves weights."""
    names = _archived(path, head)
    return bool(names) and all(name.endswith(".npy") for name in names)


def _archived(path: Path, head: bytes) -> list[str]:
    """The names of the files in a zip archive; none if it is no archive."""
    if not head.startswith(ZIP):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, io.UnsupportedOperation):
        return []


def load(
    path: Path,
    *,
    frontend: str | None = None,
    weights: Path | None = None,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    constants: Mapping[str, object] | None = None,
    plugins: Sequence[Path] = (),
) -> Program:
    """The model at `path`, read by `frontend` or by the one that its content asks for."""
    chosen = frontend or detect(path)
    if weights is not None:
        _check_weights(weights)
    if chosen == "keras":
        from webconv.edits import fix_input
        from webconv.frontends import keras

        program = keras.load(path, weights=weights, input_shapes=input_shapes, plugins=plugins)
        for name, value in (constants or {}).items():
            program = fix_input(program, name, value)
        return program
    if chosen == "onnx":
        from webconv.frontends import onnx

        return onnx.load(path, input_shapes=input_shapes, constants=constants)
    if chosen == "chainer":
        from webconv.edits import fix_input
        from webconv.frontends import chainer

        chain_function(path)  # What is no such path is told where there is no Chainer, too.
        program = chainer.load(path, weights=weights, input_shapes=input_shapes, plugins=plugins)
        for name, value in (constants or {}).items():
            program = fix_input(program, name, value)
        return program
    raise UnsupportedError(f"there is no frontend {chosen}; there are {', '.join(FRONTENDS)}")
