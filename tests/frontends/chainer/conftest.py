"""Chainer's environment, which `make test` makes where there is a Python 3.11."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / "build" / "chainer" / "bin" / "python"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def chainer_python() -> Run:
    """Runs Python with arguments in Chainer's environment."""
    if not PYTHON.exists():
        pytest.skip("there is no environment of Chainer: `make build/.chainer` needs a Python 3.11")

    def run(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PYTHON), "-W", "ignore", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    return run


@pytest.fixture(scope="session")
def chainer_functions(
    chainer_python: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The programs of all functions in `cases`, traced now."""
    out = tmp_path_factory.mktemp("chainer") / "functions.npz"
    made = chainer_python("-m", "tests.frontends.chainer.generate", "functions", out)
    assert made.returncode == 0, made.stderr
    with np.load(out) as found:
        return dict(found)


@pytest.fixture(scope="session")
def chainer_nets(chainer_python: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The programs of all chains in `nets`, traced now, with what Chainer computes."""
    out = tmp_path_factory.mktemp("chainer") / "nets.npz"
    made = chainer_python("-m", "tests.frontends.chainer.generate", "nets", out)
    assert made.returncode == 0, made.stderr
    with np.load(out) as found:
        return dict(found)


@pytest.fixture(scope="session")
def chainer_zoo(chainer_python: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The programs of all networks of the zoo, traced now, with what Chainer computes."""
    out = tmp_path_factory.mktemp("chainer") / "zoo.npz"
    made = chainer_python("-m", "tests.frontends.chainer.generate", "zoo", out)
    assert made.returncode == 0, made.stderr
    with np.load(out) as found:
        return dict(found)
