"""Operations that step over NaN, or put a number in its place, and comparisons that know it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.operations.elementwise import floating, isfinite, promoted, tensor
from webconv.frontends.keras.operations.reductions import Axes, axes_of, summed
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, ops
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value


def without_nan(x: Value, number: float) -> Value:
    """`x` with a number in place of NaN."""
    return ops.Where()(ops.IsNaN()(x), scalar(number, x), x) if x.type.dtype.is_float else x


def nan_to_num(
    layer: Layer,
    x: Any,
    *,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """x with numbers in place of NaN and the infinities, by default the largest there are."""
    value = tensor(x)
    if not value.type.dtype.is_float:
        return value
    # f64 is computed in f32.
    limits = np.finfo(np.float16 if value.type.dtype == dtypes.f16 else np.float32)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    y = without_nan(value, nan)
    y = ops.Where()(ops.IsInf(False, True)(value), scalar(high, value), y)
    return ops.Where()(ops.IsInf(True, False)(value), scalar(low, value), y)


def _either(op: type[Any]) -> Callable[..., Value]:
    def either(layer: Layer, x1: Any, x2: Any) -> Value:
        """op(x1, x2), or the one that is no NaN."""
        a, b = promoted(x1, x2)
        y = op()(a, b)
        if not y.type.dtype.is_float:
            return y
        return ops.Where()(ops.IsNaN()(b), a, ops.Where()(ops.IsNaN()(a), b, y))

    return either


def isclose(
    layer: Layer,
    x1: Any,
    x2: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    *,
    equal_nan: bool = False,
) -> Value:
    """|x1 - x2| <= atol + rtol |x2|; an infinity is close to itself alone."""
    a, b = promoted(x1, x2)
    if a.type.dtype.is_integer and a.type.dtype.bits > 16:
        raise UnsupportedError(f"closeness of {a.type.dtype} is not supported; cast to float32")
    a, b = floating(a), floating(b)
    limit = ops.Affine(rtol, atol)(ops.Abs()(b))
    near = ops.LessOrEqual()(ops.Abs()(ops.Sub()(a, b)), limit)
    close = ops.Or()(ops.And()(near, isfinite(b)), ops.Equal()(a, b))
    if equal_nan:
        close = ops.Or()(close, ops.And()(ops.IsNaN()(a), ops.IsNaN()(b)))
    return close


def nansum(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The sum of what is no NaN."""
    value = without_nan(summed(x), 0)
    return ops.ReduceSum(axes_of(axis, value), keepdims)(value)


def nanmean(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The mean of what is no NaN; NaN if nothing is."""
    value = floating(x)
    total = ops.ReduceSum(axes_of(axis, value), keepdims)
    numbers = common.cast(ops.Not()(ops.IsNaN()(value)), value.type.dtype)
    return ops.Div()(total(without_nan(value, 0)), total(numbers))


def _extremum(op: type[Any], outside: float) -> Callable[..., Value]:
    def extremum(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
        """The largest or smallest that is no NaN; NaN if nothing is."""
        value = tensor(x)
        axes = axes_of(axis, value)
        found = op(axes, keepdims)(without_nan(value, outside))
        if not value.type.dtype.is_float:
            return found
        missing = common.cast(ops.IsNaN()(value), dtypes.i32)
        nothing = common.cast(ops.ReduceMin(axes, keepdims)(missing), dtypes.bool_)
        return ops.Where()(nothing, scalar(math.nan, found), found)

    return extremum


RULES: Mapping[str, Rule] = {
    "NanToNum": Rule(nan_to_num),
    "Fmax": Rule(_either(ops.Max)),
    "Fmin": Rule(_either(ops.Min)),
    "Isclose": Rule(isclose),
    "Nansum": Rule(nansum),
    "Nanmean": Rule(nanmean),
    "Nanmax": Rule(_extremum(ops.ReduceMax, -math.inf)),
    "Nanmin": Rule(_extremum(ops.ReduceMin, math.inf)),
}
