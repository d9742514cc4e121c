"""The common part of a bundle's descriptor: what the runner knows of a model.

`runtime_js/src/types.d.ts` says what each field means (`Model`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.backends.compiled import Weights
from webconv.backends.kernel import Entry, Kernel, Loop, Step
from webconv.backends.plan import hinted
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.graph import Program, State
from webconv.ir.lists import Lists
from webconv.ir.op import TensorType
from webconv.ir.schedule import Binding, Block, Branch, Read, Repeat, Run
from webconv.ir.schedule import Step as ScheduleStep

FORMAT = 1

# Vocabularies by entry and input.
Vocabularies = Mapping[tuple[str, str], int]

# Multiplications and additions above which a GPU is tried first: about a read-back's worth of wasm.
GPU_WORK = 5e8


def ordered_entries(names: Iterable[str]) -> list[str]:
    """`main` first, then the others in order."""
    return sorted(names, key=lambda name: name != "main")


def describe_entries(
    program: Program, entries: Mapping[str, Entry], vocabularies: Vocabularies
) -> list[dict[str, Any]]:
    """The entries' symbols, inputs, outputs, guards and states; those in stages come last.

    Stages are entries too, so that their positions are those in the backends' sections; they are
    hidden from pages.
    """
    states = [s.name for s in program.states]
    stages = {stage for s in program.schedules.values() for stage in s.stages}
    out = []
    for name in entries:
        graph, entry = program.entries[name], entries[name]
        described = {
            "name": name,
            **({"hidden": True} if name in stages else {}),
            "symbols": list(entry.symbols),
            "inputs": _inputs(name, {n: v.type for n, v in graph.inputs.items()}, vocabularies),
            **_values(graph.inputs, graph.value_symbols),
            "outputs": [_tensor(key, value.type) for key, value in graph.outputs.items()],
            "guards": [list(pair) for pair in entry.guards],
            "reads": [states.index(s) for s in entry.reads],
            "writes": [states.index(s) for s in entry.writes],
        }
        out.append(_with_lists(described, graph.lists))
    for name, schedule in program.schedules.items():
        own = [entries[stage] for stage in schedule.stages]
        described = {
            "name": name,
            "symbols": list(schedule.symbols),
            "inputs": _inputs(name, schedule.inputs, vocabularies),
            **_values(schedule.inputs, schedule.values),
            "outputs": [_tensor(key, t) for key, t in schedule.outputs.items()],
            "guards": [list(pair) for pair in schedule.guards],
            "reads": sorted({states.index(s) for e in own for s in e.reads}),
            "writes": sorted({states.index(s) for e in own for s in e.writes}),
            "schedule": describe_block(schedule.block, list(entries)),
        }
        out.append(_with_lists(described, schedule.lists))
    return out


def _inputs(
    entry: str, types: Mapping[str, TensorType], vocabularies: Vocabularies
) -> list[dict[str, Any]]:
    out = []
    for key, t in types.items():
        vocabulary = vocabularies.get((entry, key))
        known = {} if vocabulary is None else {"vocabulary": vocabulary}
        out.append(_tensor(key, t) | known)
    return out


def _with_lists(entry: dict[str, Any], lists: Lists) -> dict[str, Any]:
    """An entry whose lists say at which position the input with their lengths is."""
    order = [t["name"] for t in entry["inputs"]]
    known = (
        ("inputs", lists.inputs, "least", lists.least),
        ("outputs", lists.outputs, "more", lists.more),
    )

    def described(
        t: dict[str, Any], own: Mapping[str, str], key: str, numbers: Mapping[str, int]
    ) -> dict[str, Any]:
        name = t["name"]
        lengths = {"lengths": order.index(own[name])} if name in own else {}
        return t | lengths | ({key: numbers[name]} if name in numbers else {})

    found = {
        kind: [described(t, own, key, numbers) for t in entry[kind]]
        for kind, own, key, numbers in known
    }
    return entry | found


def _values(inputs: Iterable[str], values: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """The symbols that elements of inputs are: [symbol, position of the input, element]."""
    order = list(inputs)
    found = [[symbol, order.index(name), k] for symbol, (name, k) in values.items()]
    return {"values": found} if found else {}


def describe_block(block: Block, stages: Sequence[str]) -> dict[str, Any]:
    """A schedule's block as `Block` of types.d.ts; stages go by their positions."""
    steps = [_step(step, stages) for step in block.steps]
    return {"steps": steps, "results": list(block.results)}


