"""Memory plans: which buffers share storage.

Lifetimes do not depend on sizes, so one plan serves all sizes. GPU plans are slots, each a resource
as large as the largest of its buffers. wasm plans are offsets: a partial order of buffers, found by
first fit at hint sizes, in which any two that live at the same time lie one above the other; an
offset is then the largest end of those below, which holds at every size.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from webconv.backends.kernel import Buffer, Entry, Kernel, Step, kernels
from webconv.ir import dims
from webconv.ir.dims import Atom, Dim, Symbol

# What a symbol is taken to be while buffers are placed.
HINTS = {"batch": 1}
DEFAULT_HINT = 32


@functools.lru_cache(maxsize=1 << 16)
def hinted(d: Dim) -> int:
    """`d` at the hint sizes, in the first iteration of the loops around it."""

    def value(a: Atom) -> Dim | None:
        if not isinstance(a, Symbol):
            return None
        return HINTS.get(a.name, DEFAULT_HINT) if a.bound is None else 0

    return dims.evaluate(dims.substitute(d, value), {})


def total_size(buffer: Buffer) -> Dim:
    """The number of elements of all copies."""
    return buffer.size * buffer.ring


@dataclass(frozen=True)
class Lifetime:
    """The first and last step at which a buffer holds something that matters."""

    buffer: Buffer
    first: int
    last: int


def lifetimes(entry: Entry) -> list[Lifetime]:
    """Of inputs, temporaries and outputs, by first use; a loop is one step."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for buffer, _ in entry.inputs.values():
        first[buffer] = last[buffer] = -1
    for position, step in enumerate(entry.steps):
        for buffer in _touched(step):
            first.setdefault(buffer, position)
            last[buffer] = position
    for buffer, _ in entry.outputs.values():
        first.setdefault(buffer, -1)
        last[buffer] = len(entry.steps)
    own = (b for b in first if b.kind in ("temp", "input", "output"))
    return sorted((Lifetime(b, first[b], last[b]) for b in own), key=lambda t: t.first)


def _touched(step: Step) -> Iterable[Buffer]:
    found: dict[Buffer, None] = {}
    for kernel in [step] if isinstance(step, Kernel) else kernels((step,)):
        found |= dict.fromkeys((*kernel.reads, *kernel.writes))
    return found


@dataclass(frozen=True)
class Slots:
    """`slot` of each buffer; `sizes[s]` are the element counts whose maximum slot s needs."""

    slot: Mapping[Buffer, int]
    sizes: tuple[tuple[Dim, ...], ...]


def plan_slots(entry: Entry, group: Mapping[Buffer, str] | None = None) -> Slots:
    """Temporaries and outputs in slots; only buffers of the same `group` (type) share one.

    Inputs, weights and states have resources of their own.
    """
    slot: dict[Buffer, int] = {}
    sizes: list[list[Dim]] = []
    free: dict[str, list[tuple[int, int]]] = {}
    ends: list[tuple[int, int, str]] = []
    for life in lifetimes(entry):
        buffer = life.buffer
        if buffer.kind == "input":
            continue
        kind = buffer.compute if group is None else group[buffer]
        while ends and ends[0][0] < life.first:
            _, s, of = ends.pop(0)
            bisect.insort(free.setdefault(of, []), (max(map(hinted, sizes[s])), s))
        chosen = _best_fit(free.get(kind, []), hinted(total_size(buffer)))
        if chosen is None:
            chosen = len(sizes)
            sizes.append([])
        if total_size(buffer) not in sizes[chosen]:
            sizes[chosen].append(total_size(buffer))
        slot[buffer] = chosen
        bisect.insort(ends, (life.last, chosen, kind))
    return Slots(slot, tuple(map(tuple, sizes)))


def _best_fit(free: list[tuple[int, int]], size: int) -> int | None:
    """Take the smallest free slot that is large enough, else the largest."""
    if not free:
        return None
    k = min(bisect.bisect_left(free, (size, -1)), len(free) - 1)
    return free.pop(k)[1]


@dataclass(frozen=True)
class Placement:
    """A buffer of `nbytes` bytes that lies above the buffers `below`."""

    buffer: Buffer
    nbytes: Dim
    below: tuple[Buffer, ...]


def plan_offsets(entry: Entry, nbytes: Mapping[Buffer, Dim]) -> list[Placement]:
    """Placements in an order in which `below` comes first; `nbytes` are aligned byte counts."""
    lives = lifetimes(entry)
    # At least 1: what is empty at the hint sizes must keep its place in the order.
    hint = {t.buffer: max(1, hinted(nbytes[t.buffer])) for t in lives}
    placed: dict[Buffer, int] = {}
    alive: list[Lifetime] = []
    order: list[Placement] = []
    for life in lives:
        alive = [t for t in alive if t.last >= life.first]
        alive.sort(key=lambda t: placed[t.buffer])
        start = 0
        below: list[Buffer] = []
        for t in alive:
            if placed[t.buffer] - start >= hint[life.buffer]:
                break
            below.append(t.buffer)
            start = max(start, placed[t.buffer] + hint[t.buffer])
        placed[life.buffer] = start
        order.append(Placement(life.buffer, nbytes[life.buffer], tuple(below)))
        alive.append(life)
    return _above(order, lives, placed)


def _above(
    order: list[Placement], lives: list[Lifetime], placed: Mapping[Buffer, int]
) -> list[Placement]:
    """Also order each buffer that was already there above a later one put beneath it."""
    if all(isinstance(p.nbytes, int) for p in order):
        return order
    below: dict[Buffer, set[Buffer]] = {p.buffer: set(p.below) for p in order}
    index = {t.buffer: k for k, t in enumerate(lives)}
    alive: list[Lifetime] = []
    for life in lives:
        alive = [t for t in alive if t.last >= life.first]
        for t in alive:
            if t.buffer not in below[life.buffer]:
                below[t.buffer].add(life.buffer)
        alive.append(life)
    size = {p.buffer: p.nbytes for p in order}
    key = sorted(below, key=lambda b: (placed[b], index[b]))
    return [Placement(b, size[b], tuple(sorted(below[b], key=lambda x: index[x]))) for b in key]


def peak(placements: Iterable[Placement]) -> int:
    """The end of the highest buffer at the hint sizes."""
    ends: dict[Buffer, int] = {}
    for p in placements:
        ends[p.buffer] = max((ends[b] for b in p.below), default=0) + hinted(p.nbytes)
    return max(ends.values(), default=0)


def lower_bound(entry: Entry, nbytes: Mapping[Buffer, Dim]) -> int:
    """The most bytes that are alive at one step, at the hint sizes."""
    change: dict[int, int] = {}
    for life in lifetimes(entry):
        size = hinted(nbytes[life.buffer])
        change[life.first] = change.get(life.first, 0) + size
        change[life.last + 1] = change.get(life.last + 1, 0) - size
    alive = most = 0
    for _, delta in sorted(change.items()):
        alive += delta
        most = max(most, alive)
    return most
