"""Products that are read row by row are computed four rows at a time, a target each.

What a recurrence adds in step s is row s of one large product, of which it reads no other. Rows
s mod 4 = 0, 1, 2, 3 then are textures of their own: one draw computes four rows with the same
fetches of weights, and a step reads the texture of its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from webconv.backends.expr import Expr, Fold, Load
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store, kernels
from webconv.backends.legalise import map_exprs, map_kernels
from webconv.backends.linearise import unrolled
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

ROWS = 4


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
    """The steps with every such product split."""
    for kernel in list(kernels(steps)):
        split = _split(kernel, steps)
        if split is not None:
            found = split

            def change(k: Kernel, kernel: Kernel = kernel, split: Split = found) -> Kernel:
                if k is kernel:
                    return split.kernel(k)
                return map_exprs(k, split.load) if split.buffer in k.reads else k

            steps = map_kernels(steps, change)
    return steps


def _split(kernel: Kernel, steps: Sequence[Step]) -> Split | None:
    if len(kernel.stores) != 1 or not any(isinstance(e, Fold) for e in kernel.exprs):
        return None
    (store,) = kernel.stores
    buffer = store.buffer
    tiled = {name for name, factor in kernel.tiles if factor == ROWS}
    axis = next((a for a in kernel.axes if a.symbol.name in tiled), None)
    if axis is None or buffer.ring != 1 or buffer.kind != "temp" or store.shape != buffer.shape:
        return None
    position = next((k for k, i in enumerate(store.index) if i == axis.index), None)
    loads = list(_loads(steps, buffer, frozenset()))
    if position is None or not loads:
        return None
    if not all(_is_row(e, position, buffer, static) for e, static in loads):
        return None
    shape = _with(buffer.shape, position, dims.ceildiv(buffer.shape[position], ROWS))
    rows = Buffer(buffer.name, buffer.dtype, shape, ring=ROWS)
    return Split(buffer, rows, position, axis)


def _loads(
    steps: Sequence[Step], buffer: Buffer, inside: frozenset[str]
) -> Iterator[tuple[Load, frozenset[str]]]:
    """The loads of `buffer`, each with the loops that it lies in."""
    for step in steps:
        if isinstance(step, Loop):
            yield from _loads(step.body, buffer, inside | {step.index.name})
            continue
        if buffer in step.reads:
            yield from ((e, inside) for e in step.exprs if _reads(e, buffer))


def _reads(e: Expr, buffer: Buffer) -> TypeGuard[Load]:
    return isinstance(e, Load) and e.buffer is buffer


def _is_row(e: Load, position: int, buffer: Buffer, loops: frozenset[str]) -> bool:
    """True if the load's row is the same for all fragments, and changes from step to step."""
    names = dims.symbols(e.index[position])
    return e.shape == buffer.shape and bool(names) and names <= loops
