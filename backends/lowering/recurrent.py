"""LSTM, GRU and RNN: the input's product for all steps at once, then a loop of one step kernel.

Weights are packed once for all targets. Units come in blocks of 8 and each block holds its gates
side by side, `[H/8][k][gate][8 units]`: a step kernel's innermost loop reads them with unit stride
and ends with the gates of a unit in the same lane, ready for the cell's equations.

The loop is chunked in time, so that the pre-activations of a long sequence fit in 8 MiB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.backends.expr import Const, Expr, Index, call, select
from webconv.backends.kernel import Axis, Buffer, Store
from webconv.backends.lowering.elementwise import scalar
from webconv.backends.lowering.indexing import loop, readable
from webconv.backends.lowering.linear import constant
from webconv.backends.tensor import Context, Tensor, guarded, stored
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import UnsupportedError
from webconv.ir.op import Array, Op

WIDTH = 8
CHUNK_BYTES = 8 << 20


def pack_units(w: Array) -> Array:
    """`[D, K, G, H]` -> `[D, H/8, K, G, 8]`, zero-padded."""
    d, k, g, h = w.shape
    padded = np.pad(w, ((0, 0), (0, 0), (0, 0), (0, -h % WIDTH)))
    split = padded.reshape(d, k, g, -1, WIDTH)
    return np.ascontiguousarray(split.transpose(0, 3, 1, 2, 4))


@dataclass
class Cell:
    """One recurrent node while it is lowered: its tensors, sizes and loop variables."""

    ctx: Context
    op: Any
    x: Tensor
    time: Dim
    batch: Dim
    hidden: int
    directions: int
    mask: Tensor | None

    @property
    def blocks(self) -> int:
        """The number of blocks of 8 units."""
        return -(-self.hidden // WIDTH)

    def position(self, step: Dim, direction: Dim) -> Dim:
        """The time that `step` of a direction works on."""
        last = self.time - 1
        if self.op.direction == "forward":
            return step
        if self.op.direction == "reverse":
            return last - step
        return step + direction * (last - 2 * step)

    def axes(self) -> tuple[list[Axis], Dim, Dim, Dim, Dim]:
        """Axes over (direction, batch, block, lane), and the indices d, b, block and unit."""
        axes = self.ctx.axes((self.directions, self.batch, self.blocks, WIDTH))
        d, b, p, j = (0 if a.extent == 1 else a.index for a in axes)
        return axes, d, b, p, p * WIDTH + j

    def activate(self, k: int, direction: Dim, value: Expr) -> Expr:
        """Activation `k` of the cell; the two directions may have different ones."""
        functions = [self.op.functions(d)[k] for d in range(self.directions)]
        if all(f == functions[0] for f in functions):
            return scalar(functions[0])(value)
        forward, backward = (scalar(f)(value) for f in functions)
        return select(call("eq", Index(direction), 0), forward, backward)

    def limit(self, value: Expr) -> Expr:
        """`value` clipped, if the op clips."""
        if not self.op.clip:
            return value
        return call("max", call("min", value, self.op.clip), -self.op.clip)


def weights(ctx: Context, op: Any, *tensors: Tensor | None) -> list[Array | None]:
    """The arrays of weight inputs; raises UnsupportedError for computed ones."""
    arrays = [None if t is None else constant(t) for t in tensors]
    for t, a in zip(tensors, arrays, strict=True):
        if t is not None and a is None:
            raise UnsupportedError(f"{type(op).__name__} {ctx.name}: weights must be constant")
    return arrays


def project(
    cell: Cell, w: Array, b: Array | None, start: Dim, count: Dim
) -> tuple[Buffer, Callable[[Dim, Dim, Dim, int, Dim], Expr]]:
    """Store x @ w + b for `count` steps from `start`: `[count, B, D * H/8 * G, 8]`."""
    ctx, gates = cell.ctx, w.shape[2]
    packed = pack_units(w).transpose(0, 1, 3, 2, 4).reshape(-1, w.shape[1], WIDTH)
    table = ctx.weight(packed)
    columns = cell.blocks * gates
    bias = None
    if b is not None:
        bias = ctx.weight(pack_units(b[:, None])[:, :, 0].reshape(-1, WIDTH))
    shape = (count, cell.batch, cell.directions * columns, WIDTH)
    pre = ctx.temp(cell.x.dtype, (_capacity(cell, gates), *shape[1:]), name=f"{ctx.name}.gates")
    axes = ctx.axes((cell.directions, cell.batch, count, columns, WIDTH))
    d, bi, s, q, j = (0 if a.extent == 1 else a.index for a in axes)
    row = d * columns + q
    t = cell.position(start + s, d)
    size = cell.x.shape[-1]
    total = ctx.sum(size, lambda k: cell.x.at((t, bi, k)) * table.at((row, k, j)))
    value = total if bias is None else total + bias.at((row, j))
    place = Store(pre, pre.shape, (s, bi, row, j), value)
    ctx.kernel(axes, [place], tiles=[(axes[2], 4), (axes[3], 4)])

    def at(step: Dim, b: Dim, block: Dim, gate: int, unit: Dim) -> Expr:
        lane = unit - dims.floordiv(unit, WIDTH) * WIDTH
        return stored(pre).at((step, b, block * gates + gate, lane))

    return pre, at


def _capacity(cell: Cell, gates: int) -> Dim:
    """Steps per chunk: all of them, or as many as fit in CHUNK_BYTES for a batch of one."""
    row = 4 * cell.directions * cell.blocks * gates * WIDTH
    batch = cell.batch if isinstance(cell.batch, int) else 1
    most = max(16, CHUNK_BYTES // (row * max(batch, 1)))
    return dims.minimum(cell.time, most)


def recurrence(
    cell: Cell, r: Array, h: Callable[[Dim], Expr], d: Dim, p: Dim, j: Dim
) -> list[Expr]:
    """The products of h with each gate of `r [D, H, G, H]`, folded in one loop."""
    ctx = cell.ctx
    packed = ctx.weight(pack_units(r))
    symbol = ctx.symbol(r.shape[1])
    lane = j - p * WIDTH
    return [
        ctx.sum(r.shape[1], lambda k, g=g: h(k) * packed.at((d, p, k, g, lane)), symbol)  # type: ignore[misc]
        for g in range(r.shape[2])
    ]


Update = Callable[..., None]


def run(
    ctx: Context, op: Any, inputs: tuple[Tensor | None, ...], states: int, emit: Update
) -> tuple[Tensor, ...]:
    """Set up rings and chunks, emit the loop, and give (y, final states...)."""
    fixed, initial, mask = op.split(inputs)
    x = readable(ctx, fixed[0])
    mask = None if mask is None else readable(ctx, mask)
    hidden = fixed[2].shape[-1]
    cell = Cell(ctx, op, x, x.shape[0], x.shape[1], hidden, op.directions, mask)
    padded = (cell.directions, cell.batch, cell.blocks * WIDTH)
    names = ("h", "c")
    rings = [ctx.temp(x.dtype, padded, 2, f"{ctx.name}.{names[i]}") for i in range(states)]
    _initialise(cell, rings, initial)
    y = ctx.temp(x.dtype, (cell.time, cell.batch, cell.directions, hidden), name=f"{ctx.name}.y")
    emit(cell, rings, y if ctx.used(0) else None, fixed)
    shape = (cell.directions, cell.batch, hidden)
    finals = []
    for ring in rings:
        full = stored(ring, ring=cell.time)
        finals.append(Tensor(x.dtype, shape, full.at))
    return (stored(y), *finals)


def _initialise(cell: Cell, rings: list[Buffer], initial: list[Tensor | None]) -> None:
    axes, d, b, _, u = cell.axes()
    stores = []
    for ring, first in zip(rings, initial, strict=True):
        value: Expr = Const(0.0, "f32")
        if first is not None:
            value = guarded(first.at((d, b, u)), Index(u) < Index(cell.hidden))
        stores.append(Store(ring, ring.shape, (d, b, u), value, ring=0))
    cell.ctx.kernel(axes, stores)


def given(cell: Cell, b: Array | None, step: Dim) -> Callable[..., Expr]:
    """Pre-activations that x `[T, B, D * G * H]` holds, plus a bias."""
    bias = None if b is None else _padded_rows(cell.ctx, b)

    def gate(b: Dim, d: Dim, p: Dim, g: int, u: Dim) -> Expr:
        column = (d * cell.op.gates + g) * cell.hidden + u
        value = cell.x.at((cell.position(step, d), b, column))
        if cell.hidden % WIDTH:
            value = guarded(value, Index(u) < Index(cell.hidden))
        return value if bias is None else value + bias.at((d, g, u))

    return gate


def chunks(cell: Cell, gates: int, body: Callable[[Dim, Dim], None]) -> None:
    """`body(start, count)` for each chunk of time steps."""
    ctx = cell.ctx
    capacity = _capacity(cell, gates)
    if capacity == cell.time:
        body(0, cell.time)
        return
    most = capacity if isinstance(capacity, int) else _bound(capacity)
    count = dims.ceildiv(cell.time, most)
    if isinstance(cell.time, int) and count == 1:
        body(0, cell.time)
        return
    chunk = ctx.symbol(count, "c")
    start = dims.atom(chunk) * most
    loop(ctx, chunk, count, lambda: body(start, dims.minimum(most, cell.time - start)))


def _bound(capacity: Dim) -> int:
    return int(dims.bounds(capacity)[1])


def steps(
    cell: Cell,
    w: Array | None,
    b: Array | None,
    body: Callable[[Dim, Callable[..., Expr]], None],
) -> None:
    """The chunked loop: `body(step, gates)` emits the kernels of one step.

    Without w the pre-activations are read from x, and there is nothing to chunk.
    """
    ctx = cell.ctx
    if w is None:
        symbol = ctx.symbol(cell.time, "s")
        step = dims.atom(symbol)
        loop(ctx, symbol, cell.time, lambda: body(step, given(cell, b, step)))
        return

    def chunk(start: Dim, count: Dim) -> None:
        _, pre = project(cell, w, b, start, count)
        symbol = ctx.symbol(count, "s")
        local = dims.atom(symbol)

        def gate(b: Dim, d: Dim, p: Dim, g: int, u: Dim) -> Expr:
            return pre(local, b, d * cell.blocks + p, g, u)

        loop(ctx, symbol, count, lambda: body(start + local, gate))

    chunks(cell, w.shape[2], chunk)


def finish(
    cell: Cell,
    step: Dim,
    place: tuple[list[Axis], Dim, Dim, Dim, Dim],
    rings: list[Buffer],
    y: Buffer | None,
    new: list[Expr],
    extra: list[Store] | None = None,
) -> None:
    """Store the next states and y, holding masked steps."""
    axes, d, b, _, u = place
    t = cell.position(step, d)
    shown = new[0]
    if cell.mask is not None:
        valid = cell.mask.at((t, b))
        old = [stored(ring, ring=step).at((d, b, u)) for ring in rings]
        new = [select(valid, n, o) for n, o in zip(new, old, strict=True)]
        shown = new[0] if cell.op.masked_output == "hold" else select(valid, shown, 0.0)
    stores = [
        Store(ring, ring.shape, (d, b, u), value, ring=step + 1)
        for ring, value in zip(rings, new, strict=True)
    ]
    if y is not None:
        guard = None if cell.hidden % WIDTH == 0 else Index(u) < Index(cell.hidden)
        stores.append(Store(y, y.shape, (t, b, d, u), shown, guard))
    cell.ctx.kernel(axes, stores + (extra or []))


def lstm(ctx: Context, op: Any, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Gates i, f, g, o."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b, peep = weights(ctx, op, *fixed[1:])
        assert r is not None

        def body(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            c = stored(rings[1], ring=step).at((d, bi, u))
            rec = recurrence(cell, r, lambda k: h.at((d, bi, k)), d, p, u)
            z = [gate(bi, d, p, g, u) + rec[g] for g in range(4)]
            if peep is not None:
                hole = _padded_rows(ctx, peep)
                z[0] = z[0] + hole.at((d, 0, u)) * c
                z[1] = z[1] + hole.at((d, 1, u)) * c
            i = cell.activate(0, d, cell.limit(z[0]))
            f = 1.0 - i if op.input_forget else cell.activate(1, d, cell.limit(z[1]))
            g = cell.activate(2, d, cell.limit(z[2]))
            after = call("fma", i, g, f * c)
            if peep is not None:
                z[3] = z[3] + hole.at((d, 2, u)) * after
            o = cell.activate(3, d, cell.limit(z[3]))
            finish(cell, step, place, rings, y, [o * cell.activate(4, d, after), after])

        steps(cell, w, b, body)

    return run(ctx, op, inputs, 2, emit)


def _padded_rows(ctx: Context, rows: Array) -> Tensor:
    """`[D, R, H]` with H padded to whole blocks."""
    return ctx.weight(np.pad(rows, ((0, 0), (0, 0), (0, -rows.shape[-1] % WIDTH))))


def rnn(ctx: Context, op: Any, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """One gate."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b = weights(ctx, op, *fixed[1:])
        assert r is not None

        def body(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            (rec,) = recurrence(cell, r, lambda k: h.at((d, bi, k)), d, p, u)
            z = cell.limit(gate(bi, d, p, 0, u) + rec)
            finish(cell, step, place, rings, y, [cell.activate(0, d, z)])

        steps(cell, w, b, body)

    return run(ctx, op, inputs, 1, emit)


def gru(ctx: Context, op: Any, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Gates z, r, n; with the reset before the product a step takes two kernels."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b, rb = weights(ctx, op, *fixed[1:])
        assert r is not None

        def mix(z: Expr, n: Expr, h: Expr) -> Expr:
            new, old = (z, 1.0 - z) if op.update_mixes_new else (1.0 - z, z)
            return call("fma", old, h, new * n)

        def after(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            rec = recurrence(cell, r, lambda k: h.at((d, bi, k)), d, p, u)
            z, reset = (
                cell.activate(0, d, cell.limit(gate(bi, d, p, g, u) + rec[g])) for g in range(2)
            )
            inner = rec[2]
            if rb is not None:
                inner = inner + _padded_rows(ctx, rb[:, None]).at((d, 0, u))
            n = cell.activate(1, d, cell.limit(gate(bi, d, p, 2, u) + reset * inner))
            finish(cell, step, place, rings, y, [mix(z, n, h.at((d, bi, u)))])

        def before(step: Dim, gate: Callable[..., Expr]) -> None:
            shape = (cell.directions, cell.batch, cell.blocks * WIDTH)
            update = ctx.temp(cell.x.dtype, shape, name=f"{ctx.name}.z")
            reset = ctx.temp(cell.x.dtype, shape, name=f"{ctx.name}.rh")
            axes, d, bi, p, u = cell.axes()
            h = stored(rings[0], ring=step)
            rec = recurrence(cell, r[:, :, :2], lambda k: h.at((d, bi, k)), d, p, u)
            z, gated = (
                cell.activate(0, d, cell.limit(gate(bi, d, p, g, u) + rec[g])) for g in range(2)
            )
            here = (d, bi, u)
            ctx.kernel(
                axes, [Store(update, shape, here, z), Store(reset, shape, here, gated * h.at(here))]
            )
            place = cell.axes()
            _, d2, b2, p2, u2 = place
            rh = stored(reset)
            (inner,) = recurrence(cell, r[:, :, 2:], lambda k: rh.at((d2, b2, k)), d2, p2, u2)
            n = cell.activate(1, d2, cell.limit(gate(b2, d2, p2, 2, u2) + inner))
            new = mix(stored(update).at((d2, b2, u2)), n, h.at((d2, b2, u2)))
            finish(cell, step, place, rings, y, [new])

        steps(cell, w, b, after if op.reset_after else before)

    return run(ctx, op, inputs, 1, emit)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {ops.LSTM: lstm, ops.RNN: rnn, ops.GRU: gru}
