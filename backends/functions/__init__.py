"""Our mathematics: functions as kernel IR, the same text on every target.

`FUNCTIONS` maps names to bodies; `apply` calls one. A function of integers has its type in its
name (`ipow_i32`), and `apply("ipow", ...)` finds it by its arguments.
"""

from __future__ import annotations

from webconv.backends.expr import Call, Expr, Number, wrap
from webconv.backends.functions.core import Function
from webconv.backends.functions.error_function import ERROR_FUNCTIONS
from webconv.backends.functions.exponential import EXPONENTIALS
from webconv.backends.functions.hyperbolic import HYPERBOLIC
from webconv.backends.functions.integers import INTEGERS
from webconv.backends.functions.logarithm import LOGARITHMS
from webconv.backends.functions.power import POWERS
from webconv.backends.functions.rounding import ROUNDING
from webconv.backends.functions.trigonometric import TRIGONOMETRIC
from webconv.ir.errors import GraphError

__all__ = ["FUNCTIONS", "Function", "apply"]

FUNCTIONS: dict[str, Function] = (
    EXPONENTIALS
    | LOGARITHMS
    | POWERS
    | HYPERBOLIC
    | TRIGONOMETRIC
    | ERROR_FUNCTIONS
    | ROUNDING
    | INTEGERS
)


def apply(name: str, *args: Expr | Number) -> Expr:
    """A call of the function `name`, or `name_<type>` of its first expression argument."""
    kind = next((a.type for a in args if isinstance(a, Expr)), "f32")
    function = FUNCTIONS.get(name) or FUNCTIONS.get(f"{name}_{kind}")
    if function is None:
        raise GraphError(f"no function {name} of {kind}")
    typed = tuple(wrap(a, p.type) for a, p in zip(args, function.parameters, strict=True))
    for a, p in zip(typed, function.parameters, strict=True):
        if a.type != p.type:
            raise GraphError(f"{function.name}: {p.name} must be {p.type}, but it is {a.type}")
    return Call(function.name, typed, function.body.type)
