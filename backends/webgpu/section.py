"""Entries to WGSL and a plan: what the session binds, and the dispatches of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.dims_js import dims_function
from webconv.backends.kernel import Buffer, Entry, Loop, Step
from webconv.backends.legalise import WEBGPU, element, legalise
from webconv.backends.plan import hinted, plan_slots
from webconv.backends.webgpu.groups import Group, Planned, Repeat, groups, plan_groups
from webconv.backends.webgpu.scratch import share_temporaries
from webconv.backends.webgpu.shader import Names, Range, Shader, ShaderBuilder
from webconv.backends.webgpu.threads import Place
from webconv.ir import dims
from webconv.ir.dims import Dim, Shape, Symbol
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Program

PREFIXES = {"input": "in", "output": "out", "state": "state", "temp": "tmp"}
WORD = 4


def compile(program: Program, entries: Mapping[str, Entry], weights: Weights) -> Compiled:
    """The WebGPU part of a bundle; its descriptor is what `session-webgpu.js` reads."""
    pool = WeightPool(weights)
    library = Library()
    states = [s.name for s in program.states]
    legal = [legalise(e, WEBGPU) for e in entries.values()]
    compilers = [EntryCompiler(e, pool, library, states) for e in legal]
    descriptor = {
        "weights": pool.ends,
        "shaders": library.shaders,
        "entries": [c.descriptor() for c in compilers],
    }
    stats = {
        "kernels": len(library.shaders),
        "dispatches": {c.entry.name: c.dispatches for c in compilers},
        "peak_bytes": {c.entry.name: c.bytes for c in compilers},
    }
    return Compiled("webgpu", {}, descriptor, stats)


class WeightPool:
    """The GPU buffers that hold the weights: whole files, as many as one binding takes."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.ends: list[int] = []
        start = end = 0
        for shard in weights.shards():
            if end > start and end + len(shard) - start > WEBGPU.binding_bytes:
                self.ends.append(end)
                start = end
            end += len(shard)
        if end:
            self.ends.append(end)

    def find(self, buffer: Buffer) -> tuple[int, int, int]:
        """(GPU buffer, first byte in it, bytes)."""
        segment = self.weights.segments[buffer]
        if segment.nbytes > WEBGPU.binding_bytes:
            raise UnsupportedError(
                f"{buffer.name}: a weight may have {WEBGPU.binding_bytes} bytes on WebGPU, "
                f"but it has {segment.nbytes}"
            )
        starts = [0, *self.ends]
        index = max(k for k, start in enumerate(starts[:-1]) if start <= segment.offset)
        return index, segment.offset - starts[index], segment.nbytes


class Library:
    """All shaders; those that differ in names alone are one."""

    def __init__(self) -> None:
        self.shaders: list[dict[str, Any]] = []
        self._known: dict[str, int] = {}

    def add(self, shader: Shader, ranges: Sequence[Range]) -> int:
        """The position of a shader."""
        key = _anonymous(shader)
        if key not in self._known:
            self._known[key] = len(self.shaders)
            kinds = "".join("w" if r.writable else "r" for r in ranges)
            self.shaders.append(
                {"code": shader.code, "binds": ("u" if shader.uses_sizes else "-") + kinds}
            )
        return self._known[key]


def _anonymous(shader: Shader) -> str:
    """A shader's code without comments, its names numbered."""
    numbers = {name: f"N{k}" for k, name in enumerate(shader.names)}
    code = re.sub(r"//.*", "", shader.code)
    return re.sub(r"\w+", lambda m: numbers.get(m[0], m[0]), code)


class EntryCompiler:
    """One entry: its dispatches and what they bind."""

    def __init__(
        self, entry: Entry, pool: WeightPool, library: Library, states: Sequence[str]
    ) -> None:
        self.entry = entry
        self.pool = pool
        self.library = library
        kept = [b for b, _ in entry.outputs.values()]
        self.planned = within_limits(plan_groups(entry.steps, WEBGPU, kept))
        self.resources = self._resources(states)
        dispatched = as_dispatched(entry, self.planned)
        self.slots = plan_slots(dispatched, dict.fromkeys(dispatched.buffers, ""))
        self.dispatches = 0
        self.depth = 0
        self.steps = [self._step(p, ()) for p in self.planned]

    def _resources(self, states: Sequence[str]) -> dict[Buffer, list[Any]]:
        """What inputs and states are to the session."""
        found: dict[Buffer, list[Any]] = {}
        for k, (buffer, _) in enumerate(self.entry.inputs.values()):
            found[buffer] = ["input", k]
        for name, buffer in self.entry.reads.items():
            found[buffer] = ["state", states.index(name)]
        for name, buffer in self.entry.writes.items():
            found[buffer] = ["next", states.index(name)]
        return found

    @property
    def bytes(self) -> int:
        """Bytes of all slots at the hint sizes."""
        return sum(max(map(hinted, sizes)) * WORD for sizes in self.slots.sizes)

    def descriptor(self) -> dict[str, Any]:
        """What the session needs of it."""
        slots = [_largest(sizes) for sizes in self.slots.sizes]
        return {
            "symbols": list(self.entry.symbols),
            "loops": self.depth,
            "slots": dims_function(slots),
            "inputs": dims_function([_count(s) for _, s in self.entry.inputs.values()]),
            "outputs": [self.slots.slot[b] for b, _ in self.entry.outputs.values()],
            "lengths": dims_function([_count(s) for _, s in self.entry.outputs.values()]),
            "steps": self.steps,
        }

    # -- steps -----------------------------------------------------------------------------------

    def _step(self, planned: Planned, loops: tuple[str, ...]) -> Any:
        if isinstance(planned, Repeat):
            inner = (*loops, planned.index.name)
            self.depth = max(self.depth, len(inner))
            return {
                "index": planned.index.name,
                "count": planned.count,
                "body": [self._step(p, inner) for p in planned.body],
            }
        ranges = self._ranges(planned)
        sizes = self._sizes(loops)
        shader = ShaderBuilder(planned, ranges, sizes).build()
        position = self.library.add(shader, ranges)
        return [position, shader.workgroups, [self._bind(r) for r in ranges]]

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
            stride = b.compute == "i64"  # stored whole; GPUs read the low half
            places[b] = Place((self.pool.find(b)[1] - first) // WORD, 2 if stride else 1)
        kinds = {element(b) for b in buffers}
        return Range(name, places, kinds.pop() if len(kinds) == 1 else "u32", False)

    def _bind(self, r: Range) -> list[Any]:
        """The resource of a range."""
        first = next(iter(r.places))
        if first.data is not None:
            found = [self.pool.find(b) for b in r.places]
            start = min(offset for _, offset, _ in found)
            end = max(offset + size for _, offset, size in found)
            return ["weights", found[0][0], start, -(-(end - start) // 16) * 16]
        if first in self.resources:
            return self.resources[first]
        return ["slot", self.slots.slot[first]]


def within_limits(planned: Sequence[Planned]) -> tuple[Planned, ...]:
    """Groups that bind too much get one buffer for their own temporaries."""
    return tuple(
        replace(p, body=within_limits(p.body))
        if isinstance(p, Repeat)
        else share_temporaries(p, WEBGPU)
        for p in planned
    )


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

