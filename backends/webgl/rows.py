"""Products are computed four rows at a time, a target each, with the same fetches of weights.

Rows r with r mod 4 = 0, 1, 2, 3 become textures of their own. What a recurrence adds in step s is
row s of one large product: a step then reads the texture of its row. Other products are put
together again by a draw of one fetch per texel, where that is little beside the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from webconv.backends.expr import Expr, Fold, Load
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store, kernels
from webconv.backends.legalise import map_exprs, map_kernels
from webconv.backends.linearise import unrolled
from webconv.backends.plan import hinted
from webconv.backends.webgl.folds import length
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

ROWS = 4
# A product of so many rows and terms is worth another draw.
MANY_ROWS = 16
MANY_TERMS = 32


@dataclass(frozen=True)
class Split:
    """`buffer` becomes `rows`, whose copy r has the elements with index r mod 4 on an axis."""

    buffer: Buffer
    rows: Buffer
    position: int
    axis: Axis

    def load(self, e: Expr) -> Expr | None:
        """A load of `buffer` as one of `rows`."""
        if not _reads(e, self.buffer):
            return None
        row = e.index[self.position]
        index = _with(e.index, self.position, dims.floordiv(row, ROWS))
        return replace(e, buffer=self.rows, shape=self.rows.shape, index=index, ring=row)

    def kernel(self, kernel: Kernel) -> Kernel:
        """The kernel that stores `buffer`, four rows at each point."""
        extent = dims.ceildiv(self.axis.extent, ROWS)
        group = Axis(Symbol(f"{self.axis.symbol.name}.rows", extent), extent)
        rows = [{self.axis.symbol.name: self._row(group, r)} for r in range(ROWS)]
        stores = enumerate(unrolled(kernel, rows))
        axes = tuple(group if a is self.axis else a for a in kernel.axes)
        return replace(kernel, axes=axes, stores=tuple(self._store(s, r, group) for r, s in stores))

    def assembly(self, kernel: Kernel) -> Kernel:
        """The kernel that makes `buffer` of `rows`."""
        name = f"{kernel.name}.rows"
        axes = [Axis(Symbol(f"{name}.{k}", n), n) for k, n in enumerate(self.buffer.shape)]
        index = tuple(0 if a.extent == 1 else a.index for a in axes)
        load = Load(self.buffer, self.buffer.shape, index, None, None, self._type(kernel))
        value = self.load(load)
        assert value is not None
        store = Store(self.buffer, self.buffer.shape, index, value)
        live = tuple(a for a in axes if a.extent != 1)
        return Kernel(name, live, (store,), kernel.computes)

    def _type(self, kernel: Kernel) -> str:
        return kernel.stores[0].value.type

    def _row(self, group: Axis, k: int) -> Dim:
        """Row `k` of a group; beyond the last row it is the last one again."""
        row = group.index * ROWS + k
        whole = k == 0 or dims.mod(self.axis.extent, ROWS) == 0
        return row if whole else dims.minimum(row, self.axis.extent - 1)

    def _store(self, store: Store, row: int, group: Axis) -> Store:
        index = _with(store.index, self.position, group.index)
        return replace(store, buffer=self.rows, shape=self.rows.shape, index=index, ring=row)


def _with(index: tuple[Dim, ...], position: int, value: Dim) -> tuple[Dim, ...]:
    return (*index[:position], value, *index[position + 1 :])


def split_rows(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps with such products split."""
    return _assembled(_read_by_row(steps))


def _read_by_row(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Products of which each step of a loop reads one row."""
    for kernel in list(kernels(steps)):
        split = _split(kernel)
        if split is None:
            continue
        loads = list(_loads(steps, split.buffer, frozenset()))
        if not loads or not all(_is_row(e, split, loops) for e, loops in loads):
            continue

        def change(k: Kernel, kernel: Kernel = kernel, split: Split = split) -> Kernel:
            if k is kernel:
                return split.kernel(k)
            return map_exprs(k, split.load) if split.buffer in k.reads else k

        steps = map_kernels(steps, change)
    return steps


def _assembled(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Other large products, outside of loops."""
    out: list[Step] = []
    for step in steps:
        split = _split(step) if isinstance(step, Kernel) and _is_large(step) else None
        if split is None or not isinstance(step, Kernel):
            out.append(step)
        elif hinted(split.axis.extent) >= MANY_ROWS:
            out += [split.kernel(step), split.assembly(step)]
        else:
            out.append(step)
    return tuple(out)


def _is_large(kernel: Kernel) -> bool:
    folds = [e for e in kernel.exprs if isinstance(e, Fold)]
    return max(map(length, folds), default=0) >= MANY_TERMS


def _split(kernel: Kernel) -> Split | None:
    """How the rows of a product would be split."""
    if len(kernel.stores) != 1 or not any(isinstance(e, Fold) for e in kernel.exprs):
        return None
    (store,) = kernel.stores
    buffer = store.buffer
    tiled = {name for name, factor in kernel.tiles if factor == ROWS}
    axis = next((a for a in kernel.axes if a.symbol.name in tiled), None)
    own = buffer.kind in ("temp", "output") and buffer.ring == 1 and store.shape == buffer.shape
    if axis is None or not own:
        return None
    position = next((k for k, i in enumerate(store.index) if i == axis.index), None)
    if position is None:
        return None
    shape = _with(buffer.shape, position, dims.ceildiv(buffer.shape[position], ROWS))
    return Split(buffer, Buffer(buffer.name, buffer.dtype, shape, ring=ROWS), position, axis)


def _loads(
    steps: Sequence[Step], buffer: Buffer, inside: frozenset[str]
) -> Iterator[tuple[Load, frozenset[str]]]:
    """The loads of `buffer`, each with the loops that it lies in."""
    for step in steps:
        if isinstance(step, Loop):
            yield from _loads(step.body, buffer, inside | {step.index.name})
        elif buffer in step.reads:
            yield from ((e, inside) for e in step.exprs if _reads(e, buffer))


def _reads(e: Expr, buffer: Buffer) -> TypeGuard[Load]:
    return isinstance(e, Load) and e.buffer is buffer


def _is_row(e: Load, split: Split, loops: frozenset[str]) -> bool:
    """True if the load's row is the same for all fragments, and changes from step to step."""
    names = dims.symbols(e.index[split.position])
    return e.shape == split.buffer.shape and bool(names) and names <= loops
