"""Operators before opset 7, beside NumPy: onnxruntime does not read such models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import WebconvError


def run(operator: str, arrays: list[Any], **attributes: Any) -> Any:
    """What a model of one node of opset 6 computes."""
    names = [f"x{k}" for k in range(len(arrays))]
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, arrays, strict=True)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node(operator, names, ["y"], **attributes)
    graph = helper.make_graph([node], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 6)])
    program = convert(model, Path(), {}, {})
    return program.run(dict(zip(names, arrays, strict=True)))["y"]


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "axis", "wide"),
    [
        ((5,), None, (5,)),
        ((4, 5), None, (4, 5)),
        ((3, 4), 1, (3, 4, 1)),
        ((2,), 0, (2, 1, 1, 1)),
        ((4,), -2, (4, 1)),
        ((1, 1), 2, (1, 1)),
    ],
)
def test_broadcasting_begins_at_the_axis(
    shape: tuple[int, ...], axis: int | None, wide: tuple[int, ...]
) -> None:
    x, y = normal(2, 3, 4, 5), normal(*shape)
    given = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
    np.testing.assert_allclose(run("Sub", [x, y], **given), x - y.reshape(wide), 1e-6)


def test_an_axis_without_room_is_refused() -> None:
    with pytest.raises(
        WebconvError, match="axis must leave room for the second input, but it is 3"
    ):
        run("Add", [normal(2, 3, 4), normal(3, 4)], broadcast=1, axis=3)


@pytest.mark.parametrize("slopes", [1, 3])
def test_prelu_has_a_slope_for_each_channel(slopes: int) -> None:
    x, slope = normal(2, 3, 4), normal(slopes)
    want = np.where(x < 0, x * slope.reshape(-1, 1), x)
    np.testing.assert_allclose(run("PRelu", [x, slope]), want, 1e-6)


def test_batch_normalization_of_a_test_takes_the_given_statistics() -> None:
    x, scale, bias, mean = normal(2, 3, 4), normal(3), normal(3) + 1, normal(3) - 1
    variance = normal(3) ** 2
    got = run("BatchNormalization", [x, scale, bias, mean, variance], is_test=1, epsilon=1e-3)
    scale, bias, mean, variance = (a[:, None] for a in (scale, bias, mean, variance))
    want = (x - mean) / np.sqrt(variance + 1e-3) * scale + bias
    np.testing.assert_allclose(got, want, 1e-5, 1e-6)
