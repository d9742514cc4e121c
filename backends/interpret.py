"""Runs lowered entries in NumPy: what the printed kernels must compute, without a browser.

It is strict where targets may do anything: a load out of bounds under its guard, a store that is
out of bounds or collides with another of its kernel, an element read before it is written or
stored to by another point of the same kernel, and an integer division that would trap raise
GraphError.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from webconv.backends.arithmetic import Arithmetic, Hostile
from webconv.backends.evaluate import CHUNK, Evaluator, Scope, evaluate_expr
from webconv.backends.expr import Load
from webconv.backends.kernel import Buffer, Entry, Kernel, Step, Store
from webconv.backends.memory import Storage
from webconv.ir import dims
from webconv.ir.dims import Shape, Symbol
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
    machine = Machine(arithmetic, bound)
    states = {} if states is None else states
    with np.errstate(all="ignore"):
        machine.fill(entry, inputs, states)
        for step in entry.steps:
            machine.step(step)
        outputs = {n: machine.get(b, s) for n, (b, s) in entry.outputs.items()}
        states |= {n: machine.get(b, b.shape) for n, b in entry.writes.items()}
    return outputs


def _bind(entry: Entry, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The symbols that are bare dims of inputs; raises ShapeError if a shape misfits."""
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
    for name, (_, shape) in entry.inputs.items():
        expected = tuple(dims.evaluate(d, sizes) for d in shape)
        if expected != np.shape(inputs[name]):
            raise ShapeError(
                f"input {name!r} must have shape {expected}, not {np.shape(inputs[name])}"
            )
    return sizes


