"""Operators that only move elements: no arithmetic, any dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DType
from webconv.ir.op import Array, Guard, Op, TensorType, concrete, normalise_axis, require, unify


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in row-major order under another shape."""

    shape: Shape

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        old, new = types[0].size, dims.product(self.shape)
        if isinstance(old, int) and isinstance(new, int):
            rule = f"{types[0]} has {old} elements, which do not fit shape {list(self.shape)}"
            require(old == new, rule)
        return (TensorType(types[0].dtype, self.shape),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        old, new = types[0].size, dims.product(self.shape)
        return () if old == new else (Guard(old, new),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (x.reshape(concrete(self.shape)),)


@dataclass(frozen=True)
class Transpose(Op):
    """Axes permuted: output axis k is input axis permutation[k]."""

    permutation: tuple[int, ...]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        shape = types[0].shape
        rule = f"permutation must order {len(shape)} axes, but it is {self.permutation}"
        require(sorted(self.permutation) == list(range(len(shape))), rule)
        return (TensorType(types[0].dtype, tuple(shape[a] for a in self.permutation)),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (x.transpose(self.permutation),)


@dataclass(frozen=True)
class Slice(Op):
    """Per axis, `sizes[a]` elements from `starts[a]` on, `steps[a]` apart (possibly negative).

    Frontends resolve negative and clamped indices; what is out of bounds is an error here.
    """

    starts: Shape
    sizes: Shape
    steps: tuple[int, ...]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        shape = types[0].shape
        require(len(self.starts) == len(shape), f"one start per axis of {types[0]} is needed")
        for n, start, size, step in zip(shape, self.starts, self.sizes, self.steps, strict=True):
            if isinstance(size, int) and size == 0:
                continue
            ends = (start, start + (size - 1) * step)
            if all(isinstance(e, int) for e in (*ends, n)):
                inside = all(0 <= e < n for e in ends)  # type: ignore[operator]
                require(inside, f"elements {ends[0]} to {ends[1]} must lie in an axis of {n}")
        return (TensorType(types[0].dtype, self.sizes),)

    def limits(self, *types: TensorType) -> tuple[Guard, ...]:
        """By how many elements a slice leaves its tensor, or is too short, which must be 0."""
        found = []
        axes = zip(types[0].shape, self.starts, self.sizes, self.steps, strict=True)
        for n, start, size, step in axes:
            ends = (start, start + (size - 1) * step)
            low, high = ends if step > 0 else ends[::-1]
            if not dims.never_negative(size):
                found.append(Guard(dims.minimum(size, 0), 0))
            for room in (low, n - 1 - high):
                if size != 0 and not dims.never_negative(room):
                    found.append(Guard(dims.minimum(size, 1) * dims.minimum(room, 0), 0))
        return tuple(found)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        for axis, (start, size, step) in enumerate(
            zip(concrete(self.starts), concrete(self.sizes), self.steps, strict=True)
        ):
            x = np.take(x, start + step * np.arange(size), axis)
        return (x,)


@dataclass(frozen=True)
class Expand(Op):
    """Broadcast to `shape`; every axis is equal or 1."""

    shape: Shape

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        shape = types[0].shape
        require(len(shape) <= len(self.shape), f"{types[0]} has more axes than {list(self.shape)}")
        for d, n in zip(shape[::-1], self.shape[::-1], strict=False):
            if isinstance(d, int) and isinstance(n, int):
                require(d in (1, n), f"{types[0]} does not broadcast to {list(self.shape)}")
        return (TensorType(types[0].dtype, self.shape),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        pairs = zip(types[0].shape[::-1], self.shape[::-1], strict=False)
        return tuple(Guard(d, n) for d, n in pairs if d not in (1, n))

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.broadcast_to(x, concrete(self.shape)),)


@dataclass(frozen=True)
class Concat(Op):
    """Inputs joined along `axis`."""

    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        first = types[0]
        axis = normalise_axis(self.axis, first.rank)
        shape = list(first.shape)
        for t in types:
            require(t.dtype == first.dtype, f"dtypes must be equal, but {first} meets {t}")
            require(t.rank == first.rank, f"ranks must be equal, but {first} meets {t}")
            for a in range(first.rank):
                if a != axis:
                    shape[a] = unify(shape[a], t.shape[a])[0]
        shape[axis] = sum((t.shape[axis] for t in types[1:]), first.shape[axis])
        return (TensorType(first.dtype, tuple(shape)),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        axis = normalise_axis(self.axis, types[0].rank)
        pairs = (
            unify(a, b)[1]
            for t in types[1:]
            for k, (a, b) in enumerate(zip(types[0].shape, t.shape, strict=True))
            if k != axis
        )
        return tuple(g for g in pairs if g)

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        return (np.concatenate(arrays, self.axis),)


@dataclass(frozen=True)
class Pad(Op):
    """Axes extended by `before` and `after` (which may be negative: cropped).

    `mode` is constant, edge, reflect or wrap, as in NumPy; `value` fills in constant mode.
    """

    before: Shape
    after: Shape
    mode: str = "constant"
    value: float = 0.0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        rule = f"mode must be constant, edge, reflect or wrap, but it is {self.mode!r}"
        require(self.mode in ("constant", "edge", "reflect", "wrap"), rule)
        require(len(self.before) == len(self.after) == x.rank, f"one pad per axis of {x} is needed")
        shape = tuple(b + n + a for b, n, a in zip(self.before, x.shape, self.after, strict=True))
        for n in shape:
            require(not isinstance(n, int) or n >= 0, f"{x} cannot shrink to {list(shape)}")
        return (TensorType(x.dtype, shape),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        before, after = concrete(self.before), concrete(self.after)
        grow = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
        fill = {"constant_values": self.value} if self.mode == "constant" else {}
        x = np.pad(x, grow, self.mode, **fill)  # type: ignore[call-overload]
        for axis, (b, a) in enumerate(zip(before, after, strict=True)):
            x = x.take(np.arange(max(-b, 0), x.shape[axis] - max(-a, 0)), axis)
        return (x,)


@dataclass(frozen=True)
class Iota(Op):
    """0, 1, ..., size - 1 as i32: the only source of indices whose length is a symbol."""

    size: Dim

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(dtypes.i32, (self.size,)),)

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        return (np.arange(*concrete([self.size]), dtype=np.int32),)


@dataclass(frozen=True)
class Sizes(Op):
    """A vector of the values that Dims have: how a size becomes data."""

    values: Shape
    dtype: DType = dtypes.i64

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(self.dtype.is_integer, f"sizes are integers, not {self.dtype}")
        return (TensorType(self.dtype, (len(self.values),)),)

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        return (np.array(concrete(self.values), np.int64).astype(self.dtype.numpy),)
