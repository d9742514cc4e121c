"""Gates that lie unit by unit, as Chainer's LSTM has them, become columns that lie together.

Chainer's pre-activations `[B, 4H]` hold a, i, f, o of each unit side by side. Taking every fourth
column of a product is a product with every fourth column of its weights, so the weights are taken
apart when the model is converted, and what is left is what other frameworks write.
"""

from __future__ import annotations

import numpy as np

from webconv.ir import graph, ops
from webconv.ir.graph import Constant, Node, Value
from webconv.ir.op import normalise_axis
from webconv.passes.driver import Uses


def columns(x: Value, first: int, size: int, step: int) -> Value:
    """`x[..., first::step]`, `size` columns of it."""
    rank = x.type.rank
    starts = (*[0] * (rank - 1), first)
    made: Value = ops.Slice(starts, (*x.shape[:-1], size), (*[1] * (rank - 1), step))(x)
    return made


def unit_of_four(node: Node, uses: Uses) -> Value | None:
    """reshape(reshape(x, [B, H, 4])[:, :, k], [B, H]) -> x[:, k::4]"""
    match node:
        case Node(
            ops.Reshape(shape),
            [Value(Node(ops.Slice(starts, sizes, _), [Value(Node(ops.Reshape(), [x])) as apart]))],
        ) if x is not None and apart.type.rank == x.type.rank + 1:
            *outer, h, n = apart.shape
            whole = sizes[:-1] == apart.shape[:-1] and not any(starts[:-1]) and sizes[-1] == 1
            kept = tuple(shape) == (*outer, h) and x.shape[:-1] == tuple(outer)
            if whole and kept and isinstance(h, int) and isinstance(n, int) and n > 1:
                first = starts[-1]
                return columns(x, first, h, n) if isinstance(first, int) else None
    return None


def _strided(node: Node) -> tuple[Value, int, int, int] | None:
    """x, first, size and step of x[..., first::step] with step > 1."""
    match node:
        case Node(ops.Slice(starts, sizes, steps), [Value() as x]) if steps and steps[-1] > 1:
            first, size = starts[-1], sizes[-1]
            whole = sizes[:-1] == x.shape[:-1] and not any(starts[:-1])
            straight = all(s == 1 for s in steps[:-1])
            if whole and straight and isinstance(first, int) and isinstance(size, int):
                return x, first, size, steps[-1]
    return None


def columns_of_sum(node: Node, uses: Uses) -> Value | None:
    """(a + b)[:, k::4] -> a[:, k::4] + b[:, k::4]"""
    found = _strided(node)
    if found is None:
        return None
    x, *where = found
    match x:
        case Value(Node(ops.Add(), [Value() as a, Value() as b])):
            if all(v.shape and v.shape[-1] == x.shape[-1] for v in (a, b)):
                made: Value = ops.Add()(columns(a, *where), columns(b, *where))
                return made
    return None


def columns_of_product(node: Node, uses: Uses) -> Value | None:
    """(x @ w)[:, k::4] -> x @ w[:, k::4]"""
    found = _strided(node)
    if found is None:
        return None
    product, first, size, step = found
    match product:
        case Value(Node(ops.MatMul(), [Value() as x, Value(Node(Constant(w), name=name))])):
            end = first + (size - 1) * step + 1
            kept = np.ascontiguousarray(w[..., first:end:step])
            made: Value = ops.MatMul()(x, graph.constant(kept, name))
            return made
    return None


def columns_of_constant(node: Node, uses: Uses) -> Value | None:
    """constant[:, k::4] -> constant"""
    found = _strided(node)
    if found is None:
        return None
    x, first, size, step = found
    if x.constant is None:
        return None
    end = first + (size - 1) * step + 1
    return graph.constant(np.ascontiguousarray(x.constant[..., first:end:step]), x.node.name)


def columns_of_rows(node: Node, uses: Uses) -> Value | None:
    """rows(x)[:, k::4] -> rows(x[:, k::4]), where rows stay whole"""
    found = _strided(node)
    if found is None:
        return None
    x, *where = found
    size = where[1]
    made: Value | None = None
    match x:
        case Value(Node(ops.Reshape(shape), [Value() as inner])):
            if inner.shape and shape and inner.shape[-1] == shape[-1]:
                made = ops.Reshape((*shape[:-1], size))(columns(inner, *where))
        case Value(Node(ops.Transpose(order), [Value() as inner])):
            if order[-1] == len(order) - 1:
                made = ops.Transpose(order)(columns(inner, *where))
        case Value(Node(ops.Slice(starts, sizes, steps), [Value() as inner])):
            if sizes[-1] == inner.shape[-1] and steps[-1] == 1:
                op = ops.Slice((*starts[:-1], 0), (*sizes[:-1], size), steps)
                made = op(columns(inner, *where))
        case Value(Node(ops.Concat(axis), parts)):
            if normalise_axis(axis, x.type.rank) != x.type.rank - 1:
                made = ops.Concat(axis)(*(columns(p, *where) for p in parts if p is not None))
    return made


UNWEAVE = (unit_of_four, columns_of_sum, columns_of_product, columns_of_constant, columns_of_rows)
