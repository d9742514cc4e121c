"""Models whose control flow or sizes only a run can tell, with what they must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser

from webconv.frontends.onnx.convert import convert
from webconv.ir.graph import Program

Feeds = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A model in ONNX's text form, runs of it, and the same in NumPy."""

    name: str
    text: str
    runs: tuple[Feeds, ...]
    numpy: Callable[..., dict[str, Any]]

    def program(self) -> Program:
        """The model converted."""
        head = '<ir_version: 10, opset_import: ["" : 21]>\n'
        return convert(onnx.parser.parse_model(head + self.text), Path(), {}, {})


def f32(*values: float) -> Any:
    """A vector."""
    return np.array(values, np.float32)


def i64(*values: int) -> Any:
    """A vector."""
    return np.array(values, np.int64)


def _branch(x: Any) -> dict[str, Any]:
    return {"y": x * 2 + 1 if x.sum() > 0 else x - 1}


def _rows(x: Any) -> dict[str, Any]:
    return {"y": np.concatenate([x, x]) if x.sum() > 0 else x[:1]}


def _doubled(x: Any, n: Any) -> dict[str, Any]:
    steps = []
    for k in range(int(n)):
        x = x * 2 + k
        steps.append(x)
    return {"last": x, "all": np.array(steps, np.float32).reshape(int(n), 2)}


def _until(x: Any) -> dict[str, Any]:
    count = 0
    while x.sum() < 100:
        x, count = x + x, count + 1
    return {"y": x, "count": np.int64(count)}


def _grown(x: Any, n: Any) -> dict[str, Any]:
    for _ in range(int(n)):
        x = np.concatenate([x, x[:1] + 1])
    return {"y": x}


