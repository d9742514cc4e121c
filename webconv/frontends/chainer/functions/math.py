"""chainer.functions.math: arithmetic, products, reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.align import Reciprocal, Varying
from webconv.frontends.chainer.functions.connection import turned
from webconv.frontends.chainer.registry import Applied, Convert, function
from webconv.frontends.common import cast, scalar
from webconv.frontends.einsum import einsum
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

UNARY = {
    "Neg": ops.Neg,
    "Absolute": ops.Abs,
    "Exp": ops.Exp,
    "Expm1": ops.Expm1,
    "Log": ops.Log,
    "Log1p": ops.Log1p,
    "Sqrt": ops.Sqrt,
    "Sin": ops.Sin,
    "Cos": ops.Cos,
    "Tan": ops.Tan,
    "Sinh": ops.Sinh,
    "Cosh": ops.Cosh,
    "Arcsin": ops.Asin,
    "Arccos": ops.Acos,
    "Arctan": ops.Atan,
    "Arctanh": ops.Atanh,
    "Erf": ops.Erf,
    "Floor": ops.Floor,
    "Ceil": ops.Ceil,
    "Fix": ops.Trunc,
    "Sign": ops.Sign,
}
BINARY = {
    "Add": ops.Add,
    "Sub": ops.Sub,
    "Mul": ops.Mul,
    "Div": ops.Div,
    "PowVarVar": ops.Pow,
    "Maximum": ops.Max,
    "Minimum": ops.Min,
    "Fmod": ops.Fmod,
    "Arctan2": ops.Atan2,
}


def _unary(op: Any) -> Convert:
    def convert(call: Applied, x: Value) -> Value:
        return op()(x)

    return convert


def _binary(op: Any) -> Convert:
    def convert(call: Applied, x: Value, y: Value) -> Value:
        return op()(x, y)

    return convert


for _name, _op in UNARY.items():
    function(_name)(_unary(_op))
for _name, _op in BINARY.items():
    function(_name)(_binary(_op))


def operand(value: Any, x: Value) -> Value:
    """A number or an array beside x, of the dtype of x; a size that is a symbol is one too."""
    if isinstance(value, dims.Expr):
        return cast(common.size_value(value), x.type.dtype)
    if isinstance(value, Reciprocal) and not isinstance(value.size, Varying):
        return ops.Reciprocal()(cast(common.size_value(value.size), x.type.dtype))
    return graph.constant(np.asarray(value).astype(x.type.dtype.numpy))


@function("AddConstant")
def add_constant(call: Applied, x: Value) -> Value:
    """x + a number."""
    return ops.Add()(x, operand(call.value, x))


@function("SubFromConstant")
def sub_from_constant(call: Applied, x: Value) -> Value:
    """A number - x."""
    return ops.Sub()(operand(call.value, x), x)


@function("MulConstant")
def mul_constant(call: Applied, x: Value) -> Value:
    """x * a number."""
    return ops.Mul()(x, operand(call.value, x))


@function("DivFromConstant")
def div_from_constant(call: Applied, x: Value) -> Value:
    """A number / x."""
    return ops.Div()(operand(call.value, x), x)


@function("PowVarConst")
def pow_var_const(call: Applied, x: Value) -> Value:
    """x to a number."""
    if isinstance(call.value, int | float) and call.value == 2:
        return ops.Mul()(x, x)
    return ops.Pow()(x, operand(call.value, x))


@function("PowConstVar")
def pow_const_var(call: Applied, x: Value) -> Value:
    """A number to x."""
    return ops.Pow()(operand(call.value, x), x)


@function("MultiAdd")
def multi_add(call: Applied, *xs: Value) -> Value:
    """The sum of all inputs."""
    total = xs[0]
    for x in xs[1:]:
        total = ops.Add()(total, x)
    return total


@function("Square")
def square(call: Applied, x: Value) -> Value:
    """x * x."""
    return ops.Mul()(x, x)


@function("RsqrtGPU")
def rsqrt(call: Applied, x: Value) -> Value:
    """1 / sqrt(x)."""
    return ops.Reciprocal()(ops.Sqrt()(x))


@function("Log2")
def log2(call: Applied, x: Value) -> Value:
    """Logarithm to the base 2."""
    return ops.Mul()(ops.Log()(x), scalar(1 / math.log(2), x))


@function("Log10")
def log10(call: Applied, x: Value) -> Value:
    """Logarithm to the base 10."""
    return ops.Mul()(ops.Log()(x), scalar(1 / math.log(10), x))


@function("Clip")
def clip(call: Applied, x: Value) -> Value:
    """x limited to [x_min, x_max]."""
    low, high = (None if v is None else float(v) for v in (call.x_min, call.x_max))
    return ops.Clip(low, high)(x)


@function("LinearInterpolate")
def linear_interpolate(call: Applied, p: Value, x: Value, y: Value) -> Value:
    """p * x + (1 - p) * y."""
    rest = ops.Sub()(scalar(1, p), p)
    return ops.Add()(ops.Mul()(p, x), ops.Mul()(rest, y))


@function("Sum")
def sum_(call: Applied, x: Value) -> Value:
    """The sum over axes."""
    return ops.ReduceSum(call.axis, call.keepdims)(x)


@function("Mean")
def mean(call: Applied, x: Value) -> Value:
    """The mean over axes."""
    return ops.ReduceMean(call.axis, call.keepdims)(x)


@function("Prod")
def prod(call: Applied, x: Value) -> Value:
    """The product over axes."""
    return ops.ReduceProd(call.axis, call.keepdims)(x)


@function("Max")
def max_(call: Applied, x: Value) -> Value:
    """The largest element over axes."""
    return ops.ReduceMax(call.axis, call.keepdims)(x)


@function("Min")
def min_(call: Applied, x: Value) -> Value:
    """The smallest."""
    return ops.ReduceMin(call.axis, call.keepdims)(x)


@function("ArgMax")
def argmax(call: Applied, x: Value) -> Value:
    """Where the largest is; of the whole array without an axis."""
    return ops.ArgMax(*_along(call))(_flat_unless(call, x))


@function("ArgMin")
def argmin(call: Applied, x: Value) -> Value:
    """Where the smallest is."""
    return ops.ArgMin(*_along(call))(_flat_unless(call, x))


def _along(call: Applied) -> tuple[int]:
    return (0 if call.axis is None else call.axis,)


def _flat_unless(call: Applied, x: Value) -> Value:
    return common.reshape(x, (x.type.size,)) if call.axis is None else x


@function("SumTo")
def sum_to(call: Applied, x: Value) -> Value:
    """The sum over the axes along which `shape` would be broadcast to x."""
    shape = tuple(call._shape)
    lead = x.type.rank - len(shape)
    axes = [k for k in range(x.type.rank) if k < lead or (shape[k - lead] == 1 != x.shape[k])]
    y = ops.ReduceSum(tuple(axes))(x) if axes else x
    return common.reshape(y, shape)


@function("LogSumExp")
def logsumexp(call: Applied, x: Value) -> Value:
    """log(sum(exp(x))) over axes."""
    axes = call.axis
    top = ops.ReduceMax(axes, True)(x)
    total = ops.ReduceSum(axes)(ops.Exp()(ops.Sub()(x, top)))
    return ops.Add()(ops.Log()(total), common.reshape(top, total.shape))


@function("Cumsum")
def cumsum(call: Applied, x: Value) -> Value:
    """Running sums."""
    return ops.CumSum(*_along(call))(_flat_unless(call, x))


@function("Cumprod")
def cumprod(call: Applied, x: Value) -> Value:
    """Running products."""
    return ops.CumProd(*_along(call))(_flat_unless(call, x))


@function("BatchL2NormSquared")
def batch_l2_norm_squared(call: Applied, x: Value) -> Value:
    """The sum of squares of each row."""
    flat = common.flatten(x)
    return ops.ReduceSum((1,))(ops.Mul()(flat, flat))


def _matrix(x: Value, turn: bool, call: Applied) -> Value:
    rank = x.type.rank
    if not turn or rank < 2:
        return x
    return turned(call, x, (*range(rank - 2), rank - 1, rank - 2))


@function("MatMul")
def matmul(call: Applied, a: Value, b: Value) -> Value:
    """a @ b by NumPy's rules, either or the result transposed."""
    a, b = _matrix(a, call.transa, call), _matrix(b, call.transb, call)
    row, column = a.type.rank == 1, b.type.rank == 1
    y = ops.MatMul()(
        common.expand_dims(a, 0) if row else a, common.expand_dims(b, 1) if column else b
    )
    y = common.squeeze(y, -2) if row else y
    y = common.squeeze(y, -1) if column else y
    if call.transc and y.type.rank >= 2:
        y = common.swap_axes(y, -1, -2)
    return y


