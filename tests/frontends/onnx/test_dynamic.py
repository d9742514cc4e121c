"""The padded results of operators whose sizes data decides, against NumPy and onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from tests.backends.test_wasm import run_program
from webconv.frontends.onnx.operators import dynamic
from webconv.frontends.onnx.operators.suppression import non_max_suppression_padded
from webconv.ir import graph
from webconv.ir.dims import symbol
from webconv.ir.dtypes import from_numpy
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import TensorType

Array = Any


def both(
    make: Callable[..., Sequence[Value]], feeds: Mapping[str, Array], symbolic: bool = False
) -> list[list[Array]]:
    """What `make` gives for the inputs, by the reference and by wasm."""
    inputs = {}
    for name, a in feeds.items():
        shape = tuple(symbol(f"{name}_{k}") if symbolic else n for k, n in enumerate(a.shape))
        inputs[name] = graph.input(name, TensorType(from_numpy(a.dtype), shape))
    outputs = make(*inputs.values())
    program = Program({"main": Graph(inputs, {f"y{k}": v for k, v in enumerate(outputs)})})
    runs = (program.run(feeds), run_program(program, feeds))
    return [[np.asarray(v) for v in run.values()] for run in runs]


def sparse(shape: tuple[int, ...], share: float, dtype: Any = np.float32) -> Array:
    """Random numbers of which a share is 0."""
    rng = np.random.default_rng(sum(shape) + int(share * 100))
    values = rng.integers(-9, 9, shape).astype(dtype)
    return np.where(rng.random(shape) < share, 0, values).astype(dtype)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(
    "x",
    [
        sparse((2, 3, 4), 0.5),
        sparse((7,), 1.0),
        sparse((5, 0), 0.5),
        sparse((1,), 0.0),
        sparse((30, 41), 0.7, np.int64),
        sparse((6, 6), 0.5, np.bool_),
        np.array([0, np.nan, -0.0], np.float32),
    ],
    ids=lambda x: f"{x.dtype}{list(x.shape)}",
)
def test_nonzero(x: Array, symbolic: bool) -> None:
    want = np.array(np.nonzero(x))
    for indices, count in both(dynamic.nonzero_padded, {"x": x}, symbolic):
        assert indices.shape == (x.ndim, x.size)
        np.testing.assert_array_equal(indices[:, : int(count)], want)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_compress(axis: int | None, symbolic: bool) -> None:
    x = sparse((4, 5), 0.1)
    n = x.size if axis is None else x.shape[axis]
    condition = np.random.default_rng(n).random(n - 1) < 0.5
    feeds = {"x": x, "condition": condition}
    for values, count in both(lambda x, c: dynamic.compress_padded(x, c, axis), feeds, symbolic):
        got = values.take(np.arange(int(count)), 0 if axis is None else axis)
        np.testing.assert_array_equal(got, np.compress(condition, x, axis))


UNIQUE = {
    "flat": (sparse((4, 5), 0.3), None),
    "rows": (np.array([[1, 0], [1, -1], [1, 0], [-3, 9], [1, -1]], np.float32), 0),
    "columns": (np.array([[[1, 1], [0, 0]], [[2, 2], [1, 1]]], np.int64), 2),
    "equal": (np.full((6,), 3, np.int32), None),
    "one": (np.array([[2.5]], np.float32), None),
    "bools": (np.array([True, False, True]), None),
    "nan": (np.array([np.nan, 1, -np.inf, np.nan, 1], np.float32), None),
    "many": (np.random.default_rng(0).integers(0, 40, 150).astype(np.int32), None),
}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", UNIQUE)
def test_unique(name: str, ordered: bool) -> None:
    x, axis = UNIQUE[name]
    want, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    order = np.arange(len(first)) if ordered else np.argsort(first)
    for symbolic in (False, True):
        for got in both(lambda x: dynamic.unique_padded(x, axis, ordered), {"x": x}, symbolic):
            values, indices, where, often, count = got
            n = int(count)
            assert n == len(first)
            np.testing.assert_array_equal(
                values.take(np.arange(n), axis or 0), want.take(order, axis or 0)
            )
            np.testing.assert_array_equal(indices[:n], first[order])
            np.testing.assert_array_equal(where, np.argsort(order)[inverse])
            np.testing.assert_array_equal(often[:n], counts[order])


@pytest.mark.parametrize(
    ("start", "limit", "delta", "dtype"),
    [
        (0, 7, 2, np.int64),
        (0, 8, 2, np.int32),
        (7, 0, -2, np.int64),
        (3, 3, 1, np.int32),
        (3, 1, 1, np.int64),
        (-5, 6, 3, np.int64),
        (0.5, 3.1, 0.25, np.float32),
        (1, 0, 0.5, np.float32),
    ],
)
def test_range(start: float, limit: float, delta: float, dtype: Any) -> None:
    feeds = {n: np.array(v, dtype) for n, v in {"a": start, "b": limit, "c": delta}.items()}
    want = np.arange(start, limit, delta).astype(dtype)
    for values, count in both(lambda a, b, c: dynamic.range_padded(a, b, c, 20), feeds):
        assert int(count) == len(want)
        np.testing.assert_array_equal(values[: len(want)], want)


def suppressed(feeds: Mapping[str, Array], center: bool) -> Array:
    """onnxruntime's NonMaxSuppression."""
    text = f"""<ir_version: 8, opset_import: ["" : 11]>
    g (float[b, n, 4] boxes, float[b, c, n] scores, int64[1] most, float[1] iou, float[1] least)
    => (int64[k, 3] y) {{
        y = NonMaxSuppression <center_point_box: int = {int(center)}>
            (boxes, scores, most, iou, least)
    }}"""
    model = onnx.parser.parse_model(text).SerializeToString()
    return onnxruntime.InferenceSession(model).run(None, dict(feeds))[0]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
def test_suppression(center: bool, fixed: bool) -> None:
    rng = np.random.default_rng(7)
    boxes = rng.random((2, 40, 4)).astype(np.float32)
    feeds = {
        "boxes": boxes,
        "scores": rng.random((2, 3, 40)).astype(np.float32).round(1),
        "most": np.array([12], np.int64),
        "iou": np.array([0.3], np.float32),
        "least": np.array([0.25], np.float32),
    }
    want = suppressed(feeds, center)

    def make(boxes: Value, scores: Value, most: Value, iou: Value, least: Value) -> Sequence[Value]:
        limit = graph.constant(feeds["most"]) if fixed else most
        return non_max_suppression_padded(boxes, scores, limit, iou, least, center)

    for rows, count in both(make, feeds):
        assert len(rows) == 2 * 3 * (12 if fixed else 40)
        np.testing.assert_array_equal(rows[: int(count)], want)


def test_suppression_of_none() -> None:
    feeds = {"boxes": np.zeros((1, 5, 4), np.float32), "scores": np.zeros((1, 1, 5), np.float32)}
    for rows, count in both(
        lambda b, s: non_max_suppression_padded(b, s, None, None, None, False), feeds
    ):
        assert rows.shape == (0, 3)
        assert int(count) == 0
