"""Normalisations, beside onnxruntime or, where it has none, NumPy in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ShapeError

Array = Any
RNG = np.random.default_rng(7)


def normal(*shape: int) -> Array:
    """Normal f32 numbers."""
    return RNG.normal(size=shape).astype(np.float32)


X = normal(2, 6, 4, 5)
BATCH = ("scale", "bias", "mean", "variance")


def batch(channels: int = 6) -> dict[str, Array]:
    """The vectors of a BatchNormalization."""
    values = {name: normal(channels) for name in BATCH}
    return values | {"variance": np.abs(values["variance"]) + np.float32(0.2)}


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
@pytest.mark.parametrize("weights", [BATCH, ()])
def test_batch_normalization(opset: int, weights: tuple[str, ...]) -> None:
    shapes = {"x": ["n", 6, "h", "w"]}
    options = {"opset": opset, "epsilon": 1e-3, "shapes": shapes}
    agree("BatchNormalization", {"x": X, **batch()}, weights, **options)
    agree("BatchNormalization", {"x": normal(5, 6), **batch()}, weights, opset=opset)


def test_batch_normalization_of_every_element() -> None:
    """`spatial=0` of opset 7."""
    vectors = {name: normal(6, 4, 5) for name in BATCH}
    vectors["variance"] = np.abs(vectors["variance"]) + np.float32(0.2)
    made = model("BatchNormalization", {"x": X, **vectors}, BATCH, opset=7, spatial=0)
    got = run_program(convert(made, Path(), {}, {}), {"x": X})["y0"]
    root = np.sqrt(vectors["variance"] + 1e-5)
    want = (X - vectors["mean"]) / root * vectors["scale"] + vectors["bias"]
    np.testing.assert_allclose(got, want, 1e-5, 1e-5)


@pytest.mark.parametrize("opset", [14, 15])
def test_batch_normalization_in_training_gives_running_statistics(opset: int) -> None:
    v = batch()
    options: dict[str, Any] = {"training_mode": 1, "momentum": 0.8, "epsilon": 1e-2}
    made = model("BatchNormalization", {"x": X, **v}, opset=opset, outputs=3, **options)
    got = run_program(convert(made, Path(), {}, {}), {"x": X, **v})
    mean, variance = X.mean((0, 2, 3), dtype=float), X.var((0, 2, 3), dtype=float)
    wide = {name: a.reshape(6, 1, 1) for name, a in (*v.items(), ("m", mean), ("v", variance))}
    y = (X - wide["m"]) / np.sqrt(wide["v"] + 1e-2) * wide["scale"] + wide["bias"]
    np.testing.assert_allclose(got["y0"], y, 1e-5, 1e-5)
    np.testing.assert_allclose(got["y1"], v["mean"] * 0.8 + mean * 0.2, 1e-5, 1e-6)
    np.testing.assert_allclose(got["y2"], v["variance"] * 0.8 + variance * 0.2, 1e-5, 1e-6)


@pytest.mark.parametrize("axis", [0, 2, -1, -2])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_normalization(axis: int, bias: bool) -> None:
    x = X + np.float32(3)
    scale = normal(*x.shape[axis:])
    inputs = {"x": x, "scale": scale, **({"bias": normal(*scale.shape)} if bias else {})}
    agree("LayerNormalization", inputs, axis=axis, outputs=3, epsilon=1e-3)
    symbols = {"x": ["n", "t", 4, 5]} if axis in (2, -1, -2) else None
    agree("LayerNormalization", inputs, axis=axis, outputs=1, shapes=symbols)


def test_layer_normalization_of_halves() -> None:
    x, scale = X.astype(np.float16), normal(5).astype(np.float16)
    agree("LayerNormalization", {"x": x, "scale": scale}, rtol=2e-3, atol=2e-3, wasm=True)


@pytest.mark.parametrize("axis", [1, -1, -2])
def test_rms_normalization(axis: int) -> None:
    scale = normal(*X.shape[axis:])
    agree("RMSNormalization", {"x": X, "scale": scale}, axis=axis, opset=23, epsilon=1e-4)


@pytest.mark.parametrize(("opset", "length"), [(18, 3), (21, 6)])
def test_group_normalization(opset: int, length: int) -> None:
    """The scale is one number for a group, and since opset 21 for a channel."""
    inputs = {"x": X, "scale": normal(length), "bias": normal(length)}
    shapes = {"x": ["n", 6, "h", "w"]}
    options = {"num_groups": 3, "epsilon": 1e-3, "opset": opset, "shapes": shapes}
    made = model("GroupNormalization", inputs, ("scale", "bias"), **options)
    program = convert(made, Path(), {}, {})
    wide = X.astype(float).reshape(2, 3, -1)
    centred = wide - wide.mean(-1, keepdims=True)
    y = (centred / np.sqrt(wide.var(-1, keepdims=True) + 1e-3)).reshape(X.shape)
    scale, bias = (np.repeat(inputs[n], 6 // length).reshape(6, 1, 1) for n in ("scale", "bias"))
    for got in (program.run({"x": X}), run_program(program, {"x": X})):
        np.testing.assert_allclose(got["y0"], y * scale + bias, 1e-5, 1e-5)
    wrong = model("GroupNormalization", inputs, num_groups=4, opset=opset)
    with pytest.raises(ShapeError, match="6 channels do not divide into 4 groups"):
        convert(wrong, Path(), {}, {})


@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 6, 4, 5), (1, 6, 2, 3, 4)])
def test_instance_normalization(shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    inputs = {"x": x, "scale": normal(6), "bias": normal(6)}
    symbols = {"x": ["n", 6, *(f"s{k}" for k in range(len(shape) - 2))]}
    agree("InstanceNormalization", inputs, ("scale", "bias"), epsilon=1e-3, shapes=symbols)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_local_response_of_odd_and_even_sizes(size: int) -> None:
    """onnxruntime has odd ones only."""
    x, options = X, {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    made = model("LRN", {"x": x}, shapes={"x": ["n", 6, "h", "w"]}, **options)
    got = run_program(convert(made, Path(), {}, {}), {"x": x})["y0"]
    squares = np.stack(
        [
            (x[:, max(0, c - (size - 1) // 2) : c + size // 2 + 1].astype(float) ** 2).sum(1)
            for c in range(6)
        ],
        1,
    )
    np.testing.assert_allclose(got, x / (1.5 + 0.3 / size * squares) ** 0.6, 1e-5, 1e-6)
    if size % 2:
        agree("LRN", {"x": x}, **options)


def test_mean_variance_normalization() -> None:
    agree("MeanVarianceNormalization", {"x": X})
    agree("MeanVarianceNormalization", {"x": X}, axes=[1, -1])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_norm(p: int, axis: int) -> None:
    x = normal(3, 4, 5)
    x[1, :, 2] = 0
    x[:, 1] = 0
    agree("LpNormalization", {"x": x}, p=p, axis=axis, shapes={"x": ["a", "b", "c"]})
