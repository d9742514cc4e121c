"""What WebDNN 1.2 miscompiled with default flags, each by name: here the value stays.

Through the passes by the reference, and through wasm.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.programs import Array, f32_array, given, op_counts, program, run_wasm, weight
from webconv.ir import ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Program, Value, constant
from webconv.passes import optimise

N = symbol("n")
x, image = given("x", N, 4), given("image", N, 6, 6, 3)
Add, Mul, Div, Pow = ops.Add(), ops.Mul(), ops.Div(), ops.Pow()
X = np.array([[0.5, -3.0, 2.0, -0.25], [1.0, 8.0, -1.5, 4.0]], np.float32)


def scalar(value: float) -> Value:
    return constant(value)


def check(y: Value, **feeds: Array) -> Program:
    """Optimise, compare both ways with the program as it was, and give the new one."""
    before = program(y)
    after = optimise(before)
    want = before.run(feeds)["y0"]
    np.testing.assert_allclose(after.run(feeds)["y0"], want, 1e-6)
    for variant in ("simd", "relaxed"):
        np.testing.assert_allclose(run_wasm(after, feeds, variant)["y0"], want, 1e-5, 1e-6)
    return after


def test_one_divided_by_x_is_not_x() -> None:
    check(Div(scalar(1.0), x), x=X)


def test_one_to_the_power_of_x_is_not_x() -> None:
    check(Pow(scalar(1.0), x), x=X)


def test_six_divided_by_a_sum_does_not_distribute() -> None:
    check(Div(scalar(6.0), Add(x, scalar(3.5))), x=X)


def test_six_divided_by_a_product_keeps_x_below() -> None:
    check(Div(scalar(6.0), Mul(x, scalar(3.0))), x=X)


def test_a_quotient_times_three_keeps_x_below() -> None:
    check(Mul(Div(scalar(6.0), x), scalar(3.0)), x=X)


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
def test_a_concat_of_many_takes_a_scale(inputs: int) -> None:
    joined = ops.Concat(1)(*(ops.Affine(float(k + 1))(x) for k in range(inputs)))
    check(Mul(joined, weight(4 * inputs)), x=X)


def test_padding_does_not_enter_a_max_pool_over_negative_values() -> None:
    padded = ops.Pad((0, 1, 1, 0), (0, 1, 1, 0))(image)
    pool = ops.MaxPool((1, 1), (1, 1), ((0, 0), (0, 0)), kernel=(2, 2))
    negative = -1 - np.random.default_rng(0).random((2, 6, 6, 3)).astype(np.float32)
    check(pool(padded), image=negative)
    assert np.max(program(pool(padded)).run({"image": negative})["y0"]) == 0


def test_a_relu_does_not_change_what_is_read_again() -> None:
    y = ops.MatMul()(x, weight(4, 4))
    check(Add(ops.Relu()(y), Mul(y, scalar(-2.0))), x=X)


def test_two_scalars_do_not_grow_to_the_full_size() -> None:
    full = ops.Expand((1000, 4))
    y = Add(full(scalar(2.0)), full(scalar(3.0)))
    after = check(Mul(given("long", 1000, 4), y), long=np.ones((1000, 4), np.float32))
    assert op_counts(after) == {"Mul": 1}
    assert max(v.type.size for v in after.main.values if v.constant is not None) == 1  # type: ignore[type-var]


def test_two_scalars_as_the_output_stay_an_expansion() -> None:
    full = ops.Expand((1000, 4))
    after = check(Add(full(scalar(2.0)), full(scalar(3.0))))
    assert op_counts(after) == {"Expand": 1}


def test_a_constant_minus_x_is_not_x_minus_the_constant() -> None:
    check(ops.Sub()(ops.Sub()(f32_array(1, 2, 3, 4), x), scalar(0.5)), x=X)
