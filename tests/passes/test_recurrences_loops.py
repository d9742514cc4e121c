"""Loops with masks, over several sequences, and of no known cell: one operator or one Scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.passes.programs import given, op_counts, program, run_wasm
from tests.passes.test_recurrences import (
    ADD,
    BATCH,
    MUL,
    SIGMOID,
    SIZE,
    SUB,
    TANH,
    H,
    State,
    Step,
    T,
    Weights,
    X,
    gru_step,
    lstm_step,
    product,
    steps_of,
    zeros,
)
from webconv.frontends import common
from webconv.ir import ops
from webconv.ir.dtypes import bool_, f32, i32
from webconv.ir.graph import Program, Value, constant
from webconv.passes import optimise
from webconv.passes.recurrences import recognise
from webconv.passes.recurrences_masks import as_condition

Array = Any
ONE = constant(np.float32(1))
KINDS = ("LSTM", "GRU", "RNN", "Scan")

# Rows of steps: none, all, padding on either side, holes.
MASKS = np.array(
    [[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1]], bool
)


def check(
    outputs: Sequence[Value], expected: Mapping[str, int], feeds: Mapping[str, Array] | None = None
) -> Program:
    """The recurrent operators and Scans that a program becomes; its values stay."""
    p = program(*outputs)
    q, _ = recognise(p)
    assert {k: n for k, n in op_counts(q).items() if k in KINDS} == expected
    rng = np.random.default_rng(3)
    drawn: dict[str, Array] = {}
    for name, v in p.main.inputs.items():
        shape = [d if isinstance(d, int) else len(MASKS) for d in v.shape]
        drawn[name] = rng.normal(size=shape).astype(np.float32)
        if v.type.dtype == bool_:
            drawn[name] = MASKS if v.type.rank == 2 else rng.random(shape) < 0.5
    drawn |= feeds or {}
    want = p.run(drawn)
    for got in (q.run(drawn), run_wasm(optimise(p), drawn)):
        for name, array in want.items():
            np.testing.assert_allclose(got[name], array, 1e-5, 3e-6, err_msg=name)
    return q


def rnn_step() -> Step:
    w = Weights()

    def step(x: Value, state: State) -> State:
        z = ADD(product(x, w("w", SIZE, H)), product(state[0], w("r", H, H)))
        return (TANH(ADD(z, w("b", H))),)

    return step


Choice = Callable[[Value, Value, Value], Value]


def as_float(m: Value) -> Value:
    made: Value = ops.Cast(f32)(m)
    return made


def wide(m: Value) -> Value:
    made: Value = ops.Expand((BATCH, H))(m)
    return made


# What holds a state: m of shape [batch, 1], the new and the old state.
CHOICES: dict[str, Choice] = {
    "where": lambda m, new, old: ops.Where()(m, new, old),
    "where_not": lambda m, new, old: ops.Where()(ops.Not()(m), old, new),
    "where_wide": lambda m, new, old: ops.Where()(wide(m), new, old),
    "sum": lambda m, new, old: ADD(MUL(as_float(m), new), MUL(SUB(ONE, as_float(m)), old)),
    "turned": lambda m, new, old: ADD(MUL(old, SUB(ONE, as_float(m))), MUL(new, wide(as_float(m)))),
    "difference": lambda m, new, old: ADD(old, MUL(wide(as_float(m)), SUB(new, old))),
}

STEPS: dict[str, Callable[[], Step]] = {
    "LSTM": lstm_step,
    "GRU": lambda: gru_step(False, "tf"),
    "RNN": rnn_step,
}

MASK = given("mask", BATCH, T, dtype=bool_)


def masked(kind: str, choice: Choice, masks: Sequence[Value], xs: Sequence[Value]) -> list[State]:
    """The states of a loop whose steps keep those before where the mask does not hold."""
    step = STEPS[kind]()
    state: State = (zeros(), zeros()) if kind == "LSTM" else (zeros(),)
    states = []
    for m, x in zip(masks, xs, strict=True):
        new = step(x, state)
        state = tuple(choice(m, a, b) for a, b in zip(new, state, strict=True))
        states.append(state)
    return states


def columns(mask: Value) -> list[Value]:
    """The steps of a mask, `[batch, 1]` each."""
    return [common.slice_axis(mask, 1, t, t + 1) for t in range(T)]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("kind", STEPS)
def test_masks(kind: str, choice: str) -> None:
    states = masked(kind, CHOICES[choice], columns(MASK), steps_of(X))
    q = check([common.stack([s[0] for s in states], 1), *states[-1]], {kind: 1})
    (node,) = [n for n in q.main.nodes if type(n.op).__name__ == kind]
    mask = node.op.split(node.inputs)[2]
    assert mask.type.dtype == bool_
    assert node.op.masked_output == "hold"


@pytest.mark.parametrize("kind", STEPS)
def test_masks_backwards(kind: str) -> None:
    states = masked(kind, CHOICES["sum"], columns(MASK)[::-1], steps_of(X)[::-1])
    check([common.stack([s[0] for s in states[::-1]], 1), states[-1][0]], {kind: 1})


def test_what_a_mask_hides() -> None:
    """A step's own result is shown where the mask holds, and zeros elsewhere."""
    step, state, shown = lstm_step(), (zeros(), zeros()), []
    for m, x in zip(columns(MASK), steps_of(X), strict=True):
        h, c = step(x, state)
        shown += [ops.Where()(m, h, zeros())]
        state = (ops.Where()(m, h, state[0]), ops.Where()(m, c, state[1]))
    q = check([common.stack(shown, 1), state[0]], {"LSTM": 1})
    assert "Concat" not in op_counts(q)


