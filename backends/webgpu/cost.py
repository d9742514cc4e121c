"""The cost model: what decides whether kernels share a dispatch. Times are in nanoseconds.

It is for a GPU of the lower middle, since the compiler cannot know the adapter; all it has to get
right is which of two ways is the faster one by far. Sizes are the hint sizes.

A workgroup sees memory through one port of about 96 bytes a nanosecond, so it does some 24
operations with a loaded weight each; sixteen workgroups at work keep the GPU busy. A dispatch that
depends on the one before costs a few microseconds, a barrier inside of a workgroup little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from webconv.backends.expr import Call, Expr, Fold, Load
from webconv.backends.functions import FUNCTIONS
from webconv.backends.kernel import Kernel, Loop, Step
from webconv.backends.plan import hinted
from webconv.ir import dims
from webconv.ir.dims import Dim

OPERATIONS = 24.0
BUSY_WORKGROUPS = 16
THREADS = 64
DISPATCH = 5000.0
# Of a dispatch: the system ends one that takes seconds, and the device is lost with it.
LONGEST = 50e6
BARRIER = 300.0
# A thread's own operations wait for each other.
LATENCY = 1.0
# Operations behind a call of one of FUNCTIONS, and those that a load is worth.
FUNCTION, LOAD = 10.0, 0.25


@lru_cache(maxsize=4096)
def operations(*roots: Expr) -> float:
    """Operations behind the values of expressions, common ones counted once."""
    total = 0.0
    seen: set[Expr] = set()
    stack = list(roots)
    while stack:
        e = stack.pop()
        if e in seen:
            continue
        seen.add(e)
        match e:
            case Fold():
                total += max(1, hinted(e.extent)) * operations(e.next)
                stack.append(e.init)
                continue
            case Call():
                total += FUNCTION if e.function in FUNCTIONS else 1.0
            case Load():
                total += LOAD
        stack += e.operands
    return total


def per_point(kernel: Kernel) -> float:
    """Operations at one point of a kernel."""
    return operations(*(s.value for s in kernel.stores)) + LOAD * len(kernel.stores)


def expected_iterations(count: Dim) -> float:
    """How often a loop runs; one of unknown length is not written to run once."""
    return count if isinstance(count, int) else max(16, hinted(count))


def narrow_time(
    steps: Sequence[Step],
    coordinates: Dim,
    fixed: Mapping[str, Dim],
    iterations: Callable[[Dim], float] = expected_iterations,
) -> float:
    """Steps with barriers, in a workgroup for each of the coordinates; without the dispatch.

    `fixed` holds, by kernel, the number of points that one workgroup has not to do.
    """
    rounds = math.ceil(max(1, hinted(coordinates)) / BUSY_WORKGROUPS)
    total = 0.0
    for step in steps:
        if isinstance(step, Loop):
            inner = narrow_time(step.body, 1, fixed, iterations)
            total += iterations(step.count) * inner * rounds
            continue
        points = hinted(step.size) / max(1, hinted(fixed.get(step.name, 1)))
        work = per_point(step)
        busy = max(points * work / OPERATIONS, math.ceil(points / 256) * work * LATENCY)
        total += busy * rounds + BARRIER
    return total


def most_iterations(count: Dim) -> float:
    """The upper bound of a loop's count, for `narrow_time`."""
    return dims.bounds(count)[1]


def wide_time(step: Step) -> float:
    """A step in dispatches of its own, as many workgroups as it takes."""
    if isinstance(step, Loop):
        return expected_iterations(step.count) * sum(map(wide_time, step.body))
    points, work = hinted(step.size), per_point(step)
    workgroups = min(BUSY_WORKGROUPS, math.ceil(max(1, points) / THREADS))
    return DISPATCH + max(points * work / (OPERATIONS * workgroups), work * LATENCY)
