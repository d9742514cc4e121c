"""chainer.functions.array: elements by their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.slicing import get_item
from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def indices(array: Any) -> Value:
    """A constant of i32."""
    return graph.constant(np.asarray(array, np.int32))


@function("GetItem")
def getitem(call: Applied, x: Value) -> Value:
    """x[...] with numbers, slices, new axes and arrays of indices."""
    return get_item(x, call.slices)


@function("SelectItem")
def select_item(call: Applied, x: Value, t: Value) -> Value:
    """x[k, t[k]] for each row k."""
    taken = ops.GatherElements(1)(x, common.expand_dims(common.cast(t, dtypes.i32), 1))
    return common.squeeze(taken, 1)


@function("Repeat")
def repeat(call: Applied, x: Value) -> Value:
    """Elements several times in a row."""
    axis = call.axis
    if axis is None:
        x, axis = common.reshape(x, (x.type.size,)), 0
    if len(call.repeats) == 1:
        return common.repeat(x, call.repeats[0], axis)
    which = np.repeat(np.arange(len(call.repeats)), call.repeats)
    return ops.Gather(axis)(x, indices(which))


@function("Permutate")
def permutate(call: Applied, x: Value) -> Value:
    """The elements of an axis in another order."""
    order = np.asarray(call.indices)
    if call.inv:
        order = np.argsort(order)
    return ops.Gather(call.axis)(x, indices(order))


@function("Diagonal")
def diagonal(call: Applied, x: Value) -> Value:
    """The diagonals of two axes, as the last axis."""
    rank = x.type.rank
    a, b = normalise_axis(call.axis1, rank), normalise_axis(call.axis2, rank)
    rest = [k for k in range(rank) if k not in (a, b)]
    plane = common.transpose(x, (*rest, a, b))
    rows, columns = plane.shape[-2:]
    down, right = max(-call.offset, 0), max(call.offset, 0)
    n = dims.maximum(dims.minimum(rows - down, columns - right), 0)
    flat = common.reshape(plane, (*plane.shape[:-2], rows * columns))
    steps = ops.Iota(n)()
    stride = ops.Mul()(steps, common.size_value(columns + 1))
    where = ops.Add()(stride, common.size_value(columns * down + right))
    return ops.Gather(-1)(flat, where)


@function("Where")
def where_array(call: Applied, x: Value, y: Value) -> Value:
    """x or y by a condition that was made when the chain was traced."""
    return _where(graph.constant(np.asarray(call.condition)), x, y)


@function("WhereVariable")
def where(call: Applied, condition: Value, x: Value, y: Value) -> Value:
    """x where the condition holds, else y."""
    return _where(condition, x, y)


def _where(condition: Value, x: Value, y: Value) -> Value:
    return ops.Where()(common.cast(condition, dtypes.bool_), x, y)


@function("ScatterAdd")
def scatter_add(call: Applied, a: Value, b: Value) -> Value:
    """a with b added at a[...]; what is written twice counts twice."""
    size = a.type.size
    places = get_item(common.reshape(ops.Iota(size)(), a.shape), call.slices)
    count = places.type.size
    where = common.folded(common.reshape(places, (count, 1)))
    updates = common.cast(common.reshape(b, (count,)), a.type.dtype)
    flat = ops.ScatterND("add")(common.reshape(a, (size,)), where, updates)
    return common.reshape(flat, a.shape)


@function("AsStrided")
def as_strided(call: Applied, x: Value) -> Value:
    """The memory of x, which lies in row-major order, seen with other strides."""
    where = common.size_value(call.storage_offset or 0)
    for n, stride in zip(call.shape, call.strides, strict=True):
        steps = ops.Mul()(ops.Iota(n)(), common.size_value(stride))
        where = ops.Add()(common.expand_dims(where, -1), steps)
    return ops.Gather(0)(common.reshape(x, (x.type.size,)), common.folded(where))
