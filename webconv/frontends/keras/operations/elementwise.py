"""Element by element: arithmetic, comparisons, logic, and what rounds or casts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, graph, ops
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Value

DTYPES: Mapping[str, DType] = {
    "float16": dtypes.f16,
    "bfloat16": dtypes.f32,
    "float32": dtypes.f32,
    "float64": dtypes.f64,
    "int8": dtypes.i8,
    "int16": dtypes.i16,
    "int32": dtypes.i32,
    "int64": dtypes.i64,
    "uint8": dtypes.u8,
    "uint16": dtypes.u16,
    "uint32": dtypes.u32,
    "uint64": dtypes.u64,
    "bool": dtypes.bool_,
}


def dtype_named(name: object) -> DType:
    """The DType that a config names; raises UnsupportedError for strings, complex and others."""
    found = DTYPES.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnsupportedError(
            f"dtype {shown(name)} is not supported; use one of {', '.join(DTYPES)}"
        )
    return found


def tensor(x: object, like: Value | None = None) -> Value:
    """`x` as a value; a number or a list gets the dtype of `like` where that can hold it."""
    if isinstance(x, Value):
        return x
    try:
        array = np.asarray(x)
    except (TypeError, ValueError):
        raise ModelFormatError(f"a tensor or a number is needed, not {shown(x)}") from None
    if array.dtype.kind not in "fiub" or array.dtype == object:
        raise ModelFormatError(f"a tensor or a number is needed, not {shown(x)}")
    wanted = np.dtype(np.float32 if array.dtype.kind == "f" else np.int32)
    if array.dtype.kind == "b":
        wanted = array.dtype
    if like is not None and (like.type.dtype.is_float or array.dtype.kind != "f"):
        wanted = like.type.dtype.numpy
    with np.errstate(all="ignore"):
        return graph.constant(array.astype(wanted))


def promoted(x: object, y: object) -> tuple[Value, Value]:
    """Two operands in one dtype: floats win, then what is wider; a number follows the tensor."""
    a = tensor(x, y if isinstance(y, Value) else None)
    b = tensor(y, x if isinstance(x, Value) else None)
    common_type = result_type(a.type.dtype, b.type.dtype)
    return common.cast(a, common_type), common.cast(b, common_type)


def result_type(a: DType, b: DType) -> DType:
    """The dtype that holds both, as JAX has it: an integer does not widen a float."""
    if a.is_float != b.is_float:
        return a if a.is_float else b
    if a.kind == "b" or b.kind == "b":
        return b if a.kind == "b" else a
    if a.kind != b.kind:
        signed, unsigned = (a, b) if a.kind == "i" else (b, a)
        if signed.bits > unsigned.bits:
            return signed
        return dtypes.DTYPES.get(f"i{unsigned.bits * 2}", dtypes.f32)
    return a if a.bits >= b.bits else b


def floating(x: object) -> Value:
    """`x` as floats."""
    value = tensor(x)
    return value if value.type.dtype.is_float else common.cast(value, dtypes.f32)


def boolean(x: object) -> Value:
    """`x` as bool."""
    return common.cast(tensor(x), dtypes.bool_)


def _binary(op: type[Any], as_float: bool = False) -> Callable[..., Value]:
    def binary(layer: Layer, x1: Any, x2: Any) -> Value:
        """op(x1, x2), broadcasting."""
        a, b = promoted(x1, x2)
        if as_float:
            a, b = floating(a), floating(b)
        return op()(a, b)

    return binary


def _logical(op: type[Any]) -> Callable[..., Value]:
    return lambda layer, x1, x2: op()(boolean(x1), boolean(x2))


def _bitwise(op: type[Any], of_bools: type[Any]) -> Callable[..., Value]:
    def bitwise(layer: Layer, x: Any, y: Any) -> Value:
        """op(x, y) of the bits of integers; `of_bools` is what it means for bools."""
        a, b = promoted(x, y)
        return (of_bools if a.type.dtype == dtypes.bool_ else op)()(a, b)

    return bitwise


def _unary(function: Callable[[Value], Value], as_float: bool = True) -> Callable[..., Value]:
    def unary(layer: Layer, x: Any) -> Value:
        """function(x)."""
        return function(floating(x) if as_float else tensor(x))

    return unary


def _apply(op: type[Any], *arguments: Any) -> Callable[[Value], Value]:
    return lambda x: op(*arguments)(x)


def _affine_of(op: type[Any], factor: float) -> Callable[[Value], Value]:
    """factor * op(x)."""
    return lambda x: ops.Affine(factor)(op()(x))


def not_equal(layer: Layer, x1: Any, x2: Any) -> Value:
    """x1 != x2."""
    return common.not_equal(*promoted(x1, x2))


def floor_divide(layer: Layer, x1: Any, x2: Any) -> Value:
    """x1 / x2 rounded down."""
    a, b = promoted(x1, x2)
    if a.type.dtype.is_float:
        return ops.Floor()(ops.Div()(a, b))
    return ops.Div()(ops.Sub()(a, ops.Mod()(a, b)), b)


def divide_no_nan(layer: Layer, x1: Any, x2: Any) -> Value:
    """x1 / x2, and 0 where x2 is 0."""
    a, b = (floating(v) for v in promoted(x1, x2))
    zero = ops.Equal()(b, scalar(0, b))
    quotient = ops.Div()(a, ops.Where()(zero, scalar(1, b), b))
    return ops.Where()(zero, scalar(0, a), quotient)


def clip(layer: Layer, x: Any, *, x_min: float | None = None, x_max: float | None = None) -> Value:
    """x limited to [x_min, x_max]."""
    return ops.Clip(x_min, x_max)(tensor(x))


def where(layer: Layer, condition: Any, x1: Any, x2: Any) -> Value:
    """x1 where the condition holds, else x2."""
    return ops.Where()(boolean(condition), *promoted(x1, x2))


def cast(layer: Layer, x: Any, *, dtype: str) -> Value:
    """x in another dtype."""
    return common.cast(tensor(x), dtype_named(dtype))


def saturate_cast(layer: Layer, x: Any, *, dtype: str) -> Value:
    """x in another dtype; what is beyond the least or the largest integer becomes that."""
    value, wanted = tensor(x), dtype_named(dtype)
    own = value.type.dtype
    if wanted.is_integer and own.kind != "b":
        low, high = _limits(own, np.iinfo(wanted.numpy))
        value = ops.Min()(ops.Max()(value, scalar(low, value)), scalar(high, value))
    return common.cast(value, wanted)


def _limits(own: DType, wanted: Any) -> tuple[float, float]:
    """The least and the largest number of a dtype that an integer type holds."""
    if own.is_integer:
        known = np.iinfo(own.numpy)
        return max(known.min, wanted.min), min(known.max, wanted.max)
    # The nearest float may lie beyond.
    number = own.numpy.type
    with np.errstate(over="ignore"):
        low, high = number(wanted.min), number(wanted.max)
    if float(high) > wanted.max:
        high = np.nextafter(high, number(0))
    if float(low) < wanted.min:
        low = np.nextafter(low, number(0))
    return float(low), float(high)


def round_to(layer: Layer, x: Any, *, decimals: int = 0) -> Value:
    """x rounded to some decimals, ties to even."""
    value = tensor(x)
    if not value.type.dtype.is_float:
        return value
    if abs(decimals) > 30:
        raise ModelFormatError(f"decimals must lie in [-30, 30], but it is {decimals}")
    factor = 10.0**decimals
    y = ops.Round()(ops.Affine(factor)(value) if decimals else value)
    return ops.Affine(1 / factor)(y) if decimals else y


def _log_of_sum(base: float) -> Callable[..., Value]:
    def logaddexp(layer: Layer, x1: Any, x2: Any) -> Value:
        """The logarithm of base^x1 + base^x2; two equal infinities stay what they are."""
        a, b = (floating(v) for v in promoted(x1, x2))
        gap = ops.Affine(-math.log(base))(ops.Abs()(ops.Sub()(a, b)))
        gap = ops.Where()(ops.Equal()(a, b), scalar(0, a), gap)
        more = ops.Log1p()(ops.Exp()(gap))
        return ops.Add()(ops.Max()(a, b), ops.Affine(1 / math.log(base))(more))

    return logaddexp


def hypot(layer: Layer, x1: Any, x2: Any) -> Value:
    """sqrt(x1^2 + x2^2)."""
    a, b = (floating(v) for v in promoted(x1, x2))
    return ops.Sqrt()(ops.Add()(ops.Mul()(a, a), ops.Mul()(b, b)))


def cbrt(x: Value) -> Value:
    """The real cube root."""
    root = ops.Pow()(ops.Abs()(x), scalar(1 / 3, x))
    return ops.Mul()(ops.Sign()(x), root)


def heaviside(layer: Layer, x1: Any, x2: Any) -> Value:
    """0 for a negative x1, 1 for a positive one, x2 for 0; NaN stays."""
    a, b = promoted(x1, x2)
    if a.type.dtype == dtypes.bool_:
        return ops.Or()(a, b)
    a, b = floating(a), floating(b)
    zero = scalar(0, a)
    step = ops.Where()(ops.Equal()(a, zero), b, a)
    step = ops.Where()(ops.Greater()(a, zero), scalar(1, a), step)
    return ops.Where()(ops.Less()(a, zero), zero, step)


def signbit(layer: Layer, x: Any) -> Value:
    """True where the sign is negative, that of -0 too."""
    value = tensor(x)
    if value.type.dtype.is_float:
        value = ops.BitCast(dtypes.i32)(common.cast(value, dtypes.f32))
    elif value.type.dtype.kind == "b":
        value = common.cast(value, dtypes.i32)
    return ops.Less()(value, scalar(0, value))


def sinc(x: Value) -> Value:
    """sin(pi x) / (pi x), 1 at 0."""
    zero, one = ops.Equal()(x, scalar(0, x)), scalar(1, x)
    angle = ops.Affine(math.pi)(ops.Where()(zero, one, x))
    return ops.Where()(zero, one, ops.Div()(ops.Sin()(angle), angle))


def isreal(layer: Layer, x: Any) -> Value:
    """True everywhere, for there are no complex numbers."""
    return common.broadcast_to(graph.constant(np.bool_(True)), tensor(x).shape)


def filled_like(value: float | None) -> Callable[..., Value]:
    """A rule that fills the shape of x with a number."""

    def like(layer: Layer, x: Any, fill_value: Any = value, *, dtype: str | None = None) -> Value:
        """A tensor of the shape of x, of one number."""
        x = tensor(x)
        number = tensor(fill_value, x)
        number = common.cast(number, x.type.dtype if dtype is None else dtype_named(dtype))
        return common.broadcast_to(number, x.shape)

    return like


def isfinite(x: Value) -> Value:
    """True where x is neither infinite nor NaN."""
    return ops.Not()(ops.Or()(ops.IsNaN()(x), ops.IsInf()(x)))


def identity(layer: Layer, x: Any) -> Value:
    """x."""
    return tensor(x)


def _square(x: Value) -> Value:
    x = common.cast(x, dtypes.i32) if x.type.dtype == dtypes.bool_ else x
    return ops.Mul()(x, x)


def _inverted(x: Value) -> Value:
    return ops.Not()(x) if x.type.dtype == dtypes.bool_ else ops.BitwiseNot()(x)


BINARY: Mapping[str, type[Any]] = {
    "Add": ops.Add,
    "Subtract": ops.Sub,
    "Multiply": ops.Mul,
    "Maximum": ops.Max,
    "Minimum": ops.Min,
    "Power": ops.Pow,
    "Mod": ops.Mod,
    "Fmod": ops.Fmod,
    "Equal": ops.Equal,
    "Greater": ops.Greater,
    "GreaterEqual": ops.GreaterOrEqual,
    "Less": ops.Less,
    "LessEqual": ops.LessOrEqual,
    "LeftShift": ops.ShiftLeft,
    "BitwiseLeftShift": ops.ShiftLeft,
    "RightShift": ops.ShiftRight,
    "BitwiseRightShift": ops.ShiftRight,
}
FLOAT: Mapping[str, Callable[[Value], Value]] = {
    "Arccos": _apply(ops.Acos),
    "Arccosh": _apply(ops.Acosh),
    "Arcsin": _apply(ops.Asin),
    "Arcsinh": _apply(ops.Asinh),
    "Arctan": _apply(ops.Atan),
    "Arctanh": _apply(ops.Atanh),
    "Cbrt": cbrt,
    "Ceil": _apply(ops.Ceil),
    "Cos": _apply(ops.Cos),
    "Cosh": _apply(ops.Cosh),
    "Deg2rad": _apply(ops.Affine, math.pi / 180),
    "Rad2deg": _apply(ops.Affine, 180 / math.pi),
    "Erf": _apply(ops.Erf),
    "Erfc": lambda x: ops.Affine(-1.0, 1.0)(ops.Erf()(x)),
    "Exp": _apply(ops.Exp),
    "Exp2": lambda x: ops.Exp()(ops.Affine(math.log(2))(x)),
    "Expm1": _apply(ops.Expm1),
    "Fabs": _apply(ops.Abs),
    "Floor": _apply(ops.Floor),
    "Isfinite": isfinite,
    "Isinf": _apply(ops.IsInf),
    "Isneginf": _apply(ops.IsInf, True, False),
    "Isposinf": _apply(ops.IsInf, False, True),
    "Isnan": _apply(ops.IsNaN),
    "Log": _apply(ops.Log),
    "Log10": _affine_of(ops.Log, 1 / math.log(10)),
    "Log1p": _apply(ops.Log1p),
    "Log2": _affine_of(ops.Log, 1 / math.log(2)),
    "Reciprocal": _apply(ops.Reciprocal),
    "Rsqrt": lambda x: ops.Reciprocal()(ops.Sqrt()(x)),
    "Sin": _apply(ops.Sin),
    "Sinc": sinc,
    "Sinh": _apply(ops.Sinh),
    "Sqrt": _apply(ops.Sqrt),
    "Tan": _apply(ops.Tan),
    "Tanh": _apply(ops.Tanh),
}
ANY: Mapping[str, Callable[[Value], Value]] = {
    "Abs": _apply(ops.Abs),
    "Absolute": _apply(ops.Abs),
    "BitwiseInvert": _inverted,
    "BitwiseNot": _inverted,
    "LogicalNot": lambda x: ops.Not()(boolean(x)),
    "Negative": _apply(ops.Neg),
    "Sign": _apply(ops.Sign),
    "Square": _square,
    "Trunc": lambda x: ops.Trunc()(x) if x.type.dtype.is_float else x,
}
RULES: Mapping[str, Rule] = {
    **{name: Rule(_binary(op)) for name, op in BINARY.items()},
    **{name: Rule(_unary(function)) for name, function in FLOAT.items()},
    **{name: Rule(_unary(function, False)) for name, function in ANY.items()},
    "Divide": Rule(_binary(ops.Div, True)),
    "TrueDivide": Rule(_binary(ops.Div, True)),
    "BitwiseAnd": Rule(_bitwise(ops.BitwiseAnd, ops.And)),
    "BitwiseOr": Rule(_bitwise(ops.BitwiseOr, ops.Or)),
    "BitwiseXor": Rule(_bitwise(ops.BitwiseXor, ops.Xor)),
    "Arctan2": Rule(_binary(ops.Atan2, True)),
    "FloorDivide": Rule(floor_divide),
    "DivideNoNan": Rule(divide_no_nan),
    "NotEqual": Rule(not_equal),
    "LogicalAnd": Rule(_logical(ops.And)),
    "LogicalOr": Rule(_logical(ops.Or)),
    "LogicalXor": Rule(_logical(ops.Xor)),
    "Logaddexp": Rule(_log_of_sum(math.e)),
    "Logaddexp2": Rule(_log_of_sum(2)),
    "Heaviside": Rule(heaviside),
    "Signbit": Rule(signbit),
    "Isreal": Rule(isreal),
    "Hypot": Rule(hypot),
    "Clip": Rule(clip),
    "Where": Rule(where),
    "Cast": Rule(cast),
    "SaturateCast": Rule(saturate_cast),
    "Round": Rule(round_to),
    "ZerosLike": Rule(filled_like(0)),
    "OnesLike": Rule(filled_like(1)),
    "EmptyLike": Rule(filled_like(0)),
    "FullLike": Rule(filled_like(None)),
    "Copy": Rule(identity),
    "Array": Rule(identity, ignores="dtype"),
    "ConvertToTensor": Rule(identity, ignores="dtype sparse ragged"),
    "StopGradient": Rule(identity),
    "Real": Rule(identity),
    "Conjugate": Rule(identity),
    "Conj": Rule(identity),
    "Imag": Rule(filled_like(0)),
}
