"""From files to a `SavedModel`: the architecture as JSON, and where the weights lie."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py

from webconv.frontends.keras import archive, hdf5
from webconv.frontends.keras.errors import shown
from webconv.ir.errors import ModelFormatError

# Deeper nesting than this is no model: Keras itself needs about four levels per nested model.
MAX_DEPTH = 128
MAX_JSON_BYTES = 1 << 28


@dataclass(frozen=True)
class Dialect:
    """Which Keras wrote the file: its major version, full version and backend where known."""

    major: int
    version: str = ""
    backend: str = ""

    @property
    def is_tf_keras(self) -> bool:
        """True for the Keras inside of TensorFlow (2.2.4-tf to 2.15), as opposed to 2.x alone."""
        return self.major == 2 and (self.version.endswith("-tf") or self.release >= (2, 4))

    @property
    def flips_kernels(self) -> bool:
        """True if convolution kernels run backwards: Theano's are for true convolution."""
        return self.backend == "theano"

    @property
    def holds_initial(self) -> bool:
        """True if a masked step before any valid one gives the initial state, not 0."""
        return self.major == 3 and self.backend in ("jax", "numpy")

    @property
    def takes_masks(self) -> bool:
        """True if MultiHeadAttention takes the masks off its inputs, for all who read them next.

        A config by itself, without a version, is taken for one of today.
        """
        return self.version == "3" or self.release >= (3, 8)

    @property
    def bidirectional_zeros(self) -> bool:
        """True if Bidirectional makes the sequences of its layers 0 at masked steps."""
        return self.major == 3 or self.is_tf_keras

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version."""
        parts = self.version.split(".")
        minor = parts[1] if len(parts) > 1 and parts[1].isdecimal() else "0"
        return self.major, int(minor)


@dataclass(frozen=True)
class SavedModel:
    """The architecture, who wrote it, and the open weights file (None if there is none)."""

    config: dict[str, Any]
    dialect: Dialect
    weights: h5py.Group | None


@contextlib.contextmanager
def read(path: Path, weights: Path | None) -> Iterator[SavedModel]:
    """The saved model at `path`; raises ModelFormatError if it is none."""
    head = _head(path)
    with contextlib.ExitStack() as stack:
        if head.startswith(archive.SIGNATURE):
            saved = _read_keras(path, stack)
        elif hdf5.SIGNATURE in head:
            saved = _read_h5(stack.enter_context(hdf5.open_file(path, path.name)))
        elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            saved = _read_json(path)
        else:
            raise ModelFormatError("not a Keras model: neither HDF5, .keras archive nor JSON")
        if weights:
            saved = _with_weights(saved, weights, stack)
        yield saved


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as e:
        raise ModelFormatError(f"the file cannot be read, {e.strerror or e}") from None


def _read_keras(path: Path, stack: contextlib.ExitStack) -> SavedModel:
    parts = archive.members(path)
    if "config.json" not in parts:
        raise ModelFormatError("not a Keras model: the archive has no config.json")
    config = parse_json(parts["config.json"], "config.json")
    metadata = parse_json(parts.get("metadata.json", b"{}"), "metadata.json")
    if "model.weights.npz" in parts:
        raise ModelFormatError("weights as .npz are not read; save the model with .h5 weights")
    weights = None
    if data := parts.get("model.weights.h5"):
        source: IO[bytes] = io.BytesIO(data)
        weights = stack.enter_context(hdf5.open_file(source, "model.weights.h5"))
    version = metadata.get("keras_version")
    return SavedModel(config, dialect(version if isinstance(version, str) else "3"), weights)


def _read_h5(file: h5py.File) -> SavedModel:
    config = hdf5.text(file, "model_config")
    if config is None:
        raise ModelFormatError(
            "the file holds no architecture, only weights; give the model's JSON file as MODEL"
            " and this one with --weights"
        )
    found = hdf5.group(file, "model_weights")
    if found is None:
        raise ModelFormatError("the file holds an architecture but no weights")
    parsed = parse_json(config.encode(errors="surrogateescape"), "model_config")
    return SavedModel(parsed, _h5_dialect(file, found), found)


def _h5_dialect(file: h5py.File, weights: h5py.Group) -> Dialect:
    version = hdf5.text(file, "keras_version") or hdf5.text(weights, "keras_version") or "1"
    backend = hdf5.text(file, "backend") or hdf5.text(weights, "backend") or ""
    if not backend and version.startswith("1"):
        backend = _keras1_backend(weights)
    return dialect(version, backend)


def _keras1_backend(weights: h5py.Group) -> str:
    """Keras 1 does not write its backend, but TensorFlow's variables have names like `W:0`."""
    for name in hdf5.texts(weights, "layer_names") or []:
        found = hdf5.group(weights, name)
        names = hdf5.texts(found, "weight_names") if found is not None else None
        if names:
            return "tensorflow" if names[0].endswith(":0") else "theano"
    return "theano"


def _read_json(path: Path) -> SavedModel:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelFormatError(f"an architecture of more than {MAX_JSON_BYTES} bytes is not read")
    config = parse_json(path.read_bytes(), path.name)
    version, backend = (config.get(k) for k in ("keras_version", "backend"))
    if not isinstance(version, str):
        version = "3" if "module" in config else "1"
    return SavedModel(config, dialect(version, backend if isinstance(backend, str) else ""), None)


def _with_weights(saved: SavedModel, path: Path, stack: contextlib.ExitStack) -> SavedModel:
    if hdf5.SIGNATURE not in _head(path):
        raise ModelFormatError(f"{path.name}: the weights file must be HDF5")
    file = stack.enter_context(hdf5.open_file(path, path.name))
    weights = hdf5.group(file, "model_weights") or file
    backend = saved.dialect.backend or hdf5.text(weights, "backend") or ""
    dialect = Dialect(saved.dialect.major, saved.dialect.version, backend)
    return SavedModel(saved.config, dialect, weights)


def dialect(version: str, backend: str = "") -> Dialect:
    """The dialect of a version text such as `2.15.0` or `2.2.4-tf`."""
    major = version.strip()[:1]
    if major not in ("1", "2", "3"):
        raise ModelFormatError(f"keras_version {shown(version)} is none of 1, 2 and 3")
    return Dialect(int(major), version.strip(), backend.strip())


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `data`; raises ModelFormatError if it is none or is nested too deeply."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise ModelFormatError(f"{where}: nested deeper than {MAX_DEPTH} levels") from None
    except (ValueError, UnicodeDecodeError) as e:
        raise ModelFormatError(f"{where}: not JSON, {shown(str(e), 120)}") from None
    if not isinstance(value, dict):
        raise ModelFormatError(f"{where}: a JSON object is needed, not {shown(value)}")
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [v for x in level if isinstance(x, dict | list) for v in _items(x)]
        if not level:
            return value
    raise ModelFormatError(f"{where}: nested deeper than {MAX_DEPTH} levels")


def _items(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
