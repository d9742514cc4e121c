"""Scales and shifts go into weights, unless that would compute more or something else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import f32_array, given, op_counts, program, weight
from tests.passes.rules import Fires, Stays
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Value, constant
from webconv.passes import optimise
from webconv.passes import weights as w

N, T = symbol("n"), symbol("t")
Add, Mul, Div, Sub, MatMul = ops.Add(), ops.Mul(), ops.Div(), ops.Sub(), ops.MatMul()
x, image = given("x", N, 4), given("image", N, 7, 6, 4)
steps = given("steps", T, N, 4)
NONE, ONE = ((0, 0),) * 2, ((1, 1),) * 2


def conv(v: Value, pads: tuple[tuple[int, int], ...] = NONE, groups: int = 1) -> Value:
    return ops.Conv((1, 2), (2, 1), pads, groups)(v, weight(2, 3, 4 // groups, 8))


def transposed(v: Value, groups: int = 1) -> Value:
    op = ops.ConvTranspose((2, 1), (1, 2), ONE, (), groups)
    return op(v, weight(3, 2, 8 // groups, 4))


def lstm(v: Value, *rest: Value | None) -> Value:
    return ops.LSTM("bidirectional")(v, weight(2, 4, 4, 3), weight(2, 3, 4, 3), *rest)[0]


product, shared = MatMul(x, weight(4, 8)), weight(4, 8, seed=3)
biased = Add(product, weight(8))
scaled_x, shifted_x = Mul(x, weight(4)), Add(x, weight(4))
whole = given("whole", N, 4, dtype=dtypes.i32)
swap = ops.Transpose((1, 0, 2))

CASES = [
    Fires(w.scale_product, Mul(product, weight(8)), "MatMul", False),
    Fires(w.scale_product, Div(product, weight(1, 8)), "MatMul", False),
    Fires(w.scale_product, Mul(product, constant(0.3)), "MatMul", False),
    Fires(w.scale_product, Mul(MatMul(image, weight(7, 4, 8)), weight(8)), "MatMul", False),
    Fires(w.scale_product, Mul(conv(image, ONE), weight(8)), "Conv", False),
    Fires(w.scale_product, Mul(conv(image, ONE, 4), weight(1, 1, 8)), "Conv", False),
    Fires(w.scale_product, Div(transposed(image), weight(8)), "ConvTranspose", False),
    Fires(w.scale_product, Mul(transposed(image, 2), weight(8)), "ConvTranspose", False),
    Stays(w.scale_product, Mul(product, weight(8)), "the product is read elsewhere", product),
    Stays(w.scale_product, Mul(product, weight(3, 1, 8)), "the constant is not per channel"),
    Stays(w.scale_product, Mul(conv(image), weight(5, 1, 1)), "the constant is not per channel"),
    Stays(w.scale_product, Div(product, constant(0.0)), "the weights would overflow"),
    Stays(
        w.scale_product,
        Mul(MatMul(x, shared), weight(8)),
        "the weights are shared",
        MatMul(given("x2", N, 4), shared),
    ),
    Stays(w.scale_product, Div(weight(8), product)),
    Stays(w.scale_product, Mul(MatMul(whole, constant(np.ones((4, 8), np.int32))), constant(3))),
    Fires(w.scale_biased, Mul(biased, weight(8, seed=5)), "Add MatMul", False),
    Fires(w.scale_biased, Div(Add(conv(image), weight(8)), weight(8, seed=5)), "Add Conv", False),
    Stays(w.scale_biased, Mul(biased, weight(8)), "the biased product is read elsewhere", biased),
    Stays(w.scale_biased, Mul(shifted_x, weight(4))),
    Fires(w.scale_input, MatMul(scaled_x, weight(4, 8)), "MatMul", False),
    Fires(w.scale_input, MatMul(Div(x, weight(1, 4)), weight(4, 8)), "MatMul", False),
    Fires(w.scale_input, conv(Mul(image, weight(4)), ONE), "Conv", False),
    Fires(w.scale_input, conv(Mul(image, weight(4)), ONE, 2), "Conv", False),
    Fires(w.scale_input, transposed(Mul(image, weight(4)), 4), "ConvTranspose", False),
    Stays(
        w.scale_input,
        MatMul(scaled_x, weight(4, 8)),
        "the scaled input is read elsewhere",
        scaled_x,
    ),
    Stays(w.scale_input, conv(Mul(image, weight(6, 1))), "the constant is not per channel"),
    Stays(w.scale_input, MatMul(shifted_x, weight(4, 8))),
    Fires(w.shift_input, MatMul(shifted_x, weight(4, 8)), "Add MatMul", False),
    Fires(w.shift_input, conv(Add(image, weight(4))), "Add Conv", False),
    Fires(w.shift_input, conv(Add(image, weight(4)), NONE, 2), "Add Conv", False),
    Stays(w.shift_input, conv(Add(image, weight(4)), ONE), "zero padding meets the shifted input"),
    Stays(
        w.shift_input,
        MatMul(shifted_x, weight(4, 8)),
        "the shifted input is read elsewhere",
        shifted_x,
    ),
    Stays(w.shift_input, transposed(Add(image, weight(4)))),
    Fires(w.scale_recurrent_input, lstm(Mul(steps, weight(4))), "LSTM", False),
    Fires(w.scale_recurrent_input, lstm(swap(Div(steps, weight(4)))), "LSTM Transpose", False),
    Stays(w.scale_recurrent_input, lstm(ops.Relu()(steps))),
    Fires(w.shift_recurrent_input, lstm(Add(steps, weight(4))), "LSTM", False),
    Fires(
        w.shift_recurrent_input,
        lstm(swap(Add(steps, weight(4))), weight(2, 4, 3)),
        "LSTM Transpose",
        False,
    ),
    Stays(
        w.shift_recurrent_input,
        lstm(Add(steps, weight(4)), given("b", 2, 4, 3)),
        "the bias is not constant",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


def normalised(v: Value, n: int) -> Value:
    """Batch normalisation written out."""
    y = Div(Sub(v, weight(n, seed=1)), f32_array(*np.linspace(0.5, 2, n)))
    return Add(Mul(y, weight(n, seed=2)), weight(n, seed=3))


@pytest.mark.parametrize(
    ("y", "left"),
    [
        (normalised(biased, 8), {"MatMul": 1, "Add": 1}),
        (normalised(conv(image, ONE), 8), {"Conv": 1, "Add": 1}),
        (MatMul(normalised(x, 4), weight(4, 8)), {"MatMul": 1, "Add": 1}),
        (conv(normalised(image, 4)), {"Conv": 1, "Add": 1}),
        (conv(normalised(image, 4), ONE), {"Conv": 1, "Add": 2, "Div": 1, "Mul": 1}),
        (lstm(swap(normalised(steps, 4)), weight(2, 4, 3)), {"LSTM": 1, "Transpose": 1}),
    ],
)
def test_batch_normalisation_is_gone(y: Value, left: dict[str, int]) -> None:
    before = program(y)
    after = optimise(before)
    assert op_counts(after) == left
    feeds = rules.feeds(before, 3)
    np.testing.assert_allclose(after.run(feeds)["y0"], before.run(feeds)["y0"], 1e-5, 1e-5)
