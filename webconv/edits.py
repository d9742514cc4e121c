"""What options of `convert` change in a program before it is compiled.

Each edit is a function Program -> Program on the model's own names; renaming comes last. Raises
ShapeError or ModelFormatError with the names that exist where one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from webconv.ir import ops
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Input, Program, State, Value, constant, toposort
from webconv.ir.graph import input as new_input
from webconv.ir.op import Array, TensorType
from webconv.passes.substitute import rewire, substitute


@dataclass(frozen=True)
class Edits:
    """The edits that were asked for, by the name they concern.

    `constants` replace inputs. `states` map an input to the output that is its next value.
    `entries` map a name to the names of inputs and outputs. `heads` map an output to `argmax` or
    `topk:<k>`. `names` map old names to new ones.
    """

    constants: Mapping[str, object] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def edit(program: Program, edits: Edits) -> Program:
    """`program` with all `edits` made."""
    for name, value in edits.constants.items():
        program = fix_input(program, name, value)
    for name, head in edits.heads.items():
        program = add_head(program, name, head)
    for source, target in edits.states.items():
        program = carry_state(program, source, target)
    if edits.entries:
        program = cut_entries(program, edits.entries)
    return rename(program, edits.names) if edits.names else program


def _every(
    program: Program, change: Callable[[Graph], Graph], states: Iterable[State] = ()
) -> Program:
    entries = {name: change(graph) for name, graph in program.entries.items()}
    return Program(entries, (*program.states, *states), program.name)


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
    """The input `source` becomes a state of that name whose next value is the output `target`."""
    _require(program, "inputs", source)
    _require(program, "outputs", target)
    known: list[TensorType] = []

    def change(graph: Graph) -> Graph:
        if source not in graph.inputs or target not in graph.outputs:
            return graph
        old, new = graph.inputs[source], graph.outputs[target]
        if old.type != new.type:
            rule = f"state {source!r} is {old.type}, but output {target!r} is {new.type}"
            raise ShapeError(rule)
        if len(graph.outputs) == 1:
            raise ModelFormatError(f"output {target!r} is the only one, so it cannot be a state")
        known.append(old.type)
        return Graph(
            {k: v for k, v in graph.inputs.items() if k != source},
            {k: v for k, v in graph.outputs.items() if k != target},
            {**graph.reads, source: old},
            {**graph.writes, source: new},
        )

    changed = {name: change(graph) for name, graph in program.entries.items()}
    if not known:
        raise ModelFormatError(f"no entry has both the input {source!r} and the output {target!r}")
    return Program(changed, (*program.states, State(source, known[0])), program.name)


def cut_entries(
    program: Program, cuts: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> Program:
    """Entries that compute some values from others; a value is an input's, output's or layer's."""
    whole = program.main
    entries = {name: _cut(whole, name, *cut) for name, cut in cuts.items()}
    used = {s for g in entries.values() for s in (*g.reads, *g.writes)}
    return Program(entries, tuple(s for s in program.states if s.name in used), program.name)


def _cut(whole: Graph, entry: str, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    sources = {name: _value(whole, name) for name in inputs}
    given = {name: new_input(name, v.type) for name, v in sources.items()}
    changes = {sources[name]: given[name] for name in inputs}
    results = substitute({name: _value(whole, name) for name in outputs}, changes)
    reached = set(toposort(results.values()))
    reads = {name: v for name, v in whole.reads.items() if v.node in reached}
    writes = substitute({name: v for name, v in whole.writes.items() if name in reads}, changes)
    own = {v.node for v in (*given.values(), *reads.values())}
    nodes = toposort((*results.values(), *writes.values()))
    missing = [n.name for n in nodes if isinstance(n.op, Input) and n not in own]
    if missing:
        raise ModelFormatError(f"entry {entry!r} needs {', '.join(missing)} as inputs too")
    return Graph(given, results, reads, writes)


def _value(graph: Graph, name: str) -> Value:
    """The input, output or layer `name`; `<layer>.<k>` is output k of a layer."""
    known = {**graph.inputs, **graph.outputs}
    if name in known:
        return known[name]
    layer, dot, k = name.rpartition(".")
    wanted = (layer, int(k)) if dot and k.isdecimal() else (name, 0)
    for found, index in ((name, 0), wanted):
        for node in graph.nodes:
            if node.name == found and index < len(node.outputs):
                return node.outputs[index]
    names = ", ".join(dict.fromkeys([*known, *(n.name for n in graph.nodes if n.name)]))
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
    return Program(entries, states, program.name)
