"""Determinants and inverses of square matrices, in operators that we have."""

from __future__ import annotations

import functools

from webconv.frontends import common
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value


def determinant(x: Value, n: int) -> Value:
    """The determinants of [..., n, n]: by Householder reflections, which need no pivots.

    A reflection turns the first column into (alpha, 0, ..., 0) and the sign of the determinant.
    """
    if n == 0:
        return common.broadcast_to(common.scalar(1, x), x.shape[:-2])
    factors = []
    for _ in range(n - 2):
        alpha, x = _reflected(x)
        factors.append(ops.Neg()(alpha))
    if n == 1:
        return _element(x, 0, 0)
    down = ops.Mul()(_element(x, 0, 0), _element(x, 1, 1))
    factors.append(ops.Sub()(down, ops.Mul()(_element(x, 0, 1), _element(x, 1, 0))))
    return functools.reduce(lambda a, b: ops.Mul()(a, b), factors)


def _element(x: Value, row: int, column: int) -> Value:
    return common.at(common.at(x, -1, column), -1, row)


def _reflected(x: Value) -> tuple[Value, Value]:
    """What the reflection puts in the corner [...], and the matrices without row and column 0."""
    column = common.slice_axis(x, -1, 0, 1)
    corner = common.slice_axis(column, -2, 0, 1)
    rest = common.slice_axis(column, -2, 1)
    length = ops.Sqrt()(ops.ReduceSum((-2, -1), True)(ops.Mul()(column, column)))
    zero = common.scalar(0, x)
    # Away from the corner, so that nothing cancels.
    alpha = ops.Where()(ops.Greater()(corner, zero), ops.Neg()(length), length)
    head = ops.Sub()(corner, alpha)
    v = ops.Concat(-2)(head, rest)
    square = ops.ReduceSum((-2, -1), True)(ops.Mul()(v, v))
    empty = ops.Equal()(square, zero)
    factor = ops.Div()(common.scalar(2, x), ops.Where()(empty, common.scalar(1, x), square))
    right = common.slice_axis(x, -1, 1)
    across = ops.MatMul()(common.swap_axes(v, -1, -2), right)
    change = ops.Mul()(rest, ops.Mul()(factor, across))
    return common.squeeze(alpha, -2, -1), ops.Sub()(common.slice_axis(right, -2, 1), change)


def inverse(x: Value) -> Value:
    """Of matrices [..., N, N]: Gauss-Jordan elimination, by the largest pivot of each column."""
    n = x.shape[-1]
    if x.type.rank < 2 or x.shape[-2] != n or not isinstance(n, int):
        raise ShapeError(f"matrices must be square, of a known size, but x is {x.type}")
    dtype = x.type.dtype
    place = ops.Iota(n)()
    unit = common.cast(ops.Equal()(common.expand_dims(place, 1), place), dtypes.f32)
    left = common.cast(x, dtypes.f32)
    right = common.broadcast_to(unit, x.shape)
    for k in range(n):
        left, right = _eliminated(left, right, place, k)
    return common.cast(right, dtype)


def _eliminated(left: Value, right: Value, place: Value, k: int) -> tuple[Value, Value]:
    """[left | right] with the unit vector in column `k`: rows swapped, divided, subtracted."""
    rows = common.expand_dims(place, 1)
    column = common.slice_axis(left, -1, k, k + 1)
    here = common.scalar(k, place)
    size = ops.Where()(ops.Less()(rows, here), common.scalar(-1, column), ops.Abs()(column))
    chosen = ops.ArgMax(size.type.rank - 2, True)(size)
    is_chosen, is_here = ops.Equal()(rows, chosen), ops.Equal()(rows, here)

    def picked(x: Value, which: Value) -> Value:
        kept = ops.Where()(which, x, common.scalar(0, x))
        return ops.ReduceSum((-2,), True)(kept)

    pivot = picked(column, is_chosen)
    swapped = ops.Where()(is_chosen, common.slice_axis(column, -2, k, k + 1), column)

    def step(x: Value) -> Value:
        row = ops.Div()(picked(x, is_chosen), pivot)
        rest = ops.Where()(is_chosen, common.slice_axis(x, -2, k, k + 1), x)
        out: Value = ops.Where()(is_here, row, ops.Sub()(rest, ops.Mul()(swapped, row)))
        return out

    return step(left), step(right)
