"""Inputs that only feed lookups: they become i32, and their vocabulary is known.

Keras declares the inputs of an Embedding as float32, ONNX as int64. Whatever the file says, a page
gives ids, and an id that is not in the table is an error of the page's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from webconv.ir import dtypes, ops
from webconv.ir.graph import Graph, Input, Node, Program, Value
from webconv.ir.graph import input as new_input
from webconv.ir.op import TensorType
from webconv.ir.ops import ELEMENTWISE

# Operators that hand ids on as they are.
CARRIERS = (ops.Cast, ops.Reshape, ops.Transpose, ops.Slice, ops.Expand)

# Comparisons, as masks are made by: they say nothing against a lookup.
COMPARISONS = tuple(
    ELEMENTWISE[name] for name in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
)


@dataclass
class Lookup:
    """What becomes of an input: the sizes of the tables that it looks up, and who carries it."""

    carriers: set[Value]
    vocabularies: list[int] = field(default_factory=list)


def retype_lookups(program: Program) -> tuple[Program, dict[tuple[str, str], int]]:
    """The program with such inputs as i32, and the vocabularies by entry and input."""
    entries: dict[str, Graph] = {}
    found: dict[tuple[str, str], int] = {}
    for entry, graph in program.entries.items():
        lookups = {name: _follow(v, graph) for name, v in graph.inputs.items()}
        kept = {name: x for name, x in lookups.items() if x is not None}
        found |= {(entry, name): min(x.vocabularies) for name, x in kept.items()}
        entries[entry] = _retyped(graph, kept)
    return Program(entries, program.states, program.name), found


def _follow(source: Value, graph: Graph) -> Lookup | None:
    """Where the values of an input go; None if anywhere else than into lookups."""
    if source.type.dtype == dtypes.bool_:
        return None
    lookup = Lookup({source})
    if any(v is source for v in (*graph.outputs.values(), *graph.writes.values())):
        return None
    for node in graph.nodes:
        carried = [k for k, v in enumerate(node.inputs) if v in lookup.carriers]
        if carried and not _passes(node, carried, lookup):
            return None
    leaves = lookup.carriers & {*graph.outputs.values(), *graph.writes.values()}
    return lookup if lookup.vocabularies and not leaves else None


def _passes(node: Node, carried: Iterable[int], lookup: Lookup) -> bool:
    """True if `node` looks up, hands on or compares what comes in at `carried`."""
    match node.op:
        case ops.Gather(axis=axis) if list(carried) == [1] and _is_table(node.inputs[0]):
            assert node.inputs[0] is not None
            size = node.inputs[0].shape[axis]
            assert isinstance(size, int)
            lookup.vocabularies.append(size)
            return True
        case ops.Cast(to=to) if to == dtypes.bool_:
            return True
        case ops.Gather() if list(carried) == [0]:
            lookup.carriers.add(node.outputs[0])
            return True
        case ops.Concat():
            lookup.carriers.add(node.outputs[0])
            return True
        case op if isinstance(op, CARRIERS):
            lookup.carriers.add(node.outputs[0])
            return True
        case op:
            return isinstance(op, COMPARISONS) and not _with_no_id(node)


def _with_no_id(node: Node) -> bool:
    """True for a comparison with a negative number: pages give that too, and mean something."""
    constants = [v.constant for v in node.inputs if v is not None and v.constant is not None]
    return any(np.any(c < 0) for c in constants)


def _is_table(x: Value | None) -> bool:
    """True for weights: what is gathered from data may be counted from the end (ONNX Gather)."""
    return x is not None and x.constant is not None


def _retyped(graph: Graph, lookups: dict[str, Lookup]) -> Graph:
    """`graph` with the inputs in `lookups` as i32, and their ids carried as i32 to the tables."""
    values: dict[Value, Value] = {}
    ids: dict[Value, Value] = {}
    carriers = {v for lookup in lookups.values() for v in lookup.carriers}
    inputs = dict(graph.inputs)
    for name in lookups:
        old = graph.inputs[name]
        inputs[name] = ids[old] = new_input(name, TensorType(dtypes.i32, old.shape))
        same = old.type.dtype == dtypes.i32
        values[old] = ids[old] if same else ops.Cast(old.type.dtype)(ids[old], name=name)
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        old_inputs = [None if v is None else values.get(v, v) for v in node.inputs]
        if isinstance(node.op, ops.Gather) and node.inputs[1] in ids:
            old_inputs[1] = ids[node.inputs[1]]
        if any(a is not b for a, b in zip(old_inputs, node.inputs, strict=True)):
            new = Node(node.op, old_inputs, node.name)
            values |= dict(zip(node.outputs, new.outputs, strict=True))
        (first, *_) = node.outputs
        # What is joined may be of another dtype than i32.
        if first in carriers and node.inputs[0] in ids and not isinstance(node.op, ops.Concat):
            ids[first] = _carry(node, ids[node.inputs[0]])

    def replaced(given: dict[str, Value]) -> dict[str, Value]:
        return {name: values.get(v, v) for name, v in given.items()}

    outputs, writes = replaced(dict(graph.outputs)), replaced(dict(graph.writes))
    return Graph(inputs, outputs, dict(graph.reads), writes, lists=graph.lists)


def _carry(node: Node, ids: Value) -> Value:
    """What `node` does to its input, done to the ids."""
    if isinstance(node.op, ops.Cast):
        return ids
    return Node(node.op, [ids, *node.inputs[1:]], node.name).outputs[0]
