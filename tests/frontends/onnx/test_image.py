"""Sampling, grids, regions and blocks against onnxruntime."""

from __future__ import annotations

import itertools
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


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_grids(mode: str, padding: str, corners: int) -> None:
    options: Any = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    # Mostly inside, and far outside: reflections repeat.
    for scale, shape in ((0.7, (2, 3, 5, 6)), (4.0, (2, 4, 4, 3)), (1.0, (1, 1, 1, 2))):
        grid = normal(shape[0], 3, 4, 2, seed=1) * np.float32(scale)
        agree("GridSample", {"x": normal(*shape), "g": grid}, atol=5e-5, **options)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grids_in_space(mode: str, padding: str) -> None:
    inputs = {"x": normal(2, 3, 4, 3, 5), "g": normal(2, 2, 3, 2, 3, seed=1)}
    for corners in (0, 1):
        agree("GridSample", inputs, mode=mode, padding_mode=padding, align_corners=corners)


def test_grids_of_sizes_that_are_known_when_running() -> None:
    inputs = {"x": normal(2, 3, 5, 6), "g": normal(2, 3, 4, 2, seed=1)}
    shapes = {"x": ["n", 3, "h", "w"], "g": ["n", "a", "b", 2]}
    for opset, mode in ((16, "bilinear"), (16, "bicubic"), (22, "linear")):
        agree("GridSample", inputs, shapes=shapes, opset=opset, mode=mode)


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("sizes", [(3, 4), (1, 5), (2, 3, 4)])
def test_affine_grids(corners: int, sizes: tuple[int, ...]) -> None:
    rank = len(sizes)
    theta = normal(2, rank, rank + 1)
    size = np.array([2, 3, *sizes], np.int64)
    if corners and 1 in sizes:
        return  # The one position is both -1 and 1: the standard takes -1, onnxruntime 1.
    agree("AffineGrid", {"theta": theta, "size": size}, ["size"], align_corners=corners)
    agree("AffineGrid", {"theta": theta, "size": size}, align_corners=corners)


@pytest.mark.parametrize("target", [(4, 6), (7, 3), (5, 10), (8, 8)])
def test_centres(target: tuple[int, int]) -> None:
    for height, width in ((7, 6), (4, 9)):
        inputs = {"x": normal(2, height, width, 3), "shape": np.array(target, np.int64)}
        for symbolic in (False, True):
            shapes = {"x": ["n", "h", "w", 3]} if symbolic else {}
            agree("CenterCropPad", inputs, ["shape"], axes=[1, -2], shapes=shapes)


def test_blocks() -> None:
    grid = itertools.product((1, 2), (1, 2), ((0, 0), (1, 0), (1, 2)))
    for stride, dilation, (before, after) in grid:
        image, kernel = (8, 7), (3, 2)
        blocks = [
            (n + before + after - (k - 1) * dilation - 1) // stride + 1
            for n, k in zip(image, kernel, strict=True)
        ]
        inputs = {
            "x": normal(2, 3 * 6, int(np.prod(blocks))),
            "image": np.array(image, np.int64),
            "block": np.array(kernel, np.int64),
        }
        agree(
            "Col2Im",
            inputs,
            ["image", "block"],
            strides=[stride, stride],
            dilations=[dilation, dilation],
            pads=[before, before, after, after],
        )


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
def test_regions(mode: str, coordinates: str, ratio: int) -> None:
    if mode == "max" and ratio == 0:
        return
    rois = [[0, 0, 7, 9], [1.5, 2.5, 6.25, 3], [-4, -3, 2, 5], [5, 6, 30, 40], [3, 3, 3.2, 3.1]]
    inputs = {
        "x": normal(2, 3, 8, 10),
        "rois": np.array(rois, np.float32),
        "batch": np.array([0, 1, 1, 0, 1], np.int64),
    }
    for scale in (1.0, 0.5):
        agree(
            "RoiAlign",
            inputs,
            opset=16,
            mode=mode,
            coordinate_transformation_mode=coordinates,
            output_height=3,
            output_width=2,
            sampling_ratio=ratio,
            spatial_scale=scale,
        )


