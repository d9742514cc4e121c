"""Matrices: their diagonals, and products that are not of neural networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.keras.operations.elementwise import promoted, tensor
from webconv.frontends.keras.operations.neural import tensordot
from webconv.frontends.keras.operations.reductions import summed
from webconv.frontends.keras.operations.shapes import move_axis
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def diag(layer: Layer, x: Any, *, k: int = 0) -> Value:
    """A matrix with the vector x on a diagonal, or that diagonal of the matrix x."""
    value = tensor(x)
    if value.type.rank != 1:
        if value.type.rank != 2:
            raise ShapeError(f"a vector or a matrix is needed, not {value.type}")
        return diagonal(layer, value, offset=k)
    placed = ops.Pad((max(-k, 0),), (max(k, 0),))(value)
    index = ops.Iota(placed.shape[0])()
    offset = ops.Sub()(common.expand_dims(index, 0), common.expand_dims(index, 1))
    on = ops.Equal()(offset, common.scalar(k, offset))
    return ops.Where()(on, common.expand_dims(placed, 1), common.scalar(0, value))


def diagonal(layer: Layer, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """A diagonal over two axes, as the last axis."""
    value = tensor(x)
    first, second = (normalise_axis(a, value.type.rank) for a in (axis1, axis2))
    if first == second:
        raise ShapeError(f"a diagonal needs two axes, but both are {first}")
    value = move_axis(layer, value, source=(first, second), destination=(-2, -1))
    rows, columns = value.shape[-2:]
    down, right = max(-offset, 0), max(offset, 0)
    size = dims.maximum(dims.minimum(rows - down, columns - right), 0)
    start = down * columns + right
    stride, first_index = common.size_value(columns + 1), common.size_value(start)
    index = ops.Add()(ops.Mul()(ops.Iota(size)(), stride), first_index)
    flat = common.flatten(value, value.type.rank - 2)
    return ops.Gather(flat.type.rank - 1)(flat, index)


def trace(layer: Layer, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of a diagonal."""
    found = diagonal(layer, x, offset=offset, axis1=axis1, axis2=axis2)
    return ops.ReduceSum((-1,))(summed(found))


def rotate(layer: Layer, array: Any, *, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    """x turned k times by a quarter from the first of two axes towards the second."""
    value = tensor(array)
    a, b = (normalise_axis(axis, value.type.rank) for axis in axes)
    if a == b:
        raise ShapeError(f"two axes are needed to turn, but both are {a}")
    if k % 4 == 0:
        return value
    if k % 4 == 2:
        return common.flip(common.flip(value, a), b)
    if k % 4 == 1:
        return common.swap_axes(common.flip(value, b), a, b)
    return common.flip(common.swap_axes(value, a, b), b)


def inner(layer: Layer, x1: Any, x2: Any) -> Value:
    """The sum of products over the last axis of both."""
    a, b = promoted(x1, x2)
    if min(a.type.rank, b.type.rank) == 0:
        return ops.Mul()(a, b)
    return tensordot(layer, a, b, axes=[[-1], [-1]])


def vdot(layer: Layer, x1: Any, x2: Any) -> Value:
    """The sum of products of all elements."""
    a, b = (common.reshape(v, [-1]) for v in promoted(x1, x2))
    return tensordot(layer, a, b, axes=1)


def kron(layer: Layer, x1: Any, x2: Any) -> Value:
    """x2 times each element of x1, in its place."""
    a, b = promoted(x1, x2)
    rank = max(a.type.rank, b.type.rank)
    a, b = (common.reshape(v, (*[1] * (rank - v.type.rank), *v.shape)) for v in (a, b))
    wide: list[list[Dim]] = [
        [n for pair in pairs for n in pair]
        for pairs in (((n, 1) for n in a.shape), ((1, n) for n in b.shape))
    ]
    y = ops.Mul()(common.reshape(a, wide[0]), common.reshape(b, wide[1]))
    return common.reshape(y, [m * n for m, n in zip(a.shape, b.shape, strict=True)])


def cross(
    layer: Layer,
    x1: Any,
    x2: Any,
    *,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Value:
    """The vector product along an axis; of vectors in a plane, the part that leaves it."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promoted(x1, x2)
    p, q = _components(a, axisa), _components(b, axisb)
    upright = _turned(p, q, 0, 1)
    if len(p) == len(q) == 2:
        return upright
    nothing = graph.constant(np.zeros((), a.type.dtype.numpy))
    p, q = ([*v, nothing][:3] for v in (p, q))
    return common.stack([_turned(p, q, 1, 2), _turned(p, q, 2, 0), upright], axisc)


def _turned(p: Sequence[Value], q: Sequence[Value], i: int, k: int) -> Value:
    return ops.Sub()(ops.Mul()(p[i], q[k]), ops.Mul()(p[k], q[i]))


def _components(x: Value, axis: int) -> list[Value]:
    n = x.shape[normalise_axis(axis, x.type.rank)]
    if not isinstance(n, int) or n not in (2, 3):
        raise ShapeError(
            f"vectors of 2 or 3 numbers are needed, but axis {axis} of {x.type} is not"
        )
    return [common.at(x, axis, k) for k in range(n)]


RULES: Mapping[str, Rule] = {
    "Diag": Rule(diag),
    "Diagonal": Rule(diagonal),
    "Trace": Rule(trace),
    "Rot90": Rule(rotate),
    "Inner": Rule(inner),
    "Vdot": Rule(vdot),
    "Kron": Rule(kron),
    "Cross": Rule(cross),
}
