"""Gather, scatter, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import number, size
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array, normalise_axis

# Where the elements of a scatter with constant indices go is written down up to this size.
MOST_PLACED = 1 << 22

COMBINE: dict[str, type[ops.Op] | None] = {
    "none": None,
    "add": ops.Add,
    "mul": ops.Mul,
    "max": ops.Max,
    "min": ops.Min,
}


@operator("Gather")
def gather(data: Value, indices: Value, *, axis: int = 0) -> Value:
    """Slices of data at indices."""
    out: Value = ops.Gather(normalise_axis(axis, data.type.rank))(data, indices)
    return out


@operator("GatherElements")
def gather_elements(data: Value, indices: Value, *, axis: int = 0) -> Any:
    """Elements of data at indices along an axis."""
    return ops.GatherElements(normalise_axis(axis, data.type.rank))(data, indices)


@operator("GatherND")
def gather_nd(data: Value, indices: Value, *, batch_dims: int = 0) -> Any:
    """Slices of data at index tuples."""
    if not 0 <= batch_dims < min(data.type.rank, indices.type.rank):
        rule = f"below the ranks of {data.type} and {indices.type}"
        raise ShapeError(f"batch_dims must lie {rule}, but it is {batch_dims}")
    return ops.GatherND(batch_dims)(data, indices)


@operator("Scatter", "ScatterElements")
def scatter_elements(
    data: Value, indices: Value, updates: Value, *, axis: int = 0, reduction: str = "none"
) -> Value:
    """data with updates combined in at indices along an axis, in order."""
    axis = normalise_axis(axis, data.type.rank)
    op = ops.ScatterElements(axis, reduction)
    op.infer(data.type, indices.type, updates.type)
    if indices.constant is not None and _sized(data):
        where: list[Array] = list(np.indices(indices.constant.shape))
        where[axis] = indices.constant
        placed = _placed(data, np.stack(where, -1), updates, reduction)
        if placed is not None:
            return placed
    out: Value = op(data, indices, updates)
    return out


@operator("ScatterND")
def scatter_nd(data: Value, indices: Value, updates: Value, *, reduction: str = "none") -> Value:
    """data with slices of updates combined in at index tuples, in order."""
    op = ops.ScatterND(reduction)
    op.infer(data.type, indices.type, updates.type)
    if indices.constant is not None:
        pasted = _pasted(data, indices.constant, updates, reduction)
        if pasted is None and _sized(data):
            pasted = _placed(data, indices.constant, updates, reduction)
        if pasted is not None:
            return pasted
    out: Value = op(data, indices, updates)
    return out


def _sized(data: Value) -> bool:
    return isinstance(data.type.size, int) and 0 < data.type.size <= MOST_PLACED


def _pasted(data: Value, indices: Array, updates: Value, reduction: str) -> Value | None:
    """The updates laid over a box of data, if the constant tuples enumerate one in order.

    That is what exporters make of `x[:, 2:5] = y`.
    """
    k = indices.shape[-1]
    tuples = indices.reshape(-1, k).astype(np.int64)
    lead = data.shape[:k]
    if not len(tuples) or not all(isinstance(n, int) for n in lead):
        return None
    whole = np.array(lead, np.int64)
    tuples = np.where(tuples < 0, tuples + whole, tuples)
    low, high = tuples.min(0), tuples.max(0)
    if (low < 0).any() or (high >= whole).any():
        return None
    box = tuple(int(n) for n in high - low + 1)
    if np.prod(box, dtype=object) != len(tuples):
        return None
    if not np.array_equal(tuples, np.indices(box).reshape(k, -1).T + low):
        return None
    rest = data.shape[k:]
    before = (*map(int, low), *[0] * len(rest))
    after = (*map(int, whole - high - 1), *[0] * len(rest))

    def widened(x: Value) -> Value:
        out: Value = ops.Pad(before, after)(x) if any((*before, *after)) else x
        return out

    new = widened(common.reshape(updates, (*box, *rest)))
    ones = common.broadcast_to(graph.constant(np.array(True)), (*box, *[1] * len(rest)))
    return _where(widened(ones), _combined(data, new, reduction), data)


def _placed(data: Value, tuples: Array, updates: Value, reduction: str) -> Value | None:
    """A scatter with constant indices as a gather: each element knows its update.

    None if a reduction meets an element twice.
    """
    k = tuples.shape[-1]
    lead = np.array(data.shape[:k], np.int64)
    rest = data.shape[k:]
    flat = tuples.reshape(-1, k).astype(np.int64)
    flat = np.where(flat < 0, flat + lead, flat)
    inside = ((flat >= 0) & (flat < lead)).all(1)
    sources = np.flatnonzero(inside)
    source = np.full(tuple(lead), -1, np.int32)
    where = tuple(flat[inside].T)
    if reduction != "none" and len({*zip(*where, strict=True)}) < len(sources):
        return None
    for at, update in zip(zip(*where, strict=True), sources, strict=True):
        source[at] = update
    if not len(sources):
        return data
    rows = common.reshape(updates, (len(flat), *rest))
    new = ops.Gather(0)(rows, graph.constant(np.maximum(source, 0)))
    hit = graph.constant((source >= 0).reshape(*source.shape, *[1] * len(rest)))
    return _where(hit, _combined(data, new, reduction), data)


def _where(condition: Value, x: Value, y: Value) -> Value:
    out: Value = ops.Where()(condition, x, y)
    return out


def _combined(data: Value, new: Value, reduction: str) -> Value:
    op = COMBINE[reduction]
    out: Value = new if op is None else op()(data, new)
    return out


def _top_k(x: Value, k: Dim, axis: int, largest: bool) -> tuple[Value, Value]:
    values, indices = ops.TopK(k, normalise_axis(axis, x.type.rank), largest)(x)
    return values, common.cast(indices, dtypes.i64)


@operator("TopK")
def top_k_1(x: Value, *, k: int, axis: int = -1) -> tuple[Value, Value]:
    """The k largest, sorted, and their indices (opset 1: k is an attribute)."""
    return _top_k(x, k, axis, True)


@operator("TopK", since=10)
def top_k(
    x: Value, k: Value, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Value, Value]:
    """The k largest or smallest, always sorted, and their indices."""
    return _top_k(x, size(k, "k"), axis, bool(largest))


@operator("OneHot")
def one_hot(indices: Value, depth: Value, values: Value, *, axis: int = -1) -> Value:
    """`values[1]` at each index along a new axis, else `values[0]`.

    Negative indices count from the end; one that is out of range gives `values[0]` everywhere.
    """
    whole = depth.type.dtype.is_float
    n: Dim = int(number(depth, "depth")) if whole else size(depth, "depth")
    axis = normalise_axis(axis, indices.type.rank + 1)
    wanted = common.cast(indices, dtypes.i32) if indices.type.dtype.is_float else indices
    dtype = wanted.type.dtype
    if dtype.kind == "i":
        moved = ops.Add()(wanted, common.cast(common.size_value(n), dtype))
        wanted = _where(ops.Less()(wanted, common.scalar(0, wanted)), moved, wanted)
    classes = common.cast(ops.Iota(n)(), dtype)
    trailing = indices.type.rank - axis
    hot = ops.Equal()(
        common.expand_dims(wanted, axis), common.reshape(classes, (n, *[1] * trailing))
    )
    off, on = common.at(values, 0, 0), common.at(values, 0, 1)
    return _where(hot, on, off)


@operator("ReverseSequence")
def reverse_sequence(
    x: Value, sequence_lens: Value, *, batch_axis: int = 1, time_axis: int = 0
) -> Value:
    """The first `sequence_lens[b]` elements of row b reversed in time, the others in place."""
    if {batch_axis, time_axis} != {0, 1}:
        axes = f"{batch_axis} and {time_axis}"
        raise ShapeError(f"batch_axis and time_axis must be 0 and 1, but they are {axes}")
    rows = x if batch_axis == 0 else common.swap_axes(x, 0, 1)
    time = common.expand_dims(ops.Iota(rows.shape[1])(), 0)
    lengths = common.expand_dims(common.cast(sequence_lens, dtypes.i32), 1)
    last = ops.Sub()(lengths, common.scalar(1, lengths))
    where = _where(ops.Less()(time, lengths), ops.Sub()(last, time), time)
    out: Value = ops.GatherND(1)(rows, common.expand_dims(where, 2))
    return out if batch_axis == 0 else common.swap_axes(out, 0, 1)
