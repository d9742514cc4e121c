"""Constants: folded where that makes them no larger, and kept small where they are broadcast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.ir.op import Array
from webconv.ir.ops import Elementwise
from webconv.passes.driver import Rule, Uses

# Operators that broadcast their inputs.
BROADCASTING = (Elementwise, ops.Where, ops.Cast)

# With these, the order of two inputs does not matter.
COMMUTATIVE = (
    *(ops.Add, ops.Mul, ops.Min, ops.Max, ops.Equal, ops.And, ops.Or, ops.Xor),
    *(ops.BitwiseAnd, ops.BitwiseOr, ops.BitwiseXor),
)

# x op e is x, whatever x is: NaN, an infinity, or a zero of either sign.
NEUTRAL: Mapping[type, float] = {
    **{ops.Add: -0.0, ops.Sub: 0.0, ops.Mul: 1.0, ops.Div: 1.0, ops.Pow: 1.0},
    **{ops.And: True, ops.Or: False, ops.Xor: False},
    **{ops.BitwiseOr: 0, ops.BitwiseXor: 0, ops.ShiftLeft: 0, ops.ShiftRight: 0},
}


def is_filled(array: Array, number: float) -> bool:
    """True if every element is `number`; a float zero must have its sign."""
    same = np.all(array == number)
    if array.dtype.kind == "f":
        same &= np.all(np.signbit(array) == np.signbit(number))
    return bool(same)


def fold_constants(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """f(constants) -> constant, unless it would have more elements than f reads."""
    arrays = [v.constant for v in node.inputs if v is not None]
    if any(a is None for a in arrays) or not arrays or any(True for _ in node.op.dims):
        return None
    size = sum((v.type.size for v in node.outputs), 0)
    if not isinstance(size, int) or size > sum(a.size for a in arrays if a is not None):
        return None
    return evaluate(node, [None if v is None else v.constant for v in node.inputs])


def evaluate(node: Node, arrays: Sequence[Array | None], name: str = "") -> tuple[Value, ...]:
    """The outputs of `node` for other inputs, as constants, computed in the inputs' precision."""
    with np.errstate(all="ignore"):
        results = node.op.eval(*arrays)  # type: ignore[arg-type]
    pairs = zip(results, node.outputs, strict=True)
    return tuple(
        constant(np.asarray(a).astype(v.type.dtype.numpy, copy=False), name) for a, v in pairs
    )


def put_constant_right(node: Node, uses: Uses) -> Value | None:
    """c + x -> x + c, where the order does not matter"""
    match node.inputs:
        case [Value(Node(Constant())) as c, Value() as x] if x.constant is None:
            if isinstance(node.op, COMMUTATIVE):
                return Node(node.op, (x, c), node.name).outputs[0]
    return None


def drop_neutral(node: Node, uses: Uses) -> Value | None:
    """x * 1 -> x, x + -0.0 -> x, and so on by the table NEUTRAL"""
    match node.inputs:
        case [Value(type=t) as x, Value(Node(Constant(c)))] if t == node.outputs[0].type:
            if type(node.op) in NEUTRAL and is_filled(c, NEUTRAL[type(node.op)]):
                return x
    return None


def choose_branch(node: Node, uses: Uses) -> Value | None:
    """where(true, x, y) -> x, where(false, x, y) -> y"""
    match node:
        case Node(ops.Where(), [Value(Node(Constant(c))), Value() as x, Value() as y]):
            if np.all(c) or not np.any(c):
                return ops.Expand(node.outputs[0].shape)(x if np.all(c) else y)
    return None


def expand_late(node: Node, uses: Uses) -> Value | None:
    """f(expand(x), y) -> expand(f(x, y)), so that little is computed and scalars stay scalars"""
    if not isinstance(node.op, BROADCASTING):
        return None
    inputs = [v and _unexpanded(v) for v in node.inputs]
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return None
    small = Node(node.op, inputs, node.name).outputs[0]
    return ops.Expand(node.outputs[0].shape)(small)


def _unexpanded(value: Value) -> Value:
    match value:
        case Value(Node(ops.Expand(), [Value() as x], guards=[])):
            return x
    return value


CONSTANTS: tuple[Rule, ...] = (
    fold_constants,
    put_constant_right,
    drop_neutral,
    choose_branch,
    expand_late,
)
