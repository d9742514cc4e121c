"""Every case through the kernel interpreter, plain and hostile: what lowering means, no printer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import CASES, Case, check, describe, expected
from webconv.backends import interpret
from webconv.backends.lower import lower


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_plain(case: Case) -> None:
    entry = lower(case.program())
    check(case, interpret.run(entry, case.feeds()), expected(case))


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_hostile(case: Case) -> None:
    """What a GPU may do within the WGSL specification does not show in the result."""
    hostile = np.random.default_rng(0)
    entry = lower(case.program())
    check(case, interpret.run(entry, case.feeds(), hostile=hostile, gpu=True), expected(case))
