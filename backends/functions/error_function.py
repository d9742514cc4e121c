"""The error function. Coefficients: derived again by `tests/backends/test_coefficients.py`."""

from __future__ import annotations

from webconv.backends.expr import Expr, call
from webconv.backends.functions.core import (
    Table,
    below,
    define,
    fma,
    from_bits,
    magnitude,
    polynomial,
    shift_left,
    with_sign_of,
)
from webconv.backends.functions.exponential import EXPM1, LN2_HIGH, LN2_LOW, LOG2_E

# erf(x) = 1 - exp(-x * (...)) for 0 <= x <= 4, off by 0.5 ulp.
ERF = (
    1.128379225730896, 0.6366152763366699, 0.10282658785581589, -0.01936638541519642,
    0.00028056299197487533, 0.0011902060359716415, -0.0003569642431102693, 3.716322316904552e-05,
)  # fmt: skip
# From here on erf is 1 in f32, and comes out as 1.
ERF_END = 4.0


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


ERROR_FUNCTIONS: Table = define("f32", erf)
