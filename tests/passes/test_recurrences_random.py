"""Loops of random cells: whatever is recognised in them, their values stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.passes.programs import given, program
from webconv.frontends import common
from webconv.ir import ops
from webconv.ir.dims import Dim, symbol
from webconv.ir.dtypes import bool_, f32
from webconv.ir.graph import Program, Value, constant
from webconv.passes.recurrences import recognise

Array = Any
H = 3
ONE = constant(np.float32(1))
ADD, MUL, SUB, TANH, WHERE = ops.Add(), ops.Mul(), ops.Sub(), ops.Tanh(), ops.Where()

# What a cell does with a mask, two values that it has, and a matrix.
OPERATIONS: list[Callable[[Value, Value, Value, Value], Value]] = [
    lambda m, p, q, w: ADD(p, q),
    lambda m, p, q, w: MUL(p, q),
    lambda m, p, q, w: TANH(p),
    lambda m, p, q, w: ops.Sigmoid()(p),
    lambda m, p, q, w: ops.MatMul()(p, w),
    lambda m, p, q, w: WHERE(m, p, q),
    lambda m, p, q, w: WHERE(ops.Not()(m), p, q),
    lambda m, p, q, w: ADD(MUL(ops.Cast(f32)(m), p), MUL(SUB(ONE, ops.Cast(f32)(m)), q)),
    lambda m, p, q, w: SUB(ONE, p),
    lambda m, p, q, w: ops.Softmax(1)(p),
]


class Cell:
    """A cell of random operators over a pool of values, some of its states held by a mask."""

    def __init__(self, random: Any) -> None:
        self.weights = [
            constant((random.normal(size=(H, H)) * 0.6).astype(np.float32)) for _ in range(3)
        ]
        self.chosen = random.integers(0, 1000, (int(random.integers(4, 14)), 4))
        self.states = [(int(k), held < 0.5) for k, held in enumerate(random.random(3))]
        self.states = self.states[: int(random.integers(1, 4))]

    def __call__(
        self, x: Value, z: Value, m: Value, states: list[Value], odd: bool
    ) -> tuple[list[Value], Value]:
        """The next states, and the last value of the pool; an `odd` step has other weights."""
        pool = [x, z, *states]
        for kind, a, b, c in self.chosen:
            weights = self.weights[(c + odd) % len(self.weights)]
            operation = OPERATIONS[kind % len(OPERATIONS)]
            pool.append(operation(m, pool[a % len(pool)], pool[b % len(pool)], weights))
        news = [TANH(pool[-1 - k]) for k, _ in self.states]
        pairs = zip(news, states, self.states, strict=True)
        return [WHERE(m, a, b) if held else a for a, b, (_, held) in pairs], pool[-1]


def loop(random: Any) -> Program:
    """A program with a loop of such a cell, and some of what it gives."""
    count = int(random.integers(3, 7))
    batch: Dim = symbol("batch") if random.random() < 0.5 else 2
    x, z = given("x", batch, count, H), given("z", count, batch, H)
    mask = given("mask", batch, count, dtype=bool_)
    cell = Cell(random)
    zero = constant(np.zeros((2, H), np.float32))
    if not isinstance(batch, int):
        zero = ops.Expand((batch, H))(constant(np.float32(0)))
    starts = [zero, given("start", batch, H)]
    states = [starts[int(random.random() < 0.4)] for _ in cell.states]
    odd = int(random.integers(0, count)) if random.random() < 0.3 else -1
    order = range(count)[:: -1 if random.random() < 0.3 else 1]
    history, shown = [], []
    for n, t in enumerate(order):
        column = common.slice_axis(mask, 1, t, t + 1)
        states, last = cell(common.at(x, 1, t), common.at(z, 0, t), column, states, n == odd)
        history.append(states)
        shown.append(last)
    every = [s[0] for s in history]
    total = every[0]
    for v in every[1:]:
        total = ADD(total, v)
    results = [
        [common.stack(every, 1)],
        [common.stack(every[::-1], 0), *states],
        states,
        [states[0], history[1][-1]],
        [common.stack(shown, 0)],
        [total, shown[int(random.integers(0, count))]],
    ]
    return program(x, z, mask, *results[int(random.integers(0, len(results)))])


@pytest.mark.parametrize("block", range(4))
def test_random_loops(block: int) -> None:
    found = 0
    for seed in range(15 * block, 15 * (block + 1)):
        random = np.random.default_rng(seed)
        p = loop(random)
        q, recognition = recognise(p)
        found += len(recognition.layers)
        for fill in (np.zeros_like, np.ones_like, lambda a: a):
            feeds = {}
            for name, v in p.main.inputs.items():
                drawn = random.normal(size=[d if isinstance(d, int) else 2 for d in v.shape])
                feeds[name] = fill(drawn > 0) if v.type.dtype == bool_ else drawn
            want = p.run(feeds)
            for name, array in q.run(feeds).items():
                np.testing.assert_allclose(array, want[name], 1e-5, 1e-6, err_msg=f"seed {seed}")
    assert found > 5
