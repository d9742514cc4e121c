"""Which kernels share a dispatch on WebGPU, and what is done to entries before they are printed."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.cases import CASES, Case, check, describe, expected
from webconv.backends import interpret
from webconv.backends.kernel import Entry, Kernel, Loop, Step
from webconv.backends.legalise import WEBGPU, legalise
from webconv.backends.lower import lower
from webconv.backends.split import split_folds
from webconv.backends.webgpu.groups import Group, Planned, Repeat, groups, plan_groups
from webconv.backends.webgpu.partition import coordinates
from webconv.backends.webgpu.scratch import share_temporaries
from webconv.backends.webgpu.section import as_dispatched
from webconv.backends.webgpu.variants import in_chunks, variants
from webconv.ir import graph, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import f32
from webconv.ir.graph import Graph, Program, Value, constant
from webconv.ir.op import Array, TensorType

BATCH = symbol("batch")


def draw(*shape: int) -> Array:
    """Normal f32 numbers."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def lowered(inputs: dict[str, Value], *outputs: Value) -> Entry:
    """A graph's kernels, as the backend starts with them."""
    named = {f"y{k}": v for k, v in enumerate(outputs)}
    return legalise(lower(Program({"main": Graph(inputs, named)})), WEBGPU)


def plan(entry: Entry) -> tuple[Planned, ...]:
    """The dispatches of an entry."""
    return plan_groups(entry.steps, WEBGPU, [b for b, _ in entry.outputs.values()])


def names(planned: Planned) -> list[str]:
    """The kernels of a dispatch."""
    return [k.name for g in groups((planned,)) for k in g.kernels]


def matrix(*shape: int) -> Value:
    """An input of rows."""
    return graph.input("x", TensorType(f32, (BATCH, *shape)))


class TestCoordinates:
    """What is provably independent, and what is not."""

    def test_rows_stay_apart_through_softmax(self) -> None:
        x = matrix(6)
        entry = lowered({"x": x}, ops.Softmax()(x))
        (found,) = coordinates(entry.steps)
        assert found.extent == BATCH
        assert set(found.axes) == {k.name for k in entry.steps if isinstance(k, Kernel)}

    def test_softmax_over_the_batch_has_no_coordinate_but_its_columns(self) -> None:
        x = matrix(6)
        found = coordinates(lowered({"x": x}, ops.Softmax(0)(x)).steps)
        assert [c.extent for c in found] == [6]

    def test_rows_that_are_read_by_others_are_no_coordinate(self) -> None:
        x = graph.input("x", TensorType(f32, (6, 5)))
        e = ops.ReduceSum((1,), True)(ops.Exp()(x))
        shifted = ops.Slice((5, 0), (6, 1), (-1, 1))(e)
        entry = lowered({"x": x}, ops.Add()(ops.Mul()(x, shifted), e))
        assert coordinates(entry.steps) == []

    def test_axes_of_equal_size_are_told_apart(self) -> None:
        """A transpose between two kernels: rows of the one are columns of the other."""
        x = graph.input("x", TensorType(f32, (4, 4)))
        e = ops.Exp()(x)
        turned = ops.MatMul()(ops.Transpose((1, 0))(e), constant(draw(4, 4)))
        (found,) = coordinates(lowered({"x": x}, turned, e).steps, 1)
        first, second = found.axes.values()
        assert (first, second) != tuple(lowered({"x": x}, turned, e).steps)
        kernels = [s for s in lowered({"x": x}, turned, e).steps if isinstance(s, Kernel)]
        position = [[a.symbol.name for a in k.axes].index(found.axes[k.name]) for k in kernels]
        assert position == [1, 0]

    def test_both_directions_of_a_recurrence(self) -> None:
        x = graph.input("x", TensorType(f32, (5, BATCH, 3)))
        weights = map(constant, (draw(2, 3, 4, 8), draw(2, 8, 4, 8), draw(2, 4, 8)))
        entry = lowered({"x": x}, ops.LSTM("bidirectional")(x, *weights)[0])
        (loop,) = [s for s in entry.steps if isinstance(s, Loop)]
        assert [c.extent for c in coordinates((loop,))] == [2, BATCH]


