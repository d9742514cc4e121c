"""Elementwise operators: one scalar expression each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webconv.backends.expr import Const, Expr, call, f32, select
from webconv.backends.functions import apply
from webconv.backends.kernel import COMPUTE
from webconv.backends.tensor import Context, Tensor
from webconv.ir import dtypes, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DType
from webconv.ir.op import Op, broadcast

Scalar = Callable[..., Expr]

# Shaders have no negation and no magnitude of these.
UNSIGNED = ("u32", "u64")


def primitive(name: str) -> Scalar:
    """A function that applies the primitive `name`."""
    return lambda *args: call(name, *args)


def function(name: str) -> Scalar:
    """A function that applies one of our own functions."""
    return lambda *args: apply(name, *args)


def by_kind(floats: Scalar, integers: Scalar) -> Scalar:
    """`floats` for f32 arguments, else `integers`."""
    return lambda *args: (floats if args[0].type == "f32" else integers)(*args)


def typed(name: str) -> Scalar:
    """Our function `name_<type>`, chosen by the type of the first argument."""
    return lambda *args: apply(f"{name}_{args[0].type}", *args)


def _relu(x: Expr) -> Expr:
    return call("max", x, 0)


def _elu(alpha: float, gamma: float) -> Scalar:
    def elu(x: Expr) -> Expr:
        negative = apply("expm1", call("min", x, 0.0)) * (alpha * gamma)
        return select(x > 0.0, x * gamma, negative)

    return elu


def _celu(alpha: float) -> Scalar:
    def celu(x: Expr) -> Expr:
        return call("max", x, 0.0) + apply("expm1", call("min", x, 0.0) * (1 / alpha)) * alpha

    return celu


def _clip(low: float | None, high: float | None) -> Scalar:
    def clip(x: Expr) -> Expr:
        x = x if low is None else call("max", x, _limit(low, x.type))
        return x if high is None else call("min", x, _limit(high, x.type))

    return clip


def _limit(value: float, type: str) -> Expr:
    if type == "f32":
        return f32(max(-3.4028235e38, min(3.4028235e38, value)))
    bits = 64 if type in ("i64", "u64") else 32
    signed = type in ("i32", "i64")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return Const(int(max(low, min(high, value))), type)


def _isinf(op: Any) -> Scalar:
    def isinf(x: Expr) -> Expr:
        either: Expr = Const(False, "bool")
        if op.detect_positive:
            either = either | call("eq", call("bits", x), 0x7F800000)
        if op.detect_negative:
            either = either | call("eq", call("bits", x), -0x800000)
        return either

    return isinf


# What each attribute-free operator computes.
SCALARS: dict[str, Scalar] = {
    "Identity": lambda x: x,
    "Neg": lambda x: call("sub", 0, x) if x.type in UNSIGNED else call("neg", x),
    "Abs": lambda x: x if x.type in UNSIGNED else call("abs", x),
    "Sign": typed("sign"),
    "Relu": _relu,
    **{
        name: function(name.lower())
        for name in (
            "Acos",
            "Acosh",
            "Asin",
            "Asinh",
            "Atan",
            "Atanh",
            "Cos",
            "Cosh",
            "Erf",
            "Exp",
            "Expm1",
            "Log",
            "Log1p",
            "Sigmoid",
            "Sin",
            "Sinh",
            "Softplus",
            "Tan",
            "Tanh",
            "Atan2",
        )
    },
    **{
        name: primitive(name.lower())
        for name in (
            "Ceil",
            "Floor",
            "Round",
            "Sqrt",
            "Trunc",
            "Add",
            "Sub",
            "Mul",
            "Not",
            "And",
            "Or",
            "Xor",
        )
    },
    "Reciprocal": lambda x: 1.0 / x,
    "Softsign": function("softsign"),
    "HardSwish": lambda x: x * _clip(0.0, 1.0)(x * (1 / 6) + 0.5),
    "Mish": lambda x: x * apply("tanh", apply("softplus", x)),
    "IsNaN": lambda x: apply("is_nan", x),
    "Div": by_kind(primitive("div"), typed("safe_div")),
    "Mod": by_kind(function("mod"), typed("safe_mod")),
    "Fmod": by_kind(function("fmod"), typed("safe_rem")),
    "Pow": by_kind(function("pow"), typed("ipow")),
    "Min": by_kind(function("min_nan"), primitive("min")),
    "Max": by_kind(function("max_nan"), primitive("max")),
    "Equal": primitive("eq"),
    "Less": primitive("lt"),
    "LessOrEqual": primitive("le"),
    "Greater": primitive("gt"),
    "GreaterOrEqual": primitive("ge"),
    "BitwiseAnd": primitive("and"),
    "BitwiseOr": primitive("or"),
    "BitwiseXor": primitive("xor"),
    "BitwiseNot": primitive("not"),
    "ShiftLeft": typed("safe_shl"),
    "ShiftRight": typed("safe_shr"),
}

# What operators with attributes compute.
PARAMETRIC: dict[str, Callable[[Any], Scalar]] = {
    "LeakyRelu": lambda op: lambda x: select(x >= 0.0, x, x * op.alpha),
    "Elu": lambda op: _elu(op.alpha, op.gamma),
    "Celu": lambda op: _celu(op.alpha),
    "HardSigmoid": lambda op: lambda x: _clip(0.0, 1.0)(x * op.alpha + op.beta),
    "Affine": lambda op: lambda x: x * op.alpha + op.beta,
    "ScaledTanh": lambda op: lambda x: apply("tanh", x * op.beta) * op.alpha,
    "ThresholdedRelu": lambda op: lambda x: select(x > op.alpha, x, 0.0),
    "Gelu": lambda op: function("gelu_tanh" if op.approximate else "gelu"),
    "Swish": lambda op: lambda x: x * apply("sigmoid", x * op.alpha),
    "Clip": lambda op: _clip(op.low, op.high),
    "IsInf": _isinf,
    "Where": lambda op: select,
}


def scalar(op: Op) -> Scalar:
    """The expression that `op` computes from expressions of its inputs' elements."""
    name = type(op).__name__
    return SCALARS[name] if name in SCALARS else PARAMETRIC[name](op)


