"""The driver of rewrite rules: applies them to every node of a program until none fires.

A rule takes a node and the number of readers of values. It gives what stands in the node's place,
a value or a tuple of them for a node of several outputs, or None where it does not fit. Where it
nearly fits it may raise a Refusal with the reason. Its docstring is the rewrite.

A sweep rebuilds a graph from its inputs to its outputs. On the way, equal operators on equal inputs
become one node, and what nothing reaches any more is gone.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from webconv.ir.errors import GraphError
from webconv.ir.graph import Graph, Input, Node, Program, Value
from webconv.ir.op import Op, TensorType

# Readers in the graph that a sweep started from; 0 for what rules have made since.
Uses: TypeAlias = Mapping[Value, int]


Rule: TypeAlias = Callable[[Node, Uses], Value | tuple[Value, ...] | None]

# Takes a line for every refusal that stands in the end.
Explain: TypeAlias = Callable[[str], None]

# More sweeps than this mean that rules undo each other.
MOST_SWEEPS = 100


class Refusal(Exception):
    """Why a rule leaves a node alone that it nearly fits: the answer to "why did it not fuse?"."""


def expect(condition: object, reason: str) -> None:
    """Refuse with `reason` unless `condition` holds."""
    if not condition:
        raise Refusal(reason)


def rewrite(program: Program, rules: Sequence[Rule], explain: Explain | None = None) -> Program:
    """`program` with `rules` applied to a fixed point; the same object if none fires."""
    rewriter = _Rewriter(rules, explain or (lambda line: None))
    entries = {name: rewriter.rewrite(graph) for name, graph in program.entries.items()}
    if all(entries[name] is graph for name, graph in program.entries.items()):
        return program
    return dataclasses.replace(program, entries=entries, layers={})


class _Rewriter:
    """Rewrites graphs, and the graphs that their operators hold, each once."""

    def __init__(self, rules: Sequence[Rule], explain: Explain) -> None:
        self.rules, self._explain = rules, explain
        self._finished: dict[Graph, Graph] = {}

    def rewrite(self, graph: Graph) -> Graph:
        """The fixed point of `graph`."""
        if graph not in self._finished:
            new = self._fixed_point(graph)
            self._finished |= {graph: new, new: new}
        return self._finished[graph]

    def _fixed_point(self, graph: Graph) -> Graph:
        for _ in range(MOST_SWEEPS):
            sweep = _Sweep(graph, self)
            swept = sweep.run()
            if swept is graph:
                for line in sweep.refusals:
                    self._explain(line)
                return graph
            graph = swept
        raise GraphError(f"rules must come to rest, but still fire after {MOST_SWEEPS} sweeps")

    def rewrite_held(self, op: Op) -> Op:
        """`op` with the graphs among its attributes rewritten."""
        held = {name: g for name, g in vars(op).items() if isinstance(g, Graph)}
        new = {name: self.rewrite(g) for name, g in held.items()}
        return op if new == held else dataclasses.replace(op, **new)  # type: ignore[type-var]


class _Sweep:
    """One rebuilding of a graph, bottom-up."""

    def __init__(self, graph: Graph, rewriter: _Rewriter) -> None:
        self._graph, self._rewriter = graph, rewriter
        self._values: dict[Value, Value] = {}
        self._uses: Counter[Value] = Counter()
        self._nodes: dict[object, Node] = {}
        self._known = set(graph.nodes)
        self.refusals: list[str] = []

    def run(self) -> Graph:
        """The graph after this sweep; the same object if nothing changed."""
        readers = _readers(self._graph)
        for node in self._graph.nodes:
            results = self._rewritten(self._rebuilt(node))
            for old, new in zip(node.outputs, results, strict=True):
                self._values[old] = new
                self._uses[new] += readers[old]
        if all(old is new for old, new in self._values.items()):
            return self._graph
        outputs, writes = (
            {name: self._values[v] for name, v in values.items()}
            for values in (self._graph.outputs, self._graph.writes)
        )
        return dataclasses.replace(self._graph, outputs=outputs, writes=writes)

    def _rebuilt(self, node: Node) -> Node:
        """`node` on rebuilt inputs, or the equal node that is there already."""
        if isinstance(node.op, Input):
            return node
        op = self._rewriter.rewrite_held(node.op)
        inputs = tuple(None if v is None else self._values[v] for v in node.inputs)
        key = (op, _signs(op), inputs)
        if key not in self._nodes:
            same = op is node.op and inputs == node.inputs
            self._nodes[key] = node if same else Node(op, inputs, node.name)
            self._known.add(self._nodes[key])
        return self._nodes[key]

    def _rewritten(self, node: Node) -> tuple[Value, ...]:
        """What stands in the place of `node`, rules applied until none fires."""
        for _ in range(MOST_SWEEPS):
            results = self._fire(node)
            if results is None:
                return node.outputs
            node = results[0].node
            if results != node.outputs:
                return results
        raise GraphError(f"{_label(node)}: rules must come to rest, but still fire")

    def _fire(self, node: Node) -> tuple[Value, ...] | None:
        """What the first rule that fires on `node` gives."""
        if not node.inputs:
            return None
        for rule in self._rewriter.rules:
            try:
                found = rule(node, self._uses)
            except Refusal as refusal:
                self.refusals.append(f"{_label(node)}: {rule.__name__}: {refusal}")
                continue
            if found is not None:
                results = found if isinstance(found, tuple) else (found,)
                if self._accepts(rule, node, results):
                    return results
        return None

    def _accepts(self, rule: Rule, node: Node, results: tuple[Value, ...]) -> bool:
        """See that no guard is lost, and check the types; name new nodes after `node`."""
        fresh = self._fresh(results)
        if not {*node.guards} <= {g for n in fresh for g in n.guards}:
            return False
        was, becomes = [v.type for v in node.outputs], [v.type for v in results]
        if was != becomes:
            types = f"{_joined(was)} must not become {_joined(becomes)}"
            raise GraphError(f"{_label(node)}: {rule.__name__}: {types}")
        for n in fresh:
            n.name = n.name or node.name
        self._known.update(fresh)
        return True

    def _fresh(self, results: Iterable[Value]) -> set[Node]:
        """The nodes behind `results` that a rule has just made."""
        found: set[Node] = set()
        stack = [v.node for v in results]
        while stack:
            node = stack.pop()
            if node not in self._known and node not in found:
                found.add(node)
                stack += [v.node for v in node.inputs if v is not None]
        return found


def _joined(types: Iterable[TensorType]) -> str:
    return ", ".join(map(str, types))


def _label(node: Node) -> str:
    return f"{type(node.op).__name__} {node.name}".strip()


def _readers(graph: Graph) -> Counter[Value]:
    """How often each value is read by nodes, outputs and state writes."""
    readers = Counter(v for node in graph.nodes for v in node.inputs if v is not None)
    readers.update((*graph.outputs.values(), *graph.writes.values()))
    return readers


def _signs(op: Op) -> tuple[float, ...]:
    """The signs of an operator's numbers: `==` does not tell 0.0 from -0.0."""
    return tuple(math.copysign(1, x) for x in vars(op).values() if isinstance(x, float))
