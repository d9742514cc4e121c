"""Loops that store a row per iteration: each iteration gets a block of its own.

A kernel in a loop may store a row of its result per iteration (`y[t]`) beside the next state. WebGL
draws into one rectangle of all targets, and refuses to read from a texture that it draws into. So
such a kernel's targets become textures of blocks, `v / 2` the block and `v mod 2` the copy of
iteration v: the state's history. One draw after the loop gathers the result from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from webconv.backends.expr import Expr, Load
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store
from webconv.backends.webgl.placement import holds, invert, names
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol
from webconv.ir.errors import GraphError


@dataclass
class Stacks:
    """Rewrites steps; `history` collects the buffers that have a block per iteration."""

    history: set[Buffer] = field(default_factory=set)
    _after: dict[str, list[Kernel]] = field(default_factory=dict)
    _count: int = 0

    def steps(self, steps: Sequence[Step], nest: tuple[Loop, ...] = ()) -> tuple[Step, ...]:
        """The steps, with what they store per iteration gathered after the loops."""
        out: list[Step] = []
        for step in steps:
            if isinstance(step, Loop):
                body = self.steps(step.body, (*nest, step))
                out.append(replace(step, body=body))
                out += self._after.pop(step.index.name, [])
            else:
                out.append(self._kernel(step, nest))
        return tuple(out)

    def _kernel(self, kernel: Kernel, nest: tuple[Loop, ...]) -> Kernel:
        stores: list[Store] = []
        for store in kernel.stores:
            around = [n for n in nest if n.index.name in dims.symbols(store.offset)]
            if store.buffer.ring > 1 or not around:
                stores.append(store)
                continue
            own = self._stack(kernel, store, around)
            if own not in kernel.stores:
                stores.append(own)
            self._gather(kernel, store, own, around)
        return replace(kernel, stores=tuple(stores))

    def _stack(self, kernel: Kernel, store: Store, around: Sequence[Loop]) -> Store:
        """The store that takes the place of `store`: another of the kernel if that does."""
        index = {n.index.name for n in around}
        states = [s for s in kernel.stores if s.ring is not None and index <= dims.symbols(s.ring)]
        if not states:
            shape = tuple(a.extent for a in kernel.axes)
            where = tuple(a.index for a in kernel.axes)
            return self._private(store, shape, where, _counter(around))
        self.history |= {s.buffer for s in states}
        same = [s for s in states if s.value == store.value]
        first = states[0]
        assert first.ring is not None
        return same[0] if same else self._private(store, first.shape, first.index, first.ring)

    def _private(
        self, store: Store, shape: tuple[Dim, ...], index: tuple[Dim, ...], ring: Dim
    ) -> Store:
        buffer = Buffer(f"{store.buffer.name}.steps", store.buffer.dtype, shape, ring=2)
        self.history.add(buffer)
        return Store(buffer, shape, index, store.value, None, ring)

    def _gather(self, kernel: Kernel, store: Store, own: Store, around: Sequence[Loop]) -> None:
        """After the outermost loop that `store` depends on, read what `own` stored."""
        self._count += 1
        coords = tuple(Axis(Symbol(f"x{self._count}.{k}", n), n) for k, n in enumerate(store.shape))
        unknown = dict(names(kernel.axes)) | {n.index.name: n.count for n in around}
        inverse = invert(store, unknown, coords)
        if inverse is None:
            raise GraphError(f"{kernel.name}: no element can tell its iteration from {store.index}")
        assert own.ring is not None
        index = tuple(map(inverse.resolve, own.index))
        ring = inverse.resolve(own.ring)
        value: Expr = Load(own.buffer, own.shape, index, None, ring, store.value.type)
        live = tuple(c for c in coords if c.extent != 1)
        place = tuple(0 if c.extent == 1 else c.index for c in coords)
        guard = holds(inverse.conditions)
        made = Store(store.buffer, store.shape, place, value, guard)
        kernels = self._after.setdefault(around[0].index.name, [])
        kernels.append(Kernel(f"{kernel.name}.gather", live, (made,), kernel.computes))


def _counter(around: Sequence[Loop]) -> Dim:
    """The number of an iteration among all of nested loops."""
    number: Dim = 0
    for n in around:
        count = n.count
        if {m.index.name for m in around} & dims.symbols(count):
            high = dims.bounds(count)[1]
            if high == float("inf"):
                raise GraphError(f"a loop of {count} iterations inside of another has no bound")
            count = int(high)
        number = number * count + dims.atom(n.index)
    return number
