"""Einsum of two operands as one matrix product."""

from __future__ import annotations

import re
from collections.abc import Sequence

from webconv.frontends import common
from webconv.frontends.keras.errors import shown
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value


def einsum(equation: str, a: Value, b: Value) -> Value:
    """The sum of products that an einsum equation of two operands describes, as one MatMul."""
    left, right, out = _labels(equation, a, b)
    a, left = _summed_out(a, left, {*right, *out})
    b, right = _summed_out(b, right, {*left, *out})
    batch = [c for c in left if c in right and c in out]
    inner = [c for c in left if c in right and c not in out]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    sizes: dict[str, Dim] = dict(zip(right, b.shape, strict=True))
    for c, n in zip(left, a.shape, strict=True):
        sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    x = _grouped(a, left, (batch, rows, inner))
    y = common.folded(_grouped(b, right, (batch, inner, columns)))
    z = ops.MatMul()(x, y)
    z = common.reshape(z, [sizes[c] for c in (*batch, *rows, *columns)])
    found = [*batch, *rows, *columns]
    return common.transpose(z, [found.index(c) for c in out])


def _labels(equation: str, a: Value, b: Value) -> tuple[list[str], list[str], list[str]]:
    """The axes' labels of both operands and the result; an ellipsis becomes capital letters."""
    match = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z.]+)->([a-zA-Z.]*)", equation.replace(" ", ""))
    if not match:
        raise UnsupportedError(f"equation {shown(equation)} is not of the form ab,bc->ac")
    hidden = 0
    for text, value in zip(match.groups(), (a, b), strict=False):
        if "..." in text:
            hidden = max(hidden, value.type.rank - len(text) + 3)
    parts = []
    for text, rank in zip(match.groups(), (a.type.rank, b.type.rank, None), strict=True):
        labels: list[str] = re.findall(r"\.\.\.|[a-zA-Z]", text)
        if "..." in labels:
            at = labels.index("...")
            count = hidden if rank is None else max(rank - len(labels) + 1, 0)
            labels[at : at + 1] = [f"#{k}" for k in range(hidden - count, hidden)]
        if (rank is not None and len(labels) != rank) or len(set(labels)) != len(labels):
            raise ShapeError(f"equation {equation} does not fit {a.type} and {b.type}")
        parts.append(labels)
    if not set(parts[2]) <= {*parts[0], *parts[1]}:
        raise ShapeError(f"equation {equation} makes labels up")
    return parts[0], parts[1], parts[2]


def _summed_out(x: Value, labels: list[str], needed: set[str]) -> tuple[Value, list[str]]:
    """x without the axes that nothing else has."""
    gone = tuple(k for k, c in enumerate(labels) if c not in needed)
    kept = [c for c in labels if c in needed]
    return (ops.ReduceSum(gone)(x) if gone else x), kept


def _grouped(x: Value, labels: list[str], groups: Sequence[list[str]]) -> Value:
    """x with its axes in the order of the groups: the first as they are, the others joined."""
    order = [labels.index(c) for group in groups for c in group]
    moved = common.transpose(x, order)
    lead = len(groups[0])
    middle = lead + len(groups[1])
    shape = (dims.product(moved.shape[lead:middle]), dims.product(moved.shape[middle:]))
    return common.reshape(moved, (*moved.shape[:lead], *shape))
