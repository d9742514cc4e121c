"""Algebra: exact to the bit, and what would not be is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import f32_array, given
from tests.passes.rules import Fires, Stays
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import DTYPES
from webconv.ir.graph import Value, constant
from webconv.passes import algebra as a

N = symbol("n")
x, i, b = given("x", N, 3), given("i", N, 3, dtype=dtypes.i32), given("b", N, dtype=dtypes.bool_)
Add, Mul, Neg, Relu, Pow = ops.Add(), ops.Mul(), ops.Neg(), ops.Relu(), ops.Pow()
row, column = f32_array(1.0, 2.0, 4.0), constant(np.ones((4, 1), np.float32))
shared = Add(x, row)


def chain(op: ops.Op, first: float, second: float) -> Value:
    return op(op(x, constant(first)), constant(second))


def casts(source: str, *targets: str) -> Value:
    v = given("c", N, dtype=DTYPES[source])
    for name in targets:
        v = ops.Cast(DTYPES[name])(v)
    return v


CASES = [
    Fires(a.drop_identity, Relu(ops.Identity()(x)), "Relu"),
    Stays(a.drop_identity, Relu(x)),
    Fires(a.cancel_involution, Neg(Neg(x)), ""),
    Fires(a.cancel_involution, ops.Not()(ops.Not()(b)), ""),
    Stays(a.cancel_involution, Neg(Relu(Neg(x)))),
    Stays(a.cancel_involution, ops.Reciprocal()(ops.Reciprocal()(x))),
    Fires(a.apply_once, Relu(Relu(x)), "Relu"),
    Fires(a.apply_once, ops.Clip(0.0, 6.0)(ops.Clip(0.0, 6.0)(x)), "Clip"),
    Stays(a.apply_once, ops.Clip(0.0, 6.0)(ops.Clip(1.0, 6.0)(x))),
    Stays(a.apply_once, Neg(Neg(x))),
    Fires(a.drop_same_branches, ops.Where()(ops.Greater()(x, row), x, x), ""),
    Stays(a.drop_same_branches, ops.Where()(ops.Greater()(x, row), x, Neg(x))),
    Stays(a.drop_same_branches, ops.Where()(ops.Greater()(x, row), row, row)),
    Fires(a.add_negative, ops.Sub()(x, row), "Add"),
    Fires(a.add_negative, ops.Sub()(i, constant(-(2**31))), "Add"),
    Stays(a.add_negative, ops.Sub()(row, x)),
    Fires(a.multiply_by_reciprocal, ops.Div()(x, row), "Mul"),
    Stays(a.multiply_by_reciprocal, ops.Div()(x, constant(3.0))),
    Stays(a.multiply_by_reciprocal, ops.Div()(x, constant(0.0))),
    Stays(a.multiply_by_reciprocal, ops.Div()(x, constant(2.0**127))),  # its inverse is denormal
    Stays(a.multiply_by_reciprocal, ops.Div()(i, constant(2))),
    Stays(a.multiply_by_reciprocal, ops.Div()(row, x)),
    Fires(a.use_simpler_power, Pow(x, constant(2.0)), "Mul"),
    Fires(a.use_simpler_power, Pow(x, constant(-1.0)), "Reciprocal"),
    Fires(a.use_simpler_power, Pow(i, constant(2)), "Mul"),
    Stays(a.use_simpler_power, Pow(x, constant(0.5))),  # sqrt(-0) is -0
    Stays(a.use_simpler_power, Pow(i, constant(-1))),
    Stays(a.use_simpler_power, Pow(constant(2.0), x)),
    Fires(a.join_terms, Add(Add(x, row), row), "Add", exact=False),
    Fires(a.join_terms, chain(Add, 2.5, -1.5), "Add", exact=False),
    Fires(a.join_terms, chain(Add, 1e38, 1e38), "Add", exact=False),
    Fires(a.join_terms, Add(Add(i, constant(2**31 - 1)), constant(9)), "Add"),
    Stays(a.join_terms, chain(Add, 2.0**23, -(2.0**23))),  # rounds to an integer
    Stays(a.join_terms, chain(Add, 3e38, -3e38)),
    Stays(a.join_terms, Add(Add(x, column), f32_array(1, 2, 3))),
    Stays(a.join_terms, Add(shared, row), also_read=shared),
    Stays(a.join_terms, Add(x, row)),
    Fires(a.join_factors, Mul(Mul(x, row), constant(-3.0)), "Mul", exact=False),
    Fires(a.join_factors, Mul(Mul(i, constant(1 << 20)), constant(1 << 20)), "Mul"),
    Fires(a.join_factors, chain(Mul, 0.5, 0.0), "Mul"),
    Stays(a.join_factors, chain(Mul, 4.0, 0.25)),  # x * 4 may overflow
    Stays(a.join_factors, chain(Mul, 1e30, 2e30)),
    Stays(a.join_factors, chain(Mul, 1e-30, 2e-30)),
    Stays(a.join_factors, chain(Mul, 2.0, float("inf"))),
    Fires(a.drop_cast, ops.Cast(dtypes.f32)(x), ""),
    Stays(a.drop_cast, ops.Cast(dtypes.f16)(x)),
    Fires(a.join_casts, casts("i32", "i64", "i32"), "Cast"),
    Fires(a.join_casts, casts("u8", "f32", "u8"), "Cast"),
    Fires(a.join_casts, casts("bool", "i32", "f32"), "Cast"),
    Fires(a.join_casts, casts("f32", "f64", "bool"), "Cast"),
    Fires(a.join_casts, casts("i32", "i64", "u8"), "Cast"),
    Stays(a.join_casts, casts("f32", "f16", "f32")),
    Stays(a.join_casts, casts("i32", "f32", "i32")),
    Stays(a.join_casts, casts("i32", "bool", "i32")),
    Stays(a.join_casts, casts("i16", "f32", "u32")),  # saturates, where i16 to u32 wraps
    Stays(a.join_casts, casts("u8", "i8", "i32")),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


@pytest.mark.parametrize("narrow", DTYPES.values(), ids=str)
def test_a_wider_dtype_holds_every_number(narrow: dtypes.DType) -> None:
    kind = narrow.numpy
    if narrow == dtypes.bool_:
        edges = [False, True]
    elif narrow.is_float:
        facts = np.finfo(kind)
        edges = [facts.max, facts.smallest_subnormal, 1 + facts.eps]
    else:
        edges = [np.iinfo(kind).min, np.iinfo(kind).max, np.iinfo(kind).max - 1]
    for wide in DTYPES.values():
        if not a.holds(wide, narrow):
            continue
        numbers = np.array(edges, kind)
        assert list(numbers.astype(wide.numpy).astype(object)) == list(numbers.astype(object)), wide
