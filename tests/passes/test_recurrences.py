"""Recurrences that are written out: every form is one operator, and gives what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.conftest import require_models
from tests.passes.programs import given, op_counts, program, run_wasm
from webconv.frontends import common
from webconv.frontends.onnx.convert import convert
from webconv.ir import ops
from webconv.ir.dims import Dim, symbol
from webconv.ir.dtypes import f32, i32
from webconv.ir.graph import Graph, Input, Program, Value, constant, input
from webconv.ir.op import TensorType
from webconv.passes import optimise
from webconv.passes.recurrences import Recognition, recognise

Array = Any
T, SIZE, H = 4, 3, 5
BATCH = symbol("batch")
ADD, MUL, SUB = ops.Add(), ops.Mul(), ops.Sub()
SIGMOID, TANH = ops.Sigmoid(), ops.Tanh()


@dataclass
class Weights:
    """Random weights by name, made once each."""

    rng: Any = field(default_factory=lambda: np.random.default_rng(5))
    made: dict[str, Value] = field(default_factory=dict)

    def __call__(self, name: str, *shape: int) -> Value:
        """The weight `name`."""
        if name not in self.made:
            array = (self.rng.normal(size=shape) * 0.5).astype(np.float32)
            self.made[name] = constant(array, name)
        return self.made[name]


State = tuple[Value, ...]
Step = Callable[[Value, State], State]


def product(x: Value, w: Value) -> Value:
    return ops.MatMul()(x, w)


def steps_of(x: Value, axis: int = 1) -> list[Value]:
    return [common.at(x, axis, t) for t in range(T)]


def unroll(step: Step, xs: Sequence[Value], state: State) -> list[State]:
    states = []
    for x in xs:
        state = step(x, state)
        states.append(state)
    return states


def zeros(batch: Dim = BATCH) -> Value:
    return ops.Expand((batch, H))(constant(np.float32(0)))


def check(
    outputs: Sequence[Value], expected: dict[str, int], refused: str | None = None, batch: int = 2
) -> Recognition:
    """The recurrent operators that a program becomes; its values stay."""
    p = program(*outputs)
    q, found = recognise(p)
    counts = op_counts(q)
    kinds = ("LSTM", "GRU", "RNN", "Scan")
    assert {k: n for k, n in counts.items() if k in kinds} == expected
    assert (refused is None) == (not found.refused), found.refused
    if refused is not None:
        assert any(refused in reason for reason in found.refused.values()), found.refused
    rng = np.random.default_rng(3)
    feeds = {}
    for name, v in p.main.inputs.items():
        shape = [d if isinstance(d, int) else batch for d in v.shape]
        feeds[name] = rng.normal(size=shape).astype(np.float32)
    want = p.run(feeds)
    for got in (q.run(feeds), run_wasm(optimise(p), feeds)):
        for name, array in want.items():
            np.testing.assert_allclose(got[name], array, 1e-5, 3e-6, err_msg=name)
    return found


X = given("x", BATCH, T, SIZE)


def lstm_step(
    form: str = "concat",
    order: str = "ijfo",
    peepholes: bool = False,
    gate: Callable[[Value], Value] = SIGMOID,
    cell: Callable[[Value], Value] = TANH,
    width: int = SIZE,
) -> Step:
    """A step of an LSTM; `form` says how its gates are computed, `order` how they lie."""
    w = Weights()

    def gates(x: Value, h: Value) -> dict[str, Value]:
        if form == "apart":
            return {
                k: ADD(
                    w(f"b{k}", H),
                    ADD(product(h, w(f"r{k}", H, H)), product(x, w(f"w{k}", width, H))),
                )
                for k in order
            }
        if form == "concat":
            both = ops.Concat(1)(x, h)
            z = ADD(product(both, w("wr", width + H, 4 * H)), w("b", 4 * H))
        elif form == "reversed":
            both = ops.Concat(-1)(h, x)
            z = ADD(w("b", 1, 4 * H), product(both, w("rw", width + H, 4 * H)))
        else:
            a = ADD(product(x, w("w", width, 4 * H)), w("b", 4 * H))
            z = ADD(ADD(product(h, w("r", H, 4 * H)), w("b2", 4 * H)), a)
        return dict(zip(order, common.split(z, [H] * 4, -1), strict=True))

    def step(x: Value, state: State) -> State:
        h, c = state
        z = gates(x, h)
        if peepholes:
            z["i"] = ADD(z["i"], MUL(c, w("pi", H)))
            z["f"] = ADD(MUL(w("pf", 1, H), c), z["f"])
        kept = MUL(c, gate(ADD(constant(np.float32(1)), z["f"])))
        added = MUL(cell(z["j"]), gate(z["i"]))
        c = ADD(added, kept) if form == "apart" else ADD(kept, added)
        if peepholes:
            z["o"] = ADD(z["o"], MUL(c, w("po", H)))
        h = MUL(cell(c), gate(z["o"]))
        return h, c

    return step


@pytest.mark.parametrize("form", ["concat", "reversed", "apart", "two"])
@pytest.mark.parametrize("order", ["ijfo", "fjoi", "ojif"])
@pytest.mark.parametrize("peepholes", [False, True])
def test_lstm(form: str, order: str, peepholes: bool) -> None:
    states = unroll(lstm_step(form, order, peepholes), steps_of(X), (zeros(), zeros()))
    found = check([common.stack([h for h, _ in states], 1), *states[-1]], {"LSTM": 1})
    assert [(n.op, n.cells) for n in found.layers] == [("LSTM", T)]


def test_the_sequence_is_not_cut() -> None:
    """Neither the steps of the input nor those of the output are left."""
    states = unroll(lstm_step(), steps_of(X), (zeros(), zeros()))
    p, _ = recognise(program(common.stack([h for h, _ in states], 1)))
    assert set(op_counts(p)) <= {"Transpose", "LSTM", "Reshape"}


def test_only_the_last_output() -> None:
    states = unroll(lstm_step(), steps_of(X), (zeros(), zeros()))
    p, _ = recognise(program(states[-1][0]))
    (node,) = [n for n in p.main.nodes if isinstance(n.op, ops.LSTM)]
    assert p.main.outputs["y0"].node.inputs[0] is node.outputs[1]


def test_other_activations() -> None:
    step = lstm_step(gate=ops.HardSigmoid(), cell=ops.Softsign())
    check([unroll(step, steps_of(X), (zeros(), zeros()))[-1][0]], {"LSTM": 1})


def test_given_states() -> None:
    state = (given("h", BATCH, H), given("c", BATCH, H))
    states = unroll(lstm_step(), steps_of(X), state)
    check([*states[-1], states[1][0]], {"LSTM": 1})


def test_one_step() -> None:
    state = (given("h", BATCH, H), given("c", BATCH, H))
    check([*lstm_step()(given("x", BATCH, SIZE), state)], {"LSTM": 1})


@pytest.mark.parametrize("form", ["concat", "two"])
@pytest.mark.parametrize("peepholes", [False, True])
def test_zero_states_that_were_folded(form: str, peepholes: bool) -> None:
    """With a batch of known size, exporters and frontends fold what zeros are multiplied with."""
    x = given("x", 2, T, SIZE)
    zero = constant(np.zeros((2, H), np.float32))
    step = lstm_step(form, peepholes=peepholes)
    states = unroll(step, steps_of(x), (zero, zero))
    p = program(common.stack([h for h, _ in states], 1), *states[-1])
    folded = convert_folded(p)
    found = check([*folded.main.outputs.values()], {"LSTM": 1})
    assert found.cells == T


def convert_folded(p: Program) -> Program:
    """`p` with everything folded that depends on no input."""
    values: dict[Value, Value] = {}
    for node in p.main.nodes:
        inputs = [None if v is None else values.get(v, v) for v in node.inputs]
        if isinstance(node.op, Input):
            continue
        made = type(node)(node.op, inputs, node.name)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            constants = inputs and all(v is not None and v.constant is not None for v in inputs)
            values[old] = common.folded(new) if constants else new
    return program(*(values[v] for v in p.main.outputs.values()))


def test_constant_states_that_are_not_zero_stay_outside() -> None:
    x = given("x", 2, T, SIZE)
    start = constant(np.full((2, H), 0.5, np.float32))
    states = unroll(lstm_step("two"), steps_of(x), (start, start))
    found = check(convert_folded(program(states[-1][0])).main.outputs.values(), {"LSTM": 1})
    assert found.cells in (T - 1, T)


def test_projected_beforehand() -> None:
    """The product of the input with its weights is computed for all steps at once."""
    w = Weights()
    sequence = ADD(product(X, w("w", SIZE, 4 * H)), w("b", 4 * H))

    def step(x: Value, state: State) -> State:
        h, c = state
        z = common.split(ADD(product(h, w("r", H, 4 * H)), x), [H] * 4, 1)
        i, f, o = (SIGMOID(z[k]) for k in (0, 1, 3))
        c = ADD(MUL(f, c), MUL(i, TANH(z[2])))
        return MUL(o, TANH(c)), c

    states = unroll(step, steps_of(sequence), (zeros(), zeros()))
    p, _ = recognise(program(states[-1][0]))
    assert op_counts(p).get("MatMul", 0) == 0
    check([states[-1][0]], {"LSTM": 1})


def test_pre_activations_that_are_given() -> None:
    """What enters the gates is no product: the operator has no weights for its input."""
    w, x = Weights(), given("x", BATCH, T, 4 * H)

    def step(x: Value, state: State) -> State:
        h, c = state
        z = common.split(ADD(x, product(h, w("r", H, 4 * H))), [H] * 4, 1)
        g, i, f, o = TANH(z[0]), *(SIGMOID(z[k]) for k in (1, 2, 3))
        c = ADD(MUL(f, c), MUL(i, g))
        return MUL(o, TANH(c)), c

    states = unroll(step, steps_of(x), (zeros(), zeros()))
    p, _ = recognise(program(states[-1][0]))
    (node,) = [n for n in p.main.nodes if isinstance(n.op, ops.LSTM)]
    assert node.inputs[1] is None
    check([states[-1][0]], {"LSTM": 1})


def test_layers_and_directions() -> None:
    first = unroll(lstm_step(), steps_of(X), (zeros(), zeros()))
    second = unroll(lstm_step(width=H), [h for h, _ in first], (zeros(), zeros()))
    back = unroll(lstm_step("two"), steps_of(X)[::-1], (zeros(), zeros()))[::-1]
    joined = [ops.Concat(1)(a, b) for (a, _), (b, _) in zip(second, back, strict=True)]
    found = check([common.stack(joined, 1)], {"LSTM": 3})
    assert found.cells == 3 * T


def test_residual_layers() -> None:
    xs = steps_of(given("x", BATCH, T, H))
    first = unroll(lstm_step(width=H), xs, (zeros(), zeros()))
    sums = [ADD(x, h) for x, (h, _) in zip(xs, first, strict=True)]
    check([unroll(lstm_step(width=H), sums, (zeros(), zeros()))[-1][0]], {"LSTM": 2})


# -- GRU and RNN ---------------------------------------------------------------------------------

MIXES: dict[str, Callable[[Value, Value, Value, Value], Value]] = {
    "tf": lambda one, z, h, n: ADD(MUL(z, h), MUL(SUB(one, z), n)),
    "torch": lambda one, z, h, n: ADD(MUL(SUB(h, n), z), n),
    "torch_sum": lambda one, z, h, n: ADD(MUL(n, SUB(one, z)), MUL(h, z)),
    "less": lambda one, z, h, n: SUB(n, MUL(z, SUB(n, h))),
    "chainer": lambda one, z, h, n: ADD(MUL(SUB(one, z), h), MUL(n, z)),
    "chainer_difference": lambda one, z, h, n: ADD(h, MUL(z, SUB(n, h))),
}


def gru_step(after: bool, mix: str, form: str = "concat") -> Step:
    w, one = Weights(), constant(np.float32(1))

    def step(x: Value, state: State) -> State:
        (h,) = state
        if after:
            xs = common.split(ADD(product(x, w("w", SIZE, 3 * H)), w("b", 3 * H)), [H] * 3, 1)
            hs = common.split(ADD(product(h, w("r", H, 3 * H)), w("rb", 3 * H)), [H] * 3, 1)
            r, z = SIGMOID(ADD(xs[0], hs[0])), SIGMOID(ADD(xs[1], hs[1]))
            n = TANH(ADD(MUL(hs[2], r), xs[2]))
        else:
            both = SIGMOID(
                ADD(product(ops.Concat(1)(x, h), w("g", SIZE + H, 2 * H)), w("gb", 2 * H))
            )
            r, z = common.split(both, [H, H], 1)
            if form == "concat":
                new = product(ops.Concat(1)(x, MUL(r, h)), w("c", SIZE + H, H))
            else:
                new = ADD(product(x, w("cx", SIZE, H)), product(MUL(h, r), w("ch", H, H)))
            n = TANH(ADD(new, w("cb", H)))
        return (MIXES[mix](one, z, h, n),)

    return step


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("after", [False, True])
def test_gru(mix: str, after: bool) -> None:
    states = unroll(gru_step(after, mix), steps_of(X), (zeros(),))
    check([common.stack([h for (h,) in states], 0), states[1][0]], {"GRU": 1})


def test_gru_of_two_products() -> None:
    states = unroll(gru_step(False, "tf", "two"), steps_of(X), (given("h", BATCH, H),))
    check([states[-1][0]], {"GRU": 1})


@pytest.mark.parametrize("after", [False, True])
def test_gru_from_folded_zeros(after: bool) -> None:
    x, zero = given("x", 2, T, SIZE), constant(np.zeros((2, H), np.float32))
    states = unroll(gru_step(after, "tf"), steps_of(x), (zero,))
    folded = convert_folded(program(*(h for (h,) in states)))
    assert check([*folded.main.outputs.values()], {"GRU": 1}).cells == T


@pytest.mark.parametrize("activation", [ops.Tanh(), ops.Relu()])
def test_rnn(activation: Any) -> None:
    w = Weights()

    def step(x: Value, state: State) -> State:
        z = ADD(product(ops.Concat(1)(x, state[0]), w("w", SIZE + H, H)), w("b", H))
        return (activation(z),)

    states = unroll(step, steps_of(X), (zeros(),))
    check([common.stack([h for (h,) in states], 1)], {"RNN": 1})


def test_dense_layers_are_no_rnn() -> None:
    w = Weights()
    x = given("x", BATCH, H)
    for k in range(3):
        x = TANH(ADD(product(x, w(f"w{k}", H, H)), w("b", H)))
    check([x], {})
    shared = given("x", BATCH, H)
    for _ in range(3):
        shared = TANH(ADD(product(shared, w("w0", H, H)), w("b", H)))
    check([shared], {})


# -- What is no cell, or no loop over a sequence ---------------------------------------------------


def test_a_cell_state_that_is_read() -> None:
    states = unroll(lstm_step(), steps_of(X), (zeros(), zeros()))
    check(
        [states[-1][0], states[1][1]], {"Scan": 1}, "c of a step before the last is read elsewhere"
    )


def test_an_input_from_the_step_before() -> None:
    step, state, w = lstm_step(), (zeros(), zeros()), Weights()
    x = common.at(X, 1, 0)
    for _ in range(3):
        state = step(x, state)  # type: ignore[assignment]
        x = product(state[0], w("back", H, SIZE))
    check([state[0]], {}, "what enters a step depends on the step before it")


def test_a_term_that_is_no_peephole() -> None:
    w = Weights()

    def step(x: Value, state: State) -> State:
        h, c = state
        z = common.split(product(ops.Concat(1)(x, h), w("w", SIZE + H, 4 * H)), [H] * 4, 1)
        odd = ADD(z[0], MUL(h, w("odd", H)))
        c = ADD(MUL(SIGMOID(z[1]), c), MUL(SIGMOID(odd), TANH(z[2])))
        return MUL(SIGMOID(z[3]), TANH(c)), c

    states = unroll(step, steps_of(X), (given("h", BATCH, H), given("c", BATCH, H)))
    check([states[-1][0]], {"Scan": 1}, "neither a product with weights nor a peephole")


def matrix_step(*gates: str, rows: bool = False) -> Step:
    """A step of an LSTM with matrices from c to `gates`, and perhaps rows beside them."""
    w = Weights()

    def step(x: Value, state: State) -> State:
        h, c = state
        z = product(ops.Concat(1)(x, h), w("w", SIZE + H, 4 * H))
        i, f, g, o = common.split(z, [H] * 4, 1)
        i = ADD(i, product(c, w("i", H, H))) if "i" in gates else i
        i = ADD(i, MUL(c, w("rows", H))) if rows else i
        f = ADD(product(c, w("f", H, H)), f) if "f" in gates else f
        g = ADD(g, product(c, w("g", H, H))) if "g" in gates else g
        c = ADD(MUL(SIGMOID(f), c), MUL(SIGMOID(i), TANH(g)))
        o = ADD(o, product(c, w("o", H, H))) if "o" in gates else o
        return MUL(SIGMOID(o), TANH(c)), c

    return step


@pytest.mark.parametrize("gates", ["i", "o", "if", "ifo"])
def test_peepholes_that_are_matrices(gates: str) -> None:
    state = (given("h", BATCH, H), given("c", BATCH, H))
    states = unroll(matrix_step(*gates), steps_of(X), state)
    found = check([common.stack([h for h, _ in states], 1), *states[-1]], {"LSTM": 1})
    assert found.cells == T


def test_a_matrix_from_c_to_the_new_values() -> None:
    """That is no peephole: c would be an input that depends on the step before."""
    state = (given("h", BATCH, H), given("c", BATCH, H))
    states = unroll(matrix_step("i", "f", "g"), steps_of(X), state)
    check([states[-1][0]], {"Scan": 1}, "what enters a step depends on the step before it")


def test_two_peepholes_of_a_gate() -> None:
    state = (given("h", BATCH, H), given("c", BATCH, H))
    states = unroll(matrix_step("i", rows=True), steps_of(X), state)
    check([states[-1][0]], {"Scan": 1}, "the gate i has several peepholes")


# -- Scans ---------------------------------------------------------------------------------------


def scan(
    step: Callable[[Sequence[Value], Value], tuple[Sequence[Value], Sequence[Value]]],
    carries: Sequence[Value],
    x: Value,
    reverse: bool = False,
) -> tuple[Value, ...]:
    """`step(carries, x)` gives the next carries and what is stacked."""
    inner = [input(f"c{k}", v.type) for k, v in enumerate(carries)]
    one = input("x", TensorType(x.type.dtype, x.shape[1:]))
    after, shown = step(inner, one)
    names = {str(k): v for k, v in enumerate((*inner, one))}
    body = Graph(names, {str(k): v for k, v in enumerate((*after, *shown))})
    made = ops.Scan(body, len(carries), 1, reverse)(*carries, x)
    return made if isinstance(made, tuple) else (made,)


TIME = symbol("time")
SEQUENCE = given("x", TIME, BATCH, SIZE)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    step, counter = lstm_step(), constant(np.int32(0))

    def body(c: Sequence[Value], x: Value) -> Any:
        h, cell = step(x, (c[0], c[1]))
        return (h, cell, ADD(c[2], constant(np.int32(1)))), (h,)

    start = (given("h", BATCH, H), given("c", BATCH, H), counter)
    h, c, _, ys = scan(body, start, SEQUENCE, reverse)
    check([ys, h, c], {"LSTM": 1})


def test_scan_of_two_cells() -> None:
    """What lies between and around the cells is done on all steps, or by a Scan of its own."""
    first, second, w = lstm_step(), gru_step(True, "torch"), Weights()

    def body(c: Sequence[Value], x: Value) -> Any:
        a = first(ops.Neg()(x), (c[0], c[1]))
        b = second(product(a[0], w("p", H, SIZE)), (c[2],))
        total = ADD(c[3], x)
        return (*a, *b, total), (ADD(b[0], a[0]), total)

    start = (zeros(), zeros(), zeros(), ops.Expand((BATCH, SIZE))(constant(np.float32(0))))
    *_, total, ys, sums = scan(body, start, SEQUENCE)
    found = check([ys, sums, total], {"LSTM": 1, "GRU": 1, "Scan": 1})
    assert found.cells == 2


def test_scan_of_an_rnn() -> None:
    w = Weights()

    def body(c: Sequence[Value], x: Value) -> Any:
        h = TANH(ADD(product(x, w("w", SIZE, H)), product(c[0], w("r", H, H))))
        return (h,), ()

    check([*scan(body, (zeros(),), SEQUENCE)], {"RNN": 1})


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("gru", [False, True])
def test_scan_of_sequences_of_different_lengths(flipped: bool, gru: bool) -> None:
    """dynamic_rnn with sequence_length: past its end a sequence keeps its states and gives 0."""
    step = gru_step(False, "tf") if gru else lstm_step()
    lengths = constant(np.array([[2], [3]], np.int32))
    nothing = constant(np.zeros((), np.float32))

    def choose(over: Value, old: Value, new: Value) -> Value:
        if flipped:
            return ops.Where()(ops.Not()(over), new, old)
        return ops.Where()(over, old, new)

    def body(c: Sequence[Value], x: Value) -> Any:
        over = ops.GreaterOrEqual()(c[-1], lengths)
        if flipped:
            over = ops.Not()(ops.Not()(over))
        new = step(x, tuple(c[:-1]))
        kept = [choose(over, a, b) for a, b in zip(c[:-1], new, strict=True)]
        after = ADD(c[-1], constant(np.int32(1)))
        return (*kept, after), (choose(over, nothing, new[0]),)

    states = (given("h", 2, H), given("c", 2, H))[: 1 if gru else 2]
    x = given("x", TIME, 2, SIZE)
    made = scan(body, (*states, constant(np.int32(0))), x)
    p = program(*made[: len(states)], made[-1])
    q, found = recognise(p)
    assert found.cells == 1
    feeds = {n: np.ones([4 if d is TIME else d for d in v.shape]) for n, v in p.main.inputs.items()}
    want = p.run(feeds)
    for got in (q.run(feeds), run_wasm(optimise(p), {n: a.astype("f4") for n, a in feeds.items()})):
        for name, array in want.items():
            np.testing.assert_allclose(got[name], array, 1e-5, 1e-6)
    assert not want[f"y{len(states)}"][3].any()


def test_scan_over_a_counter() -> None:
    """A Loop takes the steps of its input by their numbers."""
    step, x = lstm_step(), given("x", BATCH, TIME, SIZE)
    inner = [input(f"c{k}", TensorType(f32, (BATCH, H))) for k in range(2)]
    k, whole = input("k", TensorType(i32, ())), input("x", x.type)
    h, c = step(ops.Gather(1)(whole, k), (inner[0], inner[1]))
    names = {"h": inner[0], "c": inner[1], "k": k, "x": whole}
    body = Graph(names, {"0": h, "1": c, "2": h})
    *_, ys = ops.Scan(body, 2, 1)(zeros(), zeros(), ops.Iota(TIME)(), x)
    check([ys], {"LSTM": 1})


def test_scan_that_feeds_its_output_back() -> None:
    step, w = lstm_step(), Weights()

    def body(c: Sequence[Value], x: Value) -> Any:
        h, cell = step(ADD(x, c[2]), (c[0], c[1]))
        return (h, cell, product(h, w("p", H, SIZE))), (h,)

    start = (zeros(), zeros(), ops.Expand((BATCH, SIZE))(constant(np.float32(0))))
    *_, ys = scan(body, start, SEQUENCE)
    check([ys], {"Scan": 1}, "what enters a step depends on the step before it")


def test_scan_that_shows_its_cell_state() -> None:
    step = lstm_step()

    def body(c: Sequence[Value], x: Value) -> Any:
        h, cell = step(x, (c[0], c[1]))
        return (h, cell), (h, cell)

    *_, hs, cs = scan(body, (zeros(), zeros()), SEQUENCE)
    check([hs, cs], {"Scan": 1}, "its states are read by more than the cell")


def test_a_constant_enters_the_body() -> None:
    inner = [input("c", TensorType(f32, (H,))), input("x", TensorType(f32, (H,)))]
    captured = input("w", TensorType(f32, (H,)))
    body = Graph(
        {"c": inner[0], "x": inner[1], "w": captured},
        {"0": ADD(inner[0], MUL(inner[1], captured)), "1": inner[0]},
    )
    start = constant(np.zeros(H, np.float32))
    made = ops.Scan(body, 1, 1)(start, given("x", TIME, H), Weights()("w", H))
    w = Weights()
    p, _ = recognise(program(*made, product(given("a", 2, H), w("m", H, H))))
    (node,) = [n for n in p.main.nodes if isinstance(n.op, ops.Scan)]
    assert len(node.inputs) == 2


# -- As exporters write them ---------------------------------------------------------------------


def torch_cells(kind: str, static: bool) -> onnx.ModelProto:
    """An unrolled cell as PyTorch exports it: Gather of steps, Gemm with transposed weights."""
    rng = np.random.default_rng(9)
    gates = {"LSTM": 4, "GRU": 3}[kind]
    weights = {
        "w": rng.normal(size=(gates * H, SIZE)),
        "r": rng.normal(size=(gates * H, H)),
        "bw": rng.normal(size=gates * H),
        "br": rng.normal(size=gates * H),
        "zero": np.zeros((2, H)),
        "one": np.ones(()),
    }
    tensors = [
        onnx.numpy_helper.from_array((a * 0.4 if n != "one" else a).astype(np.float32), n)
        for n, a in weights.items()
    ]
    tensors += [onnx.numpy_helper.from_array(np.array(t), f"t{t}") for t in range(T)]
    tensors.append(onnx.numpy_helper.from_array(np.array([0]), "axis"))
    lines = ["h_0 = Identity(zero)", "c_0 = Identity(zero)"]
    if not static:
        lines = ["h_0 = Identity(h)", "c_0 = Identity(c)"]
    for t in range(T):
        lines += [
            f"x_{t} = Gather <axis = 0> (x, t{t})",
            f"a_{t} = Gemm <transB = 1> (x_{t}, w, bw)",
            f"b_{t} = Gemm <transB = 1> (h_{t}, r, br)",
        ]
        n = t + 1
        if kind == "LSTM":
            lines += [
                f"s_{t} = Add(a_{t}, b_{t})",
                f"i_{t}, f_{t}, g_{t}, o_{t} = Split <axis = 1> (s_{t})",
                *(f"{k}s_{t} = Sigmoid({k}_{t})" for k in "ifo"),
                f"gt_{t} = Tanh(g_{t})",
                f"k_{t} = Mul(fs_{t}, c_{t})",
                f"m_{t} = Mul(is_{t}, gt_{t})",
                f"c_{n} = Add(k_{t}, m_{t})",
                f"ct_{t} = Tanh(c_{n})",
                f"h_{n} = Mul(os_{t}, ct_{t})",
            ]
        else:
            lines += [
                f"ar_{t}, az_{t}, an_{t} = Split <axis = 1> (a_{t})",
                f"br_{t}, bz_{t}, bn_{t} = Split <axis = 1> (b_{t})",
                f"rs_{t} = Add(ar_{t}, br_{t})",
                f"r_{t} = Sigmoid(rs_{t})",
                f"zs_{t} = Add(az_{t}, bz_{t})",
                f"z_{t} = Sigmoid(zs_{t})",
                f"rn_{t} = Mul(r_{t}, bn_{t})",
                f"ns_{t} = Add(an_{t}, rn_{t})",
                f"n_{t} = Tanh(ns_{t})",
                f"u_{t} = Sub(one, z_{t})",
                f"p_{t} = Mul(u_{t}, n_{t})",
                f"q_{t} = Mul(z_{t}, h_{t})",
                f"h_{n} = Add(p_{t}, q_{t})",
            ]
        lines.append(f"y_{n} = Unsqueeze(h_{n}, axis)")
    parts = ", ".join(f"y_{t + 1}" for t in range(T))
    lines.append(f"ys = Concat <axis = 0> ({parts})")
    states = "" if static else f", float[2, {H}] h, float[2, {H}] c"
    head = f"g (float[{T}, 2, {SIZE}] x{states}) => (float[{T}, 2, {H}] ys)"
    text = head + "{" + "\n".join(lines) + "}"
    model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 17]>' + text)
    model.graph.initializer.extend(tensors)
    return model


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("static", [True, False])
def test_torch_cells(kind: str, static: bool) -> None:
    p = convert(torch_cells(kind, static), Path(), {}, {})
    found = check([*p.main.outputs.values()], {kind: 1})
    assert found.cells == T
    q, _ = recognise(p)
    assert op_counts(q).get("Concat", 0) == 0


def test_a_loop_of_onnx() -> None:
    """Steps are taken by the counter of a Loop whose trip count is a size."""
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    g (float[t, b, {SIZE}] x, float[b, {H}] start) => (float last, float ys)
    <int64[1] zero = {{0}}, bool yes = {{1}}> {{
        shape = Shape(x)
        first = Gather<axis = 0>(shape, zero)
        n = Squeeze(first)
        last, ys = Loop<body = step (int64 k, bool on, float[b, {H}] h)
            => (bool go, float[b, {H}] new, float[b, {H}] y) {{
            one = Gather<axis = 0>(x, k)
            both = Concat<axis = -1>(one, h)
            z = Gemm(both, w, bias)
            new = Tanh(z)
            y = Neg(new)
            go = Identity(on)
        }}>(n, yes, start)
    }}"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(2)
    for name, shape in (("w", (SIZE + H, H)), ("bias", (H,))):
        array = rng.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    p = convert(model, Path(), {}, {})
    q, _ = recognise(p)
    counts = op_counts(q)
    assert counts["RNN"] == 1
    assert "Gather" not in counts
    feeds = {"x": rng.normal(size=(4, 2, SIZE)), "start": rng.normal(size=(2, H))}
    want = p.run(feeds)
    for name, array in q.run(feeds).items():
        np.testing.assert_allclose(array, want[name], 1e-6, 1e-7)


TENSORFLOW = {
    "dynamic_basiclstm": {"LSTM": 1},
    "dynamic_gru": {"GRU": 1},
    "dynamic_lstmcell": {"LSTM": 1},
    "static_basiclstm": {"LSTM": 1},
    "static_gru": {"GRU": 1},
    "static_multi": {"LSTM": 2},
}


@pytest.mark.parametrize("name", TENSORFLOW)
def test_tensorflow(name: str) -> None:
    """Graphs of TensorFlow 1, static and dynamic; the outputs are those of a TensorFlow session."""
    folder = require_models("tf1_rnn_tf221")
    p = convert(onnx.load(folder / f"{name}.onnx"), folder, {}, {})
    q = optimise(p)
    counts = {k: n for k, n in op_counts(q).items() if k in ("LSTM", "GRU", "RNN", "Scan")}
    assert counts == TENSORFLOW[name]
    arrays = [np.load(folder / f"{name}.{what}.npz") for what in ("inputs", "expect")]
    feeds = dict(zip(p.main.inputs, arrays[0].values(), strict=True))
    for got, want in zip(q.run(feeds).values(), arrays[1].values(), strict=True):
        np.testing.assert_allclose(got, want, 1e-5, 1e-6)
