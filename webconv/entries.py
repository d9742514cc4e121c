"""Entries: functions that compute some values of a model from others, and the states they share."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Input, Node, Program, State, Value, toposort
from webconv.ir.graph import input as new_input
from webconv.ir.op import TensorType
from webconv.passes.substitute import substitute

Cut = tuple[Sequence[str], Sequence[str]]

# A message names at most so many of what there is.
MOST_NAMES = 40


def cut_entries(program: Program, cuts: Mapping[str, Cut]) -> Program:
    """Entries that compute some values from others; a value is an input's, output's or layer's."""
    entries = {name: _cut(program, name, *cut) for name, cut in cuts.items()}
    for state in program.states:
        entries = {name: _started(name, graph, state) for name, graph in entries.items()}
    used = {s for g in entries.values() for s in (*g.reads, *g.writes)}
    states = tuple(s for s in program.states if s.name in used)
    return replace(program, entries=entries, states=states, layers={})


def _cut(program: Program, entry: str, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    whole = program.main
    for names in (inputs, outputs):
        if twice := [name for name in names if names.count(name) > 1]:
            raise ModelFormatError(f"entry {entry!r} names {twice[0]!r} twice")
    inputs = _with_lengths(whole, inputs)
    sources = {name: find_value(program, name) for name in inputs}
    _refuse_aliases(entry, sources)
    given = {name: _given(entry, name, v) for name, v in sources.items()}
    changes = {sources[name]: given[name] for name in inputs}
    results = substitute({name: find_value(program, name) for name in outputs}, changes)
    reached = set(toposort(results.values()))
    reads = {name: v for name, v in whole.reads.items() if v.node in reached}
    writes = substitute({name: v for name, v in whole.writes.items() if name in reads}, changes)
    own = {v.node for v in (*given.values(), *reads.values())}
    roots = (*results.values(), *writes.values())
    _require_inputs(program, entry, own, roots)
    reached = {*toposort(roots)}
    idle = {name: sources[name] for name, v in given.items() if v.node not in reached}
    _refuse_starts(program, entry, idle, reads)
    return Graph(given, results, reads, writes, lists=whole.lists.kept(given, results))


def _started(entry: str, graph: Graph, state: State) -> Graph:
    """`graph`, which writes the state where it gives what that starts at."""
    if state.name not in graph.outputs:
        return graph
    if state.name in graph.reads:
        rule = f"it goes on from the state {state.name!r}, so it cannot give where that starts"
        raise ModelFormatError(f"entry {entry!r}: {rule}")
    return _with_state(entry, graph, state, state.name)


def _with_lengths(graph: Graph, inputs: Sequence[str]) -> list[str]:
    """The inputs, and the lengths of those that are lists."""
    lists = graph.lists.inputs
    found = ([name, lists.get(name, name)] for name in inputs)
    return [*dict.fromkeys(name for names in found for name in names)]


def _refuse_aliases(entry: str, sources: Mapping[str, Value]) -> None:
    """Two inputs that are one value: only one of them could be what the entry reads."""
    found: dict[Value, str] = {}
    for name, value in sources.items():
        if (first := found.setdefault(value, name)) != name:
            raise ModelFormatError(f"entry {entry!r}: {first!r} and {name!r} are the same value")


def _require_inputs(program: Program, entry: str, own: set[Node], roots: Sequence[Value]) -> None:
    """Raise ModelFormatError if `roots` need inputs besides `own`; it says what else would do."""
    nodes = toposort(roots)
    missing = [n for n in nodes if isinstance(n.op, Input) and n not in own]
    if missing:
        rule = f"entry {entry!r} needs {', '.join(n.name for n in missing)} as inputs too"
        instead = _instead(program, nodes, missing)
        raise ModelFormatError(f"{rule}{f', or {_some(instead)} instead' if instead else ''}")


def _instead(program: Program, nodes: Sequence[Node], missing: Sequence[Node]) -> list[str]:
    """The last values with names among `nodes` that are computed from `missing` alone."""
    names = {
        v: name if k == 0 else f"{name}.{k}"
        for name, values in program.layers.items()
        for k, v in enumerate(values)
        if v.node not in missing
    }
    mixed: set[Node] = {n for n in nodes if isinstance(n.op, Input)} - {*missing}
    alone = set(missing)
    for n in nodes:
        sources = {v.node for v in n.inputs if v}
        if sources & mixed:
            mixed.add(n)
        elif sources & alone:
            alone.add(n)
    stack = [v for n in nodes if n in mixed for v in n.inputs if v and v.node in alone]
    found: dict[str, None] = {}
    seen: set[Value] = set()
    while stack:
        v = stack.pop()
        if v in names:
            found[names[v]] = None
        elif v not in seen:
            seen.add(v)
            stack += [u for u in v.node.inputs if u and u.node in alone]
    return [name for name in names.values() if name in found]


def _given(entry: str, name: str, value: Value) -> Value:
    """The input of an entry that stands for `value`."""
    if isinstance(value.node.op, Input):
        # An input keeps the symbols that its elements bind.
        return Node(value.node.op, (), name).outputs[0]
    if computed := [d for d in value.shape if not isinstance(d, int) and not _is_symbol(d)]:
        rule = f"{name!r} is {value.type}, and no run can tell the symbols from {computed[0]}"
        raise ShapeError(f"entry {entry!r}: {rule}; cut at another layer, or give --input-shape")
    return new_input(name, value.type)


def _refuse_starts(
    program: Program, entry: str, idle: Mapping[str, Value], reads: Mapping[str, Value]
) -> None:
    """Raise ModelFormatError for an idle input that only says where a state starts that is read."""
    for state in reads:
        needed = {*toposort(program.layers.get(state, ()))}
        for name, value in idle.items():
            if value.node in needed:
                rule = f"{name!r} says where {state!r} starts, but the entry goes on from a state"
                raise ModelFormatError(f"entry {entry!r}: {rule}; an entry of its own must give it")


def _is_symbol(size: Dim) -> bool:
    return isinstance(dims.bare_atom(size), dims.Symbol)


def find_value(program: Program, name: str) -> Value:
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
    if layer in named and wanted[1]:
        count = len(named[layer])
        outputs = "1 output" if count == 1 else f"{count} outputs, the last {layer}.{count - 1}"
        raise ModelFormatError(f"there is no {name!r}: layer {layer!r} has {outputs}")
    layer, colon, k = name.rpartition(":")
    if colon and k.isdecimal() and int(k) < len(named.get(layer, ())):
        own = layer if k == "0" else f"{layer}.{k}"
        raise ModelFormatError(f"there is no {name!r}: output {k} of layer {layer!r} is {own!r}")
    there = list(dict.fromkeys([*known, *(program.layers or filter(None, named))]))
    near = difflib.get_close_matches(name, there, 1) if len(there) > MOST_NAMES else []
    meant = f"; did you mean {near[0]!r}?" if near else f"; there are {_some(there)}"
    raise ModelFormatError(f"there is no input, output or layer {name!r}{meant}")


def _some(names: Sequence[str]) -> str:
    """Names in a row, the rest of many as their number."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def carry_state(program: Program, source: str, target: str) -> Program:
    """The input `source` becomes a state of that name whose next value is the output `target`.

    Entries that have both read and write it, those with the input alone read it. Another entry
    that has an output `source` and no such input writes it as well: so an encoder's result is where
    its decoder starts. Where `source` is `target` such entries are the only ones that write it.
    """
    graphs = program.entries.values()
    for kind, name in (("inputs", source), ("outputs", target)):
        known = list(dict.fromkeys(key for g in graphs for key in getattr(g, kind)))
        if name not in known:
            there = _some(known) or "none"
            raise ModelFormatError(f"there is no {kind[:-1]} {name!r}; there are {there}")
    readers = [g for g in graphs if source in g.inputs]
    if source != target and not any(target in g.outputs for g in readers):
        raise ModelFormatError(f"no entry has both the input {source!r} and the output {target!r}")
    if source == target and all(source in g.inputs for g in graphs if target in g.outputs):
        rule = "no entry gives it without taking it, so nothing would write it"
        raise ModelFormatError(f"state {source!r}: {rule}")
    state = State(source, readers[0].inputs[source].type)
    entries = {}
    for entry, graph in program.entries.items():
        if source in graph.inputs:
            written = target if target != source and target in graph.outputs else None
        else:
            written = source if source in graph.outputs else None
        if source in graph.inputs or written:
            graph = _with_state(entry, graph, state, written)
        entries[entry] = graph
    if not any(g.outputs for g in entries.values()):
        raise ModelFormatError(f"output {target!r} is the only one, so it cannot be a state")
    return replace(program, entries=entries, states=(*program.states, state))


def _with_state(entry: str, graph: Graph, state: State, target: str | None) -> Graph:
    """`graph` with its input of the state's name read from it, and the output `target` written."""
    name = state.name
    reads = {name: graph.inputs[name]} if name in graph.inputs else {}
    writes = {name: graph.outputs[target]} if target else {}
    for what, v in (("input", reads.get(name)), ("output", writes.get(name))):
        if v is not None and v.type != state.type:
            where = f"{what} {(target if what == 'output' else name)!r}"
            rule = f"state {name!r} is {state.type}, but {where} is {v.type}, in entry {entry!r}"
            raise ShapeError(f"{rule}{_hint(state.type, v.type)}")
    inputs = {k: v for k, v in graph.inputs.items() if k not in reads}
    outputs = {k: v for k, v in graph.outputs.items() if k != (target or name)}
    return Graph(
        inputs,
        outputs,
        {**graph.reads, **reads},
        {**graph.writes, **writes},
        lists=graph.lists.kept(inputs, outputs),
    )


def _hint(a: TensorType, b: TensorType) -> str:
    """What to do if two types differ in the names of their open sizes only."""
    kinds = [(t.dtype, *(d if isinstance(d, int) else None for d in t.shape)) for t in (a, b)]
    return "; sizes that are equal need one name, by --input-shape" if kinds[0] == kinds[1] else ""
