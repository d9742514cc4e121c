"""Operators that work element by element, with NumPy broadcasting.

NaN propagates unless a docstring says otherwise. Integer arithmetic wraps to the dtype's width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from webconv.ir import dtypes
from webconv.ir.dtypes import DTYPES, DType
from webconv.ir.op import Array, Guard, Op, TensorType, broadcast, require


class Elementwise(Op):
    """Same-typed inputs that broadcast to one output of their dtype."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        kinds = {t.dtype for t in types}
        require(len(kinds) == 1, f"inputs must share a dtype, but they are {_names(types)}")
        return (TensorType(self.result(types[0].dtype), broadcast(t.shape for t in types)[0]),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        return broadcast(t.shape for t in types)[1]

    def result(self, dtype: DType) -> DType:
        """The output dtype."""
        return dtype


def _names(types: tuple[TensorType, ...]) -> str:
    return ", ".join(str(t.dtype) for t in types)


class Unary(Elementwise):
    """One input; `function` is its NumPy form."""

    function: ClassVar[Callable[..., Any]]

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (type(self).function(x),)


class FloatUnary(Unary):
    """One float input."""

    def result(self, dtype: DType) -> DType:
        require(dtype.is_float, f"the input must be floating-point, but it is {dtype}")
        return dtype


class Predicate(Unary):
    """One input, a bool output."""

    def result(self, dtype: DType) -> DType:
        return dtypes.bool_


class Binary(Elementwise):
    """Two inputs; `function` is its NumPy form."""

    function: ClassVar[Callable[..., Any]]

    def eval(self, x: Array, y: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (type(self).function(x, y),)


class FloatBinary(Binary):
    """Two float inputs."""

    def result(self, dtype: DType) -> DType:
        require(dtype.is_float, f"the inputs must be floating-point, but they are {dtype}")
        return dtype


class Comparison(Binary):
    """Two inputs, a bool output."""

    def result(self, dtype: DType) -> DType:
        return dtypes.bool_


class Logical(Binary):
    """Two bools, a bool output."""

    def result(self, dtype: DType) -> DType:
        require(dtype == dtypes.bool_, f"inputs must be bool, but they are {dtype}")
        return dtype


class Bitwise(Binary):
    """Two integers."""

    def result(self, dtype: DType) -> DType:
        require(dtype.is_integer, f"inputs must be integers, but they are {dtype}")
        return dtype


Kind = TypeVar("Kind", bound=Elementwise)


def _table(
    base: type[Kind], rows: dict[str, tuple[Callable[..., Any], str]]
) -> dict[str, type[Kind]]:
    """One frozen dataclass without attributes per row."""
    made: dict[str, type[Kind]] = {}
    for name, (function, doc) in rows.items():
        body = {"__doc__": doc, "__module__": __name__, "function": staticmethod(function)}
        made[name] = dataclass(frozen=True)(type(name, (base,), body))
    return made


def _divide(x: Array, y: Array) -> Array:
    """Integers: C's truncation; x/0 is 0 and INT_MIN/-1 wraps, on every target."""
    if x.dtype.kind == "f":
        return np.divide(x, y)
    safe = np.where(y == 0, 1, y)
    quotient = np.abs(x.astype(object)) // np.abs(safe.astype(object))
    signed = np.where((x < 0) != (safe < 0), -quotient, quotient).astype(object)
    low, high = int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max)
    wrapped = (signed - low) % (high - low + 1) + low
    return np.where(y == 0, 0, wrapped).astype(x.dtype)


def _mod(x: Array, y: Array) -> Array:
    """Sign of the divisor, as NumPy; x mod 0 is 0 for integers."""
    if x.dtype.kind == "f":
        return np.mod(x, y)
    return np.where(y == 0, 0, np.mod(x, np.where(y == 0, 1, y)))


def _fmod(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.fmod(x, y)
    return np.where(y == 0, 0, np.fmod(x, np.where(y == 0, 1, y)))


def _power(x: Array, y: Array) -> Array:
    """Integers: a negative exponent gives 1/x truncated, as C would."""
    if x.dtype.kind in "fu":
        return np.power(x, y)
    positive = np.power(x, np.maximum(y, 0))
    inverse = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0))
    return np.where(y < 0, inverse, positive).astype(x.dtype)


def _shift_left(x: Array, y: Array) -> Array:
    inside = (y >= 0) & (y < x.dtype.itemsize * 8)
    return np.where(inside, np.left_shift(x, np.where(inside, y, 0)), 0).astype(x.dtype)


def _shift_right(x: Array, y: Array) -> Array:
    """A shift of less than 0, or of the width or more, leaves nothing but the sign."""
    inside = (y >= 0) & (y < x.dtype.itemsize * 8)
    left = np.where(x < 0, -1, 0) if x.dtype.kind == "i" else 0
    return np.where(inside, np.right_shift(x, np.where(inside, y, 0)), left).astype(x.dtype)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype) if x.size else x


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


