"""The buffers of the interpreter, and what is known of each of their elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.backends.kernel import Buffer
from webconv.ir.errors import GraphError
from webconv.ir.op import Array


class Storage:
    """The elements of a buffer, its copies behind each other, as they lie in memory.

    `marks` holds the number of the kernel invocation that stored an element last.
    """

    def __init__(self, buffer: Buffer, size: int, gpu: bool) -> None:
        elements = size * buffer.ring
        self.name = buffer.name
        self.size = size
        self.values = np.zeros(elements, _stored(buffer, gpu))
        self.written = np.zeros(elements, np.bool_)
        self.marks = np.zeros(elements, np.int64)
        self.readers: tuple[Array, Array] | None = None

    def put(self, data: Array) -> None:
        """Fills the first elements from outside."""
        flat = np.ravel(data)
        if flat.size > self.size:
            raise GraphError(f"{self.name} has {self.size} elements, but {flat.size} are given")
        self.values[: flat.size] = flat.astype(self.values.dtype)
        self.written[: flat.size] = True

    def get(self, shape: tuple[int, ...]) -> Array:
        """The first elements, which must all be written."""
        n = int(np.prod(shape, dtype=np.int64))
        if n > self.size or not self.written[:n].all():
            raise GraphError(f"{self.name}: not all elements of {shape} are written")
        return self.values[:n].reshape(shape)

    def load(self, where: Array, guard: Array) -> Array:
        """The elements `where` the guard holds (anything elsewhere), which must be written."""
        if not np.any(guard):
            return np.zeros(where.shape, self.values.dtype)
        inside = np.where(guard, where, 0)
        if not np.all(self.written[inside] | ~guard):
            raise GraphError(f"{self.name} is read where it is not written")
        return self.values[inside]

    def store(self, where: Array, values: Array, invocation: int) -> None:
        """Stores to distinct elements that `invocation` has not stored to before."""
        fresh = self.marks[where] != invocation
        order = -np.arange(1, len(where) + 1)
        self.marks[where] = order
        if not fresh.all() or (self.marks[where] != order).any():
            raise GraphError(f"stores to {self.name} collide")
        self.marks[where] = invocation
        self.values[where] = values.astype(self.values.dtype)
        self.written[where] = True

    def watch(self) -> None:
        """Starts to note by which points elements are read."""
        most = np.iinfo(np.int64).max
        elements = len(self.values)
        self.readers = np.full(elements, most), np.full(elements, -1)

    def note(self, where: Array, guard: Array, points: Array) -> None:
        """Notes that `points` read `where` under the guard."""
        if self.readers is None:
            return
        where, guard, points = np.broadcast_arrays(where, guard, points)
        np.minimum.at(self.readers[0], where[guard], points[guard])
        np.maximum.at(self.readers[1], where[guard], points[guard])

    def check_readers(self, where: Array, points: Array) -> None:
        """Raises GraphError if another of the points has read what a point stores."""
        assert self.readers is not None
        first, last = (r[where] for r in self.readers)
        if np.any((last >= 0) & ((first != points) | (last != points))):
            raise GraphError(f"{self.name} is read by one point and stored to by another")


def _stored(buffer: Buffer, gpu: bool) -> np.dtype[Any]:
    """How an element lies in memory."""
    dtype = buffer.dtype
    if dtype.is_float:
        return np.dtype(np.float16 if dtype.bits == 16 else np.float32)
    if dtype.kind == "b":
        return np.dtype(np.bool_)
    return np.dtype(f"{dtype.kind}{min(dtype.bits, 32 if gpu else 64) // 8}")
