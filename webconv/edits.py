"""What options of `convert` change in a program before it is compiled.

Each edit is a function Program -> Program on the model's own names; renaming comes last. Raises
ShapeError or ModelFormatError with the names that exist where one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Input, Node, Program, State, Value, constant, toposort
from webconv.ir.graph import input as new_input
from webconv.ir.op import Array, TensorType
from webconv.passes.substitute import rewire, substitute
from webconv.stateful import make_stateful


@dataclass(frozen=True)
class Edits:
    """The edits that were asked for, by the name they concern.

    `constants` replace inputs. `stateful` names recurrent layers that carry their states from run
    to run. `states` map an input to the output that is its next value. `entries` map a name to the
    names of inputs and outputs. `heads` map an output to `argmax` or `topk:<k>`. `names` map old
    names to new ones.
    """

    constants: Mapping[str, object] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    stateful: Sequence[str] = ()


def edit(program: Program, edits: Edits) -> Program:
    """`program` with all `edits` made."""
    for name, value in edits.constants.items():
        program = fix_input(program, name, value)
    for layer in edits.stateful:
        program = make_stateful(program, layer)
    for name, head in edits.heads.items():
        program = add_head(program, name, head)
    given = {name for inputs, _ in edits.entries.values() for name in inputs}
    for source, target in edits.states.items():
        if source not in given:
            program = carry_state(program, source, target)
    if edits.entries:
        program = cut_entries(program, edits.entries)
    for source, target in edits.states.items():
        if source in given:
            program = carry_state(program, source, target)
    return rename(program, edits.names) if edits.names else program


def _every(
    program: Program, change: Callable[[Graph], Graph], states: Iterable[State] = ()
) -> Program:
    entries = {name: change(graph) for name, graph in program.entries.items()}
    return replace(program, entries=entries, states=(*program.states, *states))


def _names(program: Program, kind: str) -> list[str]:
    graphs = program.entries.values()
    return list(dict.fromkeys(name for g in graphs for name in getattr(g, kind)))


def _require(program: Program, kind: str, name: str) -> None:
    known = _names(program, kind)
    if name not in known:
        raise ModelFormatError(f"there is no {kind[:-1]} {name!r}; there are {', '.join(known)}")


def fix_input(program: Program, name: str, value: object) -> Program:
    """The input `name` becomes the constant `value`, broadcast to its shape."""
    _require(program, "inputs", name)

    def change(graph: Graph) -> Graph:
        if name not in graph.inputs:
            return graph
        old = graph.inputs[name]
        inputs = {k: v for k, v in graph.inputs.items() if k != name}
        return rewire(graph, {old: constant_input(name, old.type, value)}, inputs=inputs)

    return _every(program, change)


def constant_input(name: str, t: TensorType, value: object) -> Value:
    """The constant that stands for an input of type `t`: `value` broadcast to its shape."""
    try:
        array: Array = np.asarray(value, t.dtype.numpy)
        exact = np.array_equal(array, np.asarray(value)) or t.dtype.is_float
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise ShapeError(f"input {name!r} is {t}, which {value!r} is not")
    shape = tuple(d for d in t.shape if isinstance(d, int))
    if len(shape) == t.rank:
        try:
            return constant(np.broadcast_to(array, shape).copy(), name)
        except ValueError:
            raise ShapeError(
                f"input {name!r} is {t}, but the value's shape is {array.shape}"
            ) from None
    result: Value = ops.Expand(t.shape)(constant(array), name=name)
    return result


def add_head(program: Program, name: str, head: str) -> Program:
    """The output `name` becomes its ArgMax, or its k largest values and `<name>_indices`."""
    _require(program, "outputs", name)
    kind, _, k = head.partition(":")
    if kind not in ("argmax", "topk") or (kind == "topk") != k.isdecimal():
        raise ModelFormatError(f"output {name!r}: a head is argmax or topk:K, not {head!r}")

    def change(graph: Graph) -> Graph:
        if name not in graph.outputs:
            return graph
        outputs: dict[str, Value] = {}
        for key, value in graph.outputs.items():
            if key != name:
                outputs[key] = value
            elif kind == "argmax":
                outputs[key] = ops.ArgMax()(value, name=f"{name}/argmax")
            else:
                top = ops.TopK(int(k))(value, name=f"{name}/topk")
                outputs[key], outputs[f"{key}_indices"] = top
        return rewire(graph, {}, outputs=outputs)

    return _every(program, change)


def carry_state(program: Program, source: str, target: str) -> Program:
    """The input `source` becomes a state of that name whose next value is the output `target`.

    Another entry that has an output `source` and no such input writes the state as well: so an
    encoder's result is where its decoder starts.
    """
    _require(program, "inputs", source)
    _require(program, "outputs", target)
    graphs = program.entries.values()
    steps = [g for g in graphs if source in g.inputs and target in g.outputs]
    if not steps:
        raise ModelFormatError(f"no entry has both the input {source!r} and the output {target!r}")
    state = State(source, steps[0].inputs[source].type)
    writers = [g for g in graphs if source in g.outputs and source not in g.inputs]
    changed = {
        name: _with_state(graph, state, target)
        if graph in steps
        else _with_state(graph, state, source)
        if graph in writers
        else graph
        for name, graph in program.entries.items()
    }
    return replace(program, entries=changed, states=(*program.states, state))


def _with_state(graph: Graph, state: State, target: str) -> Graph:
    """`graph` with its input of the state's name read from it, and the output `target` written."""
    name, new = state.name, graph.outputs[target]
    reads = {name: graph.inputs[name]} if name in graph.inputs else {}
    if any(v.type != state.type for v in reads.values()) or new.type != state.type:
        raise ShapeError(f"state {name!r} is {state.type}, but output {target!r} is {new.type}")
    if reads and len(graph.outputs) == 1:
        raise ModelFormatError(f"output {target!r} is the only one, so it cannot be a state")
    return Graph(
        {k: v for k, v in graph.inputs.items() if k not in reads},
        {k: v for k, v in graph.outputs.items() if k != target},
        {**graph.reads, **reads},
        {**graph.writes, name: new},
    )


