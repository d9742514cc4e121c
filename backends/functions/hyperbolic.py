"""Hyperbolic sine and cosine, and the inverse hyperbolic functions.

Coefficients: minimax fits, derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

import math

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    INFINITY,
    NAN,
    Table,
    below,
    choose_bits,
    define,
    equal,
    fma,
    magnitude,
    magnitude_bits,
    polynomial,
    use,
    with_sign_of,
)
from webconv.backends.functions.exponential import exp_of

# exp(x) / 2 overflows above this.
HALF_EXP_HIGH = 89.41598
# For |x| <= 1: sinh(x) = x + x**3 * (...), off by 0.003 ulp;
SINH = (0.1666666716337204, 0.00833331048488617, 0.00019842895562760532, 2.7822131869470468e-06)
# for |x| <= 1/2: asinh(x) = x + x**3 * (...), off by 0.01 ulp.
ASINH = (
    -0.1666664332151413, 0.07498642057180405, -0.04438331350684166, 0.02816346473991871,
    -0.013228333555161953,
)  # fmt: skip
# From here on x + 1 and x * x + 1 lose what is added; sqrt(x * x + 1) is |x|.
LARGE = 2.0**14


def _half_exponentials(a: Expr) -> tuple[Expr, Expr]:
    """(exp(a) / 2, exp(-a) / 2) for a >= 0; the second is 0 or tiny where it does not matter."""
    half = exp_of(a, -1)
    # Quotients by what is beyond 2**126 are not defined.
    return half, 0.25 / below(half, 2.0**60)


def sinh(x: Expr) -> Expr:
    """Hyperbolic sine: 2 ulp."""
    a = magnitude(x)
    y = x * x
    small = fma(x * y, polynomial(y, SINH), x)
    grown, shrunk = _half_exponentials(a)
    large = choose_bits(a > HALF_EXP_HIGH, INFINITY, grown - shrunk)
    return select(a <= 1.0, small, with_sign_of(large, x))


def cosh(x: Expr) -> Expr:
    """Hyperbolic cosine: 2 ulp."""
    a = magnitude(x)
    grown, shrunk = _half_exponentials(a)
    return choose_bits(a > HALF_EXP_HIGH, INFINITY, grown + shrunk)


def _log_twice(x: Expr) -> Expr:
    """log(2 * x) for positive x."""
    return choose_bits(magnitude_bits(x) >= INFINITY, INFINITY, use("log", x) + math.log(2))


def asinh(x: Expr) -> Expr:
    """Inverse hyperbolic sine: 2 ulp."""
    a = magnitude(x)
    y = a * a
    small = fma(a * y, polynomial(y, ASINH), a)
    # a + (sqrt(y + 1) - 1), the difference without cancellation.
    middle = use("log1p", a + y / (call("sqrt", y + 1.0) + 1.0))
    value = select(a > LARGE, _log_twice(a), select(a > 0.5, middle, small))
    return with_sign_of(value, x)


def acosh(x: Expr) -> Expr:
    """Inverse hyperbolic cosine: 3 ulp; NaN below 1."""
    t = x - 1.0
    middle = use("log1p", t + call("sqrt", t * (t + 2.0)))
    value = select(x > LARGE, _log_twice(x), middle)
    return choose_bits(x < 1.0, NAN, value)


def atanh(x: Expr) -> Expr:
    """Inverse hyperbolic tangent: 3 ulp; infinite at -1 and 1, NaN beyond."""
    a = magnitude(x)
    rest = 1.0 - a
    value = 0.5 * use("log1p", 2.0 * a / select(rest > 0.0, rest, 1.0))
    value = with_sign_of(choose_bits(equal(a, 1.0), INFINITY, value), x)
    return choose_bits(a > 1.0, NAN, value)


HYPERBOLIC: Table = define("f32", sinh, cosh, asinh, acosh, atanh)
