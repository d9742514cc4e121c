"""Algebra that is exact for every number, and sums and products with two constants joined.

Joining changes the rounding, never for the worse, and is limited to constants with which nothing
overflows, vanishes or cancels that did not before. Integers wrap, so all of it is exact for them.
"""

from __future__ import annotations

import numpy as np

from webconv.ir import dtypes, ops
from webconv.ir.dtypes import DType
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.ir.op import Array
from webconv.passes.driver import Rule, Uses

# f(f(x)) is x.
INVOLUTIONS = (ops.Neg, ops.Not, ops.BitwiseNot)

# f(f(x)) is f(x).
IDEMPOTENT = (ops.Abs, ops.Relu, ops.Sign, ops.Clip, ops.Ceil, ops.Floor, ops.Round, ops.Trunc)

# Digits of the significand, its first included.
SIGNIFICAND = {"f16": 11, "f32": 24, "f64": 53}


def drop_identity(node: Node, uses: Uses) -> Value | None:
    """identity(x) -> x"""
    match node:
        case Node(ops.Identity(), [Value() as x]):
            return x
    return None


def cancel_involution(node: Node, uses: Uses) -> Value | None:
    """-(-x) -> x, not(not(x)) -> x"""
    match node:
        case Node(op, [Value(Node(inner, [Value() as x]))]):
            return x if op == inner and isinstance(op, INVOLUTIONS) else None
    return None


def apply_once(node: Node, uses: Uses) -> Value | None:
    """f(f(x)) -> f(x), for operators that change nothing the second time"""
    match node:
        case Node(op, [Value(Node(inner)) as x]):
            return x if op == inner and isinstance(op, IDEMPOTENT) else None
    return None


def drop_same_branches(node: Node, uses: Uses) -> Value | None:
    """where(c, x, x) -> x"""
    match node:
        case Node(ops.Where(), [_, Value() as x, y]):
            return x if x is y and x.type == node.outputs[0].type else None
    return None


def add_negative(node: Node, uses: Uses) -> Value | None:
    """x - c -> x + (-c)"""
    match node:
        case Node(ops.Sub(), [Value() as x, Value(Node(Constant(c)))]):
            with np.errstate(over="ignore"):
                return ops.Add()(x, constant(-c))
    return None


def multiply_by_reciprocal(node: Node, uses: Uses) -> Value | None:
    """x / c -> x * (1 / c), where c is a power of two and 1 / c is exact"""
    match node:
        case Node(ops.Div(), [Value() as x, Value(Node(Constant(c)))]) if c.dtype.kind == "f":
            least = np.finfo(c.dtype).tiny
            normal = (np.abs(c) >= least) & (np.abs(c) <= 1 / least)
            if np.all(normal & (np.abs(np.frexp(c)[0]) == 0.5)):
                # NumPy 1 makes f64 of a single f32.
                return ops.Mul()(x, constant((1 / c).astype(c.dtype)))
    return None


def use_simpler_power(node: Node, uses: Uses) -> Value | None:
    """x ** 2 -> x * x, and x ** -1 -> 1 / x for floats"""
    match node:
        case Node(ops.Pow(), [Value(type=t) as x, Value(Node(Constant(c)))]):
            if t != node.outputs[0].type or not c.size:
                return None
            if np.all(c == 2):
                return ops.Mul()(x, x)
            if np.all(c == -1) and t.dtype.is_float:
                return ops.Reciprocal()(x)
    return None


def join_terms(node: Node, uses: Uses) -> Value | None:
    """(x + a) + b -> x + (a + b)"""
    match node:
        case Node(
            ops.Add(),
            [
                Value(Node(ops.Add(), [Value() as x, Value(Node(Constant(a)))])) as inner,
                Value(Node(Constant(b))),
            ],
        ) if uses[inner] <= 1 and fits(a, b) and may_join_terms(a, b):
            with np.errstate(over="ignore"):
                return ops.Add()(x, constant(a + b))
    return None


def join_factors(node: Node, uses: Uses) -> Value | None:
    """(x * a) * b -> x * (a * b)"""
    match node:
        case Node(
            ops.Mul(),
            [
                Value(Node(ops.Mul(), [Value() as x, Value(Node(Constant(a)))])) as inner,
                Value(Node(Constant(b))),
            ],
        ) if uses[inner] <= 1 and fits(a, b) and may_join_factors(a, b):
            with np.errstate(over="ignore"):
                return ops.Mul()(x, constant(a * b))
    return None


def fits(a: Array, b: Array) -> bool:
    """True if a and b broadcast to no more elements than the larger has."""
    return np.broadcast(a, b).size <= max(a.size, b.size)


def may_join_terms(a: Array, b: Array) -> bool:
    """True for the same signs, or terms too small to be there for their rounding.

    (x + 2**23) - 2**23 rounds x to an integer in f32, and must go on doing so.
    """
    if a.dtype.kind != "f":
        return True
    limit = np.finfo(a.dtype).eps ** -0.5
    small = (np.abs(a) <= limit) & (np.abs(b) <= limit)
    return bool(np.all(np.isfinite(a) & np.isfinite(b) & (small | (np.sign(a) * np.sign(b) >= 0))))


def may_join_factors(a: Array, b: Array) -> bool:
    """True if x * a and x * (a * b) overflow alike, and no factor that is not 0 becomes 0."""
    if a.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", under="ignore"):
        product = np.abs(a * b)
    alike = (np.abs(a) <= 1) | (np.abs(b) >= 1)
    kept = (product >= np.finfo(a.dtype).tiny) | (a == 0) | (b == 0)
    return bool(np.all(np.isfinite(a) & np.isfinite(b) & np.isfinite(product) & alike & kept))


def drop_cast(node: Node, uses: Uses) -> Value | None:
    """cast(x) -> x, where x has that dtype"""
    match node:
        case Node(ops.Cast(to), [Value(type=t) as x]):
            return x if t.dtype == to else None
    return None


def join_casts(node: Node, uses: Uses) -> Value | None:
    """cast(cast(x, wider), t) -> cast(x, t)"""
    match node:
        case Node(ops.Cast(to), [Value(Node(ops.Cast(wider), [Value(type=t) as x]))]):
            direct = to == t.dtype or to.is_float or to == dtypes.bool_
            if holds(wider, t.dtype) and (direct or wider.kind == t.dtype.kind):
                return ops.Cast(to)(x)
    return None


def holds(wider: DType, narrower: DType) -> bool:
    """True if every number of `narrower` is one of `wider`."""
    if narrower == dtypes.bool_ or wider == narrower:
        return wider != dtypes.bool_ or wider == narrower
    if wider.is_float:
        digits = SIGNIFICAND[narrower.name] if narrower.is_float else narrower.bits
        return digits <= SIGNIFICAND[wider.name]
    same = wider.kind == narrower.kind or (wider.kind, narrower.kind) == ("i", "u")
    return same and narrower.is_integer and wider.is_integer and wider.bits > narrower.bits


ALGEBRA: tuple[Rule, ...] = (
    drop_identity,
    cancel_involution,
    apply_once,
    drop_same_branches,
    add_negative,
    multiply_by_reciprocal,
    use_simpler_power,
    join_terms,
    join_factors,
    drop_cast,
    join_casts,
)