@function("BatchMatMul")
def batch_matmul(call: Applied, a: Value, b: Value) -> Value:
    """Products of matrices one by one; vectors are columns."""
    a = common.expand_dims(a, -1) if a.type.rank == 2 else a
    b = common.expand_dims(b, -1) if b.type.rank == 2 else b
    return ops.MatMul()(_matrix(a, call.transa, call), _matrix(b, call.transb, call))


def _axes_pair(axes: Any, a: Value, b: Value) -> tuple[list[int], list[int]]:
    if isinstance(axes, Sequence):
        first, second = axes
        pairs = [[s] if isinstance(s, int) else list(s) for s in (first, second)]
        return (
            [normalise_axis(k, a.type.rank) for k in pairs[0]],
            [normalise_axis(k, b.type.rank) for k in pairs[1]],
        )
    return list(range(a.type.rank - axes, a.type.rank)), list(range(axes))


@function("TensorDot")
def tensordot(call: Applied, a: Value, b: Value) -> Value:
    """The product over some axes of both, as np.tensordot."""
    own, other = _axes_pair(call.axes, a, b)
    free_a = [k for k in range(a.type.rank) if k not in own]
    free_b = [k for k in range(b.type.rank) if k not in other]
    sizes: list[Dim] = [a.shape[k] for k in free_a]
    right: list[Dim] = [b.shape[k] for k in free_b]
    inner = dims.product(a.shape[k] for k in own)
    left = common.reshape(common.transpose(a, (*free_a, *own)), (dims.product(sizes), inner))
    rows = common.reshape(common.transpose(b, (*other, *free_b)), (inner, dims.product(right)))
    return common.reshape(ops.MatMul()(left, rows), (*sizes, *right))


