"""Windows over padded axes on wasm: what the schedule takes apart must come out the same.

Sizes are symbols in half of the programs, so that interiors are found when they are bound. Axes are
small beside kernels and pads, so that interiors vanish, and folds have ranges of no term.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import Array, TensorType

SEEDS = 120


def random_window(rng: np.random.Generator) -> tuple[Program, dict[str, Array]]:
    """A program of one windowed operator, and its input; raises ShapeError if it does not fit."""
    rank = int(rng.integers(1, 4))
    spatial = [int(n) for n in rng.integers(1, (40, 14, 6)[rank - 1], rank)]
    channels = int(rng.choice([1, 2, 3, 4, 8, 9, 16]))
    kernel = tuple(int(k) for k in rng.integers(1, (17, 6, 4)[rank - 1], rank))
    window: dict[str, Any] = {
        "strides": tuple(int(s) for s in rng.integers(1, 4, rank)),
        "dilations": tuple(int(d) for d in rng.choice([1, 1, 2], rank)),
        "pads": tuple((int(a), int(b)) for a, b in rng.integers(0, 5, (rank, 2))),
    }
    feeds = {"x": rng.normal(size=(2, *spatial, channels)).astype(np.float32)}
    open_sizes = rng.random() < 0.5
    sizes = [dims.symbol(f"n{k}") if open_sizes else n for k, n in enumerate(spatial)]
    x = graph.input("x", TensorType(dtypes.f32, (2, *sizes, channels)))
    y = random_operator(rng, x, kernel, window)
    columns = y.shape[-1]
    assert isinstance(columns, int)
    y = ops.Add()(y, graph.constant(rng.normal(size=columns).astype(np.float32)))
    return Program({"main": Graph({"x": x}, {"y": y})}), feeds


def random_operator(
    rng: np.random.Generator, x: Value, kernel: tuple[int, ...], window: dict[str, Any]
) -> Value:
    """A convolution, depthwise or not, or pooling."""
    channels = x.shape[-1]
    assert isinstance(channels, int)
    kind = rng.choice(["conv", "conv", "depthwise", "max", "average"])
    if kind == "max":
        return ops.MaxPool(**window, kernel=kernel)(x)
    if kind == "average":
        count = bool(rng.random() < 0.5)
        return ops.AveragePool(**window, kernel=kernel, count_include_pad=count)(x)
    groups = channels if kind == "depthwise" else 1
    columns = channels if kind == "depthwise" else int(rng.choice([1, 1, 3, 8, 12]))
    shape = (*kernel, channels // groups, columns)
    w = graph.constant(rng.normal(size=shape).astype(np.float32))
    return ops.Conv(**window, groups=groups)(x, w)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_window(seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        try:
            program, feeds = random_window(rng)
            expected = program.run({n: a.astype(np.float64) for n, a in feeds.items()})["y"]
            break
        except (ShapeError, ValueError):  # The window does not fit: another one.
            continue
    got = run_program(program, feeds)["y"]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=5e-5)
