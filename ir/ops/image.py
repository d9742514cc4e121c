"""Operators on images: sampling at computed positions, and blocks put back in place.

Symbols in docstrings: N batch, S spatial axes, P axes of positions, L axes of blocks, K kernel
sizes, C channels, k the number of spatial axes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.ir.dims import Shape
from webconv.ir.op import Array, Guard, Op, TensorType, concrete, require, unify
from webconv.ir.ops.linear import Window, pooled_size

MODES = {"nearest": 1, "linear": 2, "cubic": 4}
OUTSIDE = ("zeros", "border", "reflection")
# The parameter of Keys' cubic convolution (IEEE ASSP 29, 1981).
CUBIC = -0.75


@dataclass(frozen=True)
class Sample(Op):
    """x [N, S, C] interpolated at positions [N, P, k], in elements of the axes S: [N, P, C].

    Outside of x there are zeros, the nearest elements of the border, or x mirrored: at the centres
    of the outermost elements if `align_corners`, else at their edges.
    """

    mode: str = "linear"
    outside: str = "zeros"
    align_corners: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, where = types
        require(self.mode in MODES, f"mode must be one of {list(MODES)}, but it is {self.mode!r}")
        rule = f"outside must be one of {list(OUTSIDE)}, but it is {self.outside!r}"
        require(self.outside in OUTSIDE, rule)
        require(where.dtype.is_float and x.dtype.is_float, f"{x} and {where} must be of floats")
        rule = f"positions [N, P, {x.rank - 2}] must fit x [N, S, C], but {where} meets {x}"
        require(x.rank >= 3 and where.rank >= 2 and where.shape[-1] == x.rank - 2, rule)
        n = unify(x.shape[0], where.shape[0])[0]
        return (TensorType(x.dtype, (n, *where.shape[1:-1], x.shape[-1])),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        guard = unify(types[0].shape[0], types[1].shape[0])[1]
        return (guard,) if guard else ()

    def eval(self, x: Array, where: Array) -> tuple[Array, ...]:  # type: ignore[override]
        axes = [
            self._axis(np.asarray(where[..., a], np.float64), n)
            for a, n in enumerate(x.shape[1:-1])
        ]
        batch = np.arange(x.shape[0]).reshape(-1, *(1,) * (where.ndim - 2))
        total = np.zeros((*where.shape[:-1], x.shape[-1]))
        for taps in itertools.product(*axes):
            index, weight, inside = zip(*taps, strict=True)
            value = x[(batch, *index)]
            scale = np.prod(np.broadcast_arrays(*weight), 0)[..., None]
            shown = np.logical_and.reduce(np.broadcast_arrays(*inside))[..., None]
            total = total + np.where(shown, value * scale, 0)
        return (total,)

    def _axis(self, at: Array, n: int) -> list[tuple[Array, Array, Array]]:
        """Per tap of an axis: its index, its weight, and whether it is inside."""
        at = np.round(at) if self.mode == "nearest" else at
        at = np.where(np.isnan(at), 0, np.clip(at, -(2.0**30), 2.0**30))
        low, high = (0.0, n - 1.0) if self.align_corners else (-0.5, n - 0.5)
        if self.outside == "reflection":
            span = 2 * max(high - low, 1e-9)
            over = np.mod(np.abs(at - low), span)
            mirrored = low + np.minimum(over, span - over)
            at = np.where((at < low) | (at > high), mirrored, at)
        floor = np.floor(at)
        part, out = at - floor, []
        count = MODES[self.mode]
        for k in range(1 - count // 2, count // 2 + 1) if count > 1 else (0,):
            tap = floor.astype(np.int64) + k
            inside = (tap >= 0) & (tap < n) if self.outside == "zeros" else np.ones((), bool)
            if self.outside == "reflection":
                period = max(2 * n - 2 if self.align_corners else 2 * n, 1)
                tap = np.mod(tap, period)
                tap = np.where(tap < n, tap, period - tap - (not self.align_corners))
            out.append((np.clip(tap, 0, n - 1), self._weight(part, k), inside))
        return out

    def _weight(self, part: Array, k: int) -> Array:
        d = np.abs(part - k)
        if self.mode == "nearest":
            return np.ones_like(part)
        if self.mode == "linear":
            return 1 - d
        near = ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1
        far = ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
        return near if k in (0, 1) else far


@dataclass(frozen=True)
class Col2Im(Window):
    """Blocks x [N, L, K, C] added up where they lie in an image [N, S, C]; `sizes` are its S."""

    kernel: tuple[int, ...] = ()
    sizes: Shape = ()

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, rank = types[0], len(self.kernel)
        require(x.rank == 2 * rank + 2, f"{x} must have axes [N, L, K, C] for kernel {self.kernel}")
        rule = f"{x} [N, L, K, C] does not fit kernel {self.kernel}"
        require(x.shape[rank + 1 : -1] == self.kernel, rule)
        for have, want in zip(x.shape[1:], self._blocks(), strict=False):
            unify(have, want)
        return (TensorType(x.dtype, (x.shape[0], *self.sizes, x.shape[-1])),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        pairs = zip(types[0].shape[1:], self._blocks(), strict=False)
        return tuple(g for g in (unify(a, b)[1] for a, b in pairs) if g)

    def _blocks(self) -> Shape:
        rows = zip(self.sizes, self.kernel, self.strides, self.dilations, self.pads, strict=True)
        return tuple(pooled_size(*row) for row in rows)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        size, pads = concrete(self.sizes), [concrete(p) for p in self.pads]
        rank = len(size)
        spatial = [n + b + a for n, (b, a) in zip(size, pads, strict=True)]
        full = np.zeros((x.shape[0], *spatial, x.shape[-1]), x.dtype)
        for offset in itertools.product(*map(range, self.kernel)):
            rows = zip(offset, self.dilations, x.shape[1:], self.strides, strict=False)
            where = (slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in rows)
            own: tuple[Any, ...] = (*(slice(None),) * (1 + rank), *offset)
            full[(slice(None), *where)] += x[own]
        crop = (slice(b, b + n) for (b, _), n in zip(pads, size, strict=True))
        return (full[(slice(None), *crop)],)
