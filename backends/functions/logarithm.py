"""Logarithms, and what is made of them.

`log(x) = e * ln 2 + log(1 + f)` with x = 2**e * (1 + f) and 1 + f in [sqrt(1/2), sqrt(2)), then a
polynomial in f. Coefficients: minimax fits, derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    INFINITY,
    NAN,
    NEGATIVE_INFINITY,
    ONE,
    SMALLEST_NORMAL,
    Table,
    bits,
    choose_bits,
    define,
    equal,
    fma,
    from_bits,
    i32,
    magnitude_bits,
    polynomial,
    shift_left,
    shift_right,
    use,
)
from webconv.backends.functions.exponential import LN2_HIGH, LN2_LOW

SQRT_HALF = 0x3F3504F3
# log(1 + f) = f - f**2 / 2 + f**3 * (...), off by 0.05 ulp.
LOG = (
    0.3333333134651184, -0.2500082850456238, 0.20001263916492462, -0.1662309318780899,
    0.14200688898563385, -0.13161885738372803, 0.12770390510559082, -0.07641009986400604,
)  # fmt: skip


def exponent(i: Expr) -> Expr:
    """e of the positive normal f32 with bits `i`, as i32."""
    return shift_right(i - SQRT_HALF, 23)


def normal_parts(i: Expr) -> tuple[Expr, Expr]:
    """(m, e) of the positive finite f32 with bits `i`: it is m * 2**e, sqrt(1/2) <= m < sqrt(2).

    A denormal is `i` * 2**-149: it is made normal by integers, as a target may flush it.
    """
    denormal = i < SMALLEST_NORMAL
    normal = select(denormal, bits(call("f32", i)), i)
    e = exponent(normal)
    m = from_bits(normal - shift_left(e, 23))
    return m, call("f32", select(denormal, e - 149, e))


def log_of(f: Expr, e: Expr) -> Expr:
    """e * ln 2 + log(1 + f)."""
    z = f * f
    tail = fma(z * f, polynomial(f, LOG), fma(e, LN2_LOW, z * -0.5))
    return fma(e, LN2_HIGH, f + tail)


def log(x: Expr) -> Expr:
    """Natural logarithm: 1 ulp, denormals included; log(0) is -inf, of negatives NaN."""
    m, e = normal_parts(bits(x))
    value = log_of(m - 1.0, e)
    value = from_bits(select(bits(x) < INFINITY, bits(value), bits(x)))
    value = choose_bits(bits(x) < 0, NAN, value)
    return choose_bits(equal(magnitude_bits(x), 0), NEGATIVE_INFINITY, value)


def log1p(x: Expr) -> Expr:
    """log(1 + x): 2 ulp; log1p(-1) is -inf, below NaN.

    f is x * 2**-e + (2**-e - 1) and not what 1 + x lost; a compiler may take (1 + x) - 1 for x.
    """
    u = 1.0 + x
    e = exponent(bits(u))
    scale = from_bits(i32(ONE) - shift_left(e, 23))
    near = fma(x, scale, scale - 1.0)
    # Where 2**-e is not normal or nearly so, 1 + x is x.
    far = from_bits(bits(u) - shift_left(e, 23)) - 1.0
    value = log_of(select(e > 60, far, near), call("f32", e))
    value = from_bits(select(bits(x) < INFINITY, bits(value), bits(x)))
    value = choose_bits(x < -1.0, NAN, value)
    return choose_bits(equal(x, -1.0), NEGATIVE_INFINITY, value)


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)): 2 ulp."""
    negative = x < 0.0
    small = use("log1p", use("exp", select(negative, x, -x)))
    return select(x > 20.0, x, select(negative, 0.0, x) + small)


LOGARITHMS: Table = define("f32", log, log1p, softplus)
