"""Steps that are written out one after another, as a Scan of one of them.

A loop that is no cell of a known kind, or a cell with a mask around it, is found by its form: from
a value of the last step (`last`) to the value at the same place of the step before (`before`), the
operators are the same, and what differs are steps of sequences and states. The step before the last
is the one that the Scan repeats, since the last may lack states that nothing reads any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from webconv.ir import graph as graphs
from webconv.ir import ops
from webconv.ir.graph import Constant, Graph, Input, Node, Value
from webconv.ir.op import TensorType
from webconv.passes.recurrences_forms import Finder, Loop
from webconv.passes.recurrences_likeness import Different
from webconv.passes.recurrences_places import Places
from webconv.passes.recurrences_steps import stacked, step
from webconv.passes.substitute import substitute

# Graphs of more operators are not looked at: what depends on what takes as many bits squared.
MOST_NODES = 20000

# How many places of one look are searched, last ones first; a graph of thousands has many of each.
MOST_PLACES = 64

# One loop may be found at several of its places, and only at some as it was written.
MOST_LOOPS = 12


@dataclass(frozen=True)
class Rolled:
    """A loop as a Scan: what stands for its values, and what of the Scan that reads."""

    scan: Node
    changes: Mapping[Value, Value]
    read: Container[Value]
    count: int


def rolled(graph: Graph, deep: bool) -> Iterator[Rolled]:
    """The last loops of a graph as Scans, the best first.

    With `deep`, products of a sequence that a cell's gates may be sums of are in the Scan; else the
    Scan has what depends on its states.
    """
    if len(graph.nodes) > MOST_NODES or not has_steps(graph):
        return
    places = Places(graph)
    loops = [*islice(_loops(places, deep), MOST_LOOPS)]
    # A loop that is found at another place, or with every other step, has less of them.
    for loop in sorted(loops, key=lambda loop: (-len(loop.steps), len(loop.entering))):
        yield _scanned(places, loop)


def _loops(places: Places, deep: bool) -> Iterator[Loop]:
    """Loops by the places of their results, the last ones first."""
    searched: Counter[object] = Counter()
    for node in reversed(places.nodes):
        if len(node.outputs) > 1 or isinstance(node.op, Constant | Input):
            continue
        searched[places.key[node]] += 1
        if searched[places.key[node]] > MOST_PLACES:
            continue
        for before in places.before(node.outputs[0]):
            try:
                loop = Finder(places, node.outputs[0], before, deep).found()
            except Different:
                continue
            if loop is not None:
                yield loop
            # What is no loop with each step before it is none with every other either.
            break


def has_steps(graph: Graph) -> bool:
    """True if a value is read step by step, as far as that is written by slices."""
    read = Counter(
        (n.inputs[0], n.op.sizes)
        for n in graph.nodes
        if isinstance(n.op, ops.Slice) and 1 in n.op.sizes
    )
    return any(count > 1 for count in read.values())


def _scanned(places: Places, loop: Loop) -> Rolled:
    """A loop as a Scan."""
    own, sequences = loop.of_kind("same"), loop.of_kind("sequence")
    captured = [v for v in loop.of_kind("shared") if v.constant is None]
    states = [*loop.entering.items()]
    inner = {v: _input(k, v.type) for k, (_, v) in enumerate(states)}
    inner |= {v: _input(len(inner) + k, v.type) for k, v in enumerate((*sequences, *captured))}
    inside = {row[w].node for row in loop.steps for w in own if w in row}
    read = {v for n in places.nodes if n not in inside for v in n.inputs} | places.outer
    ends = {loop.steps[0].get(leaving) for leaving, _ in states}
    shown = [
        w for w in own if any(v in read and v not in ends for v in loop.column(w) if v is not None)
    ]
    roots = dict(enumerate([*(leaving for leaving, _ in states), *shown]))
    results = substitute(roots, inner)
    body = Graph({v.node.name: v for v in inner.values()}, {str(k): v for k, v in results.items()})
    outer = [loop.steps[-1][entering] for _, entering in states]
    outer += [stacked([v for v in loop.column(w) if v is not None]) for w in sequences]
    made = Node(ops.Scan(body, len(states), len(sequences)), [*outer, *captured])
    changes: dict[Value, Value] = {}
    for w, ys in zip(shown, made.outputs[len(states) :], strict=True):
        for t, v in enumerate(loop.column(w)):
            if v is not None and v in read:
                changes[v] = step(ys, t)
    for (leaving, _), final in zip(states, made.outputs, strict=False):
        if (v := loop.steps[0].get(leaving)) is not None and leaving not in shown:
            changes[v] = final
    return Rolled(made, changes, {*changes.values(), *made.outputs[len(states) :]}, len(loop.steps))


def _input(k: int, type: TensorType) -> Value:
    return graphs.input(str(k), type)
