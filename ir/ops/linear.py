"""Matrix products, convolutions and pooling. Spatial operators are channels-last.

Symbols in docstrings: N batch, S spatial axes, I and O channels in and out, K kernel sizes,
G groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import f64, i32
from webconv.ir.op import Array, Guard, Op, TensorType, broadcast, concrete, require, unify

Pads = tuple[tuple[Dim, Dim], ...]


@dataclass(frozen=True)
class MatMul(Op):
    """`x @ y` with NumPy's rules: `[..., M, K] @ [..., K, N]`, batch axes broadcast."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, y = types
        require(x.dtype == y.dtype, f"inputs must share a dtype, but {x} meets {y}")
        require(min(x.rank, y.rank) >= 2, f"inputs need two axes or more, but {x} meets {y}")
        try:
            unify(x.shape[-1], y.shape[-2])
            batch = broadcast((x.shape[:-2], y.shape[:-2]))[0]
        except Exception as e:
            raise type(e)(f"{x} @ {y}: {e}") from None
        return (TensorType(x.dtype, (*batch, x.shape[-2], y.shape[-1])),)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        x, y = types
        inner = unify(x.shape[-1], y.shape[-2])[1]
        batch = broadcast((x.shape[:-2], y.shape[:-2]))[1]
        return (*([inner] if inner else []), *batch)

    def eval(self, x: Array, y: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (np.matmul(x, y),)


def pooled_size(n: Dim, kernel: int, stride: int, dilation: int, pad: tuple[Dim, Dim]) -> Dim:
    """The number of windows over an axis of `n`."""
    return dims.floordiv(n + pad[0] + pad[1] - (kernel - 1) * dilation - 1, stride) + 1


@dataclass(frozen=True)
class Window(Op):
    """Base of what slides over spatial axes: one stride, dilation and (before, after) pad each."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    def spatial(self, spatial: Shape, kernel: tuple[int, ...]) -> Shape:
        """The output's spatial sizes; raises ShapeError if a window does not fit."""
        rank = len(spatial)
        ok = len(self.strides) == len(self.dilations) == len(self.pads) == len(kernel) == rank
        require(ok, f"{rank} spatial axes need as many strides, dilations, pads and kernel sizes")
        out = tuple(
            pooled_size(n, k, s, d, p)
            for n, k, s, d, p in zip(
                spatial, kernel, self.strides, self.dilations, self.pads, strict=True
            )
        )
        for n, k, size in zip(spatial, kernel, out, strict=True):
            fits = not isinstance(size, int) or size > 0
            require(fits, f"a window of {k} does not fit an axis of {n}")
        return out

    def rooms(self, spatial: Shape, kernel: tuple[int, ...]) -> tuple[Guard, ...]:
        """By how many elements a window is larger than its padded axis, which must be 0."""
        rows = zip(spatial, kernel, self.dilations, self.pads, strict=True)
        rooms = [n + p[0] + p[1] - (k - 1) * d - 1 for n, k, d, p in rows]
        return tuple(Guard(dims.minimum(r, 0), 0) for r in rooms if not dims.never_negative(r))

    def taps(
        self, x: Array, kernel: tuple[int, ...], fill: float
    ) -> Iterator[tuple[tuple[int, ...], Array]]:
        """For each kernel offset, the input elements that it meets: `[N, S', C]`."""
        pads = [concrete(p) for p in ((0, 0), *self.pads, (0, 0))]
        low = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pads], constant_values=fill)
        sizes = concrete(self.spatial(x.shape[1:-1], kernel))
        for offset in itertools.product(*map(range, kernel)):
            where = tuple(
                slice(o * d, o * d + (n - 1) * s + 1, s)
                for o, d, n, s in zip(offset, self.dilations, sizes, self.strides, strict=True)
            )
            yield offset, low[(slice(None), *where)]