def test_regions_of_opset_10() -> None:
    inputs = {
        "x": normal(1, 2, 6, 6),
        "rois": np.array([[0, 0, 4, 3], [1, 2, 5, 5]], np.float32),
        "batch": np.zeros(2, np.int64),
    }
    shapes = {"x": [1, 2, "h", "w"], "rois": ["r", 4], "batch": ["r"]}
    for ratio in (0, 2):
        more: Any = {"output_height": 2, "output_width": 2, "sampling_ratio": ratio}
        agree("RoiAlign", inputs, opset=10, shapes=shapes, **more)


def bilinear(x: Array, h: float, w: float) -> Array:
    """x [C, H, W] between elements, 0 outside."""
    total = np.zeros(x.shape[0])
    for i, j in itertools.product((0, 1), (0, 1)):
        a, b = int(np.floor(h)) + i, int(np.floor(w)) + j
        if 0 <= a < x.shape[1] and 0 <= b < x.shape[2]:
            total += (1 - abs(h - a)) * (1 - abs(w - b)) * x[:, a, b]
    return total


def deformed(x: Array, w: Array, offset: Array, mask: Array, groups: tuple[int, int]) -> Array:
    """Stride 2, dilation 2 down and 1 across, padding 1."""
    group, offset_group = groups
    n, c = x.shape[:2]
    o, each, kh, kw = w.shape
    oh, ow = offset.shape[2:]
    moved = offset.reshape(n, offset_group, kh, kw, 2, oh, ow)
    shown = mask.reshape(n, offset_group, kh, kw, oh, ow)
    out = np.zeros((n, o, oh, ow))
    for b, i, j, u, v in np.ndindex(n, oh, ow, kh, kw):
        column = np.zeros(c)
        for g in range(offset_group):
            own = slice(g * c // offset_group, (g + 1) * c // offset_group)
            dh, dw = moved[b, g, u, v, :, i, j]
            at = (2 * i - 1 + 2 * u + dh, 2 * j - 1 + v + dw)
            column[own] = bilinear(x[b, own], *at) * shown[b, g, u, v, i, j]
        for k in range(o):
            first = k // (o // group) * each
            out[b, k, i, j] += column[first : first + each] @ w[k, :, u, v]
    return out


@pytest.mark.parametrize(("group", "offset_group"), [(1, 1), (2, 1), (1, 2), (2, 4)])
def test_deformed_windows(group: int, offset_group: int) -> None:
    x, w = normal(2, 4, 7, 6), normal(6, 4 // group, 2, 3, seed=1)
    oh, ow = (7 + 2 - 3) // 2 + 1, (6 + 2 - 3) // 2 + 1
    offset = normal(2, offset_group * 12, oh, ow, seed=2) * np.float32(2)
    mask, bias = normal(2, offset_group * 6, oh, ow, seed=3), normal(6, seed=4)
    inputs = {"x": x, "w": w, "offset": offset, "b": bias, "mask": mask}
    made = model(
        "DeformConv",
        inputs,
        ["w", "b"],
        group=group,
        offset_group=offset_group,
        strides=[2, 2],
        dilations=[2, 1],
        pads=[1, 1, 1, 1],
    )
    program = convert(made, Path(), {}, {})
    feeds = {"x": x, "offset": offset, "mask": mask}
    want = deformed(x, w, offset, mask, (group, offset_group)) + bias[:, None, None]
    np.testing.assert_allclose(program.run(feeds)["y0"], want, 1e-5, 1e-5)
    np.testing.assert_allclose(run_program(program, feeds)["y0"], want, 1e-4, 1e-4)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "message"),
    [
        ("GridSample", {"x": (1, 1, 4, 4), "g": (1, 2, 2, 3)}, {}, "does not fit the image"),
        ("GridSample", {"x": (1, 1, 4, 4), "g": (1, 2, 2, 2)}, {"mode": "other"}, "must be one of"),
        ("AffineGrid", {"t": (1, 3, 4), "size": [1, 1, 2, 2]}, {}, "theta must be"),
        ("CenterCropPad", {"x": (4, 4), "shape": [2, 2, 2]}, {}, "shape must hold 2 sizes"),
    ],
)
def test_what_does_not_fit(operator: str, inputs: Any, attributes: Any, message: str) -> None:
    arrays = {
        n: np.array(s, np.int64) if isinstance(s, list) else normal(*s) for n, s in inputs.items()
    }
    weights = [n for n, s in inputs.items() if isinstance(s, list)]
    with pytest.raises(WebconvError, match=message):
        convert(model(operator, arrays, weights, **attributes), Path(), {}, {})
