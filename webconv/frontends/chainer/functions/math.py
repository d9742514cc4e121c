"""chainer.functions.math: arithmetic, products, reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.align import Reciprocal, Varying
from webconv.frontends.chainer.registry import Applied, Convert, function
from webconv.frontends.common import cast, scalar
from webconv.ir import dims, graph, ops
from webconv.ir.graph import Value

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
    "Sign": ops.Sign,
}
ROUNDING = {"Floor": ops.Floor, "Ceil": ops.Ceil, "Fix": ops.Trunc}
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


def _rounding(op: Any) -> Convert:
    def convert(call: Applied, x: Value) -> Value:
        return op()(x) if x.type.dtype.is_float else x

    return convert


def _binary(op: Any) -> Convert:
    def convert(call: Applied, x: Value, y: Value) -> Value:
        return op()(x, y)

    return convert


for _name, _op in UNARY.items():
    function(_name)(_unary(_op))
for _name, _op in ROUNDING.items():
    function(_name)(_rounding(_op))
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
