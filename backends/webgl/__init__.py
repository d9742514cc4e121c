"""WebGL2: kernels as fragment shaders, tensors as textures of four elements a texel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.kernel import Entry
from webconv.backends.plan import hinted
from webconv.backends.webgl.legalise import legalise
from webconv.backends.webgl.section import Section
from webconv.ir.graph import Program


def compile(program: Program, entries: Mapping[str, Entry], weights: Weights) -> Compiled:
    """Shaders and plans; all of it stands in the descriptor."""
    section = Section(program, weights)
    described = section.describe(legalise(e) for e in entries.values())
    return Compiled("webgl", {}, described, {"programs": len(section.programs)})


__all__ = ["Any", "compile", "hinted"]
