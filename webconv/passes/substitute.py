"""Graphs with some of their values replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from webconv.ir.graph import Graph, Node, Value, toposort

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
