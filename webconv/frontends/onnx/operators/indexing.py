"""Gather, scatter, sorting."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import size
from webconv.ir import dtypes, ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


@operator("Gather")
def gather(data: Value, indices: Value, *, axis: int = 0) -> Value:
    """Slices of data at indices."""
    out: Value = ops.Gather(normalise_axis(axis, data.type.rank))(data, indices)
    return out


@operator("TopK", since=11)
def top_k(
    x: Value, k: Value, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Value, Value]:
    """The k largest or smallest, always sorted, and their indices."""
    op = ops.TopK(size(k, "k"), normalise_axis(axis, x.type.rank), bool(largest))
    values, indices = op(x)
    return values, common.cast(indices, dtypes.i64)
