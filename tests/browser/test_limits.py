"""Sizes at which targets end: many workgroups, long sums, many buffers, tensors of no elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.browser.test_cases import BACKENDS, DEVICE, run_bundle
from webconv.ir import graph, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import f32, i32
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import TensorType
from webconv.verify.browser import Browser
from webconv.verify.page import Page


@pytest.fixture(scope="module", params=BACKENDS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[str, Browser, Page]]:
    """A page for one backend."""
    with browser.page() as opened:
        if request.param == "webgpu":
            opened.evaluate(DEVICE)
        yield request.param, browser, opened


def program(inputs: dict[str, Value], output: Value) -> Program:
    """One entry with one output."""
    return Program({"main": Graph(inputs, {"y": output})})


def check(page: Any, made: Program, inputs: dict[str, Any], rtol: float = 1e-5) -> None:
    """The page's result is the reference's."""
    got = run_bundle(page, made, inputs)["y"]
    want = made.run(inputs)["y"]
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want.astype(np.float32), rtol=rtol, atol=1e-6)


def test_a_map_over_a_hundred_thousand_workgroups(page: Any) -> None:
    """6.5 million elements, 64 a workgroup: beyond 65,535 workgroups in one dimension."""
    n = symbol("n")
    x = graph.input("x", TensorType(f32, (n,)))
    made = program({"x": x}, ops.Affine(0.5, 1.0)(x))
    check(page, made, {"x": np.arange(6_500_000, dtype=np.float32) % 1000})


def test_a_sum_of_a_million_terms_of_an_open_length(page: Any) -> None:
    x = graph.input("x", TensorType(f32, (symbol("n"),)))
    made = program({"x": x}, ops.ReduceSum()(x))
    values = np.random.default_rng(1).random(1_000_000, dtype=np.float32)
    check(page, made, {"x": values}, rtol=1e-6)


def test_twenty_inputs_in_one_sum(page: Any) -> None:
    """More than the eight buffers that WebGPU binds, and the sixteen samplers of WebGL."""
    xs = {f"x{k}": graph.input(f"x{k}", TensorType(f32, (3, 5))) for k in range(20)}
    total, *rest = xs.values()
    for x in rest:
        total = ops.Add()(total, x)
    rng = np.random.default_rng(2)
    check(page, program(xs, total), {n: rng.random((3, 5), dtype=np.float32) for n in xs})


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_open_sizes_down_to_none(page: Any, rows: int) -> None:
    """A dense layer and a pooled mean over an open batch, which may be empty."""
    x = graph.input("x", TensorType(f32, (symbol("batch"), 6)))
    w = graph.constant(np.linspace(-1, 1, 54, dtype=np.float32).reshape(6, 9))
    made = program({"x": x}, ops.Softmax()(ops.MatMul()(x, w)))
    check(page, made, {"x": np.random.default_rng(3).random((rows, 6), dtype=np.float32)})


def test_the_same_session_at_several_lengths(page: Any) -> None:
    """2x2 pooling over a length that is no multiple of two, and one that is."""
    t = symbol("time")
    x = graph.input("x", TensorType(f32, (1, t, 4, 3)))
    pooled = ops.MaxPool((2, 2), (1, 1), ((0, 0), (0, 0)), kernel=(2, 2))(x)
    made = program({"x": x}, pooled)
    for length in (7, 8):
        values = np.random.default_rng(length).normal(size=(1, length, 4, 3)).astype(np.float32)
        check(page, made, {"x": values})


def test_positions_are_exact_where_floats_are_not(page: Any) -> None:
    """Integers beyond 2^24 pass unrounded."""
    x = graph.input("x", TensorType(i32, (4,)))
    big = graph.constant(np.array([1, 2, 3, 4], np.int32))
    made = program({"x": x}, ops.Add()(x, big))
    values = np.array([2**24, 2**30, -(2**31), 2**24 + 1], np.int32)
    got = run_bundle(page, made, {"x": values})["y"]
    np.testing.assert_array_equal(got, made.run({"x": values})["y"])
