"""Inputs that only feed lookups are found, and those that do more are left as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.bundle.programs import lookup, two_entries
from webconv.ir import dims, ops
from webconv.ir.dtypes import DType, bool_, f32, i32, i64
from webconv.ir.graph import Graph, Program, Value, constant, input
from webconv.ir.op import TensorType
from webconv.passes.vocabulary import retype_lookups

B, T = dims.symbol("batch"), dims.symbol("time")


def table(size: int) -> Value:
    return constant(np.arange(2 * size, dtype=np.float32).reshape(size, 2))


def program(build: Callable[[Value], Value | dict[str, Value]], dtype: DType = f32) -> Program:
    x = input("x", TensorType(dtype, (B, T)))
    built = build(x)
    outputs = built if isinstance(built, dict) else {"y": built}
    return Program({"main": Graph({"x": x}, outputs)})


def find(ids: Value, size: int = 10) -> Value:
    whole = ids if ids.type.dtype.is_integer else ops.Cast(i32)(ids)
    found: Value = ops.Gather(0)(table(size), whole)
    return found


FOUND: list[tuple[str, DType, Callable[[Value], Value | dict[str, Value]], int]] = [
    ("float ids", f32, find, 10),
    ("int64 ids", i64, find, 10),
    ("i32 ids", i32, find, 10),
    ("reshaped", f32, lambda x: find(ops.Reshape((B * T,))(x)), 10),
    ("transposed", i64, lambda x: find(ops.Transpose((1, 0))(x)), 10),
    ("the least of two tables", f32, lambda x: {"a": find(x, 10), "b": find(x, 7)}, 7),
    (
        "with a mask",
        f32,
        lambda x: {"a": find(x), "mask": ops.Not()(ops.Equal()(x, constant(np.float32(0))))},
        10,
    ),
    ("in another order", i64, lambda x: find(ops.Gather(1)(x, constant(np.int32([2, 0])))), 10),
    ("behind a mark", i64, lambda x: find(ops.Concat(1)(constant(np.int64([[0]])), x)), 10),
    ("with a bool cast", f32, lambda x: {"a": find(x), "mask": ops.Cast(bool_)(x)}, 10),
]


@pytest.mark.parametrize(
    ("dtype", "build", "size"), [c[1:] for c in FOUND], ids=[c[0] for c in FOUND]
)
def test_it_is_found(dtype: DType, build: Callable[[Value], Value], size: int) -> None:
    before = program(build, dtype)
    after, vocabularies = retype_lookups(before)
    assert vocabularies == {("main", "x"): size}
    assert after.main.inputs["x"].type == TensorType(i32, (B, T))
    ids = np.array([[0, 3, 6]])
    want = before.run({"x": ids})
    for name, array in after.run({"x": ids}).items():
        np.testing.assert_array_equal(array, want[name])


LEFT: list[tuple[str, Callable[[Value], Value | dict[str, Value]]]] = [
    ("it is computed with", lambda x: {"a": find(x), "b": ops.Add()(x, x)}),
    ("it is an output", lambda x: {"a": find(x), "x": x}),
    ("a carrier is an output", lambda x: {"a": find(x), "x": ops.Cast(i32)(x)}),
    ("it looks nothing up", lambda x: ops.Equal()(x, constant(np.float32(0)))),
    ("it is looked up in", lambda x: ops.Gather(1)(x, constant(np.int32(0)))),
    (
        "a number that is no id is asked for",
        lambda x: {"a": find(x), "mask": ops.Equal()(x, constant(np.float32(-1)))},
    ),
    (
        "the table's size is open",
        lambda x: ops.Gather(0)(ops.Reshape((B * T,))(x), ops.Cast(i32)(x)),
    ),
]


@pytest.mark.parametrize("build", [c[1] for c in LEFT], ids=[c[0] for c in LEFT])
def test_it_is_left(build: Callable[[Value], Value]) -> None:
    before = program(build)
    after, vocabularies = retype_lookups(before)
    assert vocabularies == {}
    assert after.main.inputs["x"].type.dtype == f32


def test_casts_between_the_input_and_the_table_go() -> None:
    after, _ = retype_lookups(lookup())
    (gather,) = (n for n in after.main.nodes if isinstance(n.op, ops.Gather))
    assert gather.inputs[1] is after.main.inputs["ids"]


def test_every_entry_is_looked_at() -> None:
    _, vocabularies = retype_lookups(two_entries())
    assert vocabularies == {("encode", "ids"): 20}
