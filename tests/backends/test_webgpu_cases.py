"""Every case of the table on WebGPU, in the browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends.gpu_page import Workbench
from tests.cases import CASES, Case, check, describe, expected
from webconv.backends import webgpu
from webconv.verify.browser import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def bench(browser: Browser) -> Iterator[Workbench]:
    """A page with one device for all cases."""
    with Workbench(browser, "session-webgpu.js", webgpu.compile) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_case(bench: Workbench, case: Case) -> None:
    opened = bench.open(case.program(), share=True)
    check(case, opened.run(case.feeds()), expected(case))
    assert opened.stats["submits"] == 1
