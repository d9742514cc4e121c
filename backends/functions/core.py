"""What a function is, and the words that their bodies are written in.

Bodies are elementwise: primitives, literals and calls of other functions, so every function can be
printed for one value and for four. Shifts are by constants except in the integer shift functions,
since wasm has no vector shift by lane.

What bodies may rely on is less than IEEE 754: `fma` rounds once or twice, `+ - *` may round either
way, `/` and `sqrt` are off by some ulp and undefined for divisors beyond 2**126, denormals may be
flushed, NaN and infinity arithmetic may give anything. So infinities and NaN are made, and
recognised, by their bits; and limits are taken by `below` and `above`, which pass NaN on where
arithmetic is IEEE.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from webconv.backends.expr import Call, Const, Expr, Number, Var, call, rewrite, select, wrap

SIGN = -(2**31)
INFINITY = 0x7F800000
NEGATIVE_INFINITY = -0x800000
NAN = 0x7FC00000
SMALLEST_NORMAL = 0x00800000
ONE = 0x3F800000


@dataclass(frozen=True)
class Function:
    """A named body over `parameters`; `doc` says what it computes, and its error."""

    name: str
    parameters: tuple[Var, ...]
    body: Expr
    doc: str = ""


Table = dict[str, Function]


def define(kind: str, *builders: Callable[..., Expr], suffix: str = "") -> Table:
    """A table of functions of `kind` arguments, from Python functions over expressions."""
    table = {}
    for build in builders:
        name = build.__name__ + suffix
        names = inspect.signature(build).parameters
        parameters = tuple(Var(p, kind) for p in names)
        doc = " ".join((inspect.getdoc(build) or "").split())
        table[name] = Function(name, parameters, _rounded(build(*parameters)), doc)
    return table


def _rounded(body: Expr) -> Expr:
    """`body` with literals that are exact in f32, so that no printer needs to round."""

    def literal(e: Expr) -> Expr | None:
        if isinstance(e, Const) and e.type == "f32":
            return Const(float(np.float32(e.value)), "f32")
        return None

    return rewrite(body, literal)


def use(name: str, *args: Expr | Number, type: str = "f32") -> Expr:
    """A call of the f32 function `name` from a body; `type` is that of its result."""
    return Call(name, tuple(wrap(a, "f32") for a in args), type)


def i32(value: int) -> Expr:
    """An i32 literal."""
    return Const(value, "i32")


def bits(x: Expr) -> Expr:
    """The bits of an f32, as i32."""
    return call("bits", x)


def from_bits(i: Expr) -> Expr:
    """The f32 of these bits."""
    return call("from_bits", i)


def fma(a: Expr, b: Expr | Number, c: Expr | Number) -> Expr:
    """a * b + c."""
    return call("fma", a, b, c)


def equal(a: Expr, b: Expr | Number) -> Expr:
    """a == b."""
    return call("eq", a, b)


def differ(a: Expr, b: Expr | Number) -> Expr:
    """a != b."""
    return call("ne", a, b)


def shift_left(x: Expr, amount: int) -> Expr:
    """Bits moved up by a constant."""
    return call("shl", x, amount)


def shift_right(x: Expr, amount: int) -> Expr:
    """Bits moved down by a constant: i32 keeps its sign, u32 does not."""
    return call("shr", x, amount)


def magnitude_bits(x: Expr) -> Expr:
    """The bits of |x|; as integers they are ordered as the values are, NaN last."""
    return bits(x) & 0x7FFFFFFF


def magnitude(x: Expr) -> Expr:
    """|x|, by its bits, so that infinities are safe."""
    return from_bits(magnitude_bits(x))


def choose_bits(condition: Expr, chosen: int, x: Expr) -> Expr:
    """The f32 with the bits `chosen` where the condition holds, else `x`.

    No compiler sees a literal that is not finite, and none can assume one away.
    """
    return from_bits(select(condition, i32(chosen), bits(x)))


def high_half(x: Expr) -> Expr:
    """The first 12 bits of the mantissa of `x`: products of two such are exact."""
    return from_bits(bits(x) & ~0xFFF)


def with_sign_of(magnitude: Expr, x: Expr) -> Expr:
    """`magnitude`, which must not be negative, with the sign of `x`."""
    return from_bits(bits(magnitude) | (bits(x) & SIGN))


def below(x: Expr, high: float) -> Expr:
    """The smaller of `x` and `high`; NaN stays. One instruction on wasm: pmin(x, high)."""
    return select(wrap(high, "f32") < x, high, x)


def above(x: Expr, low: float) -> Expr:
    """The larger of `x` and `low`; NaN stays. One instruction on wasm: pmax(x, low)."""
    return select(x < low, low, x)


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's scheme; the coefficients are by rising powers."""
    value: Expr | float = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value = fma(x, value, c)
    return wrap(value, "f32")


def split(value: float, mantissa: int) -> tuple[float, float]:
    """(high, low) with high + low = value; high has `mantissa` bits, low is rounded to f32."""
    unit = 2.0 ** (int(np.floor(np.log2(abs(value)))) + 1 - mantissa)
    high = float(np.round(value / unit) * unit)
    return high, float(np.float32(value - high))
