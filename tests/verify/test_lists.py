"""Lists of sequences: their keys in npz files, in expectations, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.bundle.programs import listed, paired
from webconv.api import Bundle
from webconv.edits import Edits, edit
from webconv.ir.errors import ModelFormatError, ShapeError, WebconvError
from webconv.verify import assert_parity
from webconv.verify.data import complete
from webconv.verify.names import by_name
from webconv.verify.runs import make_runs

A, B, C, D = (np.full(k + 1, k) for k in range(4))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return webconv.convert(listed(), tmp_path_factory.mktemp("lists") / "out", backends=["wasm"])


@pytest.mark.parametrize(
    ("names", "lists", "given", "found"),
    [
        (["xs"], ["xs"], {"0": A, "1": B}, {"xs": [A, B]}),
        (["h", "xs"], ["xs"], {"0": A, "1": B, "2": C}, {"h": A, "xs": [B, C]}),
        (["xs", "h"], ["xs"], {"2": C, "0": A, "1": B}, {"xs": [A, B], "h": C}),
        (["g", "xs", "h"], ["xs"], {"0": A, "1": B, "2": C}, {"g": A, "xs": [B], "h": C}),
        (["g", "xs", "h"], ["xs"], {"h": C, "0": A, "1": B}, {"g": A, "xs": [B], "h": C}),
        (["g", "xs"], ["xs"], {"0": A}, {"g": A}),
        (["xs", "h"], ["xs"], {"xs/1": B, "xs/0": A, "1": C}, {"xs": [A, B], "h": C}),
        (["xs", "ys"], ["xs", "ys"], {"xs/0": A, "1": C}, {"xs": [A], "ys": [C]}),
        (["xs", "ys"], ["xs", "ys"], {"xs": [A, B], "ys": (C,)}, {"xs": [A, B], "ys": [C]}),
    ],
)
def test_keys(
    names: list[str], lists: list[str], given: dict[str, Any], found: dict[str, Any]
) -> None:
    made = by_name(given, names, "input", lists)
    assert {n: [*map(id, v)] if isinstance(v, list) else id(v) for n, v in made.items()} == {
        n: [*map(id, v)] if isinstance(v, list) else id(v) for n, v in found.items()
    }


@pytest.mark.parametrize(
    ("names", "lists", "given", "message"),
    [
        (["xs", "ys"], ["xs", "ys"], {"0": A, "1": B}, "name them xs/0, ys/0, ..."),
        (["xs", "h"], ["xs"], {"0": A}, "1 positions leave none for the list 'xs': xs, h are"),
        (["xs"], ["xs"], {"0": A, "2": B}, "input 'xs' is a list, whose array 1 is missing"),
        (["xs"], ["xs"], {"xs/1": B}, "input 'xs' is a list, whose array 0 is missing"),
        (["x"], [], {"x/0": A}, "there is no input 'x/0'; there are x"),
        (["x"], [], {"1": A}, "there is no input '1'; there are x"),
    ],
)
def test_keys_that_mean_nothing(
    names: list[str], lists: list[str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFormatError) as caught:
        by_name(given, names, "input", lists)
    assert message in str(caught.value)


def expected(words: list[list[int]]) -> list[Any]:
    return listed().run({"words": words, "scale": np.float32(2)})["rows"]


def test_files_with_positions(bundle: Bundle, tmp_path: Path) -> None:
    words = [[1, 2, 9], [4], [0, 7]]
    inputs = dict(enumerate([*map(np.array, words), np.float32(2)]))
    np.savez(tmp_path / "x.npz", **{str(k): a for k, a in inputs.items()})
    rows = [*expected(words), np.array([6, 2, 4])]
    np.savez(tmp_path / "y.npz", **{str(k): a for k, a in enumerate(rows)})
    files = {"inputs": [tmp_path / "x.npz"], "expect": [tmp_path / "y.npz"]}
    report = bundle.verify(browser="none", **files)
    assert report.ok, report.failures()
    assert [o.name for o in report.results[0].outputs] == ["rows/0", "rows/1", "rows/2", "ends"]
    np.savez(tmp_path / "y.npz", **{"rows/0": rows[0], "rows/1": rows[1] + 1, "rows/2": rows[2]})
    report = bundle.verify(browser="none", **files)
    assert "output 'rows/1': 3 of 3 elements differ" in report.failures()[0]


def test_a_run_is_one_of_the_entry_that_has_its_list() -> None:
    cuts = {"ends": (["words_lengths"], ["ends"]), "rows": (["words", "scale"], ["rows"])}
    program = edit(listed(), Edits(entries=cuts))
    given = {"words/0": np.array([1]), "words/1": np.array([2, 3])}
    (made,) = make_runs(program, {}, [given], [], None, np.random.default_rng(0))
    assert made.entry == "rows"
    assert [o.name for o in made.outputs] == ["rows/0", "rows/1"]


def test_lists_from_python(bundle: Bundle) -> None:
    words = [[3], [1, 5]]
    given = {"words": words, "scale": np.float32(2)}
    assert_parity(bundle, given, {"rows": expected(words)}, browser="none")
    packed = {"words": np.array([3, 1, 5]), "words_lengths": np.array([1, 2])}
    assert_parity(bundle, given | packed, {"rows": expected(words)}, browser="none")
    with pytest.raises(ModelFormatError, match=r"'rows' is a list of 2 .* but expected are 1"):
        assert_parity(bundle, given, {"rows": expected(words)[:1]}, browser="none")


def test_random_lists_have_several_lengths() -> None:
    found = complete(listed(), "main", {}, {("main", "words"): 10}, np.random.default_rng(0))
    assert len({len(a) for a in found["words"]}) == 3
    assert all(a.min() >= 0 and a.max() < 10 for a in found["words"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "must be a list of i32[length] of one or more, but it is empty"),
        (np.array([1, 2]), "but it is a ndarray"),
        ([[1], []], "'words/1' must have shape [length] and a row or more, but it has [0]"),
        ([[[1, 2]]], "'words/0' must have shape [length] and a row or more, but it has [1, 2]"),
    ],
)
def test_what_does_not_fit(bundle: Bundle, words: Any, message: str) -> None:
    given = {"words": words, "scale": np.float32(1)}
    with pytest.raises(ShapeError) as caught:
        listed().run(given)
    assert message in str(caught.value)
    with pytest.raises(WebconvError) as caught_too:
        bundle.verify(browser="none", inputs=[given])
    assert message in str(caught_too.value)


def test_lists_that_share_their_lengths(tmp_path: Path) -> None:
    words, shares = [[1, 2], [3]], [[[1], [2]], [[3]]]
    rows = paired().run({"words": words, "shares": shares})["rows"]
    assert [len(a) for a in rows] == [2, 1]
    bundle = webconv.convert(paired(), tmp_path / "out", backends=["wasm"])
    assert_parity(bundle, {"words": words, "shares": shares}, {"rows": rows}, browser="none")
    rule = r"of 'shares' must be as long as those of 'words', \[2, 1\], but they have \[1, 2\] rows"
    with pytest.raises(ShapeError, match=rule):
        paired().run({"words": words, "shares": [[[1]], [[2], [3]]]})
    with pytest.raises(ShapeError, match=rule):
        bundle.verify(browser="none", inputs=[{"words": words, "shares": [[[1]], [[2], [3]]]}])


def test_lists_that_share_their_lengths_come_packed_together() -> None:
    packed = {"words": np.array([1, 2, 3]), "words_lengths": np.array([2, 1])}
    with pytest.raises(ShapeError, match="'shares' comes with its lengths, so it must be packed"):
        paired().run({**packed, "shares": [[[1.0], [2.0]], [[3.0]]]})


@pytest.mark.parametrize("given", [{}, {"shares": [[[1.0]], [[2.0], [3.0]]]}])
def test_random_lists_share_their_lengths(given: dict[str, Any]) -> None:
    found = complete(paired(), "main", given, {("main", "words"): 10}, np.random.default_rng(0))
    lengths = [len(a) for a in found["words"]]
    assert lengths == [len(a) for a in found["shares"]]
    assert len({*lengths}) > 1


@pytest.mark.parametrize("lengths", [[1, 1], [0, 3], [4, -1]])
def test_packed_lists_have_lengths_that_fit(lengths: list[int]) -> None:
    given = {"words": np.array([1, 2, 3]), "words_lengths": np.array(lengths)}
    with pytest.raises(ShapeError, match="must be 1 or more and add up to its 3 rows"):
        listed().run({**given, "scale": np.float32(1)})
