"""Transposes sink until they cancel, and a channels-first network becomes channels-last."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import given, op_counts, program, weight
from tests.passes.rules import Fires, Stays
from webconv.ir import ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Value
from webconv.passes import layout as s
from webconv.passes import optimise

N = symbol("n")
FIRST, LAST = ops.Transpose((0, 3, 1, 2)), ops.Transpose((0, 2, 3, 1))
x, y = given("x", N, 6, 5, 4), given("y", N, 6, 5, 4)
small = given("small", N, 1, 1, 4)
Add, Mul, Relu = ops.Add(), ops.Mul(), ops.Relu()

CASES = [
    Fires(s.sink_transpose, Relu(FIRST(x)), "Relu Transpose"),
    Fires(s.sink_transpose, Add(FIRST(x), FIRST(y)), "Add Transpose"),
    Fires(s.sink_transpose, Mul(FIRST(x), weight(4, 1, 1)), "Mul Transpose", exact=False),
    Fires(s.sink_transpose, Mul(FIRST(x), weight(1)), "Mul Transpose", exact=False),
    Fires(s.sink_transpose, Mul(FIRST(x), given("g")), "Mul Transpose"),
    Fires(s.sink_transpose, ops.Concat(1)(FIRST(x), FIRST(y)), "Concat Transpose"),
    Stays(s.sink_transpose, ops.Concat(1)(FIRST(x), given("z", N, 2, 6, 5))),
    Stays(s.sink_transpose, Add(FIRST(x), LAST(given("w", N, 5, 4, 6)))),
    Stays(s.sink_transpose, Add(FIRST(x), given("v", N, 4, 6, 5))),
    Stays(s.sink_transpose, Add(FIRST(x), weight(2, 1, 4, 1, 1))),
    Stays(s.sink_transpose, ops.Softmax(1)(FIRST(x))),
    Fires(s.sink_transpose_below_axes, ops.ReduceMax((2, 3))(FIRST(x)), "ReduceMax Transpose"),
    Fires(s.sink_transpose_below_axes, ops.ReduceMax((-1,), True)(FIRST(x)), "ReduceMax Transpose"),
    Fires(s.sink_transpose_below_axes, ops.ReduceMax((0, 2))(LAST(x)), "ReduceMax Transpose"),
    Fires(
        s.sink_transpose_below_axes,
        ops.Pad((0, 1, 2, 3), (0, 0, 1, 0), "edge")(FIRST(x)),
        "Pad Transpose",
    ),
    Fires(
        s.sink_transpose_below_axes,
        ops.Slice((0, 1, 5, 0), (N, 2, 3, 5), (1, 2, -2, 1))(FIRST(x)),
        "Slice Transpose",
    ),
    Stays(s.sink_transpose_below_axes, ops.Reshape((N, 120))(FIRST(x))),
    Fires(s.reshape_unit_axes, Relu(FIRST(small)), "Relu Reshape"),
    Fires(s.reshape_unit_axes, ops.Transpose((1, 0, 2, 3))(small), "Reshape"),
    Stays(s.reshape_unit_axes, FIRST(x)),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


def block(x: Value, inputs: int, seed: int) -> Value:
    """Convolution, batch normalisation and Relu as channels-first models have them."""
    conv = ops.Conv((1, 1), (1, 1), ((1, 1), (1, 1)))
    y = FIRST(conv(LAST(x), weight(3, 3, inputs, 8, seed=seed)))
    for k, op in enumerate((ops.Sub(), ops.Div(), Mul, Add)):
        y = op(y, weight(8, 1, 1, seed=seed + k))
    return Relu(y)


def test_a_channels_first_network_keeps_no_transpose_but_the_first() -> None:
    x = given("x", N, 3, 9, 9)
    a = block(x, 3, 1)
    b = Add(a, block(a, 8, 2))
    before = program(ops.ReduceMean((2, 3))(ops.Concat(1)(a, b)))
    after = optimise(before)
    assert op_counts(after) == {
        **{"Transpose": 1, "Conv": 2, "Add": 3, "Relu": 2, "Concat": 1, "ReduceMean": 1}
    }
    feeds = rules.feeds(before, 2)
    np.testing.assert_allclose(after.run(feeds)["y0"], before.run(feeds)["y0"], 1e-5, 1e-5)
