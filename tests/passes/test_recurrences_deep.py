"""Deep networks and long chains: looked at in time that grows with them, and left as they are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.passes.programs import given, op_counts, program, weight
from tests.passes.test_recurrences_loops import check
from webconv.frontends import common
from webconv.ir import ops
from webconv.ir.dtypes import f32
from webconv.ir.graph import Program, Value, constant
from webconv.passes import recurrences_forms, recurrences_likeness
from webconv.passes.driver import rewrite
from webconv.passes.recurrences import recognise
from webconv.passes.recurrences_totals import totals_of_steps

H = 3
ADD, MUL, SUB, TANH = ops.Add(), ops.Mul(), ops.Sub(), ops.Tanh()
ONE = constant(np.float32(1))
ZEROS = constant(np.zeros((2, H), np.float32))


def residual(x: Value, seed: int) -> Value:
    """A residual layer, which reads `x` on several ways."""
    difference = SUB(x, ops.ReduceMean((1,), keepdims=True)(x))
    spread = ADD(ops.ReduceMean((1,), keepdims=True)(MUL(difference, difference)), ONE)
    product = ops.MatMul()(ops.Div()(difference, ops.Sqrt()(spread)), weight(H, H, seed=seed))
    made: Value = ADD(x, ops.MatMul()(TANH(product), weight(H, H, seed=seed + 1)))
    return made


@pytest.mark.parametrize("tied", [True, False])
def test_layers_that_are_no_steps(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that take rows of an input in an order that is no sequence's."""
    calls: Counter[str] = Counter()
    alike = recurrences_forms.alike

    def counted(*values: Any) -> bool:
        calls["alike"] += 1
        return alike(*values)

    monkeypatch.setattr(recurrences_forms, "alike", counted)
    monkeypatch.setattr(recurrences_likeness, "alike", counted)
    x, rows = given("x", 2, H), given("rows", 4, H)
    for k in range(40):
        x = ADD(residual(x, 0 if tied else 2 * k), common.at(rows, 0, k % 4))
    p = program(x)
    recognise(p)
    assert calls["alike"] < 800 * len(p.main.nodes)


def test_total_of_deep_terms() -> None:
    """What terms are computed of is looked at once, however many ways lead to it."""
    xs, total = given("x", 3, 2, H), ZEROS
    for t in range(3):
        x = common.at(xs, 0, t)
        for k in range(9):
            x = residual(x, 2 * k)
        total = ADD(total, TANH(x))
    p = rewrite(program(total), ())  # equal constants are one
    q = Program({"main": totals_of_steps(p.main)})
    assert op_counts(q)["ReduceSum"] == 1
    assert op_counts(q)["Tanh"] == 10
    feeds = {"x": np.random.default_rng(0).normal(size=(3, 2, H))}
    np.testing.assert_allclose(q.run(feeds)["y0"], p.run(feeds)["y0"], 1e-6, 1e-6)


def test_long_products_are_no_masks() -> None:
    """A proof that something is a mask ends in time, and without deep recursion."""
    x = factor = given("x", 2, H)
    power = ops.Cast(f32)(ops.Greater()(x, ONE))
    for _ in range(1200):
        factor = MUL(factor, x)
    for _ in range(40):
        power = MUL(power, power)
    count = ops.Cast(f32)(ops.Cast(f32)(ops.Greater()(x, ONE)))
    for _ in range(40):
        count = ADD(count, count)
    outputs = [ADD(MUL(m, x), MUL(x, SUB(ONE, m))) for m in (factor, power, ops.Clip(0, 1)(count))]
    p = program(*outputs, ops.MatMul()(x, weight(H, H)))
    q, _ = recognise(p)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, H))}
    want = p.run(feeds)
    for name, array in q.run(feeds).items():
        np.testing.assert_allclose(array, want[name], 1e-6, 1e-6)


def test_other_outputs() -> None:
    """An operator of a step is in the Scan with all that it gives, also what no step reads."""
    x, h = given("x", 2, 5, H), ZEROS
    found = []
    for t in range(5):
        step = ADD(ops.MatMul()(h, weight(H, H)), common.at(x, 1, t))
        best, place = ops.TopK(H, 1, True)(step)
        h = TANH(best)
        found.append(place)
    check([common.stack(found, 1), h], {"Scan": 1})
