"""What a value is a sum of: products with constant matrices, scaled vectors, constants.

A cell's gates are such sums, however they were written: one product of a concatenation or several
of its parts, a bias in one piece or two, gates cut from one product or computed apart.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Constant, Node, Value
from webconv.ir.op import Array, normalise_axis

# Start and end.
Range: TypeAlias = tuple[int, int]

# A sum of more terms is not taken apart.
MOST_TERMS = 32


@dataclass(frozen=True)
class Block:
    """Rows and columns of a constant matrix."""

    weights: Value
    rows: Range
    columns: Range

    @property
    def array(self) -> Array:
        """The numbers."""
        array = self.weights.constant
        assert array is not None
        return array[slice(*self.rows), slice(*self.columns)]


@dataclass(frozen=True)
class Part:
    """Columns of a value as they are: a product with some columns of the unit matrix."""

    width: int
    columns: Range

    @property
    def array(self) -> Array:
        """The numbers."""
        return np.eye(self.width, dtype=np.float32)[:, slice(*self.columns)]


Factor: TypeAlias = Block | Part


@dataclass(frozen=True)
class Row:
    """Columns of a constant that is the same in every row."""

    value: Value
    columns: Range

    @property
    def array(self) -> Array:
        """The numbers, one per column."""
        array = self.value.constant
        assert array is not None
        row = array.reshape(-1, array.shape[-1])[0] if array.ndim else array[None]
        width = self.columns[1] - self.columns[0]
        return np.full(width, row[0]) if row.size == 1 else row[slice(*self.columns)]


@dataclass(frozen=True)
class Sum:
    """The terms: values times factors, values times rows element by element, and rows."""

    products: list[tuple[Value, Factor]] = field(default_factory=list)
    scaled: list[tuple[Value, Row]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def terms(self) -> int:
        """Their number."""
        return len(self.products) + len(self.scaled) + len(self.rows)

    @property
    def has_weights(self) -> bool:
        """True if there is a product with a matrix."""
        return any(isinstance(f, Block) for _, f in self.products)


class Sums:
    """Takes values apart; equal parts of the same value are the same value."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, Value] = {}

    def of(self, value: Value, columns: Range | None = None) -> Sum | None:
        """The terms of `value [..., N]`, or of some of its columns; None if N is not known."""
        width = value.shape[-1] if value.shape else None
        if not isinstance(width, int):
            return None
        total = Sum()
        self._add(total, value, columns or (0, width), ())
        return total

    def _add(self, total: Sum, value: Value, columns: Range, view: tuple[Hashable, ...]) -> None:
        """Add the terms of some columns of `value`, whose rows are seen through `view`."""
        width = value.shape[-1] if value.shape else None
        if is_row(value):
            total.rows.append(Row(value, columns))
            return
        if isinstance(width, int) and total.terms < MOST_TERMS:
            match value:
                case Value(Node(ops.Add(), [Value() as a, Value() as b])):
                    if all(v.shape == value.shape or is_row(v) for v in (a, b)):
                        self._add(total, a, columns, view)
                        self._add(total, b, columns, view)
                        return
                case Value(Node(ops.Mul(), [Value() as a, Value() as b])) if not view:
                    for x, row in ((a, b), (b, a)):
                        if is_row(row) and x.shape == value.shape:
                            total.scaled.append((self._columns(x, columns), Row(row, columns)))
                            return
                case Value(Node(ops.MatMul(), [Value() as x, Value(Node(Constant(w))) as weights])):
                    if w.ndim == 2:
                        self._multiply(total, x, weights, (0, w.shape[0]), columns, view)
                        return
                case Value(Node(ops.Concat(axis), parts)):
                    if normalise_axis(axis, value.type.rank) == value.type.rank - 1:
                        found = _holder(parts, columns)
                        if found is not None:
                            self._add(total, *found, view)
                            return
                case Value(Node(op, [Value() as x])) if (seen := _row_view(op, x)) is not None:
                    step, start = seen
                    inner = (columns[0] + start, columns[1] + start)
                    self._add(total, x, inner, (step, *view) if step else view)
                    return
        leaf = self._viewed(value, view)
        total.products.append((leaf, Part(_width(leaf), columns)))

    def _multiply(
        self,
        total: Sum,
        x: Value,
        weights: Value,
        rows: Range,
        columns: Range,
        view: tuple[Hashable, ...],
    ) -> None:
        """Add x @ weights; what x is a concatenation of meets its own rows."""
        match x:
            case Value(Node(ops.Concat(axis), parts)):
                if normalise_axis(axis, x.type.rank) == x.type.rank - 1:
                    start = rows[0]
                    for part in parts:
                        assert part is not None
                        end = start + _width(part)
                        self._multiply(total, part, weights, (start, end), columns, view)
                        start = end
                    return
        total.products.append((self._viewed(x, view), Block(weights, rows, columns)))

    def _columns(self, x: Value, columns: Range) -> Value:
        """Some columns of x."""
        if columns == (0, _width(x)):
            return x
        key = ("columns", x, columns)
        if key not in self._seen:
            starts = (*[0] * (x.type.rank - 1), columns[0])
            sizes = (*x.shape[:-1], columns[1] - columns[0])
            self._seen[key] = ops.Slice(starts, sizes, (1,) * x.type.rank)(x)
        return self._seen[key]

    def _viewed(self, x: Value, view: tuple[Hashable, ...]) -> Value:
        """The rows of x that `view` shows."""
        for step in view:
            key = (step, x)
            if key not in self._seen:
                self._seen[key] = _apply(step, x)
            x = self._seen[key]
        return x