class Machine:
    """Memory, the sizes, and the number of the kernel invocation under way."""

    def __init__(self, arithmetic: Arithmetic, sizes: Mapping[str, int]) -> None:
        self.evaluator = Evaluator(arithmetic, self._read)
        self.sizes = dict(sizes)
        self.memory: dict[Buffer, Storage] = {}
        self.invocation = 0

    def fill(self, entry: Entry, inputs: Mapping[str, Array], states: Mapping[str, Array]) -> None:
        """Allocates every buffer and stores weights, inputs and states."""
        for buffer in (*entry.buffers, *entry.reads.values()):
            size = dims.evaluate(buffer.size, self.sizes)
            self.memory[buffer] = Storage(buffer, size, self.evaluator.arithmetic.gpu)
            if buffer.data is not None:
                self.memory[buffer].put(buffer.data)
        for name, (buffer, _) in entry.inputs.items():
            self.memory[buffer].put(np.asarray(inputs[name]))
        for name, buffer in entry.reads.items():
            first = np.zeros(self.memory[buffer].size) if buffer.data is None else buffer.data
            self.memory[buffer].put(np.asarray(states.get(name, first)))

    def get(self, buffer: Buffer, shape: Shape) -> Array:
        """The contents of a buffer."""
        return self.memory[buffer].get(self._shape(shape)).astype(buffer.dtype.numpy)

    def step(self, step: Step) -> None:
        """Runs a kernel, or the steps of a loop."""
        if isinstance(step, Kernel):
            self._kernel(step)
            return
        for i in range(dims.evaluate(step.count, self.sizes)):
            self.sizes[step.index.name] = i
            for inner in step.body:
                self.step(inner)
        self.sizes.pop(step.index.name, None)

    def _shape(self, shape: Shape) -> tuple[int, ...]:
        return tuple(dims.evaluate(d, self.sizes) for d in shape)

    def _kernel(self, kernel: Kernel) -> None:
        self.invocation += 1
        # What a kernel reads is what was there before it, so stores to what it reads come last.
        in_place = set(kernel.reads) & set(kernel.writes)
        for buffer in in_place:
            self.memory[buffer].watch()
        pending = []
        for scope in self._scopes(kernel):
            for store in kernel.stores:
                where, value, points = self._evaluate(store, scope)
                if store.buffer in in_place:
                    pending.append((store.buffer, where, value, points))
                else:
                    self.memory[store.buffer].store(where, value, self.invocation)
        for buffer, where, value, points in pending:
            self.memory[buffer].check_readers(where, points)
            self.memory[buffer].store(where, value, self.invocation)
        for buffer in in_place:
            self.memory[buffer].readers = None

    def _scopes(self, kernel: Kernel) -> Iterator[Scope]:
        """The index space in parts, a NumPy axis per axis."""
        extents = self._shape(tuple(a.extent for a in kernel.axes))
        for ranges in _boxes(extents):
            indices = np.ix_(*(np.arange(r.start, r.stop, dtype=np.int64) for r in ranges))
            names: dict[str, Any] = dict(self.sizes)
            for axis, index in zip(kernel.axes, indices, strict=True):
                names[axis.symbol.name] = index
            points = np.zeros((), np.int64)
            for n, index in zip(extents, indices, strict=True):
                points = points * n + index
            yield Scope(names, points.shape, points)

    def _evaluate(self, store: Store, scope: Scope) -> tuple[Array, Array, Array]:
        """(elements, values, points) of a store, where its guard holds."""
        types = self.evaluator.arithmetic.types
        if types[store.value.type] != types[store.buffer.compute]:
            raise GraphError(f"{store.buffer.name} is {store.buffer.dtype}, not {store.value.type}")
        value = self.evaluator.value(store.value, scope)
        guard = self._guard(store, scope)
        self._check(store, scope, guard)
        parts = (self._elements(store, scope), value, scope.points)
        guard = np.broadcast_to(guard, scope.shape)
        where, value, points = (np.broadcast_to(p, scope.shape)[guard] for p in parts)
        return where, self.evaluator.arithmetic.moved(value), points

    def _read(self, load: Load, scope: Scope) -> Array:
        guard = self._guard(load, scope) & scope.active
        self._check(load, scope, guard)
        where = self._elements(load, scope)
        storage = self.memory[load.buffer]
        storage.note(where, guard, scope.points)
        value = storage.load(where, guard).astype(self.evaluator.arithmetic.types[load.type])
        return np.where(guard, self.evaluator.arithmetic.moved(value), value.dtype.type(0))

    def _guard(self, access: Load | Store, scope: Scope) -> Array:
        return np.asarray(
            True if access.guard is None else self.evaluator.value(access.guard, scope)
        )

    def _elements(self, access: Load | Store, scope: Scope) -> Array:
        where = self.evaluator.dim(access.offset, scope)
        if access.ring is not None:
            copy = self.evaluator.dim(access.ring, scope) % access.buffer.ring
            where = where + copy * self.memory[access.buffer].size
        return np.asarray(where, np.int64)

    def _check(self, access: Load | Store, scope: Scope, guard: Array) -> None:
        """Every index is inside of its dim where the guard holds."""
        buffer = access.buffer
        if dims.evaluate(dims.product(access.shape), self.sizes) > self.memory[buffer].size:
            raise GraphError(f"{buffer.name} has fewer elements than {access.shape}")
        for i, n in zip(access.index, access.shape, strict=True):
            if dims.bounds(i)[0] >= 0 and dims.bounds(n - i)[0] > 0:
                continue
            value, limit = self.evaluator.dim(i, scope), self.evaluator.dim(n, scope)
            if np.any(((value < 0) | (value >= limit)) & guard):
                raise GraphError(f"{buffer.name}: index {i} is not in [0, {n}) under its guard")


def _boxes(extents: tuple[int, ...]) -> Iterator[tuple[range, ...]]:
    """Boxes of at most CHUNK points that make up the index space, in order."""
    steps: list[int] = []
    points = 1
    for n in reversed(extents):
        steps.insert(0, max(1, min(n, CHUNK // points)))
        points *= steps[0]
    parts = (
        [range(i, min(i + step, n)) for i in range(0, n, step)]
        for n, step in zip(extents, steps, strict=True)
    )
    return itertools.product(*parts)
