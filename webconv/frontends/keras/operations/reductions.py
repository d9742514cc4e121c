"""Operations over axes: sums, extrema, statistics, sorting, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.operations.elementwise import (
    boolean,
    dtype_named,
    floating,
    isfinite,
    tensor,
)
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, dtypes, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Axes = int | tuple[int, ...] | None


def axes_of(axis: Axes, x: Value) -> tuple[int, ...]:
    """The axes that `axis` means, from the front; None means all."""
    if axis is None:
        return tuple(range(x.type.rank))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(sorted({normalise_axis(a, x.type.rank) for a in axes}))


def summed(x: object) -> Value:
    """`x`, bool and small integers with 32 bits, so that sums do not wrap."""
    value = tensor(x)
    dtype = value.type.dtype
    if dtype.is_float or (dtype.kind != "b" and dtype.bits >= 32):
        return value
    return common.cast(value, dtypes.u32 if dtype.kind == "u" else dtypes.i32)


def _reduce(op: type[Any], prepare: Callable[[object], Value]) -> Callable[..., Value]:
    def reduce(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
        """A reduction over `axis`, or over everything."""
        value = prepare(x)
        return op(axes_of(axis, value), keepdims)(value)

    return reduce


def _logical(op: type[Any]) -> Callable[..., Value]:
    def reduce(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
        """Whether any, or all, of the elements are true."""
        value = common.cast(boolean(x), dtypes.i32)
        return boolean(op(axes_of(axis, value), keepdims)(value))

    return reduce


def variance(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """The mean squared distance from the mean."""
    middle = ops.Sub()(x, ops.ReduceMean(axes, True)(x))
    return ops.ReduceMean(axes, keepdims)(ops.Mul()(middle, middle))


def var(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The variance."""
    value = floating(x)
    return variance(value, axes_of(axis, value), keepdims)


