"""Stacks of recurrent layers over sequences of several lengths, as our recurrent operators.

T time, B sequences, I input size, H hidden size, D directions, G gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.joining import padded
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value

# For each kind, which of Chainer's matrices are our gates, in order: of the input, of h.
GATES = {
    "lstm": ((0, 1, 2, 3), (4, 5, 6, 7)),  # i, f, g, o in both
    "gru": ((1, 0, 2), (4, 3, 5)),  # Chainer has r, z, n; ours are z, r, n
    "rnn_tanh": ((0,), (1,)),
    "rnn_relu": ((0,), (1,)),
}


@dataclass(frozen=True)
class Sequences:
    """Sequences `[T, B, I]`, filled up; `mask [T, B]` is True where there is something."""

    padded: Value
    mask: Value | None
    lengths: Sequence[Dim]


@function("NStep")
def n_step(call: Applied, *inputs: Value) -> list[Value]:
    """Final states `[layers * D, B, H]`, then the sequences of the last layer."""
    states, rest = split_states(call.given, inputs)
    xs, weights = rest[: call.count], rest[call.count :]
    sequences = of_steps(xs) if call.transposed else of_sequences(xs)
    y, finals = layers(call, sequences.padded, sequences.mask, states, weights)
    axis = 0 if call.transposed else 1
    outputs = [common.at(y, axis, k) for k in range(call.count)]
    cut = zip(outputs, sequences.lengths, strict=True)
    return [*finals, *(common.slice_axes(v, {0: Span(0, n, 1)}) for v, n in cut)]


def split_states(
    given: Sequence[bool], inputs: Sequence[Value]
) -> tuple[list[Value | None], list[Value]]:
    """The states to start from, None for those that are not given, and the other inputs."""
    left = iter(inputs)
    return [next(left) if is_given else None for is_given in given], [*left]


def of_sequences(xs: Sequence[Value]) -> Sequences:
    """Sequences `[L, I]` of each length L."""
    lengths = [x.shape[0] for x in xs]
    longest: Dim = 0
    for n in lengths:
        longest = dims.maximum(longest, n)
    stacked = common.stack([padded(x, longest) for x in xs], 1)
    if all(n == longest for n in lengths):
        return Sequences(stacked, None, lengths)
    if isinstance(longest, int) and all(isinstance(n, int) for n in lengths):
        mask = graph.constant(np.arange(longest)[:, None] < np.array(lengths))
    else:
        known = ops.Sizes(tuple(lengths), dtypes.i32)()
        mask = ops.Less()(common.expand_dims(ops.Iota(longest)(), 1), known)
    return Sequences(stacked, mask, lengths)


def of_steps(xs: Sequence[Value]) -> Sequences:
    """Steps `[B, I]`, whose B falls from step to step."""
    counts = [x.shape[0] for x in xs]
    first = counts[0]
    stacked = common.stack([padded(x, first) for x in xs], 0)
    if all(n == first for n in counts):
        return Sequences(stacked, None, counts)
    if isinstance(first, int) and all(isinstance(n, int) for n in counts):
        mask = graph.constant(np.arange(first) < np.array(counts)[:, None])
    else:
        known = common.expand_dims(ops.Sizes(tuple(counts), dtypes.i32)(), 1)
        mask = ops.Less()(ops.Iota(first)(), known)
    return Sequences(stacked, mask, counts)


def layers(
    call: Applied,
    x: Value,
    mask: Value | None,
    states: Sequence[Value | None],
    weights: list[Value],
) -> tuple[Value, list[Value]]:
    """The last layer's y `[T, B, D * H]`, and the final states of all."""
    own, recurrent = GATES[call.kind]
    per = len(own) + len(recurrent)
    matrices, biases = weights[: len(weights) // 2], weights[len(weights) // 2 :]
    directions = 2 if call.bidirectional else 1
    finals: list[list[Value]] = []
    for layer in range(call.layers):
        rows = [layer * directions + d for d in range(directions)]
        w = [matrices[r * per : (r + 1) * per] for r in rows]
        b = [biases[r * per : (r + 1) * per] for r in rows]
        own_rows = {0: Span(rows[0], directions, 1)}
        initial = [None if s is None else common.slice_axes(s, own_rows) for s in states]
        y, *last = _layer(call.kind, x, mask, initial, w, b)
        t, batch, d, h = y.shape
        x = common.reshape(y, (t, batch, d * h))
        finals.append(last)
    return x, [common.concat(group, 0) for group in zip(*finals, strict=True)]


def _layer(
    kind: str,
    x: Value,
    mask: Value | None,
    initial: Sequence[Value | None],
    weights: list[list[Value]],
    biases: list[list[Value]],
) -> Any:
    own, recurrent = GATES[kind]
    w = _by_direction(weights, own)
    r = _by_direction(weights, recurrent)
    extras: list[Value | None] = []
    if kind == "gru":
        # The bias of n that belongs to h is multiplied by the reset gate.
        b = _biases([[_sum(d[4], d[1]), _sum(d[3], d[0]), d[2]] for d in biases])
        extras = [common.stack([d[5] for d in biases], 0)]
    else:
        pairs = list(zip(own, recurrent, strict=True))
        b = _biases([[_sum(d[i], d[j]) for i, j in pairs] for d in biases])
    if kind == "lstm":
        extras = [None]
    direction = "bidirectional" if len(weights) == 2 else "forward"
    op: Any
    if kind == "lstm":
        op = ops.LSTM(direction)
    elif kind == "gru":
        op = ops.GRU(direction, reset_after=True)
    else:
        function = ops.Relu() if kind == "rnn_relu" else ops.Tanh()
        op = ops.RNN(direction, (function,) * len(weights))
    return op(x, w, r, b, *extras, *initial, mask)


def _by_direction(weights: list[list[Value]], order: Sequence[int]) -> Value:
    """Matrices [H, I] of each gate as [D, I, G, H]."""
    whole = common.stack([common.stack([d[k] for k in order], 0) for d in weights], 0)
    return common.folded(common.transpose(whole, (0, 3, 1, 2)))


def _biases(rows: list[list[Value]]) -> Value:
    return common.folded(common.stack([common.stack(gates, 0) for gates in rows], 0))


def _sum(a: Value, b: Value) -> Value:
    total: Value = ops.Add()(a, b)
    return total
