"""Embeddings and one-hot vectors in front of products become tables of their results."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import Array, given, op_counts, program, run_wasm, weight
from tests.passes.rules import Fires, Stays
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Program, Value, constant
from webconv.passes import optimise
from webconv.passes import tables as t

B, T = symbol("n"), symbol("t")
Gather, MatMul, Mul, LSTM = ops.Gather(0), ops.MatMul(), ops.Mul(), ops.LSTM()
elements, product, gates = t.table_rules()
_, large_product, large_gates = t.table_rules(1 << 20)
ids = given("ids", B, 5, dtype=dtypes.i32)
table = weight(9, 6)
rows = Gather(table, ids)
swap = ops.Transpose((1, 0, 2))


def lstm(x: Value, size: int, hidden: int = 1, bias: bool = True) -> Value:
    w, r = weight(1, size, 4, hidden), weight(1, hidden, 4, hidden)
    return LSTM(x, w, r, weight(1, 4, hidden) if bias else None)[0]


def one_hot(ids: Value, depth: int, counting: bool = False) -> Value:
    wide = ops.Reshape((*ids.shape, 1))(ids)
    classes = ops.Iota(depth)() if counting else constant(np.arange(depth).astype(np.int32))
    return ops.Cast(dtypes.f32)(ops.Equal()(ops.Expand((*ids.shape, depth))(wide), classes))


CASES = [
    Fires(elements, Mul(rows, weight(6)), "Gather", False),
    Fires(elements, ops.Relu()(rows), "Gather"),
    Fires(elements, ops.Cast(dtypes.i32)(rows), "Gather"),
    Stays(elements, Mul(rows, weight(5, 6))),
    Stays(elements, Mul(Gather(table, given("v", 9, dtype=dtypes.i32)), weight(9, 6))),
    Stays(elements, ops.Relu()(rows), "the table or its rows are read elsewhere", rows),
    Stays(elements, ops.Relu()(ops.Gather(1)(table, ids))),
    Fires(product, MatMul(rows, weight(6, 3)), "Gather", False),
    Fires(large_product, MatMul(rows, weight(6, 60)), "Gather", False),
    Fires(
        product,
        MatMul(ops.Reshape((B, 5, 6))(Gather(table, ops.Reshape((B * 5,))(ids))), weight(6, 3)),
        "Gather Reshape Reshape",
        False,
    ),
    Stays(product, MatMul(rows, weight(6, 60)), "a table of 2160 bytes would replace 1656 bytes"),
    Stays(
        product,
        MatMul(rows, weight(6, 3)),
        "a table of 108 bytes would replace 72 bytes",
        also_read=rows,
    ),
    Stays(product, MatMul(ops.Transpose((0, 2, 1))(rows), weight(5, 3))),
    Fires(gates, lstm(rows, 6), "Gather LSTM", False),
    Fires(gates, lstm(swap(rows), 6, bias=False), "Gather LSTM Transpose", False),
    Fires(large_gates, lstm(swap(rows), 6, 7), "Gather LSTM Transpose", False),
    Stays(gates, lstm(rows, 6, 7), "a table of 1008 bytes would replace 888 bytes"),
    Stays(gates, lstm(ops.Relu()(rows), 6)),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


def check_all_ways(before: Program, after: Program, tokens: Array) -> None:
    want = before.run({"ids": tokens})["y0"]
    np.testing.assert_allclose(after.run({"ids": tokens})["y0"], want, 1e-5, 1e-6)
    np.testing.assert_allclose(run_wasm(after, {"ids": tokens})["y0"], want, 1e-4, 1e-5)


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.parametrize("cell", [ops.LSTM, ops.GRU, ops.RNN])
def test_an_embedding_becomes_a_table_of_gates(cell: type[ops.Recurrent], direction: str) -> None:
    op = cell(direction)
    d, g, h = op.directions, cell.gates, 5
    weights = weight(d, 6, g, h), weight(d, h, g, h), weight(d, g, h)
    y, *_ = op(swap(rows), *weights)
    before = program(ops.Relu()(y))
    after = optimise(before, fold_tables_bytes=1 << 20)
    assert op_counts(after)["Gather"] == 1
    (made,) = (n for n in after.main.nodes if isinstance(n.op, cell))
    assert made.inputs[1] is None
    assert made.inputs[0] is not None
    assert made.inputs[0].shape == (5, B, d * g * h)
    check_all_ways(before, after, np.array([[0, 8, 3, 3, -1], [1, 2, 99, 4, 5]], np.int32))


@pytest.mark.parametrize("counting", [False, True])
@pytest.mark.parametrize("dtype", [dtypes.i32, dtypes.u8])
def test_one_hot_vectors_become_lookups(counting: bool, dtype: dtypes.DType) -> None:
    tokens = given("ids", B, 5, dtype=dtype)
    wide = ops.Cast(dtypes.i32)(tokens) if counting else tokens
    if counting:
        x = one_hot(wide, 7, counting)
    else:
        classes = constant(np.arange(7).astype(dtype.numpy))
        x = ops.Cast(dtypes.f32)(ops.Equal()(ops.Reshape((B, 5, 1))(tokens), classes))
    before = program(lstm(swap(x), 7, 4))
    after = optimise(before)
    assert "Equal" not in op_counts(after)
    assert op_counts(after)["Gather"] == 1
    # An id that is out of range is a vector of zeros.
    outside = [255, 100] if dtype == dtypes.u8 else [-1, -7]
    check_all_ways(before, after, np.array([[0, 6, 3, 7, 99], [1, *outside, 8, 2]], dtype.numpy))


def test_a_table_that_would_grow_is_refused_with_its_size() -> None:
    lines: list[str] = []
    before = program(lstm(swap(rows), 6, 7))
    after = optimise(before, explain=lines.append)
    assert op_counts(after) == op_counts(before)
    assert lines == ["LSTM: look_up_gates: a table of 1008 bytes would replace 888 bytes"]


def test_two_directions_apart_both_get_tables_if_that_is_allowed() -> None:
    forward, backward = (
        lstm(swap(rows), 6),
        ops.LSTM("reverse")(swap(rows), weight(1, 6, 4, 1, seed=1), weight(1, 1, 4, 1))[0],
    )
    before = program(ops.Concat(3)(forward, backward))
    after = optimise(before, fold_tables_bytes=200)
    assert op_counts(after)["Gather"] == 2
    check_all_ways(before, after, np.array([[0, 8, 3, 3, 1]], np.int32))
