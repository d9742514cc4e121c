"""The pytest fixture that users' own tests ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import webconv
from tests.bundle.programs import dense
from webconv.verify import assert_parity
from webconv.verify.browser import Browser


@pytest.mark.browser
def test_the_fixture_is_a_browser(webconv_browser: Browser, tmp_path: Path) -> None:
    bundle = webconv.convert(dense(), tmp_path / "out")
    report = assert_parity(bundle, {"x": np.ones((1, 5))}, browser=webconv_browser)
    assert [r.backend for r in report.results] == ["wasm", "wasm", "webgpu", "webgl"]
