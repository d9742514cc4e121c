"""Whether two values are the same of two steps of a loop that is written out."""

from __future__ import annotations

from collections.abc import Sequence

from webconv.ir.graph import Value
from webconv.passes.recurrences_steps import common_sequence

# How many operators down it is checked that what enters two steps is computed in one way.
NEAR = 5


class Different(Exception):
    """Two steps are not the same."""


def require(condition: bool) -> None:
    if not condition:
        raise Different


def is_new(pairs: dict[Value, Value], v: Value, w: Value) -> bool:
    """Note that `w` stands for `v`, and tell if that is new; raises Different if another does."""
    new = v not in pairs
    require(pairs.setdefault(v, w) is w)
    return new


def alike(v: Value, w: Value) -> bool:
    """True if two values are given by the same operator, whatever its inputs."""
    a, b = v.node, w.node
    if type(a.op) is not type(b.op) or v.index != w.index or v.type != w.type:
        return False
    absent = [[x is None for x in n.inputs] for n in (a, b)]
    return absent[0] == absent[1] and bool(a.inputs) and a.op == b.op


def input_pairs(v: Value, w: Value) -> list[tuple[Value, Value]]:
    """The inputs of two values that the same operator gives, in pairs."""
    require(alike(v, w))
    pairs = zip(v.node.inputs, w.node.inputs, strict=True)
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def is_step(v: Value, w: Value, depth: int = NEAR) -> bool:
    """True if two values are steps of a sequence, or the same is done to such near by."""
    if v is w or not depth or common_sequence([w, v]) is not None:
        return True
    if not v.node.inputs:
        return may_enter(v, w)
    return alike(v, w) and all(is_step(a, b, depth - 1) for a, b in input_pairs(v, w))


def may_enter(v: Value, w: Value) -> bool:
    """True if two inputs or constants may be what enters two steps.

    A row of a table may be that of a step; matrices are those of two layers.
    """
    row = v.type.rank < 2 or v.shape[0] == 1
    return type(v.node.op) is type(w.node.op) and (row or v.constant is None)


def is_sequence(column: Sequence[Value | None]) -> bool:
    """True for steps of a sequence, and for what is computed of them."""
    stack = [[v for v in column if v is not None]]
    seen = set()
    while stack:
        values = stack.pop()
        if values[0] in seen:
            continue
        seen.add(values[0])
        if common_sequence(values) is not None:
            return True
        if all(alike(v, values[0]) for v in values):
            rows = zip(*(v.node.inputs for v in values), strict=True)
            inner = [[v for v in row if v is not None] for row in rows]
            stack += [row for row in inner if any(v is not row[0] for v in row)]
    return False
