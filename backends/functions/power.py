"""x to the y.

`x**y = 2**(y * log2(x))` needs log2(x) to about 2**-30 of itself, since an error in the exponent
is a relative error of the result. It is a sum of two f32, of which the first has 12 bits, so that
its products are exact (the method of Sun's fdlibm, 1993, in f32). Parts are cut off by bit masks,
which no compiler can reorder. Coefficients: derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

import math

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    INFINITY,
    NAN,
    ONE,
    SIGN,
    SMALLEST_NORMAL,
    Table,
    bits,
    define,
    differ,
    equal,
    fma,
    from_bits,
    high_half,
    i32,
    magnitude_bits,
    polynomial,
    shift_left,
    split,
)
from webconv.backends.functions.logarithm import normal_parts

# The bits of 2.0**24: from there on all numbers are even.
EVEN = 0x4B800000
# The bits of 2.0**32: such a power of anything but 1 is 0 or infinite.
EXTREME = 0x4F800000
# log2(m) = 2 / ln 2 * (s + ...) with s = (m - 1) / (m + 1).
SCALE = 2 / math.log(2)
SCALE_HIGH, SCALE_LOW = split(SCALE, 12)
# log2(m) = SCALE * s + s**3 * (...) for sqrt(1/2) <= m < sqrt(2), off by 2**-36 of itself.
LOG2 = (0.9617967009544373, 0.5770788788795471, 0.4119214713573456, 0.3366248309612274)
# 2**r = 1 + r * (...) for |r| <= 0.501, off by 0.03 ulp.
EXP2 = (
    0.6931471824645996, 0.24022647738456726, 0.05550359562039375, 0.009618504904210567,
    0.0013391025131568313, 0.0001532719616079703,
)  # fmt: skip


def log2_parts(i: Expr) -> tuple[Expr, Expr]:
    """(high, low), high of 12 bits, with high + low = log2 of the positive f32 with bits `i`."""
    m, e = normal_parts(i)
    f, total = m - 1.0, m + 1.0
    total_high = high_half(total)
    total_low = m - (total_high - 1.0)
    s = f / total
    s_high = high_half(s)
    s_low = fma(s_high, -total_low, fma(s_high, -total_high, f)) / total
    y = s * s
    high = s_high * SCALE_HIGH
    low = fma(s_high, SCALE_LOW, fma(s_low, SCALE, s * y * polynomial(y, LOG2)))
    whole = high_half(e + (high + low))
    return whole, ((e - whole) + high) + low


def _magnitude(i: Expr, y: Expr) -> Expr:
    """The bits of |x|**y for the positive finite |x| with bits `i` and finite y."""
    high, low = log2_parts(i)
    n = call("round", y * high)
    y_high = high_half(y)
    y_low = y - y_high
    r = fma(y, low, fma(y_low, high, fma(y_high, high, -n)))
    scaled = bits(polynomial(r, (1.0, *EXP2))) + shift_left(call("i32", n), 23)
    too_large = (n > 128.0) | ((n > 0.0) & (scaled >= INFINITY))
    too_small = (n < -126.0) | ((n < 0.0) & (scaled < SMALLEST_NORMAL))
    return select(too_small, 0, select(too_large, i32(INFINITY), scaled))


def pow(x: Expr, y: Expr) -> Expr:
    """x to the y: 2 ulp, 7 for x near sqrt(2) or its inverse with |y| > 100; 0 below 2**-126.

    Zeros, infinities and signs are as in C.
    """
    a, b = magnitude_bits(x), magnitude_bits(y)
    extreme = equal(a, 0) | (a >= INFINITY) | (b >= EXTREME)
    grows = (a > ONE) ^ (y < 0.0)
    limit = select(grows, i32(INFINITY), 0)
    magnitude = select(extreme, limit, _magnitude(select(extreme, i32(ONE), a), y))
    whole = equal(call("trunc", y), y) | (b >= INFINITY)
    half = y * 0.5
    odd = whole & differ(call("trunc", half), half) & (b < EVEN)
    signed = magnitude | select(odd, bits(x) & SIGN, 0)
    unknown = (bits(x) < 0) & differ(a, 0) & (a < INFINITY) & call("not", whole)
    unknown = unknown | (a > INFINITY) | (b > INFINITY)
    value = select(unknown, i32(NAN), signed)
    even = (b >= EXTREME) & (b <= INFINITY)
    one = equal(b, 0) | equal(bits(x), ONE) | (equal(a, ONE) & even)
    return from_bits(select(one, i32(ONE), value))


POWERS: Table = define("f32", pow)
