"""Entries to WGSL and plans: what the session binds, and the dispatches of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.dims_js import dims_function
from webconv.backends.kernel import Buffer, Entry, Loop, Step
from webconv.backends.legalise import WEBGPU, element, legalise
from webconv.backends.plan import hinted, plan_slots
from webconv.backends.webgpu.groups import Group, Planned, Repeat, groups, plan_groups
from webconv.backends.webgpu.library import Library, WeightPool
from webconv.backends.webgpu.scratch import share_temporaries
from webconv.backends.webgpu.shader import Names, Range, ShaderBuilder
from webconv.backends.webgpu.threads import Place
from webconv.backends.webgpu.variants import Variant, in_chunks, variants
from webconv.ir import dims
from webconv.ir.dims import Dim, Shape, Symbol
from webconv.ir.graph import Program

PREFIXES = {"input": "in", "output": "out", "state": "state", "temp": "tmp"}
WORD = 4


def compile(program: Program, entries: Mapping[str, Entry], weights: Weights) -> Compiled:
    """The WebGPU part of a bundle; its descriptor is the `Section` of `webgpu.d.ts`."""
    pool, library = WeightPool(weights), Library()
    states = [s.name for s in program.states]
    described, stats = [], {}
    for name, entry in entries.items():
        legal = legalise(entry, WEBGPU)
        forms = variants(replace(legal, steps=in_chunks(legal.steps)))
        plans = [Plan(form, pool, library, states) for form in forms]
        described.append(describe_entry(entry, plans))
        stats[name] = {"dispatches": plans[0].dispatches, "peak_bytes": plans[0].nbytes}
    descriptor = {"weights": pool.ends, "shaders": library.shaders, "entries": described}
    figures = {key: {n: s[key] for n, s in stats.items()} for key in ("dispatches", "peak_bytes")}
    return Compiled("webgpu", {}, descriptor, {"kernels": len(library.shaders), **figures})


def describe_entry(entry: Entry, plans: Sequence[Plan]) -> dict[str, Any]:
    """The `EntrySection` of `webgpu.d.ts`."""
    return {
        "symbols": list(entry.symbols),
        "inputs": dims_function([_count(shape) for _, shape in entry.inputs.values()]),
        "lengths": dims_function([_count(shape) for _, shape in entry.outputs.values()]),
        "variants": [plan.describe() for plan in plans],
    }


class Plan:
    """One variant of an entry: its dispatches and what they bind."""

    def __init__(
        self, variant: Variant, pool: WeightPool, library: Library, states: Sequence[str]
    ) -> None:
        self.variant = variant
        self.entry = variant.entry
        self.pool = pool
        self.library = library
        self.resources = _resources(self.entry, states)
        kept = [b for b, _ in self.entry.outputs.values()]
        planned = within_limits(plan_groups(self.entry.steps, WEBGPU, kept))
        self.dispatches = sum(map(count_dispatches, planned))
        dispatched = as_dispatched(self.entry, planned)
        self.slots = plan_slots(dispatched, dict.fromkeys(dispatched.buffers, ""))
        self.depth = 0
        self.steps = [self._step(p, ()) for p in planned]

    @property
    def nbytes(self) -> int:
        """Bytes of all slots at the hint sizes."""
        return sum(max(map(hinted, sizes)) * WORD for sizes in self.slots.sizes)

    def describe(self) -> dict[str, Any]:
        """The `VariantSection` of `webgpu.d.ts`."""
        return {
            "ones": dims_function(self.variant.ones),
            "loops": self.depth,
            "slots": dims_function([_largest(sizes) for sizes in self.slots.sizes]),
            "outputs": [self.slots.slot[b] for b, _ in self.entry.outputs.values()],
            "steps": self.steps,
        }

    def _step(self, planned: Planned, loops: tuple[str, ...]) -> Any:
        if isinstance(planned, Repeat):
            inner = (*loops, planned.index.name)
            self.depth = max(self.depth, len(inner))
            body = [self._step(p, inner) for p in planned.body]
            return {"index": planned.index.name, "count": planned.count, "body": body}
        ranges = self._ranges(planned)
        shader = ShaderBuilder(planned, ranges, self._sizes(loops)).build()
        position = self.library.add(shader, ranges)
        return [position, shader.workgroups, [self._resource(r) for r in ranges]]

    def _sizes(self, loops: tuple[str, ...]) -> dict[str, str]:
        """The members of the uniform block: symbols, then the loops from outside in."""
        names = Names()
        members = {s: names.make("n", s) for s in self.entry.symbols}
        return members | {s: f"loop{k}" for k, s in enumerate(loops)}

    def _ranges(self, group: Group) -> list[Range]:
        """A range for all weights that lie in one GPU buffer, and one for each other buffer."""
        names = Names()
        weights: dict[int, list[Buffer]] = {}
        ranges = []
        for b in dict.fromkeys((*group.reads, *group.writes)):
            if b.data is not None:
                weights.setdefault(self.pool.find(b)[0], []).append(b)
                continue
            name = names.make(PREFIXES[b.kind], b.name.removesuffix(".t"))
            ranges.append(Range(name, {b: Place()}, element(b), b in group.writes))
        for k in sorted(weights):
            ranges.append(self._weight_range(names.make("weights", ""), weights[k]))
        return ranges

    def _weight_range(self, name: str, buffers: Sequence[Buffer]) -> Range:
        first = min(self.pool.find(b)[1] for b in buffers)
        places = {}
        for b in buffers:
            base = (self.pool.find(b)[1] - first) // WORD
            # 64-bit integers are stored whole; their low halves are read.
            places[b] = Place(base, 2 if b.compute in ("i64", "u64") else 1)
        kinds = {element(b) for b in buffers}
        return Range(name, places, kinds.pop() if len(kinds) == 1 else "u32", False)

    def _resource(self, r: Range) -> list[Any]:
        """The `Resource` of `webgpu.d.ts`."""
        first = next(iter(r.places))
        if first.data is not None:
            found = [self.pool.find(b) for b in r.places]
            start = min(offset for _, offset, _ in found)
            end = max(offset + size for _, offset, size in found)
            return ["weights", found[0][0], start, -(-(end - start) // 16) * 16]
        return self.resources.get(first) or ["slot", self.slots.slot[first]]


def _resources(entry: Entry, states: Sequence[str]) -> dict[Buffer, list[Any]]:
    """What inputs and states are to the session."""
    found: dict[Buffer, list[Any]] = {}
    for k, (buffer, _) in enumerate(entry.inputs.values()):
        found[buffer] = ["input", k]
    for name, buffer in entry.reads.items():
        found[buffer] = ["state", states.index(name)]
    for name, buffer in entry.writes.items():
        found[buffer] = ["next", states.index(name)]
    return found


def within_limits(planned: Sequence[Planned]) -> tuple[Planned, ...]:
    """Groups that bind too much get one buffer for some of their temporaries."""
    return tuple(
        replace(p, body=within_limits(p.body))
        if isinstance(p, Repeat)
        else share_temporaries(p, WEBGPU)
        for p in planned
    )


def count_dispatches(planned: Planned) -> int:
    """Dispatches of a run at the hint sizes."""
    if isinstance(planned, Group):
        return 1
    return hinted(planned.count) * sum(map(count_dispatches, planned.body))


def as_dispatched(entry: Entry, planned: Sequence[Planned]) -> Entry:
    """The entry with a step for each dispatch: what one dispatch touches lives at the same time."""
    steps = (Loop(Symbol("%dispatch"), 1, tuple(_steps(p))) for p in planned)
    return replace(entry, steps=tuple(steps))


def _steps(planned: Planned) -> Iterator[Step]:
    for group in groups((planned,)):
        yield from group.steps


def _count(shape: Shape) -> Dim:
    return dims.product(shape)


def _largest(sizes: Sequence[Dim]) -> Dim:
    largest = sizes[0]
    for d in sizes[1:]:
        largest = dims.maximum(largest, d)
    return largest
