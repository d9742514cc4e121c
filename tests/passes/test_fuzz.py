"""Random graphs keep their value through every pass, and compute it on wasm too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.passes.graphs import MAKERS, as_f32, feeds, programs
from tests.passes.programs import Array, run_wasm
from webconv.ir import ops
from webconv.ir.graph import Program
from webconv.passes import optimise

quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")
slow = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
sizes = st.sampled_from((1, 3, 2, 0))


def test_every_operator_is_made() -> None:
    on_the_host = {name for name, op in ops.OPS.items() if issubclass(op, ops.HostOp)}
    assert set(MAKERS) == set(ops.OPS) - {"Constant", "Input"} - on_the_host


@quiet
@settings(slow, max_examples=300)
@given(programs, sizes)
def test_values_stay(program: Program, n: int) -> None:
    new = optimise(program, fold_tables_bytes=1 << 20)
    x = feeds(program, n, seed=n)
    states: list[dict[str, Array]] = [{}, {}]
    wants, gots = ({**p.run(x, states=s), **s} for p, s in zip((program, new), states, strict=True))
    for name, want in wants.items():
        assert_close(gots[name], want, 1e-9, 1e-9)


@quiet
@settings(slow, max_examples=120)
@given(programs, sizes, st.sampled_from(("relaxed", "simd")))
def test_wasm_computes_the_same(program: Program, n: int, variant: str) -> None:
    program = as_f32(program)
    x = feeds(program, n, seed=n)
    wide, narrow = (program.run(x, precision=p) for p in (np.float64, np.float32))
    got = run_wasm(optimise(program), x, variant)
    for name, want in wide.items():
        # What f32 itself does not settle is not held against wasm.
        settled = np.isclose(narrow[name], want, rtol=1e-4, atol=1e-4) & (np.abs(want) < 1e30)
        assert got[name].shape == want.shape
        assert_close(got[name][settled], want[settled], 1e-3, 1e-3)


def assert_close(got: Array, want: Array, rtol: float, atol: float) -> None:
    """By the pass rule: integers equal, NaN and infinities where they are expected."""
    assert got.dtype.kind == want.dtype.kind
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
    else:
        scale = np.max(np.abs(want[np.isfinite(want)]), initial=1.0)
        np.testing.assert_allclose(got, want, rtol, atol * scale)
