"""Reductions, extrema, softmax and running operators, beside onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.frontends.onnx.operators.reduction import REDUCTIONS

Array = Any
X = np.random.default_rng(5).normal(size=(2, 3, 1, 5)).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(0.1)


def values(name: str) -> Array:
    """Numbers that the reduction is defined on."""
    return POSITIVE if name == "ReduceLogSum" else X


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [(0,), (-1, 1), (1, 2, 3)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes_as_input_and_as_attribute(name: str, axes: tuple[int, ...], keepdims: int) -> None:
    x, where = values(name), np.array(axes, np.int64)
    symbols = {"x": ["a", "b", 1, "c"]}
    agree(name, {"x": x, "axes": where}, ("axes",), opset=18, shapes=symbols, keepdims=keepdims)
    agree(name, {"x": x}, opset=11, axes=axes, keepdims=keepdims)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_axes_are_all_or_none(name: str) -> None:
    x = values(name)
    agree(name, {"x": x}, opset=18)
    agree(name, {"x": x}, opset=11)
    agree(name, {"x": x}, opset=18, keepdims=0)
    agree(name, {"x": x, "axes": np.zeros(0, np.int64)}, ("axes",), opset=18)


@pytest.mark.parametrize("name", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"])
def test_no_axes_may_leave_it_as_it_is(name: str) -> None:
    agree(name, {"x": X}, opset=18, noop_with_empty_axes=1)


@pytest.mark.parametrize("name", ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"])
def test_what_is_done_element_by_element_is_done_without_axes(name: str) -> None:
    """ONNX's definition since opset 20; onnxruntime gives x."""
    x = values(name)
    want = {"ReduceL1": np.abs, "ReduceL2": np.abs, "ReduceSumSquare": np.square}.get(name, np.log)
    made = model(name, {"x": x}, opset=20, noop_with_empty_axes=1)
    got = run_program(convert(made, Path(), {}, {}), {"x": x})["y0"]
    np.testing.assert_allclose(got, want(x), 1e-5, 1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    "name", ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare"]
)
def test_integers(name: str, dtype: Any) -> None:
    x = np.arange(-7, 8, dtype=dtype).reshape(3, 5)
    agree(name, {"x": x}, opset=11, axes=[1])


def test_mean_of_integers_truncates() -> None:
    x = np.array([[-7, 2, 1], [7, 0, 1]], np.int32)
    agree("ReduceMean", {"x": x}, opset=11, axes=[1])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32, np.uint64, np.int16, np.uint16])
def test_extrema_over_nothing_are_the_ends_of_the_dtype(dtype: Any) -> None:
    x = np.zeros((2, 0), dtype)
    for name, end in (("ReduceMax", np.iinfo(dtype).min), ("ReduceMin", np.iinfo(dtype).max)):
        made = model(name, {"x": x}, opset=13, axes=[1], keepdims=0, shapes={"x": [2, "n"]})
        got = run_program(convert(made, Path(), {}, {}), {"x": x})["y0"]
        np.testing.assert_array_equal(got, np.full(2, end, dtype))


@pytest.mark.parametrize("name", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_the_first_or_the_last_of_equals(name: str, last: int) -> None:
    x = np.random.default_rng(2).integers(0, 3, (4, 6)).astype(np.float32)
    for axis in (0, -1):
        for keepdims in (0, 1):
            options = {"axis": axis, "keepdims": keepdims, "select_last_index": last}
            agree(name, {"x": x}, opset=13, shapes={"x": ["n", "m"]}, **options)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("opset", [11, 13])
def test_softmax_of_both_meanings(name: str, axis: int, opset: int) -> None:
    """Before opset 13 all axes from `axis` on were one."""
    x = X.reshape(2, 3, 5)
    agree(name, {"x": x}, opset=opset, axis=axis, shapes={"x": ["a", "b", "c"]})
    agree(name, {"x": x}, opset=opset)


def test_log_sum_exp_of_large_numbers_and_infinities() -> None:
    x = np.array([[1e4, 1e4], [-1e4, -1e4], [-np.inf, 2], [-np.inf, -np.inf]], np.float32)
    agree("ReduceLogSumExp", {"x": x}, opset=11, axes=[1])


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sums_and_products(exclusive: int, reverse: int) -> None:
    x = X.reshape(2, 15)
    for axis in (0, -1):
        where = np.array(axis, np.int64)
        options = {"exclusive": exclusive, "reverse": reverse}
        agree("CumSum", {"x": x, "axis": where}, ("axis",), opset=14, **options)
        feeds = {"x": x, "axis": where}
        made = model("CumProd", feeds, ("axis",), opset=26, shapes={"x": ["n", "m"]}, **options)
        got = run_program(convert(made, Path(), {}, {}), {"x": x})["y0"]
        np.testing.assert_allclose(got, products(x, axis, exclusive, reverse), 1e-5)


def products(x: Array, axis: int, exclusive: int, reverse: int) -> Array:
    """Running products by NumPy."""
    x = np.flip(x, axis) if reverse else x
    if exclusive:
        one = np.ones_like(np.take(x, [0], axis))
        x = np.concatenate([one, np.delete(x, -1, axis)], axis)
    out = np.cumprod(x, axis)
    return np.flip(out, axis) if reverse else out