@function("EinSum")
def einsum_(call: Applied, *xs: Value) -> Value:
    """np.einsum; `@` is Chainer's sign for the axes that an ellipsis stands for."""
    inputs = call.in_subs.split(",") if isinstance(call.in_subs, str) else call.in_subs
    equation = f"{','.join(inputs)}->{call.out_sub}".replace("@", "...")
    return einsum(equation, *xs)


@function("CooMatMul")
def coo_matmul(call: Applied, sp: Value, dn: Value) -> Value:
    """A sparse matrix, whose places are known, times a dense one."""
    rows, columns = np.asarray(call.sp_row), np.asarray(call.sp_col)
    m, k = call.sp_shape
    lead = rows.shape[:-1]
    batch = np.broadcast_to(
        np.arange(int(np.prod(lead)))[:, None], (int(np.prod(lead)), rows.shape[-1])
    )
    # Places that the format fills up with are -1.
    kept = rows.reshape(-1) >= 0
    place = ((batch.reshape(-1) * m + rows.reshape(-1)) * k + columns.reshape(-1))[kept]
    numbers = ops.Gather(0)(
        common.reshape(sp, (rows.size,)), graph.constant(np.flatnonzero(kept).astype(np.int32))
    )
    zeros = graph.constant(np.zeros(int(np.prod(lead)) * m * k, sp.type.dtype.numpy))
    where = graph.constant(place.astype(np.int32)[:, None])
    dense = common.reshape(ops.ScatterND("add")(zeros, where, numbers), (*lead, m, k))
    y = ops.MatMul()(_matrix(dense, call.transa, call), _matrix(dn, call.transb, call))
    return common.swap_axes(y, -1, -2) if call.transc else y