_UNARY = _table(
    Unary,
    {
        "Identity": (lambda x: x, "x."),
        "Neg": (np.negative, "-x."),
        "Abs": (np.abs, "|x|."),
        "Sign": (np.sign, "-1, 0 or 1; NaN stays."),
        "Relu": (lambda x: np.maximum(x, 0), "max(x, 0)."),
    },
)
FLOAT_UNARY = _table(
    FloatUnary,
    {
        "Acos": (np.arccos, "Inverse cosine in radians."),
        "Acosh": (np.arccosh, "Inverse hyperbolic cosine."),
        "Asin": (np.arcsin, "Inverse sine in radians."),
        "Asinh": (np.arcsinh, "Inverse hyperbolic sine."),
        "Atan": (np.arctan, "Inverse tangent in radians."),
        "Atanh": (np.arctanh, "Inverse hyperbolic tangent."),
        "Ceil": (np.ceil, "Rounded up."),
        "Cos": (np.cos, "Cosine of radians."),
        "Cosh": (np.cosh, "Hyperbolic cosine."),
        "Erf": (_erf, "The error function."),
        "Exp": (np.exp, "e to the x."),
        "Expm1": (np.expm1, "e to the x, less one, exact near 0."),
        "Floor": (np.floor, "Rounded down."),
        "HardSwish": (
            lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
            "x * clip(x / 6 + 0.5, 0, 1) (Howard 2019).",
        ),
        "Log": (np.log, "Natural logarithm."),
        "Log1p": (np.log1p, "log(1 + x), exact near 0."),
        "Mish": (lambda x: x * np.tanh(np.logaddexp(x, 0)), "x * tanh(softplus(x)) (Misra 2019)."),
        "Reciprocal": (np.reciprocal, "1 / x."),
        "Round": (np.round, "Rounded to nearest, ties to even."),
        "Sigmoid": (_sigmoid, "1 / (1 + exp(-x))."),
        "Sin": (np.sin, "Sine of radians."),
        "Sinh": (np.sinh, "Hyperbolic sine."),
        "Softplus": (lambda x: np.logaddexp(x, 0), "log(1 + exp(x))."),
        "Softsign": (lambda x: x / (1 + np.abs(x)), "x / (1 + |x|)."),
        "Sqrt": (np.sqrt, "Square root."),
        "Tan": (np.tan, "Tangent of radians."),
        "Tanh": (np.tanh, "Hyperbolic tangent."),
        "Trunc": (np.trunc, "Rounded towards 0."),
    },
)
_PREDICATES = _table(
    Predicate,
    {
        "IsNaN": (np.isnan, "True where x is NaN."),
        "Not": (np.logical_not, "Logical negation of a bool."),
    },
)
_BINARY = _table(
    Binary,
    {
        "Add": (np.add, "x + y."),
        "Sub": (np.subtract, "x - y."),
        "Mul": (np.multiply, "x * y."),
        "Div": (_divide, "x / y; integers truncate."),
        "Mod": (_mod, "Remainder with the divisor's sign."),
        "Fmod": (_fmod, "Remainder with the dividend's sign."),
        "Pow": (_power, "x to the y."),
        "Min": (np.minimum, "The smaller; NaN if either is."),
        "Max": (np.maximum, "The larger; NaN if either is."),
    },
)
_FLOAT_BINARY = _table(
    FloatBinary,
    {"Atan2": (np.arctan2, "The angle of (y, x) in radians; the first input is y.")},
)
_COMPARISONS = _table(
    Comparison,
    {
        "Equal": (np.equal, "x == y."),
        "Less": (np.less, "x < y."),
        "LessOrEqual": (np.less_equal, "x <= y."),
        "Greater": (np.greater, "x > y."),
        "GreaterOrEqual": (np.greater_equal, "x >= y."),
    },
)
_LOGICAL = _table(
    Logical,
    {
        "And": (np.logical_and, "Both."),
        "Or": (np.logical_or, "Either."),
        "Xor": (np.logical_xor, "Exactly one."),
    },
)
_BITWISE = _table(
    Bitwise,
    {
        "BitwiseAnd": (np.bitwise_and, "Bits of both."),
        "BitwiseOr": (np.bitwise_or, "Bits of either."),
        "BitwiseXor": (np.bitwise_xor, "Bits of exactly one."),
        "ShiftLeft": (_shift_left, "x << y; 0 for y < 0 and for y of the width or more."),
        "ShiftRight": (_shift_right, "x >> y; for such y 0, or -1 where x is negative."),
    },
)

ELEMENTWISE: dict[str, type[Elementwise]] = {
    **_UNARY,
    **FLOAT_UNARY,
    **_PREDICATES,
    **_BINARY,
    **_FLOAT_BINARY,
    **_COMPARISONS,
    **_LOGICAL,
    **_BITWISE,
}


@dataclass(frozen=True)
class BitwiseNot(Unary):
    """All bits flipped, of an integer."""

    function = staticmethod(np.invert)


