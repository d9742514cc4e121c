"""Constants: what is folded, and what stays small."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import f32_array, given, program
from tests.passes.rules import Fires, Stays
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.graph import constant
from webconv.passes import constants as c
from webconv.passes.driver import rewrite

N = symbol("n")
x, i = given("x", N, 3), given("i", N, 3, dtype=dtypes.i32)
Add, Mul, Max, Where, Expand = ops.Add(), ops.Mul(), ops.Max(), ops.Where(), ops.Expand((N, 3))
two, row = f32_array(2.0), f32_array(1.0, -2.0, 3.0)
column = constant(np.ones((4, 1), np.float32))

CASES = [
    Fires(c.fold_constants, Add(x, Mul(row, two)), "Add"),
    Fires(c.fold_constants, Add(x, ops.Reshape((1, 3))(row)), "Add"),
    Stays(c.fold_constants, Add(x, Mul(x, row))),
    Stays(c.fold_constants, ops.Expand((1000, 3))(row)),
    Stays(c.fold_constants, Mul(column, row)),
    Stays(c.fold_constants, Add(x, ops.Expand((N, 3))(row))),
    Fires(c.put_constant_right, Max(row, x), "Max"),
    Fires(c.put_constant_right, ops.Equal()(row, x), "Equal"),
    Stays(c.put_constant_right, ops.Sub()(row, x)),
    Stays(c.put_constant_right, Mul(x, row)),
    Fires(c.drop_neutral, Mul(x, constant(1.0)), ""),
    Fires(c.drop_neutral, ops.Div()(x, f32_array(1, 1, 1)), ""),
    Fires(c.drop_neutral, Add(x, constant(-0.0)), ""),
    Fires(c.drop_neutral, ops.Sub()(x, constant(0.0)), ""),
    Fires(c.drop_neutral, ops.Pow()(x, constant(1.0)), ""),
    Fires(c.drop_neutral, Add(i, constant(0)), ""),
    Fires(c.drop_neutral, ops.ShiftLeft()(i, constant(0)), ""),
    Stays(c.drop_neutral, Add(x, constant(0.0))),  # -0 + 0 is 0
    Stays(c.drop_neutral, ops.Sub()(x, constant(-0.0))),
    Stays(c.drop_neutral, Mul(x, f32_array(1, 1, 2))),
    Stays(c.drop_neutral, Mul(given("s"), f32_array(1, 1, 1))),
    Fires(c.choose_branch, Where(constant(np.True_), x, row), "Expand"),
    Fires(c.choose_branch, Where(constant(np.array([False] * 3)), row, x), "Expand"),
    Stays(c.choose_branch, Where(constant(np.array([True, False, True])), x, row)),
    Fires(c.expand_late, Mul(Expand(two), x), "Expand Mul"),
    Fires(c.expand_late, Where(ops.Greater()(x, two), Expand(two), x), "Expand Greater Where"),
    Stays(c.expand_late, Mul(x, row)),
    Stays(c.expand_late, ops.Softmax()(Expand(two))),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


def test_folding_computes_in_the_dtype_of_the_constants() -> None:
    third = ops.Div()(f32_array(1.0), f32_array(3.0))
    whole = ops.Mul()(constant(np.uint8([200])), constant(np.uint8([2])))
    p = rewrite(program(third, whole), (c.fold_constants,))
    a, b = (v.constant for v in p.main.outputs.values())
    np.testing.assert_array_equal(a, np.float32([1]) / np.float32([3]), strict=True)
    np.testing.assert_array_equal(b, np.uint8([144]), strict=True)
