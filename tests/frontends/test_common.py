"""What all frontends share, against NumPy and Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from webconv.frontends import common
from webconv.ir import dims, dtypes, graph
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType
from webconv.ir.reference import evaluate

N = dims.symbol("n")
BOUNDS = (None, -7, -3, -1, 0, 1, 2, 5, 9)


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
def test_span_is_pythons_slice(step: int) -> None:
    for start, stop in itertools.product(BOUNDS, BOUNDS):
        symbolic = common.span(N, start, stop, step)
        for n in (0, 1, 3, 6):
            want = list(range(n)[start:stop:step])
            first, size = (dims.evaluate(d, {"n": n}) for d in symbolic[:2])
            assert size == len(want), (start, stop, step, n)
            assert not want or list(range(first, first + size * step, step)) == want
            assert common.span(n, start, stop, step).size == len(want)


def test_span_keeps_simple_things_simple() -> None:
    assert common.span(N, None, None) == (0, N, 1)
    assert common.span(N, None, None, -1) == (N - 1, N, -1)
    with pytest.raises(ShapeError, match="step must not be 0"):
        common.span(N, None, None, 0)


X = np.arange(24.0).reshape(2, 3, 4)
CASES: list[tuple[str, Callable[[Value], Value], Callable[[Any], Any]]] = [
    ("flip", lambda x: common.flip(x, 1), lambda a: a[:, ::-1]),
    ("at", lambda x: common.at(x, -1, -2), lambda a: a[..., -2]),
    ("reshape", lambda x: common.reshape(x, (-1, 4)), lambda a: a.reshape(-1, 4)),
    ("expand", lambda x: common.expand_dims(x, 0, -1), lambda a: a[None, ..., None]),
    ("flatten", lambda x: common.flatten(x), lambda a: a.reshape(a.shape[0], -1)),
    ("move", lambda x: common.move_axis(x, 0, -1), lambda a: np.moveaxis(a, 0, -1)),
    ("swap", lambda x: common.swap_axes(x, 0, -1), lambda a: np.swapaxes(a, 0, -1)),
    ("stack", lambda x: common.stack([x, x], -1), lambda a: np.stack([a, a], -1)),
    ("repeat", lambda x: common.repeat(x, 3, 1), lambda a: np.repeat(a, 3, 1)),
    ("tile", lambda x: common.tile(x, (2, 1, 3, 1)), lambda a: np.tile(a, (2, 1, 3, 1))),
    ("tile few", lambda x: common.tile(x, (3,)), lambda a: np.tile(a, (3,))),
    ("last", lambda x: common.slice_axis(x, 1, -2), lambda a: a[:, -2:]),
    ("split", lambda x: common.split(x, [1, 3], 2)[1], lambda a: a[..., 1:]),
    ("any", lambda x: common.any_along(common.cast(x, dtypes.bool_), 0), lambda a: a.any(0)),
    (
        "one hot",
        lambda x: common.one_hot(common.cast(x, dtypes.i32), 5, dtypes.f32),
        lambda a: (a[..., None] == np.arange(5)).astype(float),
    ),
    ("size", lambda x: common.size_value(x.shape[1] * 2), lambda a: np.int32(2 * a.shape[1])),
]


@pytest.mark.parametrize(("name", "ours", "numpys"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize("known", [True, False])
def test_as_numpy(name: str, ours: Any, numpys: Any, known: bool) -> None:
    shape = X.shape if known else tuple(dims.symbol(f"d{a}") if a < 2 else 4 for a in range(3))
    x = graph.input("x", TensorType(dtypes.f32, shape))
    y = ours(x)
    sizes = {"d0": 2, "d1": 3}
    got = evaluate(Graph({"x": x}, {"y": y}), {x: X}, sizes)[y]
    want = numpys(X)
    assert got.shape == np.shape(want) == tuple(dims.evaluate(d, sizes) for d in y.shape)
    np.testing.assert_array_equal(got, want)


def test_folded() -> None:
    x = common.folded(common.flip(graph.constant(np.arange(3)), 0))
    assert x.constant is not None
    assert x.constant.tolist() == [2, 1, 0]
    open_size = common.size_value(N)
    assert common.folded(open_size) is open_size


def test_nothing_to_do_makes_no_node() -> None:
    x = graph.input("x", TensorType(dtypes.f32, (N, 3)))
    for y in (
        common.reshape(x, (N, 3)),
        common.transpose(x, (0, 1)),
        common.slice_axis(x, 0),
        common.cast(x, dtypes.f32),
        common.repeat(x, 1, 0),
        common.tile(x, (1, 1)),
        common.broadcast_to(x, (N, 3)),
        common.concat([x], 0),
    ):
        assert y is x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: common.reshape(x, (-1, -1)), "at most one size of a shape may be -1"),
        (lambda x: common.reshape(x, (-1, 5)), "does not fit shape"),
        (lambda x: common.squeeze(x, 1), "axis 1 of .* must have size 1"),
        (lambda x: common.at(x, 5, 0), "axis must lie in"),
    ],
)
def test_errors(call: Callable[[Value], Value], message: str) -> None:
    x = graph.input("x", TensorType(dtypes.f32, (2, 3)))
    with pytest.raises(ShapeError, match=message):
        call(x)