def test_a_result_beside_its_mask() -> None:
    """Where the mask does not hold, the operator does not give what the cell did."""
    step, state, shown = lstm_step(), (zeros(), zeros()), []
    for m, x in zip(columns(MASK), steps_of(X), strict=True):
        h, c = step(x, state)
        shown += [h]
        state = (ops.Where()(m, h, state[0]), ops.Where()(m, c, state[1]))
    check([common.stack(shown, 1), state[0]], {"Scan": 1})


def test_h_and_c_with_masks_of_their_own() -> None:
    step, state = lstm_step(), (zeros(), zeros())
    other = columns(given("other", BATCH, T, dtype=bool_))
    for m, n, x in zip(columns(MASK), other, steps_of(X), strict=True):
        h, c = step(x, state)
        state = (ops.Where()(m, h, state[0]), ops.Where()(n, c, state[1]))
    check([*state], {"Scan": 1}, {"other": MASKS[::-1]})


def test_a_mask_of_units() -> None:
    per_unit = given("units", BATCH, T, H, dtype=bool_)
    states = masked("GRU", CHOICES["where"], steps_of(per_unit), steps_of(X))
    check([states[-1][0]], {"Scan": 1})


@pytest.mark.parametrize("kind", STEPS)
def test_a_mask_of_floats_is_none(kind: str) -> None:
    """Numbers that are given may be anything between 0 and 1."""

    def mix(m: Value, new: Value, old: Value) -> Value:
        made: Value = ADD(MUL(m, new), MUL(SUB(ONE, m), old))
        return made

    masks = columns(given("mask", BATCH, T))
    states = masked(kind, mix, masks, steps_of(X))
    check([common.stack([s[0] for s in states], 1), *states[-1]], {"Scan": 1})


def test_a_gate_is_no_mask() -> None:
    w, step, state = Weights(), lstm_step(), (zeros(), zeros())
    for x in steps_of(X):
        g = SIGMOID(product(x, w("g", SIZE, H)))
        new = step(x, state)
        state = tuple(  # type: ignore[assignment]
            ADD(MUL(g, a), MUL(SUB(ONE, g), b)) for a, b in zip(new, state, strict=True)
        )
    check([*state], {"Scan": 1})


def test_states_that_a_mask_resets() -> None:
    step, state, shown = lstm_step(), (zeros(), zeros()), []
    for m, x in zip(columns(MASK), steps_of(X), strict=True):
        fresh = tuple(ops.Where()(m, zeros(), s) for s in state)
        state = step(x, fresh)  # type: ignore[assignment]
        shown.append(state[0])
    check([common.stack(shown, 1)], {"Scan": 1})


def test_lengths() -> None:
    """As `static_rnn` with lengths has it: a step counts while its number is below the length."""
    lengths = given("lengths", BATCH, 1, dtype=i32)
    masks = [ops.Less()(constant(np.int32(t)), lengths) for t in range(T)]
    states = masked("LSTM", CHOICES["where"], masks, steps_of(X))
    feeds = {"lengths": np.array([[0], [4], [2], [1], [3], [9]], np.int32)}
    q = check([common.stack([h for h, _ in states], 1), *states[-1]], {"LSTM": 1}, feeds)
    assert "Concat" not in op_counts(q)


# -- Proofs that numbers are 0 or 1 --------------------------------------------------------------

B, F, N = (given(name, 2, 3, dtype=t) for name, t in (("b", bool_), ("f", f32), ("n", i32)))
BITS: dict[str, Value] = {
    "cast": as_float(B),
    "comparison": as_float(ops.Greater()(F, constant(np.float32(0)))),
    "choice": ops.Where()(B, constant(np.float32(1)), constant(np.float32(0))),
    "other": ops.Where()(B, constant(np.float32(0)), constant(np.float32(1))),
    "complement": SUB(ONE, as_float(B)),
    "both": MUL(as_float(B), as_float(ops.Not()(B))),
    "moved": ops.Transpose((1, 0))(ops.Reshape((3, 2))(as_float(B))),
    "clipped": ops.Clip(0.0, 1.0)(ADD(as_float(N), constant(np.float32(1)))),
    "constant": constant(np.array([[0, 1, 1]], np.float32)),
}
NO_BITS: dict[str, Value] = {
    "given": F,
    "numbers": as_float(N),
    "gate": SIGMOID(F),
    "clipped": ops.Clip(0.0, 1.0)(F),
    "clipped_halves": ops.Clip(0.0, 1.0)(MUL(as_float(N), constant(np.float32(0.5)))),
    "choice": ops.Where()(B, constant(np.float32(1)), constant(np.float32(0.5))),
    "sum": ADD(as_float(B), as_float(B)),
    "constant": constant(np.array([0, 0.5], np.float32)),
}


