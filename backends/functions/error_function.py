"""The error function and the Gaussian error linear unit (Hendrycks 2016).

Coefficients: derived again by `tests/backends/test_coefficients.py`.
"""

from __future__ import annotations

import math

from webconv.backends.expr import Expr, call, select
from webconv.backends.functions.core import (
    Table,
    above,
    below,
    define,
    fma,
    from_bits,
    magnitude,
    polynomial,
    shift_left,
    use,
    with_sign_of,
)
from webconv.backends.functions.exponential import EXPM1, LN2_HIGH, LN2_LOW, LOG2_E, exp_of

# erf(x) = 1 - exp(-x * (...)) for 0 <= x <= 4, off by 0.5 ulp.
ERF = (
    1.128379225730896, 0.6366152763366699, 0.10282658785581589, -0.01936638541519642,
    0.00028056299197487533, 0.0011902060359716415, -0.0003569642431102693, 3.716322316904552e-05,
)  # fmt: skip
# From here on erf is 1 in f32, and comes out as 1.
ERF_END = 4.0
SQRT_2_PI = math.sqrt(2 / math.pi)


def erf(x: Expr) -> Expr:
    """The error function: 3 ulp; at most 1.

    1 - exp(-q) = (1 - 2**-n) + 2**-n * (1 - exp(-r)) with q = n * ln 2 + r.
    """
    a = below(magnitude(x), ERF_END)
    q = a * polynomial(a, ERF)
    n = call("round", q * LOG2_E)
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, q))
    alternating = tuple(c if k % 2 else -c for k, c in enumerate(EXPM1))
    part = fma(r * r, polynomial(r, alternating), r)
    scale = from_bits(shift_left(127 - call("i32", n), 23))
    return with_sign_of(fma(scale, part, 1.0 - scale), x)


def gelu(x: Expr) -> Expr:
    """x * (1 + erf(x / sqrt(2))) / 2: 4 ulp for x > -1, elsewhere off by less than 1e-7.

    No 1 is added to an erf near -1, so what should vanish does.
    """
    a = magnitude(x) * math.sqrt(0.5)
    limited = below(a, ERF_END)
    half_erfc = exp_of(limited * polynomial(limited, tuple(-c for c in ERF)), -1)
    tail = select(a > ERF_END, 0.0, half_erfc)
    return x * select(x < 0.0, tail, 1.0 - tail)


def gelu_tanh(x: Expr) -> Expr:
    """x * (1 + tanh(u)) / 2 = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 * x**3).

    4 ulp for x > -1, elsewhere off by less than 1e-7.
    """
    limited = above(below(x, 15.0), -15.0)
    inner = fma(limited * limited, 2 * 0.044715 * SQRT_2_PI, 2 * SQRT_2_PI)
    return x * use("sigmoid", limited * inner)


ERROR_FUNCTIONS: Table = define("f32", erf, gelu, gelu_tanh)
