"""`graph.txt` and `graph.bin`: the program as it was imported, beside the bundle's weights.

A constant whose bytes are among the weights is referred to there, `weight(type, "weights",
offset)`; one that passes or packing have changed lies in `graph.bin`, `weight(type, "graph",
offset)`.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from webconv.backends.compiled import STORED, Weights
from webconv.backends.kernel import COMPUTE
from webconv.ir import dims
from webconv.ir.dtypes import DType, from_numpy
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Program
from webconv.ir.op import Array, TensorType
from webconv.ir.parse import parse_program
from webconv.ir.text import Reference, print_program

ALIGNMENT = 64


def print_graph(program: Program, weights: Weights) -> tuple[str, list[Array]]:
    """The text, and the arrays of `graph.bin` in order, each at a multiple of ALIGNMENT."""
    offsets = {_digest(s.array): s.offset for s in weights.segments.values()}
    kept: dict[str, int] = {}
    arrays: list[Array] = []
    end = 0

    def store(array: Array) -> Reference:
        nonlocal end
        stored = _stored(array)
        if stored is not None and (offset := offsets.get(_digest(stored))) is not None:
            return ("weights", offset)
        key = _digest(array)
        if key not in kept:
            kept[key] = end
            arrays.append(array)
            end += padded(array.nbytes)
        return ("graph", kept[key])

    return print_program(program, store), arrays


def join_arrays(arrays: Sequence[Array]) -> bytes:
    """The contents of `graph.bin`."""
    out = BytesIO()
    for a in arrays:
        out.write(np.ascontiguousarray(a).reshape(-1).view(np.uint8).data)
        out.write(bytes(padded(a.nbytes) - a.nbytes))
    return out.getvalue()


def padded(nbytes: int) -> int:
    """Rounded up to ALIGNMENT."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _storage(dtype: DType) -> np.dtype[np.generic]:
    return np.dtype(STORED[COMPUTE[dtype.name]])


def _stored(array: Array) -> Array | None:
    """The array as weights are stored, if that loses nothing."""
    if array.dtype == np.float64:
        return None
    return np.ascontiguousarray(array, _storage(from_numpy(array.dtype)))


def _digest(array: Array) -> str:
    data = np.ascontiguousarray(array)
    return data.dtype.str + hashlib.sha256(data.reshape(-1).view(np.uint8).data).hexdigest()


class Joined:
    """Files read as if they were one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._ends = list(itertools.accumulate(p.stat().st_size for p in paths))

    def read(self, offset: int, nbytes: int) -> bytes:
        """Some bytes, which may not go from one file into the next."""
        k = bisect.bisect_right(self._ends, offset)
        if k == len(self._paths):
            raise ModelFormatError(f"weights end before byte {offset}")
        start = self._ends[k - 1] if k else 0
        with self._paths[k].open("rb") as file:
            file.seek(offset - start)
            data = file.read(nbytes)
        if len(data) != nbytes:
            raise ModelFormatError(f"{self._paths[k].name}: it ends before byte {offset + nbytes}")
        return data


def read_graph(folder: Path, weights: Sequence[str]) -> Program:
    """The program of the bundle in `folder`, whose weights lie in the files `weights`."""
    files = {
        "weights": Joined([folder / name for name in weights]),
        "graph": Joined([p for p in [folder / "graph.bin"] if p.exists()]),
    }

    def fetch(t: TensorType, reference: Reference) -> Array:
        where, offset = reference
        shape = tuple(dims.evaluate(d, {}) for d in t.shape)
        dtype = _storage(t.dtype) if where == "weights" else t.dtype.numpy
        size = int(np.prod(shape, dtype=np.int64))
        data = files[str(where)].read(int(offset), size * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape).astype(t.dtype.numpy, copy=False)

    return parse_program((folder / "graph.txt").read_text("utf-8"), fetch)
