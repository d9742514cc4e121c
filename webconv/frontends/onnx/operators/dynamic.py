"""Operators whose results have sizes that data decides.

The `..._padded` functions give results of the largest size that is possible, and the count of what
is valid, an i64 scalar. What lies beyond the count is of no meaning, but never out of range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import from_known, known
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

# Running sums of more elements than this are taken in blocks side by side.
MOST_SERIAL = 256
SYMBOLIC_BLOCK = 64

# Larger intermediate results are not computed when converting.
MOST_FOLDED = 1 << 26


def size_of(size: Dim, dtype: DType = dtypes.i32) -> Value:
    """A size as a scalar."""
    return from_known(np.array(size, object), dtype)


def running_count(mask: Value) -> Value:
    """How many of a bool vector are True up to each element, itself included, as i32."""
    (n,) = mask.shape
    ones = common.cast(mask, dtypes.i32)
    if isinstance(n, int) and n <= MOST_SERIAL:
        out: Value = ops.CumSum(0)(ones)
        return out
    block = 1 << (int(n).bit_length() + 1) // 2 if isinstance(n, int) else SYMBOLIC_BLOCK
    blocks = dims.ceildiv(n, block)
    padded = ops.Pad((0,), (blocks * block - n,))(ones)
    inner = ops.CumSum(1)(common.reshape(padded, (blocks, block)))
    before = ops.CumSum(0, exclusive=True)(common.at(inner, 1, block - 1))
    whole = ops.Add()(inner, common.expand_dims(before, 1))
    return common.slice_axis(common.reshape(whole, (blocks * block,)), 0, 0, n)


def true_positions(mask: Value) -> tuple[Value, Value]:
    """Where a bool vector is True, in order, as i32 [n]; then 0. And how many there are."""
    (n,) = mask.shape
    count = ops.ReduceSum((0,))(common.cast(mask, dtypes.i32))
    slots = ops.Iota(n)()
    one = graph.constant(np.int32(1))
    found = ops.SearchSorted()(running_count(mask), ops.Add()(slots, one))
    valid = ops.Less()(slots, count)
    positions = ops.Where()(valid, found, graph.constant(np.int32(0)))
    return positions, common.cast(count, dtypes.i64)


def nonzero_padded(x: Value) -> tuple[Value, Value]:
    """The indices [rank, size] of the elements that are not 0, in row-major order."""
    x = common.reshape(x, (1,)) if x.type.rank == 0 else x
    mask = common.cast(common.reshape(x, (x.type.size,)), dtypes.bool_)
    rest, count = true_positions(mask)
    rows: list[Value] = []
    for n in reversed(x.shape[1:]):
        size = size_of(n)
        rows.append(ops.Mod()(rest, size))
        rest = ops.Div()(rest, size)
    indices = common.stack([rest, *reversed(rows)], 0)
    return common.cast(indices, dtypes.i64), count


def compress_padded(x: Value, condition: Value, axis: int | None) -> tuple[Value, Value]:
    """The slices along `axis` (elements of the flat x if None) at which the condition holds."""
    if axis is None:
        x, axis = common.reshape(x, (x.type.size,)), 0
    axis = normalise_axis(axis, x.type.rank)
    n, m = x.shape[axis], condition.shape[0]
    if isinstance(n, int) and isinstance(m, int) and m > n:
        raise ShapeError(f"the condition has {m} elements, but axis {axis} of {x.type} has {n}")
    positions, count = true_positions(condition)
    return ops.Gather(axis)(x, positions), count


def unique_padded(
    x: Value, axis: int | None, ordered: bool
) -> tuple[Value, Value, Value, Value, Value]:
    """The slices along `axis` (elements of the flat x if None) that differ.

    Gives them, where each occurs first, which of them each slice is [n] (not padded), how often
    each occurs, and their count; in ascending order or by first occurrence.
    """
    if axis is None:
        x, axis = common.reshape(x, (x.type.size,)), 0
    axis = normalise_axis(axis, x.type.rank)
    n = x.shape[axis]
    rows = common.reshape(common.move_axis(x, axis, 0), (n, dims.floordiv(x.type.size, n or 1)))
    less, equal = _compared(rows)
    slots = ops.Iota(n)()
    row, column = common.expand_dims(slots, 1), common.expand_dims(slots, 0)
    none = size_of(n)
    first = ops.ReduceMin((1,))(ops.Where()(equal, column, none))
    new = ops.Equal()(first, slots)
    fresh = common.expand_dims(new, 0)
    # Row i counts the new slices that come before slice i.
    ahead = _transposed(less) if ordered else ops.Less()(column, common.expand_dims(first, 1))
    inverse = _count(ops.And()(fresh, ahead), 1)
    is_slot = ops.Equal()(common.expand_dims(inverse, 0), row)
    count = _count(new, 0)
    where = ops.ReduceMin((1,))(ops.Where()(is_slot, column, none))
    where = ops.Where()(ops.Less()(slots, count), where, graph.constant(np.int32(0)))
    values = ops.Gather(axis)(x, where)
    results = (where, inverse, _count(is_slot, 1), count)
    indices, inverses, counts, total = (common.cast(v, dtypes.i64) for v in results)
    return values, indices, inverses, counts, total


def _transposed(x: Value) -> Value:
    return common.swap_axes(x, 0, 1)


def _count(mask: Value, axis: int) -> Value:
    out: Value = ops.ReduceSum((axis,))(common.cast(mask, dtypes.i32))
    return out


def _compared(rows: Value) -> tuple[Value, Value]:
    """[i, j]: row i comes before row j; row i equals row j. NaN equals NaN and comes last."""
    rows = common.cast(rows, dtypes.i32) if rows.type.dtype == dtypes.bool_ else rows
    a, b = common.expand_dims(rows, 1), common.expand_dims(rows, 0)
    below, above = _less(a, b), _less(b, a)
    columns = ops.Iota(rows.shape[1])()
    two, one = graph.constant(np.int32(2)), graph.constant(np.int32(1))
    code = ops.Add()(ops.Mul()(columns, two), common.cast(above, dtypes.i32))
    same = graph.constant(np.int32(2**31 - 1))
    # The least code is that of the first column that differs; odd means above.
    decisive = ops.ReduceMin((2,))(ops.Where()(ops.Or()(below, above), code, same))
    even = ops.Equal()(ops.BitwiseAnd()(decisive, one), graph.constant(np.int32(0)))
    return even, ops.Equal()(decisive, same)


def _less(a: Value, b: Value) -> Value:
    out: Value = ops.Less()(a, b)
    if not a.type.dtype.is_float:
        return out
    missing, other = ops.IsNaN()(a), ops.IsNaN()(b)
    both = ops.And()(ops.Not()(missing), ops.Not()(other))
    last = ops.And()(ops.Not()(missing), other)
    total: Value = ops.Or()(ops.And()(out, both), last)
    return total


def range_padded(start: Value, limit: Value, delta: Value, most: Dim) -> tuple[Value, Value]:
    """start, start + delta, ... before limit, at most `most` of them."""
    places = common.cast(ops.Iota(most)(), start.type.dtype)
    values = ops.Add()(ops.Mul()(places, delta), start)
    span = ops.Sub()(limit, start)
    if start.type.dtype.is_float:
        count = common.cast(ops.Ceil()(ops.Div()(span, delta)), dtypes.i64)
    else:
        span, step = common.cast(span, dtypes.i64), common.cast(delta, dtypes.i64)
        whole, rest = ops.Div()(span, step), ops.Fmod()(span, step)
        # Truncation is towards 0, which is up only for a quotient below 0.
        more = ops.And()(
            common.not_equal(rest, common.scalar(0, rest)),
            ops.Equal()(ops.Sign()(span), ops.Sign()(step)),
        )
        count = ops.Add()(whole, common.cast(more, dtypes.i64))
    least = ops.Max()(count, common.scalar(0, count))
    return values, ops.Min()(least, size_of(most, dtypes.i64))


@operator("Compress", context=True)
def compress(call: Any, x: Value, condition: Value, *, axis: int | None = None) -> Value:
    """The slices at which the condition holds."""
    if condition.constant is not None:
        chosen = np.flatnonzero(condition.constant)
        x, axis = (common.reshape(x, (x.type.size,)), 0) if axis is None else (x, axis)
        out: Value = ops.Gather(normalise_axis(axis, x.type.rank))(x, graph.constant(chosen))
        return out
    values, count = compress_padded(x, condition, axis)
    return exact(call, count, (values, axis or 0))[0]


@operator("NonZero", context=True)
def nonzero(call: Any, x: Value) -> Value:
    """The indices [rank, count] of the elements that are not 0."""
    filled = _fill(x)
    if filled is not None and x.type.rank > 0:
        everywhere = graph.constant(np.array(True))
        padded = nonzero_padded(common.broadcast_to(everywhere, x.shape))[0]
        return padded if filled else common.slice_axis(padded, 1, 0, 0)
    indices, count = nonzero_padded(x)
    return exact(call, count, (indices, 1))[0]


def _fill(x: Value) -> bool | None:
    """Whether a value that is the same everywhere is not 0; None if it may differ."""
    op, source = x.node.op, x.node.inputs[0] if x.node.inputs else None
    if isinstance(op, ops.Cast) and source is not None:
        return _fill(source)
    whole = isinstance(op, ops.Expand) and source is not None and source.constant is not None
    if not whole or source is None or source.constant is None or source.constant.size != 1:
        return None
    return bool(source.constant.item())


@operator("Unique", context=True)
def unique(call: Any, x: Value, *, axis: int | None = None, sorted: int = 1) -> tuple[Value, ...]:
    """The slices that differ, where each occurs first, which one each slice is, and counts."""
    values, indices, inverse, counts, count = unique_padded(x, axis, bool(sorted))
    cut = exact(call, count, (values, axis or 0), (indices, 0), (counts, 0))
    return cut[0], cut[1], common.folded(inverse, MOST_FOLDED), cut[2]


def exact(call: Any, count: Value, *padded: tuple[Value, int]) -> list[Value]:
    """Padded values cut to `count` along an axis each: now if all is constant, else in a run."""
    number = known(common.folded(count, MOST_FOLDED))
    if number is not None:
        cut = (common.slice_axis(v, axis, 0, number.item()) for v, axis in padded)
        return [common.folded(v, MOST_FOLDED) for v in cut]
    size = call.fresh("count")
    op = ops.Bind((str(size),))
    spans = ((v, normalise_axis(axis, v.type.rank)) for v, axis in padded)
    return [common.slice_axes(op(v, count), {a: common.Span(0, size, 1)}) for v, a in spans]
