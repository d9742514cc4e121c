"""Fixtures of Chainer's environment, which `make test` makes where there is a Python 3.11."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "build" / "chainer" / "bin" / "python"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Generated = Callable[[str], dict[str, Any]]


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
def generated(chainer_python: Run, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """What a task of `generate` writes, traced now."""

    def generate(task: str) -> dict[str, Any]:
        out = tmp_path_factory.mktemp("chainer") / f"{task}.npz"
        made = chainer_python("-m", "tests.frontends.chainer.generate", task, out)
        assert made.returncode == 0, made.stderr
        with np.load(out) as found:
            return dict(found)

    return generate


@pytest.fixture(scope="session")
def chainer_functions(generated: Generated) -> dict[str, Any]:
    """The programs of all functions in `cases`."""
    return generated("functions")


@pytest.fixture(scope="session")
def chainer_nets(generated: Generated) -> dict[str, Any]:
    """The programs of all chains in `nets`, with what Chainer computes."""
    return generated("nets")


@pytest.fixture(scope="session")
def chainer_zoo(generated: Generated) -> dict[str, Any]:
    """The programs of all networks of the zoo, with what Chainer computes."""
    return generated("zoo")
