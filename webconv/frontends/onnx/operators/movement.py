"""Shapes, views, joins and constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.sizes import derive
from webconv.frontends.onnx.values import axes_of, ints, known, number, sizes
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array, normalise_axis


@operator("Shape")
def shape(x: Value, *, start: int = 0, end: int | None = None) -> Any:
    """The sizes of the axes from `start` to `end`."""
    limit = {} if end is None else {"end": end}
    return derive("Shape", [x], {"start": start, **limit}, 1)


@operator("Size")
def size_(x: Value) -> Any:
    """The number of elements."""
    return derive("Size", [x], {}, 1)


@operator("Constant")
def constant(
    *,
    value: Array | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Value:
    """A tensor in the graph."""
    for given, dtype in (
        (value_float, "f4"),
        (value_floats, "f4"),
        (value_int, "i8"),
        (value_ints, "i8"),
    ):
        if given is not None:
            return graph.constant(np.array(given, dtype))
    if value is None:
        raise ModelFormatError("it has no value of a type that is supported")
    return graph.constant(value)


@operator("ConstantOfShape", context=True)
def constant_of_shape(call: Any, shape: Value, *, value: Array | None = None) -> Value:
    """One value in every element."""
    fill = np.zeros((), np.float32) if value is None else value.reshape(-1)[0]
    element, wanted = call.measured(graph.constant(np.asarray(fill)), shape, "shape")
    return common.broadcast_to(element, wanted)


def target_shape(x: Value, wanted: Sequence[Dim], allowzero: bool) -> tuple[Dim, ...]:
    """A Reshape's target with 0 (copy the axis) and -1 (what is left) resolved.

    Sizes that only a run can tell may be 0 or -1 too, so they are resolved by arithmetic.
    """
    out: list[Dim] = []
    for k, n in enumerate(wanted):
        copies = not allowzero and (n == 0 if isinstance(n, int) else dims.bounds(n)[0] < 0)
        if copies and isinstance(n, int) and k >= x.type.rank:
            raise ShapeError(f"shape {list(wanted)} copies axis {k}, which {x.type} lacks")
        if copies and k < x.type.rank:
            is_zero = 1 - dims.minimum(1, dims.maximum(n, -1 * n))
            out.append(n + is_zero * x.shape[k])
        else:
            out.append(n)
    if not any(isinstance(n, dims.Expr) and dims.bounds(n)[0] < 0 for n in out):
        return tuple(out)
    rest = dims.floordiv(x.type.size, dims.product(dims.maximum(n, 1) for n in out))
    return tuple(dims.maximum(n, rest * dims.minimum(1, dims.maximum(-1 * n, 0))) for n in out)


@operator("Reshape")
def reshape(x: Value, shape: Value, *, allowzero: int = 0) -> Value:
    """The same elements under another shape."""
    return common.reshape(x, target_shape(x, sizes(shape, "shape"), bool(allowzero)))


@operator("Flatten")
def flatten(x: Value, *, axis: int = 1) -> Value:
    """A matrix: the axes before `axis`, and those from it on."""
    k = axis + x.type.rank if axis < 0 else axis
    return common.reshape(x, (dims.product(x.shape[:k]), dims.product(x.shape[k:])))


@operator("Squeeze")
def squeeze_1(x: Value, *, axes: Sequence[int] | None = None) -> Value:
    """The same with an attribute (opset 1)."""
    return common.squeeze(x, *(_axes_of_one(x) if axes is None else axes))


def _axes_of_one(x: Value) -> list[int]:
    """The axes of size 1; raises ShapeError where a size may be 1 or another."""
    axes = []
    for axis, n in enumerate(x.shape):
        size = n if isinstance(n, int) else _settled(x, n)
        if size is None and dims.bounds(n)[0] <= 1:
            raise ShapeError(
                f"without axes it must be known which sizes of {x.type} are 1; "
                "fix them with --input-shape"
            )
        axes += [axis] if size == 1 else []
    return axes


def _settled(x: Value, size: Dim) -> int | None:
    """The number that a size must be for what `x` is computed from, or None."""
    seen, stack = {x.node}, [x.node]
    while stack:
        node = stack.pop()
        for left, right in node.guards:
            for a, b in ((left, right), (right, left)):
                if a == size and isinstance(b, int):
                    return b
        behind = {v.node for v in node.inputs if v is not None} - seen
        seen |= behind
        stack += behind
    return None


@operator("Squeeze", since=13)
def squeeze_13(x: Value, axes: Value | None = None) -> Value:
    """Without axes of size 1: the given ones or all."""
    return squeeze_1(x, axes=axes_of(axes))


@operator("Unsqueeze")
def unsqueeze_1(x: Value, *, axes: Sequence[int]) -> Value:
    """With axes of size 1 (opset 1)."""
    return common.expand_dims(x, *axes)


@operator("Unsqueeze", since=13)
def unsqueeze_13(x: Value, axes: Value) -> Value:
    """With axes of size 1."""
    return common.expand_dims(x, *ints(axes, "axes"))


@operator("Transpose")
def transpose(x: Value, *, perm: Sequence[int] | None = None) -> Value:
    """Axes permuted, by default reversed."""
    rank = x.type.rank
    order = range(rank)[::-1] if perm is None else [normalise_axis(a, rank) for a in perm]
    return common.transpose(x, list(order))


@operator("Concat")
def concat(*inputs: Value, axis: int) -> Value:
    """Joined along an axis."""
    return common.concat(inputs, axis)


def _even(n: Dim, parts: int) -> list[Dim]:
    """Sizes of equal parts; the last is smaller if `n` does not divide."""
    each = dims.ceildiv(n, parts)
    return [dims.maximum(dims.minimum(each, n - k * each), 0) for k in range(parts)]


def _split(x: Value, parts: Sequence[Dim] | None, axis: int, count: int) -> tuple[Value, ...]:
    pieces = _even(x.shape[normalise_axis(axis, x.type.rank)], count) if parts is None else parts
    total = sum(pieces[1:], pieces[0])
    whole = x.shape[normalise_axis(axis, x.type.rank)]
    if isinstance(total, int) and isinstance(whole, int) and total != whole:
        raise ShapeError(f"parts {list(pieces)} must add up to the axis of {whole}")
    return tuple(common.split(x, pieces, axis))


@operator("Split", context=True)
def split_2(call: Any, x: Value, *, axis: int = 0, split: Sequence[int] | None = None) -> Any:
    """Cut along an axis (opset 2: sizes as an attribute)."""
    return _split(x, split, axis, len(call.node.output))


@operator("Split", since=13, context=True)
def split_13(
    call: Any, x: Value, split: Value | None = None, *, axis: int = 0, num_outputs: int = 0
) -> Any:
    """Cut along an axis into given sizes or equal parts."""
    parts = None if split is None else sizes(split, "split")
    return _split(x, parts, axis, num_outputs or len(call.node.output))


def _index(d: Dim, n: Dim, low: Dim, high: Dim) -> Dim:
    """A start or end: counted from the end if negative, limited to [low, high]."""
    if isinstance(d, int):
        if abs(d) >= 1 << 30:  # INT_MAX and its kin mean "to the end".
            return high if d > 0 else low
        at: Dim = n + d if d < 0 else d
    elif dims.bounds(d)[0] >= 0:
        at = d
    elif dims.bounds(d)[1] < 0:
        at = n + d
    else:
        negative = dims.maximum(0, dims.minimum(1, -1 * d))
        at = d + negative * n
    return dims.maximum(dims.minimum(at, high), low)


def _slice(
    x: Value,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Value:
    where = tuple(range(len(starts))) if axes is None else axes
    strides = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(where) == len(strides):
        raise ShapeError("starts, ends, axes and steps must be of one length")
    spans: dict[int, common.Span] = {}
    for axis, start, end, step in zip(where, starts, ends, strides, strict=True):
        n = x.shape[normalise_axis(axis, x.type.rank)]
        if step == 0:
            raise ShapeError("a slice's step must not be 0")
        low, high = (0, n) if step > 0 else (-1, n - 1)
        first, last = _index(start, n, 0 if step > 0 else -1, high), _index(end, n, low, high)
        count = dims.ceildiv(last - first, step) if step > 0 else dims.ceildiv(first - last, -step)
        spans[axis] = common.Span(first, dims.maximum(count, 0), step)
    return common.slice_axes(x, spans)


@operator("Slice")
def slice_1(
    x: Value, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> Value:
    """x[starts:ends] (opset 1)."""
    return _slice(x, starts, ends, axes, None)


@operator("Slice", since=10)
def slice_10(
    x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None
) -> Value:
    """x[starts:ends:steps]."""
    return _slice(
        x,
        sizes(starts, "starts"),
        sizes(ends, "ends"),
        None if axes is None else ints(axes, "axes"),
        None if steps is None else ints(steps, "steps"),
    )


MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def _pad(
    x: Value, pads: Sequence[Dim], mode: str, value: float, axes: Sequence[int] | None
) -> Value:
    rank = x.type.rank
    where = range(rank) if axes is None else [normalise_axis(a, rank) for a in axes]
    if len(pads) != 2 * len(where):
        raise ShapeError(f"pads must hold {2 * len(where)} numbers, but it holds {len(pads)}")
    before: list[Dim] = [0] * rank
    after: list[Dim] = [0] * rank
    for k, axis in enumerate(where):
        before[axis], after[axis] = pads[k], pads[k + len(where)]
    if not any(isinstance(d, dims.Expr) or d for d in (*before, *after)):
        return x
    out: Value = ops.Pad(tuple(before), tuple(after), MODES[mode], value)(x)
    return out


@operator("Pad")
def pad_2(x: Value, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Value:
    """Extended (opset 2: as attributes)."""
    return _pad(x, pads, mode, value, None)


@operator("Pad", since=11)
def pad_11(
    x: Value,
    pads: Value,
    constant_value: Value | None = None,
    axes: Value | None = None,
    *,
    mode: str = "constant",
) -> Value:
    """Axes extended before and after; negative pads crop."""
    where = None if axes is None else ints(axes, "axes")
    around = sizes(pads, "pads")
    if mode != "constant" or constant_value is None:
        return _pad(x, around, mode, 0.0, where)
    if constant_value.constant is not None:
        return _pad(x, around, mode, float(number(constant_value, "constant_value")), where)
    inside = _pad(
        common.broadcast_to(graph.constant(np.array(True)), x.shape), around, mode, 0, where
    )
    fill = common.reshape(constant_value, ())
    out: Value = ops.Where()(inside, _pad(x, around, mode, 0, where), fill)
    return out


@operator("Expand")
def expand(x: Value, shape: Value) -> Value:
    """Broadcast with a shape, both ways."""
    wanted = sizes(shape, "shape")
    rank = max(len(wanted), x.type.rank)
    own = (1,) * (rank - x.type.rank) + x.shape
    target = (1,) * (rank - len(wanted)) + tuple(wanted)
    return common.broadcast_to(x, tuple(map(_broadcast_size, own, target)))


def _broadcast_size(n: Dim, wanted: Dim) -> Dim:
    """The size of an axis of n elements that meets another, of which only a run may tell."""
    if wanted == 1 or (isinstance(n, int) and n != 1):
        return n
    if n == 1 or isinstance(wanted, int):
        return wanted
    return dims.maximum(n, wanted)


@operator("Tile")
def tile(x: Value, repeats: Value) -> Value:
    """The whole of each axis several times."""
    return common.tile(x, sizes(repeats, "repeats"))


@operator("Range", context=True)
def range_(call: Any, start: Value, limit: Value, delta: Value) -> Value:
    """start, start + delta, ... before limit; data may say how many."""
    ends = [known(v) for v in (start, limit, delta)]
    if all(e is not None for e in ends):
        first, last, step = (e.item() for e in ends)  # type: ignore[union-attr]
        if isinstance(step, int) and step != 0:
            span = last - first if step > 0 else first - last
            count: Dim = dims.maximum(dims.ceildiv(span, abs(step)), 0)
            return _from_start(start, delta, count)
    given = (start.constant, limit.constant, delta.constant)
    if all(v is not None for v in given):
        numbers = (v.item() for v in given)  # type: ignore[union-attr]
        return graph.constant(np.arange(*numbers).astype(start.type.dtype.numpy))
    wide = [
        v if v.type.dtype.is_float else common.cast(v, dtypes.f64) for v in (start, limit, delta)
    ]
    steps = ops.Ceil()(ops.Div()(ops.Sub()(wide[1], wide[0]), wide[2]))
    often = ops.Max()(common.cast(steps, dtypes.i64), graph.constant(np.int64(0)))
    count = call.fresh("count")
    return _from_start(ops.Bind((str(count),))(start, often), delta, count)


def _from_start(start: Value, delta: Value, count: Dim) -> Value:
    where = common.cast(ops.Iota(count)(), start.type.dtype)
    out: Value = ops.Add()(ops.Mul()(where, delta), start)
    return out


@operator("DepthToSpace")
def depth_to_space(x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """Channels moved into blocks of space."""
    n, c, h, w = x.shape
    b = blocksize
    if isinstance(c, int) and c % (b * b):
        raise ShapeError(f"{c} channels do not divide into blocks of {b}")
    depth = dims.floordiv(c, b * b)
    if mode == "DCR":
        y = common.transpose(common.reshape(x, (n, b, b, depth, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = common.transpose(common.reshape(x, (n, depth, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return common.reshape(y, (n, depth, h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """Blocks of space moved into channels."""
    n, c, h, w = x.shape
    b = blocksize
    y = common.reshape(x, (n, c, dims.floordiv(h, b), b, dims.floordiv(w, b), b))
    y = common.transpose(y, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return common.reshape(y, (n, c * b * b, dims.floordiv(h, b), dims.floordiv(w, b)))


@operator("Trilu")
def trilu(x: Value, k: Value | None = None, *, upper: int = 1) -> Value:
    """The upper or lower triangle of matrices, 0 elsewhere; `k` moves the diagonal."""
    rows, columns = x.shape[-2:]
    row = common.expand_dims(ops.Iota(rows)(), 1)
    column = common.expand_dims(ops.Iota(columns)(), 0)
    edge = row if k is None else ops.Add()(row, common.reshape(common.cast(k, dtypes.i32), ()))
    keep = (ops.GreaterOrEqual if upper else ops.LessOrEqual)()(column, edge)
    out: Value = ops.Where()(keep, x, common.scalar(0, x))
    return out


@operator("EyeLike")
def eye_like(x: Value, *, dtype: int | None = None, k: int = 0) -> Value:
    """1 on the diagonal `k`, of the shape of x."""
    from webconv.frontends.onnx.types import dtype_of

    target = x.type.dtype if dtype is None else dtype_of(dtype)
    row = common.expand_dims(ops.Iota(x.shape[0])(), 1)
    column = common.expand_dims(ops.Iota(x.shape[1])(), 0)
    return common.cast(ops.Equal()(ops.Add()(row, common.scalar(k, row)), column), target)
