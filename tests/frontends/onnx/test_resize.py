"""Resize against onnxruntime: all modes, with what is known when converting and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.onnx.against_onnxruntime import agree, model, wanted
from webconv.frontends.onnx.convert import convert
from webconv.frontends.onnx.operators.resize_tables import COORDINATES
from webconv.ir.errors import WebconvError

Array = Any
PLAIN = sorted(set(COORDINATES) - {"tf_crop_and_resize", "tf_half_pixel_for_nn"})
# Scales in both directions, whole and not, and such that sizes are not whole.
SCALES = ((2.0, 2.0), (3.0, 1.5), (0.5, 0.6), (0.8, 2.6), (1.0, 0.3))


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scaled(x: Array, scales: tuple[float, float]) -> dict[str, Array]:
    factors = np.array([1] * (x.ndim - 2) + list(scales), np.float32)
    return {"x": x, "roi": None, "scales": factors}


def sized(x: Array, sizes: tuple[int, int]) -> dict[str, Array]:
    whole = np.array([*x.shape[:-2], *sizes], np.int64)
    return {"x": x, "roi": None, "scales": None, "sizes": whole}


def is_comparable(coordinates: str, x: Array, scales: tuple[float, float]) -> bool:
    """False where onnxruntime takes the whole size of the output, and the standard what is not."""
    whole = all(
        float(n * np.float32(s)).is_integer() for n, s in zip(x.shape[2:], scales, strict=True)
    )
    return whole or coordinates != "align_corners"


@pytest.mark.parametrize("coordinates", PLAIN)
@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest(coordinates: str, nearest: str) -> None:
    x = normal(1, 2, 5, 6)
    options: Any = {"coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
    for scales in SCALES:
        if is_comparable(coordinates, x, scales):
            agree("Resize", scaled(x, scales), ["scales"], wasm=False, **options)
    for sizes in ((10, 9), (2, 13), (1, 4)):
        agree("Resize", sized(x, sizes), ["sizes"], wasm=sizes == (2, 13), **options)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", PLAIN)
@pytest.mark.parametrize("antialias", [0, 1])
def test_filters(mode: str, coordinates: str, antialias: int) -> None:
    options: Any = {
        "mode": mode,
        "coordinate_transformation_mode": coordinates,
        "antialias": antialias,
    }
    for channels, outside in ((2, 0), (4, 1)):
        x = normal(1, channels, 7, 6)
        more = options | {"exclude_outside": outside if mode == "cubic" else 0}
        for scales in SCALES:
            if is_comparable(coordinates, x, scales):
                wasm = scales == SCALES[2]
                agree("Resize", scaled(x, scales), ["scales"], wasm=wasm, **more)
        for sizes in ((14, 9), (3, 13)):
            agree("Resize", sized(x, sizes), ["sizes"], wasm=sizes == (3, 13), **more)


@pytest.mark.parametrize("a", [-0.5, -0.75])
def test_the_parameter_of_cubic(a: float) -> None:
    agree(
        "Resize", scaled(normal(1, 1, 5, 6), (2.0, 0.7)), ["scales"], mode="cubic", cubic_coeff_a=a
    )


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("coordinates", PLAIN)
def test_sizes_that_are_known_when_running(mode: str, coordinates: str) -> None:
    x = normal(2, 3, 6, 4)
    options: Any = {
        "mode": mode,
        "coordinate_transformation_mode": coordinates,
        "shapes": {"x": ["n", 3, "h", "w"]},
        "nearest_mode": "round_prefer_ceil",
    }
    for scales in ((2.0, 2.0), (0.5, 1.5), (4.0, 0.75)):
        program = agree("Resize", scaled(x, scales), ["scales"], **options)
        assert "h" in str(program.main.outputs["y0"].shape)
    agree("Resize", sized(x, (9, 7)), ["sizes"], **options)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("antialias", [0, 1])
def test_scales_that_are_inputs(mode: str, antialias: int) -> None:
    x = normal(1, 4, 6, 5)
    options: Any = {"mode": mode, "antialias": antialias if mode != "nearest" else 0}
    for scales in ((2.0, 3.0), (0.5, 0.6)):
        agree("Resize", scaled(x, scales), **options)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("weights", [["roi", "sizes"], ["sizes"], []])
def test_crops(mode: str, weights: list[str]) -> None:
    x = normal(1, 2, 6, 7)
    inputs = sized(x, (5, 4))
    inputs["roi"] = np.array([0, 0, 0.25, -0.2, 1, 1, 0.75, 1.1], np.float32)
    agree(
        "Resize",
        inputs,
        weights,
        mode=mode,
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=9.5,
    )


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("weights", [["sizes"], []])
def test_one_scale_for_all(policy: str, weights: list[str]) -> None:
    inputs = sized(normal(1, 1, 6, 7), (9, 5))
    inputs["sizes"] = inputs["sizes"][2:]
    agree("Resize", inputs, weights, axes=[2, 3], keep_aspect_ratio_policy=policy, mode="linear")


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 4, 3, 4, 5)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_other_ranks(shape: tuple[int, ...], mode: str) -> None:
    for scale in (2.0, 0.6):
        scales = np.array([1, 1] + [scale] * (len(shape) - 2), np.float32)
        inputs = {"x": normal(*shape), "roi": None, "scales": scales}
        agree("Resize", inputs, ["scales"], mode=mode)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_integers(dtype: Any) -> None:
    x = np.random.default_rng(1).integers(0, 200, (1, 3, 5, 6)).astype(dtype)
    agree("Resize", scaled(x, (2.0, 1.5)), ["scales"])
    # Fractions that are exact in f32: with others, what is whole may fall short in onnxruntime.
    agree("Resize", scaled(x, (2.0, 4.0)), ["scales"], mode="linear")


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialiased_integers_round(mode: str) -> None:
    # onnxruntime computes them in fixed point; its floats tell what they should round to.
    x = np.random.default_rng(1).integers(0, 256, (1, 3, 9, 8)).astype(np.uint8)
    inputs = scaled(x, (0.5, 0.4))
    options: Any = {"mode": mode, "antialias": 1}
    exact = scaled(x.astype(np.float32), (0.5, 0.4))
    (want,) = wanted(model("Resize", exact, ["scales"], **options), {"x": exact["x"]})
    got = convert(model("Resize", inputs, ["scales"], **options), Path(), {}, {}).run({"x": x})
    np.testing.assert_array_equal(got["y0"], np.clip(np.round(want), 0, 255))


@pytest.mark.parametrize(("opset", "operator"), [(10, "Resize"), (9, "Upsample")])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_older(opset: int, operator: str, mode: str) -> None:
    x = normal(1, 2, 4, 5)
    both = ((2.0, 3.0), (2.5, 1.0)) + (((0.5, 0.6),) if opset == 10 else ())
    for scales in both:
        inputs = {"x": x, "scales": np.array([1, 1, *scales], np.float32)}
        agree(operator, inputs, ["scales"], opset=opset, mode=mode)


def test_upsample_by_attribute() -> None:
    agree("Upsample", {"x": normal(1, 2, 3, 4)}, opset=7, scales=[1.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"mode": "area"}, "'area' is not supported; use one of"),
        ({"coordinate_transformation_mode": "other"}, "'other' is not supported"),
        ({"axes": [2]}, "scales must hold 1 numbers"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "needs the input roi"),
    ],
)
def test_what_does_not_fit(attributes: dict[str, Any], message: str) -> None:
    made = model("Resize", scaled(normal(1, 1, 4, 4), (2.0, 2.0)), ["scales"], **attributes)
    with pytest.raises(WebconvError, match=message):
        convert(made, Path(), {}, {})
