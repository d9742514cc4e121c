"""Kernels that write parts of one buffer become one kernel that picks the part.

A draw computes whole texels of its target, and parts may meet within a texel. With more inputs than
a shader may read, partial results are passed on through temporaries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from webconv.backends.expr import Const, Expr, Load, select, substitute, walk
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store
from webconv.backends.tensor import guarded
from webconv.backends.webgl.placement import Inverse, coordinates, holds, invert, names
from webconv.ir.errors import GraphError

MOST_SAMPLERS = 16


@dataclass(frozen=True)
class Part:
    """One of several stores to a buffer, in the list of steps at `position`."""

    position: int
    kernel: Kernel
    store: Store


def merged(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps with each buffer written by one kernel; loops' bodies for themselves."""
    parts: dict[Buffer, list[Part]] = defaultdict(list)
    for position, step in enumerate(steps):
        if isinstance(step, Kernel):
            for store in step.stores:
                if store.buffer.ring == 1:
                    parts[store.buffer].append(Part(position, step, store))
    several = {b: p for b, p in parts.items() if len(p) > 1}
    out: list[Step] = []
    for position, step in enumerate(steps):
        if isinstance(step, Loop):
            out.append(replace(step, body=merged(step.body)))
            continue
        own = tuple(s for s in step.stores if s.buffer not in several)
        if own:
            out.append(replace(step, stores=own))
        for found in several.values():
            if found[-1].position == position:
                out += _merge(found)
    return tuple(out)


def _merge(parts: Sequence[Part]) -> Iterator[Kernel]:
    """One kernel for all parts, or a chain of kernels if they read too much."""
    target = parts[0].store
    before: Buffer | None = None
    groups = _groups(parts)
    for k, group in enumerate(groups):
        last = k == len(groups) - 1
        name = f"{target.buffer.name}.part{k}"
        into = target.buffer if last else Buffer(name, target.buffer.dtype, target.shape)
        yield _pick(group, into, before)
        before = into


def _groups(parts: Sequence[Part]) -> list[list[Part]]:
    groups: list[list[Part]] = [[]]
    reads: set[tuple[Buffer, object]] = set()
    for part in parts:
        own = {(e.buffer, e.ring) for e in walk(*part.store.exprs) if isinstance(e, Load)}
        if groups[-1] and len(reads | own) >= MOST_SAMPLERS:
            groups.append([])
            reads = set()
        groups[-1].append(part)
        reads |= own
    return groups


def _pick(parts: Sequence[Part], into: Buffer, before: Buffer | None) -> Kernel:
    """Element by element, the last part that has it, or else what was there before."""
    target = parts[0].store
    coords = coordinates(target, f"{into.name}.")
    place = tuple(0 if c.extent == 1 else c.index for c in coords)
    kind = target.value.type
    zero = Const({"f32": 0.0, "bool": False}.get(kind, 0), kind)
    value: Expr = zero if before is None else Load(before, target.shape, place, None, None, kind)
    for part in parts:
        if part.store.shape != target.shape:
            raise GraphError(f"{into.name} is written under different shapes")
        value = _chosen(part, coords, value)
    live = tuple(c for c in coords if c.extent != 1)
    store = Store(into, target.shape, place, value)
    return Kernel(parts[-1].kernel.name, live, (store,), parts[-1].kernel.computes)


def _chosen(part: Part, coords: tuple[Axis, ...], other: Expr) -> Expr:
    inverse = invert(part.store, dict(names(part.kernel.axes)), coords)
    if inverse is None:
        raise GraphError(
            f"{part.kernel.name}: no element can tell its point from {part.store.index}"
        )
    conditions = [resolved(c, inverse) for c in inverse.conditions]
    if part.store.guard is not None:
        conditions.append(resolved(part.store.guard, inverse))
    value = resolved(part.store.value, inverse)
    condition = holds(conditions)
    return value if condition is None else select(condition, guarded(value, condition), other)


def resolved(e: Expr, inverse: Inverse) -> Expr:
    """`e` in terms of coordinates."""
    for name in reversed(inverse.solution):
        e = substitute(e, {name: inverse.solution[name]})
    return e
