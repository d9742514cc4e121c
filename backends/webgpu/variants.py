"""Loops in chunks, so that no dispatch takes long, and forms of an entry for short loops.

A dispatch that runs for seconds is ended by the system, and the device is lost with it. So a loop
that may be long becomes a loop of chunks. At most sizes there is one chunk: then that is no loop,
and what is before, in and after it may share dispatches. Which form fits, the session finds when it
binds sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from webconv.backends.expr import Index, substitute
from webconv.backends.kernel import Axis, Entry, Loop, Step, Store
from webconv.backends.plan import hinted
from webconv.backends.webgpu.cost import LONGEST, narrow_time
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol


@dataclass(frozen=True)
class Variant:
    """An entry for the sizes at which each of `ones` is 1."""

    entry: Entry
    ones: tuple[Dim, ...]


def variants(entry: Entry) -> list[Variant]:
    """The best form first; the last one is for all sizes."""
    general = Variant(entry, ())
    ones = tuple(dict.fromkeys(s.count for s in entry.steps if _is_once(s)))  # type: ignore[union-attr]
    if not ones:
        return [general]
    steps = tuple(new for s in entry.steps for new in _unrolled(s))
    return [Variant(replace(entry, steps=steps), ones), general]


def in_chunks(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Loops that may take longer than LONGEST become loops of loops."""
    return tuple(_in_chunks(s) if isinstance(s, Loop) else s for s in steps)


def _in_chunks(loop: Loop) -> Loop:
    body = in_chunks(loop.body)
    if any(isinstance(s, Loop) for s in body):
        return replace(loop, body=body)
    iteration = narrow_time(body, 1, {})
    most = max(1, int(LONGEST / iteration))
    if dims.bounds(loop.count)[1] * iteration <= LONGEST:
        return loop
    count = dims.ceildiv(loop.count, most)
    chunk = Symbol(f"{loop.index.name}c", count)
    start = dims.atom(chunk) * most
    index = Symbol(f"{loop.index.name}k", most)
    shifted = {loop.index.name: start + dims.atom(index)}
    inner = dims.minimum(most, loop.count - start)
    return Loop(chunk, count, (Loop(index, inner, tuple(_at(s, shifted) for s in body)),))


def _is_once(step: Step) -> bool:
    """True for a loop that at the hint sizes, but not at all sizes, runs once."""
    return isinstance(step, Loop) and not isinstance(step.count, int) and hinted(step.count) == 1


def _unrolled(step: Step) -> tuple[Step, ...]:
    if not (isinstance(step, Loop) and _is_once(step)):
        return (step,)
    first: dict[str, Dim] = {step.index.name: 0}
    return tuple(_at(s, first) for s in step.body)


def _at(step: Step, values: dict[str, Dim]) -> Step:
    """A step with loop indices replaced."""

    def dim(d: Dim) -> Dim:
        new = substitute(Index(d), values)
        assert isinstance(new, Index)
        return new.dim

    def store(s: Store) -> Store:
        guard = None if s.guard is None else substitute(s.guard, values)
        ring = None if s.ring is None else dim(s.ring)
        index = tuple(map(dim, s.index))
        return Store(s.buffer, s.shape, index, substitute(s.value, values), guard, ring)

    if isinstance(step, Loop):
        body = tuple(_at(s, values) for s in step.body)
        return replace(step, count=dim(step.count), body=body)
    axes = tuple(Axis(a.symbol, dims.bind(a.extent, values)) for a in step.axes)
    return replace(step, axes=axes, stores=tuple(map(store, step.stores)))
