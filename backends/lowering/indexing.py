"""Gathers are views with computed indices; scatters fold over the updates; scans are loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webconv.backends.expr import Const, Expr, Index, as_index, call, select
from webconv.backends.kernel import Loop, Store
from webconv.backends.lowering.elementwise import narrow, scalar
from webconv.backends.lowering.reduction import sort_key
from webconv.backends.tensor import LOOP_COST, Context, Tensor, guarded, reindex, stored, view
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim, Symbol
from webconv.ir.op import Op


def index_value(value: Expr, n: Dim) -> Expr:
    """An i32 index in which negative ones count from the end."""
    i = value if value.type == "i32" else call("i32", value)
    return select(i < 0, i + Index(n), i)


def clamped(value: Expr, n: Dim) -> Dim:
    """A computed index, limited to [0, n)."""
    i = index_value(value, n)
    return as_index(call("max", call("min", i, Index(n - 1)), 0), n)


def readable(ctx: Context, t: Tensor) -> Tensor:
    """`t`, stored unless reading an element again costs no more than a load."""
    return ctx.store(t) if t.cost else t


def gather(ctx: Context, op: Any, data: Tensor, indices: Tensor) -> Tensor:
    """A view of the data."""
    data, indices = readable(ctx, data), readable(ctx, indices)
    axis = op.axis % data.rank
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])

    def at(index: tuple[Dim, ...]) -> Expr:
        inner = index[axis : axis + indices.rank]
        where = clamped(indices.at(inner), data.shape[axis])
        return data.at((*index[:axis], where, *index[axis + indices.rank :]))

    return view(data, shape, at)


def gather_elements(ctx: Context, op: Any, data: Tensor, indices: Tensor) -> Tensor:
    """A view of the data."""
    data, indices = readable(ctx, data), readable(ctx, indices)
    axis = op.axis % data.rank

    def at(index: tuple[Dim, ...]) -> Expr:
        where = clamped(indices.at(index), data.shape[axis])
        return data.at((*index[:axis], where, *index[axis + 1 :]))

    return view(data, indices.shape, at)


def gather_nd(ctx: Context, op: Any, data: Tensor, indices: Tensor) -> Tensor:
    """A view of the data."""
    data, indices = readable(ctx, data), readable(ctx, indices)
    b, k = op.batch_dims, indices.shape[-1]
    assert isinstance(k, int)
    tuples = indices.rank - 1

    def at(index: tuple[Dim, ...]) -> Expr:
        where = (clamped(indices.at((*index[:tuples], j)), data.shape[b + j]) for j in range(k))
        return data.at((*index[:b], *where, *index[tuples:]))

    return view(data, (*indices.shape[:-1], *data.shape[b + k :]), at)


REDUCE: dict[str, Callable[[Expr, Expr], Expr]] = {
    "none": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": scalar(ops.Max()),
    "min": scalar(ops.Min()),
}


def scatter_elements(
    ctx: Context, op: Any, data: Tensor, indices: Tensor, updates: Tensor
) -> Tensor:
    """Each output element folds over the updates that could reach it, in order."""
    indices, updates = readable(ctx, indices), readable(ctx, updates)
    axis = op.axis % data.rank
    combine, symbol = REDUCE[op.reduction], ctx.symbol(indices.shape[axis])

    def at(index: tuple[Dim, ...]) -> Expr:
        inside: Expr = Const(True, "bool")
        for a, (i, n, m) in enumerate(zip(index, indices.shape, data.shape, strict=True)):
            if a != axis and n != m:
                inside = inside & (Index(i) < Index(n))

        def step(k: Dim, acc: Expr) -> Expr:
            source = (*index[:axis], k, *index[axis + 1 :])
            target = index_value(guarded(indices.at(source), inside), data.shape[axis])
            hit = call("eq", target, Index(index[axis])) & inside
            return select(
                hit, narrow(combine(acc, guarded(updates.at(source), hit)), data.dtype), acc
            )

        return ctx.fold(indices.shape[axis], data.at(index), step, None, symbol)

    return Tensor(data.dtype, data.shape, at, LOOP_COST)


def scatter_nd(ctx: Context, op: Any, data: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Each output element folds over all updates, in order."""
    indices, updates = readable(ctx, indices), readable(ctx, updates)
    k = indices.shape[-1]
    assert isinstance(k, int)
    if op.reduction == "none" and k < data.rank:
        return replaced_rows(ctx, data, indices, updates)
    combine = REDUCE[op.reduction]
    symbols = [ctx.symbol(n) for n in indices.shape[:-1]]

    def at(index: tuple[Dim, ...]) -> Expr:
        def level(at: tuple[Dim, ...], acc: Expr) -> Expr:
            if len(at) < len(symbols):
                n, s = indices.shape[len(at)], symbols[len(at)]
                return ctx.fold(n, acc, lambda i, a: level((*at, i), a), None, s)
            hit: Expr = Const(True, "bool")
            for j in range(k):
                target = index_value(indices.at((*at, j)), data.shape[j])
                hit = hit & call("eq", target, Index(index[j]))
            update = guarded(updates.at((*at, *index[k:])), hit)
            return select(hit, narrow(combine(acc, update), data.dtype), acc)

        return level((), data.at(index))

    return Tensor(data.dtype, data.shape, at, LOOP_COST)


