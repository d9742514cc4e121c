"""Reductions, extrema, softmax."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import axes_of, ints
from webconv.ir import dims, dtypes, ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Reduction = Callable[[Value, tuple[int, ...], bool], Value]


def _plain(op: type[Any]) -> Reduction:
    def reduce(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
        out: Value = op(axes, keepdims)(x)
        return out

    return reduce


def _l1(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return _sum(ops.Abs()(x), axes, keepdims)


def _sum_square(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return _sum(ops.Mul()(x, x), axes, keepdims)


def _l2(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return in_floats(ops.Sqrt(), _sum_square(x, axes, keepdims))


def _log_sum(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return in_floats(ops.Log(), _sum(x, axes, keepdims))


def _log_sum_exp(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """max + log(sum(exp(x - max))), so that nothing overflows; -inf over nothing."""
    dtype = x.type.dtype
    x = x if dtype.is_float else common.cast(x, dtypes.f32)
    highest = ops.ReduceMax(axes, True)(x)
    # An infinite maximum would give inf - inf.
    finite = ops.Where()(ops.IsInf()(highest), common.scalar(0, x), highest)
    total = ops.ReduceSum(axes, keepdims)(ops.Exp()(ops.Sub()(x, finite)))
    offset = finite if keepdims else common.squeeze(finite, *axes)
    return common.cast(ops.Add()(ops.Log()(total), offset), dtype)


def in_floats(op: ops.Op, x: Value) -> Value:
    """A float operator on x, back in the dtype of x."""
    if x.type.dtype.is_float:
        return op(x)
    return common.cast(op(common.cast(x, dtypes.f32)), x.type.dtype)


def _mean(x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """Integers: the sum, divided and truncated."""
    if x.type.dtype.is_float:
        return ops.ReduceMean(axes, keepdims)(x)
    count = common.size_value(dims.product(x.shape[a] for a in axes))
    total = _sum(x, axes, keepdims)
    return ops.Div()(total, common.cast(count, x.type.dtype))


_sum = _plain(ops.ReduceSum)

REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceProd": _plain(ops.ReduceProd),
    "ReduceMax": _plain(ops.ReduceMax),
    "ReduceMin": _plain(ops.ReduceMin),
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceSumSquare": _sum_square,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
}


def _register(name: str, reduction: Reduction) -> None:
    def reduce(x: Value, axes: Sequence[int] | None, keepdims: int, noop: int) -> Value:
        if not axes:
            # Elementwise parts (abs, log, ...) still apply: ONNX's own definition since opset 20.
            where = () if noop else tuple(range(x.type.rank))
        else:
            where = tuple(normalise_axis(a, x.type.rank) for a in axes)
        return reduction(x, where, bool(keepdims))

    @operator(name)
    def attribute(x: Value, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Value:
        return reduce(x, axes, keepdims, 0)

    @operator(name, since=13 if name == "ReduceSum" else 18)
    def input_(
        x: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Value:
        return reduce(x, axes_of(axes), keepdims, noop_with_empty_axes)

    for function in (attribute, input_):
        function.__doc__ = inspect.getdoc(reduction)


for _name, _reduction in REDUCTIONS.items():
    _register(_name, _reduction)


def _arg(name: str, op: type[Any]) -> None:
    @operator(name)
    def apply(x: Value, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Value:
        """The index of the extremum, as i64."""
        found = op(normalise_axis(axis, x.type.rank), bool(keepdims), bool(select_last_index))(x)
        return common.cast(found, dtypes.i64)


_arg("ArgMax", ops.ArgMax)
_arg("ArgMin", ops.ArgMin)


def _running(name: str, op: type[Any]) -> None:
    @operator(name)
    def apply(x: Value, axis: Value, *, exclusive: int = 0, reverse: int = 0) -> Any:
        """The sums or products of an axis so far; `exclusive` leaves the element itself out."""
        (where,) = ints(axis, "axis")
        return op(normalise_axis(where, x.type.rank), bool(exclusive), bool(reverse))(x)


_running("CumSum", ops.CumSum)
_running("CumProd", ops.CumProd)


def _softmax(name: str, op: type[Any]) -> None:
    @operator(name)
    def flattened(x: Value, *, axis: int = 1) -> Value:
        """Over all axes from `axis` on together (opset 1)."""
        k = axis + x.type.rank if axis < 0 else axis
        matrix = (dims.product(x.shape[:k]), dims.product(x.shape[k:]))
        return common.reshape(op(-1)(common.reshape(x, matrix)), x.shape)

    @operator(name, since=13)
    def along(x: Value, *, axis: int = -1) -> Value:
        """Along one axis."""
        out: Value = op(normalise_axis(axis, x.type.rank))(x)
        return out


_softmax("Softmax", ops.Softmax)
_softmax("LogSoftmax", ops.LogSoftmax)


@operator("Hardmax")
def hardmax_1(x: Value, *, axis: int = 1) -> Value:
    """1 at the first maximum over all axes from `axis` on (opset 1)."""
    k = axis + x.type.rank if axis < 0 else axis
    matrix = (dims.product(x.shape[:k]), dims.product(x.shape[k:]))
    return common.reshape(hardmax(common.reshape(x, matrix), axis=-1), x.shape)


@operator("Hardmax", since=13)
def hardmax(x: Value, *, axis: int = -1) -> Value:
    """1 at the first maximum along the axis, else 0."""
    axis = normalise_axis(axis, x.type.rank)
    hot = common.one_hot(ops.ArgMax(axis)(x), x.shape[axis], x.type.dtype)
    return common.move_axis(hot, -1, axis)
