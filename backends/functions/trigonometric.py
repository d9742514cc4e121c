"""Sine, cosine, tangent and their inverses.

The angle is reduced by n * pi/2 in four parts (Cody and Waite, 1980). The first three have 12 bits
and meet n in halves of 12 bits, so their products are exact, fused or not. Up to |x| = 1e6, n is
the nearest integer or close to it, and the reduced angle is exact to 2**-53 * |x| besides its own
rounding. Beyond, n itself is rounded and all that holds is |sin(x)| <= 1.
Coefficients: minimax fits, derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

import math

from webconv.backends.expr import Expr, call, f32, select
from webconv.backends.functions.core import (
    INFINITY,
    NAN,
    Table,
    above,
    below,
    bits,
    choose_bits,
    define,
    differ,
    fma,
    from_bits,
    high_half,
    magnitude,
    magnitude_bits,
    polynomial,
    shift_left,
    split,
    with_sign_of,
)

HALF_PI_1, _rest = split(math.pi / 2, 12)
HALF_PI_2, _rest = split(math.pi / 2 - HALF_PI_1, 12)
HALF_PI_3, HALF_PI_4 = split(math.pi / 2 - HALF_PI_1 - HALF_PI_2, 12)
HALF_PI_HIGH, HALF_PI_LOW = split(math.pi / 2, 24)
PI_HIGH, PI_LOW = split(math.pi, 24)
# What a reduced angle is limited to: n may be off by 0.08 up to |x| = 1e6.
ANGLE_END = 0.92

# For |r| <= 0.92: sin(r) = r + r**3 * (...), off by 0.12 ulp;
SIN = (-0.16666635870933533, 0.00833113957196474, -0.00019395585695747286)
# cos(r) = 1 - r**2 / 2 + r**4 * (...), off by 0.006 ulp;
COS = (0.04166661202907562, -0.0013885915977880359, 2.4295581170008518e-05)
# asin(x) = x + x**3 * (...) for |x| <= 1/2, off by 0.04 ulp;
ASIN = (
    0.16666753590106964, 0.07495249062776566, 0.04547690227627754, 0.024145254865288734,
    0.0422278568148613,
)  # fmt: skip
# atan(x) = x + x**3 * (...) for |x| <= 1, off by 0.02 ulp.
ATAN = (
    -0.33333298563957214, 0.1999853104352951, -0.14264051616191864, 0.10951174795627594,
    -0.08400474488735199, 0.057906508445739746, -0.03112693317234516, 0.010887304320931435,
    -0.0017875299090519547,
)  # fmt: skip


def reduce(x: Expr) -> tuple[Expr, Expr]:
    """(r, q): x = q * pi/2 + r with |r| about pi/4 at most; q is i32, right modulo 4."""
    n = call("round", x * (2 / math.pi))
    high = high_half(n)
    low = n - high
    r = x
    for part in (HALF_PI_1, HALF_PI_2, HALF_PI_3):
        r = fma(low, -part, fma(high, -part, r))
    r = fma(n, -HALF_PI_4, r)
    return above(below(r, ANGLE_END), -ANGLE_END), call("i32", n)


def sin_of(r: Expr) -> Expr:
    """sin(r) for |r| <= 0.92."""
    y = r * r
    return fma(r * y, polynomial(y, SIN), r)


def cos_of(r: Expr) -> Expr:
    """cos(r) for |r| <= 0.92."""
    y = r * r
    return fma(y * y, polynomial(y, COS), fma(y, -0.5, 1.0))


def _wave(x: Expr, quarter: int) -> Expr:
    """sin(x + quarter * pi/2)."""
    r, q = reduce(x)
    q = q + quarter if quarter else q
    value = select(differ(q & 1, 0), cos_of(r), sin_of(r))
    signed = from_bits(bits(value) ^ shift_left(q & 2, 30))
    return choose_bits(magnitude_bits(x) >= INFINITY, NAN, signed)


def sin(x: Expr) -> Expr:
    """Sine: 4 ulp, or off by 2**-53 * |x| near zeros, for |x| <= 1e6."""
    return _wave(x, 0)


def cos(x: Expr) -> Expr:
    """Cosine: 4 ulp, or off by 2**-53 * |x| near zeros, for |x| <= 1e6."""
    return _wave(x, 1)


def tan(x: Expr) -> Expr:
    """Tangent: 6 ulp, besides 2**-53 * |x| in the angle, for |x| <= 1e6."""
    r, q = reduce(x)
    s, c = sin_of(r), cos_of(r)
    odd = differ(q & 1, 0)
    value = select(odd, c, s) / select(odd, s, c)
    signed = from_bits(bits(value) ^ shift_left(q & 1, 31))
    return choose_bits(magnitude_bits(x) >= INFINITY, NAN, signed)


def asin_of(x: Expr) -> Expr:
    """asin(x) for 0 <= x <= 1/2."""
    y = x * x
    return fma(x * y, polynomial(y, ASIN), x)


def _halved(a: Expr) -> Expr:
    """t with asin(a) = pi/2 - 2 asin(t), at most 1/2 for a >= 1/2."""
    return call("sqrt", above(1.0 - a, 0.0) * 0.5)


def asin(x: Expr) -> Expr:
    """Inverse sine: 3 ulp; NaN beyond 1."""
    a = magnitude(x)
    big = a > 0.5
    part = asin_of(select(big, _halved(a), a))
    value = select(big, HALF_PI_HIGH - fma(part, 2.0, -HALF_PI_LOW), part)
    return choose_bits(a > 1.0, NAN, with_sign_of(value, x))


def acos(x: Expr) -> Expr:
    """Inverse cosine: 2 ulp; NaN beyond 1."""
    a = magnitude(x)
    big = a > 0.5
    part = asin_of(select(big, _halved(a), a))
    near_one = select(x < 0.0, PI_HIGH - fma(part, 2.0, -PI_LOW), part * 2.0)
    middle = HALF_PI_HIGH - (with_sign_of(part, x) - HALF_PI_LOW)
    return choose_bits(a > 1.0, NAN, select(big, near_one, middle))


def atan_of(x: Expr) -> Expr:
    """atan(x) for 0 <= x <= 1."""
    y = x * x
    return fma(x * y, polynomial(y, ATAN), x)


def atan(x: Expr) -> Expr:
    """Inverse tangent: 2 ulp."""
    # From 2**30 on the result is pi/2.
    a = below(magnitude(x), 2.0**30)
    big = a > 1.0
    part = atan_of(select(big, 1.0 / above(a, 1.0), a))
    return with_sign_of(select(big, HALF_PI_HIGH - (part - HALF_PI_LOW), part), x)


def _finite(x: Expr, infinite: Expr) -> Expr:
    """|x|; where either argument is infinite, 1 for an infinity (or NaN) and else 0."""
    corner = select(magnitude_bits(x) >= INFINITY, f32(1.0), 0.0)
    return select(infinite, corner, magnitude(x))


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of (y, x): 2 ulp; signs of zeros and infinities count as in C."""
    infinite = (magnitude_bits(x) >= INFINITY) | (magnitude_bits(y) >= INFINITY)
    a, b = _finite(y, infinite), _finite(x, infinite)
    steep = a > b
    large, small = select(steep, a, b), select(steep, b, a)
    # Scaled, since quotients by denormals and by what is beyond 2**126 are not defined.
    scale = select(large > 1.0, f32(2.0**-60), 2.0**60)
    divisor = select(large > 0.0, large * scale, 1.0)
    part = atan_of(below(small * scale / divisor, 1.0))
    part = select(steep, HALF_PI_HIGH - (part - HALF_PI_LOW), part)
    part = select(bits(x) < 0, PI_HIGH - (part - PI_LOW), part)
    nan = (magnitude_bits(x) > INFINITY) | (magnitude_bits(y) > INFINITY)
    return choose_bits(nan, NAN, with_sign_of(part, y))


TRIGONOMETRIC: Table = define("f32", sin, cos, tan, asin, acos, atan, atan2)
