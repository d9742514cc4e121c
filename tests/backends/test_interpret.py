"""The interpreter on kernels built by hand: what it computes, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from webconv.backends.arithmetic import Arithmetic, Hostile
from webconv.backends.evaluate import CHUNK
from webconv.backends.expr import (
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Var,
    as_index,
    call,
    select,
    where,
)
from webconv.backends.interpret import evaluate_expr, run
from webconv.backends.kernel import Axis, Buffer, Entry, Kernel, Loop, Step, Store
from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim, Symbol
from webconv.ir.dtypes import DType
from webconv.ir.errors import GraphError, ShapeError
from webconv.ir.op import Array

N = dims.symbol("n")


def axis(name: str, extent: Dim) -> Axis:
    """A loop variable in [0, extent)."""
    return Axis(Symbol(name, extent), extent)


def load(buffer: Buffer, *index: Dim, guard: Expr | None = None, ring: Dim | None = None) -> Load:
    """An element of a buffer under its own shape."""
    return Load(buffer, buffer.shape, index, guard, ring, buffer.compute)


def store(
    buffer: Buffer, *index: Dim, value: Expr, guard: Expr | None = None, ring: Dim | None = None
) -> Store:
    """A store under the buffer's own shape."""
    return Store(buffer, buffer.shape, index, value, guard, ring)


def buffer(name: str, *shape: Dim, dtype: DType = dtypes.f32, **more: Any) -> Buffer:
    """A buffer; f32 and temporary unless told otherwise."""
    return Buffer(name, dtype, shape, **more)


def entry(inputs: list[Buffer], outputs: list[Buffer], *steps: Step, **more: Any) -> Entry:
    """An entry whose inputs and outputs have the names and shapes of their buffers."""
    pairs = [{b.name: (b, b.shape) for b in buffers} for buffers in (inputs, outputs)]
    return Entry(
        "main", ("n",), *pairs, more.pop("reads", {}), more.pop("writes", {}), steps, **more
    )


def single(
    inputs: list[Buffer], output: Buffer, axes: list[Axis], value: Expr, guard: Expr | None = None
) -> Entry:
    """One kernel that stores `value` at the point of its axes."""
    index = [a.index for a in axes]
    kernel = Kernel("k", tuple(axes), (store(output, *index, value=value, guard=guard),))
    return entry(inputs, [output], kernel)


def total(symbol: Symbol, extent: Dim, term: Expr, kind: str | None = "sum") -> Fold:
    """The sum of `term`."""
    accumulator = Var(f"a_{symbol.name}", term.type)
    init = Const(0.0, "f32") if term.type == "f32" else Const(0, term.type)
    return Fold(symbol, extent, accumulator, init, accumulator + term, kind, term.type)


def hostile() -> np.random.Generator:
    """A seeded source of trouble."""
    return np.random.default_rng(7)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_map(n: int) -> None:
    x, y, i = buffer("x", N), buffer("y", N), axis("i", N)
    e = single([x], y, [i], load(x, i.index) * 2.0 + call("f32", Index(i.index)))
    data = np.linspace(0, 1, n, dtype=np.float32)
    np.testing.assert_array_equal(
        run(e, {"x": data})["y"], data * 2 + np.arange(n, dtype=np.float32)
    )


def test_scalar() -> None:
    x, y = buffer("x"), buffer("y")
    got = run(single([x], y, [], -load(x)), {"x": np.array(3, np.float32)})["y"]
    assert got.shape == ()
    assert got == -3


def test_grids_beyond_a_chunk() -> None:
    x, y = buffer("x", 3, CHUNK - 1), buffer("y", CHUNK - 1, 3)
    i, j = axis("i", CHUNK - 1), axis("j", 3)
    data = np.arange(3 * (CHUNK - 1), dtype=np.float32).reshape(3, -1)
    got = run(single([x], y, [i, j], load(x, j.index, i.index)), {"x": data})["y"]
    np.testing.assert_array_equal(got, data.T)


