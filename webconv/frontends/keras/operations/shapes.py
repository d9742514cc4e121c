"""Operations that move elements: reshape, transpose, slice, join, repeat, pick."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from webconv.frontends import common
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.operations.elementwise import dtype_named, promoted, tensor
from webconv.frontends.keras.operations.reductions import Axes, axes_of
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Sizes = int | tuple[int, ...]
Tuple = tuple[int | None, ...]
MOST_PIECES = 1 << 12


def known_sizes(shape: Sequence[int | None], x: Value) -> list[Dim]:
    """A target shape; null, which stands for a size unknown to Keras, is filled from x.

    The batch axis is taken from x where it is null; one more may be null or -1.
    """
    out: list[Dim] = [-1 if d is None else d for d in shape]
    if out and shape[0] is None and x.type.rank:
        out[0] = x.shape[0]
    return out


def reshape(layer: Layer, x: Any, *, newshape: Tuple | int) -> Value:
    """Another shape."""
    value = tensor(x)
    shape = (newshape,) if isinstance(newshape, int) else newshape
    found = known_sizes(shape, value)
    if found and found[0] == -1 and -1 not in found[1:] and value.type.rank:
        rest, own = dims.product(found[1:]), dims.product(value.shape[1:])
        if rest == own:
            found[0] = value.shape[0]
    return common.reshape(value, found)


def transpose(layer: Layer, x: Any, *, axes: tuple[int, ...] | None = None) -> Value:
    """Axes permuted, or reversed."""
    value = tensor(x)
    rank = value.type.rank
    order = tuple(range(rank))[::-1] if axes is None else axes
    return common.transpose(value, [normalise_axis(a, rank) for a in order])


def get_item(layer: Layer, x: Any, key: Any) -> Value:
    """x[key] by Python's rules, for integers, slices, an ellipsis and None."""
    value = tensor(x)
    parts = list(key) if isinstance(key, list | tuple) else [key]
    if any(isinstance(p, Value) for p in parts):
        if len(parts) == 1:
            return ops.Gather(0)(value, parts[0])
        raise UnsupportedError("an index that is a tensor is supported only as the only index")
    taken = sum(p is not None and p is not ... for p in parts)
    if taken > value.type.rank or parts.count(...) > 1:
        raise ShapeError(f"{taken} indices do not fit {value.type}")
    if ... not in parts:
        parts.append(...)
    at = parts.index(...)
    parts[at : at + 1] = [slice(None)] * (value.type.rank - taken)
    return index(value, parts)


def index(x: Value, parts: Sequence[Any]) -> Value:
    """x[parts], one part per axis besides None for new axes."""
    spans: dict[int, common.Span] = {}
    gone: list[int] = []
    new: list[int] = []
    axis = 0
    for part in parts:
        if part is None:
            new.append(axis - len(gone) + len(new))
            continue
        if isinstance(part, slice):
            spans[axis] = common.span(x.shape[axis], *_bounds(part))
        elif isinstance(part, int) and not isinstance(part, bool):
            n = x.shape[axis]
            if isinstance(n, int) and not -n <= part < n:
                raise ShapeError(f"index {part} is out of range for axis {axis} of {x.type}")
            spans[axis] = common.Span(n + part if part < 0 else part, 1, 1)
            gone.append(axis)
        else:
            raise UnsupportedError(f"index {shown(part)} is not supported")
        axis += 1
    y = common.slice_axes(x, spans)
    y = common.squeeze(y, *gone) if gone else y
    return common.expand_dims(y, *new) if new else y


def _bounds(part: slice) -> tuple[int | None, int | None, int]:
    bounds = (part.start, part.stop, part.step)
    if not all(b is None or (isinstance(b, int) and not isinstance(b, bool)) for b in bounds):
        raise UnsupportedError("slices need bounds that are known when converting")
    return part.start, part.stop, 1 if part.step is None else part.step


def expand_dims(layer: Layer, x: Any, *, axis: Sizes) -> Value:
    """Axes of size 1 inserted."""
    return common.expand_dims(tensor(x), *((axis,) if isinstance(axis, int) else axis))


def squeeze(layer: Layer, x: Any, *, axis: Axes = None) -> Value:
    """Axes of size 1 removed."""
    value = tensor(x)
    if axis is None:
        return common.squeeze(value, *(a for a, n in enumerate(value.shape) if n == 1))
    return common.squeeze(value, *axes_of(axis, value))


def same_dtype(xs: Sequence[Any]) -> list[Value]:
    """Values in one dtype."""
    values = [tensor(x) for x in xs]
    for k in range(1, len(values)):
        values[0], values[k] = promoted(values[0], values[k])
    return [common.cast(v, values[0].type.dtype) for v in values]


