"""Statements of a draw: an Emitter whose loads fetch texels.

Elements that lie in the same texel are fetched once. A single element is a component of a texel;
if the compiler knows which, it costs nothing beyond the fetch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from webconv.backends.expr import Fold, Load
from webconv.backends.kernel import Buffer
from webconv.backends.linearise import (
    LANE,
    LANES,
    Access,
    Emitter,
    Layout,
    Let,
    LoadTo,
    Operand,
    Ref,
    is_multiple,
)
from webconv.backends.webgl.draws import TEXEL, Draw
from webconv.backends.webgl.placement import constant_term, map_coefficients
from webconv.ir import dims
from webconv.ir.dims import Dim

# Texels in a row of a texture that is only read.
ROW = 4096


@dataclass(frozen=True)
class Sampler:
    """A texture as a shader reads it: a copy of `buffer`, picked by `ring`."""

    buffer: Buffer
    ring: Dim | None = None


@dataclass(frozen=True)
class Fetch(Access):
    """How texels are reached.

    `kind` is texel (`address` counts texels, or is the place of one), uniform (one element) or each
    (four elements). In a texture of blocks, `origin` is where the block begins. If the copy differs
    from fragment to fragment, `ring` picks it among `samplers`, and `origin` is a block's size.
    """

    samplers: tuple[Sampler, ...] = ()
    origin: Operand | None = None


class Texels(Emitter):
    """The statements that compute a draw's values; `samplers` in order of appearance."""

    def __init__(self, draw: Draw, history: Collection[Buffer]) -> None:
        super().__init__(Layout(aligned_vectors=True, separate_rings=True))
        self.points: Mapping[str, Dim] = dict(draw.points)
        self.history = history
        self.samplers: dict[Sampler, None] = {}
        self.inner = {*self.points, TEXEL, LANE.name}
        self.bind(LANE.name, self.lane_index())

    def bind(self, name: str, operand: Operand) -> None:
        """Make a symbol stand for an operand."""
        self.scopes[0].names[name] = operand
        if isinstance(operand, Ref):
            self.depths.setdefault(operand, 0)

    def define(self, name: str, let: Let) -> None:
        """Make a symbol stand for the value of a statement."""
        self.scopes[0].statements.append(let)
        self.bind(name, let.target)

    def lookup(self, name: str) -> Operand:
        """The operand of a symbol; the kernel's axes are computed when they are first needed."""
        if name in self.points and all(name not in s.names for s in self.scopes):
            self.scopes[0].names[name] = self.dim(self.points[name])
        return super().lookup(name)

    def _lanes(self, f: Fold, init: Operand) -> bool:
        # In order: what is computed first gets the first name.
        for name in sorted(f.next.free & self.points.keys()):
            self.lookup(name)
        return super()._lanes(f, init)

    def _load(self, e: Load) -> Operand:
        guard = None if e.guard is None else self.expr(e.guard)
        samplers, ring, origin = self._source(e)
        kind, base = self._kind(e.buffer, e.offset)

        def fetch(kind: str, address: Operand, constant: int = 0) -> Ref:
            access = Fetch(e.buffer, kind, address, constant, guard, ring, samplers, origin)
            return self._fetch(e.type, access)

        if kind == "unit":
            return fetch("texel", *self._quarter(base, e.buffer))
        constant = constant_term(base)
        alike = kind == "uniform" and ring is None and (guard is None or guard.lanes == 1)
        if alike and is_multiple(base - constant, LANES):
            texel = fetch("texel", *self._quarter(base - constant % LANES, e.buffer))
            return self._component(texel, constant % LANES)
        return fetch(kind, self.dim(base))

    def _quarter(self, base: Dim, buffer: Buffer) -> tuple[Operand, int]:
        """The texel that the element `base` begins: an operand (its number or place), a constant.

        Neighbours in a texture that is only read share the sums for their place.
        """
        texel = dims.floordiv(base, LANES)
        constant = constant_term(texel)
        first = self.dim(texel - constant)
        if is_line(buffer) and _stays_in_row(texel - constant, constant):
            small = dims.bounds(buffer.size)[1] <= ROW * LANES
            return self.let("at_row" if small else "at_line", (first,), "ivec2"), constant
        return first, constant

    def _fetch(self, type: str, access: Fetch) -> Ref:
        depth = self.depth_of([access.address, access.guard, access.ring, access.origin])
        scope = self.scopes[depth]
        if access not in scope.lets:
            operands = (access.address, access.guard, access.ring)
            lanes = max(o.lanes for o in operands if o is not None)
            lanes = 1 if access.kind == "uniform" and lanes == 1 else LANES
            target = self.ref("x", type, lanes, depth)
            scope.statements.append(LoadTo(target, access))
            scope.lets[access] = target
        found = scope.lets[access]
        assert isinstance(found, Ref)
        return found

    def _component(self, texel: Ref, k: int) -> Ref:
        part = Ref(f"{texel.name}.{'xyzw'[k]}", texel.type)
        self.depths[part] = self.depths[texel]
        return part

    def _source(self, e: Load) -> tuple[tuple[Sampler, ...], Operand | None, Operand | None]:
        """(samplers, ring, origin) of a load."""
        if e.ring is None or e.buffer.ring == 1:
            return self._samplers(Sampler(e.buffer)), None, None
        block = dims.ceildiv(e.buffer.size, LANES)
        has_blocks = e.buffer in self.history
        if self._is_inner(e.ring):
            copies = self._samplers(*(Sampler(e.buffer, k) for k in range(e.buffer.ring)))
            return copies, self.dim(e.ring), self.dim(block) if has_blocks else None
        samplers = self._samplers(Sampler(e.buffer, copy_of(e.ring, e.buffer.ring)))
        return samplers, None, self.origin(e.ring, block) if has_blocks else None

    def origin(self, ring: Dim, block: Dim) -> Operand:
        """Where the block of `ring` begins in a texture whose blocks have `block` texels."""
        return self.let("block", (self.dim(dims.floordiv(ring, 2)), self.dim(block)), "ivec2")

    def _is_inner(self, ring: Dim) -> bool:
        return bool(dims.symbols(ring) & self.inner)

    def _samplers(self, *samplers: Sampler) -> tuple[Sampler, ...]:
        self.samplers |= dict.fromkeys(samplers)
        return samplers


def is_line(buffer: Buffer) -> bool:
    """True if the buffer's texture is only uploaded, never drawn to."""
    return buffer.kind in ("weight", "input")


def _stays_in_row(texel: Dim, constant: int) -> bool:
    """True if `texel + constant` provably lies in the row of `texel`.

    That is so where `texel` is a multiple of some power of two but for a part so small that adding
    the constant does not reach the next multiple.
    """
    step = ROW
    while step > 1:
        least, most = dims.bounds(map_coefficients(texel, _unless_multiple(step)))
        if least >= 0 and constant >= 0 and most + constant < step:
            return True
        step //= 2
    return constant == 0


def _unless_multiple(step: int) -> Callable[[int], int]:
    return lambda c: c if c % step else 0


def copy_of(ring: Dim, copies: int) -> Dim:
    """An index that is equal to `ring` modulo `copies`, in its simplest form."""
    return map_coefficients(ring, lambda c: c % copies)
