"""Places in a graph: what depends on what, and what looks alike from nearby."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webconv.ir import ops
from webconv.ir.graph import Graph, Node, Value
from webconv.ir.op import Op

# How many places may look like the one that is searched before it is given up.
MOST_TRIES = 16

# How far down operators are compared before places are said to look alike; what is below a state
# that a mask holds is told from the second step on.
DEPTH = 1


class Places:
    """A graph, what depends on what in it, and the places that look alike."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self.place = {node: k for k, node in enumerate(self.nodes)}
        self._behind: list[int] = []
        self._alike: dict[object, list[Node]] = defaultdict(list)
        self._by_inputs: dict[object, list[Node]] = defaultdict(list)
        for node in self.nodes:
            behind = 0
            for v in node.inputs:
                if v is not None:
                    k = self.place[v.node]
                    behind |= self._behind[k] | 1 << k
            self._behind.append(behind)
            self._by_inputs[type(node.op), node.inputs].append(node)
        for node, key in zip(self.nodes, _looks(self.nodes), strict=True):
            self._alike[key].append(node)
        self.key = {n: key for key, own in self._alike.items() for n in own}
        self.choices = [n for n in self.nodes if isinstance(n.op, ops.Where)]
        self.outer = {*graph.outputs.values(), *graph.writes.values()}

    def depends(self, value: Value, on: Value) -> bool:
        """True if `value` is computed of `on`."""
        return bool(self._behind[self.place[value.node]] >> self.place[on.node] & 1)

    def any_depends(self, values: Sequence[Value], on: Sequence[Value]) -> bool:
        """True if one of `values` is one of `on`, or is computed of one."""
        bits = 0
        for v in on:
            bits |= 1 << self.place[v.node]
        return any((self._behind[k] | 1 << k) & bits for k in {self.place[v.node] for v in values})

    def before(self, value: Value) -> Iterator[Value]:
        """Values that look like `value` and that it is computed of, the nearest first."""
        tries = 0
        for node in reversed(self._alike[self.key[value.node]]):
            if self.place[node] < self.place[value.node] and tries < MOST_TRIES:
                tries += 1
                if self.depends(value, node.outputs[0]):
                    yield node.outputs[0]

    def made_of(self, op: Op, inputs: Sequence[Value | None]) -> Node | None:
        """The node of an operator on these inputs."""
        found = self._by_inputs.get((type(op), tuple(inputs)), [])
        return next((n for n in found if n.op == op), None)


def _looks(nodes: Sequence[Node]) -> list[object]:
    """What nodes look like from nearby: operators, and types of what they give."""
    keys: list[object] = [
        (type(n.op), tuple((v.type.dtype, v.shape) for v in n.outputs)) for n in nodes
    ]
    place = {node: k for k, node in enumerate(nodes)}
    numbers: dict[object, int] = {}
    for _ in range(DEPTH):
        short = [numbers.setdefault(key, len(numbers)) for key in keys]
        keys = [
            (short[k], tuple(None if v is None else short[place[v.node]] for v in n.inputs))
            for k, n in enumerate(nodes)
        ]
    return keys
