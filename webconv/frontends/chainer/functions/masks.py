"""NumPy's own functions, on arrays of integers that a chain computes masks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.ir import ops
from webconv.ir.dtypes import bool_, from_numpy
from webconv.ir.graph import Value

COMPARING: Mapping[str, Any] = {
    "equal": ops.Equal,
    "less": ops.Less,
    "less_equal": ops.LessOrEqual,
    "greater": ops.Greater,
    "greater_equal": ops.GreaterOrEqual,
}
LOGICAL: Mapping[str, Any] = {
    "logical_and": ops.And,
    "logical_or": ops.Or,
    "logical_xor": ops.Xor,
}
BITWISE: Mapping[str, str] = {
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
    # Of truth values, NumPy's sums and products are these.
    "add": "logical_or",
    "maximum": "logical_or",
    "multiply": "logical_and",
    "minimum": "logical_and",
}
ARITHMETIC: Mapping[str, Any] = {
    "add": ops.Add,
    "subtract": ops.Sub,
    "multiply": ops.Mul,
    "divide": ops.Div,
    "true_divide": ops.Div,
    "maximum": ops.Max,
    "minimum": ops.Min,
    "negative": ops.Neg,
}
REDUCING: Mapping[str, Any] = {
    "add": ops.ReduceSum,
    "maximum": ops.ReduceMax,
    "minimum": ops.ReduceMin,
    "logical_or": ops.ReduceMax,
    "logical_and": ops.ReduceMin,
}


@function("NumPyFunction")
def elementwise(call: Applied, *xs: Value) -> Value:
    """A function of each element; operands get the type that NumPy computes in."""
    name, dtype = call.operation, np.dtype(call.dtype)
    types = [x.type.dtype.numpy for x in xs]
    if all(t == np.bool_ for t in types) and name in BITWISE:
        name = BITWISE[name]
    if name == "logical_not":
        return ops.Not()(common.cast(xs[0], bool_))
    if name in LOGICAL:
        return LOGICAL[name]()(*(common.cast(x, bool_) for x in xs))
    if name in ARITHMETIC:
        own = from_numpy(dtype)
        return ARITHMETIC[name]()(*(common.cast(x, own) for x in xs))
    wide = from_numpy(np.result_type(*types, np.int32))
    own_xs = [common.cast(x, wide) for x in xs]
    if name == "not_equal":
        return common.not_equal(*own_xs)
    return COMPARING[name]()(*own_xs)


@function("NumPyReduction")
def reduction(call: Applied, x: Value) -> Value:
    """A function over axes."""
    dtype = from_numpy(np.dtype(call.dtype))
    wide = from_numpy(np.dtype(np.int32)) if dtype == bool_ else dtype
    axes = call.axis
    axes = tuple(axes) if isinstance(axes, tuple | list) else axes
    axes = (axes,) if isinstance(axes, int) else axes
    if axes is None:
        axes = tuple(range(x.type.rank))
    truth = call.operation.startswith("logical")
    own = common.cast(common.cast(x, bool_), wide) if truth else common.cast(x, wide)
    return common.cast(REDUCING[call.operation](axes, call.keepdims)(own), dtype)
