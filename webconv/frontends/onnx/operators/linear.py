"""Matrix products."""

from __future__ import annotations

import functools

from webconv.frontends import common
from webconv.frontends.einsum import einsum
from webconv.frontends.onnx.registry import operator
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value


def matmul(x: Value, y: Value) -> Value:
    """x @ y by NumPy's rules, vectors included."""
    if min(x.type.rank, y.type.rank) < 1:
        raise ShapeError(f"inputs need an axis or more, but {x.type} meets {y.type}")
    left = common.expand_dims(x, 0) if x.type.rank == 1 else x
    right = common.expand_dims(y, 1) if y.type.rank == 1 else y
    out: Value = ops.MatMul()(left, right)
    dropped = [a for a, v in ((-2, x), (-1, y)) if v.type.rank == 1]
    return common.squeeze(out, *dropped) if dropped else out


@operator("MatMul")
def matmul_(x: Value, y: Value) -> Value:
    """x @ y; integers are multiplied exactly, wrapping."""
    return matmul(x, y)


@operator("Gemm")
def gemm(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    broadcast: int = 1,
) -> Value:
    """alpha * a @ b + beta * c, with either matrix transposed."""
    y = matmul(
        common.swap_axes(a, 0, 1) if transA else a, common.swap_axes(b, 0, 1) if transB else b
    )
    y = scaled(y, alpha)
    if c is None or beta == 0:
        return y
    return ops.Add()(y, scaled(c, beta))


@operator("Einsum")
def einsum_(*operands: Value, equation: str) -> Value:
    """The sums of products that the equation describes."""
    return einsum(equation, *operands)


@operator("Det")
def det(x: Value) -> Value:
    """The determinants of square matrices."""
    n = x.shape[-1]
    if x.type.rank < 2 or not isinstance(n, int) or x.shape[-2] != n:
        raise ShapeError(f"matrices must be square and of a known size, but they are {x.type}")
    return determinant(x, n)


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


def scaled(x: Value, factor: float) -> Value:
    """x * factor, computed in floats if x is of integers."""
    if factor == 1:
        return x
    if x.type.dtype.is_float:
        return ops.Mul()(x, common.scalar(factor, x))
    y = ops.Mul()(common.cast(x, dtypes.f32), common.float_constant(factor))
    return common.cast(y, x.type.dtype)
