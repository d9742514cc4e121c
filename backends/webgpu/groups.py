"""Which kernels run in one dispatch, by the cost model and what the index expressions prove."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from webconv.backends.kernel import Buffer, Kernel, Loop, Step, kernels
from webconv.backends.legalise import Limits
from webconv.backends.plan import hinted
from webconv.backends.webgpu.cost import DISPATCH, LONGEST, most_iterations, narrow_time, wide_time
from webconv.backends.webgpu.partition import Coordinate, coordinates
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

# Groups of more steps are not tried.
MOST_STEPS = 16
# A second coordinate must leave that many points to a workgroup.
ENOUGH_POINTS = 64
# More steps do not make up for a group that is so much slower than its steps apart.
HOPELESS = 3 * DISPATCH


@dataclass(frozen=True)
class Group:
    """Kernels, and loops of kernels, that run in one dispatch.

    A `wide` group is one kernel, its points spread over as many workgroups as it takes. Any other
    has one workgroup for each point of `coordinates`, which runs all kernels with barriers
    between; `fixed` names the axes of each kernel that the coordinates stand for. `own` are
    temporaries that nothing else touches.
    """

    steps: tuple[Step, ...]
    wide: bool = True
    coordinates: tuple[Dim, ...] = ()
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: tuple[Buffer, ...] = ()

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """All kernels, those in loops included."""
        return tuple(kernels(self.steps))

    @property
    def reads(self) -> tuple[Buffer, ...]:
        """What some kernel loads."""
        return tuple(dict.fromkeys(b for k in self.kernels for b in k.reads))

    @property
    def writes(self) -> tuple[Buffer, ...]:
        """What some kernel stores to."""
        return tuple(dict.fromkeys(b for k in self.kernels for b in k.writes))

    @property
    def bindings(self) -> int:
        """The least storage buffers that it takes: its own temporaries, and weights, share one."""
        touched = {*self.reads, *self.writes}
        weights = any(b.data is not None for b in touched)
        others = [b for b in touched if b.data is None and b not in self.own]
        return len(others) + weights + len({b.compute for b in self.own})


@dataclass(frozen=True)
class Repeat:
    """Groups that the host dispatches `count` times, with `index` among the sizes."""

    index: Symbol
    count: Dim
    body: tuple[Planned, ...]


Planned: TypeAlias = Group | Repeat


def groups(planned: Sequence[Planned]) -> Iterator[Group]:
    """All groups, those in repetitions included."""
    for p in planned:
        if isinstance(p, Repeat):
            yield from groups(p.body)
        else:
            yield p


@dataclass(frozen=True)
class Part:
    """What was planned for some steps, and the time that it takes."""

    planned: tuple[Planned, ...]
    time: float


def plan_groups(
    steps: Sequence[Step], limits: Limits, kept: Collection[Buffer] = ()
) -> tuple[Planned, ...]:
    """The fastest partition of an entry's steps into dispatches; `kept` outlive the steps."""
    order = sink_initialisers(steps)
    planner = Planner(order, limits, _outside(order, kept))
    best = [Part((), 0.0)]
    for end in range(1, len(order) + 1):
        options = [planner.alone(end - 1, best[end - 1])]
        options += planner.joined(end, best)
        best.append(min(options, key=lambda part: part.time))
    return best[-1].planned


def _outside(steps: Sequence[Step], kept: Collection[Buffer]) -> dict[Buffer, set[int]]:
    """The positions that touch each buffer; -1 is the world outside."""
    found: dict[Buffer, set[int]] = {b: {-1} for b in kept}
    for position, step in enumerate(steps):
        for k in kernels((step,)):
            for b in (*k.reads, *k.writes):
                found.setdefault(b, {-1} if b.kind != "temp" else set()).add(position)
    return found


