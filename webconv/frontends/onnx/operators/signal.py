"""Fourier transforms, windows and mel filters. A last axis of 2 holds real and imaginary parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from webconv.frontends import arithmetic as m
from webconv.frontends import common
from webconv.frontends.arithmetic import Number
from webconv.frontends.fourier import fourier
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.types import dtype_of
from webconv.frontends.onnx.values import ints, size
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def _conjugate(x: Value) -> Value:
    if x.shape[-1] == 1:
        return x
    return ops.Mul()(x, graph.constant(np.array([1, -1], x.type.dtype.numpy)))


def _to_length(x: Value, length: Dim) -> Value:
    """x [..., n, parts] cropped or padded with zeros to a length."""
    n = x.shape[-2]
    if n == length:
        return x
    kept = common.slice_axes(x, {-2: common.Span(0, dims.minimum(n, length), 1)})
    after = length - kept.shape[-2]
    rank = x.type.rank
    return ops.Pad((0,) * rank, (0,) * (rank - 2) + (after, 0))(kept) if after != 0 else kept


def _to_real(x: Value, length: Dim) -> Value:
    """The inverse transform [..., length, 1] of the first half of a symmetric spectrum."""
    half = _to_length(x, dims.floordiv(length, 2) + 1)
    mirrored = common.slice_axes(
        half, {-2: common.Span(dims.ceildiv(length, 2) - 1, dims.ceildiv(length, 2) - 1, -1)}
    )
    whole = fourier(common.concat([half, _conjugate(mirrored)], -2), inverse=True)
    return common.slice_axes(whole, {-1: common.Span(0, 1, 1)})


def _dft(x: Value, length: Dim | None, axis: int, inverse: bool, onesided: bool) -> Value:
    rank = x.type.rank
    if x.shape[-1] not in (1, 2):
        raise ShapeError(f"the last axis must hold 1 or 2 parts, but the input is {x.type}")
    axis = normalise_axis(axis, rank)
    if axis == rank - 1:
        raise ShapeError("the last axis cannot be transformed: it holds the parts")
    moved = common.move_axis(x, axis, -2)
    n = moved.shape[-2]
    to_real = inverse and onesided
    whole = length if length is not None else 2 * (n - 1) if to_real else n
    if to_real:
        y = _to_real(moved, whole)
    else:
        bins = dims.floordiv(whole, 2) + 1 if onesided else whole
        y = fourier(_to_length(moved, whole), inverse, bins)
    if inverse:
        y = ops.Div()(y, common.cast(common.size_value(whole), x.type.dtype))
    return common.move_axis(y, -2, axis)


@operator("DFT")
def dft_17(
    x: Value,
    dft_length: Value | None = None,
    *,
    axis: int = 1,
    inverse: int = 0,
    onesided: int = 0,
) -> Value:
    """The discrete Fourier transform along an axis."""
    length = None if dft_length is None else size(dft_length, "dft_length")
    return _dft(x, length, axis, bool(inverse), bool(onesided))


@operator("DFT", since=20)
def dft_20(
    x: Value,
    dft_length: Value | None = None,
    axis: Value | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> Value:
    """The same with the axis as an input."""
    along = -2 if axis is None else ints(axis, "axis")[0]
    return dft_17(x, dft_length, axis=along, inverse=inverse, onesided=onesided)


@operator("STFT")
def stft(
    x: Value,
    frame_step: Value,
    window: Value | None = None,
    frame_length: Value | None = None,
    *,
    onesided: int = 1,
) -> Value:
    """Fourier transforms of windows that slide over a signal [N, L, parts]."""
    if x.type.rank != 3 or x.shape[-1] not in (1, 2):
        raise ShapeError(f"the signal must be [batch, length, 1 or 2], but it is {x.type}")
    step = size(frame_step, "frame_step")
    length = x.shape[1] if window is None else window.shape[0]
    length = length if frame_length is None else size(frame_length, "frame_length")
    frames = dims.floordiv(x.shape[1] - length, step) + 1
    starts = ops.Mul()(ops.Iota(frames)(), common.size_value(step))
    index = ops.Add()(common.expand_dims(starts, 1), ops.Iota(length)())
    framed = ops.Gather(1)(x, index)  # [N, frames, length, parts]
    if window is not None:
        framed = ops.Mul()(framed, common.expand_dims(window, -1))
    bins = dims.floordiv(length, 2) + 1 if onesided else length
    return fourier(framed, bins=bins)


# -- windows and filters --------------------------------------------------------------------------


def _window(n: Value, weights: Sequence[float], periodic: int, output_datatype: int) -> Value:
    """The sum of weights[k] cos(2 pi k i / period)."""
    count = size(n, "size")
    period = m.size(count) if periodic else m.size(count) - 1
    angle = m.iota(count) * (2 * math.pi) / period
    total: Number | float = weights[0]
    for k, w in enumerate(weights[1:], 1):
        total = Number(ops.Cos()((angle * float(k)).value)) * w + total
    assert isinstance(total, Number)
    return common.cast(total.value, dtype_of(output_datatype))


@operator("HannWindow")
def hann_window(n: Value, *, output_datatype: int = 1, periodic: int = 1) -> Value:
    """A raised cosine."""
    return _window(n, (0.5, -0.5), periodic, output_datatype)


@operator("HammingWindow")
def hamming_window(n: Value, *, output_datatype: int = 1, periodic: int = 1) -> Value:
    """A raised cosine that does not reach 0 (weights 25/46 and 21/46)."""
    return _window(n, (25 / 46, -21 / 46), periodic, output_datatype)


@operator("BlackmanWindow")
def blackman_window(n: Value, *, output_datatype: int = 1, periodic: int = 1) -> Value:
    """Two cosines."""
    return _window(n, (0.42, -0.5, 0.08), periodic, output_datatype)


@operator("MelWeightMatrix")
def mel_weight_matrix(
    num_mel_bins: Value,
    dft_length: Value,
    sample_rate: Value,
    lower_edge_hertz: Value,
    upper_edge_hertz: Value,
    *,
    output_datatype: int = 1,
) -> Value:
    """Triangles over the bins of a spectrum [bins, mel bins], even on the mel scale.

    mel(f) = 2595 log10(1 + f / 700).
    """
    mels, length = size(num_mel_bins, "num_mel_bins"), size(dft_length, "dft_length")
    per_mel = 2595 / math.log(10)

    def mel(hertz: Value) -> Number:
        whole = Number(common.cast(hertz, dtypes.f32))
        return Number(ops.Log1p()((whole / 700.0).value)) * per_mel

    low, high = mel(lower_edge_hertz), mel(upper_edge_hertz)
    points = m.iota(mels + 2) * ((high - low) / m.size(mels + 2)) + low
    hertz = Number(ops.Expm1()((points / per_mel).value)) * 700.0
    rate = Number(common.cast(sample_rate, dtypes.f32))
    edges = m.floor(hertz * m.size(length + 1) / rate).value
    left, centre, right = (
        Number(common.slice_axes(edges, {0: common.Span(k, mels, 1)})) for k in range(3)
    )
    at = Number(common.expand_dims(m.iota(dims.floordiv(length, 2) + 1).value, 1))
    rising = (at - left) / m.maximum(centre - left, 1.0)
    falling = (right - at) / m.maximum(right - centre, 1.0)
    sides = m.where((at >= left) & (at < centre), rising, 0.0)
    sides = m.where((at > centre) & (at < right), falling, sides)
    return common.cast(m.where(m.equal(at, centre), 1.0, sides).value, dtype_of(output_datatype))
