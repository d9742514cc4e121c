"""Matrix products, convolutions and pooling: folds of products over packed weights.

Constant weights are packed into panels `[N/W][K][W]` of W output columns, so that the innermost
loop reads them with unit stride on every target: 8 lanes on wasm, a vec4 or a texel on GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webconv.backends.expr import (
    Const,
    Expr,
    Index,
    Load,
    as_index,
    call,
    f32,
    flatten,
    select,
    walk,
    wrap,
)
from webconv.backends.lowering.elementwise import broadcast_index
from webconv.backends.lowering.indexing import readable
from webconv.backends.lowering.reduction import extreme, reciprocal, sort_key
from webconv.backends.tensor import LOOP_COST, Context, Tensor, accumulate, guarded, reindex, where
from webconv.ir import dims, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.op import Array, Op, TensorType, concrete

Index4 = tuple[Dim, ...]


def constant(t: Tensor) -> Array | None:
    """The array behind a tensor that is a whole weight."""
    if t.buffer is not None and t.buffer.data is not None and t.shape == t.buffer.shape:
        return t.buffer.data
    return None


def panel_width(columns: int) -> int:
    """How many output columns a panel holds."""
    return 8 if columns >= 8 else 4 if columns > 1 else 1


def pack(w: Array, width: int) -> Array:
    """`[..., N]` -> `[ceil(N / width), ..., width]`, zero-padded."""
    n = w.shape[-1]
    short = -n % width
    padded = np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, short)])
    split = padded.reshape(*w.shape[:-1], (n + short) // width, width)
    return np.ascontiguousarray(np.moveaxis(split, -2, 0))


def panels(ctx: Context, w: Array, width: int) -> Callable[[tuple[Dim, ...], Dim], Expr]:
    """Packs `w [..., N]`; gives the element at (leading indices, column)."""
    packed = ctx.weight(pack(w, width))

    def at(lead: tuple[Dim, ...], column: Dim) -> Expr:
        return packed.at((dims.floordiv(column, width), *lead, dims.mod(column, width)))

    return at


# Fewer rows than this do not pay for a copy of the right side.
LEAST_ROWS = 8


def panel_width_of_data(x: Tensor, y: Tensor) -> int:
    """The width of the panels into which the right side of x @ y is copied; 1 if it is not."""
    rows, columns = x.shape[-2], y.shape[-1]
    if isinstance(rows, int) and rows < LEAST_ROWS:
        return 1
    return panel_width(columns) if isinstance(columns, int) else 8


def data_panels(ctx: Context, y: Tensor, width: int) -> Callable[[tuple[Dim, ...], Dim], Expr]:
    """Copies `y [.., K, N]` into panels; gives the element at (leading indices and k, column).

    A transposed view is read across its rows once then, not once per row of the product.
    """
    *lead, k_size, n = y.shape

    def source(index: tuple[Dim, ...]) -> Expr:
        *batch, p, k, j = index
        column = p * width + j
        inside = Const(True, "bool") if dims.mod(n, width) == 0 else Index(column) < Index(n)
        return guarded(y.at((*batch, k, column)), inside)

    shape = (*lead, dims.ceildiv(n, width), k_size, width)
    packed = ctx.store(Tensor(y.dtype, shape, source, y.cost + 1))

    def at(index: tuple[Dim, ...], column: Dim) -> Expr:
        *batch, k = index
        return packed.at((*batch, dims.floordiv(column, width), k, dims.mod(column, width)))

    return at


def matmul(ctx: Context, op: Any, x: Tensor, y: Tensor) -> Tensor:
    """Folds over K; the rows are unrolled by four."""
    (result,) = op.infer(TensorType(x.dtype, x.shape), TensorType(y.dtype, y.shape))
    shape, k_size = result.shape, x.shape[-1]
    x = readable(ctx, x)
    weights = constant(y)
    symbol = ctx.symbol(k_size)
    panel = 1
    if weights is not None:
        panel = panel_width(weights.shape[-1])
        packed = panels(ctx, weights, panel)

        def right(index: Index4, k: Dim) -> Expr:
            return packed((*broadcast_index(index[:-2], y.shape[:-2]), k), index[-1])
    elif (panel := panel_width_of_data(x, y)) > 1:
        copied = data_panels(ctx, y, panel)

        def right(index: Index4, k: Dim) -> Expr:
            return copied((*broadcast_index(index[:-2], y.shape[:-2]), k), index[-1])
    else:
        y = readable(ctx, y)

        def right(index: Index4, k: Dim) -> Expr:
            lead = broadcast_index(index[:-2], y.shape[:-2])
            return y.at((*lead, k, index[-1] if y.shape[-1] != 1 else 0))

    def at(index: Index4) -> Expr:
        lead = broadcast_index(index[:-2], x.shape[:-2])
        row = index[-2] if x.shape[-2] != 1 else 0

        def term(k: Dim) -> Expr:
            return x.at((*lead, row, k)) * right(index, k)

        return ctx.sum(k_size, term, symbol)

    return Tensor(x.dtype, shape, at, LOOP_COST, panel=panel, tile=_row_axis(shape))


def _row_axis(shape: Shape) -> int | None:
    """The last axis before the columns that is not of size 1."""
    return next((a for a in range(len(shape) - 2, -1, -1) if shape[a] != 1), None)


def tap(op: Any, axis: int, out: Dim, k: Dim) -> Dim:
    """The input position that kernel offset `k` meets for output position `out`."""
    return out * op.strides[axis] + k * op.dilations[axis] - op.pads[axis][0]


def window(
    op: Any, x: Tensor, index: Index4
) -> Callable[[tuple[Dim, ...]], tuple[tuple[Dim, ...], Expr]]:
    """For kernel offsets: the input's spatial index and whether it lies inside."""

    def at(offsets: tuple[Dim, ...]) -> tuple[tuple[Dim, ...], Expr]:
        inside: Expr = Const(True, "bool")
        spatial = []
        for a, k in enumerate(offsets):
            i = tap(op, a, index[1 + a], k)
            n = x.shape[1 + a]
            spatial.append(i)
            if op.pads[a] != (0, 0):
                inside = inside & where(i, n)
        return tuple(spatial), inside

    return at


