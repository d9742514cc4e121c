"""Pooling against onnxruntime: every way to pad, round and index."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import parser

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model, wanted
from webconv.frontends.onnx.convert import convert
from webconv.ir import ops
from webconv.ir.errors import WebconvError

Array = Any
POOLS = ("MaxPool", "AveragePool", "LpPool")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_rounding_of_sizes(operator: str, size: int) -> None:
    x = normal(2, 3, size, size + 1)
    include: list[dict[str, int]] = [{}]
    if operator == "AveragePool":
        include = [{"count_include_pad": 0}, {"count_include_pad": 1}]
    grid = itertools.product((2, 3), (1, 2, 3), ((0, 0), (1, 0), (0, 1), (1, 1)), (0, 1), include)
    for kernel, stride, (before, after), ceil, more in grid:
        agree(
            operator,
            {"x": x},
            wasm=kernel == 3 and stride == 2,
            kernel_shape=[kernel, 2],
            strides=[stride, 2],
            pads=[before, 0, after, 1],
            ceil_mode=ceil,
            **more,
        )


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad(operator: str, auto_pad: str) -> None:
    for stride in (1, 2, 3):
        x = normal(1, 2, 7, 6)
        options: Any = {"strides": [stride, 1], "auto_pad": auto_pad}
        agree(operator, {"x": x}, kernel_shape=[3, 2], **options)


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks_and_dilations(operator: str, rank: int) -> None:
    agree(
        operator,
        {"x": normal(2, 3, *(9, 8, 7)[:rank])},
        kernel_shape=[2, 3, 2][:rank],
        dilations=[2, 1, 3][:rank],
        pads=[1, 0, 1][:rank] * 2,
        ceil_mode=1,
    )


@pytest.mark.parametrize("p", [1, 2, 3])
def test_powers(p: int) -> None:
    agree("LpPool", {"x": normal(1, 2, 6)}, kernel_shape=[3], p=p)
    agree("GlobalLpPool", {"x": normal(2, 3, 4, 5)}, p=p)


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global(operator: str) -> None:
    for shape in ((2, 3, 4), (2, 3, 4, 5), (1, 2, 3, 4, 5)):
        agree(operator, {"x": normal(*shape)})
    shapes = {"x": ["n", 3, "h", "w"]}
    agree(operator, {"x": normal(2, 3, 4, 5)}, shapes=shapes)


@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("ceil", [0, 1])
def test_sizes_that_are_known_when_running(operator: str, ceil: int) -> None:
    shapes = {"x": ["n", 3, "h", "w"]}
    for size in (6, 7, 8):
        agree(
            operator,
            {"x": normal(2, 3, size, 9)},
            shapes=shapes,
            kernel_shape=[3, 2],
            strides=[2, 3],
            pads=[1, 1, 0, 1],
            ceil_mode=ceil,
        )
    agree(
        operator,
        {"x": normal(2, 3, 7, 8)},
        shapes=shapes,
        kernel_shape=[3, 3],
        strides=[2, 1],
        auto_pad="SAME_UPPER",
    )


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 6, 7), (1, 2, 5, 4, 6)])
def test_indices(order: int, shape: tuple[int, ...]) -> None:
    # Few values: ties must go to the first, as onnxruntime's do.
    x = np.random.default_rng(1).integers(-3, 3, shape).astype(np.float32)
    rank = len(shape) - 2
    agree(
        "MaxPool",
        {"x": x},
        outputs=2,
        kernel_shape=[3, 2, 2][:rank],
        strides=[2, 1, 2][:rank],
        pads=[1, 0, 1][:rank] * 2,
        storage_order=order,
        ceil_mode=1,
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_maximum_of_small_integers(dtype: Any) -> None:
    low = np.iinfo(dtype).min
    x = np.random.default_rng(2).integers(low, low + 20, (1, 2, 6, 6)).astype(dtype)
    agree("MaxPool", {"x": x}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


def unpooled(x: Array, indices: Array, kernel: list[int], strides: list[int]) -> Array:
    spatial = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], strides, kernel, strict=True)]
    out = np.zeros((*x.shape[:2], *spatial), x.dtype)
    out.reshape(-1)[indices.reshape(-1)] = x.reshape(-1)
    return out


def test_unpooled_at_any_indices() -> None:
    rng = np.random.default_rng(3)
    x = normal(2, 3, 3, 4)
    plane = np.stack([rng.permutation(48)[:12] for _ in range(6)]) + 48 * np.arange(6)[:, None]
    indices = plane.reshape(x.shape).astype(np.int64)
    options: Any = {"kernel_shape": [2, 2], "strides": [2, 2]}
    program = convert(model("MaxUnpool", {"x": x, "i": indices}, **options), Path(), {}, {})
    got = program.run({"x": x, "i": indices})["y0"]
    np.testing.assert_array_equal(got, unpooled(x, indices, [2, 2], [2, 2]))


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (2, 1)])
def test_unpooled_where_it_was_pooled(kernel: int, stride: int) -> None:
    made = parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[2, 3, h, w] x) => (float[n, c, a, b] y) {{
            p, i = MaxPool<kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}]>(x)
            y = MaxUnpool<kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}]>(p, i)
        }}"""
    )
    x = normal(2, 3, kernel + 3 * stride, kernel + 2 * stride, seed=4)
    program = convert(made, Path(), {"x": x.shape}, {})
    assert not any(isinstance(n.op, ops.ScatterElements) for n in program.main.nodes)
    (want,) = wanted(made, {"x": x})
    np.testing.assert_array_equal(run_program(program, {"x": x})["y"], want)


def test_regions() -> None:
    rois = np.array(
        [[0, 0, 0, 5, 6], [1, 2.5, 1.5, 9, 9], [1, 7, 7, 3, 2], [0, 20, 20, 30, 30]], np.float32
    )
    for scale in (1.0, 0.5):
        agree(
            "MaxRoiPool",
            {"x": normal(2, 3, 8, 9), "rois": rois},
            pooled_shape=[2, 3],
            spatial_scale=scale,
        )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"pads": [1, 1, 1]}, "pads must be 4 numbers"),
        ({"pads": [-1, 0, 0, 0]}, "pads must be 4 numbers from 0 on"),
        ({"strides": [0, 1]}, "strides must be 2 positive"),
        ({"auto_pad": "SOME"}, "auto_pad 'SOME' is unknown"),
        ({"kernel_shape": [2]}, "a kernel of 1 axes does not fit"),
    ],
)
def test_what_does_not_fit(attributes: dict[str, Any], message: str) -> None:
    made = model("MaxPool", {"x": normal(1, 1, 4, 4)}, **({"kernel_shape": [2, 2]} | attributes))
    with pytest.raises(WebconvError, match=message):
        convert(made, Path(), {}, {})
