"""ONNX's own suite in a real browser: what the lists name must pass, on every backend.

Builds and runs all of it; says what passes besides. See `tests/onnx_nodes/sweep.py`, which writes
the lists.
"""

from __future__ import annotations

import pytest

from tests.onnx_nodes import lists
from tests.onnx_nodes.build import Built, all_tests, build_all
from tests.onnx_nodes.sweep import Sweep
from webconv.verify.browser import Browser


@pytest.fixture(scope="module")
def built() -> list[Built]:
    """Every test of the suite, compiled for all backends."""
    return list(build_all(all_tests()))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("backend", lists.BACKENDS)
def test_listed_tests_pass(
    browser: Browser, built: list[Built], backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sweep(browser, backend) as page:
        outcome = lists.gather(built, {backend: page.reasons(built)})
    must_pass = lists.read(backend)
    more = set(outcome.passed(backend)) - set(must_pass)
    if more:
        with capsys.disabled():
            print(f"\n{backend}: {len(more)} pass that are not listed: {' '.join(sorted(more))}")
    assert must_pass
    assert outcome.faults(backend, must_pass) == []
