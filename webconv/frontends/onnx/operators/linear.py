"""Matrix products."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.einsum import einsum
from webconv.frontends.matrices import determinant
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


def scaled(x: Value, factor: float) -> Value:
    """x * factor, computed in floats if x is of integers."""
    if factor == 1:
        return x
    if x.type.dtype.is_float:
        return ops.Mul()(x, common.scalar(factor, x))
    y = ops.Mul()(common.cast(x, dtypes.f32), common.float_constant(factor))
    return common.cast(y, x.type.dtype)
