"""What a backend hands to the bundle writer, and the one table of weights they all share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np

from webconv.backends.kernel import Buffer, Entry
from webconv.ir.graph import content_digest
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
        # BytesIO gives what was written without a copy: weights may be most of what memory holds.
        shards = [BytesIO()]
        start = 0
        # Equal arrays of two buffers are one segment.
        for s in {s.offset: s for s in self.segments.values()}.values():
            full = s.offset + s.nbytes - start > SHARD_BYTES
            if full and shards[-1].tell():
                shards[-1].write(bytes(s.offset - start - shards[-1].tell()))
                start = s.offset
                shards.append(BytesIO())
            shards[-1].write(bytes(s.offset - start - shards[-1].tell()))
            shards[-1].write(s.array.reshape(-1).view(np.uint8).data)
        return [shard.getvalue() for shard in shards if shard.tell()]


def gather_weights(entries: Iterable[Entry]) -> Weights:
    """The weights that the kernels of `entries` read; equal arrays of entries lie once."""
    segments: dict[Buffer, Segment] = {}
    seen: dict[str, Segment] = {}
    end = 0
    for entry in entries:
        for buffer in entry.buffers:
            if buffer.data is None:
                continue
            array = np.ascontiguousarray(buffer.data, STORED[buffer.compute])
            key = content_digest(array)
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
