"""Lazy tensors, and the context in which operators are lowered.

A `Tensor` knows the expression of its element at any index. Nothing is computed until it is
stored, so views (Transpose, Slice, Pad, an embedding's Gather) and elementwise chains melt into
the kernel that reads them, and what follows a matrix product becomes its epilogue. When to store
is decided in one place, `webconv.backends.lower`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from webconv.backends.expr import (
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Opaque,
    Var,
    as_index,
    call,
    rewrite,
    select,
    where,
    wrap,
)
from webconv.backends.kernel import COMPUTE, Axis, Buffer, Kernel, Loop, Step, Store
from webconv.ir import dims
from webconv.ir.dims import Atom, Dim, Shape, Symbol
from webconv.ir.dtypes import DType, from_numpy
from webconv.ir.graph import Graph, Value, content_digest
from webconv.ir.op import Array

# More terms than this are summed in blocks, so that the error does not grow with the length.
BLOCKED_SUM = 4096
BLOCK = 1024

# The cost of an element that takes a loop to compute.
LOOP_COST = 1000


@dataclass(frozen=True)
class Tensor:
    """A value of `shape` whose element at an index is `at(index)`.

    `cost` counts the operations behind one element: 0 for a view of something stored. `buffer` is
    set if the elements are stored in row-major order. `panel` is the width by which kernels should
    split the last axis, for packed weights.
    """

    dtype: DType
    shape: Shape
    at: Callable[[tuple[Dim, ...]], Expr]
    cost: int = 0
    buffer: Buffer | None = None
    panel: int = 1
    tile: int | None = None

    def __getitem__(self, index: tuple[Dim, ...]) -> Expr:
        return self.at(index)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def compute(self) -> str:
        """The type that elements are computed in."""
        return COMPUTE[self.dtype.name]


def stored(buffer: Buffer, shape: Shape | None = None, ring: Dim | None = None) -> Tensor:
    """The contents of `buffer`, seen under `shape`."""
    seen = buffer.shape if shape is None else shape

    def at(index: tuple[Dim, ...]) -> Expr:
        return Load(buffer, seen, index, None, ring, buffer.compute)

    return Tensor(buffer.dtype, seen, at, buffer=buffer if ring is None else None)


def guarded(value: Expr, condition: Expr, other: Expr | float = 0) -> Expr:
    """`value` where the condition holds, else `other`; its loads happen only where it holds."""
    if isinstance(condition, Const):
        return value if condition.value else wrap(other, value.type)

    def guard(e: Expr) -> Expr | None:
        if not isinstance(e, Load):
            return None
        both = condition if e.guard is None else e.guard & condition
        index = tuple(dims.substitute(i, atom) for i in e.index)
        return Load(e.buffer, e.shape, index, both, e.ring, e.type)

    def atom(a: Atom) -> Dim | None:
        return as_index(rewrite(a.expr, guard), a.bound) if isinstance(a, Opaque) else None

    inner = rewrite(value, guard)
    if isinstance(value, Load) and isinstance(other, int | float) and other == 0:
        return inner
    return select(condition, inner, other)


def reindex(index: tuple[Dim, ...], new: Shape, old: Shape) -> tuple[Dim, ...]:
    """Where the element at `index` of shape `new` lies in shape `old`, of as many elements."""
    if 0 in old:
        return (0,) * len(old)
    out: list[Dim] = []
    start = 0
    pending: list[Dim] = []
    for n in old:
        pending.append(n)
        for stop in range(start, len(new) + 1):
            if dims.product(new[start:stop]) == dims.product(pending):
                out += _regroup(index[start:stop], new[start:stop], pending)
                start, pending = stop, []
                break
    if pending:
        out += _regroup(index[start:], new[start:], pending)
    return tuple(out)


def _regroup(index: tuple[Dim, ...], new: Shape, old: Sequence[Dim]) -> list[Dim]:
    live = [(i, n) for i, n in zip(index, new, strict=True) if n != 1]
    if [n for _, n in live] == [n for n in old if n != 1]:
        rest = iter(live)
        return [0 if n == 1 else next(rest)[0] for n in old]
    flat: Dim = 0
    for i, n in live:
        flat = flat * n + i
    out: list[Dim] = []
    for n in reversed(old[1:]):
        out.append(dims.mod(flat, n))
        flat = dims.floordiv(flat, n)
    return [flat, *reversed(out)]


class Context:
    """Collects the steps and buffers of one entry while its operators are lowered."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.weights: dict[str, Buffer] = {}
        self.computes = ""
        self.name = ""
        self._counter = itertools.count()
        self._names: dict[str, int] = {}

    def used(self, output: int) -> bool:
        """True if something reads this output of the node that is being lowered."""
        raise NotImplementedError

    def lower_graph(self, graph: Graph, values: Mapping[Value, Tensor]) -> dict[Value, Tensor]:
        """The tensors of all values of a subgraph, given those of its inputs."""
        raise NotImplementedError

    # -- symbols, buffers ------------------------------------------------------------------------

    def symbol(self, bound: Dim, prefix: str = "k") -> Symbol:
        """A new loop variable in [0, bound)."""
        # No size that a user names can have the percent sign.
        return Symbol(f"%{prefix}{next(self._counter)}", bound)

    def unique(self, name: str) -> str:
        """`name`, numbered if it was used before."""
        made = name
        while made in self._names:
            self._names[name] += 1
            made = f"{name}_{self._names[name]}"
        self._names[made] = 0
        return made

    def temp(self, dtype: DType, shape: Shape, ring: int = 1, name: str = "") -> Buffer:
        """A new temporary buffer."""
        return Buffer(self.unique(f"{name or self.name}.t"), dtype, shape, ring=ring)

    def weight(self, array: Array, name: str = "") -> Tensor:
        """A constant as stored data; equal arrays are stored once."""
        array = np.asarray(array, order="C")  # ascontiguousarray adds an axis to scalars
        key = content_digest(array)
        if key not in self.weights:
            title = self.unique(f"{name or self.name}.w")
            dtype = from_numpy(array.dtype)
            self.weights[key] = Buffer(title, dtype, array.shape, "weight", array)
        return stored(self.weights[key])

    # -- folds -----------------------------------------------------------------------------------

    def fold(
        self,
        extent: Dim,
        init: Expr,
        step: Callable[[Dim, Expr], Expr],
        associative: str | None = None,
        symbol: Symbol | None = None,
    ) -> Expr:
        """`step(k, accumulator)` repeated for k = 0 .. extent - 1, from `init`."""
        k = symbol or self.symbol(extent)
        accumulator = Var(f"a{next(self._counter)}", init.type)
        body = step(0 if extent == 1 else dims.atom(k), accumulator)
        if extent == 1:
            return rewrite(body, lambda e: init if e == accumulator else None)
        return Fold(k, extent, accumulator, init, body, associative, init.type)

    def sum(self, extent: Dim, term: Callable[[Dim], Expr], symbol: Symbol | None = None) -> Expr:
        """The sum of `term(k)`, in blocks if it may be long."""
        if isinstance(extent, int) and extent <= BLOCKED_SUM:
            return self._sum(extent, term, symbol)
        blocks = dims.ceildiv(extent, BLOCK)
        return self._sum(
            blocks,
            lambda b: self._sum(
                dims.minimum(BLOCK, extent - b * BLOCK), lambda k: term(b * BLOCK + k)
            ),
        )

    def _sum(self, extent: Dim, term: Callable[[Dim], Expr], symbol: Symbol | None = None) -> Expr:
        zero = wrap(0, term(0).type)
        return self.fold(extent, zero, lambda k, acc: accumulate(acc, term(k)), "sum", symbol)

    # -- stores ----------------------------------------------------------------------------------

    def kernel(
        self,
        axes: Sequence[Axis],
        stores: Sequence[Store],
        tiles: Sequence[tuple[Axis, int]] = (),
    ) -> None:
        """Emit a kernel; nothing is emitted for an index space that is always empty."""
        if any(a.extent == 0 for a in axes):
            return
        live = tuple(a for a in axes if a.extent != 1)
        named = tuple((a.symbol.name, n) for a, n in tiles if a in live)
        name = self.unique(self.name)
        self.steps.append(Kernel(name, live, tuple(stores), self.computes, named))

    def axis(self, extent: Dim) -> Axis:
        """A new axis."""
        return Axis(self.symbol(extent, "i"), extent)

    def axes(self, shape: Shape) -> list[Axis]:
        """A new axis per dim."""
        return [self.axis(n) for n in shape]

    def store(self, tensor: Tensor, buffer: Buffer | None = None) -> Tensor:
        """Compute `tensor` into `buffer` (a new one if None); what is already stored stays."""
        if tensor.buffer is not None and buffer is None:
            return tensor
        target = buffer or self.temp(tensor.dtype, tensor.shape)
        self.write(tensor, target, lambda index: index)
        return stored(target, tensor.shape)

    def write(
        self,
        tensor: Tensor,
        target: Buffer,
        place: Callable[[tuple[Dim, ...]], tuple[Dim, ...]],
        shape: Shape | None = None,
        ring: Dim | None = None,
    ) -> None:
        """Compute `tensor` into the elements `place(index)` of `target`, seen under `shape`."""
        axes, index, guard, tiles = self.space(tensor)
        whole = tensor.shape if shape is None else shape
        store = Store(target, whole, place(index), tensor.at(index), guard, ring)
        self.kernel(axes, [store], tiles)

    def space(
        self, tensor: Tensor
    ) -> tuple[list[Axis], tuple[Dim, ...], Expr | None, list[tuple[Axis, int]]]:
        """Axes over the elements of `tensor`, an index in them, its guard, and tiles."""
        width = tensor.panel
        if width == 1 or not tensor.shape:
            axes = self.axes(tensor.shape)
            return axes, _index(axes), None, _row_tiles(axes, tensor)
        n = tensor.shape[-1]
        axes = self.axes((*tensor.shape[:-1], dims.ceildiv(n, width), width))
        *lead, p, j = _index(axes)
        last = p * width + j
        guard = None if dims.mod(n, width) == 0 else Index(last) < Index(n)
        tiles = [*_row_tiles(axes[:-1], tensor), (axes[-2], 4)]
        return axes, (*lead, last), guard, tiles


def _index(axes: Sequence[Axis]) -> tuple[Dim, ...]:
    return tuple(0 if a.extent == 1 else a.index for a in axes)


def _row_tiles(axes: Sequence[Axis], tensor: Tensor) -> list[tuple[Axis, int]]:
    """The rows of a product are unrolled by four: four times the work per loaded weight."""
    if tensor.tile is None:
        return []
    return [(axes[tensor.tile], 4)]


def accumulate(accumulator: Expr, term: Expr) -> Expr:
    """`accumulator + term`, fused if the term is a product."""
    match term:
        case _ if term.type == "f32" and getattr(term, "function", None) == "mul":
            a, b = term.operands
            return call("fma", a, b, accumulator)
    return accumulator + term


def view(t: Tensor, shape: Shape, at: Callable[[tuple[Dim, ...]], Expr]) -> Tensor:
    """`t` seen through an index function, under another shape."""
    return replace(t, shape=shape, at=at, buffer=None, panel=1, tile=None)


__all__ = [
    "Context",
    "Loop",
    "Tensor",
    "accumulate",
    "guarded",
    "reindex",
    "stored",
    "view",
    "where",
]