def replaced_rows(ctx: Context, data: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """data with rows replaced: each row first finds its last update, then elements read it."""
    k = indices.shape[-1]
    assert isinstance(k, int)
    lead = indices.shape[:-1]
    symbols = [ctx.symbol(n) for n in lead]

    def source(index: tuple[Dim, ...]) -> Expr:
        def level(at: tuple[Dim, ...], acc: Expr) -> Expr:
            if len(at) < len(symbols):
                n, s = lead[len(at)], symbols[len(at)]
                return ctx.fold(n, acc, lambda i, a: level((*at, i), a), None, s)
            hit: Expr = Const(True, "bool")
            for j in range(k):
                target = index_value(indices.at((*at, j)), data.shape[j])
                hit = hit & call("eq", target, Index(index[j]))
            flat: Dim = 0
            for i, n in zip(at, lead, strict=True):
                flat = flat * n + i
            return select(hit, Index(flat), acc)

        return level((), Const(-1, "i32"))

    count = dims.product(lead)
    rows = ctx.store(Tensor(dtypes.i32, data.shape[:k], source, LOOP_COST))
    data = readable(ctx, data)

    def at(index: tuple[Dim, ...]) -> Expr:
        row = rows.at(index[:k])
        where = as_index(call("max", row, 0), count)
        update = reindex((where, *index[k:]), (count, *data.shape[k:]), updates.shape)
        found = row >= 0
        return select(found, guarded(updates.at(update), found), data.at(index))

    return Tensor(data.dtype, data.shape, at, 4)


def search_sorted(ctx: Context, op: Any, ascending: Tensor, values: Tensor) -> Tensor:
    """A binary search: bit by bit, the largest count whose last element still comes before."""
    ascending = readable(ctx, ascending)
    n = ascending.shape[0]
    bits = n.bit_length() if isinstance(n, int) else 31

    def at(index: tuple[Dim, ...]) -> Expr:
        value = values.at(index)

        def step(k: Dim, count: Expr) -> Expr:
            probe = count + call("shl", Const(1, "i32"), Index(bits - 1 - k))
            # Without overflow: counts stay at most n.
            inside = (probe > 0) & (probe <= Index(n))
            last = as_index(select(inside, probe - 1, 0), n)
            element = guarded(ascending.at((last,)), inside)
            before = element <= value if op.right else element < value
            return select(inside & before, probe, count)

        return ctx.fold(bits, Const(0, "i32"), step)

    return Tensor(dtypes.i32, values.shape, at, LOOP_COST)


def running(ctx: Context, op: Any, x: Tensor) -> Tensor:
    """A loop along the axis that carries the running sums or products."""
    axis = op.axis % x.rank
    n = x.shape[axis]
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    total = ctx.temp(x.dtype, rest, ring=2, name=f"{ctx.name}.{type(op).__name__[3:].lower()}")
    out = ctx.temp(x.dtype, x.shape)
    zero_ring(ctx, total, op.start)
    step = ctx.symbol(n, "s")
    s = dims.atom(step)
    axes = ctx.axes(rest)
    index = tuple(0 if a.extent == 1 else a.index for a in axes)
    full = (*index[:axis], n - 1 - s if op.reverse else s, *index[axis:])
    before = stored(total, ring=s).at(index)
    own = x.at(full)
    after = narrow(before * own if isinstance(op, ops.CumProd) else before + own, x.dtype)
    stores = [
        Store(total, rest, index, after, ring=s + 1),
        Store(out, x.shape, full, before if op.exclusive else after),
    ]
    loop(ctx, step, n, lambda: ctx.kernel(axes, stores))
    return stored(out)


def zero_ring(ctx: Context, ring: object, value: int = 0) -> None:
    """Set the first copy of a double buffer to a value."""
    from webconv.backends.kernel import COMPUTE, Buffer

    assert isinstance(ring, Buffer)
    first = {"f32": float(value), "bool": bool(value)}.get(COMPUTE[ring.dtype.name], value)
    axes = ctx.axes(ring.shape)
    index = tuple(0 if a.extent == 1 else a.index for a in axes)
    ctx.kernel(axes, [Store(ring, ring.shape, index, Const(first, ring.compute), ring=0)])


def loop(ctx: Context, step: Symbol, count: Dim, body: Callable[[], None]) -> None:
    """Emit a Loop of the steps that `body` emits."""
    outer, ctx.steps = ctx.steps, []
    body()
    inner, ctx.steps = ctx.steps, outer
    if inner and count != 0:
        ctx.steps.append(Loop(step, count, tuple(inner)))


def top_k(ctx: Context, op: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """k rounds, each finding the best element that comes after the one found before."""
    x = readable(ctx, x)
    axis = op.axis % x.rank
    n = x.shape[axis]
    shape = (*x.shape[:axis], op.k, *x.shape[axis + 1 :])
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    picked = ctx.temp(dtypes.i32, rest, ring=2, name=f"{ctx.name}.picked")
    out = ctx.temp(dtypes.i32, shape, name=f"{ctx.name}.indices")
    zero_ring(ctx, picked)
    step, candidates = ctx.symbol(op.k, "s"), ctx.symbol(n)
    s = dims.atom(step)
    axes = ctx.axes(rest)
    index = tuple(0 if a.extent == 1 else a.index for a in axes)

    def key(k: Dim) -> Expr:
        value = sort_key(x.at((*index[:axis], k, *index[axis:])))
        return value if op.largest else call("not", value)  # ~k turns the order around

    previous = stored(picked, ring=s).at(index)
    last = key(as_index(previous, n))

    def better(k: Dim, best: Expr) -> Expr:
        own, i = key(k), Index(k)
        after = (own < last) | (call("eq", own, last) & (i > previous))
        fresh = after | call("eq", Index(s), 0)
        beats = (best < 0) | (own > key(as_index(call("max", best, 0), n)))
        return select(fresh & beats, i, best)

    best = ctx.fold(n, Const(-1, "i32"), better, None, candidates)
    full = (*index[:axis], s, *index[axis:])
    stores = [Store(picked, rest, index, best, ring=s + 1), Store(out, shape, full, best)]
    loop(ctx, step, op.k, lambda: ctx.kernel(axes, stores))
    indices = stored(out)

    def at(index: tuple[Dim, ...]) -> Expr:
        return x.at((*index[:axis], as_index(indices.at(index), n), *index[axis + 1 :]))

    return Tensor(x.dtype, shape, at), indices


LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.Gather: gather,
    ops.GatherElements: gather_elements,
    ops.GatherND: gather_nd,
    ops.ScatterElements: scatter_elements,
    ops.ScatterND: scatter_nd,
    ops.CumProd: running,
    ops.CumSum: running,
    ops.SearchSorted: search_sorted,
    ops.TopK: top_k,
}
