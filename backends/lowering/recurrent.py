"""LSTM, GRU and RNN: the input's product for all steps at once, then a loop of one step kernel.

Weights are packed once for all targets, or by a kernel if the model computes them. Units come in
blocks of 8 and each block holds its gates side by side, `[H/8][k][gate][8 units]`: a step kernel's
innermost loop reads them with unit stride and ends with the gates of a unit in the same lane, ready
for the cell's equations.

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
from webconv.backends.tensor import Context, Tensor, guarded, stored, view
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
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

    def axes(self) -> Place:
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


def units(ctx: Context, w: Tensor) -> Tensor:
    """`[D, K, G, H]` as `[D, H/8, K, G, 8]`, zero-padded."""
    array = constant(w)
    if array is not None:
        return ctx.weight(pack_units(array))
    w = readable(ctx, w)
    d, k, g, h = w.shape
    shape = (d, dims.ceildiv(h, WIDTH), k, g, WIDTH)

    def at(index: tuple[Dim, ...]) -> Expr:
        d, p, k, g, j = index
        return _unit(w, (d, k, g, p * WIDTH + j))

    return ctx.store(Tensor(w.dtype, shape, at, cost=1))


def rows(ctx: Context, w: Tensor) -> Tensor:
    """`[D, R, H]`, zero-padded along H to whole blocks."""
    array = constant(w)
    if array is not None:
        return ctx.weight(np.pad(array, ((0, 0), (0, 0), (0, -array.shape[-1] % WIDTH))))
    w = readable(ctx, w)
    d, r, h = w.shape
    return Tensor(w.dtype, (d, r, dims.ceildiv(h, WIDTH) * WIDTH), lambda index: _unit(w, index))


def _unit(w: Tensor, index: tuple[Dim, ...]) -> Expr:
    """The element at `index`, or 0 past the last unit."""
    hidden = w.shape[-1]
    if dims.mod(hidden, WIDTH) == 0:
        return w.at(index)
    return guarded(w.at(index), Index(index[-1]) < Index(hidden))


def alone(ctx: Context, w: Tensor) -> Tensor:
    """`[D, H]` as `[D, 1, H]`."""
    array = constant(w)
    if array is not None:
        return ctx.weight(array[:, None])
    return view(w, (w.shape[0], 1, w.shape[1]), lambda i: w.at((i[0], i[2])))


def gates_of(ctx: Context, w: Tensor, start: int, stop: int) -> Tensor:
    """Some gates of `[D, K, G, H]`."""
    array = constant(w)
    if array is not None:
        return ctx.weight(array[:, :, start:stop])
    shape = (*w.shape[:2], stop - start, w.shape[3])
    return view(w, shape, lambda i: w.at((i[0], i[1], i[2] + start, i[3])))


def columns_of(ctx: Context, w: Tensor) -> Tensor:
    """`[D, K, G, H]` as `[D * H/8 * G, K, 8]`, zero-padded."""
    array = constant(w)
    if array is not None:
        packed = pack_units(array).transpose(0, 1, 3, 2, 4)
        return ctx.weight(packed.reshape(-1, array.shape[1], WIDTH))
    w = readable(ctx, w)
    d, k, g, h = w.shape
    blocks = dims.ceildiv(h, WIDTH)

    def at(index: tuple[Dim, ...]) -> Expr:
        row, k, j = index
        block = dims.mod(dims.floordiv(row, g), blocks)
        unit = block * WIDTH + j
        return _unit(w, (dims.floordiv(row, blocks * g), k, dims.mod(row, g), unit))

    return ctx.store(Tensor(w.dtype, (d * blocks * g, k, WIDTH), at, cost=1))


def bias_weights(ctx: Context, b: Tensor) -> Tensor:
    """`[D, G, H]` as `[D, 1, G, H]`: the weights of an input that is always 1."""
    array = constant(b)
    if array is not None:
        return ctx.weight(array[:, None])
    return view(b, (b.shape[0], 1, *b.shape[1:]), lambda i: b.at((i[0], *i[2:])))


def project(
    cell: Cell, table: Tensor, bias: Tensor | None, start: Dim, count: Dim
) -> tuple[Buffer, Callable[[Dim, Dim, Dim, int, Dim], Expr]]:
    """Store x @ w + b for `count` steps from `start`: `[count, B, D * H/8 * G, 8]`.

    `table` and `bias` are w and b by `columns_of`.
    """
    ctx, gates = cell.ctx, cell.op.gates
    columns = cell.blocks * gates
    shape = (count, cell.batch, cell.directions * columns, WIDTH)
    pre = ctx.temp(cell.x.dtype, (_capacity(cell, gates), *shape[1:]), name=f"{ctx.name}.gates")
    axes = ctx.axes((cell.directions, cell.batch, count, columns, WIDTH))
    d, bi, s, q, j = (0 if a.extent == 1 else a.index for a in axes)
    row = d * columns + q
    t = cell.position(start + s, d)
    size = cell.x.shape[-1]
    total = ctx.sum(size, lambda k: cell.x.at((t, bi, k)) * table.at((row, k, j)))
    value = total if bias is None else total + bias.at((row, 0, j))
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
    cell: Cell, r: Tensor, h: Callable[[Dim], Expr], d: Dim, p: Dim, j: Dim
) -> list[Expr]:
    """The products of h with each gate of r, `[D, H/8, H, G, 8]`, folded in one loop."""
    ctx, (_, _, hidden, gates, _) = cell.ctx, r.shape
    symbol = ctx.symbol(hidden)
    lane = j - p * WIDTH
    assert isinstance(gates, int)
    return [
        ctx.sum(hidden, lambda k, g=g: h(k) * r.at((d, p, k, g, lane)), symbol)  # type: ignore[misc]
        for g in range(gates)
    ]


Update = Callable[..., None]
Place = tuple[list[Axis], Dim, Dim, Dim, Dim]


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


def given(cell: Cell, bias: Tensor | None, step: Dim) -> Callable[..., Expr]:
    """Pre-activations that x `[T, B, D * G * H]` holds, plus a bias by `rows`."""

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
    w: Tensor | None,
    b: Tensor | None,
    body: Callable[[Dim, Callable[..., Expr]], None],
) -> None:
    """The chunked loop: `body(step, gates)` emits the kernels of one step.

    Without w the pre-activations are read from x, and there is nothing to chunk.
    """
    ctx = cell.ctx
    if w is None:
        symbol = ctx.symbol(cell.time, "s")
        step = dims.atom(symbol)
        bias = None if b is None else rows(ctx, b)
        loop(ctx, symbol, cell.time, lambda: body(step, given(cell, bias, step)))
        return
    table = columns_of(ctx, w)
    shift = None if b is None else columns_of(ctx, bias_weights(ctx, b))

    def chunk(start: Dim, count: Dim) -> None:
        _, pre = project(cell, table, shift, start, count)
        symbol = ctx.symbol(count, "s")
        local = dims.atom(symbol)

        def gate(b: Dim, d: Dim, p: Dim, g: int, u: Dim) -> Expr:
            return pre(local, b, d * cell.blocks + p, g, u)

        loop(ctx, symbol, count, lambda: body(start + local, gate))

    chunks(cell, cell.op.gates, chunk)


def finish(
    cell: Cell,
    step: Dim,
    place: Place,
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
    """Gates i, f, g, o; with peepholes that are matrices a step takes two kernels."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b, peep = fixed[1:]
        packed = units(ctx, r)
        hole = None if peep is None or peep.rank == 4 else rows(ctx, peep)
        if peep is not None and hole is None:
            before, behind = (units(ctx, gates_of(ctx, peep, *ends)) for ends in ((0, 2), (2, 3)))

        def update(place: Place, z: list[Expr], c: Expr) -> Expr:
            """The next c, from pre-activations without peepholes of rows."""
            _, d, _, _, u = place
            if hole is not None:
                z[0] = z[0] + hole.at((d, 0, u)) * c
                z[1] = z[1] + hole.at((d, 1, u)) * c
            i = cell.activate(0, d, cell.limit(z[0]))
            f = 1.0 - i if op.input_forget else cell.activate(1, d, cell.limit(z[1]))
            return call("fma", i, cell.activate(2, d, cell.limit(z[2])), f * c)

        def shown(d: Dim, z: Expr, c: Expr) -> Expr:
            """The next h."""
            return cell.activate(3, d, cell.limit(z)) * cell.activate(4, d, c)

        def sums(place: Place, step: Dim, gate: Callable[..., Expr]) -> list[Expr]:
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            rec = recurrence(cell, packed, lambda k: h.at((d, bi, k)), d, p, u)
            return [gate(bi, d, p, g, u) + rec[g] for g in range(4)]

        def body(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, _, u = place
            z = sums(place, step, gate)
            after = update(place, z, stored(rings[1], ring=step).at((d, bi, u)))
            if hole is not None:
                z[3] = z[3] + hole.at((d, 2, u)) * after
            finish(cell, step, place, rings, y, [shown(d, z[3], after), after])

        def body_of_matrices(step: Dim, gate: Callable[..., Expr]) -> None:
            shape = (cell.directions, cell.batch, cell.blocks * WIDTH)
            state, output = (ctx.temp(cell.x.dtype, shape, name=f"{ctx.name}.{n}") for n in "co")
            place = cell.axes()
            axes, d, bi, p, u = place
            z = sums(place, step, gate)
            c = stored(rings[1], ring=step)
            seen = recurrence(cell, before, lambda k: c.at((d, bi, k)), d, p, u)
            here = (d, bi, u)
            after = update(place, [z[0] + seen[0], z[1] + seen[1], z[2]], c.at(here))
            ctx.kernel(axes, [Store(state, shape, here, after), Store(output, shape, here, z[3])])
            place = cell.axes()
            _, d2, b2, p2, u2 = place
            new = stored(state)
            (inner,) = recurrence(cell, behind, lambda k: new.at((d2, b2, k)), d2, p2, u2)
            there = (d2, b2, u2)
            h = shown(d2, stored(output).at(there) + inner, new.at(there))
            finish(cell, step, place, rings, y, [h, new.at(there)])

        steps(cell, w, b, body if peep is None or hole is not None else body_of_matrices)

    return run(ctx, op, inputs, 2, emit)


def rnn(ctx: Context, op: Any, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """One gate."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b = fixed[1:]
        packed = units(ctx, r)

        def body(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            (rec,) = recurrence(cell, packed, lambda k: h.at((d, bi, k)), d, p, u)
            z = cell.limit(gate(bi, d, p, 0, u) + rec)
            finish(cell, step, place, rings, y, [cell.activate(0, d, z)])

        steps(cell, w, b, body)

    return run(ctx, op, inputs, 1, emit)


def gru(ctx: Context, op: Any, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Gates z, r, n; with the reset before the product a step takes two kernels."""

    def emit(cell: Cell, rings: list[Buffer], y: Buffer | None, fixed: list[Tensor]) -> None:
        w, r, b, rb = fixed[1:]
        if op.reset_after:
            packed = units(ctx, r)
        else:
            packed, candidate = (units(ctx, gates_of(ctx, r, *ends)) for ends in ((0, 2), (2, 3)))
        inner_bias = None if rb is None else rows(ctx, alone(ctx, rb))

        def mix(z: Expr, n: Expr, h: Expr) -> Expr:
            new, old = (z, 1.0 - z) if op.update_mixes_new else (1.0 - z, z)
            return call("fma", old, h, new * n)

        def after(step: Dim, gate: Callable[..., Expr]) -> None:
            place = cell.axes()
            _, d, bi, p, u = place
            h = stored(rings[0], ring=step)
            rec = recurrence(cell, packed, lambda k: h.at((d, bi, k)), d, p, u)
            z, reset = (
                cell.activate(0, d, cell.limit(gate(bi, d, p, g, u) + rec[g])) for g in range(2)
            )
            inner = rec[2]
            if inner_bias is not None:
                inner = inner + inner_bias.at((d, 0, u))
            n = cell.activate(1, d, cell.limit(gate(bi, d, p, 2, u) + reset * inner))
            finish(cell, step, place, rings, y, [mix(z, n, h.at((d, bi, u)))])

        def before(step: Dim, gate: Callable[..., Expr]) -> None:
            shape = (cell.directions, cell.batch, cell.blocks * WIDTH)
            update = ctx.temp(cell.x.dtype, shape, name=f"{ctx.name}.z")
            reset = ctx.temp(cell.x.dtype, shape, name=f"{ctx.name}.rh")
            axes, d, bi, p, u = cell.axes()
            h = stored(rings[0], ring=step)
            rec = recurrence(cell, packed, lambda k: h.at((d, bi, k)), d, p, u)
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
            (inner,) = recurrence(cell, candidate, lambda k: rh.at((d2, b2, k)), d2, p2, u2)
            n = cell.activate(1, d2, cell.limit(gate(b2, d2, p2, 2, u2) + inner))
            new = mix(stored(update).at((d2, b2, u2)), n, h.at((d2, b2, u2)))
            finish(cell, step, place, rings, y, [new])

        steps(cell, w, b, after if op.reset_after else before)

    return run(ctx, op, inputs, 1, emit)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {ops.LSTM: lstm, ops.RNN: rnn, ops.GRU: gru}
