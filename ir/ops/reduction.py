"""Operators that reduce axes, and the normalisations built on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from webconv.ir import dtypes
from webconv.ir.op import Array, Op, TensorType, normalise_axis, require


@dataclass(frozen=True)
class Reduce(Op):
    """Base: reduces `axes` (all if None) and keeps them as size 1 if `keepdims`."""

    axes: tuple[int, ...] | None = None
    keepdims: bool = False

    function: ClassVar[Callable[..., Any]]

    def normal_axes(self, rank: int) -> tuple[int, ...]:
        """The axes, counted from the front, in order."""
        axes = range(rank) if self.axes is None else self.axes
        return tuple(sorted({normalise_axis(a, rank) for a in axes}))

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        axes = self.normal_axes(x.rank)
        kept = ((1 if a in axes else d, a in axes) for a, d in enumerate(x.shape))
        shape = tuple(d for d, reduced in kept if self.keepdims or not reduced)
        return (TensorType(x.dtype, shape),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        axes = self.normal_axes(x.ndim)
        return (type(self).function(x, axis=axes, keepdims=self.keepdims),)


@dataclass(frozen=True)
class ReduceSum(Reduce):
    """Sum; 0 over nothing."""

    function = staticmethod(lambda x, **kw: np.sum(x, dtype=x.dtype, **kw))


@dataclass(frozen=True)
class ReduceMean(Reduce):
    """Mean; NaN over nothing."""

    function = staticmethod(np.mean)


@dataclass(frozen=True)
class ReduceProd(Reduce):
    """Product; 1 over nothing."""

    function = staticmethod(lambda x, **kw: np.prod(x, dtype=x.dtype, **kw))


def _lowest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return False
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _highest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return True
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


@dataclass(frozen=True)
class ReduceMax(Reduce):
    """Maximum; the lowest value of the dtype over nothing."""

    function = staticmethod(lambda x, **kw: np.max(x, initial=_lowest(x.dtype), **kw))


@dataclass(frozen=True)
class ReduceMin(Reduce):
    """Minimum; the highest value of the dtype over nothing."""

    function = staticmethod(lambda x, **kw: np.min(x, initial=_highest(x.dtype), **kw))


@dataclass(frozen=True)
class ArgReduce(Op):
    """Base: the i32 index of an extremum along `axis`; the first of equals unless `last`."""

    axis: int = -1
    keepdims: bool = False
    last: bool = False

    function: ClassVar[Callable[..., Any]]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        axis = normalise_axis(self.axis, x.rank)
        require(x.shape[axis] != 0, f"axis {self.axis} of {x} must not be empty")
        middle = (1,) if self.keepdims else ()
        return (TensorType(dtypes.i32, (*x.shape[:axis], *middle, *x.shape[axis + 1 :])),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        n = x.shape[self.axis]
        if self.last:
            out = n - 1 - type(self).function(np.flip(x, self.axis), axis=self.axis)
        else:
            out = type(self).function(x, axis=self.axis)
        out = out.astype(np.int32)
        return (np.expand_dims(out, self.axis) if self.keepdims else out,)


@dataclass(frozen=True)
class ArgMax(ArgReduce):
    """Where the maximum is."""

    function = staticmethod(np.argmax)


@dataclass(frozen=True)
class ArgMin(ArgReduce):
    """Where the minimum is."""

    function = staticmethod(np.argmin)


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x - max) / sum(exp(x - max)) along `axis`."""

    axis: int = -1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(types[0].dtype.is_float, f"the input must be floating-point, not {types[0].dtype}")
        normalise_axis(self.axis, types[0].rank)
        return types

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        e = np.exp(x - x.max(self.axis, keepdims=True, initial=-np.inf))
        return (e / e.sum(self.axis, keepdims=True),)


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """x - max - log(sum(exp(x - max))) along `axis`."""

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        x = x - x.max(self.axis, keepdims=True, initial=-np.inf)
        return (x - np.log(np.exp(x).sum(self.axis, keepdims=True)),)


@dataclass(frozen=True)
class Normalize(Op):
    """(x - mean) / sqrt(variance + epsilon) over `axes`; without `center`, x / sqrt(mean(x^2) + e).

    The core of LayerNorm, InstanceNorm, GroupNorm (Ba 2016, Wu 2018) and RMSNorm (Zhang 2019).
    """

    axes: tuple[int, ...]
    epsilon: float = 1e-5
    center: bool = True

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(types[0].dtype.is_float, f"the input must be floating-point, not {types[0].dtype}")
        for axis in self.axes:
            normalise_axis(axis, types[0].rank)
        return types

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        if self.center:
            x = x - x.mean(self.axes, keepdims=True)
        return (x / np.sqrt((x * x).mean(self.axes, keepdims=True) + self.epsilon),)
