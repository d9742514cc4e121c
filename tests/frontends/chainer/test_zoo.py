"""Networks as people write them in Chainer: other sizes give Chainer's own results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import instances
from tests.frontends.chainer.test_functions import program_of
from tests.frontends.chainer.test_nets import runs
from tests.frontends.chainer.zoo import NAMES
from webconv.ir.lists import members


def compare(outputs: dict[str, Any], want: dict[str, Any]) -> None:
    """Equal names, shapes and numbers, to what a deep network loses of f32."""
    got = dict(members(outputs))
    assert list(got) == list(want)
    for name, array in want.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, 1e-4, 1e-5)


def test_the_rows_are_those_of_the_table(chainer_zoo: dict[str, Any]) -> None:
    rows = {k.rpartition("/")[0] for k in chainer_zoo if k.endswith(("/program", "/error"))}
    assert rows == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_network(chainer_zoo: dict[str, Any], name: str) -> None:
    program = program_of(chainer_zoo, name)
    module = next(instances(program))
    states: dict[str, Any] = {}
    for inputs, want in runs(chainer_zoo, name):
        compare(program.run(inputs, states=states), want)
        compare(module.run(inputs), want)