@pytest.mark.parametrize("kind", ["sum", None])
def test_matrix_product(kind: str | None) -> None:
    a, b, y = buffer("a", N, 7), buffer("b", 7, 4), buffer("y", N, 4)
    i, j, k = axis("i", N), axis("j", 4), Symbol("k", 7)
    acc = Var("acc", "f32")
    left, right = load(a, i.index, dims.atom(k)), load(b, dims.atom(k), j.index)
    product = Fold(k, 7, acc, Const(0.0, "f32"), call("fma", left, right, acc), kind, "f32")
    e = single([a, b], y, [i, j], product + 1.0)
    random = np.random.default_rng(0)
    left_data, right_data = random.normal(size=(3, 7)), random.normal(size=(7, 4))
    feed = {"a": left_data.astype(np.float32), "b": right_data.astype(np.float32)}
    for source in (None, hostile()):
        got = run(e, feed, hostile=source)["y"]
        np.testing.assert_allclose(got, left_data @ right_data + 1, rtol=1e-5, atol=1e-5)


def test_a_sum_of_a_million_terms_is_fast_and_accurate() -> None:
    x, y, k = buffer("x", N), buffer("y"), Symbol("k", N)
    e = single([x], y, [], total(k, N, load(x, dims.atom(k))))
    data = np.random.default_rng(0).normal(1, 1, 1_000_000).astype(np.float32)
    start = time.perf_counter()
    got = run(e, {"x": data})["y"]
    assert time.perf_counter() - start < 1
    np.testing.assert_allclose(got, data.sum(dtype=np.float64), rtol=1e-6)


def test_blocked_sum_of_a_symbolic_length() -> None:
    x, y = buffer("x", N), buffer("y")
    b, k = Symbol("b", dims.ceildiv(N, 4)), Symbol("k", 4)
    position = dims.atom(b) * 4 + dims.atom(k)
    inner = total(k, dims.minimum(4, N - dims.atom(b) * 4), load(x, position))
    e = single([x], y, [], total(b, dims.ceildiv(N, 4), inner))
    for n in (0, 3, 4, 10):
        assert run(e, {"x": np.arange(n, dtype=np.float32)})["y"] == n * (n - 1) / 2


@pytest.mark.parametrize("kind", ["sum", None])
def test_a_fold_may_be_as_long_as_its_point_says(kind: str | None) -> None:
    x, y, i = buffer("x", N), buffer("y", N), axis("i", N)
    k = Symbol("k", N)
    e = single([x], y, [i], total(k, i.index + 1, load(x, dims.atom(k)), kind))
    data = np.array([3, 1, 4, 1], np.float32)
    np.testing.assert_array_equal(run(e, {"x": data})["y"], data.cumsum())


@pytest.mark.parametrize(("kind", "function"), [("max", "max"), ("min", "min"), ("prod", "mul")])
def test_associative_folds(kind: str, function: str) -> None:
    x, y, i, k = buffer("x", 2, N), buffer("y", 2), axis("i", 2), Symbol("k", N)
    acc = Var("acc", "f32")
    term = load(x, i.index, dims.atom(k))
    e = single(
        [x], y, [i],
        Fold(k, N, acc, Const(1.0, "f32"), call(function, term, acc), kind, "f32"),
    )  # fmt: skip
    data = np.array([[2, -3, 0.5], [0.25, 0.5, 0.75]], np.float32)
    want = {
        "max": data.max(1, initial=1), "min": data.min(1, initial=1), "prod": data.prod(1),
    }[kind]  # fmt: skip
    np.testing.assert_array_equal(run(e, {"x": data})["y"], want)


def test_arg_max_by_a_fold_that_reads_at_its_accumulator() -> None:
    x, y = buffer("x", N), buffer("y", dtype=dtypes.i32)
    k, best = Symbol("k", N), Var("best", "i32")
    better = load(x, dims.atom(k)) > load(x, as_index(best, N))
    value = select(better, Index(dims.atom(k)), best)
    e = single([x], y, [], Fold(k, N, best, Const(0, "i32"), value, None, "i32"))
    assert run(e, {"x": np.array([1, 5, 2, 5], np.float32)})["y"] == 1


