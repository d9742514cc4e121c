"""Lists that a chain depends on in a way that no runs of other lists could follow; stars."""

from __future__ import annotations

import json
import re

import pytest

from tests.chainer_fixtures import Run

# Traces each chain of one list; prints what its inputs are, or why it is refused.
TRACE = """
import json, sys, warnings
import chainer, chainer.functions as F, chainer.links as L, numpy as np
from webconv.frontends.chainer import trace
from webconv.ir.errors import WebconvError

class Net(chainer.Chain):
    def __init__(self, body):
        super().__init__()
        self.body = body

class OfList(Net):
    def forward(self, xs):
        return self.body(xs)

class OfStar(Net):
    def forward(self, *xs):
        return self.body(xs)

warnings.simplefilter("ignore")
found = []
for star, body, lengths, options in json.loads(sys.argv[1]):
    chain = (OfStar if star else OfList)(eval("lambda xs: " + body))
    arrays = [np.linspace(k, k + 1, 4 * n, dtype="f").reshape(n, 4) for k, n in enumerate(lengths)]
    try:
        program = trace(chain, *(arrays if star else [arrays]), **options)
        found.append([*program.main.inputs])
    except WebconvError as error:
        found.append(str(error))
print(json.dumps(found))
"""

LISTS = [
    ("F.tanh(xs[0])", "the sequences of a list must be given all, in their order"),
    ("[F.tanh(x) for x in xs[::-1]]", "the sequences of a list must be given all, in their order"),
    ("[F.sum(x, axis=0) for x in xs]", "it gives a row of each sequence; join them by F.stack"),
    ("[x * float(x.array.sum()) for x in xs]", "depends on the values of its inputs"),
    ("[x[::2] for x in xs]", "whose lengths are not those of an input"),
    ("[x[3:1] for x in xs]", "the slice of a sequence would be empty"),
    ("[F.transpose(x) for x in xs]", "a matrix of each sequence that is no list of rows"),
    ("[x * len(x) ** 2 for x in xs]", "depends on the number or the lengths|must be given all"),
    ("[x * len(xs) for x in xs]", "the chain depends on the number or the lengths"),
    ("F.split_axis(F.concat(xs, axis=0), 6, 0)[0]", "depends on the number|fails at"),
    ("F.split_axis(F.concat(xs, axis=0), [1, 2], 0)", "at places that are not their ends"),
]

STARS = [
    ("[F.tanh(x) for x in xs]", [3, 1, 2], {}, ["xs", "xs_lengths"]),
    ("[F.tanh(x) for x in xs]", [2, 2], {}, ["xs", "xs_lengths"]),
    ("[F.tanh(x) for x in xs]", [2], {}, ["xs"]),
    ("F.stack(xs)", [2, 2], {}, ["xs_0", "xs_1"]),
    ("xs[0] + xs[1]", [2, 2], {}, ["xs_0", "xs_1"]),
    ("F.concat(xs, axis=1)", [2, 2], {}, ["xs_0", "xs_1"]),
    ("[F.tanh(x) for x in xs]", [3, 1], {"names": ["a", "b"]}, ["a", "b"]),
    ("[F.tanh(x) for x in xs]", [3, 1], {"input_shapes": {"xs_0": ["n", 4]}}, ["xs_0", "xs_1"]),
    ("[x * len(x) ** 2 for x in xs]", [3, 1], {}, ["xs_0", "xs_1"]),
]


@pytest.fixture(scope="module")
def traced(chainer_python: Run) -> list[object]:
    rows = [(False, body, [3, 1, 2], {}) for body, _ in LISTS]
    rows += [(True, body, lengths, options) for body, lengths, options, _ in STARS]
    done = chainer_python("-c", TRACE, json.dumps(rows))
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("k", range(len(LISTS)), ids=[body for body, _ in LISTS])
def test_a_chain_that_no_other_list_could_follow(traced: list[object], k: int) -> None:
    assert isinstance(traced[k], str), traced[k]
    assert re.search(LISTS[k][1], traced[k]), traced[k]


@pytest.mark.parametrize("k", range(len(STARS)), ids=[body for body, *_ in STARS])
def test_arrays_of_a_star_are_a_list_if_the_chain_takes_any(traced: list[object], k: int) -> None:
    assert traced[len(LISTS) + k] == STARS[k][-1]
