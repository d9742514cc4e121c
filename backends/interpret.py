"""Runs lowered entries in NumPy: what the printed kernels must compute, without a browser.

It is strict where targets may do anything: a load out of bounds under its guard, a store that is
out of bounds or collides with another of its kernel, an element read before it is written and an
integer division that would trap raise GraphError.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.backends.arithmetic import Arithmetic, Hostile
from webconv.backends.evaluate import CHUNK, Evaluator, Scope, evaluate_expr
from webconv.backends.expr import Load
from webconv.backends.kernel import Buffer, Entry, Kernel, Loop, Store
from webconv.ir import dims
from webconv.ir.dims import Dim, Shape, Symbol
from webconv.ir.errors import GraphError, ShapeError
from webconv.ir.op import Array

__all__ = ["evaluate_expr", "run"]


def run(
    entry: Entry,
    inputs: Mapping[str, Array],
    states: dict[str, Array] | None = None,
    hostile: np.random.Generator | None = None,
    gpu: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The outputs of `entry` by name, in the dtypes of their buffers.

    States that are not in `states` start as zeros; what is written replaces them there at the end.
    `hostile` takes the liberties of `webconv.backends.arithmetic.Hostile`; `gpu` computes i64 as
    i32. `sizes` gives symbols that are the size of no input. Raises ShapeError if inputs misfit.
    """
    bound = {**(sizes or {}), **_bind(entry, inputs)}
    for left, right in entry.guards:
        if dims.evaluate(left, bound) != dims.evaluate(right, bound):
            raise ShapeError(f"{left} must equal {right} for {bound}")
    arithmetic = Arithmetic(gpu) if hostile is None else Hostile(hostile, gpu)
    machine = Machine(arithmetic, bound, gpu)
    with np.errstate(all="ignore"):
        machine.fill(entry, inputs, states or {})
        for step in entry.steps:
            machine.step(step)
        return machine.finish(entry, states)