class TestGroups:
    """The dispatches that the cost model chooses."""

    def test_small_kernels_share_a_dispatch(self) -> None:
        x = matrix(6)
        (group,) = plan(lowered({"x": x}, ops.Softmax()(x)))
        assert isinstance(group, Group)
        assert group.coordinates == (BATCH,)

    def test_large_kernels_do_not(self) -> None:
        x = matrix(2000)
        h = ops.Relu()(ops.MatMul()(x, constant(draw(2000, 2000))))
        planned = plan(lowered({"x": x}, ops.MatMul()(h, constant(draw(2000, 2000)))))
        assert [g.wide for g in groups(planned)] == [True, True]

    def test_a_symbolic_size_is_not_left_to_one_workgroup(self) -> None:
        x = matrix()
        total = ops.ReduceSum(None, True)(x)
        planned = plan(lowered({"x": x}, ops.Div()(x, total)))
        assert all(g.wide or len(g.kernels) == 1 for g in groups(planned))

    def test_rings_are_set_up_where_they_are_used(self) -> None:
        x = graph.input("x", TensorType(f32, (16, BATCH, 36)))
        weights = map(constant, (draw(1, 36, 4, 128), draw(1, 128, 4, 128), draw(1, 4, 128)))
        planned = plan(lowered({"x": x}, ops.LSTM()(x, *weights, name="lstm")[0]))
        assert [names(p) for p in planned] == [["lstm_1"], ["lstm", "lstm_2"]]

    def test_wide_recurrences_run_step_by_step(self) -> None:
        x = graph.input("x", TensorType(f32, (16, BATCH, 8)))
        weights = map(constant, (draw(1, 8, 4, 512), draw(1, 512, 4, 512), draw(1, 4, 512)))
        planned = plan(lowered({"x": x}, ops.LSTM()(x, *weights)[0]))
        assert [p.count for p in planned if isinstance(p, Repeat)] == [16]

    def test_a_long_chain_is_planned_in_time(self) -> None:
        h = x = matrix(64)
        for _ in range(100):
            h = ops.MatMul()(ops.Tanh()(h), constant(draw(64, 64)))
        entry = lowered({"x": x}, h)
        start = time.perf_counter()
        planned = plan(entry)
        assert time.perf_counter() - start < 10
        assert len(planned) < 20


def rebuilt(entry: Entry, planned: tuple[Planned, ...]) -> Entry:
    """An entry of the kernels as they were planned."""

    def steps(p: Planned) -> tuple[Step, ...]:
        if isinstance(p, Group):
            return share_temporaries(p, replace(WEBGPU, bindings=1)).steps
        return (Loop(p.index, p.count, tuple(s for q in p.body for s in steps(q))),)

    return replace(entry, steps=tuple(s for p in planned for s in steps(p)))


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_rewritten_kernels_compute_the_same(case: Case) -> None:
    """Narrow integers, split folds, chunked loops, variants and shared temporaries."""
    entry = legalise(lower(case.program()), WEBGPU)
    entry = replace(entry, steps=in_chunks(entry.steps))
    for variant in variants(entry):
        form = rebuilt(variant.entry, plan(variant.entry))
        check(case, interpret.run(form, case.feeds(), gpu=True), expected(case))


class TestSplitting:
    """Long folds with few results."""

    def test_two_stages(self) -> None:
        x = graph.input("x", TensorType(f32, (50_000,)))
        entry = lower(Program({"main": Graph({"x": x}, {"y": ops.ReduceMax()(x)})}))
        steps = split_folds(entry.steps)
        assert [[a.extent for a in k.axes] for k in steps if isinstance(k, Kernel)] == [[196], []]
        data = draw(50_000)
        got = interpret.run(replace(entry, steps=steps), {"x": data})["y"]
        assert got == data.max()

    def test_many_results_need_none(self) -> None:
        x = graph.input("x", TensorType(f32, (5000, 5000)))
        entry = lower(Program({"main": Graph({"x": x}, {"y": ops.ReduceSum((1,))(x)})}))
        assert len(split_folds(entry.steps)) == len(entry.steps)


class TestChunks:
    """Loops that might run for too long."""

    def test_a_loop_of_unknown_length_has_two_forms(self) -> None:
        x = graph.input("x", TensorType(f32, (BATCH, 3)))
        entry = lowered({"x": x}, ops.CumSum(0)(x))
        forms = variants(replace(entry, steps=in_chunks(entry.steps)))
        assert [len(f.ones) for f in forms] == [1, 0]
        assert [len(plan(f.entry)) for f in forms] == [1, 2]

    def test_chunks_join(self) -> None:
        x = graph.input("x", TensorType(f32, (400_000,)))
        entry = lowered({"x": x}, ops.CumSum(0)(x))
        (_, loop) = in_chunks(entry.steps)
        assert isinstance(loop, Loop)
        assert isinstance(loop.count, int)
        assert 1 < loop.count < 10


def test_what_a_dispatch_touches_lives_at_the_same_time() -> None:
    x = matrix(6)
    entry = lowered({"x": x}, ops.Softmax()(x))
    assert len(as_dispatched(entry, plan(entry)).steps) == 1
