"""Every function of Chainer against Chainer's own result, by the reference and in wasm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.conftest import require_models
from tests.frontends.chainer.cases import FAMILIES, Case
from tests.frontends.chainer.more_cases import MORE
from webconv.ir.graph import Program
from webconv.ir.parse import parse_program

ORACLES = Path(__file__).parent / "oracles"
TABLES = {**FAMILIES, **MORE}
NAMES = [(family, name) for family, cases in TABLES.items() for name in cases]


def program_of(found: Any, name: str) -> Program:
    """A program that the environment of Chainer has handed over."""
    if f"{name}/absent" in found:
        require_models("chainer_rnn_generated")
    assert f"{name}/error" not in found, str(found[f"{name}/error"])
    return parse_program(
        str(found[f"{name}/program"]), lambda t, reference: found[f"{name}/weight_{reference[0]}"]
    )


def wanted(family: str, name: str) -> dict[str, Any]:
    """What Chainer gives."""
    with np.load(ORACLES / f"{family}.npz") as arrays:
        names = [n for n in arrays.files if n.rpartition("/")[0] == name]
        return {n.rpartition("/")[2]: arrays[n] for n in names}


def check(case: Case, got: dict[str, Any], want: dict[str, Any]) -> None:
    """Names, shapes and numbers are equal, dtypes too but for those of indices."""
    assert list(got) == list(want)
    for name, array in want.items():
        assert got[name].shape == array.shape
        if array.dtype.kind == "f":
            np.testing.assert_allclose(got[name], array, case.rtol, case.atol)
        else:
            np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize(("family", "name"), NAMES, ids=[name for _, name in NAMES])
def test_function(chainer_functions: Any, family: str, name: str) -> None:
    case = TABLES[family][name]
    program = program_of(chainer_functions, name)
    feeds = dict(zip(program.main.inputs, case.inputs, strict=True))
    feeds = {n: np.asarray(a) for n, a in feeds.items()}
    want = wanted(family, name)
    check(case, program.run(feeds), want)
    check(case, run_program(program, feeds), want)
