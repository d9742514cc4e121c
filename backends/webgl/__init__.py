"""WebGL2: kernels as fragment shaders, tensors as textures of four elements a texel."""

from __future__ import annotations

from collections.abc import Mapping

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.kernel import Entry
from webconv.backends.webgl.legalise import legalise
from webconv.backends.webgl.section import Section
from webconv.ir.graph import Program

__all__ = ["compile"]


def compile(program: Program, entries: Mapping[str, Entry], weights: Weights) -> Compiled:
    """Shaders and plans; all of it stands in the descriptor."""
    section = Section(program, weights)
    described = section.describe(legalise(e) for e in entries.values())
    figures = {"programs": len(section.programs)} | section.figures(entries)
    return Compiled("webgl", {}, described, figures)
