"""Every case in a real browser: both wasm modules, webgpu and webgl.

Each case is a bundle, imported in one page per backend as a visitor's page would import it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.cases import CASES, Case, check, describe, expected
from webconv.backends.bundle import Source, make
from webconv.verify.browser import Browser
from webconv.verify.page import Page

BACKENDS = ("wasm", "webgpu", "webgl")

RUN = """async (url, inputs) => {
  const { load } = await import(url);
  const runner = await load({ allowSoftware: true, device: globalThis.sharedDevice });
  try {
    const outputs = await runner.run(inputs);
    return Object.fromEntries(Object.entries(outputs).map(([k, v]) => [k, [v.data, v.shape]]));
  } finally {
    await runner.dispose();
  }
}"""

# One device for all cases: making one takes longer than most of them.
DEVICE = """async () => {
  const adapter = await navigator.gpu?.requestAdapter();
  globalThis.sharedDevice = await adapter?.requestDevice();
}"""


@pytest.fixture(scope="module", params=BACKENDS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[str, Browser, Page]]:
    """A page for one backend."""
    with browser.page() as opened:
        if request.param == "webgpu":
            opened.evaluate(DEVICE)
        yield request.param, browser, opened


def run_bundle(
    page: tuple[str, Browser, Page], program: Any, inputs: dict[str, Any]
) -> dict[str, Any]:
    """The outputs of `program` on the page's backend."""
    backend, browser, opened = page
    contents = make(Source(program, program, "case", "0" * 64, "0"), [backend])
    url = browser.mount(contents.files)
    given = {n: {"data": np.ravel(a), "shape": list(np.shape(a))} for n, a in inputs.items()}
    raw = opened.evaluate(RUN, f"{url}{backend}.js", given)
    return {n: np.reshape(data, shape) for n, (data, shape) in raw.items()}


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_case(page: tuple[str, Browser, Page], case: Case) -> None:
    got = run_bundle(page, case.program(), case.feeds())
    check(case, got, expected(case))