def _step(step: ScheduleStep, stages: Sequence[str]) -> dict[str, Any]:
    match step:
        case Run(entry=entry, inputs=inputs, outputs=outputs):
            return {"run": stages.index(entry), "inputs": list(inputs), "outputs": list(outputs)}
        case Read(slot=slot, symbols=symbols):
            return {"read": slot, "symbols": list(symbols)}
        case Branch():
            return {
                "branch": step.condition,
                "on": step.on,
                "then": describe_block(step.then, stages),
                "otherwise": describe_block(step.otherwise, stages),
                "outputs": list(step.outputs),
                "bindings": _bindings(step.bindings),
            }
        case Repeat():
            return {
                "repeat": describe_block(step.body, stages),
                "trips": step.trips,
                "condition": step.condition,
                "initial": list(step.initial),
                "parameters": list(step.parameters),
                "outputs": list(step.outputs),
                "stacked": [_tensor("", t) for t in step.stacked],
                "entering": _bindings(step.entering),
                "bindings": _bindings(step.bindings),
            }


def _bindings(bindings: Iterable[Binding]) -> list[list[str | int]]:
    return [[b.symbol, b.slot, b.axis] for b in bindings]


def _tensor(name: str, t: TensorType) -> dict[str, Any]:
    return {"name": name, "dtype": t.dtype.name, "shape": list(t.shape)}


def describe_states(program: Program) -> list[dict[str, Any]]:
    """The states' types, batch axes and initial values."""
    batch = _batch(program)
    return [_state(s, batch) for s in program.states]


def _state(state: State, batch: Dim) -> dict[str, Any]:
    t = state.type
    out: dict[str, Any] = {"name": state.name, "dtype": t.dtype.name, "shape": list(t.shape)}
    axes = [k for k, d in enumerate(t.shape) if d == batch]
    if len(axes) == 1 or (axes and not isinstance(batch, int)):
        out["batchAxis"] = axes[0]
    elif not isinstance(batch, int) and not dims.symbols(*t.shape):
        # One for all rows.
        out["batchAxis"] = None
    if state.initial is not None and np.any(state.initial):
        data = [x.item() for x in state.initial.ravel()]
        out["initial"] = {"data": data, "shape": list(state.initial.shape)}
    return out


def _batch(program: Program) -> Dim:
    """The batch's size: `batch`, or the one symbol that all states have, or the first axis."""
    first = next((v.shape for g in program.entries.values() for v in g.inputs.values()), ())
    symbols = {s for g in program.entries.values() for s in g.symbols}
    symbols |= {s for schedule in program.schedules.values() for s in schedule.symbols}
    if "batch" in symbols:
        return dims.symbol("batch")
    sizes = [s.type.shape for s in program.states if dims.symbols(*s.type.shape)]
    shared = [d for d in (sizes[0] if sizes else ()) if all(d in shape for shape in sizes)]
    if len(open_sizes := [d for d in shared if not isinstance(d, int)]) == 1:
        return open_sizes[0]
    return first[0] if first else dims.symbol("batch")


def default_order(entries: Mapping[str, Entry], backends: Sequence[str]) -> list[str]:
    """The order in which backends are tried: wasm first unless there is work for a GPU.

    A GPU is worth its read-back from some size on; steps of a loop do not fill one.
    """
    most = max((work(e.steps) for e in entries.values()), default=0)
    wanted = ("webgpu", "wasm", "webgl") if most > GPU_WORK else ("wasm", "webgpu", "webgl")
    return [b for b in wanted if b in backends]


def work(steps: Iterable[Step]) -> float:
    """About how many multiplications and additions the steps outside of loops take."""
    return sum(_kernel_work(step) for step in steps if not isinstance(step, Loop))


def _kernel_work(kernel: Kernel) -> float:
    from webconv.backends.expr import Fold

    loops = 1
    for e in kernel.exprs:
        if isinstance(e, Fold):
            loops *= max(1, hinted(_closed(e.extent)))
    return hinted(kernel.size) * loops


def _closed(extent: Dim) -> Dim:
    """An extent that depends on outer loop variables, at their upper bounds."""

    def last(a: dims.Atom) -> Dim | None:
        return a.bound if isinstance(a, dims.Symbol) and a.bound is not None else None

    return dims.substitute(extent, last)


def weights_bytes(weights: Weights) -> int:
    """Bytes of all weights, without the gaps between them."""
    return sum({s.offset: s.nbytes for s in weights.segments.values()}.values())
