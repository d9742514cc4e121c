"""Small programs that the tests of bundles and commands share."""

from __future__ import annotations

import numpy as np

from webconv.ir import dims, ops
from webconv.ir.dtypes import f32, i32, i64
from webconv.ir.graph import Graph, Program, State, Value, constant, input
from webconv.ir.lists import Lists
from webconv.ir.op import TensorType

B, T = dims.symbol("batch"), dims.symbol("time")

HOSTILE = (
    "*/alert(1)//",
    "</script><script>alert(1)</script>",
    "__proto__",
    "a\nname",
    "\u2028",
    "${alert(1)}`'\"\\",
    "<!--",
    "../../x",
)


def weights(seed: int, *shape: int) -> Value:
    array = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[0])
    return constant(array.astype(np.float32))


def dense(name: str = "dense", inputs: int = 5, units: int = 3) -> Program:
    """softmax(x @ w + b)."""
    x = input("x", TensorType(f32, (B, inputs)))
    y = ops.MatMul()(x, weights(0, inputs, units), name="dense")
    y = ops.Softmax()(ops.Add()(y, weights(1, units)), name="softmax")
    return Program({"main": Graph({"x": x}, {"probs": y})}, name=name)


def lookup() -> Program:
    """Ids as a Keras file has them, in float32, with a mask of their zeros."""
    ids = input("ids", TensorType(f32, (B, T)))
    table = weights(2, 50, 8)
    found = ops.Gather(0)(table, ops.Cast(i32)(ids), name="embedding")
    mask = ops.Not()(ops.Equal()(ids, constant(np.float32(0))))
    kept = ops.Where()(ops.Reshape((B, T, 1))(mask), found, constant(np.float32(0)))
    total = ops.ReduceSum((1,))(kept, name="sum")
    return Program({"main": Graph({"ids": ids}, {"total": total})}, name="lookup")


def counter() -> Program:
    """A state per row of the batch, that starts at 0.5 and to which every run adds x."""
    x, h = input("x", TensorType(f32, (B, 4))), input("h", TensorType(f32, (B, 4)))
    total = ops.Add()(x, h, name="total")
    doubled = ops.Mul()(total, constant(np.float32(2)), name="doubled")
    state = State("h", TensorType(f32, (B, 4)), np.full((1, 4), 0.5, np.float32))
    graph = Graph({"x": x}, {"doubled": doubled}, {"h": h}, {"h": total})
    return Program({"main": graph}, (state,), "counter")


def beside_states() -> Program:
    """`main` adds x to two states; `other` has none, and needs the memory beside them."""
    base = counter()
    g, wide = input("g", TensorType(f32, (B, 4))), input("wide", TensorType(f32, (B, 64)))
    total = ops.Add()(base.main.inputs["x"], g, name="g_total")
    tripled = ops.Mul()(total, constant(np.float32(3)), name="tripled")
    main = Graph(
        base.main.inputs,
        {**base.main.outputs, "tripled": tripled},
        {**base.main.reads, "g": g},
        {**base.main.writes, "g": total},
    )
    y = wide
    for k in range(3):
        y = ops.Tanh()(ops.MatMul()(y, weights(k, 64, 64)), name=f"tanh_{k}")
    states = (*base.states, State("g", TensorType(f32, (B, 4))))
    return Program({"main": main, "other": Graph({"wide": wide}, {"y": y})}, states, "beside")


def hostile() -> Program:
    """Every name that a model has is one of HOSTILE."""
    inputs = {n: input(n, TensorType(f32, (B, 2))) for n in HOSTILE}
    total = None
    for name, value in inputs.items():
        total = value if total is None else ops.Add()(total, value, name=name)
    outputs = {n: ops.Mul()(total, constant(np.float32(k)), name=n) for k, n in enumerate(HOSTILE)}
    return Program({HOSTILE[0]: Graph(inputs, outputs)}, name=HOSTILE[1])


def two_entries() -> Program:
    """`encode` and `main`, which share a table of int64 ids."""
    ids = input("ids", TensorType(i64, (B,)))
    found = ops.Gather(0)(weights(3, 20, 4), ids, name="table")
    x = input("x", TensorType(f32, (B, 4)))
    y = ops.Tanh()(x, name="tanh")
    entries = {"encode": Graph({"ids": ids}, {"row": found}), "main": Graph({"x": x}, {"y": y})}
    return Program(entries, name="two")


def listed() -> Program:
    """Sequences of ids, scaled rows of a table for each, and how long the sequences are."""
    ids = input("words", TensorType(i32, (dims.symbol("words_total"),)))
    lengths = input("words_lengths", TensorType(i32, (dims.symbol("words_count"),)))
    scale = input("scale", TensorType(f32, ()))
    rows = ops.Mul()(ops.Gather(0)(weights(4, 10, 3), ids, name="table"), scale, name="scaled")
    ends = ops.Mul()(lengths, constant(2), name="double")
    inputs = {"words": ids, "words_lengths": lengths, "scale": scale}
    lists = Lists({"words": "words_lengths"}, {"rows": "words_lengths"})
    main = Graph(inputs, {"rows": rows, "ends": ends}, lists=lists)
    return Program({"main": main}, name="listed")


def paired() -> Program:
    """Sequences of ids and of weights, as long as each other: rows of a table times weights."""
    total = dims.symbol("words_total")
    ids = input("words", TensorType(i32, (total,)))
    lengths = input("words_lengths", TensorType(i32, (dims.symbol("words_count"),)))
    shares = input("shares", TensorType(f32, (total, 1)))
    rows = ops.Mul()(ops.Gather(0)(weights(4, 10, 3), ids), shares)
    inputs = {"words": ids, "words_lengths": lengths, "shares": shares}
    own = {"words": "words_lengths", "shares": "words_lengths"}
    main = Graph(inputs, {"rows": rows}, lists=Lists(own, {"rows": "words_lengths"}))
    return Program({"main": main}, name="paired")