def nested(
    ctx: Context,
    extents: tuple[Dim, ...],
    symbols: list[Any],
    init: Expr,
    step: Callable[[tuple[Dim, ...], Expr], Expr],
) -> Expr:
    """Folds nested over several extents with one accumulator."""

    def level(at: tuple[Dim, ...], acc: Expr) -> Expr:
        if len(at) == len(extents):
            return step(at, acc)
        d = len(at)
        return ctx.fold(extents[d], acc, lambda k, a: level((*at, k), a), None, symbols[d])

    return level((), init)


# A window's input is stored first if finding an element takes computing and each is read so often.
READ_OFTEN = 16


def often_readable(ctx: Context, x: Tensor, reads: Dim) -> Tensor:
    """`x`, stored unless reading an element again costs no more than a load at a plain index."""
    x = readable(ctx, x)
    if x.buffer is not None or dims.bounds(reads)[1] < READ_OFTEN:
        return x
    element = x.at(tuple(a.index for a in ctx.axes(x.shape)))
    loads = [e for e in walk(element) if isinstance(e, Load)]
    atoms = (a for e in loads for d in e.index_dims for a in dims.atoms(d))
    computed = any(not isinstance(a, dims.Symbol) for a in atoms)
    return ctx.store(x) if computed or any(e.guard is not None for e in loads) else x


def conv(ctx: Context, op: Any, x: Tensor, w: Tensor) -> Tensor:
    """Folds over the window and the channels of the group."""
    *kernel, per_group, out = w.shape
    x = often_readable(ctx, x, dims.floordiv(dims.product((*kernel, out)), op.groups))
    (result,) = op.infer(TensorType(x.dtype, x.shape), TensorType(w.dtype, w.shape))
    assert isinstance(out, int)
    # Columns of a depthwise convolution are independent: panels gain nothing if the last is short.
    depthwise = per_group == 1 and out == op.groups
    weights = None if depthwise and out % panel_width(out) else constant(w)
    panel = panel_width(out) if weights is not None else 1
    packed = panels(ctx, weights, panel) if weights is not None else None
    source = readable(ctx, w)
    extents = (*kernel, per_group)
    symbols = [ctx.symbol(n) for n in extents]
    group_size = out // op.groups

    def at(index: Index4) -> Expr:
        column = index[-1]
        first = _group(column, group_size, op.groups) * per_group
        meets = window(op, x, index)

        def step(offsets: tuple[Dim, ...], acc: Expr) -> Expr:
            spatial, inside = meets(offsets[:-1])
            channel = first + offsets[-1]
            value = guarded(x.at((index[0], *spatial, channel)), inside)
            weight = packed(offsets, column) if packed else source.at((*offsets, column))
            return accumulate(acc, value * weight)

        return nested(ctx, extents, symbols, wrap(0, x.compute), step)

    return Tensor(x.dtype, result.shape, at, LOOP_COST, panel=panel, tile=_row_axis(result.shape))