def concatenate(layer: Layer, xs: Any, *, axis: int | None = 0) -> Value:
    """Joined along an axis."""
    values = several(layer, xs)
    if axis is None:
        return common.concat([common.reshape(v, [-1]) for v in values], 0)
    return common.concat(values, normalise_axis(axis, values[0].type.rank))


def stack(layer: Layer, x: Any, *, axis: int = 0) -> Value:
    """Joined along a new axis."""
    return common.stack(several(layer, x), axis)


def several(layer: Layer, xs: Any) -> list[Value]:
    """Tensors in one dtype; one tensor stands for its slices along the first axis."""
    if isinstance(xs, Value):
        xs = unstack(layer, xs)
    if not isinstance(xs, list | tuple) or not xs:
        raise ModelFormatError("at least one tensor is needed")
    return same_dtype(xs)


def _known(n: Dim) -> int:
    if not isinstance(n, int):
        raise UnsupportedError(f"a size must be known when converting, but it is {n}")
    return n


def split(
    layer: Layer, x: Any, *, indices_or_sections: Positive | tuple[Natural, ...], axis: int = 0
) -> list[Value]:
    """Cut into equal pieces, or at indices."""
    value = tensor(x)
    axis = normalise_axis(axis, value.type.rank)
    n = value.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count > MOST_PIECES or (isinstance(n, int) and n % count):
            raise ShapeError(f"axis {axis} of {value.type} does not divide into {count} pieces")
        return common.split_evenly(value, count, axis)
    edges: list[Dim] = [0, *indices_or_sections, n]
    spans = [common.span(n, a, b) for a, b in itertools.pairwise(edges)]
    return [common.slice_axes(value, {axis: s}) for s in spans]


def unstack(layer: Layer, x: Any, *, num: int | None = None, axis: int = 0) -> list[Value]:
    """All slices along an axis."""
    value = tensor(x)
    axis = normalise_axis(axis, value.type.rank)
    count = num or _known(value.shape[axis])
    if count > MOST_PIECES:
        raise UnsupportedError(f"more than {MOST_PIECES} pieces: {count}")
    return [common.at(value, axis, k) for k in range(count)]


def repeat(layer: Layer, x: Any, *, repeats: Positive, axis: int | None = None) -> Value:
    """Each element several times."""
    value = tensor(x)
    value = common.reshape(value, [-1]) if axis is None else value
    return common.repeat(value, repeats, axis or 0)


def tile(layer: Layer, x: Any, *, repeats: Positive | tuple[Positive, ...]) -> Value:
    """The whole several times."""
    return common.tile(tensor(x), (repeats,) if isinstance(repeats, int) else repeats)


def broadcast_to(layer: Layer, x: Any, *, shape: Tuple) -> Value:
    """Broadcast to a shape."""
    value = tensor(x)
    sizes = [1] * (len(shape) - value.type.rank) + list(value.shape)
    wanted = [n if d is None else d for d, n in zip(shape, sizes, strict=True)]
    return common.broadcast_to(value, tuple(wanted))


def flip(layer: Layer, x: Any, *, axis: Axes = None) -> Value:
    """Axes reversed."""
    value = tensor(x)
    for a in axes_of(axis, value):
        value = common.flip(value, a)
    return value


def _flip_along(axis: int) -> Callable[..., Value]:
    return lambda layer, x: common.flip(tensor(x), normalise_axis(axis, tensor(x).type.rank))


def roll(layer: Layer, x: Any, *, shift: int, axis: int | None = None) -> Value:
    """Elements moved along an axis, those that leave coming in at the other end."""
    value = tensor(x)
    if axis is None:
        flat = common.reshape(value, [-1])
        return common.reshape(roll(layer, flat, shift=shift, axis=0), value.shape)
    axis = normalise_axis(axis, value.type.rank)
    n = value.shape[axis]
    cut = -shift % n if isinstance(n, int) and n else -shift
    parts = [common.slice_axis(value, axis, cut, None), common.slice_axis(value, axis, 0, cut)]
    return common.concat(parts, axis)


def move_axis(layer: Layer, x: Any, *, source: Sizes, destination: Sizes) -> Value:
    """Axes moved to other places, the rest in order."""
    value = tensor(x)
    rank = value.type.rank
    old, new = (
        [normalise_axis(a, rank) for a in ((s,) if isinstance(s, int) else s)]
        for s in (source, destination)
    )
    if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
        raise ShapeError(f"axes {old} cannot be moved to {new}")
    order = [a for a in range(rank) if a not in old]
    for a, d in sorted(zip(old, new, strict=True), key=lambda pair: pair[1]):
        order.insert(d, a)
    return common.transpose(value, order)


def swap_axes(layer: Layer, x: Any, *, axis1: int, axis2: int) -> Value:
    """Two axes swapped."""
    value = tensor(x)
    rank = value.type.rank
    return common.swap_axes(value, normalise_axis(axis1, rank), normalise_axis(axis2, rank))


