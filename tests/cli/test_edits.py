"""What options of `convert` change in a program."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bundle.programs import counter, dense, listed, paired, weights
from webconv.edits import Edits, edit
from webconv.ir import dims, ops
from webconv.ir.dtypes import f32, i32
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Program, input
from webconv.ir.op import TensorType

B = dims.symbol("batch")


def step() -> Program:
    """h' = tanh(x + h @ w), y = 2 h': a recurrent step as files hold it."""
    x, h = input("x", TensorType(f32, (B, 3))), input("h", TensorType(f32, (B, 3)))
    product = ops.MatMul()(h, weights(0, 3, 3), name="product")
    new = ops.Tanh()(ops.Add()(x, product, name="sum"), name="tanh")
    y = ops.Add()(new, new, name="double")
    return Program({"main": Graph({"x": x, "h": h}, {"y": y, "h_next": new})})


X = np.array([[0.1, 0.2, 0.3]])


def test_an_input_becomes_a_constant() -> None:
    fixed = edit(step(), Edits(constants={"h": 0.5}))
    assert list(fixed.main.inputs) == ["x"]
    want = step().run({"x": X, "h": np.full((1, 3), 0.5)})
    np.testing.assert_allclose(fixed.run({"x": X})["y"], want["y"])


def test_a_constant_must_fit() -> None:
    ids = input("ids", TensorType(i32, (2,)))
    program = Program({"main": Graph({"ids": ids}, {"y": ops.Add()(ids, ids)})})
    assert edit(program, Edits(constants={"ids": [1, 2]})).run({})["y"].tolist() == [2, 4]
    assert edit(program, Edits(constants={"ids": 3})).run({})["y"].tolist() == [6, 6]
    for value in ([1, 2, 3], 0.5, "text", [[1], [2, 3]], 2**40):
        with pytest.raises(ShapeError, match="'ids'"):
            edit(program, Edits(constants={"ids": value}))
    with pytest.raises(ModelFormatError, match="there is no input 'x'; there are ids"):
        edit(program, Edits(constants={"x": 1}))


def test_an_input_becomes_a_state() -> None:
    stateful = edit(step(), Edits(states={"h": "h_next"}))
    assert list(stateful.main.inputs) == ["x"]
    assert list(stateful.main.outputs) == ["y"]
    states: dict[str, np.ndarray] = {}
    h = np.zeros((1, 3))
    for _ in range(3):
        want = step().run({"x": X, "h": h})
        h = want["h_next"]
        np.testing.assert_allclose(stateful.run({"x": X}, states=states)["y"], want["y"])


@pytest.mark.parametrize(
    ("states", "rule"),
    [
        ({"z": "h_next"}, "there is no input 'z'"),
        ({"h": "z"}, "there is no output 'z'"),
    ],
)
def test_a_state_needs_both_ends(states: dict[str, str], rule: str) -> None:
    with pytest.raises(ModelFormatError, match=rule):
        edit(step(), Edits(states=states))


def test_a_state_keeps_its_type_and_leaves_an_output() -> None:
    with pytest.raises(ShapeError, match=r"state 'x' is f32\[batch, 5\]"):
        edit(dense(), Edits(states={"x": "probs"}))
    x = input("x", TensorType(f32, (2,)))
    only = Program({"main": Graph({"x": x}, {"y": ops.Tanh()(x)})})
    with pytest.raises(ModelFormatError, match="the only one"):
        edit(only, Edits(states={"x": "y"}))


def test_entries_are_cut_at_inputs_outputs_and_layers() -> None:
    cuts = {"first": (["x", "h"], ["sum"]), "second": (["sum"], ["y", "tanh"])}
    program = edit(step(), Edits(entries=cuts))
    assert list(program.entries) == ["first", "second"]
    given = {"x": X, "h": np.ones((1, 3))}
    whole = step().run(given)
    middle = program.run(given, "first")
    np.testing.assert_allclose(program.run(middle, "second")["y"], whole["y"])
    np.testing.assert_allclose(program.run(middle, "second")["tanh"], whole["h_next"])


def test_an_entry_needs_all_of_its_inputs() -> None:
    with pytest.raises(ModelFormatError, match="entry 'e' needs h as inputs too"):
        edit(step(), Edits(entries={"e": (["x"], ["y"])}))
    with pytest.raises(ModelFormatError, match="there is no input, output or layer 'z'"):
        edit(step(), Edits(entries={"e": (["x"], ["z"])}))


def test_entries_keep_the_states_that_they_read() -> None:
    program = edit(counter(), Edits(entries={"e": (["x"], ["doubled"])}))
    assert [s.name for s in program.states] == ["h"]
    states: dict[str, np.ndarray] = {}
    x = np.ones((1, 4))
    assert program.run({"x": x}, "e", states)["doubled"][0, 0] == 3
    assert program.run({"x": x}, "e", states)["doubled"][0, 0] == 5
    cut = edit(counter(), Edits(entries={"e": (["total"], ["doubled"])}))
    assert cut.states == ()


def test_heads_give_the_largest() -> None:
    x = np.random.default_rng(0).standard_normal((2, 5))
    probs = dense().run({"x": x})["probs"]
    best = edit(dense(), Edits(heads={"probs": "argmax"})).run({"x": x})
    assert best["probs"].tolist() == probs.argmax(-1).tolist()
    top = edit(dense(), Edits(heads={"probs": "topk:2"})).run({"x": x})
    assert top["probs_indices"].tolist() == np.argsort(-probs, -1)[:, :2].tolist()
    np.testing.assert_allclose(top["probs"], -np.sort(-probs, -1)[:, :2])


def test_several_heads_are_outputs_of_their_own() -> None:
    x = np.random.default_rng(0).standard_normal((2, 5))
    probs = dense().run({"x": x})["probs"]
    names = ["probs", "probs_topk", "probs_topk_indices", "probs_argmax"]
    made = edit(dense(), Edits(heads={"probs": "all,topk:2,argmax"})).run({"x": x})
    assert [n for n in made if n.startswith("probs")] == names
    np.testing.assert_array_equal(made["probs"], probs)
    np.testing.assert_allclose(made["probs_topk"], -np.sort(-probs, -1)[:, :2])
    np.testing.assert_array_equal(made["probs_topk_indices"][:, 0], made["probs_argmax"])
    made = edit(dense(), Edits(heads={"probs": "topk:2,argmax"})).run({"x": x})
    names = ["probs", "probs_indices", "probs_argmax"]
    assert [n for n in made if n.startswith("probs")] == names


def test_a_head_takes_no_name_that_is_there() -> None:
    edits = Edits(heads={"probs": "topk:2,argmax"}, names={"probs_argmax": "best"})
    assert "best" in edit(dense(), edits).main.outputs
    twice = edit(dense(), Edits(heads={"probs": "all,argmax"}))
    with pytest.raises(ModelFormatError, match="'probs': its head would be 'probs_argmax'"):
        edit(twice, Edits(heads={"probs": "all,argmax"}))


HEADS = [
    "max",
    "topk",
    "topk:x",
    "argmax:2",
    "all",
    "",
    "argmax,argmax",
    "topk:2,topk:3",
    "topk:2,",
]


@pytest.mark.parametrize("head", HEADS)
def test_other_heads_are_refused(head: str) -> None:
    with pytest.raises(ModelFormatError, match="a head is argmax or topk:K"):
        edit(dense(), Edits(heads={"probs": head}))


def test_names_change_last() -> None:
    names = {"x": "in", "y": "out", "h": "memory"}
    program = edit(step(), Edits(states={"h": "h_next"}, names=names))
    assert list(program.main.inputs) == ["in"]
    assert list(program.main.outputs) == ["out"]
    assert [s.name for s in program.states] == ["memory"]
    assert list(program.main.reads) == list(program.main.writes) == ["memory"]
    with pytest.raises(ModelFormatError, match="there is no 'z' to rename"):
        edit(step(), Edits(names={"z": "a"}))
    with pytest.raises(ModelFormatError, match="called the same"):
        edit(step(), Edits(names={"x": "h"}))


WORDS = [[1, 2, 3], [4]]


def test_a_list_is_renamed_with_its_lengths() -> None:
    program = edit(listed(), Edits(names={"words": "ids", "rows": "found"}))
    assert list(program.main.inputs) == ["ids", "ids_lengths", "scale"]
    found = program.run({"ids": WORDS, "scale": 2})["found"]
    assert [a.shape for a in found] == [(3, 3), (1, 3)]
    own = edit(listed(), Edits(names={"words": "ids", "words_lengths": "counts"}))
    assert list(own.main.inputs) == ["ids", "counts", "scale"]


def test_lists_that_share_their_lengths_are_renamed_and_cut() -> None:
    program = edit(paired(), Edits(names={"words": "ids", "shares": "part"}))
    assert list(program.main.inputs) == ["ids", "ids_lengths", "part"]
    other = edit(paired(), Edits(names={"shares": "part"}))
    assert list(other.main.inputs) == ["words", "words_lengths", "part"]
    cut = edit(paired(), Edits(entries={"rows": (["words", "shares"], ["rows"])}))
    assert list(cut.entries["rows"].inputs) == ["words", "words_lengths", "shares"]
    given = {"words": WORDS, "shares": [[[1], [2], [3]], [[4]]]}
    assert [a.shape for a in cut.run(given, "rows")["rows"]] == [(3, 3), (1, 3)]


def test_a_list_in_an_entry_comes_with_its_lengths() -> None:
    cuts = {"rows": (["scale", "words"], ["rows"]), "ends": (["words_lengths"], ["ends"])}
    program = edit(listed(), Edits(entries=cuts))
    assert list(program.entries["rows"].inputs) == ["scale", "words", "words_lengths"]
    want = listed().run({"words": WORDS, "scale": 2})
    for got, row in zip(
        program.run({"words": WORDS, "scale": 2}, "rows")["rows"], want["rows"], strict=True
    ):
        np.testing.assert_array_equal(got, row)
    assert program.run({"words_lengths": [3, 1]}, "ends")["ends"].tolist() == [6, 2]


def test_heads_of_lists_are_lists() -> None:
    program = edit(listed(), Edits(heads={"rows": "topk:2"}, constants={"scale": 1.0}))
    found = program.run({"words": WORDS})
    assert [a.shape for a in found["rows"]] == [(3, 2), (1, 2)]
    assert [a.shape for a in found["rows_indices"]] == [(3, 2), (1, 2)]
    best = edit(listed(), Edits(heads={"rows": "argmax"}, constants={"scale": 1.0}))
    assert [a.tolist() for a in best.run({"words": WORDS})["rows"]] == [
        a[:, 0].tolist() for a in found["rows_indices"]
    ]
