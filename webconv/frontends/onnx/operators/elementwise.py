"""Arithmetic, comparisons, logic, activations and casts."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from webconv.frontends.common import cast, folded, scalar
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.types import dtype_of
from webconv.frontends.onnx.values import number
from webconv.ir import dtypes, ops
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value, constant

# The largest f32.
LARGEST = 3.4028234663852886e38

UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Cos"),
    *("Cosh", "Erf", "Exp", "Floor", "Identity", "IsNaN", "Log", "Neg", "Not", "Reciprocal"),
    *("Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan"),
    "Tanh",
)
BINARY = (
    *("Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater"),
    *("GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Or", "Sub", "Xor"),
)


def _unary(name: str) -> None:
    @operator(name)
    def apply(x: Value) -> Any:
        return getattr(ops, name)()(x)


def _binary(name: str) -> None:
    @operator(name, since=7)
    def apply(x: Value, y: Value) -> Any:
        return getattr(ops, name)()(x, y)


def _parametric(name: str, **defaults: float) -> None:
    """An operator whose float attributes are those of our op."""
    if "alpha" in defaults and "beta" in defaults:

        @operator(name)
        def both(
            x: Value, *, alpha: float = defaults["alpha"], beta: float = defaults["beta"]
        ) -> Any:
            return getattr(ops, name)(alpha, beta)(x)

    else:

        @operator(name)
        def one(x: Value, *, alpha: float = defaults["alpha"]) -> Any:
            return getattr(ops, name)(alpha)(x)


for _name in UNARY:
    _unary(_name)
for _name in BINARY:
    _binary(_name)
_parametric("LeakyRelu", alpha=0.01)
_parametric("Elu", alpha=1.0)
_parametric("Celu", alpha=1.0)
_parametric("ThresholdedRelu", alpha=1.0)
_parametric("HardSigmoid", alpha=0.2, beta=0.5)
_parametric("Swish", alpha=1.0)


def _variadic(name: str, op: type[ops.Op]) -> None:
    @operator(name)
    def apply(*inputs: Value) -> Value:
        return functools.reduce(lambda x, y: op()(x, y), inputs)


_variadic("Max", ops.Max)
_variadic("Min", ops.Min)
_variadic("Sum", ops.Add)


@operator("Mean")
def mean(*inputs: Value) -> Value:
    """The mean of inputs that broadcast."""
    total = functools.reduce(lambda x, y: ops.Add()(x, y), inputs)
    out: Value = ops.Mul()(total, scalar(1 / len(inputs), total))
    return out


@operator("Pow", since=7)
def pow_(x: Value, y: Value) -> Any:
    """x to the y, of the dtype of x; the dtypes may differ."""
    if x.type.dtype == y.type.dtype:
        return ops.Pow()(x, y)
    if x.type.dtype.is_float:
        return ops.Pow()(x, cast(y, x.type.dtype))
    if y.type.dtype.is_float:
        return cast(ops.Pow()(cast(x, dtypes.f32), cast(y, dtypes.f32)), x.type.dtype)
    return ops.Pow()(x, cast(y, x.type.dtype))


@operator("Mod")
def mod(x: Value, y: Value, *, fmod: int = 0) -> Any:
    """Remainder with the sign of the divisor, or with `fmod` of the dividend."""
    return (ops.Fmod if fmod else ops.Mod)()(x, y)


@operator("BitShift")
def bit_shift(x: Value, y: Value, *, direction: str) -> Any:
    """x shifted by y bits."""
    return (ops.ShiftLeft if direction == "LEFT" else ops.ShiftRight)()(x, y)


@operator("PRelu", since=7)
def prelu(x: Value, slope: Value) -> Any:
    """x where x >= 0, else slope * x; slope broadcasts to x."""
    zero = scalar(0, x)
    return ops.Where()(ops.Less()(x, zero), ops.Mul()(x, slope), x)


@operator("Selu")
def selu(x: Value, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Any:
    """gamma * (x or alpha * (exp(x) - 1))."""
    return ops.Elu(alpha, gamma)(x)


@operator("Gelu")
def gelu(x: Value, *, approximate: str = "none") -> Any:
    """x * Phi(x)."""
    return ops.Gelu(approximate == "tanh")(x)


@operator("HardSwish")
def hard_swish(x: Value) -> Any:
    """x * clip(x / 6 + 0.5, 0, 1)."""
    return ops.Mul()(x, ops.HardSigmoid(1 / 6, 0.5)(x))


@operator("Mish")
def mish(x: Value) -> Any:
    """x * tanh(softplus(x))."""
    return ops.Mul()(x, ops.Tanh()(ops.Softplus()(x)))


@operator("Shrink")
def shrink(x: Value, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    """x + bias below -lambd, x - bias above lambd, else 0."""
    if not x.type.dtype.is_float:
        return cast(shrink(cast(x, dtypes.f32), bias=bias, lambd=lambd), x.type.dtype)
    high, low = scalar(lambd, x), scalar(-lambd, x)
    shift = scalar(bias, x)
    lower = ops.Where()(ops.Less()(x, low), ops.Add()(x, shift), scalar(0, x))
    return ops.Where()(ops.Greater()(x, high), ops.Sub()(x, shift), lower)


@operator("IsInf")
def is_inf(x: Value, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    """True where x is an infinity of a sign that counts."""
    return ops.IsInf(bool(detect_negative), bool(detect_positive))(x)


@operator("Clip")
def clip_attributes(x: Value, *, min: float = -LARGEST, max: float = LARGEST) -> Any:
    """x limited to attributes (opset 6), which makes infinities finite."""
    return _clipped(x, min, max)


def _clipped(x: Value, low: float | None, high: float | None) -> Any:
    return ops.Clip(None if low == -math.inf else low, None if high == math.inf else high)(x)


@operator("Clip", since=11)
def clip(x: Value, low: Value | None = None, high: Value | None = None) -> Any:
    """x limited to inputs; constant limits become attributes."""
    limits = [v for v in (low, high) if v is not None]
    if all(v.constant is not None and v.constant.size == 1 for v in limits):
        lower = None if low is None else number(low, "min")
        upper = None if high is None else number(high, "max")
        return _clipped(x, lower, upper)
    if low is not None:
        x = ops.Max()(x, low)
    return x if high is None else ops.Min()(x, high)


@operator("Where")
def where(condition: Value, x: Value, y: Value) -> Any:
    """x where the condition holds, else y."""
    return ops.Where()(condition, x, y)


@operator("Cast")
def cast_(x: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> Value:
    """Conversion to another dtype; `saturate` and `round_mode` concern float8 only."""
    return cast(x, dtype_of(to))


@operator("CastLike")
def cast_like(x: Value, like: Value, *, saturate: int = 1, round_mode: str = "up") -> Value:
    """Conversion to the dtype of another value, of which nothing else matters."""
    made = cast(x, like.type.dtype)
    return made if x.constant is None else folded(made)


@operator("BitCast")
def bit_cast(x: Value, *, to: int) -> Any:
    """The same bits as another dtype."""
    return ops.BitCast(dtype_of(to))(x)


@operator("Dropout")
def dropout_7(x: Value, *, ratio: float = 0.5) -> tuple[Value, Value]:
    """x itself, and a mask of ones."""
    return x, cast(_true_like(x), x.type.dtype)


@operator("Dropout", since=10)
def dropout_10(x: Value, *, ratio: float = 0.5) -> tuple[Value, Value]:
    """x itself, and a mask of True."""
    return x, _true_like(x)


@operator("Dropout", since=12)
def dropout_12(
    x: Value, ratio: Value | None = None, training_mode: Value | None = None, *, seed: int = 0
) -> tuple[Value, Value]:
    """x itself, and a mask of True; training with a ratio above 0 is refused."""
    trains = training_mode is not None and number(training_mode, "training_mode")
    if trains and (ratio is None or number(ratio, "ratio")):
        raise UnsupportedError("training_mode is on; export the model for inference")
    return x, _true_like(x)


def _true_like(x: Value) -> Value:
    out: Value = ops.Expand(x.shape)(constant(np.array(True)))
    return out
