"""Functions that classify, round and divide floats: exact unless a docstring says otherwise."""

from __future__ import annotations

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    INFINITY,
    Table,
    bits,
    define,
    equal,
    from_bits,
    i32,
    magnitude_bits,
    shift_right,
    with_sign_of,
)

# The f32 bits of 2**-14, the smallest normal f16, and of 65536, the first power beyond f16.
F16_NORMAL, F16_END = 0x38800000, 0x47800000


def sign(x: Expr) -> Expr:
    """-1, 0 or 1; NaN stays."""
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


def is_nan(x: Expr) -> Expr:
    """True for NaN, by its bits."""
    return magnitude_bits(x) > INFINITY


def is_inf(x: Expr) -> Expr:
    """True for both infinities, by their bits."""
    return equal(magnitude_bits(x), INFINITY)


def maximum(x: Expr, y: Expr) -> Expr:
    """The larger; NaN, found by its bits, if either is."""
    return select(is_nan(x), x, select(is_nan(y), y, call("max", x, y)))


def minimum(x: Expr, y: Expr) -> Expr:
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


ROUNDING: Table = define("f32", sign, is_nan, is_inf, maximum, minimum, round_f16)
