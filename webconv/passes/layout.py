"""Transposes move towards the outputs until they cancel: NCHW models become channels-last."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Node, Value, constant
from webconv.ir.op import Op
from webconv.ir.ops.reduction import Reduce
from webconv.passes.constants import BROADCASTING
from webconv.passes.driver import Rule, Uses

Order: TypeAlias = tuple[int, ...]
T = TypeVar("T")


def sink_transpose(node: Node, uses: Uses) -> Value | None:
    """f(transpose(x), transpose(y), c) -> transpose(f(x, y, transposed c))"""
    behind = (v.node.op for v in node.inputs if v)
    orders = {op.permutation for op in behind if isinstance(op, ops.Transpose)}
    if len(orders) != 1 or not isinstance(node.op, (*BROADCASTING, ops.Concat)):
        return None
    (order,) = orders
    if node.outputs[0].type.rank != len(order):
        return None
    inputs = [v and _untransposed(v, order) for v in node.inputs]
    if None in inputs:
        return None
    op = ops.Concat(order[node.op.axis]) if isinstance(node.op, ops.Concat) else node.op
    return ops.Transpose(order)(Node(op, inputs, node.name).outputs[0])


def _untransposed(value: Value, order: Order) -> Value | None:
    """The value whose transpose by `order` is `value`: what was transposed, or a constant."""
    match value:
        case Value(Node(ops.Transpose(), [Value() as x])):
            return x
    if value.type.rank == 0:
        return value
    if value.constant is None:
        return None
    array = value.constant
    full = array.reshape((1,) * (len(order) - array.ndim) + array.shape)
    return constant(full.transpose(np.argsort(order)), value.node.name)


def sink_transpose_below_axes(node: Node, uses: Uses) -> Value | None:
    """reduce(transpose(x)) -> transpose(reduce(x)), also for pad and slice, over other axes"""
    match node:
        case Node(op, [Value(Node(ops.Transpose(order), [Value() as x]))]):
            moved = _under(op, order)
            if moved is not None:
                y = moved(x)
                return ops.Transpose(_remaining(op, order))(y)
    return None


def _under(op: Op, order: Order) -> Op | None:
    """`op` for an input that is not yet transposed by `order`."""
    match op:
        case Reduce():
            axes = tuple(sorted(order[a] for a in op.normal_axes(len(order))))
            return dataclasses.replace(op, axes=axes)
        case ops.Pad(before, after):
            return dataclasses.replace(op, before=_back(before, order), after=_back(after, order))
        case ops.Slice(starts, sizes, steps):
            return ops.Slice(_back(starts, order), _back(sizes, order), _back(steps, order))
    return None


def _back(values: Sequence[T], order: Order) -> tuple[T, ...]:
    """`values` per axis, for the axes before the transpose."""
    return tuple(values[k] for k in np.argsort(order))


def _remaining(op: Op, order: Order) -> Order:
    """The order of the axes that are left of `order`."""
    if not isinstance(op, Reduce) or op.keepdims:
        return order
    gone = op.normal_axes(len(order))
    kept = [axis for k, axis in enumerate(order) if k not in gone]
    return tuple(sorted(kept).index(axis) for axis in kept)


def reshape_unit_axes(node: Node, uses: Uses) -> Value | None:
    """transpose(x) -> reshape(x), where only axes of size 1 change places"""
    match node:
        case Node(ops.Transpose(order), [Value() as x]):
            wide = [a for a in order if x.shape[a] != 1]
            if wide == sorted(wide):
                return ops.Reshape(node.outputs[0].shape)(x)
    return None


LAYOUT: tuple[Rule, ...] = (sink_transpose, sink_transpose_below_axes)