@dataclass(frozen=True)
class Conv(Window):
    """Cross-correlation: x `[N, S, I]`, w `[K, I/G, O]` -> `[N, S', O]`; depthwise for G = I."""

    groups: int = 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, w = types
        require(x.rank == w.rank >= 3, f"x [N, S, I] and w [K, I/G, O] do not fit {x} and {w}")
        channels, (per_group, out) = x.shape[-1], w.shape[-2:]
        rule = f"{channels} channels in {self.groups} groups need w [K, I/G, O], but w is {w}"
        require(per_group * self.groups == channels, rule)
        rule = f"{out} output channels must divide into {self.groups} groups"
        require(isinstance(out, int) and out % self.groups == 0, rule)
        spatial = self.spatial(x.shape[1:-1], w.shape[:-2])  # type: ignore[arg-type]
        return (TensorType(x.dtype, (x.shape[0], *spatial, out)),)

    def limits(self, *types: TensorType) -> tuple[Guard, ...]:
        x, w = types
        return self.rooms(x.shape[1:-1], w.shape[:-2])  # type: ignore[arg-type]

    def eval(self, x: Array, w: Array) -> tuple[Array, ...]:  # type: ignore[override]
        g, (per_group, out) = self.groups, w.shape[-2:]
        total: Array | float = 0.0
        for offset, tap in self.taps(x, w.shape[:-2], 0):
            a = tap.reshape(*tap.shape[:-1], g, per_group)
            b = w[offset].reshape(per_group, g, out // g)
            total = total + np.einsum("...gi,igo->...go", a, b)
        assert isinstance(total, np.ndarray)
        return (total.reshape(*total.shape[:-2], out),)


@dataclass(frozen=True)
class ConvTranspose(Window):
    """The adjoint of Conv: x `[N, S, I]`, w `[K, O/G, I]` -> `[N, S', O]`.

    y[n, s * stride + k * dilation - pad_before, o] += x[n, s, i] * w[k, o, i];
    S' = (S - 1) * stride + (K - 1) * dilation + 1 + output_padding - pads.
    """

    output_padding: tuple[int, ...] = ()
    groups: int = 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, w = types
        require(x.rank == w.rank >= 3, f"x [N, S, I] and w [K, O/G, I] do not fit {x} and {w}")
        require(x.shape[-1] == w.shape[-1], f"channels of {x} and {w} [K, O/G, I] differ")
        extra = self.output_padding or (0,) * (x.rank - 2)
        spatial = tuple(
            (n - 1) * s + (k - 1) * d + 1 + e - p[0] - p[1]
            for n, k, s, d, p, e in zip(
                x.shape[1:-1], w.shape, self.strides, self.dilations, self.pads, extra, strict=False
            )
        )
        return (TensorType(x.dtype, (x.shape[0], *spatial, w.shape[-2] * self.groups)),)

    def eval(self, x: Array, w: Array) -> tuple[Array, ...]:  # type: ignore[override]
        (out,) = self.infer(TensorType(f64, x.shape), TensorType(f64, w.shape))
        size, pads = concrete(out.shape), [concrete(p) for p in self.pads]
        g, (per_group, channels) = self.groups, w.shape[-2:]
        spatial = [n + b + a for n, (b, a) in zip(size[1:-1], pads, strict=True)]
        full = np.zeros((size[0], *spatial, size[-1]), x.dtype)
        inputs = x.reshape(*x.shape[:-1], g, channels // g)
        for offset in itertools.product(*map(range, w.shape[:-2])):
            taps = w[offset].reshape(per_group, g, channels // g)
            part = np.einsum("...gi,ogi->...go", inputs, taps)
            rows = zip(offset, self.dilations, x.shape[1:-1], self.strides, strict=True)
            where = (slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in rows)
            full[(slice(None), *where)] += part.reshape(*x.shape[:-1], g * per_group)
        crop = (slice(b, b + n) for (b, _), n in zip(pads, size[1:-1], strict=True))
        return (full[(slice(None), *crop)],)


@dataclass(frozen=True)
class Pool(Window):
    """Base of pooling over windows of `kernel`: x `[N, S, C]` -> `[N, S', C]`."""

    kernel: tuple[int, ...] = ()

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        spatial = self.spatial(x.shape[1:-1], self.kernel)
        return (TensorType(x.dtype, (x.shape[0], *spatial, x.shape[-1])),)

    def limits(self, *types: TensorType) -> tuple[Guard, ...]:
        return self.rooms(types[0].shape[1:-1], self.kernel)


@dataclass(frozen=True)
class MaxPool(Pool):
    """The maximum of each window; padding never wins."""

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return (np.maximum.reduce([tap for _, tap in self.taps(x, self.kernel, lowest)]),)


@dataclass(frozen=True)
class ArgMaxPool(Pool):
    """Where the maximum of each window lies in the plane [S], in row-major order; i32.

    Of equal ones the first wins, of NaN too; padding never does.
    """

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(i32, super().infer(*types)[0].shape),)

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        plane = np.arange(int(np.prod(x.shape[1:-1]))).reshape(1, *x.shape[1:-1], 1)
        taps = zip(self.taps(x, self.kernel, 0), self.taps(plane, self.kernel, -1), strict=True)
        best, where = np.zeros((), x.dtype), np.full((), -1)
        for (_, value), (_, place) in taps:
            beats = (value > best) | (np.isnan(value) & ~np.isnan(best))
            found = (place >= 0) & ((where < 0) | beats)
            best, where = np.where(found, value, best), np.where(found, place, where)
        return (where.astype(np.int32),)


@dataclass(frozen=True)
class AveragePool(Pool):
    """The mean of each window; padding counts only if `count_include_pad`."""

    count_include_pad: bool = False

    def eval(self, x: Array) -> tuple[Array, ...]:  # type: ignore[override]
        total = np.add.reduce([tap for _, tap in self.taps(x, self.kernel, 0)])
        fill = 1.0 if self.count_include_pad else 0.0
        counted = [tap for _, tap in self.taps(np.ones_like(x), self.kernel, fill)]
        return (total / np.add.reduce(counted),)