def cut_entries(
    program: Program, cuts: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> Program:
    """Entries that compute some values from others; a value is an input's, output's or layer's."""
    entries = {name: _cut(program, name, *cut) for name, cut in cuts.items()}
    used = {s for g in entries.values() for s in (*g.reads, *g.writes)}
    states = tuple(s for s in program.states if s.name in used)
    return replace(program, entries=entries, states=states, layers={})


def _cut(program: Program, entry: str, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    whole = program.main
    sources = {name: _value(program, name) for name in inputs}
    given = {name: _given(entry, name, v) for name, v in sources.items()}
    changes = {sources[name]: given[name] for name in inputs}
    results = substitute({name: _value(program, name) for name in outputs}, changes)
    reached = set(toposort(results.values()))
    reads = {name: v for name, v in whole.reads.items() if v.node in reached}
    writes = substitute({name: v for name, v in whole.writes.items() if name in reads}, changes)
    own = {v.node for v in (*given.values(), *reads.values())}
    nodes = toposort((*results.values(), *writes.values()))
    missing = [n.name for n in nodes if isinstance(n.op, Input) and n not in own]
    if missing:
        raise ModelFormatError(f"entry {entry!r} needs {', '.join(missing)} as inputs too")
    return Graph(given, results, reads, writes)


def _given(entry: str, name: str, value: Value) -> Value:
    """The input of an entry that stands for `value`."""
    if isinstance(value.node.op, Input):
        # An input keeps the symbols that its elements bind.
        return Node(value.node.op, (), name).outputs[0]
    if computed := [d for d in value.shape if not isinstance(d, int) and not _is_symbol(d)]:
        rule = f"{name!r} is {value.type}, and no run can tell the symbols from {computed[0]}"
        raise ShapeError(f"entry {entry!r}: {rule}; cut at another layer, or give --input-shape")
    return new_input(name, value.type)


def _is_symbol(size: Dim) -> bool:
    return isinstance(dims.bare_atom(size), dims.Symbol)


def _value(program: Program, name: str) -> Value:
    """The input, output or layer `name`; `<layer>.<k>` is output k of a layer."""
    graph = program.main
    known = {**graph.inputs, **graph.outputs}
    if name in known:
        return known[name]
    named: dict[str, tuple[Value, ...]] = {}
    for node in graph.nodes:
        named.setdefault(node.name, node.outputs)
    named |= program.layers
    layer, dot, k = name.rpartition(".")
    wanted = (layer, int(k)) if dot and k.isdecimal() else (name, 0)
    for found, index in ((name, 0), wanted):
        if index < len(named.get(found, ())):
            return named[found][index]
    names = ", ".join(dict.fromkeys([*known, *(program.layers or filter(None, named))]))
    raise ModelFormatError(f"there is no input, output or layer {name!r}; there are {names}")


def rename(program: Program, names: Mapping[str, str]) -> Program:
    """Inputs, outputs and states under new names."""
    kinds = ("inputs", "outputs", "reads", "writes")
    known = {name for kind in kinds for name in _names(program, kind)}
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(sorted(known))
        raise ModelFormatError(f"there is no {unknown[0]!r} to rename; there are {there}")

    def renamed(values: Mapping[str, Value]) -> dict[str, Value]:
        out = {names.get(name, name): v for name, v in values.items()}
        if len(out) != len(values):
            raise ModelFormatError(f"two values would be called the same: {', '.join(values)}")
        return out

    entries = {
        entry: Graph(renamed(g.inputs), renamed(g.outputs), renamed(g.reads), renamed(g.writes))
        for entry, g in program.entries.items()
    }
    states = tuple(replace(s, name=names.get(s.name, s.name)) for s in program.states)
    return replace(program, entries=entries, states=states)
