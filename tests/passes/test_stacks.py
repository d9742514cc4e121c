"""What is computed alike for each step is computed for all at once, and gives what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
import pytest

from webconv.frontends import common
from webconv.ir import ops
from webconv.ir.dtypes import f32
from webconv.ir.graph import Graph, Program, Value, constant, input
from webconv.ir.op import TensorType
from webconv.passes.driver import rewrite
from webconv.passes.movement import MOVEMENT
from webconv.passes.recurrences_stacks import stack_of_results, stack_of_shapes
from webconv.passes.recurrences_steps import stack_of_steps
from webconv.passes.recurrences_totals import totals_of_steps

T = 3
W = constant(np.arange(8, dtype=np.float32).reshape(4, 2))
B = constant(np.ones(2, np.float32))
RULES = (stack_of_steps, stack_of_shapes, stack_of_results)


def stacked(step: Callable[[Value], Value], axis: int = 0) -> Program:
    """`step` of each x[:, t], stacked."""
    x = input("x", TensorType(f32, (2, T, 4)))
    results = [step(common.at(x, 1, t)) for t in range(T)]
    return Program({"main": Graph({"x": x}, {"y": common.stack(results, axis)})})


def count(program: Program, kind: type) -> int:
    return sum(isinstance(n.op, kind) for n in program.main.nodes)


def dense(x: Value) -> Value:
    return ops.Add()(ops.MatMul()(x, W), B)


STEPS: Sequence[tuple[Callable[[Value], Value], type]] = (
    (dense, ops.MatMul),
    (lambda x: ops.Tanh()(x), ops.Elementwise),
    (lambda x: ops.Softmax(1)(dense(x)), ops.Softmax),
    (lambda x: ops.Mul()(ops.Sigmoid()(x), x), ops.Elementwise),
    (lambda x: ops.Reshape((2, 2, 2))(x), ops.Reshape),
    (lambda x: ops.Transpose((1, 0))(x), ops.Transpose),
    (lambda x: ops.Concat(1)(x, ops.Neg()(x)), ops.Concat),
    (lambda x: common.slice_axis(x, 1, 1, 3), ops.Slice),
)


@pytest.mark.parametrize(("step", "kind"), STEPS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_step_for_all(step: Callable[[Value], Value], kind: type, axis: int) -> None:
    program = stacked(step, axis)
    made = rewrite(program, RULES)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, T, 4)).astype(np.float32)}
    np.testing.assert_allclose(made.run(feeds)["y"], program.run(feeds)["y"], 1e-12)
    assert len(made.main.nodes) < len(program.main.nodes)
    assert count(made, ops.MatMul) <= 1


def test_a_recurrence_is_left_alone() -> None:
    """tanh(x[t] + h) stacked: a step needs the one before it."""
    x = input("x", TensorType(f32, (2, T, 4)))
    h = ops.Tanh()(common.at(x, 1, 0))
    states = [h]
    for t in range(1, T):
        h = ops.Tanh()(ops.Add()(common.at(x, 1, t), h))
        states.append(h)
    program = Program({"main": Graph({"x": x}, {"y": common.stack(states, 0)})})
    assert count(rewrite(program, RULES), ops.Elementwise) == 2 * T - 1


@pytest.mark.parametrize("other", [ops.Sigmoid(), ops.LeakyRelu(0.3)])
def test_different_steps_are_left_alone(other: ops.Op) -> None:
    x = input("x", TensorType(f32, (2, T, 4)))
    parts = [ops.Tanh()(common.at(x, 1, 0)), other(common.at(x, 1, 1))]
    program = Program({"main": Graph({"x": x}, {"y": common.stack(parts, 0)})})
    assert rewrite(program, RULES) is program


def test_operands_with_fewer_axes_do_not_meet_the_steps() -> None:
    """[2, 4] + a row [4] of its own for each step: the stack of rows would meet axis 0."""
    x, rows = input("x", TensorType(f32, (2, T, 4))), input("r", TensorType(f32, (T, 4)))
    parts = [ops.Add()(common.at(x, 1, t), common.at(rows, 0, t)) for t in range(T)]
    program = Program({"main": Graph({"x": x, "r": rows}, {"y": common.stack(parts, 0)})})
    feeds = {"x": np.ones((2, T, 4), np.float32), "r": np.arange(12.0).reshape(3, 4)}
    made = rewrite(program, RULES)
    np.testing.assert_array_equal(made.run(feeds)["y"], program.run(feeds)["y"])


def test_a_first_step_by_itself() -> None:
    """What stands before the steps of a sequence stays before it."""
    x = input("x", TensorType(f32, (2, T, 4)))
    start = input("start", TensorType(f32, (2, 4)))
    steps = [start, *(common.at(x, 1, t) for t in range(T))]
    y = common.stack([dense(s) for s in steps], 1)
    program = Program({"main": Graph({"x": x, "start": start}, {"y": y})})
    made = rewrite(program, (*MOVEMENT, *RULES))
    rng = np.random.default_rng(0)
    feeds = {"x": rng.normal(size=(2, T, 4)), "start": rng.normal(size=(2, 4))}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    np.testing.assert_allclose(made.run(feeds)["y"], program.run(feeds)["y"], 1e-12)
    assert count(made, ops.MatMul) == 1
    assert max(len(n.inputs) for n in made.main.nodes) == 2


def gathered(
    gather: Callable[[Value, Value], Value], steps: Sequence[Value], inputs: dict[str, Value]
) -> tuple[Program, Program]:
    """The loop `total = gather(total, step)`, and what becomes of it."""
    graph = Graph(inputs, {"y": reduce(gather, steps)})
    return Program({"main": graph}), Program({"main": totals_of_steps(graph)})


X = input("x", TensorType(f32, (2, 4, 5)))
ROWS = [common.at(X, 1, t) for t in range(4)]
ZERO = constant(np.zeros((2, 5), np.float32))


@pytest.mark.parametrize(
    ("gather", "kind"),
    [
        (lambda a, b: ops.Add()(a, b), ops.ReduceSum),
        (lambda a, b: ops.Add()(b, a), ops.ReduceSum),
        (lambda a, b: ops.Mul()(a, b), ops.ReduceProd),
        (lambda a, b: ops.Max()(a, b), ops.ReduceMax),
        (lambda a, b: ops.Min()(a, b), ops.ReduceMin),
    ],
)
@pytest.mark.parametrize(
    "steps",
    [
        ROWS,
        [ZERO, *ROWS],
        [ops.Neg()(ROWS[2]), *ROWS],
        [ops.Tanh()(r) for r in ROWS],
        ROWS[::-1],
    ],
    ids=["steps", "zero", "start", "made", "reversed"],
)
def test_totals(
    gather: Callable[[Value, Value], Value], steps: Sequence[Value], kind: type
) -> None:
    program, made = gathered(gather, steps, {"x": X})
    assert count(made, kind) == 1
    assert len(made.main.nodes) < len(program.main.nodes)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)}
    np.testing.assert_allclose(made.run(feeds)["y"], program.run(feeds)["y"], 1e-6, 1e-6)


def test_sums_that_are_no_totals() -> None:
    """Sums of other things, of few steps, of one step again and again, or read on the way."""
    other = input("other", TensorType(f32, (2, 5)))
    inputs = {"x": X, "other": other}
    add = ops.Add()
    for steps in (
        [ROWS[0], other, ROWS[1], ROWS[2]],
        ROWS[:2],
        [ROWS[0]] * 4,
        [ROWS[0], ROWS[1], ROWS[3], ROWS[2]],
    ):
        program, made = gathered(add, steps, inputs)
        assert len(made.main.nodes) == len(program.main.nodes)
    running = add(add(ROWS[0], ROWS[1]), ROWS[2])
    graph = Graph({"x": X}, {"y": add(running, ROWS[3]), "running": running})
    assert count(Program({"main": totals_of_steps(graph)}), ops.ReduceSum) == 1


def test_a_product_of_constants_is_no_total() -> None:
    """As the pivots of a parameter's determinant are, before they are folded."""
    total = constant(np.float32(2))
    for k in range(4):
        total = ops.Mul()(total, constant(np.float32(k + 3)))
    graph = Graph({}, {"total": total})
    assert totals_of_steps(graph) is graph
