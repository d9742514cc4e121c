"""How a kernel's index space becomes loops on wasm.

One loop per axis, the last in vectors of four with a scalar loop for the rest; a short last axis
(the lanes of a weight panel) is unrolled. A product is unrolled by four rows, or panels where rows
are few, which keeps eight accumulators in registers.
"""

from __future__ import annotations

from webconv.backends.expr import Load
from webconv.backends.kernel import Axis, Kernel
from webconv.backends.linearise import LANE, LANES, Emitter, unrolled
from webconv.backends.wasm.folds import in_lanes, join_nested, prefers_lanes
from webconv.backends.wasm.padding import interior, shorten
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

Copies = list[dict[str, Dim]]
SHORT = 16


def vectorises(kernel: Kernel) -> bool:
    """True if the last axis can run in lanes: 32-bit elements, stored one after the other."""
    if not kernel.axes:
        return False
    lane = kernel.axes[-1]
    if any(e.type in ("i64", "u64") for e in kernel.exprs):
        return False
    if any(isinstance(e, Load) and e.buffer.compute in ("i64", "u64") for e in kernel.exprs):
        return False
    if isinstance(lane.extent, int) and lane.extent < LANES:
        return False
    if divides_lanes(kernel, lane):
        return False
    return all(stride(s.offset, lane) == 1 for s in kernel.stores)


def divides_lanes(kernel: Kernel, lane: Axis) -> bool:
    """True if an index divides by what varies with the lane: there is no vector division."""
    every = [d for e in kernel.exprs for d in e.index_dims] + [s.offset for s in kernel.stores]
    found = (a for d in every for a in dims.atoms(d) if isinstance(a, dims.Apply))
    return any(lane.symbol.name in dims.symbols(a.a, a.b) for a in found)


def stride(offset: Dim, axis: Axis) -> Dim | None:
    """The coefficient of an axis, or None if the offset is not linear in it."""
    name = axis.symbol.name
    step = dims.bind(offset, {name: 1}) - dims.bind(offset, {name: 0})
    rest = offset - dims.atom(axis.symbol) * step
    return step if name not in dims.symbols(rest, step) else None


def emit_kernel(emitter: Emitter, kernel: Kernel) -> None:
    """Emit the loops and stores of `kernel`."""
    tiles = dict(kernel.tiles)
    kernel = join_nested(shorten(kernel, _unrolled_axes(kernel)))
    inner = _interior(kernel)
    if not vectorises(kernel) or prefers_lanes(kernel if inner is None else inner):
        scalar_loops(emitter, kernel, 0, [{}], tiles)
        return
    emitter.scopes[0].names[LANE.name] = emitter.lane_index()
    loops(emitter, kernel, 0, [{}], tiles)


def _unrolled_axes(kernel: Kernel) -> frozenset[str]:
    """The axes along which several outputs may be computed by one loop."""
    tiles = dict(kernel.tiles)
    small = {
        a.symbol.name
        for a in kernel.axes[:-1]
        if isinstance(a.extent, int) and a.extent < tiles.get(a.symbol.name, 1)
    }
    return frozenset({*tiles, *(a.symbol.name for a in kernel.axes[-1:])} - small)


def _interior(kernel: Kernel) -> Kernel | None:
    """The kernel of the interior of its first unrolled axis."""
    tiles = dict(kernel.tiles)
    for axis in kernel.axes:
        factor = tiles.get(axis.symbol.name, 1)
        if factor > 1 and (found := interior(kernel, axis, factor, axis.extent)):
            return join_nested(found[2])
    return None


def loops(
    emitter: Emitter, kernel: Kernel, depth: int, copies: Copies, tiles: dict[str, int]
) -> None:
    """The loops from axis `depth` on, around unrolled copies."""
    axis = kernel.axes[depth]
    if depth == len(kernel.axes) - 1:
        lanes(emitter, kernel, axis, copies)
        return
    tiled(emitter, kernel, depth, copies, tiles, loops)


def scalar_loops(
    emitter: Emitter, kernel: Kernel, depth: int, copies: Copies, tiles: dict[str, int]
) -> None:
    """As `loops`, but for the terms of sums in lanes instead of the outputs."""
    if depth == len(kernel.axes):
        summed = in_lanes(kernel)
        if summed is not kernel:
            emitter.scopes[0].names[LANE.name] = emitter.lane_index()
        emitter.stores(unrolled(summed, copies))
        return
    tiled(emitter, kernel, depth, copies, tiles, scalar_loops)


def tiled(emitter, kernel, depth, copies, tiles, inner) -> None:  # type: ignore[no-untyped-def]
    """A loop over an axis by its tile factor, and one for the rest."""
    axis = kernel.axes[depth]
    name, extent = axis.symbol.name, axis.extent
    factor = tiles.get(name, 1)
    rest = {n: f for n, f in tiles.items() if n != name}
    if isinstance(extent, int) and extent < factor:
        factor = 1
    start: Dim = 0
    if factor > 1:
        start = extent - dims.mod(extent, factor)
        index = dims.atom(axis.symbol)
        grown = [{**c, name: index + k} for c in copies for k in range(factor)]
        between(
            *(emitter, kernel, axis, start, factor),
            lambda k: inner(emitter, k, depth + 1, grown, {}),
        )
    if start != extent:
        run(
            emitter, axis, start, extent, 1, lambda: inner(emitter, kernel, depth + 1, copies, rest)
        )


def between(  # type: ignore[no-untyped-def]
    emitter: Emitter, kernel: Kernel, axis: Axis, stop: Dim, factor: int, body
) -> None:
    """A loop over [0, stop), the interior apart where padding need not be asked for."""
    found = interior(kernel, axis, factor, stop)
    if found is None:
        run(emitter, axis, 0, stop, factor, lambda: body(kernel))
        return
    low, high, bare = found
    bare = join_nested(bare)
    run(emitter, axis, low, high, factor, lambda: body(bare))
    # Both ends by one text: the second time round from `high` on.
    side = Symbol(f"{axis.symbol.name}s", 2)
    first, end = dims.atom(side) * high, low + dims.atom(side) * (stop - low)
    if low == 0 or high == stop:
        first, end = (high, stop) if low == 0 else (0, low)
        run(emitter, axis, first, end, factor, lambda: body(kernel))
        return
    ends = (emitter.dim(0), emitter.dim(2), 1)
    emitter.loop(
        side.name, *ends, lambda: run(emitter, axis, first, end, factor, lambda: body(kernel))
    )


def run(emitter, axis, start, stop, step, body) -> None:  # type: ignore[no-untyped-def]
    """A loop over [start, stop)."""
    emitter.loop(axis.symbol.name, emitter.dim(start), emitter.dim(stop), step, body)


def lanes(emitter: Emitter, kernel: Kernel, axis: Axis, copies: Copies) -> None:
    """The innermost loop."""
    name, extent = axis.symbol.name, axis.extent
    lane = dims.atom(LANE)
    if isinstance(extent, int) and extent % LANES == 0 and extent <= SHORT:
        starts = range(0, extent, LANES)
        emitter.stores(unrolled(kernel, [{**c, name: lane + k} for k in starts for c in copies]))
        return
    index = dims.atom(axis.symbol)
    whole = extent - dims.mod(extent, LANES)
    vector = [{**c, name: index + lane} for c in copies]
    run(emitter, axis, 0, whole, LANES, lambda: emitter.stores(unrolled(kernel, vector)))
    if whole != extent:
        run(emitter, axis, whole, extent, 1, lambda: emitter.stores(unrolled(kernel, copies)))
