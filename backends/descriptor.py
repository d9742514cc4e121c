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
from webconv.ir.graph import Program, State, Value

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
    """The entries' symbols, inputs, outputs, guards and states."""
    states = [s.name for s in program.states]
    out = []
    for name in entries:
        graph, entry = program.entries[name], entries[name]
        inputs = []
        for key, value in graph.inputs.items():
            vocabulary = vocabularies.get((name, key))
            known = {} if vocabulary is None else {"vocabulary": vocabulary}
            inputs.append(_tensor(key, value) | known)
        out.append(
            {
                "name": name,
                "symbols": list(entry.symbols),
                "inputs": inputs,
                "outputs": [_tensor(key, value) for key, value in graph.outputs.items()],
                "guards": [list(pair) for pair in entry.guards],
                "reads": [states.index(s) for s in entry.reads],
                "writes": [states.index(s) for s in entry.writes],
            }
        )
    return out


def _tensor(name: str, value: Value) -> dict[str, Any]:
    return {"name": name, "dtype": value.type.dtype.name, "shape": list(value.shape)}


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
    if state.initial is not None and np.any(state.initial):
        data = [x.item() for x in state.initial.ravel()]
        out["initial"] = {"data": data, "shape": list(state.initial.shape)}
    return out


def _batch(program: Program) -> Dim:
    """The batch's size: the symbol `batch`, or the first axis of the first input."""
    first = next((v.shape for g in program.entries.values() for v in g.inputs.values()), ())
    symbols = {s for g in program.entries.values() for s in g.symbols}
    return dims.symbol("batch") if "batch" in symbols or not first else first[0]


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
