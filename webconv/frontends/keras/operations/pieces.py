"""Pieces: cut out, put in, joined; and grids of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import Span
from webconv.frontends.keras.operations.elementwise import dtype_named, floating, promoted, tensor
from webconv.frontends.keras.operations.shapes import MOST_PIECES, concatenate, several, split
from webconv.frontends.keras.operations.sizes import sizes_of
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def _split_along(axis: int) -> Callable[..., list[Value]]:
    def split_along(
        layer: Layer, x: Any, *, indices_or_sections: Positive | tuple[Natural, ...]
    ) -> list[Value]:
        """Cut along an axis into equal pieces, or at indices."""
        value = tensor(x)
        own = 0 if axis == 1 and value.type.rank == 1 else axis
        return split(layer, value, indices_or_sections=indices_or_sections, axis=own)

    return split_along


def array_split(
    layer: Layer, x: Any, *, indices_or_sections: Positive, axis: int = 0
) -> list[Value]:
    """Cut into pieces of about equal size; the first are longer by one."""
    value, count = tensor(x), indices_or_sections
    if count > MOST_PIECES:
        raise UnsupportedError(f"more than {MOST_PIECES} pieces: {count}")
    n = value.shape[normalise_axis(axis, value.type.rank)]
    return common.split(value, [dims.ceildiv(n - k, count) for k in range(count)], axis)


def slice_from(layer: Layer, inputs: Any, start_indices: Any, *, shape: tuple[int, ...]) -> Value:
    """A block of a shape, in which -1 stands for all that follows the start."""
    value = tensor(inputs)
    starts = _starts(start_indices, value)
    if len(shape) != value.type.rank or min(shape, default=0) < -1:
        raise ShapeError(f"shape {list(shape)} does not fit {value.type}")
    each = enumerate(zip(value.shape, starts, shape, strict=True))
    return common.slice_axes(
        value,
        {a: Span(start, n - start if size == -1 else size, 1) for a, (n, start, size) in each},
    )


def _starts(start_indices: Any, x: Value) -> list[Dim]:
    """Where a block begins, per axis."""
    starts = sizes_of(start_indices)
    if len(starts) != x.type.rank:
        raise ShapeError(f"start_indices must be {x.type.rank} numbers, but they are {starts}")
    if any(isinstance(start, int) and start < 0 for start in starts):
        raise ShapeError(f"start_indices must be at least 0, but they are {starts}")
    return starts


def slice_update(layer: Layer, inputs: Any, start_indices: Any, updates: Any) -> Value:
    """inputs with a block replaced."""
    value = tensor(inputs)
    block = common.cast(tensor(updates, value), value.type.dtype)
    if block.type.rank != value.type.rank:
        raise ShapeError(f"updates {block.type} do not fit {value.type}")
    return _replaced(value, block, _starts(start_indices, value), 0)


def _replaced(x: Value, block: Value, starts: Sequence[Dim], axis: int) -> Value:
    """x with the block at `starts` from `axis` on; before that both are of one size."""
    if axis == x.type.rank:
        return block
    start, size = starts[axis], block.shape[axis]
    rest = x.shape[axis] - start - size
    before, old, after = common.split(x, [start, size, rest], axis)
    pieces = [before, _replaced(old, block, starts, axis + 1), after]
    return common.concat([p for p in pieces if p.shape[axis] != 0] or [x], axis)


def append(layer: Layer, x1: Any, x2: Any, *, axis: int | None = None) -> Value:
    """Two joined along an axis; flattened without one."""
    return concatenate(layer, [tensor(x1), tensor(x2)], axis=axis)


def stack_in_depth(layer: Layer, xs: Any) -> Value:
    """Joined along the third axis; matrices and vectors get axes of size 1."""
    values = several(layer, xs)
    shapes = [v.shape if v.type.rank else (1,) for v in values]
    shapes = [(1, *s, 1) if len(s) == 1 else (*s, 1) if len(s) == 2 else s for s in shapes]
    deep = [common.reshape(v, s) for v, s in zip(values, shapes, strict=True)]
    return common.concat(deep, 2)


def difference(layer: Layer, a: Any, *, n: Natural = 1, axis: int = -1) -> Value:
    """Each element less the one before, n times."""
    value = tensor(a)
    if n > MOST_PIECES:
        raise UnsupportedError(f"differences of order {n} are not supported")
    subtract = ops.Xor() if value.type.dtype == dtypes.bool_ else ops.Sub()
    for _ in range(n):
        after, before = (common.slice_axis(value, axis, *ends) for ends in ((1, None), (0, -1)))
        value = subtract(after, before)
    return value


def full(
    layer: Layer, fill_value: Any, *, shape: Natural | tuple[Natural, ...], dtype: str | None = None
) -> Value:
    """A number in a shape."""
    value = common.cast(tensor(fill_value), dtype_named(dtype or "float32"))
    return common.broadcast_to(value, (shape,) if isinstance(shape, int) else shape)


def linspace(
    layer: Layer,
    start: Any,
    stop: Any,
    *,
    num: Positive = 50,
    endpoint: bool = True,
    retstep: Literal[False] = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Value:
    """`num` numbers at equal distances from start to stop, along a new axis."""
    first, last = promoted(start, stop)
    wanted = floating(first).type.dtype if dtype is None else dtype_named(dtype)
    if not wanted.is_float:
        raise UnsupportedError(f"dtype {dtype} is not supported; use a floating-point one")
    first, last = (common.cast(v, wanted) for v in (first, last))
    rank = max(first.type.rank, last.type.rank)
    way = np.arange(num) / max(num - 1 if endpoint else num, 1)
    shares = [common.move_axis(_column(part, rank, wanted), 0, axis) for part in (1 - way, way)]
    ends = []
    for v, share in zip((first, last), shares, strict=True):
        v = common.reshape(v, (*[1] * (rank - v.type.rank), *v.shape))
        ends.append(ops.Mul()(common.expand_dims(v, axis), share))
    return ops.Add()(*ends)


def _column(numbers: np.ndarray[Any, Any], rank: int, dtype: dtypes.DType) -> Value:
    """Numbers along the first axis, before `rank` axes of size 1."""
    return graph.constant(numbers.astype(dtype.numpy).reshape(-1, *[1] * rank))


def meshgrid(layer: Layer, *xs: Any, indexing: Literal["xy", "ij"] = "xy") -> list[Value]:
    """Each of the vectors along an axis of its own, repeated along the others."""
    vectors = [common.reshape(tensor(x), [-1]) for x in xs]
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = 1, 0
    shape = tuple(vectors[k].shape[0] for k in order)
    others = [[a for a, k in enumerate(order) if k != own] for own in range(len(xs))]
    return [
        common.broadcast_to(common.expand_dims(v, *where), shape)
        for v, where in zip(vectors, others, strict=True)
    ]


RULES: Mapping[str, Rule] = {
    "Hsplit": Rule(_split_along(1)),
    "Vsplit": Rule(_split_along(0)),
    "Dsplit": Rule(_split_along(2)),
    "ArraySplit": Rule(array_split),
    "Slice": Rule(slice_from),
    "SliceUpdate": Rule(slice_update),
    "Append": Rule(append),
    "Dstack": Rule(stack_in_depth),
    "Diff": Rule(difference),
    "Full": Rule(full),
    "Linspace": Rule(linspace),
    "Meshgrid": Rule(meshgrid),
}
