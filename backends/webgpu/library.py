"""What the entries of a bundle share: shaders, and the GPU buffers that hold the weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from webconv.backends.compiled import Weights
from webconv.backends.kernel import Buffer
from webconv.backends.legalise import WEBGPU
from webconv.backends.webgpu.shader import Range, Shader
from webconv.ir.errors import UnsupportedError


class WeightPool:
    """The GPU buffers that hold the weights: whole files, as many as one binding takes."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.ends: list[int] = []
        start = end = 0
        for shard in weights.shards():
            if end > start and end + len(shard) - start > WEBGPU.binding_bytes:
                self.ends.append(end)
                start = end
            end += len(shard)
        if end:
            self.ends.append(end)

    def find(self, buffer: Buffer) -> tuple[int, int, int]:
        """(GPU buffer, first byte in it, bytes)."""
        segment = self.weights.segments[buffer]
        if segment.nbytes > WEBGPU.binding_bytes:
            raise UnsupportedError(
                f"{buffer.name}: a weight may have {WEBGPU.binding_bytes} bytes on WebGPU, "
                f"but it has {segment.nbytes}"
            )
        starts = [0, *self.ends[:-1]]
        index = max(k for k, start in enumerate(starts) if start <= segment.offset)
        return index, segment.offset - starts[index], segment.nbytes


class Library:
    """All shaders; those that differ in names alone are one."""

    def __init__(self) -> None:
        self.shaders: list[dict[str, Any]] = []
        self._known: dict[str, int] = {}

    def add(self, shader: Shader, ranges: Sequence[Range]) -> int:
        """The position of a shader."""
        key = _anonymous(shader)
        if key not in self._known:
            self._known[key] = len(self.shaders)
            binds = ("u" if shader.uses_sizes else "-") + "".join(
                "w" if r.writable else "r" for r in ranges
            )
            self.shaders.append({"code": shader.code, "binds": binds})
        return self._known[key]


def _anonymous(shader: Shader) -> str:
    """A shader's code without comments, its names numbered."""
    numbers = {name: f"N{k}" for k, name in enumerate(shader.names)}
    code = re.sub(r"//.*", "", shader.code)
    return re.sub(r"\w+", lambda m: numbers.get(m[0], m[0]), code)
