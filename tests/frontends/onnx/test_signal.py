"""Fourier transforms against NumPy, windows and mel filters against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import WebconvError

Array = Any


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def complex_of(x: Array) -> Array:
    wide = x.astype(np.float64)
    return wide[..., 0] if x.shape[-1] == 1 else wide[..., 0] + 1j * wide[..., 1]


def parts_of(z: Array) -> Array:
    return np.stack([z.real, z.imag], -1)


def check(made: Any, feeds: dict[str, Array], want: Array) -> None:
    program = convert(made, Path(), {}, {})
    largest = np.abs(want).max()
    for got in (program.run(feeds)["y0"], run_program(program, feeds)["y0"]):
        assert got.shape == want.shape
        np.testing.assert_allclose(got / largest, want / largest, rtol=0, atol=2e-6)


# Direct, in two, in two of which one is in two again, and long primes.
LENGTHS = [1, 2, 5, 16, 64, 72, 100, 127, 400, 4096 + 128]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse", [0, 1])
def test_transforms(n: int, parts: int, inverse: int) -> None:
    x = normal(2, n, parts)
    transform = np.fft.ifft if inverse else np.fft.fft
    want = parts_of(transform(complex_of(x), axis=1))
    check(model("DFT", {"x": x}, opset=17, inverse=inverse), {"x": x}, want)


@pytest.mark.parametrize("n", LENGTHS)
def test_halves(n: int) -> None:
    x = normal(2, n, 1)
    half = np.fft.rfft(x[..., 0].astype(np.float64))
    check(model("DFT", {"x": x}, onesided=1), {"x": x}, parts_of(half))
    z = normal(2, n // 2 + 1, 2, seed=1)
    inputs = {"z": z, "n": np.array(n, np.int64)}
    back = np.fft.irfft(complex_of(z), n)[..., None]
    check(model("DFT", inputs, ["n"], inverse=1, onesided=1), {"z": z}, back)


def test_halves_of_even_lengths_by_default() -> None:
    z = normal(3, 9, 2)
    want = np.fft.irfft(complex_of(z))[..., None]
    check(model("DFT", {"z": z}, inverse=1, onesided=1), {"z": z}, want)


@pytest.mark.parametrize("length", [7, 10, 13, 80])
@pytest.mark.parametrize("axis", [0, 1, -2, -3])
def test_lengths_and_axes(length: int, axis: int) -> None:
    x = normal(10, 11, 12, 2)
    inputs = {"x": x, "n": np.array(length, np.int64), "axis": np.array(axis, np.int64)}
    along = axis if axis >= 0 else axis + 1
    want = parts_of(np.fft.fft(complex_of(x), length, axis=along))
    check(model("DFT", inputs, ["n", "axis"]), {"x": x}, want)


@pytest.mark.parametrize("n", [1, 6, 9, 40])
@pytest.mark.parametrize("onesided", [0, 1])
def test_lengths_that_are_known_when_running(n: int, onesided: int) -> None:
    x = normal(2, n, 1)
    made = model("DFT", {"x": x}, shapes={"x": ["batch", "time", 1]}, onesided=onesided)
    spectrum = np.fft.fft(complex_of(x), axis=1)
    check(made, {"x": x}, parts_of(spectrum[:, : n // 2 + 1] if onesided else spectrum))
    z = normal(2, n, 2, seed=1)
    made = model("DFT", {"x": z}, shapes={"x": ["batch", "time", 2]}, inverse=1)
    check(made, {"x": z}, parts_of(np.fft.ifft(complex_of(z), axis=1)))


def framed(x: Array, length: int, step: int) -> Array:
    starts = range(0, x.shape[1] - length + 1, step)
    return np.stack([complex_of(x)[:, s : s + length] for s in starts], 1)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("length", "step"), [(16, 8), (25, 10), (80, 20)])
def test_sliding_transforms(symbolic: bool, length: int, step: int) -> None:
    x, window = normal(2, 200, 1), np.hanning(length).astype(np.float32)
    shapes = {"x": ["batch", "time", 1]} if symbolic else {}
    inputs = {"x": x, "step": np.array(step, np.int64), "window": window}
    want = parts_of(np.fft.rfft(framed(x, length, step) * window))
    check(model("STFT", inputs, ["step", "window"], shapes=shapes), {"x": x}, want)
    inputs = {"x": x, "step": np.array(step), "window": None, "length": np.array(length)}
    want = parts_of(np.fft.fft(framed(x, length, step)))
    made = model("STFT", inputs, ["step", "length"], shapes=shapes, onesided=0)
    check(made, {"x": x}, want)


@pytest.mark.parametrize("name", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("weights", [["n"], []])
def test_windows(name: str, weights: list[str]) -> None:
    for n, periodic in ((2, 0), (9, 1), (64, 0)):
        size = {"n": np.array(n, np.int64)}
        agree(name, size, weights, periodic=periodic, rtol=1e-5, atol=5e-7)


@pytest.mark.parametrize("constant", [True, False])
def test_mel_filters(constant: bool) -> None:
    for mels, length, rate, low, high in ((8, 64, 8192, 0, 4096), (20, 400, 16000, 20, 8000)):
        inputs = {
            "mels": np.array(mels, np.int64),
            "length": np.array(length, np.int64),
            "rate": np.array(rate, np.int64),
            "low": np.array(low, np.float32),
            "high": np.array(high, np.float32),
        }
        agree("MelWeightMatrix", inputs, list(inputs) if constant else [], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "attributes", "message"),
    [
        ((2, 8, 3), {}, "must hold 1 or 2 parts"),
        ((2, 8, 1), {"axis": 2}, "cannot be transformed"),
        ((2, 8, 1), {"axis": 3}, "axis must lie in"),
    ],
)
def test_what_does_not_fit(shape: tuple[int, ...], attributes: Any, message: str) -> None:
    made = model("DFT", {"x": normal(*shape)}, opset=17, **attributes)
    with pytest.raises(WebconvError, match=message):
        convert(made, Path(), {}, {})
