"""Arrays that a chain makes with NumPy, of its sizes alone: what they are for every size.

`found` looks at what they were for several sizes. It knows one number everywhere, 0, 1, 2, ...
along an axis and what is affine in it, the triangle of a causal mask and diagonals, rows of a
table that the chain holds, and coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.affine import Coordinates, coordinates
from webconv.frontends.common import Span
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.graph import Value
from webconv.ir.op import Array, Op

Samples = Sequence[Mapping[str, int]]
# The Dim that has given values in given samples; it raises if there is none.
Fit = Callable[[Sequence[int], Samples], Dim]


@dataclass(frozen=True)
class Filled:
    """One number everywhere, or the reciprocal of one."""

    number: Any
    reciprocal: bool = False

    def value(self, shape: tuple[Dim, ...], dtype: DType) -> Value:
        """The array of this shape."""
        number = _scalar(self.number, dtype)
        return common.broadcast_to(ops.Reciprocal()(number) if self.reciprocal else number, shape)


@dataclass(frozen=True)
class Counted:
    """`start`, `start + step`, ... along an axis."""

    axis: int
    start: Any
    step: Any

    def value(self, shape: tuple[Dim, ...], dtype: DType) -> Value:
        """The array of this shape."""
        numbers = common.cast(ops.Iota(shape[self.axis])(), dtype)
        if self.step != 1:
            numbers = ops.Mul()(numbers, _scalar(self.step, dtype))
        if self.start != 0:
            numbers = ops.Add()(numbers, _scalar(self.start, dtype))
        return common.broadcast_to(_along(numbers, self.axis, len(shape)), shape)


@dataclass(frozen=True)
class Band:
    """`inside` where `op` holds for column - row and `offset`, else `outside`.

    `op` is LessOrEqual for the triangle of a causal mask, Equal for a diagonal.
    """

    rows: int
    columns: int
    op: Op
    offset: Dim
    inside: Any
    outside: Any

    def value(self, shape: tuple[Dim, ...], dtype: DType) -> Value:
        """The array of this shape."""
        rank = len(shape)
        row = _along(ops.Iota(shape[self.rows])(), self.rows, rank)
        column = _along(ops.Iota(shape[self.columns])(), self.columns, rank)
        inside = self.op(column, ops.Add()(row, common.size_value(self.offset)))
        chosen = ops.Where()(inside, _scalar(self.inside, dtype), _scalar(self.outside, dtype))
        return common.broadcast_to(chosen, shape)


@dataclass(frozen=True)
class Rows:
    """A part of a table: from `starts` on along its axes, each of which is one of the array's.

    `axes` has for each axis of the table that of the array, None where one element is taken.
    """

    table: Any
    starts: tuple[Dim, ...]
    axes: tuple[int | None, ...]

    def value(self, shape: tuple[Dim, ...], dtype: DType) -> Value:
        """The array of this shape. More rows than there are do not fit it, which is told."""
        spans = {}
        for k, (start, axis) in enumerate(zip(self.starts, self.axes, strict=True)):
            wanted = 1 if axis is None else shape[axis]
            spans[k] = Span(start, dims.minimum(wanted, self.table.shape[k] - start), 1)
        table = graph.constant(np.ascontiguousarray(self.table))
        return ops.Reshape(shape)(common.slice_axes(table, spans))


Pattern = Filled | Counted | Band | Rows | Coordinates


class Part(np.ndarray):
    """A copy of a part of another array; `origin` is the part itself, to know what it is of."""

    origin: Array | None = None


def copied(array: Array) -> Array:
    """What `array` holds now."""
    content = np.array(array, order="K")
    if not isinstance(array.base, np.ndarray):
        return content
    made = content.view(Part)
    made.origin = np.asarray(array)
    return made


def found(
    arrays: Sequence[Array], shape: tuple[Dim, ...], samples: Samples, fit: Fit
) -> Pattern | None:
    """What arrays are that were made for several sizes; None if it is nothing that is known."""
    if not all(a.size for a in arrays):
        return None
    small = [_without_repetition(a) for a in arrays]
    varying = [k for k in range(len(shape)) if any(a.shape[k] > 1 for a in small)]
    tries: tuple[Callable[[], Pattern | None], ...] = (
        lambda: _filled(small, varying, samples, fit),
        lambda: _counted(small, varying, samples, fit),
        lambda: _band(ops.LessOrEqual(), np.less_equal, small, varying, samples, fit),
        lambda: _band(ops.Equal(), np.equal, small, varying, samples, fit),
        lambda: _rows(arrays, samples, fit),
        lambda: coordinates(small, varying, shape, samples, fit),
    )
    return next((pattern for attempt in tries if (pattern := attempt()) is not None), None)


def _scalar(number: Any, dtype: DType) -> Value:
    if isinstance(number, dims.Expr):
        return common.cast(common.size_value(number), dtype)
    return graph.constant(np.asarray(number).astype(dtype.numpy))


def _along(vector: Value, axis: int, rank: int) -> Value:
    return common.reshape(vector, [vector.shape[0] if k == axis else 1 for k in range(rank)])


def _without_repetition(array: Array) -> Array:
    """`array` with axes along which nothing changes cut to one element."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if np.array_equal(np.broadcast_to(first, array.shape), array, equal_nan=_may_be_nan(array)):
            array = first
    return array


