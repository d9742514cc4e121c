"""Fourier transforms, windows and mel filters. A last axis of 2 holds real and imaginary parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx import arithmetic as m
from webconv.frontends.onnx.arithmetic import Number
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.types import dtype_of
from webconv.frontends.onnx.values import ints, size
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array, normalise_axis

# Longer transforms are made of shorter ones (Cooley and Tukey 1965), if the length has divisors.
LONGEST_DIRECT = 64


def fourier(x: Value, inverse: bool = False, bins: Dim | None = None) -> Value:
    """The transform [..., bins, 2] of x [..., n, 1 or 2], not scaled; `bins` is n by default."""
    n = x.shape[-2]
    bins = n if bins is None else bins
    sign = 1 if inverse else -1
    if not isinstance(n, int):
        return _bins(_computed(x, sign), bins)
    first = _divisor(n) if n > LONGEST_DIRECT else 1
    if first == 1:
        return _direct(x, sign, bins)
    return _bins(_in_two(x, first, n // first, inverse), bins)


def _divisor(n: int) -> int:
    """The largest divisor of n that is at most its root."""
    return next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)


def _bins(y: Value, bins: Dim) -> Value:
    return common.slice_axes(y, {-2: common.Span(0, bins, 1)})


def _roots(rows: int, columns: int, n: int, sign: int) -> Array:
    """exp(sign 2 pi i r c / n)."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % n / n
    roots: Array = np.exp(sign * 2j * np.pi * turns)
    return roots


def _direct(x: Value, sign: int, bins: Dim) -> Value:
    """One product with a matrix: rows are the parts of x, columns those of the result."""
    n, parts = x.shape[-2:]
    assert isinstance(n, int)
    assert isinstance(bins, int)
    roots = _roots(n, bins, n, sign)
    of_real = np.stack([roots.real, roots.imag], -1)
    of_imaginary = np.stack([-roots.imag, roots.real], -1)
    matrix = np.stack([of_real, of_imaginary], 1) if parts == 2 else of_real[:, None]
    weights = graph.constant(matrix.reshape(-1, 2 * bins).astype(x.type.dtype.numpy))
    lead = x.shape[:-2]
    rows = common.reshape(x, (*lead, n * matrix.shape[1]))
    if not lead:
        rows = common.expand_dims(rows, 0)
    return common.reshape(ops.MatMul()(rows, weights), (*lead, bins, 2))


def _in_two(x: Value, a: int, b: int, inverse: bool) -> Value:
    """Transforms of length a over every b-th element, turned, and of length b over the results."""
    *lead, n, parts = x.shape
    assert isinstance(n, int)
    strided = common.swap_axes(common.reshape(x, (*lead, a, b, parts)), -3, -2)
    y = fourier(strided, inverse)  # [..., b, a, 2]
    roots = _roots(b, a, n, 1 if inverse else -1)[..., None]
    along = np.concatenate([roots.real, roots.real], -1).astype(x.type.dtype.numpy)
    across = np.concatenate([-roots.imag, roots.imag], -1).astype(x.type.dtype.numpy)
    turned = ops.Add()(
        ops.Mul()(y, graph.constant(along)), ops.Mul()(common.flip(y, -1), graph.constant(across))
    )
    z = fourier(common.swap_axes(turned, -3, -2), inverse)  # [..., a, b, 2]
    return common.reshape(common.swap_axes(z, -3, -2), (*lead, n, 2))


def _computed(x: Value, sign: int) -> Value:
    """With a matrix that is computed where the model runs: the length is a symbol."""
    n, parts = x.shape[-2:]
    cos, sin = (common.cast(v.value, x.type.dtype) for v in _turned(n))
    sin = sin if sign > 0 else ops.Neg()(sin)
    product = ops.MatMul()
    rows = common.move_axis(x, -1, 0)
    real = common.expand_dims(common.at(rows, 0, 0), -2)
    along, across = product(real, cos), product(real, sin)
    if parts == 2:
        imaginary = common.expand_dims(common.at(rows, 0, 1), -2)
        along = ops.Sub()(along, product(imaginary, sin))
        across = ops.Add()(across, product(imaginary, cos))
    return common.stack([common.squeeze(v, -2) for v in (along, across)], -1)


def _turned(n: Dim) -> tuple[Number, Number]:
    """The cosine and sine [n, n] of r c / n turns, from what is left of the nearest quarter turn.

    So that whole quarters are exact: f32 cannot hold pi.
    """
    index, whole = ops.Iota(n)(), Number(common.size_value(n))
    part = Number(ops.Mod()(ops.Mul()(common.expand_dims(index, 1), index), whole.value))
    quarter = (part * 8 + whole) / (whole * 2)
    rest = Number(common.cast((part * 4 - quarter * whole).value, dtypes.f32)) / m.size(4 * n)
    angle = (rest * (2 * math.pi)).value
    cos, sin = Number(ops.Cos()(angle)), Number(ops.Sin()(angle))
    odd = m.equal(quarter, 1) | m.equal(quarter, 3)
    c, s = m.where(odd, sin, cos), m.where(odd, cos, sin)
    left = m.equal(quarter, 1) | m.equal(quarter, 2)
    low = m.equal(quarter, 2) | m.equal(quarter, 3)
    return m.where(left, -c, c), m.where(low, -s, s)


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
