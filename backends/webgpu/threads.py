"""What a thread computes: the points of a kernel that fall to it, in vectors of four and tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webconv.backends.expr import Expr
from webconv.backends.kernel import Axis, Buffer, Kernel
from webconv.backends.linearise import (
    LANE,
    LANES,
    Access,
    Emitter,
    For,
    Layout,
    Literal,
    Operand,
    Ref,
    Statement,
    constant_term,
    is_multiple,
    unrolled,
)
from webconv.backends.webgpu.text import variable
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

THREAD = Ref("thread", "i32")
STRIDE = Ref("stride", "i32")


@dataclass(frozen=True)
class Schedule:
    """How the points of a kernel become threads.

    `lanes` consecutive points of the last axis, and `tile[1]` of axis `tile[0]`, are one thread's.
    `fixed` maps axes to variables that the group's frame sets.
    """

    lanes: int = 1
    tile: tuple[str, int] | None = None
    fixed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Place:
    """Elements lie from `base` of a binding on, `stride` apart; it is in fours if `vector`."""

    base: Dim = 0
    stride: int = 1
    vector: bool = False


@dataclass(frozen=True)
class Share(For):
    """The loop over a thread's points: it starts at `thread` and advances by `stride`."""


@dataclass(frozen=True)
class Once:
    """Statements of a kernel with a single point, for the first thread."""

    body: tuple[Statement, ...]


class PlacedEmitter(Emitter):
    """An Emitter that knows where buffers lie. A `vector` access counts in fours."""

    def __init__(self, places: Mapping[Buffer, Place]) -> None:
        super().__init__(Layout())
        self.places = places

    def access(self, buffer: Buffer, offset: Dim, ring: Dim | None, guard: Expr | None) -> Access:
        """How `offset` of `buffer` is reached."""
        if ring is not None and buffer.ring > 1:
            offset = offset + dims.mod(ring, 2) * buffer.size
        place = self.places.get(buffer, Place())
        offset = offset * place.stride + place.base
        condition = None if guard is None else self.expr(guard)
        kind, base = self._kind(buffer, offset)
        if kind == "unit" and place.vector and is_multiple(base, LANES):
            kind, base = "vector", _quarter(base)
        constant = constant_term(base)
        if dims.bounds(base - constant)[0] < 0:
            constant = 0
        address = self.dim(base - constant)
        return Access(buffer, kind, address, constant, condition, None)


def _quarter(d: Dim) -> Dim:
    """A multiple of four in fours."""
    if isinstance(d, int):
        return d // LANES
    parts = (dims.product([c // LANES, *map(dims.atom, monomial)]) for monomial, c in d.terms)
    return sum(parts, 0)


def points(kernel: Kernel, schedule: Schedule) -> list[tuple[Axis, int]]:
    """The axes that threads are spread over, and how many points of each are one thread's."""
    fixed = {name for name, _ in schedule.fixed}
    free = [a for a in kernel.axes if a.symbol.name not in fixed]
    factors = dict([schedule.tile] if schedule.tile else [])
    if schedule.lanes > 1:
        factors[kernel.axes[-1].symbol.name] = schedule.lanes
    return [(a, factors.get(a.symbol.name, 1)) for a in free]


def threads(kernel: Kernel, schedule: Schedule) -> Dim:
    """The number of threads that have work."""
    return dims.product(dims.ceildiv(a.extent, n) for a, n in points(kernel, schedule))


def statements(
    kernel: Kernel, schedule: Schedule, places: Mapping[Buffer, Place], outer: Sequence[str] = ()
) -> list[Statement | Once]:
    """A loop over a thread's share of the points; `outer` are loop indices around the kernel."""
    em = PlacedEmitter(places)
    for ref in (THREAD, STRIDE):
        em.depths[ref] = 0
    for name, shown in (*schedule.fixed, *((n, variable(n)) for n in outer)):
        em.scopes[0].names[name] = Ref(shown, "i32")
        em.depths[Ref(shown, "i32")] = 0
    if schedule.lanes > 1:
        em.scopes[0].names[LANE.name] = em.lane_index()
    split = points(kernel, schedule)
    copies, blocks = _copies(split, kernel.axes[-1] if schedule.lanes > 1 else None)
    if not blocks:
        em.stores(unrolled(kernel, copies))
        return [Once(tuple(em.scopes[0].statements))]

    def body() -> None:
        _bind_blocks(em, blocks)
        em.stores(unrolled(kernel, copies))

    total = em.dim(dims.product(n for _, n in blocks))
    em.loop("%point", THREAD, total, 1, body)
    loop = em.scopes[0].statements.pop()
    assert isinstance(loop, For)
    return [*em.scopes[0].statements, Share(**vars(loop))]


def _copies(
    split: Sequence[tuple[Axis, int]], lane: Axis | None
) -> tuple[list[dict[str, Dim]], list[tuple[Symbol, Dim]]]:
    """The axes' values for each point of a thread, and the blocks that threads run over."""
    copies: list[dict[str, Dim]] = [{}]
    blocks: list[tuple[Symbol, Dim]] = []
    for a, n in split:
        name = a.symbol.name
        if n == 1:
            blocks.append((a.symbol, a.extent))
            continue
        count = dims.ceildiv(a.extent, n)
        block = Symbol(f"{name}.block", count)
        if count != 1:
            blocks.append((block, count))
        first = dims.atom(block) * n if count != 1 else 0
        if a is lane:
            copies = [{**c, name: first + dims.atom(LANE)} for c in copies]
        else:
            copies = [
                {**c, name: _limited(first + k, k, a.extent, n)} for c in copies for k in range(n)
            ]
    return copies, blocks


def _limited(index: Dim, k: int, extent: Dim, n: int) -> Dim:
    """The last tile may reach beyond the end: it then does the last point again."""
    if k == 0 or dims.mod(extent, n) == 0:
        return index
    return dims.minimum(index, extent - 1)


def _bind_blocks(em: Emitter, blocks: Sequence[tuple[Symbol, Dim]]) -> None:
    """Takes a point's number apart; the last axis runs fastest."""
    rest: Operand = em.lookup("%point")
    names = em.scopes[-1].names
    for k in range(len(blocks) - 1, 0, -1):
        symbol, extent = blocks[k]
        size = em.dim(extent)
        whole = em.let("udiv", (rest, size), "i32")
        names[symbol.name] = _remainder(em, rest, size)
        rest = whole
    if blocks:
        names[blocks[0][0].name] = rest


def _remainder(em: Emitter, a: Operand, b: Operand) -> Operand:
    if isinstance(b, Literal) and int(b.value) & (int(b.value) - 1) == 0:
        return em.let("and", (a, Literal(int(b.value) - 1, "i32")), "i32")
    return em.let("rem", (a, b), "i32")
