"""Kernels and steps: what lowering gives and the printers print.

A kernel is an index space and what is stored at each of its points; a reduction is a Fold inside
of the stored value. The last axis is the lane axis. A `Loop` repeats kernels, each seeing what the
iterations before it stored: running sums, recurrences. Together these are the four forms map,
reduce, scan and (as Fold over the updates, or as a Loop on targets that may store anywhere)
scatter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from webconv.backends.expr import Expr, Fold, Load, flatten, walk
from webconv.ir import dims
from webconv.ir.dims import Dim, Shape, Symbol
from webconv.ir.dtypes import DType
from webconv.ir.op import Array

# How each dtype is computed on wasm; the GPU targets compute i64 and u64 as i32 and u32.
COMPUTE: dict[str, str] = {
    **dict.fromkeys(("f16", "f32", "f64"), "f32"),
    **dict.fromkeys(("i8", "i16", "i32", "u8", "u16"), "i32"),
    "u32": "u32",
    "i64": "i64",
    "u64": "u64",
    "bool": "bool",
}


@dataclass(frozen=True, eq=False)
class Buffer:
    """Storage for `shape` elements of `dtype`; `ring` is 2 for what loops double-buffer.

    `kind` is input, output, weight, state or temp. A weight has its `data`, ready as kernels read
    it. A state has two copies: kernels read `name` and write `name'`.
    """

    name: str
    dtype: DType
    shape: Shape
    kind: str = "temp"
    data: Array | None = field(default=None, repr=False)
    ring: int = 1

    @property
    def size(self) -> Dim:
        """The number of elements of one copy."""
        return dims.product(self.shape)

    @property
    def compute(self) -> str:
        """The type that its elements are computed in."""
        return COMPUTE[self.dtype.name]

    def __lt__(self, other: Buffer) -> bool:
        return self.name < other.name


@dataclass(frozen=True)
class Axis:
    """A loop variable and its extent."""

    symbol: Symbol
    extent: Dim

    @property
    def index(self) -> Dim:
        """The loop variable as an index."""
        return dims.atom(self.symbol)


@dataclass(frozen=True)
class Store:
    """`value` goes to element `index` of `buffer` seen under `shape`, where `guard` holds.

    The value is in the buffer's compute type; printers convert it to the stored width.
    """

    buffer: Buffer
    shape: Shape
    index: tuple[Dim, ...]
    value: Expr
    guard: Expr | None = None
    ring: Dim | None = None

    @cached_property
    def offset(self) -> Dim:
        """The flat index."""
        return flatten(self.index, self.shape)

    @property
    def exprs(self) -> tuple[Expr, ...]:
        """What is computed."""
        return (self.value,) if self.guard is None else (self.value, self.guard)


@dataclass(frozen=True)
class Kernel:
    """`stores` for every point of `axes`; `computes` names the nodes, for the reader.

    `tiles` are factors by which axes may be unrolled, best first (`{"i0": 4}`): the schedule of a
    matrix product. Stores of one kernel never collide.
    """

    name: str
    axes: tuple[Axis, ...]
    stores: tuple[Store, ...]
    computes: str = ""
    tiles: tuple[tuple[str, int], ...] = ()

    @cached_property
    def exprs(self) -> tuple[Expr, ...]:
        """Every distinct expression, operands first."""
        indices = [x for s in self.stores for d in (s.offset,) for x in _opaque(d)]
        return tuple(walk(*indices, *(e for s in self.stores for e in s.exprs)))

    @cached_property
    def reads(self) -> tuple[Buffer, ...]:
        """The buffers that it loads, in order of appearance."""
        return tuple(dict.fromkeys(e.buffer for e in self.exprs if isinstance(e, Load)))

    @cached_property
    def writes(self) -> tuple[Buffer, ...]:
        """The buffers that it stores to, in order of appearance."""
        return tuple(dict.fromkeys(s.buffer for s in self.stores))

    @cached_property
    def size(self) -> Dim:
        """The number of points."""
        return dims.product(a.extent for a in self.axes)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The sizes (and loop indices around it) that it depends on."""
        own = {a.symbol.name for a in self.axes}
        used = dims.symbols(*(a.extent for a in self.axes))
        for s in self.stores:
            used |= dims.symbols(s.offset, *([] if s.ring is None else [s.ring]))
        for e in self.exprs:
            used |= dims.symbols(*e.index_dims)
            own |= {e.symbol.name} if isinstance(e, Fold) else set()
        return tuple(sorted(used - own))


def _opaque(d: Dim) -> Iterator[Expr]:
    from webconv.backends.expr import opaque

    return opaque(d)


@dataclass(frozen=True)
class Loop:
    """`body` for `index` = 0 .. count - 1, in order."""

    index: Symbol
    count: Dim
    body: tuple[Step, ...]


Step = Kernel | Loop


def kernels(steps: tuple[Step, ...]) -> Iterator[Kernel]:
    """The kernels of `steps`, those in loops included."""
    for step in steps:
        if isinstance(step, Loop):
            yield from kernels(step.body)
        else:
            yield step


@dataclass(frozen=True)
class Entry:
    """A lowered graph: its buffers by input, output and state name, and its steps.

    `outputs` map a name to (buffer, shape). `guards` are pairs of Dims that must be equal.
    """

    name: str
    symbols: tuple[str, ...]
    inputs: dict[str, tuple[Buffer, Shape]]
    outputs: dict[str, tuple[Buffer, Shape]]
    reads: dict[str, Buffer]
    writes: dict[str, Buffer]
    steps: tuple[Step, ...]
    guards: tuple[tuple[Dim, Dim], ...] = ()

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """Every buffer, in order of first use."""
        found: dict[Buffer, None] = {}
        for b, _ in self.inputs.values():
            found[b] = None
        for k in kernels(self.steps):
            found |= dict.fromkeys((*k.reads, *k.writes))
        for b in (*(b for b, _ in self.outputs.values()), *self.writes.values()):
            found[b] = None
        return tuple(found)