MODELS = (
    Model(
        "a branch on data",
        """agraph (float[n] x) => (float[n] y) {
            zero = Constant<value_float = 0.0>()
            total = ReduceSum<keepdims = 0>(x)
            positive = Greater(total, zero)
            y = If(positive)<
                then_branch = then () => (float[n] a) {
                    two = Constant<value_float = 2.0>()
                    one = Constant<value_float = 1.0>()
                    p = Mul(x, two)
                    a = Add(p, one)
                },
                else_branch = otherwise () => (float[n] b) {
                    one = Constant<value_float = 1.0>()
                    b = Sub(x, one)
                }
            >
        }""",
        ({"x": f32(1, 2, 3)}, {"x": f32(-1, -2)}),
        _branch,
    ),
    Model(
        "branches of different sizes, and work after them",
        """agraph (float[n, 2] x) => (float[m, 2] y) {
            zero = Constant<value_float = 0.0>()
            half = Constant<value_float = 0.5>()
            total = ReduceSum<keepdims = 0>(x)
            positive = Greater(total, zero)
            z = If(positive)<
                then_branch = then () => (float[a, 2] p) { p = Concat<axis = 0>(x, x) },
                else_branch = otherwise () => (float[b, 2] q) {
                    from = Constant<value_ints = [0]>()
                    to = Constant<value_ints = [1]>()
                    q = Slice(x, from, to)
                }
            >
            h = Mul(z, half)
            y = Add(h, h)
        }""",
        ({"x": np.ones((3, 2), np.float32)}, {"x": -np.ones((4, 2), np.float32)}),
        _rows,
    ),
    Model(
        "a branch on an input's value",
        """agraph (float[n] x, int64 rate) => (float[n] y) {
            fast = Constant<value_int = 16000>()
            same = Equal(rate, fast)
            y = If(same)<
                then_branch = then () => (float[n] a) { a = Neg(x) },
                else_branch = otherwise () => (float[n] b) { b = Abs(x) }
            >
        }""",
        (
            {"x": f32(1, -2, 3), "rate": np.int64(16000)},
            {"x": f32(1, -2, 3), "rate": np.int64(8000)},
        ),
        lambda x, rate: {"y": -x if rate == 16000 else np.abs(x)},
    ),
    Model(
        "a loop with a trip count from an input",
        """agraph (float[2] x, int64 n) => (float[2] last, float[k, 2] all) {
            yes = Constant<value = bool {1}>()
            last, all = Loop(n, yes, x)<
                body = body (int64 i, bool go, float[2] c) => (bool on, float[2] d, float[2] e) {
                    on = Identity(go)
                    two = Constant<value_float = 2.0>()
                    p = Mul(c, two)
                    k = Cast<to = 1>(i)
                    d = Add(p, k)
                    e = Identity(d)
                }
            >
        }""",
        ({"x": f32(1, 2), "n": np.int64(4)}, {"x": f32(1, 2), "n": np.int64(0)}),
        _doubled,
    ),
    Model(
        "a loop until data says so",
        """agraph (float[n] x) => (float[n] y, int64 count) {
            yes = Constant<value = bool {1}>()
            zero = Constant<value_int = 0>()
            y, count = Loop(, yes, x, zero)<
                body = body (int64 i, bool go, float[n] c, int64 k)
                    => (bool on, float[n] d, int64 l) {
                    one = Constant<value_int = 1>()
                    most = Constant<value_float = 100.0>()
                    d = Add(c, c)
                    l = Add(k, one)
                    total = ReduceSum<keepdims = 0>(d)
                    on = Less(total, most)
                }
            >
        }""",
        ({"x": f32(1, 2, 3)}, {"x": f32(40)}),
        _until,
    ),
    Model(
        "a loop that carries what grows",
        """agraph (float[m] x, int64 n) => (float[k] y) {
            yes = Constant<value = bool {1}>()
            y = Loop(n, yes, x)<
                body = body (int64 i, bool go, float[a] c) => (bool on, float[b] d) {
                    on = Identity(go)
                    one = Constant<value_float = 1.0>()
                    from = Constant<value_ints = [0]>()
                    to = Constant<value_ints = [1]>()
                    first = Slice(c, from, to)
                    next = Add(first, one)
                    d = Concat<axis = 0>(c, next)
                }
            >
        }""",
        ({"x": f32(5, 6), "n": np.int64(3)}, {"x": f32(7), "n": np.int64(1)}),
        _grown,
    ),
    Model(
        "sizes computed from data",
        """agraph (float[n] x) => (float[m] y, float[a, b] z) {
            least = Constant<value_ints = [1]>()
            zero = Constant<value_ints = [0]>()
            top = ReduceMax<keepdims = 1>(x)
            whole = Cast<to = 7>(top)
            y = Slice(x, zero, whole)
            shape = Concat<axis = 0>(whole, least)
            one = Constant<value_floats = [3.0]>()
            z = Expand(one, shape)
        }""",
        ({"x": f32(1, 2, 0.5, 0)}, {"x": f32(3, 1, 1)}),
        lambda x: {"y": x[: int(x.max())], "z": np.full((int(x.max()), 1), 3, np.float32)},
    ),
    Model(
        "a range to a number out of data",
        """agraph (float[n] x) => (float[m] y) {
            zero = Constant<value_float = 0.0>()
            one = Constant<value_float = 1.0>()
            total = ReduceSum<keepdims = 0>(x)
            r = Range(zero, total, one)
            y = Mul(r, r)
        }""",
        ({"x": f32(1, 2)}, {"x": f32(0.5)}),
        lambda x: {"y": np.arange(0, x.sum(), 1, np.float32) ** 2},
    ),
    Model(
        "what is not zero",
        """agraph (float[n, m] x) => (int64[2, k] y, float[k] z) {
            y = NonZero(x)
            at = Transpose(y)
            z = GatherND(x, at)
        }""",
        ({"x": np.array([[0, 2, 0], [3, 0, 4]], np.float32)}, {"x": np.zeros((2, 2), np.float32)}),
        lambda x: {"y": np.array(np.nonzero(x)), "z": x[np.nonzero(x)]},
    ),
    Model(
        "a branch in a loop",
        """agraph (float[n] x, int64 k) => (float[n] y) {
            yes = Constant<value = bool {1}>()
            y = Loop(k, yes, x)<
                body = body (int64 i, bool go, float[n] c) => (bool on, float[n] d) {
                    on = Identity(go)
                    ten = Constant<value_float = 10.0>()
                    top = ReduceMax<keepdims = 0>(c)
                    small = Less(top, ten)
                    d = If(small)<
                        then_branch = then () => (float[n] a) { a = Add(c, x) },
                        else_branch = otherwise () => (float[n] b) { b = Neg(c) }
                    >
                }
            >
        }""",
        ({"x": f32(4, 1), "k": np.int64(5)}, {"x": f32(20), "k": np.int64(2)}),
        lambda x, k: {"y": _nested(x, int(k))},
    ),
)


def _nested(x: Any, k: int) -> Any:
    c = x
    for _ in range(k):
        c = c + x if c.max() < 10 else -c
    return c
