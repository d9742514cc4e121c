"""Links of a chain as layers: entries cut at them, states of recurrent ones, names of nodes.

And sizes of its loop that are given.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chainer_fixtures import Run


@pytest.fixture(scope="module")
def found(chainer_python: Run) -> dict[str, Any]:
    """What `links.py` says of its net."""
    done = chainer_python("-m", "tests.frontends.chainer.links")
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_layers_are_what_links_give(found: dict[str, Any]) -> None:
    assert found["layers"] == {
        "embed": ["f32[batch, time, 3]"],
        "block": ["f32[batch, 3, time]"],
        "block/conv": ["f32[batch, 3, time]"],
        "first": ["f32[batch, 4]"],
        "second": ["f32[batch, 4]"],
        "heads/0": ["f32[batch, 2]"],
        "heads/1": ["f32[batch, 2]"],
        "twice": ["f32[batch, 2]", "f32[batch, 2]"],
    }


@pytest.mark.parametrize("what", ["read", "first", "tell", "h", "c"])
def test_entries_and_states_by_link(found: dict[str, Any], what: str) -> None:
    assert found["differences"][what] < 1e-6


def test_nodes_are_named_after_links(found: dict[str, Any]) -> None:
    assert {"first", "second", "twice/LinearFunction", "block/ReLU", "Tanh"} <= {*found["names"]}


def test_sizes_that_are_given_stay(found: dict[str, Any]) -> None:
    """A loop that could be open has the number of --input-shape, and the names given only."""
    assert found["shapes"] == ["i32[2, 5]", "i32[2, steps]"]
