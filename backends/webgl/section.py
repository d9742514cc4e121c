"""The session's section of the descriptor: programs, textures, and the draws in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webconv.backends.compiled import Weights
from webconv.backends.kernel import Buffer, Entry, Kernel, Loop, Step, kernels
from webconv.backends.plan import plan_slots
from webconv.backends.webgl.draws import Draw, draws
from webconv.backends.webgl.figures import draws_per_run, texture_bytes
from webconv.backends.webgl.glsl import PROLOGUE, select_programs
from webconv.backends.webgl.shader import Shader, element, shader
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.graph import Program


@dataclass
class Section:
    """Collects programs (each once) and weights over all entries."""

    program: Program
    weights: Weights
    programs: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: dict[tuple[int, bool], dict[str, Any]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def describe(self, entries: Iterable[tuple[Entry, Collection[Buffer]]]) -> dict[str, Any]:
        """The whole section; an entry comes with the buffers that have a block per iteration."""
        self.entries = [self._entry(e, history) for e, history in entries]
        select = {"select": select_programs()} if self.program.states else {}
        return {
            "prologue": PROLOGUE,
            "programs": list(self.programs.values()),
            "weights": list(self.used.values()),
            "entries": self.entries,
            **select,
        }

    def figures(self, entries: Iterable[str]) -> dict[str, Any]:
        """What people want to know of each entry."""
        named = dict(zip(entries, self.entries, strict=True))
        return {
            "draws": {n: draws_per_run(e["steps"]) for n, e in named.items()},
            "peak_bytes": {n: texture_bytes(e) for n, e in named.items()},
        }

    def weight(self, buffer: Buffer) -> int:
        """The position of a weight's texture."""
        segment = self.weights.segments[buffer]
        ints = element(buffer) != "f32"
        key = (segment.offset, ints)
        self.used.setdefault(
            key,
            {
                "offset": segment.offset,
                "elements": segment.array.size,
                "ints": ints,
                "wide": segment.array.itemsize == 8,
            },
        )
        return list(self.used).index(key)

    def shader(self, draw: Draw, history: Collection[Buffer]) -> tuple[int, Shader]:
        """The position of a draw's program, and its shader."""
        made = shader(draw, history)
        if made.key in self.programs:
            known = self.programs[made.key]
            known["code"] = made.code.split("\n", 1)[0] + "\n" + known["code"]
        else:
            self.programs[made.key] = {
                "samplers": made.sampler_names,
                "sizes": list(made.symbols.values()),
                "code": made.code,
            }
        return list(self.programs).index(made.key), made

    def _entry(self, entry: Entry, history: Collection[Buffer]) -> dict[str, Any]:
        made = {k: draws(k, history) for k in kernels(entry.steps)}
        places = Places(self, entry, history, [d for found in made.values() for d in found])
        steps = self._steps(entry.steps, made, places)
        return {
            "textures": places.found,
            "groups": places.groups,
            "inputs": [places.of(b) for b, _ in entry.inputs.values()],
            "outputs": [places.of(b) for b, _ in entry.outputs.values()],
            "steps": steps,
        }

    def _steps(
        self, steps: Iterable[Step], made: Mapping[Kernel, list[Draw]], places: Places
    ) -> list[dict[str, Any]]:
        described = []
        for step in steps:
            if isinstance(step, Loop):
                body = self._steps(step.body, made, places)
                described.append({"loop": step.index.name, "count": step.count, "steps": body})
            else:
                described += [self._draw(d, places) for d in made[step]]
        return described

    def _draw(self, draw: Draw, places: Places) -> dict[str, Any]:
        position, made = self.shader(draw, places.history)
        described: dict[str, Any] = {
            "program": position,
            "texels": draw.texels,
            "sizes": [dims.symbol(name) for name in made.symbols],
            "reads": [_use(places.of(s.buffer), s.ring) for s in made.samplers],
            "writes": [_use(places.of(t.buffer), t.ring) for t in draw.targets],
        }
        return described | ({"stacked": True} if draw.stacked else {})


def _use(place: int, ring: Dim | None) -> list[Any]:
    return [place] if ring in (None, 0) else [place, ring]


class Places:
    """The textures of an entry; buffers whose lives do not meet share one.

    WebGL wants all targets of a draw of equal size, so what is drawn to together forms a group,
    and textures are as large as the largest buffer of their group.
    """

    def __init__(
        self,
        section: Section,
        entry: Entry,
        history: Collection[Buffer],
        all_draws: Sequence[Draw],
    ) -> None:
        self.section, self.history = section, history
        self.found: list[dict[str, Any]] = []
        self.groups: list[list[Dim]] = []
        self._states = {b: {"read": k} for k, b in _states(section.program, entry.reads)}
        self._states |= {b: {"next": k} for k, b in _states(section.program, entry.writes)}
        self._together = _together(all_draws)
        slots = plan_slots(entry, {b: self._kind(b) for b in entry.buffers}).slot
        self._keys: dict[Buffer, object] = {b: slots.get(b, b) for b in entry.buffers}
        self._positions: dict[object, int] = {}
        self._group_of: dict[object, int] = {}

    def _kind(self, buffer: Buffer) -> str:
        """Buffers of one kind may share a texture."""
        blocks = "blocks" if buffer in self.history else ""
        return f"{element(buffer)} {buffer.ring} {blocks} {self._together.get(buffer, '')}"

    def of(self, buffer: Buffer) -> int:
        """The position of a buffer's texture."""
        key = self._keys[buffer]
        if key not in self._positions:
            self._positions[key] = len(self.found)
            self.found.append(self._description(buffer, key))
        position = self._positions[key]
        group = self.found[position].get("group")
        if group is not None and buffer.size not in self.groups[group]:
            self.groups[group].append(buffer.size)
        return position

    def _description(self, buffer: Buffer, key: object) -> dict[str, Any]:
        if buffer.kind == "weight":
            return {"weight": self.section.weight(buffer)}
        if buffer in self._states:
            return dict(self._states[buffer])
        owner = self._together.get(buffer, key)
        if owner not in self._group_of:
            self._group_of[owner] = len(self.groups)
            self.groups.append([])
        described = {"group": self._group_of[owner], "copies": buffer.ring}
        flags = {"ints": element(buffer) != "f32", "line": buffer.kind == "input"}
        return described | {name: True for name, is_set in flags.items() if is_set}


def _together(all_draws: Iterable[Draw]) -> dict[Buffer, str]:
    """A name for each set of buffers that some draws have as targets together."""
    sets: dict[Buffer, set[Buffer]] = {}
    for draw in all_draws:
        buffers = [t.buffer for t in draw.targets]
        if len(buffers) > 1:
            joined = set(buffers).union(*(sets.get(b, ()) for b in buffers))
            sets |= dict.fromkeys(joined, joined)
    return {b: min(x.name for x in found) for b, found in sets.items()}


def _states(program: Program, buffers: Mapping[str, Buffer]) -> list[tuple[int, Buffer]]:
    names = [s.name for s in program.states]
    return [(names.index(name), b) for name, b in buffers.items()]