def test_recurrence_in_a_ring() -> None:
    x, y = buffer("x", N, 2), buffer("y", N, 2)
    h, t, j = buffer("h", 2, ring=2), Symbol("t", N), axis("j", 2)
    step = dims.atom(t)
    new = load(h, j.index, ring=step) * 0.5 + load(x, step, j.index)
    stores = (
        store(h, j.index, value=new, ring=step + 1),
        store(y, step, j.index, value=new),
    )
    first = Kernel("zero", (j,), (store(h, j.index, value=Const(0.0, "f32"), ring=0),))
    loop = Loop(t, N, (Kernel("step", (j,), stores),))
    data = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    want, state = [], np.zeros(2, np.float32)
    for row in data:
        state = state * np.float32(0.5) + row
        want.append(state)
    got = run(entry([x], [y], first, loop), {"x": data})["y"]
    np.testing.assert_array_equal(got, np.array(want))


def test_loops_nest() -> None:
    y = buffer("y", 2, 3)
    a, b = Symbol("a", 2), Symbol("b", 3)
    value = Index(dims.atom(a) * 10 + dims.atom(b))
    kernel = Kernel("k", (), (store(y, dims.atom(a), dims.atom(b), value=call("f32", value)),))
    e = entry([], [y], Loop(a, 2, (Loop(b, 3, (kernel,)),)))
    np.testing.assert_array_equal(run(e, {})["y"], [[0, 1, 2], [10, 11, 12]])


@pytest.mark.parametrize("bad", [False, True])
def test_a_false_guard_gives_zero_wherever_the_index_points(bad: bool) -> None:
    x, y, i = buffer("x", N), buffer("y", N + 2), axis("i", N + 2)
    inner = i.index - 1
    e = single([x], y, [i], load(x, inner, guard=where(inner, N)))
    got = run(e, {"x": np.array([np.inf, 2], np.float32)}, hostile=hostile() if bad else None)["y"]
    np.testing.assert_array_equal(got, [0, np.inf, 2, 0])


def test_gather() -> None:
    x, ids, y = buffer("x", 4, 2), buffer("ids", N, dtype=dtypes.i64), buffer("y", N, 2)
    i, j = axis("i", N), axis("j", 2)
    row = as_index(call("i32", load(ids, i.index)), 4)
    e = single([x, ids], y, [i, j], load(x, row, j.index))
    data = np.arange(8, dtype=np.float32).reshape(4, 2)
    for gpu in (False, True):
        got = run(e, {"x": data, "ids": np.array([3, 0])}, gpu=gpu)["y"]
        np.testing.assert_array_equal(got, data[[3, 0]])


@pytest.mark.parametrize(
    ("dtype", "values", "want"),
    [
        (dtypes.i8, [127, 128, -129], [127, -128, 127]),
        (dtypes.u8, [255, 256, -1], [255, 0, 255]),
        (dtypes.i16, [32768], [-32768]),
        (dtypes.u16, [-1], [65535]),
        (dtypes.f16, [1 + 2**-11, 65520.0, 1e-9], [1, np.inf, 0]),
        (dtypes.f64, [0.1], [np.float32(0.1)]),
    ],
    ids=lambda v: str(v),
)
def test_values_are_stored_as_their_dtype(dtype: DType, values: list[Any], want: list[Any]) -> None:
    source = dtypes.f32 if dtype.is_float else dtypes.i32
    x, y, i = buffer("x", N, dtype=source), buffer("y", N, dtype=dtype), axis("i", N)
    got = run(single([x], y, [i], load(x, i.index)), {"x": np.array(values)})["y"]
    assert got.dtype == dtype.numpy
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("gpu", "want"), [(False, 2**31), (True, -(2**31))])
def test_i64_is_computed_as_i32_on_gpus(gpu: bool, want: int) -> None:
    x, y = buffer("x", dtype=dtypes.i64), buffer("y", dtype=dtypes.i64)
    e = single([x], y, [], load(x) + 1)
    assert run(e, {"x": np.array(2**31 - 1)}, gpu=gpu)["y"] == want