def _group(column: Dim, columns: int, groups: int) -> Dim:
    """The group of an output column; the last one's for the padding of the last panel."""
    if groups == 1:
        return 0
    return dims.minimum(dims.floordiv(column, columns), groups - 1)


def is_phased(op: Any, axis: int) -> bool:
    """True if the windows over a position all meet it with every `stride`-th element."""
    before = op.pads[axis][0]
    return bool(op.dilations[axis] == 1 and dims.bounds(before)[0] >= 0)


def meetings(op: Any, kernel: Sequence[int]) -> tuple[int, ...]:
    """Per axis, how many elements of a window must be looked at for one output position."""
    rows = enumerate(zip(kernel, op.strides, strict=True))
    return tuple(-(-k // s) if is_phased(op, a) else k for a, (k, s) in rows)


def meeting(
    op: Any, at: tuple[Dim, ...], offsets: tuple[Dim, ...], kernel: Sequence[int], sizes: Shape
) -> tuple[tuple[Dim, ...], tuple[Dim, ...], Expr]:
    """The `offsets`-th windows over an output position, their elements there, if there are any."""
    inside: Expr = Const(True, "bool")
    windows: list[Dim] = []
    elements: list[Dim] = []
    for a, k in enumerate(offsets):
        s, start = op.strides[a], at[a] + op.pads[a][0]
        if is_phased(op, a):
            last = dims.floordiv(start, s)
            window, element = last - k, start + (k - last) * s
            if kernel[a] % s:
                inside = inside & (Index(element) < Index(kernel[a]))
        else:
            reach, element = start - k * op.dilations[a], k
            # Whole strides keep the dividend of the floor division non-negative.
            lift = ((kernel[a] - 1) * op.dilations[a] + s - 1) // s
            window = dims.floordiv(reach + lift * s, s) - lift
            if s > 1:
                inside = inside & call("eq", Index(window * s), Index(reach))
        windows.append(window)
        elements.append(element)
        inside = inside & where(window, sizes[a])
    return tuple(windows), tuple(elements), inside


def conv_transpose(ctx: Context, op: Any, x: Tensor, w: Tensor) -> Tensor:
    """In gather form: output position p takes from s where s * stride + k * dilation - pad = p."""
    x = readable(ctx, x)
    (result,) = op.infer(TensorType(x.dtype, x.shape), TensorType(w.dtype, w.shape))
    *kernel, per_group, channels = concrete(w.shape)
    weights = constant(w)
    group_channels = channels // op.groups
    columns = per_group * op.groups
    panel = panel_width(columns) if weights is not None else 1
    if weights is not None:
        packed = panels(ctx, _by_group(op, weights), panel)
    source = readable(ctx, w)
    extents = (*meetings(op, kernel), group_channels)
    symbols = [ctx.symbol(n) for n in extents]

    def at(index: Index4) -> Expr:
        column = index[-1]
        group = _group(column, per_group, op.groups)

        def step(offsets: tuple[Dim, ...], acc: Expr) -> Expr:
            sizes = x.shape[1:-1]
            spatial, taps, inside = meeting(op, index[1:-1], offsets[:-1], kernel, sizes)
            channel = group * group_channels + offsets[-1]
            value = guarded(x.at((index[0], *spatial, channel)), inside)
            if weights is not None:
                weight = packed((*taps, offsets[-1]), column)
            else:
                row = dims.mod(column, per_group) if op.groups > 1 else column
                weight = guarded(source.at((*taps, row, channel)), inside)
            return accumulate(acc, value * weight)

        return nested(ctx, extents, symbols, wrap(0, x.compute), step)

    return Tensor(x.dtype, result.shape, at, LOOP_COST, panel=panel, tile=_row_axis(result.shape))


def _by_group(op: Any, w: Array) -> Array:
    """[K, O/G, G, I/G] -> [K, I/G, G * O/G], with K zero-padded to what `meetings` counts."""
    *kernel, per_group, channels = w.shape
    split = w.reshape(*kernel, per_group, op.groups, channels // op.groups)
    rank = len(kernel)
    moved = split.transpose(*range(rank), rank + 2, rank + 1, rank)
    counts = zip(meetings(op, kernel), op.strides, kernel, strict=True)
    more = [(0, n * s - k if is_phased(op, a) else 0) for a, (n, s, k) in enumerate(counts)]
    whole = np.pad(moved, [*more, (0, 0), (0, 0), (0, 0)])
    return whole.reshape(*whole.shape[:rank], channels // op.groups, per_group * op.groups)


def max_pool(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Folds over the window; what is padding never wins."""
    x = readable(ctx, x)
    (result,) = op.infer(TensorType(x.dtype, x.shape))
    symbols = [ctx.symbol(n) for n in op.kernel]
    lowest = extreme(x.compute, lowest=True)

    def at(index: Index4) -> Expr:
        meets = window(op, x, index)

        def step(offsets: tuple[Dim, ...], acc: Expr) -> Expr:
            spatial, inside = meets(offsets)
            value = guarded(x.at((index[0], *spatial, index[-1])), inside, lowest)
            return call("max", acc, value)

        return nested(ctx, op.kernel, symbols, lowest, step)

    return Tensor(x.dtype, result.shape, at, LOOP_COST)


def arg_max_pool(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """Folds over the window's offsets, keeping the place of the best key in the plane."""
    x = readable(ctx, x)
    (result,) = op.infer(TensorType(x.dtype, x.shape))
    symbols = [ctx.symbol(n) for n in op.kernel]
    spatial = x.shape[1:-1]
    plane = dims.product(spatial)

    def at(index: Index4) -> Expr:
        meets = window(op, x, index)

        def key(place: tuple[Dim, ...]) -> Expr:
            return sort_key(x.at((index[0], *place, index[-1])))

        def step(offsets: tuple[Dim, ...], best: Expr) -> Expr:
            place, inside = meets(offsets)
            held = reindex((as_index(call("max", best, 0), plane),), (plane,), spatial)
            beats = (best < 0) | (guarded(key(place), inside) > key(held))
            return select(inside & beats, Index(flatten(place, spatial)), best)

        return nested(ctx, op.kernel, symbols, Const(-1, "i32"), step)

    return Tensor(result.dtype, result.shape, at, LOOP_COST)


def average_pool(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """The sum over the window, divided by its size or by the number of elements inside."""
    x = readable(ctx, x)
    (result,) = op.infer(TensorType(x.dtype, x.shape))
    symbols = [ctx.symbol(n) for n in op.kernel]
    padded = any(p != (0, 0) for p in op.pads)

    def at(index: Index4) -> Expr:
        meets = window(op, x, index)

        def step(offsets: tuple[Dim, ...], acc: Expr) -> Expr:
            spatial, inside = meets(offsets)
            return acc + guarded(x.at((index[0], *spatial, index[-1])), inside)

        total = nested(ctx, op.kernel, symbols, f32(0.0), step)
        if not padded or op.count_include_pad:
            return total * reciprocal(dims.product(op.kernel))
        return total / call("f32", _count(op, x, index))

    return Tensor(x.dtype, result.shape, at, LOOP_COST)


def _count(op: Any, x: Tensor, index: Index4) -> Expr:
    """How many elements of the window lie inside, as i32."""
    total: Expr = Const(1, "i32")
    for a, k in enumerate(op.kernel):
        inside: Expr = Const(0, "i32")
        for offset in range(k):
            hit = where(tap(op, a, index[1 + a], offset), x.shape[1 + a])
            inside = inside + select(hit, Const(1, "i32"), Const(0, "i32"))
        total = total * inside
    return total


LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.MatMul: matmul,
    ops.Conv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: max_pool,
    ops.ArgMaxPool: arg_max_pool,
    ops.AveragePool: average_pool,
}
