"""What a backend hands to the bundle writer, and the one table of weights they all share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from webconv.backends.kernel import Buffer, Entry
from webconv.ir.op import Array

ALIGNMENT = 256
SHARD_BYTES = 24 << 20

# Bytes per element as weights are stored, by the type that they are computed in.
STORED = {
    **{"f32": np.float32, "i32": np.int32, "u32": np.uint32, "bool": np.int32},
    **{"i64": np.int64, "u64": np.uint64},
}


@dataclass(frozen=True)
class Segment:
    """Where a weight lies: `offset` counts over all shards joined; the length is in bytes."""

    name: str
    offset: int
    nbytes: int
    array: Array = field(repr=False)


@dataclass(frozen=True)
class Weights:
    """The weights of a program in order of first use, each at a multiple of 256 bytes."""

    segments: dict[Buffer, Segment]

    @property
    def nbytes(self) -> int:
        """The end of the last segment."""
        return max((s.offset + s.nbytes for s in self.segments.values()), default=0)

    def shards(self) -> list[bytes]:
        """The files' contents: at most SHARD_BYTES each; no segment straddles two files.

        A file ends where the next segment would not fit; a segment larger than a file has one of
        its own. Joined, the files are the address space that segments' offsets count in.
        """
        shards: list[bytearray] = [bytearray()]
        start = 0
        # Equal arrays of two buffers are one segment.
        for s in {s.offset: s for s in self.segments.values()}.values():
            full = s.offset + s.nbytes - start > SHARD_BYTES
            if full and shards[-1]:
                shards[-1].extend(bytes(s.offset - start - len(shards[-1])))
                start = s.offset
                shards.append(bytearray())
            shards[-1].extend(bytes(s.offset - start - len(shards[-1])))
            shards[-1].extend(s.array.tobytes())
        return [bytes(b) for b in shards if b]


def gather_weights(entries: Iterable[Entry]) -> Weights:
    """The weights that the kernels of `entries` read; equal arrays of entries lie once."""
    segments: dict[Buffer, Segment] = {}
    seen: dict[tuple[str, tuple[int, ...], bytes], Segment] = {}
    end = 0
    for entry in entries:
        for buffer in entry.buffers:
            if buffer.data is None:
                continue
            array = np.ascontiguousarray(buffer.data.astype(STORED[buffer.compute]))
            key = (array.dtype.str, array.shape, array.tobytes())
            if key not in seen:
                seen[key] = Segment(buffer.name, end, array.nbytes, array)
                end = -(-(end + array.nbytes) // ALIGNMENT) * ALIGNMENT
            segments[buffer] = seen[key]
    return Weights(segments)


@dataclass(frozen=True)
class Compiled:
    """One backend's part of a bundle.

    `files` maps a suffix (`simd.wasm`) to contents, written as `kernels-<hash>.<suffix>`.
    `descriptor` is JSON for the backend's session (its own section of `model-<hash>.js`), and
    `stats` are figures for people: kernels, dispatches, peak bytes and their lower bound.
    """

    backend: str
    files: dict[str, bytes]
    descriptor: dict[str, Any]
    stats: dict[str, Any]
