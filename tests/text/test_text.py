"""Programs print and parse back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.bundle.programs import listed, paired
from webconv.ir import dims, ops
from webconv.ir.dtypes import f32, i32
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph, Program, State, Value, constant, input
from webconv.ir.op import Array, TensorType
from webconv.ir.parse import parse_program
from webconv.ir.text import Reference, print_program

B, T = dims.symbol("batch"), dims.symbol("time")


def recurrent() -> Program:
    """Every kind of attribute: activations, dims, dtypes, infinities, an absent input, states."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Value:
        return constant(rng.standard_normal(shape).astype(np.float32), "kernel")

    tokens = input("tokens", TensorType(i32, (B, T)))
    h = input("h", TensorType(f32, (1, B, 4)))
    table = constant(rng.standard_normal((7, 3)).astype(np.float32), "table")
    x = ops.Gather(0)(table, tokens, name="embedding")
    x = ops.Transpose((1, 0, 2))(x)
    cell = ops.GRU("reverse", (ops.HardSigmoid(0.25), ops.Tanh()))
    y, final = cell(x, weight(1, 3, 3, 4), weight(1, 4, 3, 4), None, None, h, None, name="gru 1")
    y = ops.Clip(low=-1.5, high=float("inf"))(y, name="</script>")
    flat = ops.Reshape((B * T, 4))(ops.Transpose((1, 0, 2, 3))(y))
    flat = ops.Cast(i32)(flat)
    first = np.full((1, 1, 4), 0.5, np.float32)
    state = State("h", TensorType(f32, (1, B, 4)), first)
    graph = Graph({"tokens": tokens}, {"y": flat, "again": y}, {"h": h}, {"h": final})
    return Program({"main": graph}, (state,), "a\nname")


def scan() -> Program:
    carry, step = input("carry", TensorType(f32, (B,))), input("step", TensorType(f32, (B,)))
    total = ops.Add()(carry, step)
    body = Graph({"carry": carry, "step": step}, {"carry": total, "y": total})
    x = input("x", TensorType(f32, (T, B)))
    zero = ops.Expand((B,))(constant(np.zeros((1,), np.float32)))
    last, sums = ops.Scan(body, 1, 1)(zero, x, name="running")
    return Program({"main": Graph({"x": x}, {"last": last, "sums": sums})})


def run(program: Program) -> dict[str, Array]:
    inputs = {"tokens": np.array([[0, 6, 3]]), "x": np.arange(6.0).reshape(3, 2)}
    return program.run({k: v for k, v in inputs.items() if k in program.main.inputs})


@pytest.mark.parametrize("make", [recurrent, scan])
def test_a_program_prints_and_parses_back(make) -> None:  # type: ignore[no-untyped-def]
    program = make()
    text = print_program(program)
    again = parse_program(text)
    assert print_program(again) == text
    assert again.name == program.name
    want, got = run(program), run(again)
    assert list(want) == list(got)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array)


def test_names_are_kept() -> None:
    program = parse_program(print_program(recurrent()))
    assert "gru 1" in {n.name for n in program.main.nodes}
    assert "</script>" in {n.name for n in program.main.nodes}


def test_large_constants_go_to_the_store() -> None:
    kept: list[Array] = []

    def store(array: Array) -> Reference:
        kept.append(array)
        return ("weights", len(kept) - 1)

    text = print_program(recurrent(), store)
    assert 'weight(f32[7, 3], "weights", 0)' in text
    assert [a.shape for a in kept] == [(7, 3), (1, 3, 3, 4), (1, 4, 3, 4)]
    again = parse_program(text, lambda t, reference: kept[int(reference[1])])
    np.testing.assert_array_equal(run(again)["y"], run(recurrent())["y"])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i8", "u8", "?"])
def test_constants_come_back_bit_by_bit(dtype: str) -> None:
    t = np.dtype(dtype)
    extreme = [0, 1]
    if t.kind == "f":
        extreme = [0.1, -0.0, np.inf, -np.inf, np.nan, np.finfo(t).max, np.finfo(t).tiny]
    elif t.kind in "iu":
        extreme = [np.iinfo(t).min, np.iinfo(t).max, 1]
    array = np.array(extreme, t)
    program = Program({"main": Graph({}, {"x": constant(array)})})
    found = parse_program(print_program(program)).main.outputs["x"].constant
    assert found is not None
    assert found.dtype == t
    np.testing.assert_array_equal(found, array)
    assert found.tobytes() == array.tobytes()


def test_bounds_of_symbols_are_kept() -> None:
    n = dims.symbol("n", 128)
    x = input("x", TensorType(f32, (n,)))
    program = Program({"main": Graph({"x": x}, {"x": x})})
    (found,) = parse_program(print_program(program)).main.inputs["x"].shape
    assert dims.bounds(found) == (0, 127)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("program('x'", "cannot be read"),
        ("import os", "line 1: cannot read 'import os'"),
        ("program('x')", "holds no entry"),
        ("with entry('main'):\n    x = Nothing()(y)", "line 2"),
        ("with entry('main'):\n    x = input('x', f32[2])\n    y = Add()(x, z)", "line 3"),
        ("with entry('main'):\n    x = weight(f32[20], 0)", "no weights were given"),
    ],
)
def test_what_is_no_program_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ModelFormatError, match=rule.replace("(", r"\(")):
        parse_program(text)


def test_lists_print_and_parse_back() -> None:
    text = print_program(listed())
    assert 'words = input("words", i32[words_total], lengths="words_lengths")' in text
    assert 'output("rows", scaled, lengths="words_lengths")' in text
    again = parse_program(text)
    assert print_program(again) == text
    assert again.main.lists == listed().main.lists


def test_lists_that_share_their_lengths_print_and_parse_back() -> None:
    assert parse_program(print_program(paired())).main.lists == paired().main.lists


def test_limits_of_lists_print_and_parse_back() -> None:
    main = listed().main
    limits = {"least": {"words": 3}, "more": {"rows": -2}}
    lists = dataclasses.replace(main.lists, **limits)
    text = print_program(Program({"main": Graph(main.inputs, main.outputs, lists=lists)}))
    assert 'lengths="words_lengths", least=3)' in text
    assert 'output("rows", scaled, lengths="words_lengths", more=-2)' in text
    assert parse_program(text).main.lists == lists
