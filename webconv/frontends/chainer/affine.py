"""Arrays of coordinates that a chain makes with NumPy: what they are for every size.

    np.linspace(-1, 1, h), np.arange(w) / w, np.stack(np.meshgrid(...)), np.arange(h * w)

An element is a number plus steps times its places along the axes that are open; numbers and steps
are quotients of sizes. Along one axis of a known size, as the channels of a grid, all of it may
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.graph import Value
from webconv.ir.op import Array

Samples = Sequence[Mapping[str, int]]
Fit = Callable[[Sequence[int], Samples], Dim]

# More of them are a table.
MOST_PLANES = 16

# Sums of few numbers in f32, and quotients of them that have to be whole.
ROUNDING, WHOLE = 1e-5, 1e-3


@dataclass(frozen=True)
class Quotient:
    """A number, or a size divided by another."""

    over: Any
    under: Dim = 1

    def value(self, dtype: DType) -> Value:
        """The number as a scalar."""
        over = _scalar(self.over, dtype)
        if self.under == 1:
            return over
        # A step between the ends of one element is of no use, but must be a number.
        return ops.Div()(over, _scalar(dims.maximum(self.under, 1), dtype))


@dataclass(frozen=True)
class Plane:
    """`start` plus the place along each axis times its step."""

    start: Quotient
    steps: Mapping[int, Quotient]

    def value(self, shape: Sequence[Dim], dtype: DType) -> Value:
        """An array that has `shape` along the axes with steps, and 1 along others."""
        total = common.reshape(self.start.value(dtype), [1] * len(shape))
        for axis, step in self.steps.items():
            places = common.cast(ops.Iota(shape[axis])(), dtype)
            along = [shape[axis] if k == axis else 1 for k in range(len(shape))]
            total = ops.Add()(total, common.reshape(ops.Mul()(places, step.value(dtype)), along))
        return total


@dataclass(frozen=True)
class Coordinates:
    """Planes beside each other along `axis`, which is None if there is only one."""

    planes: Sequence[Plane]
    axis: int | None

    def value(self, shape: tuple[Dim, ...], dtype: DType) -> Value:
        """The array of this shape."""
        if self.axis is None:
            return common.broadcast_to(self.planes[0].value(shape, dtype), shape)
        each = tuple(1 if k == self.axis else n for k, n in enumerate(shape))
        made = [common.broadcast_to(p.value(shape, dtype), each) for p in self.planes]
        return common.concat(made, self.axis)


def coordinates(
    arrays: Sequence[Array],
    varying: Sequence[int],
    shape: Sequence[Dim],
    samples: Samples,
    fit: Fit,
) -> Coordinates | None:
    """What `arrays` are that change along the axes `varying`; None if they are no coordinates."""
    open_ = [k for k in varying if isinstance(shape[k], dims.Expr)]
    closed = [k for k in varying if k not in open_]
    if arrays[0].dtype.kind not in "iuf" or not open_ or len(closed) > 1:
        return None
    axis = closed[0] if closed else None
    count = 1 if axis is None else arrays[0].shape[axis]
    if count > MOST_PLANES:
        return None
    planes = []
    for k in range(count):
        parts = [a if axis is None else a.take([k], axis) for a in arrays]
        plane = _plane(parts, open_, samples, fit)
        if plane is None:
            return None
        planes.append(plane)
    return Coordinates(planes, axis)


def _plane(
    arrays: Sequence[Array], axes: Sequence[int], samples: Samples, fit: Fit
) -> Plane | None:
    starts, steps = [], []
    for array in arrays:
        exact = array.astype(float)
        start = float(exact.flat[0])
        own = [_step(exact, axis) for axis in axes]
        places = np.indices(array.shape)
        want = start + sum(places[k] * (s or 0.0) for k, s in zip(axes, own, strict=True))
        if not np.allclose(exact, want, 0, ROUNDING * max(1e-3, float(np.abs(exact).max()))):
            return None
        starts.append(start)
        steps.append(own)
    whole = arrays[0].dtype.kind != "f"
    found = [
        _quotient(values, samples, fit, whole) for values in (starts, *zip(*steps, strict=True))
    ]
    start_, *rest = found
    if start_ is None or any(q is None for q in rest):
        return None
    return Plane(start_, {k: q for k, q in zip(axes, rest, strict=True) if q is not None})


def _step(array: Array, axis: int) -> float | None:
    """How much is added from each place to the next; None if there is only one."""
    n = array.shape[axis]
    line = np.moveaxis(array, axis, 0).reshape(n, -1)[:, 0]
    return None if n == 1 else float(line[-1] - line[0]) / (n - 1)


def _quotient(
    values: Sequence[float | None], samples: Samples, fit: Fit, whole: bool
) -> Quotient | None:
    """What has these values for the sizes of the samples."""
    from webconv.frontends.chainer.align import Mismatch

    known = [(v, s) for v, s in zip(values, samples, strict=True) if v is not None]
    numbers, told = np.array([v for v, _ in known]), [s for _, s in known]
    if not len(numbers) or np.allclose(numbers, numbers[0], 1e-6, 1e-9):
        return Quotient(float(numbers[0]) if len(numbers) else 0.0)
    for under in [1] if whole else _denominators(samples):
        over = numbers * [dims.evaluate(under, s) for s in told]
        if over[0] and np.allclose(over, over[0], 1e-6, 0):
            return Quotient(float(over[0]), under)
        if np.allclose(over, np.round(over), 0, WHOLE):
            try:
                return Quotient(fit([round(n) for n in over], told), under)
            except Mismatch:
                continue
    return None


def _denominators(samples: Samples) -> Iterator[Dim]:
    """Sizes that chains divide by, or by their double."""
    yield from (1, 2)
    for name in samples[0]:
        size = dims.symbol(name)
        for under in (size, size - 1):
            yield under
            yield 2 * under


def _scalar(number: Any, dtype: DType) -> Value:
    if isinstance(number, dims.Expr):
        return common.cast(common.size_value(number), dtype)
    return graph.constant(np.asarray(number).astype(dtype.numpy))
