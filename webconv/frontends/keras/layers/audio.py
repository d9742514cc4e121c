"""Spectrograms: the short-time Fourier transform as a convolution with sines and cosines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.windows import DataFormat, pads
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Array

EPSILON = 1e-7
# The mel scale of HTK.
MEL_BREAK_HERTZ, MEL_HIGH_Q = 700.0, 1127.0
LONGEST_TRANSFORM, MOST_MELS = 1 << 12, 1 << 12


def stft_spectrogram(
    layer: Layer,
    x: Value,
    *,
    mode: Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"] = "log",
    frame_length: Positive = 256,
    frame_step: Positive | None = None,
    padding: Literal["valid", "same"] = "valid",
    expand_dims: bool = False,
    data_format: DataFormat = None,
) -> Value:
    """[B, T, C] to [B, frames, C * F], or [B, frames, F, C] with `expand_dims`."""
    if x.type.rank != 3:
        raise ShapeError(f"the input must have 3 axes, but it is {x.type}")
    first = data_format == "channels_first"
    x = x if first else common.channels_first(x)
    batch, channels, length = x.shape
    flat = common.reshape(x, (batch * channels, length, 1))
    step = frame_step or frame_length // 2

    def part(name: str) -> Value:
        """[B, C, F, frames] of one of the two kernels."""
        around = pads(padding, (length,), (frame_length,), (step,), (1,))
        y = ops.Conv((step,), (1,), around)(flat, layer.weight(name, frame_length, 1, None))
        y = common.reshape(y, (batch, channels, *y.shape[1:]))
        return common.swap_axes(y, 2, 3)

    y = _combined(mode, part)
    if expand_dims:
        order = (0, 1, 3, 2) if first else (0, 3, 2, 1)
        return common.transpose(y, order)
    joined = common.reshape(y, (batch, y.shape[1] * y.shape[2], y.shape[3]))
    return joined if first else common.swap_axes(joined, 1, 2)


def _combined(mode: str, part: Any) -> Value:
    if mode in ("real", "imag"):
        return part(f"{mode}_kernel")
    real, imag = part("real_kernel"), part("imag_kernel")
    if mode == "angle":
        return ops.Atan2()(imag, real)
    if mode == "stft":
        return common.concat([real, imag], 2)
    power = ops.Add()(ops.Mul()(real, real), ops.Mul()(imag, imag))
    if mode == "psd":
        inner = common.slice_axis(power, 2, 1, -1)
        return ops.Add()(power, ops.Pad((0, 0, 1, 0), (0, 0, 1, 0))(inner))
    y = ops.Sqrt()(ops.Max()(power, scalar(EPSILON, power)))
    return y if mode == "magnitude" else ops.Log()(ops.Max()(y, scalar(EPSILON, y)))


def mel_spectrogram(
    layer: Layer,
    x: Value,
    *,
    fft_length: Positive = 2048,
    sequence_stride: Positive = 512,
    sequence_length: Positive | None = None,
    window: Literal["hann", "hamming", None] = "hann",
    sampling_rate: Positive = 16000,
    num_mel_bins: Positive = 128,
    min_freq: float = 20.0,
    max_freq: float | None = None,
    power_to_db: bool = True,
    top_db: float = 80.0,
    mag_exp: float = 2.0,
    min_power: float = 1e-10,
    ref_power: float = 1.0,
) -> Value:
    """[..., T] to [..., mel bins, frames]."""
    frame = sequence_length or fft_length
    if fft_length > LONGEST_TRANSFORM or num_mel_bins > MOST_MELS:
        rule = f"fft_length and num_mel_bins must be at most {LONGEST_TRANSFORM}"
        raise UnsupportedError(f"{rule}, but they are {fft_length} and {num_mel_bins}")
    if frame > fft_length or x.type.rank not in (1, 2):
        raise ShapeError(f"frames of {frame} in transforms of {fft_length} do not fit {x.type}")
    x = common.cast(x, layer.dtype)
    length, half = x.shape[-1], fft_length // 2
    flat = common.reshape(x, (dims.product(x.shape[:-1]), length))
    flat = common.expand_dims(ops.Pad((0, half), (0, half), "reflect")(flat), 2)
    basis = layer.constant(
        "basis", lambda: layer.cast(fourier_basis(window_of(window, frame), fft_length))
    )
    spectrum = ops.Conv((sequence_stride,), (1,), ((0, 0),))(flat, basis)
    bins = half + 1
    real, imag = common.split(spectrum, [bins, bins], -1)
    power = ops.Add()(ops.Mul()(real, real), ops.Mul()(imag, imag))
    y = power if mag_exp == 2 else ops.Pow()(ops.Sqrt()(power), scalar(mag_exp, power))
    top = max_freq or sampling_rate / 2
    mel = mel_matrix(num_mel_bins, bins, sampling_rate, min_freq, top)
    y = ops.MatMul()(y, layer.constant("mel", lambda: layer.cast(mel)))
    if power_to_db:
        y = _decibels(y, min_power, ref_power, top_db)
    y = common.swap_axes(y, 1, 2)
    return common.reshape(y, (*x.shape[:-1], *y.shape[1:]))


def _decibels(y: Value, least: float, reference: float, top: float) -> Value:
    """10 log10(y / reference), cut off `top` below the loudest of the whole batch."""
    if least <= 0:
        raise ShapeError(f"min_power must be positive, but it is {least}")
    factor, shift = 10 / math.log(10), -10 * math.log10(max(abs(reference), least))
    y = ops.Affine(factor, shift)(ops.Log()(ops.Max()(y, scalar(least, y))))
    floor = ops.Affine(1.0, -top)(ops.ReduceMax(None, True)(y))
    return ops.Max()(y, floor)


def window_of(name: str | None, length: int) -> Array:
    """A periodic window."""
    angle = 2 * np.pi * np.arange(length) / length
    shapes = {
        "hann": 0.5 - 0.5 * np.cos(angle),
        "hamming": 0.54 - 0.46 * np.cos(angle),
        None: np.ones(length),
    }
    return shapes[name]


def fourier_basis(window: Array, size: int) -> Array:
    """[size, 1, 2 * (size // 2 + 1)]: windowed cosines, then negative sines."""
    left = (size - len(window)) // 2
    padded = np.pad(window, (left, size - len(window) - left))
    angle = 2 * np.pi * (np.outer(np.arange(size), np.arange(size // 2 + 1)) % size) / size
    waves = np.concatenate([np.cos(angle), -np.sin(angle)], 1)
    return (waves * padded[:, None])[:, None]


def mel_matrix(mels: int, bins: int, rate: float, low: float, high: float) -> Array:
    """[bins, mels]: triangles of equal width on the mel scale, each with a peak of 1."""

    def mel(hertz: Array | float) -> Array:
        return np.asarray(MEL_HIGH_Q * np.log(1.0 + np.asarray(hertz) / MEL_BREAK_HERTZ))

    if not 0 <= low < high:
        raise ShapeError(f"frequencies must grow from 0, but they are {low} and {high}")
    at = mel(np.linspace(0, rate / 2, bins)[1:])[:, None]
    edges = np.linspace(mel(low), mel(high), mels + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((at - lower) / (centre - lower), (upper - at) / (upper - centre))
    return np.pad(np.maximum(slopes, 0), ((1, 0), (0, 0)))


def _kernels(config: Mapping[str, Any]) -> str:
    mode = config.get("mode", "log")
    both = {"real": "real_kernel", "imag": "imag_kernel"}
    return both.get(str(mode), "real_kernel imag_kernel")


RULES: Mapping[str, Rule] = {
    "STFTSpectrogram": Rule(stft_spectrogram, _kernels, "fft_length window periodic scaling"),
    "MelSpectrogram": Rule(mel_spectrogram),
}
