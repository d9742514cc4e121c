"""`--stateful`: a recurrent layer starts where the last run left it, as Keras's `stateful=True`.

A model that was trained on windows so becomes one that reads step by step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from webconv.frontends import common
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph, Input, Node, Program, State, Value, toposort
from webconv.ir.graph import input as new_input
from webconv.ir.op import Array, TensorType
from webconv.ir.ops.recurrent import Recurrent
from webconv.ir.reference import evaluate
from webconv.passes.substitute import rewire_program

# What the states of RNN, GRU and LSTM are called, as Keras has it.
NAMES = ("h", "c")


def make_stateful(program: Program, layer: str, given: Collection[str] = ()) -> Program:
    """`program` with the states of its layer `layer` carried from run to run.

    They are called `<layer>/h` and, of an LSTM, `<layer>/c`, both [B, H]; where the layer has
    several such operators `<layer>/0/h` and so on. They start at what the initial states are, if
    that is constant. Where it is computed an entry must give it: `given` are the names of what
    entries give. Else ModelFormatError; also for a layer without, or one that runs backwards.
    """
    count = len(_recurrent(program, layer))
    if not count:
        known = ", ".join(name for name in program.layers if _recurrent(program, name))
        rule = f"layer {layer!r} has no LSTM, GRU or RNN whose states could be carried"
        raise ModelFormatError(f"{rule}; such layers are {known}" if known else rule)
    for k in range(count):
        # Found anew, since a change makes new nodes of all that come behind.
        node = _recurrent(program, layer)[k]
        _require_open(program, layer, node)
        program = _carry(program, node, layer if count == 1 else f"{layer}/{k}", given)
    return program


def _recurrent(program: Program, layer: str) -> list[Node]:
    """The recurrent operators of a layer: behind its outputs, and not behind another layer's.

    Where some are called like the layer, it is those: of a loop the layer's outputs are not all.
    """
    own = set(program.layers.get(layer, ()))
    others = {v for values in program.layers.values() for v in values} - own
    reached: set[Node] = set()
    stack = [v.node for v in own]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += [v.node for v in node.inputs if v is not None and v not in others]
    order = toposort(program.layers.get(layer, ()))
    found = [n for n in order if n in reached and isinstance(n.op, Recurrent)]
    return [n for n in found if f"{n.name}/".startswith(f"{layer}/")] or found


def _require_open(program: Program, layer: str, node: Node) -> None:
    """Raise ModelFormatError if the operator's states cannot be carried, or are already."""
    op = node.op
    assert isinstance(op, Recurrent)
    if op.direction != "forward":
        also = "also " if op.direction == "bidirectional" else ""
        rule = f"it {also}runs from the last step to the first, so no state can go on"
        raise ModelFormatError(f"layer {layer!r}: {rule} in the next run")
    reads = {v.node for graph in program.entries.values() for v in graph.reads.values()}
    given = [v for v in op.split(node.inputs)[1] if isinstance(v, Value)]
    if any(n in reads for n in toposort(given)):
        raise ModelFormatError(f"layer {layer!r}: its states are carried already")


def _carry(program: Program, node: Node, name: str, entries_give: Collection[str]) -> Program:
    """`program` with the states of one recurrent operator read and written."""
    op = node.op
    assert isinstance(op, Recurrent)
    fixed, given, mask = op.split(node.inputs)
    x, _, r = fixed[:3]
    assert isinstance(x, Value)
    assert isinstance(r, Value)
    kind = TensorType(x.type.dtype, (x.shape[1], r.shape[-1]))
    names = [f"{name}/{own}" for own in NAMES[: op.states]]
    computed = [n for n, v in zip(names, given, strict=True) if _is_computed(v)]
    _require_given(program, computed, entries_give)
    states = [
        State(n, kind, None if n in computed else _initial(v))
        for n, v in zip(names, given, strict=True)
    ]
    reads = {n: new_input(n, kind) for n in names}
    held = [common.expand_dims(v, 0) for v in reads.values()]
    made = Node(op, (*fixed, *held, mask), node.name)  # type: ignore[arg-type]
    finals = (common.squeeze(v, 0) for v in made.outputs[1:])
    writes = dict(zip(names, finals, strict=True))
    changes = dict(zip(node.outputs, made.outputs, strict=True))
    known = replace(program, states=(*program.states, *states))
    rewired = rewire_program(known, changes, reads)
    entries = {
        entry: replace(graph, writes={**graph.writes, **writes})
        if names[0] in graph.reads
        else graph
        for entry, graph in rewired.entries.items()
    }
    return replace(rewired, entries=entries)


def _is_computed(value: object) -> bool:
    """True if what a state starts at depends on inputs."""
    nodes = toposort([value]) if isinstance(value, Value) else []
    return any(isinstance(n.op, Input) for n in nodes)


def _require_given(program: Program, names: Sequence[str], given: Collection[str]) -> None:
    """Raise ModelFormatError for a state that starts at what inputs say and no entry gives."""
    if missing := [name for name in names if name not in given]:
        rule = f"state {missing[0]!r}: its initial value is computed from inputs"
        if missing[0] not in program.layers:
            raise ModelFormatError(f"{rule}; carry that by --state instead")
        entry = f"--entry start=...:{','.join(names)}"
        raise ModelFormatError(f"{rule}; an entry must give it, as {entry} does")


def _initial(value: object) -> Array | None:
    """The initial state [B, H] that is given as [1, B, H]; B is 1 where it is open."""
    if not isinstance(value, Value):
        return None
    graph = Graph({}, {"initial": value})
    symbols: Sequence[str] = graph.free_symbols
    array = evaluate(graph, {}, dict.fromkeys(symbols, 1), np.float32)[value]
    return np.asarray(array[0], value.type.dtype.numpy)
