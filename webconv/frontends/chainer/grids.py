"""Products of sequences of two lists, sequence by sequence: attention over lists.

B sequences, T and U the longest of each list, H the size of a row. Where one is shorter, a product
has rows or columns that mean nothing: they are 0 before they are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.chainer.items import BARE, GRID, MANY, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import Layout, filled, of_count, packed, spread
from webconv.frontends.chainer.sites import meet
from webconv.frontends.chainer.tape import Call
from webconv.ir import ops
from webconv.ir.graph import Value


def product(call: Call, a: Ragged | Value, b: Ragged | Value) -> Ragged | None:
    """F.matmul of what has to do with lists; None for what is no such product."""
    at = call.attributes
    if at.get("transc"):
        return None
    turn_a, turn_b = bool(at["transa"]), bool(at["transb"])
    if isinstance(a, Value):
        if isinstance(b, Value) or (b.rows, b.rank, a.type.rank) != (BARE, 2, 2):
            return None
        return _like(b, _times(common.swap_axes(a, 0, 1) if turn_a else a, b.values, turn_b))
    if isinstance(b, Value):
        plain = a.rows in (MANY, ONE, BARE) and a.rank == 2 and not turn_a and b.type.rank == 2
        return _like(a, _times(a.values, b, turn_b)) if plain else None
    if a.rows == TURNED or b.rows == TURNED:
        a, turn_a = _straight(a, turn_a)
        b, turn_b = _straight(b, turn_b)
    rule = PRODUCTS.get((a.rows, b.rows))
    return rule(a, b, turn_a, turn_b) if rule is not None else None


def _straight(of: Ragged, turn: bool) -> tuple[Ragged, bool]:
    if of.rows != TURNED:
        return of, turn
    return Ragged(of.values, of.layout), not turn


def _like(of: Ragged, values: Value) -> Ragged:
    return Ragged(values, of.layout, of.rows)


def _times(a: Value, b: Value, turn_b: bool = False) -> Value:
    made: Value = ops.MatMul()(a, common.swap_axes(b, -1, -2) if turn_b else b)
    return made


def _padded(of: Ragged) -> Value:
    return filled(of.values, of.layout, 0.0)[0]


def _of_rows(a: Ragged, b: Ragged, turn_a: bool, turn_b: bool) -> Ragged | None:
    """`[T, H] @ [U, H].T`, a grid; or `[T, H].T @ [T, K]`, which adds up over the rows."""
    if (a.rank, b.rank) == (1, 2) and a.layout is b.layout and not turn_b:
        column = Ragged(common.expand_dims(a.values, 1), a.layout)
        row = _of_rows(column, b, True, False)
        return row and Ragged(row.values, row.layout, BARE)
    if (a.rank, b.rank) != (2, 2) or turn_a == turn_b:
        return None
    left, right = _padded(a), of_count(_padded(b), a.layout)
    if turn_b:
        return Ragged(_times(left, right, True), a.layout, GRID, b.layout)
    if a.layout is not b.layout:
        meet(a, b)
        return None
    total = _times(common.swap_axes(left, 1, 2), right)
    if total.shape[1] == 1:
        return Ragged(common.squeeze(total, 1), a.layout, ONE)
    return Ragged(total, a.layout, BARE)


def _with_rows(a: Ragged, b: Ragged, turn_a: bool, turn_b: bool) -> Ragged | None:
    """A grid, or a turned one, times the rows of its second list."""
    inner, outer = (a.layout, a.across) if turn_a else (a.across, a.layout)
    if outer is None or inner is not b.layout or turn_b or b.rank != 2:
        return None
    grid = _only(a, 0.0)
    grid = common.swap_axes(grid, 1, 2) if turn_a else grid
    return Ragged(packed(_times(grid, of_count(_padded(b), a.layout)), outer), outer)


def _with_own(a: Ragged, b: Ragged, turn_a: bool, turn_b: bool) -> Ragged | None:
    """Rows times a vector, or a matrix, that each sequence has."""
    if a.rank != 2 or turn_a:
        return None
    own = spread(b.values, a.layout)
    row = common.expand_dims(a.values, 1)
    if b.rank == 1 and b.rows == BARE:
        made = _times(row, common.expand_dims(own, 2))
        return Ragged(common.reshape(made, made.shape[:1]), a.layout)
    if b.rows == ONE:
        return (
            _like(a, common.squeeze(_times(row, common.expand_dims(own, 2)), 1)) if turn_b else None
        )
    return _like(a, common.squeeze(_times(row, own, turn_b), 1)) if b.rank == 2 else None


def _of_arrays(a: Ragged, b: Ragged, turn_a: bool, turn_b: bool) -> Ragged | None:
    """Products of matrices that the sequences have."""
    if (a.rank, b.rank) != (2, 2):
        return None
    left = common.swap_axes(a.values, 1, 2) if turn_a else a.values
    return _like(a, _times(left, of_count(b.values, a.layout), turn_b))


PRODUCTS: Mapping[tuple[str, str], Callable[[Ragged, Ragged, bool, bool], Ragged | None]] = {
    (MANY, MANY): _of_rows,
    (GRID, MANY): _with_rows,
    (MANY, BARE): _with_own,
    (MANY, ONE): _with_own,
    (BARE, BARE): _of_arrays,
}


def _places(layout: Layout, size: object, axis: int) -> Value:
    """Where a grid has rows, or columns: `[B, T, 1]` or `[B, 1, U]`."""
    step = common.expand_dims(ops.Iota(size)(), 0)  # type: ignore[arg-type]
    mask = ops.Less()(step, common.expand_dims(layout.lengths, 1))
    return common.expand_dims(mask, 3 - axis)


def _only(of: Ragged, padding: float, axes: Sequence[int] = (1, 2)) -> Value:
    """A grid with `padding` where a sequence has ended."""
    values = of.values
    for axis, layout in ((1, of.layout), (2, of.across)):
        if axis in axes and layout is not None:
            mask = of_count(_places(layout, values.shape[axis], axis), of.layout)
            values = ops.Where()(mask, values, common.scalar(padding, values))
    return values


# The least number: what is no part of a sequence has no share, and no column is without any.
LEAST = -3.4e38


def softmax(call: Call, of: Ragged) -> Ragged | None:
    """F.softmax over the rows or the columns of a grid."""
    axis = int(call.attributes["axis"]) % 2 + 1
    op = ops.Softmax(axis) if call.name == "Softmax" else ops.LogSoftmax(axis)
    return Ragged(op(_only(of, LEAST, (axis,))), of.layout, GRID, of.across)


# What is added up, or the largest or least, of the rows or columns of a grid.
REDUCED: Mapping[str, tuple[Any, float]] = {
    "Sum": (ops.ReduceSum, 0.0),
    "Max": (ops.ReduceMax, LEAST),
    "Min": (ops.ReduceMin, -LEAST),
}


def reduced(call: Call, of: Ragged) -> Ragged | None:
    """F.sum, F.max or F.min along the rows or the columns of a grid."""
    axis = call.attributes["axis"]
    axes = (axis,) if isinstance(axis, int) else axis
    if axes is None or len(axes) != 1 or call.attributes["keepdims"] or of.across is None:
        return None
    along = int(axes[0]) % 2 + 1
    op, padding = REDUCED[call.name]
    values = op((along,))(_only(of, padding, (along,)))
    left = of.layout if along == 2 else of.across
    return Ragged(packed(of_count(values, left), left), left)


def turned(of: Ragged) -> Ragged | None:
    """A grid with rows for columns."""
    assert of.across is not None
    values = of_count(common.swap_axes(of.values, 1, 2), of.across)
    return Ragged(values, of.across, GRID, of.layout)
