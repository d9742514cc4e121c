"""Sine, cosine, tangent and their inverses.

The angle is reduced by multiples of pi/2 in four parts (Cody and Waite, 1980). The first three
have 8 bits, so their products with n are exact, fused or not, up to |x| = 1e5 (n of 16 bits).
There the reduced angle is off by 2**-36 at most; beyond, the error grows with |x|, and from 2**24
on, where neighbouring floats are more than a radian apart, only |sin| <= 1 is meant.
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
    magnitude,
    magnitude_bits,
    polynomial,
    shift_left,
    split,
    with_sign_of,
)

HALF_PI_1, _rest = split(math.pi / 2, 8)
HALF_PI_2, _rest = split(math.pi / 2 - HALF_PI_1, 8)
HALF_PI_3, _rest = split(math.pi / 2 - HALF_PI_1 - HALF_PI_2, 8)
HALF_PI_4 = _rest
HALF_PI_HIGH, HALF_PI_LOW = split(math.pi / 2, 24)
PI_HIGH, PI_LOW = split(math.pi, 24)
# What a reduced angle is limited to: n may be off by 0.01 up to |x| = 1e5.
ANGLE_END = 0.8

# For |r| <= 0.8: sin(r) = r + r**3 * (...), off by 0.04 ulp;
SIN = (-0.16666653752326965, 0.008332095108926296, -0.00019505539967212826)
# cos(r) = 1 - r**2 / 2 + r**4 * (...), off by 0.001 ulp;
COS = (0.04166664183139801, -0.0013887130189687014, 2.4412085622316226e-05)
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
    """(r, q): x = q * pi/2 + r with |r| <= pi/4; q is i32, right modulo 4."""
    n = call("round", x * (2 / math.pi))
    r = x
    for part in (HALF_PI_1, HALF_PI_2, HALF_PI_3, HALF_PI_4):
        r = fma(n, -part, r)
    return above(below(r, ANGLE_END), -ANGLE_END), call("i32", n)


def sin_of(r: Expr) -> Expr:
    """sin(r) for |r| <= pi/4."""
    y = r * r
    return fma(r * y, polynomial(y, SIN), r)


def cos_of(r: Expr) -> Expr:
    """cos(r) for |r| <= pi/4."""
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
    """Sine: 1 ulp, or off by 2e-11 near zeros, for |x| <= 1e5."""
    return _wave(x, 0)


def cos(x: Expr) -> Expr:
    """Cosine: 1 ulp, or off by 2e-11 near zeros, for |x| <= 1e5."""
    return _wave(x, 1)


def tan(x: Expr) -> Expr:
    """Tangent: 3 ulp for |x| <= 1e5, less near zeros and poles beyond 1e3."""
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
    """Inverse sine: 2 ulp; NaN beyond 1."""
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
    """The angle of (y, x): 3 ulp; signs of zeros and infinities count as in C."""
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
