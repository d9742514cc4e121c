"""Convolutions against onnxruntime, with random weights."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import WebconvError

Array = Any


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_conv(rank: int, group: int) -> None:
    kernel = (3, 2, 3)[:rank]
    inputs = {
        "x": normal(2, 4, *(9, 8, 7)[:rank]),
        "w": normal(8, 4 // group, *kernel, seed=1),
        "b": normal(8, seed=2),
    }
    for strides, dilations, pads in itertools.product((1, 2), (1, 2), (0, 1)):
        agree(
            "Conv",
            inputs,
            ["w", "b"],
            group=group,
            strides=[strides] * rank,
            dilations=[dilations] * rank,
            pads=[pads] * rank + [0] * rank,
            wasm=strides != dilations,
        )


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_conv_padded_by_name(auto_pad: str) -> None:
    for stride, size in itertools.product((1, 2, 3), (7, 8)):
        inputs = {"x": normal(1, 2, size, 6), "w": normal(3, 2, 4, 2, seed=1)}
        agree("Conv", inputs, ["w"], auto_pad=auto_pad, strides=[stride, 1])


def test_conv_of_sizes_and_weights_that_are_known_when_running() -> None:
    inputs = {"x": normal(2, 3, 8, 9), "w": normal(4, 3, 3, 3, seed=1)}
    shapes = {"x": ["n", 3, "h", "w"]}
    for weights, auto_pad in itertools.product((["w"], []), ("NOTSET", "SAME_LOWER")):
        agree("Conv", inputs, weights, shapes=shapes, strides=[2, 1], auto_pad=auto_pad)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("group", [1, 2])
def test_conv_transpose(rank: int, group: int) -> None:
    inputs = {
        "x": normal(2, 4, *(5, 4, 3)[:rank]),
        "w": normal(4, 6 // group, *(3, 2, 3)[:rank], seed=1),
        "b": normal(6, seed=2),
    }
    grid = itertools.product((1, 2, 3), (1, 2), ((0, 0), (1, 0), (0, 1)), (0, 1))
    for stride, dilation, (before, after), extra in grid:
        if extra >= stride:
            continue
        agree(
            "ConvTranspose",
            inputs,
            ["w", "b"],
            group=group,
            strides=[stride] * rank,
            dilations=[dilation] * rank,
            pads=[before] * rank + [after] * rank,
            output_padding=[extra] * rank,
            wasm=stride == 2 and before == 1,
        )


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_conv_transpose_padded_by_name(auto_pad: str) -> None:
    for stride, kernel in itertools.product((1, 2, 3), (1, 2, 3, 4)):
        if auto_pad != "VALID" and kernel < stride:
            continue
        inputs = {"x": normal(1, 2, 5, 4), "w": normal(2, 3, kernel, 2, seed=1)}
        agree("ConvTranspose", inputs, ["w"], auto_pad=auto_pad, strides=[stride, 2])


def test_conv_transpose_to_the_same_size_times_the_stride() -> None:
    # The standard says so of every kernel; onnxruntime gives less for one below the stride.
    inputs = {"x": normal(1, 2, 5), "w": normal(2, 3, 1, seed=1)}
    made = model("ConvTranspose", inputs, ["w"], auto_pad="SAME_UPPER", strides=[3])
    got = convert(made, Path(), {}, {}).run({"x": inputs["x"]})["y0"]
    want = np.zeros((1, 3, 15))
    want[..., ::3] = np.einsum("ncs,cm->nms", inputs["x"], inputs["w"][..., 0])
    np.testing.assert_allclose(got, want, 1e-6, 1e-6)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER"])
@pytest.mark.parametrize("size", [8, 9, 10, 11, 12])
def test_conv_transpose_to_a_shape(auto_pad: str, size: int) -> None:
    inputs = {"x": normal(1, 2, 4, 3), "w": normal(2, 3, 3, 3, seed=1), "b": normal(3)}
    options: Any = {"strides": [3, 2], "output_shape": [size, 6], "auto_pad": auto_pad}
    agree("ConvTranspose", inputs, ["w", "b"], **options)


def test_conv_transpose_of_sizes_that_are_known_when_running() -> None:
    inputs = {"x": normal(2, 3, 4, 5), "w": normal(3, 2, 4, 4, seed=1)}
    shapes = {"x": ["n", 3, "h", "w"]}
    for more in ({"pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER"}):
        agree("ConvTranspose", inputs, ["w"], shapes=shapes, strides=[2, 2], **more)


def test_what_does_not_fit() -> None:
    made = model("Conv", {"x": normal(1, 1, 4), "w": normal(1, 1, 3)}, ["w"], kernel_shape=[2])
    with pytest.raises(WebconvError, match=r"kernel_shape is \[2\], but the weights are"):
        convert(made, Path(), {}, {})
