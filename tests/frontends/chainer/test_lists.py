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

def arrays_of(lengths):
    return [np.linspace(k, k + 1, 4 * n, dtype="f").reshape(n, 4) for k, n in enumerate(lengths)]

warnings.simplefilter("ignore")
found = []
for star, body, lengths, options in json.loads(sys.argv[1]):
    chain = (OfStar if star else OfList)(eval("lambda xs: " + body))
    arrays, runs = arrays_of(lengths), options.pop("runs", None)
    try:
        program = trace(chain, *(arrays if star else [arrays]), **options)
        found.append([*program.main.inputs])
        if runs is not None:
            others = [arrays_of(run) for run in runs]
            want = [chain([*map(chainer.Variable, other)]).array for other in others]
            got = [program.run({"xs": other})["output"] for other in others]
            same = [a.shape == b.shape and np.allclose(a, b, 1e-5, 1e-6) for a, b in zip(got, want)]
            found[-1] = [*map(bool, same)]
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
    ("F.vstack([x[2:-2] for x in xs])", "is empty if it has less than 5 rows, .* one of 1"),
    ("[x[3:1] for x in xs]", "the slice of a sequence would be empty"),
    ("[F.transpose(x) for x in xs]", "a matrix of each sequence that is no list of rows"),
    ("[x * len(x) ** 2 for x in xs]", "depends on the number or the lengths|must be given all"),
    ("[x * len(xs) for x in xs]", "the chain depends on the number or the lengths"),
    ("[x * 2 if len(xs) > 9 else -x for x in xs]", "with 66 sequences of 1 to 2 steps the chain"),
    ("[x * 2 if len(x) > 15 else -x for x in xs]", "with sequences of 70, 2 steps the chain"),
    (
        "F.stack(xs) if len({*map(len, xs)}) == 1 < len(xs) else F.pad_sequence(xs) * 2",
        "with sequences of 3, 3, 3 steps the chain",
    ),
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

# Slices that name rows which most sequences have not, and lists that give what Chainer gives.
RUNS = [
    ("F.concat([x[::100] for x in xs], axis=0)", [3, 2], [[1], [100, 101, 250], [7, 7]]),
    ("F.concat([x[63:] for x in xs], axis=0)", [64, 64], [[64], [65, 130, 64]]),
    # Examples that do not tell a sequence's length from others: of one row, or of equal ones.
    (
        "F.vstack([x - F.broadcast_to(F.mean(x, axis=0, keepdims=True), x.shape) for x in xs])",
        [3, 1, 2],
        [[1, 1], [4, 4, 4], [2, 9]],
    ),
    (
        "F.sum(F.pad_sequence(xs), 2) + np.array([[-9.0 * (k >= len(x)) "
        "for k in range(max(map(len, xs)))] for x in xs], 'f')",
        [3, 3],
        [[1, 1], [4, 4, 4], [2, 9]],
    ),
    ("F.concat([x[:-70:2] for x in xs], axis=0)", [72, 73], [[71], [200, 75, 71]]),
    # Columns by their numbers, and a row that becomes one number.
    ("F.concat([x[:, [2, 0, 0]] - x[:, np.arange(3)] for x in xs], axis=0)", [3, 1], [[1], [2, 5]]),
    ("F.stack([F.sum(F.max(x, axis=0)) / F.prod(x[-1]) for x in xs])", [3, 1, 2], [[1], [2, 5]]),
    ("F.hstack([F.sum(x, axis=1) for x in xs])", [3, 1, 2], [[1], [2, 5]]),
    ("F.vstack([F.sum(x[:, 0], axis=0, keepdims=True) for x in xs])", [3, 1, 2], [[1], [2, 5]]),
    # What a loop over the sequences does anew each time is the same for all.
    (
        "F.concat([x * F.tanh(chainer.as_variable(np.arange(4, dtype='f'))) for x in xs], axis=0)",
        [3, 1, 2],
        [[1], [2, 5]],
    ),
    (
        "F.stack([F.softmax(F.sum(x, 1) + np.where(np.arange(1) > 0, 1, 0).astype('f'), 0)[-1] "
        "for x in xs])",
        [3, 1, 2],
        [[1], [2, 5]],
    ),
]


@pytest.fixture(scope="module")
def traced(chainer_python: Run) -> list[object]:
    rows = [(False, body, [3, 1, 2], {}) for body, _ in LISTS]
    rows += [(True, body, lengths, options) for body, lengths, options, _ in STARS]
    rows += [(False, body, lengths, {"runs": runs}) for body, lengths, runs in RUNS]
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


@pytest.mark.parametrize("k", range(len(RUNS)), ids=[body for body, *_ in RUNS])
def test_other_lists_give_what_chainer_gives(traced: list[object], k: int) -> None:
    assert traced[len(LISTS) + len(STARS) + k] == [True] * len(RUNS[k][-1])
