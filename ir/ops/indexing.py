"""Gather, scatter, sorting and running operators.

An index counts from the end if negative. One that is out of range reads the nearest element; a
scatter with one is dropped. The NumPy reference does the same, so that every target agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from webconv.ir import dtypes
from webconv.ir.dims import Dim
from webconv.ir.op import Array, Guard, Op, TensorType, normalise_axis, require, unify

REDUCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda old, new: new,
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _clamp(index: Array, size: int) -> Array:
    wrapped = np.where(index < 0, index.astype(np.int64) + size, index)
    return np.clip(wrapped, 0, max(size - 1, 0))


def _require_indices(t: TensorType) -> None:
    require(t.dtype.is_integer, f"indices must be integers, but they are {t.dtype}")


@dataclass(frozen=True)
class Gather(Op):
    """`take(data, indices, axis)`: the shape of indices replaces the axis."""

    axis: int = 0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        data, indices = types
        _require_indices(indices)
        axis = normalise_axis(self.axis, data.rank)
        shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])
        return (TensorType(data.dtype, shape),)

    def eval(self, data: Array, indices: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.take(data, _clamp(indices, data.shape[self.axis]), self.axis),)


@dataclass(frozen=True)
class GatherElements(Op):
    """`take_along_axis(data, indices, axis)`; other axes of indices may be shorter."""

    axis: int = 0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        data, indices = types
        _require_indices(indices)
        require(data.rank == indices.rank, f"ranks must be equal, but {data} meets {indices}")
        normalise_axis(self.axis, data.rank)
        return (TensorType(data.dtype, indices.shape),)

    def eval(self, data: Array, indices: Array) -> tuple[Array, ...]:  # type: ignore[override]
        where: list[Array] = list(np.indices(indices.shape, sparse=True))
        axis = normalise_axis(self.axis, data.ndim)
        where[axis] = _clamp(indices, data.shape[axis])
        return (data[tuple(where)],)


@dataclass(frozen=True)
class GatherND(Op):
    """Slices of data at index tuples: indices `[..., k]`, after `batch_dims` common axes."""

    batch_dims: int = 0

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        data, indices = types
        _require_indices(indices)
        k = indices.shape[-1]
        rule = f"the last axis of indices must be at most {data.rank - self.batch_dims}, not {k}"
        require(isinstance(k, int) and k <= data.rank - self.batch_dims, rule)
        assert isinstance(k, int)
        return (TensorType(data.dtype, indices.shape[:-1] + data.shape[self.batch_dims + k :]),)

    def eval(self, data: Array, indices: Array) -> tuple[Array, ...]:  # type: ignore[override]
        b, k = self.batch_dims, indices.shape[-1]
        lead: Iterable[Array] = np.indices(indices.shape[:b], sparse=True) if b else []
        where = [x.reshape(x.shape + (1,) * (indices.ndim - 1 - b)) for x in lead]
        where += [_clamp(indices[..., i], data.shape[b + i]) for i in range(k)]
        shape = indices.shape[:-1] + data.shape[b + k :]
        return (data[tuple(where)].reshape(shape) if where else np.broadcast_to(data, shape),)


@dataclass(frozen=True)
class ScatterElements(Op):
    """data with `updates` combined in at `indices` along `axis`, in order.

    `reduction` is none (the last update wins), add, mul, max or min.
    """

    axis: int = 0
    reduction: str = "none"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        data, indices, updates = types
        _require_indices(indices)
        require(data.dtype == updates.dtype, f"dtypes must be equal, but {data} meets {updates}")
        rule = f"indices and updates must share a shape, but {indices} meets {updates}"
        require(indices.rank == updates.rank == data.rank, rule)
        normalise_axis(self.axis, data.rank)
        require(self.reduction in REDUCTIONS, f"reduction {self.reduction!r} is unknown")
        return (data,)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        pairs = (unify(a, b)[1] for a, b in zip(types[1].shape, types[2].shape, strict=True))
        return tuple(g for g in pairs if g)

    def eval(self, data: Array, indices: Array, updates: Array) -> tuple[Array, ...]:  # type: ignore[override]
        out, combine = data.copy(), REDUCTIONS[self.reduction]
        axis = normalise_axis(self.axis, data.ndim)
        for at in np.ndindex(*indices.shape):
            i = int(indices[at])
            i += data.shape[axis] if i < 0 else 0
            if 0 <= i < data.shape[axis]:
                where = (*at[:axis], i, *at[axis + 1 :])
                out[where] = combine(out[where], updates[at])
        return (out,)


@dataclass(frozen=True)
class ScatterND(Op):
    """data with slices of `updates` combined in at index tuples `[..., k]`, in order."""

    reduction: str = "none"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        data, indices, updates = types
        _require_indices(indices)
        require(data.dtype == updates.dtype, f"dtypes must be equal, but {data} meets {updates}")
        k = indices.shape[-1]
        require(isinstance(k, int) and k <= data.rank, f"{indices} cannot index into {data}")
        require(self.reduction in REDUCTIONS, f"reduction {self.reduction!r} is unknown")
        return (data,)

    def eval(self, data: Array, indices: Array, updates: Array) -> tuple[Array, ...]:  # type: ignore[override]
        out, combine, k = data.copy(), REDUCTIONS[self.reduction], indices.shape[-1]
        for at in np.ndindex(*indices.shape[:-1]):
            raw = indices[at]
            where = tuple(
                int(i) + (n if i < 0 else 0) for i, n in zip(raw, data.shape, strict=False)
            )
            if all(0 <= i < n for i, n in zip(where, data.shape[:k], strict=True)):
                out[where] = combine(out[where], updates[at])
        return (out,)


@dataclass(frozen=True)
class Running(Op):
    """Base: `axis` combined so far, `exclusive` of the own element, or from the end (`reverse`)."""

    axis: int = 0
    exclusive: bool = False
    reverse: bool = False

    function: ClassVar[Callable[..., Any]]
    start: ClassVar[int]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        normalise_axis(self.axis, types[0].rank)
        return types

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        x = np.flip(x, self.axis) if self.reverse else x
        total = type(self).function(x, self.axis, dtype=x.dtype)
        if self.exclusive:
            total = np.roll(total, 1, self.axis)
            first = [slice(None)] * x.ndim
            first[self.axis] = slice(0, 1)
            total[tuple(first)] = self.start
        return (np.flip(total, self.axis) if self.reverse else total,)


@dataclass(frozen=True)
class CumSum(Running):
    """Running sums."""

    function = staticmethod(np.cumsum)
    start = 0


@dataclass(frozen=True)
class CumProd(Running):
    """Running products."""

    function = staticmethod(np.cumprod)
    start = 1


@dataclass(frozen=True)
class TopK(Op):
    """The k largest (or smallest) along `axis`, sorted; ties by lower index, NaN counts largest.

    Outputs: values, and indices as i32.
    """

    k: Dim
    axis: int = -1
    largest: bool = True

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        axis = normalise_axis(self.axis, x.rank)
        n = x.shape[axis]
        if isinstance(self.k, int) and isinstance(n, int):
            require(self.k <= n, f"k must be at most {n}, but it is {self.k}")
        shape = (*x.shape[:axis], self.k, *x.shape[axis + 1 :])
        return TensorType(x.dtype, shape), TensorType(dtypes.i32, shape)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        assert isinstance(self.k, int)
        if self.largest:
            # A stable ascending sort of the flipped axis, flipped back, puts lower indices first.
            n = x.shape[self.axis]
            order = np.flip(
                n - 1 - np.argsort(np.flip(x, self.axis), self.axis, "stable"), self.axis
            )
        else:
            order = np.argsort(x, self.axis, "stable")
        picked = np.take(order, np.arange(self.k), self.axis)
        return np.take_along_axis(x, picked, self.axis), picked.astype(np.int32)


@dataclass(frozen=True)
class SearchSorted(Op):
    """How many elements of an ascending vector are below each value; `right`: not above it.

    The i32 counts are where a value would be inserted to keep the order, as `np.searchsorted`.
    """

    right: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        ascending, values = types
        rule = f"dtypes must be equal, but {ascending} meets {values}"
        require(ascending.dtype == values.dtype, rule)
        require(ascending.rank == 1, f"what is searched must be a vector, not {ascending}")
        return (TensorType(dtypes.i32, values.shape),)

    def eval(self, ascending: Array, values: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if self.right:
            return (np.asarray(np.searchsorted(ascending, values, "right"), np.int32),)
        return (np.asarray(np.searchsorted(ascending, values), np.int32),)
