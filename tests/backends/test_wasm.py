"""Every case on wasm, both variants, in wasmtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from tests.cases import CASES, Array, Case, check, describe, expected
from webconv.backends import wasm
from webconv.backends.compiled import gather_weights
from webconv.backends.lower import lower
from webconv.backends.wasm.host import Instance
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim, ceildiv, evaluate, maximum, minimum, symbol
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Program
from webconv.ir.op import TensorType
from webconv.passes.stages import stage

N = symbol("n")


def instances(program: Program) -> Iterator[Instance]:
    """The program in wasmtime, in each variant."""
    program = stage(program)
    entries = {name: lower(program, name) for name in program.entries}
    weights = gather_weights(entries.values())
    compiled = wasm.compile(program, entries, weights)
    for variant in wasm.VARIANTS:
        module = compiled.files[f"{variant}.wasm"]
        yield Instance(module, program, entries, weights, compiled.descriptor)


def run_program(program: Program, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of the program's first variant."""
    return next(instances(program)).run(dict(feeds))


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_case(case: Case) -> None:
    for instance in instances(case.program()):
        check(case, instance.run(case.feeds()), expected(case))


@pytest.mark.parametrize(
    ("start", "size", "step", "fitting", "misfit"),
    [
        (N - 2, 1, 1, (2, 5), (1, 0)),
        (N - 2, 2, -1, (3,), (1,)),
        (1, 3, 1, (4, 9), (3, 0)),
        (0, N - 3, 1, (3, 4, 8), (2, 0)),
        (0, ceildiv(N, 2), 2, (0, 1, 2, 3), ()),
        (2, maximum(N - 2, 0), 1, (0, 1, 2, 5), ()),
        (N - 1, minimum(N, 1), 1, (0, 1, 4), ()),
    ],
)
def test_slices_stay_within_their_tensor(
    start: Dim, size: Dim, step: int, fitting: Sequence[int], misfit: Sequence[int]
) -> None:
    x = graph.input("x", TensorType(dtypes.f32, (N, 2)))
    y = ops.Slice((start, 0), (size, 2), (step, 1))(x)
    program = Program({"main": graph.Graph({"x": x}, {"y": y})})
    for n in fitting:
        feeds = {"x": np.arange(2 * n, dtype=np.float32).reshape(n, 2)}
        first, count = (evaluate(d, {"n": n}) for d in (start, size))
        want = feeds["x"][[first + step * k for k in range(count)]]
        np.testing.assert_array_equal(program.run(feeds)["y"], want)
        np.testing.assert_array_equal(run_program(program, feeds)["y"], want)
    for n in misfit:
        feeds = {"x": np.zeros((n, 2), np.float32)}
        for runs in (program.run, lambda feeds: run_program(program, feeds)):
            with pytest.raises(ShapeError, match=f"would leave its tensor: 'x' is .*n = {n}"):
                runs(feeds)


@pytest.mark.parametrize(
    ("op", "fitting", "misfit"),
    [
        (ops.MaxPool((1,), (1,), ((0, 0),), (3,)), (3, 4), (2, 0)),
        (ops.AveragePool((2,), (2,), ((1, 0),), (3,)), (4, 9), (3, 1)),
        (ops.MaxPool((2,), (1,), ((1, 1),), (3,)), (1, 2), (0,)),
    ],
)
def test_windows_stay_within_their_tensor(
    op: ops.MaxPool | ops.AveragePool, fitting: Sequence[int], misfit: Sequence[int]
) -> None:
    x = graph.input("x", TensorType(dtypes.f32, (1, N, 2)))
    program = Program({"main": graph.Graph({"x": x}, {"y": op(x)})})
    for n in fitting:
        feeds = {"x": np.arange(2 * n, dtype=np.float32).reshape(1, n, 2)}
        np.testing.assert_allclose(run_program(program, feeds)["y"], program.run(feeds)["y"])
    for n in misfit:
        feeds = {"x": np.zeros((1, n, 2), np.float32)}
        for runs in (program.run, lambda feeds: run_program(program, feeds)):
            with pytest.raises(ShapeError, match=f"would leave its tensor: 'x' is .*n = {n}"):
                runs(feeds)


def test_sizes_that_must_be_equal_are_checked() -> None:
    """`[n, 2]` seen as `[3, 2]` is for n = 3, and refused for others as the runner does."""
    x = graph.input("x", TensorType(dtypes.f32, (symbol("n"), 2)))
    program = Program({"main": graph.Graph({"x": x}, {"y": ops.Reshape((3, 2))(x)})})
    fitting = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(run_program(program, {"x": fitting})["y"], fitting)
    with pytest.raises(ShapeError, match=r"= 8 must equal .*6"):
        run_program(program, {"x": np.ones((4, 2), np.float32)})


@pytest.mark.parametrize("n", [2_100, 4_200, 1_000_000])
def test_sizes_that_need_more_than_there_is_are_refused(n: int) -> None:
    """2.2 GB and 4.4 GB, whose addresses would wrap around, and 1 TB."""
    x = graph.input("x", TensorType(dtypes.f32, (symbol("n"), 1)))
    y = ops.ReduceSum((1,))(ops.CumSum(1)(ops.Expand((symbol("n"), 1 << 18))(x)))
    program = Program({"main": graph.Graph({"x": x}, {"y": y})})
    (instance, *_) = instances(program)
    with pytest.raises(ShapeError, match=r"needs \d+ bytes of memory"):
        instance.run({"x": np.ones((n, 1), np.float32)})
    few = np.ones((2, 1), np.float32)
    np.testing.assert_allclose(instance.run({"x": few})["y"], program.run({"x": few})["y"], 1e-4)
