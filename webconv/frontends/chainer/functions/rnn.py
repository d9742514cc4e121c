"""chainer.functions.rnn: single cells, whose gates lie side by side for each unit."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.chainer.interleaved import columns
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span
from webconv.ir import ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value


def gates(x: Value) -> list[Value]:
    """`x[:, k::4]` for each gate k; axes after the second stay."""
    wide, count = x.shape[1], 4
    if not isinstance(wide, int) or wide % count:
        raise ShapeError(f"{x.type} must have {count} gates along its second axis")
    if x.type.rank == 2:
        return [columns(x, k, wide // count, count) for k in range(count)]
    span = [Span(k, wide // count, count) for k in range(count)]
    return [common.slice_axes(x, {1: s}) for s in span]


@function("LSTM")
def lstm(call: Applied, c: Value, x: Value) -> tuple[Value, Value]:
    """The new c and h from the gates a, i, f, o; rows of c beyond those of x stay."""
    n, rest = x.shape[0], c.shape[0] - x.shape[0]
    old = c if rest == 0 else common.slice_axis(c, 0, 0, n)
    a, i, f, o = gates(x)
    a, i, f, o = ops.Tanh()(a), ops.Sigmoid()(i), ops.Sigmoid()(f), ops.Sigmoid()(o)
    new = ops.Add()(ops.Mul()(f, old), ops.Mul()(i, a))
    h = ops.Mul()(o, ops.Tanh()(new))
    if rest != 0:
        new = ops.Concat(0)(new, common.slice_axis(c, 0, n))
    return new, h


@function("SLSTM")
def slstm(call: Applied, c1: Value, c2: Value, x1: Value, x2: Value) -> tuple[Value, Value]:
    """Two LSTMs that join their cells."""
    a1, i1, f1, o1 = gates(x1)
    a2, i2, f2, o2 = gates(x2)
    total = ops.Add()(_entry(a1, i1), _entry(a2, i2))
    total = ops.Add()(total, ops.Mul()(ops.Sigmoid()(f1), c1))
    total = ops.Add()(total, ops.Mul()(ops.Sigmoid()(f2), c2))
    o = ops.Sigmoid()(ops.Add()(o1, o2))
    return total, ops.Mul()(o, ops.Tanh()(total))


def _entry(a: Value, i: Value) -> Value:
    return ops.Mul()(ops.Tanh()(a), ops.Sigmoid()(i))


@function("TreeLSTM")
def tree_lstm(call: Applied, *inputs: Value) -> tuple[Value, Value]:
    """A cell of several children: gates a, i, o, and f for each child."""
    *children, x = inputs
    count = 3 + len(children)
    size = x.shape[1]
    if not isinstance(size, int) or size % count:
        raise ShapeError(f"{x.type} must have {count} gates along its second axis")
    # Here, unlike in the other cells, the gates lie one after another.
    a, i, o, *forget = common.split(x, [size // count] * count, 1)
    total = _entry(a, i)
    for f, c in zip(forget, children, strict=True):
        total = ops.Add()(total, ops.Mul()(ops.Sigmoid()(f), c))
    return total, ops.Mul()(ops.Sigmoid()(o), ops.Tanh()(total))