def narrow(value: Expr, dtype: DType) -> Expr:
    """`value` as an element of `dtype`: wrapped to its width, or rounded to f16."""
    if dtype.name in ("i8", "i16", "u8", "u16"):
        return apply(f"wrap_{dtype.name}", value)
    return apply("round_f16", value) if dtype == dtypes.f16 else value


def convert(value: Expr, source: DType, target: DType) -> Expr:
    """The value of an element of `source` as one of `target`."""
    a, b = COMPUTE[source.name], COMPUTE[target.name]
    if target == dtypes.bool_:
        # NaN is true; comparing it is not defined on GPUs.
        return call("ne", call("bits", value) & 0x7FFFFFFF if a == "f32" else value, 0)
    if a == b:
        return value if target in (source, dtypes.f32, dtypes.f64) else narrow(value, target)
    return narrow(apply(f"saturate_{b}", value) if a == "f32" else call(b, value), target)


def broadcast_index(index: tuple[Dim, ...], shape: Shape) -> tuple[Dim, ...]:
    """The element of a tensor of `shape` that meets `index` of the broadcast result."""
    aligned = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(aligned, shape, strict=True))


def pointwise(inputs: Sequence[Tensor], dtype: DType, compute: Scalar, cost: int = 1) -> Tensor:
    """`compute` on the elements of the broadcast inputs."""
    shape = broadcast(t.shape for t in inputs)[0]

    def at(index: tuple[Dim, ...]) -> Expr:
        return compute(*(t.at(broadcast_index(index, t.shape)) for t in inputs))

    total = cost + sum(t.cost for t in inputs)
    wide = [t for t in inputs if t.rank and t.shape[-1] == shape[-1]]
    panel = max((t.panel for t in wide), default=1)
    tile = next((t.tile for t in wide if t.tile is not None and t.rank == len(shape)), None)
    return Tensor(dtype, shape, at, total, panel=panel, tile=tile)


def elementwise(ctx: Context, op: Any, *inputs: Tensor) -> Tensor:
    """Any operator of SCALARS or PARAMETRIC."""
    compute = scalar(op)
    dtype = op.infer(*(types_of(t) for t in inputs))[0].dtype
    if dtype.name in ("f32", "f64", "i32", "u32", "i64", "u64", "bool"):
        return pointwise(inputs, dtype, compute, COSTS.get(type(op).__name__, 1))
    return pointwise(inputs, dtype, lambda *xs: narrow(compute(*xs), dtype), 4)


def types_of(t: Tensor) -> Any:
    """The IR type of a tensor."""
    from webconv.ir.op import TensorType

    return TensorType(t.dtype, t.shape)


def cast(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Cast."""
    return pointwise([x], op.to, lambda v: convert(v, x.dtype, op.to))


def bit_cast(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """The same bits: by way of an i32 where one of the two is a float."""
    return pointwise([x], op.to, lambda v: reinterpreted(v, x.dtype, op.to))


def reinterpreted(value: Expr, source: DType, target: DType) -> Expr:
    """An element of `source` as the element of `target` with the same bits."""
    if source == target:
        return value
    if source.is_float:
        value = apply("f16_bits", value) if source == dtypes.f16 else call("bits", value)
        source = dtypes.i32 if source == dtypes.f32 else dtypes.u16
    if not target.is_float:
        return convert(value, source, target)
    if target == dtypes.f16:
        return apply("from_f16_bits", value)
    return call("from_bits", convert(value, source, dtypes.i32))


# Operations behind one element, where they are many.
COSTS = dict.fromkeys(
    (
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Cos",
        "Cosh",
        "Erf",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Sigmoid",
        "Sin",
        "Sinh",
        "Softplus",
        "Tan",
        "Tanh",
        "Atan2",
        "Pow",
        "Gelu",
        "Elu",
        "Celu",
        "ScaledTanh",
        "Swish",
        "Mish",
        "Mod",
        "Fmod",
    ),
    20,
)

LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    **{getattr(ops, name): elementwise for name in (*SCALARS, *PARAMETRIC)},
    ops.Cast: cast,
    ops.BitCast: bit_cast,
}
