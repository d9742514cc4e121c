"""Gather, scatter and sorting against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir import ops
from webconv.ir.errors import ShapeError

Array = Any
f32 = np.float32


def normal(*shape: int, seed: int = 0) -> Array:
    """Random floats."""
    return np.random.default_rng(seed).normal(size=shape).astype(f32)


def places(n: int, *shape: int, dtype: Any = np.int64) -> Array:
    """Random indices into an axis of n, negative ones among them."""
    return np.random.default_rng(sum(shape)).integers(-n, n, shape).astype(dtype)


def distinct(n: int, *shape: int) -> Array:
    """Indices that differ along the last axis, some negative."""
    rng = np.random.default_rng(n)
    rows = [rng.permutation(n)[: shape[-1]] for _ in range(int(np.prod(shape[:-1])))]
    out = np.array(rows).reshape(shape)
    return np.where(rng.random(shape) < 0.5, out - n, out)


CONSTANT = pytest.mark.parametrize("constant", [True, False])


@CONSTANT
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather(axis: int, constant: bool) -> None:
    x, weights = normal(4, 5, 6), ["i"] if constant else []
    shapes: list[tuple[int, ...]] = [(), (3,), (2, 3), (0,)]
    for shape in shapes:
        agree("Gather", {"x": x, "i": places(4, *shape)}, weights, axis=axis)
    shape = (2, 3, 4)
    agree("GatherElements", {"x": x, "i": places(4, *shape)}, weights, axis=axis)
    agree("GatherElements", {"x": x, "i": places(4, *shape, dtype=np.int32)}, weights, axis=axis)


@CONSTANT
@pytest.mark.parametrize("batch_dims", [0, 1, 2])
def test_gather_nd(batch_dims: int, constant: bool) -> None:
    x, weights = normal(3, 3, 4, 5), ["i"] if constant else []
    lead = (3,) * batch_dims
    for k in range(1, 5 - batch_dims):
        lists: list[tuple[int, ...]] = [(2, k), (k,), (0, k)]
        for tuples in lists:
            i = places(3, *lead, *tuples)
            agree("GatherND", {"x": x, "i": i}, weights, batch_dims=batch_dims)


@CONSTANT
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter_elements(axis: int, reduction: str, constant: bool) -> None:
    """Without a reduction the indices differ: ONNX leaves open which of two updates wins."""
    x, weights = normal(6, 6, 6), ["i"] if constant else []
    i = distinct(6, 3, 4, 5) if reduction == "none" else places(6, 3, 4, 5)
    i = np.moveaxis(i, -1, axis) if reduction == "none" else i
    inputs = {"x": x, "i": i, "u": normal(*i.shape, seed=1)}
    agree("ScatterElements", inputs, weights, axis=axis, reduction=reduction, opset=18)
    if reduction == "none":
        agree("Scatter", inputs, weights, axis=axis, opset=10)


@CONSTANT
@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter_nd(reduction: str, constant: bool) -> None:
    weights = ["i"] if constant else []
    for k in (1, 2, 3):
        flat = np.random.default_rng(k).permutation(4**k)[:4]
        i = np.stack(np.unravel_index(flat, (4,) * k), -1)
        i = np.concatenate([i, i[:1]]) if reduction in ("add", "max") else i
        i = np.where(np.arange(k) == 0, i - 4, i).astype(np.int64)
        inputs = {"x": normal(4, 4, 4), "i": i, "u": normal(len(i), *(4,) * (3 - k), seed=1)}
        agree("ScatterND", inputs, weights, reduction=reduction, opset=18)


@pytest.mark.parametrize("reduction", ["none", "add"])
def test_a_box_is_pasted(reduction: str) -> None:
    """What exporters make of `x[1:3, :, 2:4] = u` needs neither a scatter nor a table."""
    grid = np.stack(np.meshgrid([1, 2], np.arange(4), [2, 3], indexing="ij"), -1)
    inputs = {"x": normal(5, 4, 6, 2), "i": grid, "u": normal(2, 4, 2, 2, seed=1)}
    program = agree("ScatterND", inputs, ["i"], reduction=reduction, opset=18)
    kinds = {type(n.op) for n in program.main.nodes}
    assert not kinds & {ops.ScatterND, ops.Gather}


def test_the_last_of_equal_indices_wins() -> None:
    x, i = np.zeros(5, f32), np.array([3, -2, 0, 3], np.int64)
    inputs: dict[str, Array] = {"x": x, "i": i, "u": np.array([1, 2, 3, 4], f32)}
    for weights in ([], ["i"]):
        program = convert(model("ScatterElements", inputs, weights), Path(), {}, {})
        for run in (program.run(inputs), run_program(program, inputs)):
            assert run["y0"].tolist() == [3, 0, 0, 4, 0]
        tuples: dict[str, Array] = {**inputs, "i": i[:, None]}
        program = convert(model("ScatterND", tuples, weights), Path(), {}, {})
        for run in (program.run(tuples), run_program(program, tuples)):
            assert run["y0"].tolist() == [3, 0, 0, 4, 0]


def test_no_updates() -> None:
    x = normal(4, 3)
    for weights in ([], ["i"]):
        inputs = {"x": x, "i": np.zeros((0, 3), np.int64), "u": np.zeros((0, 3), f32)}
        agree("ScatterElements", inputs, weights)
        inputs["i"] = np.zeros((0, 1), np.int64)
        agree("ScatterND", inputs, weights)


def test_sizes_as_symbols() -> None:
    x, i = normal(5, 6), places(5, 4, 6)
    shapes: Any = {"x": ["a", "b"], "i": ["m", "b"], "u": ["m", "b"]}
    update = normal(4, 6, seed=1)
    inputs = {"x": x, "i": i, "u": update}
    agree("ScatterElements", inputs, shapes=shapes, reduction="add")
    agree("GatherElements", {"x": x, "i": i}, shapes=shapes)
    rows = np.array([[3], [-5], [1], [2]], np.int64)
    agree("ScatterND", {"x": x, "i": rows, "u": update}, shapes={**shapes, "i": ["m", 1]})
    agree("ScatterND", {"x": x, "i": rows, "u": update}, ["i"], shapes={"x": [5, "b"]})
    agree("GatherND", {"x": x, "i": rows}, shapes={"x": ["a", "b"], "i": ["m", 1]})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_top_k(axis: int) -> None:
    x = normal(5, 6, 7)
    for largest in (0, 1):
        inputs = {"x": x, "k": np.array([3], np.int64)}
        agree("TopK", inputs, ["k"], outputs=2, axis=axis, largest=largest)
        agree("TopK", inputs, outputs=2, axis=axis, largest=largest, shapes={"x": ["a", "b", "c"]})
        whole = {**inputs, "x": places(3, 5, 6, 7)}
        agree("TopK", whole, ["k"], outputs=2, axis=axis, largest=largest)
    agree("TopK", {"x": x}, outputs=2, axis=axis, k=4, opset=9)
    agree("TopK", inputs, ["k"], outputs=2, axis=axis, opset=10)
    agree("TopK", {"x": x, "k": np.array([0], np.int64)}, ["k"], outputs=2, axis=axis)


def test_top_k_of_too_few() -> None:
    made = model("TopK", {"x": normal(3), "k": np.array([4], np.int64)}, ["k"], outputs=2)
    with pytest.raises(ShapeError, match="k must be at most 3"):
        convert(made, Path(), {}, {})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
def test_one_hot(axis: int, dtype: Any) -> None:
    """onnxruntime has few combinations of dtypes, so NumPy says what is right."""
    i = np.array([[0, 4, -1], [-5, 5, -6]]).astype(dtype)
    hot = np.moveaxis((np.arange(5) - np.where(i < 0, i + 5, i)[..., None]) == 0, -1, axis)
    for depth in (np.array(5, np.int64), np.array([5], np.int32)):
        for values in (np.array([0, 1], f32), np.array([7, -3], np.int64)):
            inputs = {"i": i, "d": depth, "v": values}
            for weights in (["d", "v"], ["d"]):
                program = convert(model("OneHot", inputs, weights, axis=axis), Path(), {}, {})
                for run in (program.run(inputs), run_program(program, inputs)):
                    np.testing.assert_array_equal(run["y0"], np.where(hot, values[1], values[0]))


@pytest.mark.parametrize("batch", [0, 1])
def test_reverse_sequence(batch: int) -> None:
    x = normal(4, 4, 3)
    for lengths in ([4, 1, 2, 3], [1, 1, 1, 1], [4, 4, 4, 4]):
        inputs = {"x": x, "n": np.array(lengths, np.int64)}
        axes = {"batch_axis": batch, "time_axis": 1 - batch}
        agree("ReverseSequence", inputs, **axes)  # type: ignore[arg-type]
        agree("ReverseSequence", inputs, ["n"], **axes)  # type: ignore[arg-type]
