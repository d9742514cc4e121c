"""Exponentials, and what is made of them: sigmoid, tanh and the hyperbolic functions.

`exp(x) = 2**n * exp(r)` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2` (Cody and Waite, 1980).
2**n enters by adding n to the exponent bits: p = exp(r) lies in [0.70, 1.42), so every finite
result has valid bits. Results below 2**-126 are 0.
Coefficients: minimax fits, derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

import math

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    INFINITY,
    Table,
    above,
    below,
    bits,
    choose_bits,
    define,
    fma,
    from_bits,
    polynomial,
    shift_left,
    split,
)

LOG2_E = 1 / math.log(2)
# n has up to 8 bits, so n * LN2_HIGH is exact whether fused or not.
LN2_HIGH, LN2_LOW = split(math.log(2), 15)
# exp overflows above the first, and is below 2**-126 under the second.
EXP_HIGH, EXP_LOW = 88.72283, -87.336544

# exp(r) = 1 + r + r**2 * (...) for |r| <= ln(2)/2, off by 0.03 ulp.
EXP = (
    0.4999999403953552, 0.1666652113199234, 0.04166827350854874, 0.008368685841560364,
    0.001382013550028205,
)  # fmt: skip
# The same relative to exp(r) - 1, off by 0.12 ulp.
EXPM1 = (
    0.4999999701976776, 0.1666654646396637, 0.04166743531823158, 0.00836627185344696,
    0.0013870695838704705,
)  # fmt: skip
# From here on tanh is 1 in f32, and comes out as 1: exp(2 * 9.02) + 2 is exp(2 * 9.02).
TANH_END = 9.02


def reduce(x: Expr) -> tuple[Expr, Expr]:
    """(r, n) with x = n * ln 2 + r, n integral."""
    n = call("round", x * LOG2_E)
    return fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x)), n


def times_power(p: Expr, n: Expr) -> Expr:
    """p * 2**n for positive p, by its bits; the result must be normal."""
    return from_bits(bits(p) + shift_left(call("i32", n), 23))


def exp_of(x: Expr, factor_exponent: int = 0) -> Expr:
    """exp(x) * 2**factor_exponent where that is normal, else anything."""
    r, n = reduce(x)
    return times_power(polynomial(r, (1, 1, *EXP)), n + factor_exponent if factor_exponent else n)


def exp(x: Expr) -> Expr:
    """e to the x: 1.2 ulp; 0 below 2**-126."""
    overflowed = choose_bits(x > EXP_HIGH, INFINITY, exp_of(x))
    return select(x < EXP_LOW, 0.0, overflowed)


def power_of_two(n: Expr, factor_exponent: int = 0) -> Expr:
    """2**(n + factor_exponent) for integral n, where that is normal."""
    return from_bits(shift_left(call("i32", n) + (127 + factor_exponent), 23))


def expm1(x: Expr) -> Expr:
    """e to the x, less one: 2 ulp.

    2**n * (exp(r) - 1) + (2**n - 1), at half its size: 2**128 is not a number.
    """
    limited = above(x, -20.0)
    r, n = reduce(limited)
    part = fma(r * r, polynomial(r, EXPM1), r)
    half = power_of_two(n, -1)
    value = fma(half, part, half - 0.5) * 2.0
    return choose_bits(x > EXP_HIGH, INFINITY, value)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x)): 2.5 ulp; 0 below 2**-126."""
    # From 20 on the result is 1.
    limited = below(x, 20.0)
    n = call("round", limited * -LOG2_E)
    minus_r = fma(n, LN2_LOW, fma(n, LN2_HIGH, limited))
    alternating = tuple(-c if k % 2 else c for k, c in enumerate((1.0, 1.0, *EXP)))
    e = times_power(polynomial(minus_r, alternating), n)
    return select(x < EXP_LOW, 0.0, 1.0 / (1.0 + e))


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent: 3 ulp; at most 1.

    e / (e + 2) with e = exp(2 x) - 1 = 2**(n + 1) * (exp(2 r) - 1) / 2 + (2**n - 1) for
    x = n * ln(2) / 2 + r.
    """
    limited = above(below(x, TANH_END), -TANH_END)
    n = call("round", limited * (2 * LOG2_E))
    r = fma(n, -LN2_LOW / 2, fma(n, -LN2_HIGH / 2, limited))
    half = fma(r * r, polynomial(r, tuple(c * 2.0 ** (k + 1) for k, c in enumerate(EXPM1))), r)
    twice = power_of_two(n, 1)
    e = fma(twice, half, fma(twice, 0.5, -1.0))
    return e / (e + 2.0)


EXPONENTIALS: Table = define("f32", exp, expm1, sigmoid, tanh)