def _width(x: Value) -> int:
    width = x.shape[-1]
    assert isinstance(width, int)
    return width


def is_row(value: Value) -> bool:
    """True for a constant that is the same in every row."""
    array = value.constant
    if array is None or array.dtype.kind != "f" or not array.size:
        return False
    if array.ndim < 2 or array.size == array.shape[-1]:
        return True
    flat = array.reshape(-1, array.shape[-1])
    return bool(np.all(flat == flat[:1]))


def _holder(parts: tuple[Value | None, ...], columns: Range) -> tuple[Value, Range] | None:
    """The part of a concatenation in which all `columns` lie, and where."""
    start = 0
    for part in parts:
        assert part is not None
        if not isinstance(part.shape[-1], int):
            return None
        end = start + part.shape[-1]
        if start <= columns[0] and columns[1] <= end:
            return part, (columns[0] - start, columns[1] - start)
        start = end
    return None


def _row_view(op: ops.Op, x: Value) -> tuple[Hashable, int] | None:
    """What an operator does to the rows of x, as a step for `_apply`, and its first column.

    None if it does not leave rows whole, or if it is no view.
    """
    width = x.shape[-1] if x.shape else None
    match op:
        case ops.Reshape(shape) if shape and shape[-1] == width and width != 0:
            return ("reshape", shape[:-1]), 0
        case ops.Transpose(order) if order[-1] == len(order) - 1:
            return ("transpose", order), 0
        case ops.Slice(starts, sizes, steps) if steps and steps[-1] == 1:
            first = starts[-1]
            if not isinstance(first, int):
                return None
            whole = sizes[:-1] == x.shape[:-1] and not any(starts[:-1])
            if whole and all(s == 1 or n == 1 for s, n in zip(steps, sizes, strict=True)):
                return None if sizes == x.shape else ((), first)
            return ("slice", starts[:-1], sizes[:-1], steps[:-1]), first
    return None


def _apply(step: Hashable, x: Value) -> Value:
    """The step of a view on the rows of x, whatever their width."""
    width = x.shape[-1]
    made: Value
    match step:
        case ("reshape", tuple() as shape):
            made = ops.Reshape((*shape, width))(x)
        case ("transpose", tuple() as order):
            made = ops.Transpose(order)(x)
        case ("slice", tuple() as starts, tuple() as sizes, tuple() as steps):
            made = ops.Slice((*starts, 0), (*sizes, width), (*steps, 1))(x)
    return made
