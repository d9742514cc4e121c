"""Which accesses of a kernel are four elements in a row, if its last axis is taken in fours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from webconv.backends.expr import Fold, Load, opaque
from webconv.backends.kernel import Axis, Buffer, Kernel, Store
from webconv.backends.linearise import LANES, is_multiple
from webconv.backends.webgpu.partition import accesses
from webconv.backends.webgpu.threads import Place
from webconv.ir import dims
from webconv.ir.dims import Dim

# How much more often a loop's body runs than what is around it, where that is not known.
ITERATIONS = 16


@dataclass(frozen=True)
class Touch:
    """An access: `aligned` fours, else one element for all lanes (`uniform`), else anything.

    `torn` accesses happen in some lanes and not in others. `weight` tells how often it happens.
    """

    buffer: Buffer
    store: bool
    aligned: bool
    uniform: bool
    torn: bool
    weight: int


def touches(
    kernel: Kernel, lane: Axis | None, places: Mapping[Buffer, Place] | None = None
) -> Iterator[Touch]:
    """Every access, with `lane` as the axis in fours, or None if there is no such axis."""
    folds = {e.symbol.name for e in kernel.exprs if isinstance(e, Fold)}
    name = None if lane is None else lane.symbol.name
    for access in accesses(kernel):
        place = (places or {}).get(access.buffer, Place())
        offset = _offset(access) * place.stride + place.base
        free = _free(access, offset)
        aligned = lane is not None and _is_aligned(offset, lane)
        torn = access.guard is not None and name in access.guard.free
        weight = ITERATIONS ** len(free & folds)
        yield Touch(
            access.buffer, isinstance(access, Store), aligned, name not in free, torn, weight
        )


def _offset(access: Load | Store) -> Dim:
    if access.ring is None or access.buffer.ring == 1:
        return access.offset
    return access.offset + dims.mod(access.ring, 2) * access.buffer.size


def _free(access: Load | Store, offset: Dim) -> frozenset[str]:
    found = frozenset(dims.symbols(offset))
    return found.union(*(e.free for e in opaque(offset)))


def _is_aligned(offset: Dim, lane: Axis) -> bool:
    """True if the offset is the lane axis plus a multiple of four."""
    if any(lane.symbol.name in e.free for e in opaque(offset)):
        return False
    base = dims.bind(offset, {lane.symbol.name: 0})
    return offset - base == lane.index and is_multiple(base, LANES)
