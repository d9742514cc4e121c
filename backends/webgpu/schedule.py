"""How a kernel's points become threads: lanes, tiles and workgroup sizes."""

from __future__ import annotations

from webconv.backends.kernel import Axis, Kernel
from webconv.backends.linearise import LANES
from webconv.backends.plan import hinted
from webconv.backends.webgpu.alignment import touches
from webconv.backends.webgpu.cost import BUSY_WORKGROUPS, per_point
from webconv.backends.webgpu.threads import Schedule, threads
from webconv.ir import dims

# Threads of a workgroup where a kernel is spread over many, and where there are few with much work.
WIDE, THIN = 64, 16
HEAVY = 128
# The most that every adapter takes, and the least that is worth a workgroup.
MOST_THREADS = 256
LEAST_THREADS = 32
# A kernel is tiled only if that many threads are left.
ENOUGH_THREADS = 256


def schedule(kernel: Kernel, fixed: tuple[tuple[str, str], ...] = ()) -> Schedule:
    """Lanes where that turns accesses into aligned vectors, then the first tile that fits."""
    plain = Schedule(LANES if _vectors_pay(kernel, fixed) else 1, None, fixed)
    for name, n in kernel.tiles:
        axis = next(a for a in kernel.axes if a.symbol.name == name)
        tiled = Schedule(plain.lanes, (name, n), fixed)
        if _fits(kernel, axis, n, tiled):
            return tiled
    return plain


def wide_workgroup(kernel: Kernel, chosen: Schedule) -> int:
    """Threads of a workgroup of a kernel that is spread over many.

    A few threads with much to do each, as in a step of a wide recurrence, are spread thinner: each
    workgroup has a port to memory of its own.
    """
    size = WIDE
    heavy = per_point(kernel) >= HEAVY
    while heavy and size > THIN and hinted(threads(kernel, chosen)) < size * BUSY_WORKGROUPS:
        size //= 2
    return size


def _vectors_pay(kernel: Kernel, fixed: tuple[tuple[str, str], ...]) -> bool:
    """True if most of what varies along the last axis is then read in aligned fours."""
    if not kernel.axes or not _in_fours(kernel.axes[-1]):
        return False
    if any(name == kernel.axes[-1].symbol.name for name, _ in fixed):
        return False
    found = list(touches(kernel, kernel.axes[-1]))
    good = sum(t.weight for t in found if t.aligned)
    bad = sum(t.weight for t in found if not t.aligned and not t.uniform)
    return good > bad


def _in_fours(axis: Axis) -> bool:
    return dims.mod(axis.extent, LANES) == 0


def _fits(kernel: Kernel, axis: Axis, n: int, tiled: Schedule) -> bool:
    if axis.symbol.name in dict(tiled.fixed) or axis is kernel.axes[-1]:
        return False
    enough = hinted(threads(kernel, tiled)) >= ENOUGH_THREADS
    return hinted(axis.extent) >= n and enough


def shared_threads(kernels: list[tuple[Kernel, Schedule]]) -> int:
    """Threads for kernels that share a workgroup: a power of two that the largest can use."""
    most = max((hinted(threads(k, s)) for k, s in kernels), default=1)
    size = 1
    while size < most and size < MOST_THREADS:
        size *= 2
    return size