def _bind(entry: Entry, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The symbols that are bare dims of inputs."""
    sizes: dict[str, int] = {}
    for name, (_, shape) in entry.inputs.items():
        if name not in inputs:
            raise ShapeError(f"input {name!r} is missing; given are {', '.join(inputs) or 'none'}")
        if np.ndim(inputs[name]) != len(shape):
            raise ShapeError(f"input {name!r} must have {len(shape)} axes")
        for d, n in zip(shape, np.shape(inputs[name]), strict=True):
            found = dims.bare_atom(d)
            if isinstance(found, Symbol):
                sizes.setdefault(found.name, n)
    return sizes


@dataclass
class Storage:
    """The elements of a buffer, all copies behind each other, and what is known of each.

    `marks` holds the number of the kernel invocation that wrote an element last.
    """

    values: Array
    written: Array
    marks: Array
    size: int


class Machine:
    """Memory, the sizes, and the number of the kernel invocation under way."""

    def __init__(self, arithmetic: Arithmetic, sizes: Mapping[str, int], gpu: bool) -> None:
        self.evaluator = Evaluator(arithmetic, self._read)
        self.sizes = dict(sizes)
        self.gpu = gpu
        self.old: dict[Buffer, Storage] = {}
        self.new: dict[Buffer, Storage] = {}
        self.invocation = 0

    def fill(self, entry: Entry, inputs: Mapping[str, Array], states: Mapping[str, Array]) -> None:
        """Allocates every buffer and stores inputs, weights and states."""
        for buffer in entry.buffers:
            self.old[buffer] = self._allocate(buffer)
            # A state is written to its other copy.
            state = buffer.kind == "state"
            self.new[buffer] = self._allocate(buffer) if state else self.old[buffer]
            if buffer.data is not None:
                self._put(buffer, buffer.data)
        for name, (buffer, shape) in entry.inputs.items():
            expected = self._shape(shape)
            if np.shape(inputs[name]) != expected:
                raise ShapeError(
                    f"input {name!r} must have shape {expected}, not {np.shape(inputs[name])}"
                )
            self._put(buffer, np.asarray(inputs[name]))
        for name, buffer in entry.reads.items():
            first = np.zeros(self.old[buffer].size) if buffer.data is None else buffer.data
            self._put(buffer, np.asarray(states.get(name, first)))

    def step(self, step: Kernel | Loop) -> None:
        """Runs a kernel, or the kernels of a loop."""
        if isinstance(step, Kernel):
            self._kernel(step)
            return
        for i in range(dims.evaluate(step.count, self.sizes)):
            self.sizes[step.index.name] = i
            for kernel in step.body:
                self._kernel(kernel)
        self.sizes.pop(step.index.name, None)

    def finish(self, entry: Entry, states: dict[str, Array] | None) -> dict[str, Array]:
        """The outputs; commits the states."""
        outputs = {n: self._get(b, s, self.old) for n, (b, s) in entry.outputs.items()}
        stored = {b for step in entry.steps for k in _kernels(step) for b in k.writes}
        if states is not None:
            for name, buffer in entry.writes.items():
                copies = self.new if buffer in stored else self.old
                states[name] = self._get(buffer, buffer.shape, copies)
        return outputs

    def _shape(self, shape: Shape) -> tuple[int, ...]:
        return tuple(dims.evaluate(d, self.sizes) for d in shape)

    def _allocate(self, buffer: Buffer) -> Storage:
        size = dims.evaluate(buffer.size, self.sizes)
        n = size * buffer.ring
        return Storage(
            np.zeros(n, self._stored(buffer)), np.zeros(n, np.bool_), np.zeros(n, np.int64), size
        )

    def _stored(self, buffer: Buffer) -> np.dtype[Any]:
        """How an element lies in memory."""
        dtype = buffer.dtype
        if dtype.is_float:
            return np.dtype(np.float16 if dtype.bits == 16 else np.float32)
        bits = min(dtype.bits, 32) if self.gpu else dtype.bits
        return np.dtype(np.bool_ if dtype.kind == "b" else f"{dtype.kind}{bits // 8}")

    def _put(self, buffer: Buffer, data: Array) -> None:
        storage = self.old[buffer]
        flat = np.ravel(data).astype(storage.values.dtype)
        if flat.size > storage.values.size:
            raise GraphError(
                f"{buffer.name} has {storage.size} elements, but {flat.size} are given"
            )
        storage.values[: flat.size] = flat
        storage.written[: flat.size] = True

    def _get(self, buffer: Buffer, shape: Shape, copies: Mapping[Buffer, Storage]) -> Array:
        sizes = self._shape(shape)
        n = int(np.prod(sizes, dtype=np.int64))
        storage = copies[buffer]
        if n > storage.size or not storage.written[:n].all():
            raise GraphError(f"{buffer.name}: not all of {sizes} is written")
        return storage.values[:n].reshape(sizes).astype(buffer.dtype.numpy)

    def _kernel(self, kernel: Kernel) -> None:
        self.invocation += 1
        extents = self._shape(tuple(a.extent for a in kernel.axes))
        in_place = set(kernel.reads) & set(kernel.writes)
        pending = []
        for ranges in _chunks(extents):
            scope = self._scope(kernel, ranges)
            for store in kernel.stores:
                write = self._store(kernel, store, scope)
                if store.buffer in in_place:
                    pending.append(write)
                else:
                    self._commit(kernel, *write)
        # What a kernel reads is what was there before it.
        for write in pending:
            self._commit(kernel, *write)

    def _scope(self, kernel: Kernel, ranges: tuple[range, ...]) -> Scope:
        names: dict[str, Any] = dict(self.sizes)
        rank = len(ranges)
        for k, (axis, r) in enumerate(zip(kernel.axes, ranges, strict=True)):
            shape = [1] * rank
            shape[k] = len(r)
            names[axis.symbol.name] = np.arange(r.start, r.stop, dtype=np.int64).reshape(shape)
        return Scope(names, tuple(len(r) for r in ranges))

    def _store(self, kernel: Kernel, store: Store, scope: Scope) -> tuple[Store, Array, Array]:
        """(store, elements, values), only where the guard holds."""
        buffer = store.buffer
        if store.value.type != buffer.compute:
            raise GraphError(
                f"{kernel.name}: {buffer.name} holds {buffer.dtype}, not {store.value.type}"
            )
        value = self.evaluator.value(store.value, scope)
        guard = np.True_ if store.guard is None else self.evaluator.value(store.guard, scope)
        self._check_index(kernel.name, store, scope, guard)
        where = self._elements(store, scope)
        guard, where, value = (
            np.broadcast_to(a, scope.shape).ravel() for a in (guard, where, value)
        )
        return store, where[guard], self.evaluator.arithmetic.loaded(value[guard])

    def _commit(self, kernel: Kernel, store: Store, where: Array, value: Array) -> None:
        storage = self.new[store.buffer]
        fresh = storage.marks[where] != self.invocation
        storage.marks[where] = -np.arange(1, len(where) + 1)
        if not fresh.all() or (storage.marks[where] != -np.arange(1, len(where) + 1)).any():
            raise GraphError(f"{kernel.name}: stores to {store.buffer.name} collide")
        storage.marks[where] = self.invocation
        storage.values[where] = value.astype(storage.values.dtype)
        storage.written[where] = True

    def _read(self, load: Load, scope: Scope, evaluator: Evaluator) -> Array:
        guard = np.True_ if load.guard is None else evaluator.value(load.guard, scope)
        self._check_index("load", load, scope, guard)
        storage = self.old[load.buffer]
        where = np.where(guard, self._elements(load, scope), 0)
        if not np.any(guard):
            return np.zeros(where.shape, evaluator.arithmetic.types[load.type])
        if not np.all(storage.written[where] | ~guard):
            raise GraphError(f"{load.buffer.name} is read where it is not written")
        value = storage.values[where].astype(evaluator.arithmetic.types[load.type])
        return np.where(guard, evaluator.arithmetic.loaded(value), value.dtype.type(0))

    def _elements(self, access: Load | Store, scope: Scope) -> Array:
        where = self.evaluator.dim(access.offset, scope)
        if access.ring is not None:
            copy = self.evaluator.dim(access.ring, scope) % access.buffer.ring
            where = where + copy * self.old[access.buffer].size
        return np.asarray(where, np.int64)

    def _check_index(self, name: str, access: Load | Store, scope: Scope, guard: Any) -> None:
        buffer = access.buffer
        if dims.evaluate(dims.product(access.shape), self.sizes) > self.old[buffer].size:
            raise GraphError(f"{name}: {buffer.name} has less elements than shape {access.shape}")
        for i, n in zip(access.index, access.shape, strict=True):
            if _is_inside(i, n):
                continue
            value, limit = self.evaluator.dim(i, scope), self.evaluator.dim(n, scope)
            outside = ((value < 0) | (value >= limit)) & guard
            if np.any(outside):
                raise GraphError(f"{name}: {buffer.name}[{i}] is out of bounds {n} under its guard")


def _is_inside(i: Dim, n: Dim) -> bool:
    return dims.bounds(i)[0] >= 0 and dims.bounds(n - i)[0] > 0


def _kernels(step: Kernel | Loop) -> tuple[Kernel, ...]:
    return (step,) if isinstance(step, Kernel) else step.body


def _chunks(extents: tuple[int, ...]) -> Iterator[tuple[range, ...]]:
    """Boxes of at most CHUNK points that make up the index space, in order."""
    steps = []
    points = 1
    for n in reversed(extents):
        steps.insert(0, max(1, min(n, CHUNK // points)))
        points *= steps[0]
    parts = [
        [range(i, min(i + step, n)) for i in range(0, n, step)]
        for n, step in zip(extents, steps, strict=True)
    ]
    return itertools.product(*parts)
