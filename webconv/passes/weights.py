"""Scales and shifts folded into the constant weights of the products beside them.

A batch normalisation is a scale and a shift. Behind a product, both go into its weights and bias.
In front of one, the scale goes into the weights; the shift goes through them into the bias where
every output sees only inputs that were shifted, which zero padding is not.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.ir.op import Array, Op
from webconv.ir.ops import Recurrent
from webconv.passes.algebra import fits
from webconv.passes.driver import Rule, Uses, expect

Product: TypeAlias = ops.MatMul | ops.Conv | ops.ConvTranspose


def scale_product(node: Node, uses: Uses) -> Value | None:
    """(x @ w) * s -> x @ (w * s), for convolutions too, and for / s"""
    match node:
        case Node(
            ops.Mul() | ops.Div() as scale,
            [
                Value(Node(op, [x, Value(Node(Constant(w))) as weights])) as y,
                Value(Node(Constant(s))),
            ],
        ) if isinstance(op, Product) and w.dtype.kind == "f":
            factors = _along_outputs(op, w, per_channel(s, y, node))
            expect(uses[y] <= 1, "the product is read elsewhere")
            scaled = reweighted(weights, combine(scale, w, factors), uses)
            return Node(op, [x, scaled], y.node.name).outputs[0]
    return None


def scale_biased(node: Node, uses: Uses) -> Value | None:
    """(x @ w + b) * s -> x @ (w * s) + b * s"""
    match node:
        case Node(
            ops.Mul() | ops.Div() as scale,
            [
                Value(Node(ops.Add(), [Value(Node(op)) as y, Value(Node(Constant(b)))])) as biased,
                Value(Node(Constant(s))) as factor,
            ],
        ) if isinstance(op, Product) and fits(b, s):
            expect(uses[biased] <= 1, "the biased product is read elsewhere")
            bias = combine(scale, b, s)
            expect(np.all(np.isfinite(bias)), "the bias would overflow")
            scaled = scale_product(Node(scale, [y, factor]), uses)
            return scaled and Node(ops.Add(), [scaled, constant(bias)], biased.node.name).outputs[0]
    return None


def scale_input(node: Node, uses: Uses) -> Value | None:
    """(x * s) @ w -> x @ (s * w), for convolutions too, and for / s"""
    match node:
        case Node(
            op,
            [
                Value(
                    Node(ops.Mul() | ops.Div() as scale, [Value() as x, Value(Node(Constant(s)))])
                ) as y,
                Value(Node(Constant(w))) as weights,
            ],
        ) if isinstance(op, Product) and w.dtype.kind == "f":
            factors = _along_inputs(op, w, per_channel(s, x, y.node))
            expect(uses[y] <= 1, "the scaled input is read elsewhere")
            scaled = reweighted(weights, combine(scale, w, factors), uses)
            return Node(op, [x, scaled], node.name).outputs[0]
    return None


def shift_input(node: Node, uses: Uses) -> Value | None:
    """(x + t) @ w -> x @ w + t @ w, and for convolutions that do not pad"""
    match node:
        case Node(
            ops.MatMul() | ops.Conv() as op,
            [
                Value(Node(ops.Add(), [Value() as x, Value(Node(Constant(t)))])) as y,
                Value(Node(Constant(w))) as weights,
            ],
        ) if w.dtype.kind == "f":
            if isinstance(op, ops.Conv):
                expect(not any(map(any, op.pads)), "zero padding meets the shifted input")
            expect(uses[y] <= 1, "the shifted input is read elsewhere")
            expect(w.ndim == 2 or isinstance(op, ops.Conv), "the weights come in batches")
            wide = w * _along_inputs(op, w, per_channel(t, x, y.node).astype(np.float64))
            bias = wide.reshape(-1, w.shape[-1]).sum(0).astype(w.dtype)
            expect(np.all(np.isfinite(bias)), "the bias would overflow")
            return ops.Add()(Node(op, [x, weights], node.name).outputs[0], constant(bias))
    return None


def per_channel(array: Array, x: Value, scaled: Node) -> Array:
    """`array` as a vector along the last axis of x, where it varies along no other."""
    channels: Dim = x.shape[-1] if x.shape else 1
    same = isinstance(channels, int) and x.type == scaled.outputs[0].type
    vector = array.reshape(-1)
    expect(same and array.shape[-1:] in ((), (1,), (channels,)), "the constant is not per channel")
    expect(vector.size in (1, channels), "the constant is not per channel")
    return np.broadcast_to(vector, (channels,))  # type: ignore[arg-type]


def combine(scale: Op, a: Array, b: Array) -> Array:
    """a * b or a / b, as `scale` says."""
    with np.errstate(all="ignore"):
        return np.divide(a, b) if isinstance(scale, ops.Div) else np.multiply(a, b)


def reweighted(weights: Value, array: Array, uses: Uses) -> Value:
    """The constant `array` in place of `weights`."""
    expect(uses[weights] <= 1, "the weights are shared")
    expect(np.all(np.isfinite(array)), "the weights would overflow")
    return constant(array, weights.node.name)


def _along_outputs(op: Product, w: Array, vector: Array) -> Array:
    """A vector over the output channels, to broadcast against w."""
    return _spread(op, w, vector) if isinstance(op, ops.ConvTranspose) else vector


def _along_inputs(op: Product, w: Array, vector: Array) -> Array:
    """A vector over the input channels, to broadcast against w."""
    return vector if isinstance(op, ops.ConvTranspose) else _spread(op, w, vector)


def _spread(op: Product, w: Array, vector: Array) -> Array:
    """`vector [G * R]` as the rows of `w [..., R, columns]` meet it: each group has its part."""
    groups = 1 if isinstance(op, ops.MatMul) else op.groups
    return np.repeat(vector.reshape(groups, -1).T, w.shape[-1] // groups, axis=1)


def scale_recurrent_input(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """lstm(x * s, w, r, b) -> lstm(x, s * w, r, b)"""
    match node:
        case Node(Recurrent(), [Value() as x, Value(Node(Constant(w))) as weights, *rest]):
            match _behind(x):
                case Value(
                    Node(ops.Mul() | ops.Div() as scale, [Value() as y, Value(Node(Constant(s)))])
                ) as scaled:
                    factors = per_channel(s, y, scaled.node)[:, None, None]
                    expect(max(uses[scaled], uses[x]) <= 1, "the scaled input is read elsewhere")
                    new = reweighted(weights, combine(scale, w, factors), uses)
                    return Node(node.op, [_before(x, y), new, *rest], node.name).outputs
    return None


def shift_recurrent_input(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """lstm(x + t, w, r, b) -> lstm(x, w, r, b + t @ w)"""
    match node:
        case Node(Recurrent(), [Value() as x, Value(Node(Constant(w))) as weights, r, *rest]):
            match _behind(x):
                case Value(Node(ops.Add(), [Value() as y, Value(Node(Constant(t)))])) as shifted:
                    vector = per_channel(t, y, shifted.node)
                    expect(max(uses[shifted], uses[x]) <= 1, "the shifted input is read elsewhere")
                    old = rest[0].constant if rest and rest[0] else np.zeros((), w.dtype)
                    expect(old is not None, "the bias is not constant")
                    shift = np.einsum("i,digh->dgh", vector, w, dtype=np.float64)
                    bias = constant((shift + old).astype(w.dtype), node.name)
                    inputs = [_before(x, y), weights, r, bias, *rest[1:]]
                    return Node(node.op, inputs, node.name).outputs
    return None


def _behind(x: Value) -> Value:
    """What x is a transpose of, the last axis in its place; or x."""
    match x:
        case Value(Node(ops.Transpose(order), [Value() as y])) if order[-1] == len(order) - 1:
            return y
    return x


def _before(x: Value, y: Value) -> Value:
    """`y` transposed as x was."""
    if isinstance(x.node.op, ops.Transpose):
        return Node(x.node.op, [y], x.node.name).outputs[0]
    return y


WEIGHTS: tuple[Rule, ...] = (
    scale_product,
    scale_biased,
    scale_input,
    shift_input,
    scale_recurrent_input,
    shift_recurrent_input,
)
