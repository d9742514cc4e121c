"""The driver: fixed points, one node for equal ones, types and guards, names, and its speed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.passes.programs import f32_array, given, op_counts, program, weight
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.errors import GraphError
from webconv.ir.graph import Graph, Node, Program, State, Value, constant, input
from webconv.ir.op import TensorType
from webconv.ir.text import print_program
from webconv.passes import PASSES, optimise
from webconv.passes.driver import Uses, expect, rewrite

N, M = symbol("n"), symbol("m")
x, y = given("x", N, 3), given("y", N, 3)
Add, Mul, Neg, Relu, Tanh = ops.Add(), ops.Mul(), ops.Neg(), ops.Relu(), ops.Tanh()


def relu_is_tanh(node: Node, uses: Uses) -> Value | None:
    """relu(x) -> tanh(x)"""
    return Tanh(node.inputs[0]) if isinstance(node.op, ops.Relu) else None


def test_nothing_to_do_gives_the_same_program() -> None:
    p = program(Tanh(x))
    assert rewrite(p, (relu_is_tanh,)) is p
    assert optimise(p) is p


def test_equal_nodes_become_one() -> None:
    def made() -> Value:
        return Mul(Tanh(x), weight(3))

    p = rewrite(program(Add(made(), made())), ())
    assert op_counts(p) == {"Tanh": 1, "Mul": 1, "Add": 1}
    assert sum(isinstance(n.op, ops.Constant) for n in p.main.nodes) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Tanh(x), Tanh(y)),
        (ops.Pad((0, 1), (0, 0), "constant", 0.0)(x), ops.Pad((0, 1), (0, 0), "constant", -0.0)(x)),
        (Mul(x, f32_array(0.0)), Mul(x, f32_array(-0.0))),
        (Mul(x, weight(3)), Mul(x, weight(1, 3))),
        (ops.Clip(low=1.0)(x), ops.Clip(high=1.0)(x)),
    ],
)
def test_different_nodes_stay_two(a: Value, b: Value) -> None:
    p = program(a, b)
    assert rewrite(p, ()) is p


def test_another_type_is_refused() -> None:
    def transpose(node: Node, uses: Uses) -> Value | None:
        return ops.Transpose((1, 0))(x) if isinstance(node.op, ops.Relu) else None

    message = r"Relu act: transpose: f32\[n, 3\] must not become f32\[3, n\]"
    with pytest.raises(GraphError, match=message):
        rewrite(program(Relu(x, name="act")), (transpose,))


def test_rules_that_undo_each_other_are_found() -> None:
    def tanh_is_relu(node: Node, uses: Uses) -> Value | None:
        return Relu(node.inputs[0]) if isinstance(node.op, ops.Tanh) else None

    with pytest.raises(GraphError, match="must come to rest"):
        rewrite(program(Relu(x)), (relu_is_tanh, tanh_is_relu))


def test_a_guard_is_never_lost() -> None:
    def first(node: Node, uses: Uses) -> Value | None:
        return node.inputs[0] if isinstance(node.op, ops.Add) else None

    p = program(Add(x, given("z", M, 3)))
    assert p.main.guards
    assert rewrite(p, (first,)) is p
    assert op_counts(rewrite(program(Add(x, y)), (first,))) == {}


def test_new_nodes_are_named_after_the_one_they_replace() -> None:
    def split(node: Node, uses: Uses) -> Value | None:
        made = Tanh(node.inputs[0])
        return Neg(Neg(made, name="own")) if isinstance(node.op, ops.Relu) else None

    before = program(Relu(ops.Identity()(x), name="act"))
    after = rewrite(before, (split,))
    assert [n.name for n in after.main.nodes] == ["x", "", "act", "own", "act"]
    assert [n.name for n in before.main.nodes] == ["x", "", "act"]


def test_reasons_are_told_once_for_the_final_program() -> None:
    def picky(node: Node, uses: Uses) -> None:
        if isinstance(node.op, ops.Tanh):
            (v,) = node.inputs
            expect(v is None or uses[v] > 1, "the input has one reader")

    lines: list[str] = []
    rewrite(program(Relu(Relu(x, name="a"), name="b")), (relu_is_tanh, picky), lines.append)
    assert lines == [f"Tanh {name}: picky: the input has one reader" for name in "ab"]


def test_readers_are_nodes_outputs_and_states() -> None:
    seen = {}

    def count(node: Node, uses: Uses) -> None:
        if isinstance(node.op, ops.Neg):
            seen["tanh"] = uses[node.inputs[0]]  # type: ignore[index]

    t = Tanh(x)
    state = input("s", t.type)
    graph = Graph({"x": x}, {"a": Neg(t), "b": Mul(t, t), "c": t}, {"s": state}, {"s": t})
    rewrite(Program({"main": graph}, (State("s", t.type),)), (count,))
    assert seen == {"tanh": 5}


def test_entries_and_states_are_kept() -> None:
    t = TensorType(dtypes.f32, (2,))
    a, s = input("a", t), input("s", t)
    step = Graph({"a": a}, {"y": Neg(Neg(Add(a, s)))}, {"s": s}, {"s": Mul(Relu(Relu(a)), s)})
    reset = Graph({}, {}, {}, {"s": ops.Expand((2,))(constant(0.0))})
    before = Program({"step": step, "reset": reset}, (State("s", t),), "kept")
    after = optimise(before)
    assert (after.name, after.states) == ("kept", before.states)
    assert list(after.entries) == ["step", "reset"]
    assert after.entries["reset"] is reset
    states = {"s": np.array([3.0, 4.0])}
    assert after.run({"a": np.array([1.0, -1.0])}, "step", states)["y"].tolist() == [4, 3]
    assert states["s"].tolist() == [3, 0]


def test_rules_work_inside_the_body_of_a_scan() -> None:
    carry, step = given("carry", 3), given("step", 3)
    total = Add(Relu(Relu(carry)), Mul(step, f32_array(1, 1, 1)))
    body = Graph({"carry": carry, "step": step}, {"carry": total, "y": Neg(Neg(total))})
    first = ops.Expand((3,))(constant(0.0))
    last, ys = ops.Scan(body, 1, 1)(first, x)
    before = program(last, ops.Neg()(Neg(ys)))
    after = optimise(before)
    (scan,) = (n.op for n in after.main.nodes if isinstance(n.op, ops.Scan))
    assert [type(n.op).__name__ for n in scan.body.nodes] == ["Input", "Relu", "Input", "Add"]
    feeds = {"x": np.arange(-6.0, 6).reshape(4, 3)}
    for name, want in before.run(feeds).items():
        np.testing.assert_array_equal(after.run(feeds)[name], want)


def test_one_optimisation_leaves_nothing_to_the_next() -> None:
    ids = given("ids", N, 4, dtype=dtypes.i32)
    rows = ops.Transpose((1, 0, 2))(ops.Gather(0)(weight(5, 6), ids))
    h = ops.LSTM()(rows, weight(1, 6, 4, 1), weight(1, 1, 4, 1))[1]
    once = optimise(program(Mul(ops.MatMul()(ops.Reshape((N, 1))(h), weight(1, 3)), weight(3))))
    assert optimise(once) is once
    assert all(run(once) is once for run in PASSES)
    assert print_program(once) == print_program(optimise(once))


def chain(n: int) -> Value:
    v = given("x", 4, 4)
    for k in range(n // 4):
        v = Tanh(Add(Mul(v, weight(4, seed=k)), weight(4, seed=k + 5000)))
    return v


def random_dag(n: int) -> Value:
    rng = np.random.default_rng(0)
    values = [given(f"x{k}", 4, 4) for k in range(4)]
    for _ in range(n - 4):
        other = values[-int(rng.integers(1, min(len(values), 50)))]
        values.append((Add, Mul, ops.Max(), ops.Min())[len(values) % 4](values[-1], other))
    return values[-1]


def transposes(n: int) -> Value:
    v = given("x", 4, 4)
    for _ in range(n // 2):
        v = Relu(ops.Transpose((1, 0))(v))
    return v


@pytest.mark.parametrize("make", [chain, random_dag, transposes])
def test_five_thousand_nodes_take_less_than_a_second(make: Callable[[int], Value]) -> None:
    before = program(make(5000))
    assert len(before.main.nodes) >= 4990
    assert min(seconds(lambda: optimise(before)) for _ in range(3)) < 1


def seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
