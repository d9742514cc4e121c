"""Every case on wasm, both variants, in wasmtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tests.cases import CASES, Array, Case, check, describe, expected
from webconv.backends import wasm
from webconv.backends.compiled import gather_weights
from webconv.backends.lower import lower
from webconv.backends.wasm.host import Instance
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import symbol
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Program
from webconv.ir.op import TensorType
from webconv.passes.stages import stage


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


def test_sizes_that_must_be_equal_are_checked() -> None:
    """`[n, 2]` seen as `[3, 2]` is for n = 3, and refused for others as the runner does."""
    x = graph.input("x", TensorType(dtypes.f32, (symbol("n"), 2)))
    program = Program({"main": graph.Graph({"x": x}, {"y": ops.Reshape((3, 2))(x)})})
    fitting = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(run_program(program, {"x": fitting})["y"], fitting)
    with pytest.raises(ShapeError, match=r"= 8 must equal .*6"):
        run_program(program, {"x": np.ones((4, 2), np.float32)})