def _may_be_nan(array: Array) -> bool:
    return array.dtype.kind == "f"


def _filled(
    arrays: Sequence[Array], varying: Sequence[int], samples: Samples, fit: Fit
) -> Pattern | None:
    if varying:
        return None
    numbers = np.array([a.flat[0] for a in arrays])
    if np.array_equal(numbers, np.full_like(numbers, numbers[0]), equal_nan=_may_be_nan(numbers)):
        return Filled(numbers[0])
    if _are_whole(numbers):
        return Filled(fit(numbers.astype(int).tolist(), samples))
    if numbers.dtype.kind == "f" and numbers.all():
        sizes = np.round(1 / numbers)
        if np.allclose(sizes * numbers, 1, 1e-6, 0):
            return Filled(fit(sizes.astype(int).tolist(), samples), reciprocal=True)
    return None


def _are_whole(numbers: Array) -> bool:
    return numbers.dtype.kind in "iuf" and bool(np.all(numbers == np.floor(numbers)))


def _counted(
    arrays: Sequence[Array], varying: Sequence[int], samples: Samples, fit: Fit
) -> Pattern | None:
    if len(varying) != 1 or arrays[0].dtype.kind == "b":
        return None
    vectors = [a.ravel() for a in arrays]
    long = next(v for v in vectors if v.size > 1)
    step = (long[1] - long[0]).item()
    if step != int(step) or any(not np.all(np.diff(v) == step) for v in vectors):
        return None
    first = np.array([v[0] for v in vectors])
    if np.all(first == first[0]):
        return Counted(varying[0], first[0].item(), int(step))
    if not _are_whole(first):
        return None
    return Counted(varying[0], fit(first.astype(int).tolist(), samples), int(step))


def _band(
    op: Op,
    holds: Callable[[Array, int], Array],
    arrays: Sequence[Array],
    varying: Sequence[int],
    samples: Samples,
    fit: Fit,
) -> Pattern | None:
    """Two numbers, of which one is where `op` holds."""
    if len(varying) != 2:
        return None
    planes = [a.reshape([a.shape[k] for k in varying]) for a in arrays]
    whole = next((p for p in planes if min(p.shape) > 1 and p[0, -1] != p[-1, -1]), None)
    if whole is None:
        return None
    outside, inside = whole[0, -1], whole[-1, -1]
    offsets, told = [], []
    for plane, sample in zip(planes, samples, strict=True):
        first: Array = np.equal(plane[0], inside)
        offset = int(np.flatnonzero(first).max(initial=-1))
        places: Any = np.indices(plane.shape)
        across = holds(places[1] - places[0], offset)
        if not np.array_equal(plane, np.where(across, inside, outside)):
            return None
        # A plane of one side tells only that its corner is on this side.
        if len(np.unique(plane)) > 1:
            offsets.append(offset)
            told.append(sample)
    return Band(varying[0], varying[1], op, fit(offsets, told), inside, outside)


def _rows(copies: Sequence[Array], samples: Samples, fit: Fit) -> Pattern | None:
    parts = [(a.origin, a) for a in copies if isinstance(a, Part) and a.origin is not None]
    # A buffer that each call fills anew is no table.
    arrays = [o for o, a in parts if np.array_equal(o, a, equal_nan=_may_be_nan(a))]
    if len(arrays) < len(copies):
        return None
    table = arrays[0].base
    if not isinstance(table, np.ndarray) or not table.flags.c_contiguous:
        return None
    if any(a.base is not table or a.dtype != table.dtype for a in arrays):
        return None
    axes = _axes_in(table, max(arrays, key=lambda a: a.size))
    if axes is None:
        return None
    starts = [[*_start(table, a)] for a in arrays]
    return Rows(table, tuple(fit(s, samples) for s in zip(*starts, strict=True)), axes)


def _start(table: Array, part: Array) -> Iterator[int]:
    """The place in a table of the first element of a part of it."""
    distance = part.__array_interface__["data"][0] - table.__array_interface__["data"][0]
    yield from (int(k) for k in np.unravel_index(distance // table.itemsize, table.shape))


def _axes_in(table: Array, part: Array) -> tuple[int | None, ...] | None:
    """For each axis of a table that of a part of it; None if it is no plain part."""
    left = [(k, s) for k, (n, s) in enumerate(zip(part.shape, part.strides, strict=True)) if n > 1]
    axes: list[int | None] = []
    for stride in table.strides:
        axes.append(left.pop(0)[0] if left and left[0][1] == stride else None)
    return None if left else tuple(axes)
