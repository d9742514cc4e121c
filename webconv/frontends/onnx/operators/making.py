"""Tensors that are made of sizes and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.sizes import derive
from webconv.frontends.onnx.values import known
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value
from webconv.ir.op import Array


@operator("Shape")
def shape(x: Value, *, start: int = 0, end: int | None = None) -> Any:
    """The sizes of the axes from `start` to `end`."""
    limit = {} if end is None else {"end": end}
    return derive("Shape", [x], {"start": start, **limit}, 1)


@operator("Size")
def size_(x: Value) -> Any:
    """The number of elements."""
    return derive("Size", [x], {}, 1)


@operator("Constant")
def constant(
    *,
    value: Array | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Value:
    """A tensor in the graph."""
    for given, dtype in (
        (value_float, "f4"),
        (value_floats, "f4"),
        (value_int, "i8"),
        (value_ints, "i8"),
    ):
        if given is not None:
            return graph.constant(np.array(given, dtype))
    if value is None:
        raise ModelFormatError("it has no value of a type that is supported")
    return graph.constant(value)


@operator("ConstantOfShape", context=True)
def constant_of_shape(call: Any, shape: Value, *, value: Array | None = None) -> Value:
    """One value in every element."""
    fill = np.zeros((), np.float32) if value is None else value.reshape(-1)[0]
    element, wanted = call.measured(graph.constant(np.asarray(fill)), shape, "shape")
    return common.broadcast_to(element, wanted)


@operator("Range", context=True)
def range_(call: Any, start: Value, limit: Value, delta: Value) -> Value:
    """start, start + delta, ... before limit; data may say how many."""
    ends = [known(v) for v in (start, limit, delta)]
    if all(e is not None for e in ends):
        first, last, step = (e.item() for e in ends)  # type: ignore[union-attr]
        if isinstance(step, int) and step != 0:
            span = last - first if step > 0 else first - last
            count: Dim = dims.maximum(dims.ceildiv(span, abs(step)), 0)
            return _from_start(start, delta, count)
    given = (start.constant, limit.constant, delta.constant)
    if all(v is not None for v in given):
        numbers = (v.item() for v in given)  # type: ignore[union-attr]
        return graph.constant(np.arange(*numbers).astype(start.type.dtype.numpy))
    wide = [
        v if v.type.dtype.is_float else common.cast(v, dtypes.f64) for v in (start, limit, delta)
    ]
    steps = ops.Ceil()(ops.Div()(ops.Sub()(wide[1], wide[0]), wide[2]))
    often = ops.Max()(common.cast(steps, dtypes.i64), graph.constant(np.int64(0)))
    count = call.fresh("count")
    return _from_start(ops.Bind((str(count),))(start, often), delta, count)


def _from_start(start: Value, delta: Value, count: Dim) -> Value:
    where = common.cast(ops.Iota(count)(), start.type.dtype)
    out: Value = ops.Add()(ops.Mul()(where, delta), start)
    return out


@operator("Trilu")
def trilu(x: Value, k: Value | None = None, *, upper: int = 1) -> Value:
    """The upper or lower triangle of matrices, 0 elsewhere; `k` moves the diagonal."""
    rows, columns = x.shape[-2:]
    row = common.expand_dims(ops.Iota(rows)(), 1)
    column = common.expand_dims(ops.Iota(columns)(), 0)
    edge = row if k is None else ops.Add()(row, common.reshape(common.cast(k, dtypes.i32), ()))
    keep = (ops.GreaterOrEqual if upper else ops.LessOrEqual)()(column, edge)
    out: Value = ops.Where()(keep, x, common.scalar(0, x))
    return out


@operator("EyeLike")
def eye_like(x: Value, *, dtype: int | None = None, k: int = 0) -> Value:
    """1 on the diagonal `k`, of the shape of x."""
    from webconv.frontends.onnx.types import dtype_of

    target = x.type.dtype if dtype is None else dtype_of(dtype)
    row = common.expand_dims(ops.Iota(x.shape[0])(), 1)
    column = common.expand_dims(ops.Iota(x.shape[1])(), 0)
    return common.cast(ops.Equal()(ops.Add()(row, common.scalar(k, row)), column), target)
