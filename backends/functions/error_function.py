"""The error function. Coefficients: derived again by `tests/backends/test_functions.py`."""

from __future__ import annotations

from webconv.backends.expr import Expr
from webconv.backends.functions.core import Table, above, below, define, polynomial

# erf(x) / x as a quotient of polynomials in x**2, for |x| <= 3.93, off by 0.5 ulp.
ERF_TOP = (
    1.1283791065216064, 0.19078265130519867, 0.052790116518735886, 0.0037795547395944595,
    0.0002848067379090935, 2.041971583821578e-06,
)  # fmt: skip
ERF_BOTTOM = (
    1.0, 0.5024094581604004, 0.11425702273845673, 0.014997328631579876, 0.0011651983950287104,
    3.800398553721607e-05,
)  # fmt: skip
# From here on erf is 1 in f32.
ERF_END = 3.92


def erf(x: Expr) -> Expr:
    """The error function: 3 ulp."""
    limited = above(below(x, ERF_END), -ERF_END)
    y = limited * limited
    return limited * polynomial(y, ERF_TOP) / polynomial(y, ERF_BOTTOM)


ERROR_FUNCTIONS: Table = define("f32", erf)