def pad(
    layer: Layer,
    x: Any,
    constant_values: Any = None,
    *,
    pad_width: Natural | tuple[tuple[Natural, Natural] | Natural, ...],
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant",
) -> Value:
    """Axes extended."""
    value = tensor(x)
    rank = value.type.rank
    widths: Any = ((pad_width, pad_width),) if isinstance(pad_width, int) else pad_width
    if len(widths) == 2 and all(isinstance(w, int) for w in widths):
        widths = (widths,)
    widths = tuple((w, w) if isinstance(w, int) else w for w in widths)
    widths = widths * rank if len(widths) == 1 else widths
    fill = 0 if constant_values is None else constant_values
    if isinstance(fill, Value) or not isinstance(fill, int | float):
        raise UnsupportedError("the value to pad with must be known when converting")
    before, after = zip(*widths, strict=True)
    return ops.Pad(before, after, mode, float(fill))(value)


def take(layer: Layer, x: Any, indices: Any, *, axis: int | None = None) -> Value:
    """Elements at indices along an axis."""
    value = tensor(x)
    value = common.reshape(value, [-1]) if axis is None else value
    where = tensor(indices)
    where = where if where.type.dtype.is_integer else common.cast(where, dtypes.i32)
    return ops.Gather(normalise_axis(axis or 0, value.type.rank))(value, where)


def take_along_axis(layer: Layer, x: Any, indices: Any, *, axis: int | None = None) -> Value:
    """Elements at an index of their own along an axis."""
    value, where = tensor(x), tensor(indices)
    if axis is None:
        value, where, axis = common.reshape(value, [-1]), common.reshape(where, [-1]), 0
    return ops.GatherElements(normalise_axis(axis, value.type.rank))(value, where)


def arange(
    layer: Layer, start: Any, stop: Any = None, step: Any = None, *, dtype: str | None = None
) -> Value:
    """Numbers in steps."""
    first, last = (0, start) if stop is None else (start, stop)
    stride = 1 if step is None else step
    numbers = (first, last, stride)
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in numbers) or not stride:
        raise UnsupportedError("arange needs integers that are known when converting")
    out = ops.Iota(max(0, -(-(last - first) // stride)))()
    out = ops.Add()(ops.Mul()(out, tensor(stride, out)), tensor(first, out))
    return common.cast(out, dtype_named(dtype) if dtype else dtypes.i32)


def ravel(layer: Layer, x: Any) -> Value:
    """All axes joined."""
    return common.reshape(tensor(x), [-1])


def _triangle(upper: bool) -> Any:
    def triangle(layer: Layer, x: Any, *, k: int = 0) -> Value:
        """The elements on one side of a diagonal, 0 elsewhere."""
        value = tensor(x)
        rows = common.expand_dims(ops.Iota(value.shape[-2])(), 1)
        columns = common.expand_dims(ops.Iota(value.shape[-1])(), 0)
        offset = ops.Sub()(columns, rows)
        compare = ops.GreaterOrEqual if upper else ops.LessOrEqual
        keep = compare()(offset, common.scalar(k, offset))
        return ops.Where()(keep, value, common.scalar(0, value))

    return triangle


def vertical(layer: Layer, xs: Any) -> Value:
    """Joined along the first axis; vectors are rows."""
    values = [common.expand_dims(v, 0) if v.type.rank == 1 else v for v in several(layer, xs)]
    return common.concat(values, 0)


def horizontal(layer: Layer, xs: Any) -> Value:
    """Joined along the second axis; vectors along the first."""
    values = several(layer, xs)
    return common.concat(values, 0 if values[0].type.rank == 1 else 1)


RULES: Mapping[str, Rule] = {
    "Reshape": Rule(reshape),
    "Transpose": Rule(transpose),
    "GetItem": Rule(get_item),
    "ExpandDims": Rule(expand_dims),
    "Squeeze": Rule(squeeze),
    "Concatenate": Rule(concatenate),
    "Stack": Rule(stack),
    "Vstack": Rule(vertical),
    "Hstack": Rule(horizontal),
    "Split": Rule(split),
    "Unstack": Rule(unstack),
    "Repeat": Rule(repeat),
    "Tile": Rule(tile),
    "BroadcastTo": Rule(broadcast_to),
    "Flip": Rule(flip),
    "Flipud": Rule(_flip_along(0)),
    "Fliplr": Rule(_flip_along(1)),
    "Roll": Rule(roll),
    "Moveaxis": Rule(move_axis),
    "Swapaxes": Rule(swap_axes),
    "Pad": Rule(pad),
    "Take": Rule(take),
    "TakeAlongAxis": Rule(take_along_axis),
    "Arange": Rule(arange),
    "Ravel": Rule(ravel),
    "Tril": Rule(_triangle(False)),
    "Triu": Rule(_triangle(True)),
}
