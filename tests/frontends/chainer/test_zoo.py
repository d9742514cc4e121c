"""Networks as people write them in Chainer: other sizes give Chainer's own results."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.chainer.test_nets import check_runs, names_of
from tests.frontends.chainer.zoo import NAMES

# A deep network loses more of f32.
TOLERANCE = (1e-4, 1e-5)


def test_the_rows_are_those_of_the_table(chainer_zoo: dict[str, Any]) -> None:
    assert names_of(chainer_zoo) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_network(chainer_zoo: dict[str, Any], name: str) -> None:
    check_runs(chainer_zoo, name, *TOLERANCE)
