"""Draws: kernels in gather form, each fragment computing four consecutive elements.

A fragment's texel is `%q`; its elements are `4 * %q + lane`. `points` tell what the kernel's axes
are there. The last axis carries the lane if its extent is a multiple of four (or it is the only
one); otherwise the axes differ from lane to lane.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from webconv.backends.expr import Expr, Load, rewrite, walk
from webconv.backends.kernel import Axis, Buffer, Kernel, Store
from webconv.backends.linearise import LANE, LANES, is_multiple
from webconv.backends.webgl.placement import coordinates, invert, names, ordered
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol
from webconv.ir.errors import GraphError

MOST_TARGETS = 4
TEXEL = "%q"


@dataclass(frozen=True)
class Target:
    """`value` is what a fragment gives for its texel of `buffer` (of copy `ring mod 2`)."""

    buffer: Buffer
    value: Expr
    ring: Dim | None = None


@dataclass(frozen=True)
class Draw:
    """One draw call into up to four targets of `size` elements each.

    `points` define symbols, later ones by earlier ones; they may hold `%q` and the lane. In
    `stacked` targets every iteration of a loop has a block of its own.
    """

    name: str
    computes: str
    targets: tuple[Target, ...]
    size: Dim
    points: tuple[tuple[str, Dim], ...]
    stacked: bool

    @cached_property
    def exprs(self) -> tuple[Expr, ...]:
        """Every distinct expression, operands first."""
        return tuple(walk(*(t.value for t in self.targets)))

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """Every distinct load."""
        return tuple(e for e in self.exprs if isinstance(e, Load))

    @property
    def texels(self) -> Dim:
        """The number of fragments that have work."""
        return dims.ceildiv(self.size, LANES)


def draws(kernel: Kernel, history: Collection[Buffer]) -> list[Draw]:
    """The draws that compute a kernel: its stores in groups of equal placement."""
    groups: dict[object, list[Store]] = {}
    for store in kernel.stores:
        groups.setdefault(_placement(kernel, store, history), []).append(store)
    return [
        _draw(kernel, stores[k : k + MOST_TARGETS], stores[0].buffer in history)
        for stores in groups.values()
        for k in range(0, len(stores), MOST_TARGETS)
    ]


def _placement(kernel: Kernel, store: Store, history: Collection[Buffer]) -> object:
    """What stores of one draw have in common. The sizes of states' textures are not the plan's."""
    order = ordered(store.offset, kernel.axes)
    where = (store.index, store.shape) if order is None else order
    block = store.ring if store.buffer in history else None
    state = store.buffer.size if store.buffer.kind == "state" else None
    return where, store.buffer in history, block, state


def _draw(kernel: Kernel, stores: Sequence[Store], stacked: bool) -> Draw:
    first = stores[0]
    order = ordered(first.offset, kernel.axes)
    values = [flattened(s.value) for s in stores]
    if order is not None:
        order, values = _collapse(order, values)
        points, swap = split(order)
        values = [_numbered(v, order, swap) for v in values]
        size = dims.product(a.extent for a in order)
    else:
        coords = coordinates(first)
        inverse = invert(first, dict(names(kernel.axes)), coords)
        if inverse is None:
            raise GraphError(f"{kernel.name}: no fragment can tell its point from {first.index}")
        live = tuple(c for c in coords if c.extent != 1)
        points, swap = split(live)
        extents = dict(names(kernel.axes))
        for name, d in inverse.solution.items():
            _define(name, dims.bind(d, swap), extents[name], points, swap)
        size = dims.product(first.shape)
    targets = (
        Target(s.buffer, placed(v, swap), s.ring) for s, v in zip(stores, values, strict=True)
    )
    return Draw(kernel.name, kernel.computes, tuple(targets), size, tuple(points), stacked)


def split(order: Sequence[Axis]) -> tuple[list[tuple[str, Dim]], dict[str, Dim]]:
    """(definitions, replacements) of row-major `order`, whose last axis may carry the lane."""
    points: list[tuple[str, Dim]] = []
    swap: dict[str, Dim] = {}
    if not order:
        return points, swap
    total = dims.product(a.extent for a in order)
    number: Dim = dims.atom(Symbol(TEXEL, dims.ceildiv(total, LANES)))
    digits = [(a.symbol.name, a.extent) for a in order]
    last = order[-1]
    if len(order) == 1 or is_multiple(last.extent, LANES):
        extent = dims.ceildiv(last.extent, LANES)
        quarter = Symbol(f"{last.symbol.name}.q", extent)
        first = 0 if extent == 1 else dims.atom(quarter) * LANES
        swap[last.symbol.name] = first + dims.atom(LANE)
        digits[-1] = (quarter.name, extent)
    else:
        number = number * LANES + dims.atom(LANE)
    below: Dim = 1
    for k in range(len(digits) - 1, -1, -1):
        name, extent = digits[k]
        whole = dims.floordiv(number, below)
        below = below * extent
        points.append((name, whole if k == 0 else whole - extent * dims.floordiv(number, below)))
    return points, swap


def _define(
    name: str, d: Dim, extent: Dim, points: list[tuple[str, Dim]], swap: dict[str, Dim]
) -> None:
    """Make `name` stand for `d`; if that is aligned, as quarters and a lane."""
    rest = d - dims.atom(LANE)
    if LANE.name not in dims.symbols(rest) and is_multiple(rest, LANES):
        quarter = Symbol(f"{name}.q", dims.ceildiv(extent, LANES))
        points.append((quarter.name, dims.floordiv(rest, LANES)))
        swap[name] = dims.atom(quarter) * LANES + dims.atom(LANE)
    else:
        points.append((name, d))


def flattened(e: Expr) -> Expr:
    """`e` with every load by its flat index."""

    def flat(x: Expr) -> Expr | None:
        if not isinstance(x, Load) or len(x.index) == 1:
            return None
        guard = None if x.guard is None else flattened(x.guard)
        whole = Load(x.buffer, (dims.product(x.shape),), (x.offset,), guard, x.ring, x.type)
        return rewrite(whole, lambda y: flat(y) if y is not whole else None)

    return rewrite(e, flat)


def placed(e: Expr, swap: dict[str, Dim]) -> Expr:
    """`e` with axes replaced."""
    if not swap:
        return e
    return rewrite(e, lambda x: None if x.free & swap.keys() else x, lambda d: dims.bind(d, swap))


def _collapse(order: tuple[Axis, ...], values: list[Expr]) -> tuple[tuple[Axis, ...], list[Expr]]:
    """Neighbours that only appear as one index, `a * extent + b`, become one axis."""
    k = 0
    while k + 1 < len(order):
        a, b = order[k], order[k + 1]
        joined = a.index * b.extent + b.index
        there = {a.symbol.name: 0, b.symbol.name: joined}
        if all(dims.bind(d, there) == d for d in _dims(values)):
            both = Symbol(f"{a.symbol.name}.{b.symbol.name}", a.extent * b.extent)
            swap: dict[str, Dim] = {a.symbol.name: 0, b.symbol.name: dims.atom(both)}
            values = [placed(v, swap) for v in values]
            order = (*order[:k], Axis(both, a.extent * b.extent), *order[k + 2 :])
            k = max(0, k - 1)
        else:
            k += 1
    return order, values


def _numbered(value: Expr, order: Sequence[Axis], swap: Mapping[str, Dim]) -> Expr:
    """`value` where an index that is a point's number takes it from the fragment's."""
    number: Dim = 0
    for a in order:
        number = number * a.extent + a.index
    axes = {a.symbol.name for a in order}
    if len(order) < 2 or swap:
        return value
    total = dims.product(a.extent for a in order)
    own = dims.atom(Symbol(TEXEL, dims.ceildiv(total, LANES))) * LANES + dims.atom(LANE)

    def on_dim(d: Dim) -> Dim:
        return d - number + own if axes.isdisjoint(dims.symbols(d - number)) else d

    return rewrite(value, lambda x: None, on_dim)


def _dims(values: Iterable[Expr]) -> list[Dim]:
    return [d for e in walk(*values) for d in e.index_dims]
