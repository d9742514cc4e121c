"""The session's section of the descriptor: programs, textures, and the draws in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webconv.backends.compiled import Weights
from webconv.backends.kernel import Buffer, Entry, Loop, Step
from webconv.backends.plan import plan_slots
from webconv.backends.webgl.draws import Draw, draws
from webconv.backends.webgl.shader import PROLOGUE, Shader, element, shader
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

    def describe(self, entries: Iterable[tuple[Entry, Collection[Buffer]]]) -> dict[str, Any]:
        """The whole section; an entry comes with the buffers that have a block per iteration."""
        described = [self._entry(e, history) for e, history in entries]
        return {
            "prologue": PROLOGUE,
            "programs": list(self.programs.values()),
            "weights": list(self.used.values()),
            "entries": described,
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
                "sizes": len(made.symbols),
                "code": made.code,
            }
        return list(self.programs).index(made.key), made

    def _entry(self, entry: Entry, history: Collection[Buffer]) -> dict[str, Any]:
        places = Places(self, entry, history)
        steps = self._steps(entry.steps, places)
        return {
            "textures": places.describe(),
            "inputs": [places.of(b) for b, _ in entry.inputs.values()],
            "outputs": [places.of(b) for b, _ in entry.outputs.values()],
            "steps": steps,
        }

    def _steps(self, steps: Iterable[Step], places: Places) -> list[dict[str, Any]]:
        described = []
        for step in steps:
            if isinstance(step, Loop):
                body = self._steps(step.body, places)
                described.append({"loop": step.index.name, "count": step.count, "steps": body})
            else:
                described += [self._draw(d, places) for d in draws(step, places.history)]
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
    """The textures of an entry; buffers whose lives do not meet share one."""

    def __init__(self, section: Section, entry: Entry, history: Collection[Buffer]) -> None:
        self.section, self.history = section, history
        self._states = {b: {"read": k} for k, b in _states(section.program, entry.reads)}
        self._states |= {b: {"next": k} for k, b in _states(section.program, entry.writes)}
        kinds = {b: self._kind(b) for b in entry.buffers}
        self._slots = plan_slots(entry, kinds)
        self._position: dict[object, int] = {}
        self._found: list[dict[str, Any]] = []

    def _kind(self, buffer: Buffer) -> str:
        blocks = "blocks" if buffer in self.history else ""
        return f"{element(buffer)} {buffer.ring} {blocks}"

    def of(self, buffer: Buffer) -> int:
        """The position of a buffer's texture."""
        key: object = self._slots.slot.get(buffer, buffer)
        if key not in self._position:
            self._position[key] = len(self._found)
            self._found.append(self._description(buffer))
        sizes = self._found[self._position[key]].get("sizes")
        if sizes is not None and buffer.size not in sizes:
            sizes.append(buffer.size)
        return self._position[key]

    def _description(self, buffer: Buffer) -> dict[str, Any]:
        if buffer.kind == "weight":
            return {"weight": self.section.weight(buffer)}
        if buffer in self._states:
            return dict(self._states[buffer])
        ints = element(buffer) != "f32"
        copies = buffer.ring
        return {"ints": ints, "copies": copies, "line": buffer.kind == "input", "sizes": []}

    def describe(self) -> list[dict[str, Any]]:
        """All textures in order."""
        return self._found


def _states(program: Program, buffers: Mapping[str, Buffer]) -> list[tuple[int, Buffer]]:
    names = [s.name for s in program.states]
    return [(names.index(name), b) for name, b in buffers.items()]

