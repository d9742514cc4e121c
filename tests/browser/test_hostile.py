"""Names out of a model that would be code if anything took them as such, on every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import webconv
from webconv.ir import graph, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import f32
from webconv.ir.graph import Graph, Program
from webconv.ir.op import TensorType
from webconv.verify.browser import Browser

NAMES = [
    "*/alert(1)//",
    "</script><script>alert(1)</script>",
    "__proto__",
    "two\nlines",
    "line\u2028separator",
    "`${alert(1)}`",
    '"); alert(1); ("',
    "constructor",
    "\U0001f600 naïve",
    "*)(unreachable",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(name: str, browser: Browser, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> graph.Value:
        return graph.constant(rng.normal(size=shape).astype(np.float32), name)

    batch = symbol("batch")
    x = graph.input(name, TensorType(f32, (5, batch, 3)))
    _, h, _ = ops.LSTM()(x, weight(1, 3, 4, 6), weight(1, 6, 4, 6), name=name)
    y = ops.Softmax()(ops.MatMul()(h, weight(1, 6, 7), name=name), name=name)
    bundle = webconv.convert(Program({"main": Graph({name: x}, {name: y})}), tmp_path / "bundle")
    report = bundle.verify(browser=browser)
    assert report.ok, report.failures()
    with browser.page(f"{browser.mount(bundle.path)}index.html") as page:
        page.wait_for("() => document.body.textContent.includes('ms a run')", timeout=60)
        assert page.errors == []
        assert page.evaluate("() => document.scripts.length") == 1
