"""Recurrences whose states and sequences call one size by different names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.passes.programs import given, op_counts, program, run_wasm
from tests.passes.test_recurrences import SEQUENCE, H, lstm_step, scan
from webconv.ir.dims import symbol
from webconv.ir.graph import Value
from webconv.passes import optimise


def test_two_cells_that_start_at_inputs() -> None:
    """As of a MultiRNNCell with placeholders for its states: the batch of these is open, too."""
    first, second = lstm_step(), lstm_step(width=H)

    def body(c: Sequence[Value], x: Value) -> Any:
        a = first(x, (c[0], c[1]))
        b = second(a[0], (c[2], c[3]))
        return (*a, *b), (b[0],)

    start = [given(name, symbol("rows"), H) for name in ("h0", "c0", "h1", "c1")]
    p = program(*scan(body, start, SEQUENCE))
    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(size=(2, H)).astype("f4") for name in p.main.inputs if name != "x"}
    feeds["x"] = rng.normal(size=(4, 2, SEQUENCE.shape[-1])).astype("f4")
    made = optimise(p)
    assert op_counts(made)["LSTM"] >= 1
    want = p.run(feeds)
    for name, array in run_wasm(made, feeds).items():
        np.testing.assert_allclose(array, want[name], 1e-5, 3e-6, err_msg=name)
