"""Operations over axes: sums, extrema, statistics, sorting, running sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.operations.elementwise import boolean, floating, tensor
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Axes = int | tuple[int, ...] | None


def axes_of(axis: Axes, x: Value) -> tuple[int, ...]:
    """The axes that `axis` means, from the front; None means all."""
    if axis is None:
        return tuple(range(x.type.rank))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(sorted({normalise_axis(a, x.type.rank) for a in axes}))


def _summed(x: Value) -> Value:
    """bool and small integers as i32, so that sums do not wrap."""
    small = x.type.dtype.kind == "b" or (x.type.dtype.is_integer and x.type.dtype.bits < 32)
    return common.cast(x, dtypes.i32) if small else x


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


def cumsum(layer: Layer, x: Any, *, axis: int | None = None, dtype: str | None = None) -> Value:
    """The running sum."""
    value = _summed(tensor(x))
    value = common.reshape(value, [-1]) if axis is None else value
    return ops.CumSum(normalise_axis(axis or 0, value.type.rank))(value)


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
    "Sum": Rule(_reduce(ops.ReduceSum, lambda x: _summed(tensor(x)))),
    "Prod": Rule(_reduce(ops.ReduceProd, lambda x: _summed(tensor(x))), ignores="dtype"),
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
    "Cumsum": Rule(cumsum),
    "Sort": Rule(sort),
    "Argsort": Rule(argsort),
    "TopK": Rule(top_k),
}
