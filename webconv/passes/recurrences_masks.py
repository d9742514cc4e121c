"""States that a mask holds, however that is written, as a choice by a bool condition.

`m * new + (1 - m) * old` is a choice only where m is 0 or 1, and that must follow from how m is
computed: a gate, or numbers that are given, may be anything between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from webconv.ir import dtypes, ops
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.passes.driver import Uses
from webconv.passes.recurrences_cells import mixes
from webconv.passes.recurrences_steps import reshaped

# How far down a proof goes, and what an operator of two inputs takes of it: in an unrolled loop
# what is below a value has thousands of operators, and may be the same on many ways.
DEPTH = 32
BRANCH = 4


def choose_by_mask(node: Node, uses: Uses) -> Value | None:
    """m * a + (1 - m) * b -> where(m, a, b), for m that is 0 or 1"""
    if not isinstance(node.op, ops.Add | ops.Sub):
        return None
    for m, a, b in (*mixes(node.outputs[0]), *_complements(node)):
        condition = as_condition(m)
        if condition is not None:
            made: Value = ops.Where()(condition, a, b)
            return made if made.type == node.outputs[0].type else None
    return None


def _complements(node: Node) -> Iterator[tuple[Value, Value, Value]]:
    """m, a and b where `node` is m * a + n * b, and n is 1 - m in other words."""
    match node:
        case Node(ops.Add(), [Value(Node(ops.Mul(), first)), Value(Node(ops.Mul(), second))]):
            for m, a in (first, first[::-1]):
                for n, b in (second, second[::-1]):
                    conditions = [v and as_condition(v) for v in (m, n)]
                    if m and a and b and _are_complements(*conditions):
                        yield m, a, b


def _are_complements(c: Value | None, d: Value | None) -> bool:
    pairs = [(c, d), (d, c)]
    return any(
        isinstance(q.node.op, ops.Not) and q.node.inputs[0] is p
        for p, q in pairs
        if p is not None and q is not None
    )


def narrow_condition(node: Node, uses: Uses) -> Value | None:
    """where(expand(m), a, b) -> where(m, a, b)"""
    match node:
        case Node(ops.Where(), [Value(Node(ops.Expand(), [Value() as m], guards=[])), a, b]):
            made: Value = ops.Where()(m, a, b)
            return made if made.type == node.outputs[0].type else None
    return None


def slice_before_expand(node: Node, uses: Uses) -> Value | None:
    """expand(x)[...] -> expand(x[...])"""
    match node:
        case Node(
            ops.Slice(starts, sizes, steps),
            [Value(Node(ops.Expand(), [Value() as x], guards=[])) as wide],
        ) if x.type.rank == wide.type.rank:
            repeats = [a == 1 and b != 1 for a, b in zip(x.shape, wide.shape, strict=True)]
            if not any(repeats):
                return None
            parts = [
                (0, 1, 1) if r else own
                for r, own in zip(repeats, zip(starts, sizes, steps, strict=True), strict=True)
            ]
            cut = ops.Slice(*(tuple(p) for p in zip(*parts, strict=True)))(x)
            made: Value = ops.Expand(sizes)(cut)
            return made
    return None


def reshape_before_expand(node: Node, uses: Uses) -> Value | None:
    """reshape(expand(x)) -> expand(reshape(x)), where only axes of size 1 come or go"""
    match node:
        case Node(
            ops.Reshape(shape), [Value(Node(ops.Expand(), [Value() as x], guards=[])) as wide]
        ) if x.type.rank == wide.type.rank:
            kept = [n for n, d in zip(x.shape, wide.shape, strict=True) if d != 1]
            if [d for d in wide.shape if d != 1] == [d for d in shape if d != 1]:
                sizes = iter(kept)
                inner = reshaped(x, [1 if d == 1 else next(sizes) for d in shape])
                made: Value = ops.Expand(shape)(inner)
                return made
    return None


def as_condition(m: Value, depth: int = DEPTH) -> Value | None:
    """`m` as a bool, if its numbers can only be 0 and 1; it may lack axes that m repeats."""
    if m.type.dtype == dtypes.bool_:
        return m
    if depth <= 0:
        return None
    match m:
        case Value(Node(Constant(array))):
            bits = bool(np.all((array == 0) | (array == 1)))
            return constant(array != 0, m.node.name) if bits else None
        case Value(Node(ops.Cast() | ops.Identity() | ops.Expand(), [Value() as x], guards=[])):
            return as_condition(x, depth - 1)
        case Value(Node(ops.Reshape() | ops.Slice() | ops.Transpose() as op, [Value() as x])):
            return _moved(op, x, depth - 1)
        case Value(Node(ops.Where(), [Value() as c, Value() as a, Value() as b])):
            pairs = ((a, b, c), (b, a, ops.Not()(c)))
            return next((chosen for p, q, chosen in pairs if _all(p, 1) and _all(q, 0)), None)
        case Value(Node(ops.Sub(), [Value() as one, Value() as x])) if _all(one, 1):
            inner = as_condition(x, depth - 1)
            return None if inner is None else _not(inner)
        case Value(Node(ops.Mul(), [Value() as a, Value() as b])):
            first = as_condition(a, depth - BRANCH)
            second = None if first is None else as_condition(b, depth - BRANCH)
            return None if second is None else ops.And()(first, second)
        case Value(Node(ops.Clip(low=0, high=1), [Value() as x])) if _is_whole(x, depth - 1):
            return _positive(x)
    return None


def _moved(op: ops.Reshape | ops.Slice | ops.Transpose, x: Value, depth: int) -> Value | None:
    """The condition of x under an operator that needs all of its axes."""
    inner = as_condition(x, depth)
    if inner is None:
        return None
    moved: Value = op(inner if inner.shape == x.shape else ops.Expand(x.shape)(inner))
    return moved


def _not(condition: Value) -> Value:
    made: Value = ops.Not()(condition)
    return made


def _positive(x: Value) -> Value:
    made: Value = ops.Greater()(x, constant(np.zeros((), x.type.dtype.numpy)))
    return made


def _all(value: Value, number: int) -> bool:
    """True if `value` is this number everywhere."""
    match value:
        case Value(Node(Constant(array))):
            return bool(np.all(array == number))
        case Value(Node(ops.Expand() | ops.Reshape() | ops.Cast(), [Value() as x])):
            return _all(x, number)
    return False


def _is_whole(value: Value, depth: int) -> bool:
    """True if all numbers of `value` are whole."""
    if depth <= 0:
        return False
    match value:
        case Value(Node(Constant(array))):
            return bool(np.all(np.isfinite(array) & (array == np.trunc(array))))
        case Value(Node(ops.Cast(), [Value() as x])) if not x.type.dtype.is_float:
            return True
        case Value(Node(ops.Add() | ops.Sub() | ops.Mul(), [Value() as a, Value() as b])):
            return _is_whole(a, depth - BRANCH) and _is_whole(b, depth - BRANCH)
        case Value(Node(ops.Neg() | ops.Reshape() | ops.Slice() | ops.Expand(), [Value() as x])):
            return _is_whole(x, depth - 1)
    return not value.type.dtype.is_float
