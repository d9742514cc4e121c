"""NumPy on arrays of integers, which chains compute masks with: `(x.array != -1).astype('f')`.

Such an array is computed by NumPy, and by a function in Chainer's graph besides. What is computed
of floats with NumPy belongs into functions of Chainer, and so it has no graph.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import chainer
import chainer.functions as F
import numpy as np

from webconv.frontends.chainer.composites import Composite, is_active
from webconv.frontends.chainer.lines import is_users
from webconv.ir.errors import UnsupportedError

COMPARISONS = frozenset(
    ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
)

# Of truth values only.
BITWISE = frozenset(("bitwise_and", "bitwise_or", "bitwise_xor", "invert"))

ELEMENTWISE = COMPARISONS | frozenset(
    (
        *("logical_and", "logical_or", "logical_not", "logical_xor"),
        *("add", "subtract", "multiply", "divide", "true_divide", "negative"),
        *("maximum", "minimum"),
    )
)

# What `sum`, `any`, `all`, `max` and `min` of arrays are for NumPy.
REDUCTIONS = frozenset(("add", "logical_or", "logical_and", "maximum", "minimum"))


class NumPyFunction(Composite):
    """A function of each element, by its name; the result has the type `dtype`."""


class NumPyReduction(Composite):
    """A function over axes, by its name."""


def computed(
    ufunc: Any, method: str, inputs: Sequence[Any], options: Mapping[str, Any], made: Any
) -> Any:
    """The Variable of what a function of NumPy gave; None if the graph cannot have it."""
    variables = [getattr(x, "variable", None) for x in inputs]
    known = [v for v in variables if v is not None]
    taken = [x for x in inputs if hasattr(x, "note")]
    if len(known) < len(taken) or not all(map(is_counted, taken)) or not _is_chains():
        return None
    name = ufunc.__name__
    if method == "__call__" and not options and _is_known(name, inputs):
        wide = np.result_type(*(v if np.isscalar(v) else np.asarray(v).dtype for v in inputs))
        pairs = zip(variables, inputs, strict=True)
        own = [chainer.Variable(_constant(x, wide)) if v is None else v for v, x in pairs]
        node = NumPyFunction(ufunc, operation=name, dtype=made.dtype)
        return node.apply(own)[0]
    plain = {k: v for k, v in options.items() if k not in ("axis", "keepdims", "dtype")}
    if plain.get("where", True) is not True or any(
        plain[k] is not None for k in plain if k != "where"
    ):
        return None
    if method == "reduce" and name in REDUCTIONS and len(inputs) == 1:
        axis, keepdims = options.get("axis", 0), bool(options.get("keepdims", False))
        node = NumPyReduction(
            lambda x: ufunc.reduce(x, axis=axis, keepdims=keepdims, dtype=options.get("dtype")),
            operation=name,
            axis=axis,
            keepdims=keepdims,
            dtype=made.dtype,
        )
        return node.apply(known)[0]
    return None


def _is_known(name: str, inputs: Sequence[Any]) -> bool:
    """True for a function of each element that gives the same in the page."""
    kinds = {np.asarray(x).dtype.kind for x in inputs}
    if name in BITWISE:
        return kinds == {"b"}
    # What f32 rounds may be larger here and smaller there.
    exact = all(_is_exact(x) for x in inputs if hasattr(x, "note"))
    return name in ELEMENTWISE and kinds <= set("biuf") and (exact or name not in COMPARISONS)


def _is_exact(array: Any) -> bool:
    """True for numbers that f32 holds as they are."""
    own = np.asarray(array)
    with np.errstate(over="ignore"):
        return own.dtype != np.float64 or np.array_equal(own, own.astype("f"), equal_nan=True)


def _constant(value: Any, wide: Any) -> Any:
    """A number, or an array of the chain's own, as it is beside what has the type `wide`."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return array
    if np.isfinite(array).all() and np.abs(array).max(initial=0) > np.finfo("f").max:
        raise UnsupportedError(
            f"a mask is made of numbers up to {np.abs(array).max():g}, and the page computes with "
            "those up to 3.4e38; use -1e9 or the like"
        )
    return array.astype(wide) if np.isscalar(value) else array


def is_counted(array: Any) -> bool:
    """True for integers and truth values, and for what was computed of them."""
    return bool(array.dtype.kind in "iub" or array.counted)


def _is_chains() -> bool:
    """True if the chain's code asks for it, and no function of Chainer's that computes."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename):
        if frame.f_code.co_qualname == "FunctionNode.apply":
            return False
        frame = frame.f_back
    return is_active()


# Functions of NumPy that only move elements, as those of Chainer.
MOVING = {
    np.broadcast_to: F.broadcast_to,
    np.expand_dims: F.expand_dims,
    np.reshape: F.reshape,
    np.swapaxes: F.swapaxes,
    np.transpose: F.transpose,
    np.squeeze: F.squeeze,
    np.tile: F.tile,
}


def chosen(condition: Any, *sides: Any) -> Any:
    """The Variable of `np.where(condition, x, y)`; None if the graph cannot have it."""
    taken = [v for v in (condition, *sides) if hasattr(v, "note")]
    known = all(v.variable is not None and is_counted(v) for v in taken)
    if len(sides) != 2 or not known or not hasattr(condition, "note") or not _is_chains():
        return None
    wide = np.result_type(*(v if np.isscalar(v) else np.asarray(v).dtype for v in sides))
    own = [_variable(v, wide) for v in sides]
    return F.where(*F.broadcast(F.cast(condition.variable, "?"), *own))


def _variable(value: Any, dtype: Any) -> Any:
    known = getattr(value, "variable", None)
    return F.cast(chainer.Variable(np.asarray(value, dtype)) if known is None else known, dtype)


def moved(function: Any, array: Any, *arguments: Any) -> Any:
    """The Variable that a function of Chainer makes of the array's; None without one."""
    variable = getattr(array, "variable", None)
    if variable is None or not is_counted(array) or not _is_chains():
        return None
    if function is F.expand_dims and not isinstance(arguments[0], int):
        return None
    return function(variable, *arguments)
