"""Functions that classify, round and divide floats: exact unless a docstring says otherwise."""

from __future__ import annotations

from webconv.backends.expr import Expr, call, select, wrap
from webconv.backends.functions.core import (
    INFINITY,
    NAN,
    SIGN,
    Table,
    bits,
    choose_bits,
    define,
    differ,
    equal,
    fma,
    from_bits,
    high_half,
    i32,
    magnitude,
    magnitude_bits,
    shift_left,
    shift_right,
    with_sign_of,
)

# The f32 bits of 2**-14, the smallest normal f16, and of 65536, the first power beyond f16.
F16_NORMAL, F16_END = 0x38800000, 0x47800000


def sign_f32(x: Expr) -> Expr:
    """-1, 0 or 1; NaN stays."""
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


def softsign(x: Expr) -> Expr:
    """x / (1 + |x|): 1 ulp; from 2**30 on it is 1, as quotients by huge numbers are not defined."""
    a = magnitude(x)
    large = a > 2.0**30
    return with_sign_of(select(large, 1.0, a / (1.0 + select(large, 1.0, a))), x)


def is_nan(x: Expr) -> Expr:
    """True for NaN, by its bits."""
    return magnitude_bits(x) > INFINITY


def is_inf(x: Expr) -> Expr:
    """True for both infinities, by their bits."""
    return equal(magnitude_bits(x), INFINITY)


def max_nan(x: Expr, y: Expr) -> Expr:
    """The larger; NaN, found by its bits, if either is."""
    return select(is_nan(x), x, select(is_nan(y), y, call("max", x, y)))


def min_nan(x: Expr, y: Expr) -> Expr:
    """The smaller; NaN, found by its bits, if either is."""
    return select(is_nan(x), x, select(is_nan(y), y, call("min", x, y)))


def round_f16(x: Expr) -> Expr:
    """x rounded to the nearest f16, ties to even; infinity from 65520 on; NaN stays.

    Normal results round at bit 13 of the f32, denormal ones are multiples of 2**-24.
    """
    a = magnitude_bits(x)
    up = a + 0xFFF + (shift_right(a, 13) & 1)
    rounded = up & ~0x1FFF
    limited = select(rounded >= F16_END, i32(INFINITY), rounded)
    denormal = call("round", from_bits(a) * 2.0**24) * 2.0**-24
    magnitude = select(a < F16_NORMAL, bits(denormal), select(a > INFINITY, a, limited))
    return with_sign_of(from_bits(magnitude), x)


def f16_bits(x: Expr) -> Expr:
    """The bits of an f16 whose value is x, as i32."""
    a = magnitude_bits(x)
    normal = shift_right(a, 13) - (112 << 10)
    denormal = call("i32", select(a < F16_NORMAL, from_bits(a), 0.0) * 2.0**24)
    special = (shift_right(a, 13) & 0x3FF) | 0x7C00
    found = select(a < F16_NORMAL, denormal, select(a >= INFINITY, special, normal))
    return found | (shift_right(bits(x), 16) & 0x8000)


def from_f16_bits(i: Expr) -> Expr:
    """The value of the f16 with these bits."""
    a = i & 0x7FFF
    denormal = bits(call("f32", a) * 2.0**-24)
    special = shift_left(a & 0x3FF, 13) | INFINITY
    normal = shift_left(a, 13) + (112 << 23)
    found = select(a < 0x400, denormal, select(a >= 0x7C00, special, normal))
    return from_bits(found | (shift_left(i, 16) & SIGN))


def _remainder(a: Expr, b: Expr) -> Expr:
    """a - b * floor(a / b) of positive numbers, for a / b below 2**21; else in [0, b) at least.

    The nearest quotient leaves less than b, even if it is off by some ulp. It and b are cut in
    halves, whose products are exact.
    """
    q = call("round", a / b)
    q_high, b_high = high_half(q), high_half(b)
    q_low, b_low = q - q_high, b - b_high
    r = fma(q_low, -b_high, fma(q_high, -b_high, a))
    r = fma(q_low, -b_low, fma(q_high, -b_low, r))
    r = select(r < 0.0, r + b, r)
    return select(a < b, a, select((r >= 0.0) & (r < b), r, 0.0))


def _signed_remainder(x: Expr, y: Expr) -> Expr:
    """The remainder of two steps, the first by a multiple of y."""
    b = magnitude(y)
    multiple = b * select(b < 2.0**100, wrap(2.0**21, "f32"), 2.0**6)
    r = with_sign_of(_remainder(_remainder(magnitude(x), multiple), b), x)
    return select(is_inf(y), x, r)


def fmod(x: Expr, y: Expr) -> Expr:
    """The remainder with the sign of x; exact for |x / y| < 2**42, NaN for x infinite or y = 0."""
    r = _signed_remainder(x, y)
    return choose_bits(_no_remainder(x, y), NAN, r)


def mod(x: Expr, y: Expr) -> Expr:
    """The remainder with the sign of y, as `fmod` otherwise."""
    r = _signed_remainder(x, y)
    moved = differ(r, 0.0) & ((bits(r) ^ bits(y)) < 0)
    r = select(moved, select(is_inf(y), y, r + y), r)
    return choose_bits(_no_remainder(x, y), NAN, r)


def _no_remainder(x: Expr, y: Expr) -> Expr:
    return (magnitude_bits(x) >= INFINITY) | is_nan(y) | equal(y, 0.0)


ROUNDING: Table = define(
    "f32", sign_f32, softsign, is_nan, is_inf, max_nan, min_nan, round_f16, f16_bits, fmod, mod
) | define("i32", from_f16_bits)
