"""What random graphs once got wrong on their way to wasm, each the smallest that shows it."""

from __future__ import annotations

import numpy as np

from tests.passes.programs import Array, f32_array, given, program, run_wasm, weight
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Graph, Value, constant

N = symbol("n")


def check(y: Value, **feeds: Array) -> None:
    p = program(y)
    want = p.run(feeds)["y0"]
    np.testing.assert_allclose(run_wasm(p, feeds)["y0"], want, 1e-6, 1e-6)


def running_sum(x: Value) -> Value:
    """A Scan whose carry is what every step gives."""
    types = x.shape[1:]
    carry, step = given("carry", *types), given("step", *types)
    total = ops.Add()(carry, ops.Mul()(step, constant(2.0)))
    body = Graph({"carry": carry, "step": step}, {"carry": total, "y": total})
    return ops.Scan(body, 1, 1)(ops.Expand(types)(constant(0.0)), x)[1]


def test_padding_does_not_read_indices_before_the_first() -> None:
    x, where = given("x", 2, 3), constant(np.array([[0], [1]], np.int32))
    picked = ops.GatherElements(1)(x, where)
    check(ops.Pad((2, 0), (1, 0))(picked), x=np.arange(6, dtype=np.float32).reshape(2, 3))


def test_padding_an_embedding() -> None:
    ids = given("ids", N, 3, dtype=dtypes.i32)
    rows = ops.Gather(0)(weight(4, 2), ids)
    check(ops.Pad((0, 2, 0), (0, 1, 0))(rows), ids=np.array([[0, 3, 1]], np.int32))


def test_scalar_constants_have_no_axis() -> None:
    check(running_sum(given("x", N)), x=np.arange(4, dtype=np.float32))


def test_reshaping_what_is_empty() -> None:
    none = ops.Slice((0, 2, 0), (N, 0, 8), (1, 2, 1))(given("x", N, 3, 8))
    check(ops.Reshape((0,))(none), x=np.ones((2, 3, 8), np.float32))


def test_a_scan_of_no_steps() -> None:
    check(running_sum(given("x", N, 3)), x=np.zeros((0, 3), np.float32))


def test_a_scan_over_sizes_that_are_expressions() -> None:
    x = ops.Pad((0, 1), (0, 1))(given("x", 3, N))
    check(running_sum(x), x=np.ones((3, 4), np.float32))


def test_float64_scalars_stay_float64() -> None:
    assert constant(np.float64(0.1)).type.dtype == dtypes.f64
    assert constant(0.1).type.dtype == f32_array(0.1).type.dtype == dtypes.f32