@pytest.mark.parametrize("name", BITS)
def test_bits(name: str) -> None:
    value = BITS[name]
    condition = as_condition(value)
    assert condition is not None
    n = np.array([[-1, 0, 1], [2, -3, -1]], np.int32)
    feeds = {"b": n > 0, "f": n.astype(np.float32), "n": n}
    p = program(value, ops.Expand(value.shape)(condition))
    got = p.run({k: v for k, v in feeds.items() if k in p.main.inputs})
    np.testing.assert_array_equal(got["y0"] != 0, got["y1"])
    assert set(np.unique(got["y0"])) <= {0, 1}


@pytest.mark.parametrize("name", NO_BITS)
def test_what_is_not_known_to_be_bits(name: str) -> None:
    assert as_condition(NO_BITS[name]) is None


# -- Several sequences, and cells that are not known ---------------------------------------------

Z = given("z", BATCH, T, SIZE)


@pytest.mark.parametrize("joined", [True, False])
def test_several_sequences(joined: bool) -> None:
    w, state, shown = Weights(), (zeros(), zeros()), []
    step = lstm_step(width=2 * SIZE if joined else SIZE)
    for x, z in zip(steps_of(X), steps_of(Z), strict=True):
        both = ops.Concat(1)(x, z) if joined else ADD(x, product(z, w("z", SIZE, SIZE)))
        state = step(both, state)  # type: ignore[assignment]
        shown.append(state[0])
    q = check([common.stack(shown, 1)], {"LSTM": 1})
    assert op_counts(q).get("Concat", 0) == joined


def test_attention_in_each_step() -> None:
    """A decoder of given steps that looks at all states of an encoder."""
    w, step = Weights(), gru_step(False, "tf")
    encoder = masked("GRU", CHOICES["where"], columns(MASK), steps_of(X))
    states = [s[0] for s in encoder]
    together = common.stack(states, 1)
    h, shown = states[-1], []
    for z in steps_of(Z):
        scores = ops.MatMul()(together, ops.Reshape((BATCH, H, 1))(h))
        weights = ops.Softmax(1)(ops.Reshape((BATCH, T))(scores))
        context = ops.Reshape((BATCH, H))(
            ops.MatMul()(ops.Reshape((BATCH, 1, T))(weights), together)
        )
        (h,) = step(ADD(z, product(context, w("c", H, SIZE))), (h,))
        shown.append(h)
    check([common.stack(shown, 1)], {"GRU": 1, "Scan": 1})


def test_attention_state_by_state() -> None:
    """The same with a sum over states that the chain has written out, in a loop of no sequence."""
    w, step = Weights(), gru_step(False, "tf")
    encoder = masked("GRU", CHOICES["where"], columns(MASK), steps_of(X))
    states = [s[0] for s in encoder]
    h = states[-1]
    for _ in range(2):
        scores = [ops.ReduceSum((1,), keepdims=True)(MUL(s, h)) for s in states]
        weights = ops.Softmax(1)(ops.Concat(1)(*scores))
        context: Value | None = None
        for t, s in enumerate(states):
            own = MUL(wide(common.slice_axis(weights, 1, t, t + 1)), s)
            context = own if context is None else ADD(context, own)
        assert context is not None
        (h,) = step(product(context, w("c", H, SIZE)), (h,))
    q = check([h], {"GRU": 1})
    assert op_counts(q)["ReduceSum"] == 4


def test_a_cell_that_is_not_known() -> None:
    """A minimal gated unit whose gate shows in the result."""
    w, h, shown = Weights(), zeros(), []
    for x in steps_of(X):
        f = SIGMOID(ADD(product(x, w("f", SIZE, H)), product(h, w("r", H, H))))
        h = ADD(MUL(f, h), TANH(ADD(product(x, w("n", SIZE, H)), MUL(f, h))))
        shown.append(MUL(h, f))
    q = check([common.stack(shown, 1), h], {"Scan": 1})
    assert op_counts(q)["MatMul"] == 2


def test_layers_of_the_same_size_stay_apart() -> None:
    xs = steps_of(given("x", BATCH, T, H))
    for _ in range(2):
        w, h, shown = Weights(), zeros(), []
        for x in xs:
            h = TANH(MUL(ADD(product(x, w("w", H, H)), product(h, w("r", H, H))), h))
            h = ADD(h, x)
            shown.append(h)
        xs = shown
    check([common.stack(xs, 1)], {"Scan": 2})


def test_choices_of_states_that_the_last_step_lacks() -> None:
    """What is chosen of c is shown for all steps but the last, whose c nothing reads."""
    keep, other = given("keep", BATCH, 1, dtype=bool_), given("other", BATCH, H)
    states = masked("LSTM", CHOICES["where"], columns(MASK), steps_of(X))
    shown = [ops.Where()(keep, other, c) for _, c in states[:-1]]
    check([states[-1][0], common.stack(shown, 1)], {"Scan": 1}, {"keep": MASKS[:, :1]})