@dataclass(frozen=True)
class IsInf(Predicate):
    """True where x is an infinity of a sign that counts (ONNX IsInf)."""

    detect_negative: bool = True
    detect_positive: bool = True

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        negative = np.isneginf(x) & self.detect_negative
        return (negative | (np.isposinf(x) & self.detect_positive),)


@dataclass(frozen=True)
class LeakyRelu(FloatUnary):
    """x where x >= 0, else alpha * x."""

    alpha: float = 0.01

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.where(x >= 0, x, x * self.alpha),)


@dataclass(frozen=True)
class Elu(FloatUnary):
    """gamma * x where x > 0, else gamma * alpha * (exp(x) - 1); Selu is one of these."""

    alpha: float = 1.0
    gamma: float = 1.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (self.gamma * np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0))),)


@dataclass(frozen=True)
class Celu(FloatUnary):
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)) (Barron 2017)."""

    alpha: float = 1.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.maximum(x, 0) + self.alpha * np.expm1(np.minimum(x, 0) / self.alpha),)


@dataclass(frozen=True)
class HardSigmoid(FloatUnary):
    """alpha * x + beta, clipped to [0, 1]."""

    alpha: float = 0.2
    beta: float = 0.5

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.clip(self.alpha * x + self.beta, 0, 1),)


@dataclass(frozen=True)
class Affine(FloatUnary):
    """alpha * x + beta."""

    alpha: float = 1.0
    beta: float = 0.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (self.alpha * x + self.beta,)


@dataclass(frozen=True)
class ScaledTanh(FloatUnary):
    """alpha * tanh(beta * x)."""

    alpha: float = 1.0
    beta: float = 1.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (self.alpha * np.tanh(self.beta * x),)


@dataclass(frozen=True)
class ThresholdedRelu(FloatUnary):
    """x where x > alpha, else 0."""

    alpha: float = 1.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.where(x > self.alpha, x, 0 * x),)


@dataclass(frozen=True)
class Gelu(FloatUnary):
    """x * Phi(x) (Hendrycks 2016), or its tanh approximation."""

    approximate: bool = False

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if self.approximate:
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return (0.5 * x * (1 + np.tanh(inner)),)
        return (0.5 * x * (1 + _erf(x / math.sqrt(2))),)


@dataclass(frozen=True)
class Swish(FloatUnary):
    """x * sigmoid(alpha * x); SiLU for alpha 1."""

    alpha: float = 1.0

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (x * _sigmoid(self.alpha * x),)


@dataclass(frozen=True)
class Clip(Unary):
    """x limited to [low, high]; an absent limit is None. NaN stays."""

    low: float | None = None
    high: float | None = None

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if self.low is not None:
            x = np.maximum(x, np.asarray(self.low, x.dtype))
        if self.high is not None:
            x = np.minimum(x, np.asarray(self.high, x.dtype))
        return (x,)


@dataclass(frozen=True)
class Where(Op):
    """x where the bool condition holds, else y; a NaN in the branch not taken does not show."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        condition, x, y = types
        require(condition.dtype == dtypes.bool_, f"condition must be bool, not {condition.dtype}")
        require(x.dtype == y.dtype, f"inputs must share a dtype, but they are {_names((x, y))}")
        return (TensorType(x.dtype, broadcast(t.shape for t in types)[0]),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        return broadcast(t.shape for t in types)[1]

    def eval(self, condition: Array, x: Array, y: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.where(condition, x, y),)


@dataclass(frozen=True)
class Cast(Op):
    """Conversion to another dtype.

    Float to int truncates and saturates to i32 (u32 for u32) before it wraps to a narrower width,
    NaN becomes 0; anything to bool is `x != 0`.
    """

    to: DType

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(self.to, types[0].shape),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if self.to.is_integer and x.dtype.kind == "f":
            name = self.to.name if self.to.bits >= 32 else "i32"
            wide = np.iinfo(DTYPES[name].numpy)
            limited = np.clip(np.nan_to_num(np.trunc(x.astype(np.float64))), wide.min, wide.max)
            top = limited >= float(wide.max)
            whole = np.where(top, 0, limited).astype(wide.dtype)
            return (np.where(top, wide.max, whole).astype(self.to.numpy),)
        return (x.astype(self.to.numpy) if not self.to.is_float else x.astype(np.float64),)


@dataclass(frozen=True)
class BitCast(Op):
    """The same bits as another dtype of the same width; not for f64, which is computed in f32."""

    to: DType

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        require(x.dtype.bits == self.to.bits, f"{x.dtype} and {self.to} must be of one width")
        wide = dtypes.f64 in (x.dtype, self.to) and x.dtype != self.to
        require(not wide, "f64 has no bits of its own, since it is computed in f32")
        return (TensorType(self.to, x.shape),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if x.dtype.kind == "f":
            x = x.astype(f"f{self.to.bits // 8}")
        if self.to == dtypes.bool_:
            return (x.view(np.uint8) != 0,)
        return (np.ascontiguousarray(x).reshape(x.shape).view(self.to.numpy),)
