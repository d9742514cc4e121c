"""What is computed from rows of a table, computed from the table instead.

An embedding in front of a recurrent operator becomes a table of gate pre-activations, and one-hot
vectors in front of any product become lookups of the weights' rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.ir.op import Array
from webconv.ir.ops import Elementwise, Recurrent
from webconv.passes.constants import evaluate
from webconv.passes.driver import Rule, Uses, expect


@dataclass(frozen=True)
class Lookup:
    """Rows of `table [V, I]` by integer `ids`; `alone` tells that nothing else reads them.

    Without a table, one-hot vectors of `depth`: zeros for an id that is out of range.
    """

    ids: Value
    table: Array | None
    depth: int
    alone: bool

    def times(self, w: Array) -> Array:
        """Every row times `w [I, N]`; for one-hot vectors one row more, of zeros."""
        if self.table is None:
            return np.concatenate([w, np.zeros_like(w[:1])])
        return (self.table.astype(np.float64) @ w).astype(w.dtype)

    def gather(self, rows: Array) -> Value:
        """The rows of another table. Id -1 and what is past the end read the last row."""
        limited = self.table is None and self.ids.type.dtype.kind == "i"
        ids = ops.Clip(low=-1)(self.ids) if limited else self.ids
        return ops.Gather(0)(constant(rows), ids)


def find_lookup(x: Value, uses: Uses) -> Lookup | None:
    """The lookup that x is, perhaps behind transposes and reshapes that keep rows together."""
    match x:
        case Value(
            Node(ops.Gather(0 | -2), [Value(Node(Constant(table))) as source, Value() as ids])
        ):
            if table.ndim == 2 and table.dtype.kind == "f":
                return Lookup(ids, table, len(table), uses[x] <= 1 and uses[source] <= 1)
        case Value(Node(ops.Transpose(order), [Value() as y])) if order[-1] == len(order) - 1:
            return _moved(find_lookup(y, uses), ops.Transpose(order[:-1]), uses[x] <= 1)
        case Value(Node(ops.Reshape(shape), [Value() as y], guards=[])):
            if shape[-1:] == y.shape[-1:] and shape[-1:] != (0,):
                return _moved(find_lookup(y, uses), ops.Reshape(shape[:-1]), uses[x] <= 1)
        case Value(Node(ops.Cast(), [Value(Node(ops.Equal(), [Value() as a, Value() as b]))])):
            return _one_hot(a, b, x) or _one_hot(b, a, x)
    return None


def _moved(found: Lookup | None, op: ops.Op, alone: bool) -> Lookup | None:
    return found and replace(found, ids=op(found.ids), alone=found.alone and alone)


def _one_hot(ids: Value, classes: Value, x: Value) -> Lookup | None:
    """`ids [..., 1] == [0, 1, ..., depth - 1]` as numbers."""
    depth = x.shape[-1] if x.shape else 0
    if not x.type.dtype.is_float or not ids.type.dtype.is_integer or not isinstance(depth, int):
        return None
    if x.shape != (*ids.shape[:-1], depth) or ids.shape[-1:] != (1,) or not _counts(classes, depth):
        return None
    return Lookup(ops.Reshape(ids.shape[:-1])(ids), None, depth, True)


def _counts(classes: Value, depth: int) -> bool:
    """True if the last axis of `classes` holds 0, 1, ..., depth - 1, and there is no other."""
    match classes:
        case Value(Node(Constant(array))):
            return array.size == depth and np.array_equal(array.reshape(-1), np.arange(depth))
        case Value(Node(ops.Iota(size))):
            return size == depth
        case Value(Node(ops.Cast(to), [Value(Node(ops.Iota(size)))])):
            return size == depth and to.is_integer and to.bits >= 32
    return False


def look_up_elements(node: Node, uses: Uses) -> Value | None:
    """f(table[ids], c) -> f(table, c)[ids]"""
    computed = [v for v in node.inputs if v and v.constant is None]
    if not isinstance(node.op, Elementwise | ops.Cast) or len(computed) != 1:
        return None
    (x,) = computed
    match x:
        case Value(Node(ops.Gather(0), [Value(Node(Constant(table))) as source, Value() as ids])):
            columns = [v for v in node.inputs if v and v is not x]
            alike = all(c.shape in (x.shape[-1:], (1,), ()) for c in columns)
            if table.ndim != 2 or not alike or x.shape != node.outputs[0].shape:
                return None
            expect(max(uses[x], uses[source]) <= 1, "the table or its rows are read elsewhere")
            arrays = [table if v is x else v.constant for v in node.inputs if v]
            (rows,) = evaluate(node, arrays, source.node.name)
            return ops.Gather(0)(rows, ids)
    return None


def table_rules(most_bytes: int | None = None) -> tuple[Rule, ...]:
    """The rules; a table may be as large as what it replaces, or else have `most_bytes`."""

    def rows(found: Lookup, w: Value, columns: Array, uses: Uses) -> Array:
        """The new table, if it may be that large."""
        replaced = columns.nbytes if uses[w] <= 1 else 0
        if found.table is not None:
            replaced += found.table.nbytes if found.alone else 0
            size = found.depth * columns[:1].nbytes
            fits = size <= max(replaced, most_bytes or 0)
            expect(fits, f"a table of {size} bytes would replace {replaced} bytes")
        return found.times(columns)

    def look_up_product(node: Node, uses: Uses) -> Value | None:
        """table[ids] @ w -> (table @ w)[ids]"""
        match node:
            case Node(ops.MatMul(), [Value() as x, Value(Node(Constant(w))) as weights]):
                found = find_lookup(x, uses)
                if found and w.ndim == 2:
                    return found.gather(rows(found, weights, w, uses))
        return None

    def look_up_gates(node: Node, uses: Uses) -> tuple[Value, ...] | None:
        """lstm(table[ids], w, r, b) -> lstm((table @ w + b)[ids], None, r, None)"""
        match node:
            case Node(Recurrent(), [Value() as x, Value(Node(Constant(w))) as weights, r, *rest]):
                found = find_lookup(x, uses)
                bias = rest[0].constant if rest and rest[0] else np.zeros((), w.dtype)
                if found and bias is not None:
                    columns = np.moveaxis(w, 1, 0).reshape(w.shape[1], -1)
                    gates = rows(found, weights, columns, uses) + bias.reshape(-1)
                    new = [found.gather(gates), None, r, None, *rest[1:]]
                    return Node(node.op, new, node.name).outputs
        return None

    return look_up_elements, look_up_product, look_up_gates