def test_integers_wrap_and_shift_by_their_type() -> None:
    i, u = Var("i", "i32"), Var("u", "u32")
    env = {"i": np.array([-8, 2**31 - 1], np.int32), "u": np.array([2**32 - 8, 1], np.uint32)}
    np.testing.assert_array_equal(evaluate_expr(i + 1, env), [-7, -(2**31)])
    np.testing.assert_array_equal(evaluate_expr(call("shr", i, 1), env), [-4, 2**30 - 1])
    np.testing.assert_array_equal(evaluate_expr(call("shr", u, 1), env), [2**31 - 4, 0])
    np.testing.assert_array_equal(evaluate_expr(call("div", i, 3), env), [-2, (2**31 - 1) // 3])
    np.testing.assert_array_equal(evaluate_expr(call("rem", i, 3), env), [-2, 1])


def test_states_are_committed_at_the_end() -> None:
    old, new = buffer("h", 2, kind="state"), buffer("h'", 2, kind="state")
    y, i = buffer("y", 2), axis("i", 2)
    add = Kernel("add", (i,), (store(new, i.index, value=load(old, i.index) + 1.0),))
    copy = Kernel("copy", (i,), (store(y, i.index, value=load(old, i.index)),))
    e = entry([], [y], add, copy, reads={"h": old}, writes={"h": new})
    states: dict[str, Array] = {}
    for k in range(3):
        np.testing.assert_array_equal(run(e, {}, states)["y"], [k, k])
    np.testing.assert_array_equal(states["h"], [3, 3])


def test_a_failed_run_leaves_states_alone() -> None:
    old, new = buffer("h", 2, kind="state"), buffer("h'", 2, kind="state")
    half = Kernel("half", (), (store(new, 0, value=load(old, 0) + 1.0),))
    states = {"h": np.zeros(2, np.float32)}
    with pytest.raises(GraphError, match="h': not all elements of"):
        run(entry([], [], half, reads={"h": old}, writes={"h": new}), {}, states)
    np.testing.assert_array_equal(states["h"], [0, 0])


def test_a_kernel_may_update_in_place() -> None:
    x, y, i = buffer("x", N), buffer("y", N), axis("i", N)
    copy = Kernel("copy", (i,), (store(y, i.index, value=load(x, i.index)),))
    twice = Kernel("twice", (i,), (store(y, i.index, value=load(y, i.index) * 2.0),))
    got = run(entry([x], [y], copy, twice), {"x": np.arange(3, dtype=np.float32)})["y"]
    np.testing.assert_array_equal(got, [0, 2, 4])


def test_weights_and_views() -> None:
    w = buffer("w", 6, kind="weight", data=np.arange(6, dtype=np.float32))
    y, i, j = buffer("y", 3, 2), axis("i", 3), axis("j", 2)
    value = Load(w, (2, 3), (j.index, i.index), None, None, "f32")
    got = run(single([], y, [i, j], value), {})["y"]
    np.testing.assert_array_equal(got, np.arange(6).reshape(2, 3).T)


def _bad_kernels() -> dict[str, tuple[str, Callable[[], Entry]]]:
    """What is wrong: (message, an entry that does it)."""
    x, y, z, i = buffer("x", N), buffer("y", N), buffer("z", N), axis("i", N)
    grid, cells, j = buffer("x", N, 3), buffer("y", N, 3), axis("j", 3)
    own, zero = load(x, i.index), Const(0, "i32")

    def one(value: Expr, *index: Dim) -> Entry:
        kernel = Kernel("k", (i,), (store(y, *(index or (i.index,)), value=value),))
        return entry([x], [y], kernel)

    shifted = Kernel("k", (i,), (store(y, i.index, value=load(y, N - 1 - i.index)),))
    copied = Kernel("c", (i,), (store(y, i.index, value=own),))
    first = Kernel("f", (), (store(y, 0, value=load(x, 0)),))
    twice = (store(y, i.index, value=own), store(y, 0, value=own))
    return {
        "load out of bounds": ("x: index i \\+ 1 is not in", lambda: one(load(x, i.index + 1))),
        "load beyond a row": (
            "x: index j \\+ 1 is not in \\[0, 3\\)",
            lambda: single([grid], cells, [i, j], load(grid, i.index, j.index + 1)),
        ),
        "store out of bounds": ("y: index i \\+ 1", lambda: one(own, i.index + 1)),
        "collision": ("stores to y collide", lambda: one(own, 0)),
        "two stores": ("stores to y collide", lambda: entry([x], [y], Kernel("k", (i,), twice))),
        "unwritten load": ("z is read where it is not written", lambda: one(load(z, i.index))),
        "unwritten output": ("y: not all elements", lambda: entry([x], [y], first)),
        "race": ("read by one point and stored", lambda: entry([x], [y], copied, shifted)),
        "wrong type": ("y is f32, not i32", lambda: one(Index(i.index))),
        "trap": ("div: x / 0", lambda: one(call("f32", call("div", Index(i.index), zero)))),
        "shift": (
            "a shift must be at least 0",
            lambda: one(call("f32", call("shl", Index(i.index), 32))),
        ),
        "unknown function": ("no function f", lambda: one(Call("f", (own,), "f32"))),
        "mixed types": ("add\\(f32, i32\\)", lambda: one(Call("add", (own, zero), "f32"))),
        "unknown variable": ("q has no value", lambda: one(Var("q", "f32"))),
    }


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("name", _bad_kernels())
def test_bugs_are_found(name: str, bad: bool) -> None:
    message, build = _bad_kernels()[name]
    e = build()
    shape = (4, 3)[: len(e.inputs["x"][1])]
    with pytest.raises(GraphError, match=message):
        run(e, {"x": np.ones(shape, np.float32)}, hostile=hostile() if bad else None)


def test_inputs_that_misfit_are_refused() -> None:
    a, b, y, i = buffer("a", N), buffer("b", N, 2), buffer("y", N), axis("i", N)
    e = single([a, b], y, [i], load(a, i.index))
    fine = {"a": np.zeros(3), "b": np.zeros((3, 2))}
    run(e, fine)
    with pytest.raises(ShapeError, match="input 'b' is missing; given are a"):
        run(e, {"a": np.zeros(3)})
    with pytest.raises(ShapeError, match="input 'a' must have 1 axes"):
        run(e, fine | {"a": np.zeros((3, 1))})
    with pytest.raises(ShapeError, match=r"input 'b' must have shape \(3, 2\), not \(4, 2\)"):
        run(e, fine | {"b": np.zeros((4, 2))})
    guarded = entry([a], [], guards=((N, 4),))
    with pytest.raises(ShapeError, match="n must equal 4"):
        run(guarded, {"a": np.zeros(3)})


def test_hostile_stays_within_the_specification() -> None:
    x, y = Var("x", "f32"), Var("y", "f32")
    random = np.random.default_rng(0)
    env = {"x": random.normal(size=20000).astype(np.float32)}
    env["y"] = random.uniform(1, 2, 20000).astype(np.float32)
    for value, ulp in ((x / y, 3.1), (call("sqrt", y), 3.1), (x + y, 1), (x * y, 1)):
        exact, got = evaluate_expr(value, env), evaluate_expr(value, env, Hostile(hostile()))
        error = np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact))
        assert error.max() <= ulp
        assert (error > 0).any()


def test_hostile_takes_what_is_not_specified() -> None:
    x, y = Var("x", "f32"), Var("y", "f32")
    nan, tiny = np.full(1000, np.nan, np.float32), np.full(1000, 1e-40, np.float32)
    one = np.ones(1000, np.float32)

    def values(e: Expr, a: Array, b: Array = one) -> set[Any]:
        got = evaluate_expr(e, {"x": a, "y": b}, Hostile(hostile()))
        return set(np.where(np.isnan(got), -99, got).tolist())

    assert values(call("ne", x, x), nan) == {True, False}
    assert values(call("max", x, y), nan) == {-99, 1}
    assert len(values(x * 1e30, one * 1e30)) > 10
    assert values(x + 0.0, tiny) == {0, float(np.float32(1e-40))}
    assert values(call("i32", x), one * 5) == {5}
    assert len(values(call("i32", x), one * 1e20)) > 10


def test_fma_is_fused_if_asked() -> None:
    x = Var("x", "f32")
    square = call("fma", x, x, -1.0)
    env = {"x": np.float32(1 + 2**-12)}
    assert evaluate_expr(square, env) == np.float32(2**-11)
    assert evaluate_expr(square, env, Arithmetic(fused=True)) == np.float32(2**-11 + 2**-24)