def std(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The standard deviation."""
    value = floating(x)
    return ops.Sqrt()(variance(value, axes_of(axis, value), keepdims))


def logsumexp(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """log(sum(exp(x)))."""
    value = floating(x)
    axes = axes_of(axis, value)
    top = ops.ReduceMax(axes, True)(value)
    top = ops.Where()(isfinite(top), top, scalar(0, top))
    total = ops.ReduceSum(axes, True)(ops.Exp()(ops.Sub()(value, top)))
    out = ops.Add()(ops.Log()(total), top)
    return out if keepdims else common.squeeze(out, *axes)


def _arg(op: type[Any]) -> Callable[..., Value]:
    def arg(layer: Layer, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Value:
        """Where the extremum is; in all of x, flattened, without an axis."""
        value = tensor(x)
        if axis is not None:
            return op(axis, keepdims)(value)
        out = op(0, False)(common.reshape(value, [-1]))
        return common.reshape(out, [1] * value.type.rank) if keepdims else out

    return arg


def prod(
    layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False, dtype: str | None = None
) -> Value:
    """The product, computed in `dtype`."""
    value = common.cast(tensor(x), dtype_named(dtype)) if dtype else summed(x)
    return ops.ReduceProd(axes_of(axis, value), keepdims)(value)


def _running(op: type[Any]) -> Callable[..., Value]:
    def running(
        layer: Layer, x: Any, *, axis: int | None = None, dtype: str | None = None
    ) -> Value:
        """What is up to each element combined, in `dtype`."""
        value = tensor(x)
        wanted = dtype_named(dtype) if dtype else value.type.dtype
        value = common.cast(value, dtypes.i32 if wanted.kind == "b" else wanted)
        value = common.reshape(value, [-1]) if axis is None else value
        return op(normalise_axis(axis or 0, value.type.rank))(value)

    return running


def ordered(x: Value, axis: int, largest: bool) -> list[Value]:
    """Values and indices sorted along an axis."""
    axis = normalise_axis(axis, x.type.rank)
    return list(ops.TopK(x.shape[axis], axis, largest)(x))


def sort(layer: Layer, x: Any, *, axis: int = -1) -> Value:
    """Sorted upwards."""
    return ordered(tensor(x), axis, False)[0]


def argsort(layer: Layer, x: Any, *, axis: int | None = -1) -> Value:
    """The indices that sort x."""
    value = tensor(x)
    value = common.reshape(value, [-1]) if axis is None else value
    return ordered(value, -1 if axis is None else axis, False)[1]


def _of_sorted(
    x: Any, axis: Axes, keepdims: bool, pick: Callable[[Value], list[Value]]
) -> list[Value]:
    """What `pick` makes of the elements over `axis`, sorted along the last; NaN if one is."""
    value = floating(x)
    axes = axes_of(axis, value)
    rest = [a for a in range(value.type.rank) if a not in axes]
    shape = [value.shape[a] for a in rest]
    joined = common.transpose(value, [*rest, *axes])
    joined = common.reshape(joined, (*shape, dims.product(value.shape[a] for a in axes)))
    ascending = ordered(joined, -1, False)[0]
    last = common.at(ascending, -1, -1)
    found = [ops.Where()(ops.IsNaN()(last), last, y) for y in pick(ascending)]
    kept = [1 if a in axes else n for a, n in enumerate(value.shape)]
    return [common.reshape(y, kept) if keepdims else y for y in found]


def median(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The middle, or the mean of the two elements there."""

    def middle(ascending: Value) -> list[Value]:
        n = ascending.shape[-1]
        two = [common.at(ascending, -1, dims.floordiv(k, 2)) for k in (n - 1, n)]
        return [ops.Affine(0.5)(ops.Add()(*two))]

    return _of_sorted(x, axis, keepdims, middle)[0]


def _quantile(whole: float) -> Callable[..., Value]:
    def quantile(
        layer: Layer,
        x: Any,
        q: Any,
        *,
        axis: Axes = None,
        method: Literal["linear"] = "linear",
        keepdims: bool = False,
    ) -> Value:
        """What shares q of `whole` lie below, interpolated; a list of q makes a first axis."""
        shares = common.folded(tensor(q)).constant
        if shares is None or shares.ndim > 1:
            raise UnsupportedError("q must be a number or a list, known when converting")
        shares = shares.astype(np.float64) / whole
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ModelFormatError(f"q must lie in [0, {whole}], but it is {shown(q)}")

        def pick(ascending: Value) -> list[Value]:
            return [_interpolated(ascending, share) for share in shares.reshape(-1).tolist()]

        found = _of_sorted(x, axis, keepdims, pick)
        return common.stack(found, 0) if shares.ndim else found[0]

    return quantile


def _interpolated(ascending: Value, share: float) -> Value:
    """Between the two elements of the last axis that are nearest to `share` of the way."""
    n = ascending.shape[-1]
    if not isinstance(n, int):
        raise UnsupportedError(f"quantiles need a size known when converting, but it is {n}")
    below = math.floor(share * (n - 1))
    part = share * (n - 1) - below
    low = common.at(ascending, -1, below)
    if not part:
        return low
    high = common.at(ascending, -1, below + 1)
    return ops.Add()(ops.Affine(1 - part)(low), ops.Affine(part)(high))


def top_k(layer: Layer, x: Any, *, k: Positive, sorted: bool = True) -> Any:
    """The k largest along the last axis, and where they are."""
    return list(ops.TopK(k, -1)(tensor(x)))


def norm(
    layer: Layer, x: Any, *, ord: object = None, axis: Axes = None, keepdims: bool = False
) -> Value:
    """The Euclidean (or, by `ord`, absolute or maximum) norm."""
    value = floating(x)
    axes = axes_of(axis, value)
    if ord is None or (ord == 2 and len(axes) == 1) or ord == "fro":
        total = ops.ReduceSum(axes, keepdims)(ops.Mul()(value, value))
        return ops.Sqrt()(total)
    if ord == 1 and len(axes) == 1:
        return ops.ReduceSum(axes, keepdims)(ops.Abs()(value))
    if ord == float("inf") and len(axes) == 1:
        return ops.ReduceMax(axes, keepdims)(ops.Abs()(value))
    raise UnsupportedError(f"norm of order {ord} over {len(axes)} axes is not supported")


def average(layer: Layer, x: Any, weights: Any = None, *, axis: Axes = None) -> Value:
    """The mean, weighted if there are weights."""
    value = floating(x)
    axes = axes_of(axis, value)
    if weights is None:
        return ops.ReduceMean(axes)(value)
    share = common.cast(tensor(weights, value), value.type.dtype)
    if share.type.rank == 1 and len(axes) == 1:
        share = common.expand_dims(share, *range(1, value.type.rank - axes[0]))
    total = ops.ReduceSum(axes)(ops.Mul()(value, share))
    whole = ops.ReduceSum(axes)(common.broadcast_to(share, value.shape))
    return ops.Div()(total, whole)


def ptp(layer: Layer, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Value:
    """The maximum less the minimum."""
    value = tensor(x)
    axes = axes_of(axis, value)
    return ops.Sub()(ops.ReduceMax(axes, keepdims)(value), ops.ReduceMin(axes, keepdims)(value))


def count_nonzero(layer: Layer, x: Any, *, axis: Axes = None) -> Value:
    """The number of elements that are not 0."""
    value = common.cast(boolean(x), dtypes.i32)
    return ops.ReduceSum(axes_of(axis, value))(value)


def moments(layer: Layer, x: Any, *, axes: Axes, keepdims: bool = False) -> Any:
    """The mean and the variance."""
    value = floating(x)
    where = axes_of(axes, value)
    return [ops.ReduceMean(where, keepdims)(value), variance(value, where, keepdims)]


def extremum(op: type[Any]) -> Callable[..., Value]:
    def reduce(
        layer: Layer,
        x: Any,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        initial: float | None = None,
    ) -> Value:
        """The largest or smallest element; `initial` counts as one more."""
        value = tensor(x)
        out = op(axes_of(axis, value), keepdims)(value)
        if initial is None:
            return out
        pick = ops.Max if op is ops.ReduceMax else ops.Min
        return pick()(out, scalar(initial, out))

    return reduce


def require_one_axis(axes: tuple[int, ...]) -> int:
    """The only axis; raises ShapeError if there are several."""
    if len(axes) != 1:
        raise ShapeError(f"one axis is needed, not {len(axes)}")
    return axes[0]


RULES: Mapping[str, Rule] = {
    "Sum": Rule(_reduce(ops.ReduceSum, summed)),
    "Prod": Rule(prod),
    "Mean": Rule(_reduce(ops.ReduceMean, floating)),
    "Max": Rule(extremum(ops.ReduceMax)),
    "Min": Rule(extremum(ops.ReduceMin)),
    "Amax": Rule(extremum(ops.ReduceMax)),
    "Amin": Rule(extremum(ops.ReduceMin)),
    "Any": Rule(_logical(ops.ReduceMax)),
    "All": Rule(_logical(ops.ReduceMin)),
    "Var": Rule(var),
    "Std": Rule(std),
    "Ptp": Rule(ptp),
    "Moments": Rule(moments, ignores="synchronized"),
    "Average": Rule(average),
    "CountNonzero": Rule(count_nonzero),
    "Logsumexp": Rule(logsumexp),
    "Norm": Rule(norm),
    "Argmax": Rule(_arg(ops.ArgMax)),
    "Argmin": Rule(_arg(ops.ArgMin)),
    "Cumsum": Rule(_running(ops.CumSum)),
    "Cumprod": Rule(_running(ops.CumProd)),
    "Sort": Rule(sort),
    "Argsort": Rule(argsort),
    "Median": Rule(median),
    "Quantile": Rule(_quantile(1)),
    "Percentile": Rule(_quantile(100)),
    "TopK": Rule(top_k),
}
