"""Which kernels run in one dispatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Union

from webconv.backends.kernel import Buffer, Kernel, Loop, Step, kernels
from webconv.ir.dims import Dim, Symbol


@dataclass(frozen=True)
class Group:
    """Kernels, and loops of kernels, that run in one dispatch.

    A `wide` group is one kernel, its points spread over as many workgroups as it takes. Any other
    has one workgroup for each point of `coordinates`, which runs all kernels with barriers
    between; `fixed` names the axes of each kernel that the coordinates stand for.
    """

    steps: tuple[Step, ...]
    wide: bool = True
    coordinates: tuple[Dim, ...] = ()
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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


@dataclass(frozen=True)
class Repeat:
    """Groups that the host dispatches `count` times, with `index` among the sizes."""

    index: Symbol
    count: Dim
    body: tuple[Planned, ...]


Planned = Union[Group, Repeat]


def groups(planned: tuple[Planned, ...]) -> Iterator[Group]:
    """All groups, those in repetitions included."""
    for p in planned:
        if isinstance(p, Repeat):
            yield from groups(p.body)
        else:
            yield p


def plan_groups(steps: tuple[Step, ...]) -> tuple[Planned, ...]:
    """The dispatches of an entry."""
    out: list[Planned] = []
    for step in steps:
        if isinstance(step, Loop):
            out.append(Repeat(step.index, step.count, plan_groups(step.body)))
        else:
            out.append(Group((step,)))
    return tuple(out)
