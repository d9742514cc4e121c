"""Functions that TensorFlow has and Keras has not, with the arguments that they have there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from webconv.frontends import common
from webconv.frontends.keras.operations.elementwise import tensor
from webconv.frontends.keras.operations.sizes import sizes_of
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, dtypes, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value


def add_n(layer: Layer, inputs: list[Value]) -> Value:
    """The sum of several tensors."""
    return reduce(lambda a, b: ops.Add()(a, b), map(tensor, inputs))


def squared_difference(layer: Layer, x: Any, y: Any) -> Value:
    """(x - y)^2."""
    difference = ops.Sub()(tensor(x), tensor(y))
    squared: Value = ops.Mul()(difference, difference)
    return squared


def cut(layer: Layer, x: Value, *, begin: tuple[int, ...], size: tuple[int, ...]) -> Value:
    """`size` elements of every axis from `begin` on; -1 is all that follow."""
    if not len(begin) == len(size) == x.type.rank:
        raise ShapeError(f"begin {list(begin)} and size {list(size)} do not fit {x.type}")
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        x = common.slice_axis(x, axis, first, None if count == -1 else first + count)
    return x


def band_part(layer: Layer, x: Value, *, lower: int, upper: int) -> Value:
    """Matrices without what lies farther from the diagonal; a negative number is any distance."""
    if x.type.rank < 2:
        raise ShapeError(f"matrices are needed, not {x.type}")
    rows, columns = (ops.Iota(x.shape[axis])() for axis in (-2, -1))
    distance = ops.Sub()(common.expand_dims(columns, 0), common.expand_dims(rows, 1))
    for sign, most in ((-1, lower), (1, upper)):
        if most >= 0:
            far = ops.Mul()(distance, common.scalar(sign, distance))
            kept = ops.LessOrEqual()(far, common.scalar(most, far))
            x = ops.Where()(kept, x, common.scalar(0, x))
    return x


def batch_flatten(layer: Layer, x: Value) -> Value:
    """All axes but the first made one."""
    return common.reshape(x, (x.shape[0], dims.product(x.shape[1:])))


def shape_of(layer: Layer, x: Value) -> Value:
    """The sizes of all axes."""
    sizes: Value = ops.Sizes(x.shape, dtypes.i32)()
    return sizes


def reshape_to(layer: Layer, x: Value, shape: Any) -> Value:
    """Another shape, of which a size may be computed of other tensors' shapes."""
    return common.reshape(x, sizes_of(shape))


def broadcast_to(layer: Layer, x: Value, shape: Any) -> Value:
    """Axes of size 1 repeated up to a shape, which may be another tensor's."""
    return common.broadcast_to(x, tuple(sizes_of(shape)))


def numbers(layer: Layer, start: Any, limit: Any = None, delta: Any = 1) -> Value:
    """The integers from `start` on, or from 0, that are below `limit`."""
    ends = [0, start] if limit is None else [start, limit]
    first, end, step = sizes_of([*ends, delta])
    if step != 1 or not isinstance(first, int):
        raise UnsupportedError("a range must start at a number and go on by 1")
    counted = ops.Iota(end - first)()
    made: Value = ops.Add()(counted, common.scalar(first, counted)) if first else counted
    return made


RULES: Mapping[str, Rule] = {
    "AddN": Rule(add_n),
    "SquaredDifference": Rule(squared_difference),
    "Cut": Rule(cut),
    "BandPart": Rule(band_part),
    "BatchFlatten": Rule(batch_flatten),
    "ShapeOf": Rule(shape_of),
    "ReshapeTo": Rule(reshape_to),
    "BroadcastAs": Rule(broadcast_to),
    "Numbers": Rule(numbers),
}
