"""Temporaries of one dispatch side by side in one buffer, where bindings are short.

The smallest ones go there: what shares a binding shares its element type, in fours or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from webconv.backends.expr import Expr, Index, Load, rewrite
from webconv.backends.kernel import Buffer, Kernel, Store
from webconv.backends.legalise import Limits, map_exprs, map_kernels
from webconv.backends.linearise import LANES
from webconv.backends.plan import hinted, total_size
from webconv.backends.webgpu.groups import Group
from webconv.ir import dims
from webconv.ir.dims import Dim


@dataclass(frozen=True)
class Part:
    """Where a temporary begins in the buffer that it becomes part of."""

    scratch: Buffer
    base: Dim


def share_temporaries(group: Group, limits: Limits) -> Group:
    """The group with as many of its own temporaries in one buffer as it binds too many."""
    touched = dict.fromkeys((*group.reads, *group.writes))
    separate = [b for b in touched if b.data is None]
    excess = len(separate) + (len(separate) < len(touched)) - limits.bindings
    parts: dict[Buffer, Part] = {}
    own = sorted((b for b in touched if b in group.own), key=lambda b: hinted(total_size(b)))
    for kind in dict.fromkeys(b.compute for b in own):
        alike = [b for b in own if b.compute == kind][: excess + 1]
        if excess > 0 and len(alike) > 1:
            parts |= _side_by_side(alike)
            excess -= len(alike) - 1
    if not parts:
        return group
    steps = map_kernels(group.steps, lambda kernel: _moved_kernel(kernel, parts))
    return replace(group, steps=steps)


def _side_by_side(buffers: Sequence[Buffer]) -> dict[Buffer, Part]:
    """Each begins at a multiple of four elements."""
    bases = []
    end: Dim = 0
    for b in buffers:
        bases.append(end)
        end = end + dims.ceildiv(total_size(b), LANES) * LANES
    first = buffers[0]
    scratch = Buffer(f"{first.name}.scratch", first.dtype, (end,))
    return {b: Part(scratch, base) for b, base in zip(buffers, bases, strict=True)}


def _moved_kernel(kernel: Kernel, parts: Mapping[Buffer, Part]) -> Kernel:
    def load(e: Expr) -> Expr | None:
        if not isinstance(e, Load) or e.buffer not in parts:
            return None
        guard = None if e.guard is None else rewrite(e.guard, load)
        where = rewrite(Index(_element(e, parts[e.buffer])), load)
        assert isinstance(where, Index)
        scratch = parts[e.buffer].scratch
        return Load(scratch, scratch.shape, (where.dim,), guard, None, e.type)

    def store(s: Store) -> Store:
        if s.buffer not in parts:
            return s
        part = parts[s.buffer]
        return Store(part.scratch, part.scratch.shape, (_element(s, part),), s.value, s.guard)

    moved = map_exprs(kernel, load)
    return replace(moved, stores=tuple(map(store, moved.stores)))


def _element(access: Load | Store, part: Part) -> Dim:
    """The element of the scratch buffer that an access reaches."""
    offset = access.offset + part.base
    if access.ring is None or access.buffer.ring == 1:
        return offset
    return offset + dims.mod(access.ring, 2) * access.buffer.size
