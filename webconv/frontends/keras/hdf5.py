"""Reads HDF5 as data from strangers: no links out of the file, no virtual or external storage.

Every failure of the library becomes a ModelFormatError of one line.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from webconv.frontends.keras.errors import shown
from webconv.ir.errors import ModelFormatError
from webconv.ir.op import Array

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# A dataset above this many bytes may claim at most so many times what is stored for it: chunked
# datasets that hold only a fill value can otherwise declare terabytes (CWE-409).
LARGE_BYTES, EXPANSION = 1 << 26, 100
# What h5py raises on files that are cut or altered.
FAILURES = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)


@contextlib.contextmanager
def damaged(where: str) -> Iterator[None]:
    """Turns what h5py raises inside into ModelFormatError about `where`."""
    try:
        yield
    except FAILURES as e:
        reason = shown(str(e).split("\n")[0].strip("'\""), 160)
        raise ModelFormatError(f"{where}: the HDF5 data cannot be read, {reason}") from None


@contextlib.contextmanager
def open_file(source: Path | IO[bytes], where: str) -> Iterator[h5py.File]:
    """The open file; raises ModelFormatError if it is not HDF5, or is cut short."""
    with damaged(where):
        file = h5py.File(source, "r")
    try:
        yield file
    finally:
        file.close()


def group(parent: h5py.Group, path: str) -> h5py.Group | None:
    """The group at `path` below `parent`, or None if there is none."""
    found = _walk(parent, path)
    return found if isinstance(found, h5py.Group) else None


def _walk(parent: h5py.Group, path: str) -> Any:
    where = f"{parent.name}/{shown(path)}"
    with damaged(where):
        current: Any = parent
        for part in filter(None, path.split("/")):
            if part == ".." or not isinstance(current, h5py.Group) or part not in current:
                return None
            if not isinstance(current.get(part, getlink=True), h5py.HardLink):
                raise ModelFormatError(f"{where}: links out of the file are not followed")
            current = current[part]
        return current


def children(parent: h5py.Group) -> list[str]:
    """The names in a group."""
    with damaged(str(parent.name)):
        return [str(k) for k in parent]


def array(parent: h5py.Group, path: str) -> Array:
    """The dataset at `path`; raises ModelFormatError if it is missing or not a plain array."""
    where = f"{parent.name}/{path}" if path.isprintable() else shown(path)
    dataset = _walk(parent, path)
    if not isinstance(dataset, h5py.Dataset):
        raise ModelFormatError(f"{where}: the array is missing")
    with damaged(where):
        if dataset.external or dataset.is_virtual:
            raise ModelFormatError(f"{where}: the array lies in another file, which is not read")
        if dataset.dtype.kind not in "fiub":
            raise ModelFormatError(f"{where}: an array of numbers is needed, not {dataset.dtype}")
        size = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if size > LARGE_BYTES and size > EXPANSION * stored:
            raise ModelFormatError(f"{where}: {size} bytes are declared, but {stored} are stored")
        if str(dataset.attrs.get("dtype", "")) == "bfloat16":
            return _bfloat16(np.asarray(dataset[()]))
        return np.asarray(dataset[()])


def _bfloat16(raw: Array) -> Array:
    """Two-byte floats of which each is the upper half of a float32."""
    return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def text(node: h5py.Group, name: str) -> str | None:
    """The attribute `name` as text, or None if there is none."""
    with damaged(f"attribute {name}"):
        value = node.attrs.get(name)
        if value is None:
            return None
        if isinstance(value, np.ndarray):
            value = value.item()
        return value.decode() if isinstance(value, bytes) else str(value)


def texts(node: h5py.Group, name: str) -> list[str] | None:
    """The attribute `name` as a list of texts, also if it was split over `name0`, `name1`, ..."""
    with damaged(f"attribute {name} of {node.name}"):
        if name in node.attrs:
            parts = [node.attrs[name]]
        else:
            parts = []
            while f"{name}{len(parts)}" in node.attrs:
                parts.append(node.attrs[f"{name}{len(parts)}"])
            if not parts:
                return None
        found = [v for part in parts for v in np.asarray(part).reshape(-1).tolist()]
        return [v.decode() if isinstance(v, bytes) else str(v) for v in found]
