"""How a kernel's points become threads: lanes, tiles and workgroup sizes."""

from __future__ import annotations

from webconv.backends.kernel import Axis, Kernel
from webconv.backends.linearise import LANES
from webconv.backends.plan import hinted
from webconv.backends.webgpu.threads import Schedule, Touch, statements, threads, touches
from webconv.ir import dims

# Threads of a workgroup where a kernel is spread over many.
WIDE = 64
# The most that every adapter takes, and the least that is worth a workgroup.
MOST_THREADS = 256
LEAST_THREADS = 32
# A kernel is tiled only if that many threads are left.
ENOUGH_THREADS = 256


def schedule(kernel: Kernel, fixed: tuple[tuple[str, str], ...] = ()) -> Schedule:
    """Lanes where that turns accesses into aligned vectors, then the first tile that fits."""
    lanes = Schedule(LANES if _vectors_pay(kernel, fixed) else 1, None, fixed)
    for name, n in kernel.tiles:
        axis = next(a for a in kernel.axes if a.symbol.name == name)
        tiled = Schedule(lanes.lanes, (name, n), fixed)
        if _fits(kernel, axis, n, tiled):
            return tiled
    return lanes


def _vectors_pay(kernel: Kernel, fixed: tuple[tuple[str, str], ...]) -> bool:
    """True if most of what varies along the last axis is then read in aligned fours."""
    if not kernel.axes or not _in_fours(kernel.axes[-1]):
        return False
    if any(name == kernel.axes[-1].symbol.name for name, _ in fixed):
        return False
    found = list(touches(statements(kernel, Schedule(LANES, None, fixed), {})))
    good = sum(t.weight for t in found if t.access.aligned)
    bad = sum(t.weight for t in found if not t.access.aligned and t.access.kind != "uniform")
    return good > bad


def _in_fours(axis: Axis) -> bool:
    return dims.mod(axis.extent, LANES) == 0


def _fits(kernel: Kernel, axis: Axis, n: int, tiled: Schedule) -> bool:
    if axis.symbol.name in dict(tiled.fixed) or axis is kernel.axes[-1]:
        return False
    enough = hinted(threads(kernel, tiled)) >= ENOUGH_THREADS
    return isinstance(axis.extent, int) and axis.extent >= n and enough


def workgroup_size(kernels: list[tuple[Kernel, Schedule]]) -> int:
    """Threads for a group that shares a workgroup: as many as its largest kernel can use."""
    most = max((hinted(threads(k, s)) for k, s in kernels), default=1)
    size = LEAST_THREADS
    while size < most and size < MOST_THREADS:
        size *= 2
    return size


__all__ = ["Touch", "schedule", "workgroup_size"]