@dataclass
class Planner:
    """Finds how long steps take alone and together."""

    steps: Sequence[Step]
    limits: Limits
    touched: Mapping[Buffer, set[int]]
    heavy: dict[int, bool] = field(default_factory=dict)

    def alone(self, position: int, before: Part) -> Part:
        """A step in dispatches of its own."""
        step = self.steps[position]
        planned: Planned
        if isinstance(step, Kernel):
            planned = Group((step,))
        else:
            kept = [b for b, where in self.touched.items() if where != {position}]
            planned = Repeat(step.index, step.count, plan_groups(step.body, self.limits, kept))
        return Part((*before.planned, planned), before.time + wide_time(step))

    def joined(self, end: int, best: Sequence[Part]) -> Iterator[Part]:
        """The steps that end before `end` in one dispatch, from each possible start."""
        for start in range(end - 1, max(-1, end - 1 - MOST_STEPS), -1):
            if self._is_too_heavy(start) and end - start > 1:
                return
            if start < end - 1 or isinstance(self.steps[start], Loop):
                group, time = self._together(start, end)
                apart = best[end - 1].time - best[start].time + wide_time(self.steps[end - 1])
                if time > apart + HOPELESS:
                    return
                if self._is_allowed(group):
                    before = best[start]
                    yield Part((*before.planned, group), before.time + time)
            if self._is_too_heavy(end - 1):
                return

    def _is_allowed(self, group: Group) -> bool:
        """True if a group binds little enough, belongs together, and ends in time."""
        fits = group.bindings <= self.limits.bindings
        return fits and _is_connected(group) and self._ends(group)

    def _ends(self, group: Group) -> bool:
        """True if a workgroup is done in time, however often its loops run."""
        count = dims.product(group.coordinates)
        fixed = dict.fromkeys((k.name for k in group.kernels), count)
        return narrow_time(group.steps, 1, fixed, most_iterations) <= 2 * LONGEST

    def _is_too_heavy(self, position: int) -> bool:
        """True if a workgroup would take too long for a kernel, whatever it shares it with."""
        if position not in self.heavy:
            step = self.steps[position]
            time = self._together(position, position + 1)[1]
            self.heavy[position] = isinstance(step, Kernel) and time > wide_time(step) + HOPELESS
        return self.heavy[position]

    def _together(self, start: int, end: int) -> tuple[Group, float]:
        """Steps in one dispatch; it takes forever if it leaves a symbolic size to one workgroup."""
        steps = tuple(self.steps[start:end])
        found = worth_splitting(steps, coordinates(steps))
        inside = set(range(start, end))
        group = Group(
            steps,
            False,
            tuple(c.extent for c in found),
            {k.name: tuple(c.axes[k.name] for c in found) for k in kernels(steps)},
            tuple(b for b, where in self.touched.items() if where <= inside),
        )
        if not all(_is_bounded(k, found) for k in group.kernels):
            return group, math.inf
        time = narrow_time(steps, dims.product(group.coordinates), _shares(steps, found))
        return group, time + DISPATCH


def worth_splitting(steps: Sequence[Step], found: list[Coordinate]) -> list[Coordinate]:
    """The coordinates but those after the first that leave a workgroup too little to do."""
    most = max((hinted(k.size) for k in kernels(tuple(steps))), default=1)
    while len(found) > 1 and most < ENOUGH_POINTS * hinted(dims.product(c.extent for c in found)):
        found = found[:-1]
    return found


def _is_connected(group: Group) -> bool:
    """True if data flows between all steps: dispatches that share none may overlap anyhow."""
    written = set(group.writes)
    rest = [{b for k in kernels((s,)) for b in (*k.reads, *k.writes)} for s in group.steps]
    reached = rest.pop() & written
    while (near := next((r for r in rest if r & reached), None)) is not None:
        rest.remove(near)
        reached |= near & written
    return not rest


def _shares(steps: Sequence[Step], found: Sequence[Coordinate]) -> dict[str, Dim]:
    """How many of each kernel's points are other workgroups' for one of a workgroup's."""
    count = dims.product(c.extent for c in found)
    return dict.fromkeys((k.name for k in kernels(tuple(steps))), count)


def _is_bounded(kernel: Kernel, found: Sequence[Coordinate]) -> bool:
    fixed = {c.axes[kernel.name] for c in found}
    return all(isinstance(a.extent, int) or a.symbol.name in fixed for a in kernel.axes)


def sink_initialisers(steps: Sequence[Step]) -> list[Step]:
    """Kernels that read nothing move to right before what they initialise."""
    out = list(steps)
    for step in reversed(steps):
        if not isinstance(step, Kernel) or step.reads:
            continue
        at = out.index(step)
        later = range(at + 1, len(out))
        first = next((k for k in later if _meets(out[k], step.writes)), None)
        if first is not None:
            out.insert(first - 1, out.pop(at))
    return out


def _meets(step: Step, buffers: Sequence[Buffer]) -> bool:
    return any(b in buffers for k in kernels((step,)) for b in (*k.reads, *k.writes))
