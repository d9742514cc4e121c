"""Totals that a loop gathers step by step, as one reduction over all steps.

`total = total + f(x[t])` for every step is the sum of `f(x)` over the steps; so are products and
extremes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

from webconv.ir import ops
from webconv.ir.graph import Graph, Node, Value
from webconv.ir.op import Op
from webconv.passes.recurrences_stacks import follow_each_other, with_steps
from webconv.passes.recurrences_steps import common_sequence, reshaped
from webconv.passes.substitute import rewire

REDUCTIONS: dict[type[Op], type[ops.Reduce]] = {
    ops.Add: ops.ReduceSum,
    ops.Mul: ops.ReduceProd,
    ops.Max: ops.ReduceMax,
    ops.Min: ops.ReduceMin,
}

# Two terms are as often no loop, and gain nothing.
FEWEST_TERMS = 3

# How many operators down terms are compared; each takes some frames of Python's stack.
DEEPEST = 150


def totals_of_steps(graph: Graph) -> Graph:
    """`graph` with chains such as `x[0] + x[1] + x[2]` as reductions over the steps.

    What a total is computed of may hold totals as well, which the next round finds.
    """
    while (changed := _with_totals(graph)) is not graph:
        graph = changed
    return graph


def _with_totals(graph: Graph) -> Graph:
    """`graph` with the chains that lie in no other's terms as reductions."""
    readers = Counter(v for node in graph.nodes for v in node.inputs if v is not None)
    readers.update([*graph.outputs.values(), *graph.writes.values()])
    changes: dict[Value, Value] = {}
    inside: set[Node] = set()
    for node in reversed(graph.nodes):
        if type(node.op) not in REDUCTIONS or node in inside:
            continue
        terms, links = _chain(node, readers)
        total = _total(node, terms)
        if total is not None:
            changes[node.outputs[0]] = total
            inside |= links
    return rewire(graph, changes) if changes else graph


def _chain(node: Node, readers: Counter[Value]) -> tuple[list[Value], set[Node]]:
    """The terms in the order in which they are added, and the nodes that add them."""
    terms: list[Value] = []
    links = {node}
    turned = False
    while True:
        pair = [v for v in node.inputs if v is not None]
        before = next((v for v in pair if _links(v, node, readers)), None)
        if before is None:
            # `step + total` has its first two turned as well.
            return [*(reversed(pair) if turned else pair), *reversed(terms)], links
        turned = before is pair[1]
        terms.append(pair[0] if turned else pair[1])
        node = before.node
        links.add(node)


def _links(value: Value, node: Node, readers: Counter[Value]) -> bool:
    """True if `value` is the total so far, which nothing else reads."""
    return type(value.node.op) is type(node.op) and readers[value] == 1


def _total(node: Node, terms: Sequence[Value]) -> Value | None:
    """The terms of steps reduced, and what the loop started with."""
    constants = [v for v in terms if v.constant is not None]
    own = [v for v in terms if v.constant is None]
    for start, steps in ((constants, own), ([*constants, *own[:1]], own[1:])):
        if len(steps) >= FEWEST_TERMS and all(v.type == node.outputs[0].type for v in steps):
            together = _together(steps, {})
            if together is not None:
                total: Value = REDUCTIONS[type(node.op)]((0,))(together)
                return reduce(node.op, start, total)
    return None


def _together(
    values: Sequence[Value], known: dict[tuple[Value | None, ...], Value | None], depth: int = 0
) -> Value | None:
    """The values along a new first axis, if they are steps or one computation on steps.

    `known` has what was tried, since what values are computed of may be read on many ways.
    """
    key = tuple(values)
    if key not in known:
        known[key] = _computed_together(values, known, depth) if depth < DEEPEST else None
    return known[key]


def _computed_together(
    values: Sequence[Value], known: dict[tuple[Value | None, ...], Value | None], depth: int
) -> Value | None:
    if all(v is values[0] for v in values):
        return None
    found = common_sequence(values)
    if found is not None:
        return reshaped(found, (len(values), *values[0].shape))
    first = values[0].node
    nodes = [v.node for v in values]
    if not all(n.op == first.op and len(n.inputs) == len(first.inputs) for n in nodes):
        return None
    if len(first.outputs) > 1 or not first.inputs or follow_each_other(values):
        return None
    columns = list(zip(*(n.inputs for n in nodes), strict=True))
    own = [k for k, column in enumerate(columns) if any(v is not column[0] for v in column)]
    if any(v is None or v.type != columns[k][0].type for k in own for v in columns[k]):
        return None
    wide = with_steps(first.op, columns, own, values[0].shape, len(values))
    stacks = {k: _together(columns[k], known, depth + 1) for k in own} if wide else {}
    if wide is None or not own or any(v is None for v in stacks.values()):
        return None
    made: Value = wide(*(stacks.get(k, column[0]) for k, column in enumerate(columns)))
    return made
