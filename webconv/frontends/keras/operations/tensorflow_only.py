"""Functions that TensorFlow has and Keras has not, with the arguments that they have there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Literal

from webconv.frontends import common
from webconv.frontends.keras.operations import matrices, reductions, shapes
from webconv.frontends.keras.operations.elementwise import dtype_named, tensor
from webconv.frontends.keras.operations.reductions import ordered
from webconv.frontends.keras.operations.sizes import sizes_of
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, dtypes, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


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


def filled(layer: Layer, shape: Any, value: Any, *, dtype: str | None = None) -> Value:
    """One number everywhere; a size of the shape may be that of another tensor."""
    number = tensor(value)
    number = common.cast(number, dtype_named(dtype)) if dtype else number
    return common.broadcast_to(number, tuple(sizes_of(shape)))


def zeros(layer: Layer, shape: Any, *, dtype: str = "float32") -> Value:
    """0 everywhere."""
    return filled(layer, shape, 0, dtype=dtype)


def ones(layer: Layer, shape: Any, *, dtype: str = "float32") -> Value:
    """1 everywhere."""
    return filled(layer, shape, 1, dtype=dtype)


def ensure_shape(layer: Layer, x: Value, *, shape: tuple[int | None, ...]) -> Value:
    """x, which has the shape that is told."""
    pairs = [*zip(shape, x.shape, strict=False)]
    wrong = any(isinstance(n, int) and told not in (None, n) for told, n in pairs)
    if len(shape) != x.type.rank or wrong:
        raise ShapeError(f"{x.type} has not the shape {list(shape)}")
    # A size that is open is guarded.
    return common.reshape(x, [n if told is None else told for told, n in pairs])


def sequence_mask(layer: Layer, lengths: Value, maxlen: Any, *, dtype: str = "bool") -> Value:
    """Which of `maxlen` steps are there, for each length."""
    (steps,) = sizes_of(maxlen)
    place = common.cast(ops.Iota(steps)(), lengths.type.dtype)
    return common.cast(ops.Less()(place, common.expand_dims(lengths, -1)), dtype_named(dtype))


def strided_slice(
    layer: Layer,
    x: Value,
    *,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Value:
    """x[begin:end:strides, ...]; a bit of a mask says what else stands at that place."""
    parts: list[Any] = []
    for k, (first, last) in enumerate(zip(begin, end, strict=True)):
        bit = 1 << k
        if ellipsis_mask & bit:
            parts.append(...)
        elif new_axis_mask & bit:
            parts.append(None)
        elif shrink_axis_mask & bit:
            parts.append(first)
        else:
            start, stop = (
                None if mask & bit else n for mask, n in ((begin_mask, first), (end_mask, last))
            )
            parts.append(slice(start, stop, strides[k] if strides else 1))
    return shapes.get_item(layer, x, parts)


Direction = Literal["ASCENDING", "DESCENDING"]


def sort(layer: Layer, x: Any, *, axis: int = -1, direction: Direction = "ASCENDING") -> Value:
    """Sorted upwards or downwards."""
    return ordered(tensor(x), axis, direction == "DESCENDING")[0]


def argsort(layer: Layer, x: Any, *, axis: int = -1, direction: Direction = "ASCENDING") -> Value:
    """The indices that sort x; of equal elements the first comes first."""
    return ordered(tensor(x), axis, direction == "DESCENDING")[1]


def _running(op: type[Any]) -> Callable[..., Value]:
    def running(
        layer: Layer, x: Any, *, axis: int = 0, exclusive: bool = False, reverse: bool = False
    ) -> Value:
        """What is up to each element, from the end with `reverse`, without it with `exclusive`."""
        value = tensor(x)
        return op(normalise_axis(axis, value.type.rank), exclusive, reverse)(value)

    return running


def diagonals(layer: Layer, x: Value) -> Value:
    """The diagonal of each matrix."""
    return matrices.diagonal(layer, x, axis1=-2, axis2=-1)


def traces(layer: Layer, x: Value) -> Value:
    """The sum of the diagonal of each matrix."""
    return matrices.trace(layer, x, axis1=-2, axis2=-1)


def on_diagonals(layer: Layer, x: Value) -> Value:
    """A matrix for each vector, which is its diagonal."""
    places = ops.Iota(x.shape[-1])()
    on = ops.Equal()(common.expand_dims(places, 1), places)
    made: Value = ops.Where()(on, common.expand_dims(x, -1), common.scalar(0, x))
    return made


def clip_by_norm(
    layer: Layer, x: Value, *, clip_norm: float, axes: int | tuple[int, ...] | None = None
) -> Value:
    """x, made smaller where its norm is larger than `clip_norm`."""
    norm = reductions.norm(layer, x, axis=axes, keepdims=True)
    most = common.scalar(clip_norm, norm)
    made: Value = ops.Div()(ops.Mul()(x, most), ops.Max()(norm, most))
    return made


def crelu(layer: Layer, x: Value, *, axis: int = -1) -> Value:
    """The positive part, and that of -x behind it."""
    return common.concat(
        [ops.Relu()(x), ops.Relu()(ops.Neg()(x))], normalise_axis(axis, x.type.rank)
    )


def gather(
    layer: Layer, x: Any, indices: Any, *, axis: int | None = None, batch_dims: int = 0
) -> Value:
    """Elements at indices along an axis; the first axes of both may be the same batch."""
    value, where = tensor(x), common.cast(tensor(indices), dtypes.i32)
    axis = batch_dims if axis is None else normalise_axis(axis, value.type.rank)
    if batch_dims == 0:
        return shapes.take(layer, value, where, axis=axis)
    if batch_dims != axis or batch_dims < 0:
        raise UnsupportedError(f"gather over axis {axis} with {batch_dims} axes of batches")
    batch, n = dims.product(value.shape[:axis]), value.shape[axis]
    first = ops.Mul()(ops.Iota(batch)(), common.size_value(n))
    rows = common.reshape(where, (batch, dims.product(where.shape[axis:])))
    flat = common.reshape(value, (batch * n, *value.shape[axis + 1 :]))
    made = ops.Gather(0)(flat, ops.Add()(rows, common.expand_dims(first, 1)))
    return common.reshape(made, (*where.shape, *value.shape[axis + 1 :]))


def one_hot(
    layer: Layer,
    indices: Value,
    *,
    depth: Positive,
    on_value: float = 1.0,
    off_value: float = 0.0,
    axis: int = -1,
    dtype: str = "float32",
) -> Value:
    """`on_value` at each index along a new axis, `off_value` elsewhere."""
    there = common.one_hot(common.cast(indices, dtypes.i32), depth, dtypes.bool_)
    on, off = (common.cast(tensor(v), dtype_named(dtype)) for v in (on_value, off_value))
    return common.move_axis(ops.Where()(there, on, off), -1, axis)


def dropout(layer: Layer, x: Value, *, rate: float) -> Value:
    """x if nothing is left out: the function does so whenever it is called."""
    if rate:
        raise UnsupportedError(
            "it leaves out elements at random at inference too; use the layer Dropout"
        )
    return x


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
    "Filled": Rule(filled),
    "Zeros": Rule(zeros),
    "Ones": Rule(ones),
    "EnsureShape": Rule(ensure_shape),
    "SequenceMask": Rule(sequence_mask),
    "StridedSlice": Rule(strided_slice),
    "SortBy": Rule(sort),
    "ArgsortBy": Rule(argsort),
    "RunningSum": Rule(_running(ops.CumSum)),
    "RunningProduct": Rule(_running(ops.CumProd)),
    "Diagonals": Rule(diagonals),
    "Traces": Rule(traces),
    "OnDiagonals": Rule(on_diagonals),
    "ClipByNorm": Rule(clip_by_norm),
    "CRelu": Rule(crelu),
    "GatherBatches": Rule(gather),
    "OneHotOf": Rule(one_hot),
    "DropoutNow": Rule(dropout),
}
