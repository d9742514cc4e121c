"""Activations that are written out as arithmetic become one operator each.

x * f(x) reads x twice: as an operator it reads it once, and can end the kernel that computes x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Node, Value
from webconv.passes.driver import Rule, Uses

# Coefficients of a polynomial, the constant first.
Polynomial = tuple[float, ...]

HIGHEST = 3
DEEPEST = 8
ROOT_HALF = math.sqrt(0.5)
# sqrt(2 / pi), and the weight of the cube (Hendrycks 2016, eq. 2).
TANH_SCALE, CUBE = math.sqrt(2 / math.pi), 0.044715


def scalar(value: Value | None) -> float | None:
    """The number that a float constant of one element is."""
    if value is None or value.constant is None or value.constant.size != 1:
        return None
    return float(value.constant.item()) if value.type.dtype.is_float else None


def polynomial(value: Value, x: Value, depth: int = 0) -> Polynomial | None:
    """`value` as a polynomial of x, at most cubic; None if it is none."""
    if value is x:
        return (0.0, 1.0)
    number = scalar(value)
    if number is not None:
        return (number,)
    if depth > DEEPEST:
        return None
    inputs = [None if v is None else polynomial(v, x, depth + 1) for v in value.node.inputs]
    match value.node.op, inputs:
        case ops.Add(), [tuple() as a, tuple() as b]:
            return _sum(a, b)
        case ops.Sub(), [tuple() as a, tuple() as b]:
            return _sum(a, tuple(-c for c in b))
        case ops.Mul(), [tuple() as a, tuple() as b]:
            return _product(a, b)
        case ops.Div(), [tuple() as a, (float() as d,)] if d:
            return tuple(c / d for c in a)
        case ops.Neg(), [tuple() as a]:
            return tuple(-c for c in a)
        case ops.Affine(alpha, beta), [tuple() as a]:
            return _sum(tuple(alpha * c for c in a), (beta,))
        case ops.Pow(), [tuple() as a, ((2.0 | 3.0) as n,)]:
            square = _product(a, a)
            return square if n == 2 or square is None else _product(square, a)
    return None


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    size = max(len(a), len(b))
    padded = ((*p, *[0.0] * (size - len(p))) for p in (a, b))
    return tuple(map(sum, zip(*padded, strict=True)))


def _product(a: Polynomial, b: Polynomial) -> Polynomial | None:
    out = [0.0] * (len(a) + len(b) - 1)
    for i, c in enumerate(a):
        for j, d in enumerate(b):
            out[i + j] += c * d
    return tuple(out) if len(out) <= HIGHEST + 1 else None


def close(found: Polynomial | None, x: Value, *wanted: float) -> bool:
    """True for these coefficients, as models of the dtype of x round them."""
    if found is None or len(found) != len(wanted):
        return False
    near = max(1e-5, float(np.finfo(x.type.dtype.numpy).eps))
    return all(math.isclose(a, b, rel_tol=near) for a, b in zip(found, wanted, strict=True))


def factors(value: Value, uses: Uses, root: bool = True) -> tuple[float, list[Value]]:
    """What is multiplied to give `value`: a number, and the rest."""
    number = scalar(value)
    if number is not None:
        return number, []
    if root or uses[value] <= 1:
        match value.node:
            case Node(ops.Mul(), [Value() as a, Value() as b]):
                (c, left), (d, right) = factors(a, uses, False), factors(b, uses, False)
                return c * d, [*left, *right]
            case Node(ops.Div(), [Value() as a, d]) if divisor := scalar(d):
                c, left = factors(a, uses, False)
                return c / divisor, left
    return 1.0, [value]


def gated(node: Node, uses: Uses) -> Iterator[tuple[float, Value, Value]]:
    """Every way to read a node as number * gate * x."""
    if isinstance(node.op, ops.Mul | ops.Div):
        scale, rest = factors(node.outputs[0], uses)
        if scale and len(rest) == 2:
            for gate, x in (rest, rest[::-1]):
                if x.type == node.outputs[0].type == gate.type:
                    yield scale, gate, x


def recognise_gelu(node: Node, uses: Uses) -> Value | None:
    """x * 0.5 * (1 + erf(x / sqrt(2))) -> gelu(x), and likewise with tanh"""
    for scale, gate, x in gated(node, uses):
        inner = _within(gate, (ops.Erf, ops.Tanh))
        if inner is None or not close(polynomial(gate, inner), x, 0.5 / scale, 0.5 / scale):
            continue
        (argument,) = inner.node.inputs
        assert argument is not None
        found = polynomial(argument, x)
        if isinstance(inner.node.op, ops.Erf) and close(found, x, 0.0, ROOT_HALF):
            return ops.Gelu(False)(x)
        cubic = close(found, x, 0.0, TANH_SCALE, 0.0, TANH_SCALE * CUBE)
        if isinstance(inner.node.op, ops.Tanh) and cubic:
            return ops.Gelu(True)(x)
    return None


def _within(value: Value, kinds: tuple[type[ops.Op], ...]) -> Value | None:
    """The operator of `kinds` that numbers are added to or multiply to give `value`."""
    for _ in range(DEEPEST):
        if isinstance(value.node.op, kinds):
            return value
        if not isinstance(value.node.op, ops.Add | ops.Mul | ops.Affine):
            return None
        inputs = [v for v in value.node.inputs if v is not None and scalar(v) is None]
        if len(inputs) != 1:
            return None
        (value,) = inputs
    return None


def recognise_swish(node: Node, uses: Uses) -> Value | None:
    """x * sigmoid(a * x) -> swish(x)"""
    for scale, gate, x in gated(node, uses):
        match gate.node:
            case Node(ops.Sigmoid(), [Value() as z]) if scale == 1:
                found = polynomial(z, x)
                if found is not None and len(found) == 2 and found[0] == 0:
                    return ops.Swish(found[1])(x)
    return None


def recognise_hard_swish(node: Node, uses: Uses) -> Value | None:
    """x * clip(x + 3, 0, 6) / 6 -> hard_swish(x)"""
    for scale, gate, x in gated(node, uses):
        match gate.node:
            case Node(ops.HardSigmoid(alpha, beta), [z]) if z is x:
                if scale == 1 and close((alpha, beta), x, 1 / 6, 0.5):
                    return ops.HardSwish()(x)
            case Node(ops.Clip(low, high), [Value() as z]) if low == 0 and high:
                if close((high * scale,), x, 1) and close(polynomial(z, x), x, high / 2, high / 6):
                    return ops.HardSwish()(x)
    return None


def recognise_mish(node: Node, uses: Uses) -> Value | None:
    """x * tanh(softplus(x)) -> mish(x)"""
    for scale, gate, x in gated(node, uses):
        match gate.node:
            case Node(ops.Tanh(), [Value(Node(ops.Softplus(), [z]))]) if z is x and scale == 1:
                return ops.Mish()(x)
    return None


RECOGNISE_ACTIVATIONS: tuple[Rule, ...] = (
    recognise_gelu,
    recognise_swish,
    recognise_hard_swish,
    recognise_mish,
)
