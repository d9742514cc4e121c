"""Graphs with some of their values replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from webconv.ir.graph import Graph, Node, Program, Value, toposort

Key = TypeVar("Key")


def substitute(roots: Mapping[Key, Value], changes: Mapping[Value, Value]) -> dict[Key, Value]:
    """`roots` recomputed with every value in `changes` replaced; the rest of the nodes is shared.

    The replacements' own inputs are left as they are.
    """
    values = dict(changes)
    for node in toposort(roots.values()):
        inputs = [None if v is None else values.get(v, v) for v in node.inputs]
        if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
            outputs = Node(node.op, inputs, node.name).outputs
            for old, new in zip(node.outputs, outputs, strict=True):
                values.setdefault(old, new)
    return {key: values.get(v, v) for key, v in roots.items()}


def rewire(
    graph: Graph,
    changes: Mapping[Value, Value],
    inputs: Mapping[str, Value] | None = None,
    outputs: Mapping[str, Value] | None = None,
) -> Graph:
    """`graph` with values replaced, and with other inputs or outputs if they are given."""
    given = graph.inputs if inputs is None else inputs
    results = {("output", name): v for name, v in (outputs or graph.outputs).items()}
    results |= {("write", name): v for name, v in graph.writes.items()}
    new = substitute(results, changes)
    return Graph(
        given,
        {name: v for (kind, name), v in new.items() if kind == "output"},
        graph.reads,
        {name: v for (kind, name), v in new.items() if kind == "write"},
        lists=graph.lists.kept(given, outputs or graph.outputs),
    )


def rewire_program(
    program: Program, changes: Mapping[Value, Value], reads: Mapping[str, Value] | None = None
) -> Program:
    """`program` with values replaced in all entries and in what layers name.

    All at once, so that what layers name are the nodes of the entries. Inputs that are replaced are
    none any more; the replacements may need `reads`, states that are read.
    """
    roots: dict[tuple[str, str, str | int], Value] = {
        ("layer", name, k): v
        for name, values in program.layers.items()
        for k, v in enumerate(values)
    }
    for entry, graph in program.entries.items():
        roots |= {("output", entry, name): v for name, v in graph.outputs.items()}
        roots |= {("write", entry, name): v for name, v in graph.writes.items()}
    new = substitute(roots, changes)
    entries = {}
    for entry, graph in program.entries.items():
        inputs = {name: v for name, v in graph.inputs.items() if v not in changes}
        outputs = {name: new["output", entry, name] for name in graph.outputs}
        writes = {name: new["write", entry, name] for name in graph.writes}
        reached = set(toposort((*outputs.values(), *writes.values())))
        added = {name: v for name, v in (reads or {}).items() if v.node in reached}
        lists = graph.lists.kept(inputs, outputs)
        entries[entry] = Graph(inputs, outputs, {**graph.reads, **added}, writes, lists=lists)
    layers = {
        name: tuple(new["layer", name, k] for k in range(len(values)))
        for name, values in program.layers.items()
    }
    return replace(program, entries=entries, layers=layers)
