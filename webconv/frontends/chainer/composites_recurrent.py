"""Stacks of recurrent layers, L.NStep* and F.n_step_*, as one function each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import chainer
import chainer.links as L
from chainer.functions.rnn import n_step_gru, n_step_lstm, n_step_rnn
from chainer.links.rnn.n_step_rnn import NStepRNNBase

from webconv.frontends.chainer.composites import Composite, is_active

GATES = {"lstm": 8, "gru": 6, "rnn_tanh": 2, "rnn_relu": 2}


class NStep(Composite):
    """A stack of recurrent layers over sequences of several lengths.

    Inputs: initial states (hx, and cx of an LSTM), of which `given` tells those that are there,
    `count` sequences, the matrices and then the biases of each layer and direction. Outputs: final
    states, then the sequences. With `transposed` the sequences are time steps
    `[batch of the step, size]`.
    """


def changes() -> Iterator[tuple[Any, str, Any]]:
    """Places, names, and what stands there while a chain is traced."""
    yield NStepRNNBase, "_call", _link(NStepRNNBase._call)
    yield n_step_lstm, "n_step_lstm_base", _lstm(n_step_lstm.n_step_lstm_base)
    yield n_step_gru, "n_step_gru_base", _gru(n_step_gru.n_step_gru_base)
    yield n_step_rnn, "n_step_rnn_base", _rnn(n_step_rnn.n_step_rnn_base)


def _link(original: Callable[..., Any]) -> Callable[..., Any]:
    """The links L.NStep*, which sort their sequences before they call the functions."""

    @functools.wraps(original)
    def replacement(self: Any, hs: Sequence[Any], xs: Sequence[Any], **kwargs: Any) -> Any:
        if not is_active() or kwargs:
            return original(self, hs, xs, **kwargs)
        given = tuple(h is not None for h in hs)

        def compute(*arrays: Any) -> tuple[Any, ...]:
            left = map(chainer.Variable, arrays)
            states = [next(left) if is_given else None for is_given in given]
            hys, ys = original(self, states, [*islice(left, len(xs))])
            return (*hys, *ys)

        weights = [w for layer in self.ws for w in layer], [b for layer in self.bs for b in layer]
        node = _n_step(compute, _kind(self), self.n_layers, self.direction == 2, given, len(xs))
        states = [h for h in hs if h is not None]
        made = node.apply((*states, *xs, *weights[0], *weights[1]))
        return list(made[: len(hs)]), list(made[len(hs) :])

    return replacement


def _kind(link: Any) -> str:
    if isinstance(link, L.NStepLSTM | L.NStepBiLSTM):
        return "lstm"
    if isinstance(link, L.NStepGRU | L.NStepBiGRU):
        return "gru"
    return "rnn_relu" if isinstance(link, L.NStepRNNReLU | L.NStepBiRNNReLU) else "rnn_tanh"


def _n_step(
    compute: Callable[..., Any],
    kind: str,
    layers: int,
    bidirectional: bool,
    given: tuple[bool, ...],
    count: int,
    transposed: bool = False,
) -> NStep:
    return NStep(
        compute,
        kind=kind,
        layers=layers,
        bidirectional=bidirectional,
        given=given,
        count=count,
        transposed=transposed,
    )


def _base(
    original: Callable[..., Any],
    kind: str,
    states: Sequence[Any],
    arguments: tuple[Any, ...],
    weights: tuple[Any, Any],
    xs: Sequence[Any],
    bidirectional: bool,
) -> Any:
    """A function F.n_step_*, whose sequences are time steps."""
    n_layers, dropout = arguments
    matrices = [w for layer in weights[0] for w in layer]
    biases = [b for layer in weights[1] for b in layer]
    gates = GATES[kind]

    def compute(*arrays: Any) -> tuple[Any, ...]:
        variables = [chainer.Variable(a) for a in arrays]
        end = len(states) + len(xs)
        hs, steps, rest = variables[: len(states)], variables[len(states) : end], variables[end:]
        rows = [rest[k : k + gates] for k in range(0, len(rest), gates)]
        half = len(rows) // 2
        # Chainer's functions take the gates' parameters layer by layer.
        *hys, ys = original(n_layers, dropout, *hs, rows[:half], rows[half:], steps)
        return (*hys, *ys)

    node = _n_step(compute, kind, n_layers, bidirectional, (True,) * len(states), len(xs), True)
    made = node.apply((*states, *xs, *matrices, *biases))
    return (*made[: len(states)], tuple(made[len(states) :]))


def _lstm(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(
        n: int, dropout: float, hx: Any, cx: Any, ws: Any, bs: Any, xs: Any, use_bi_direction: bool
    ) -> Any:
        if not is_active():
            return original(n, dropout, hx, cx, ws, bs, xs, use_bi_direction)
        call = functools.partial(original, use_bi_direction=use_bi_direction)
        return _base(call, "lstm", [hx, cx], (n, dropout), (ws, bs), xs, use_bi_direction)

    return replacement


def _gru(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(
        n: int, dropout: float, hx: Any, ws: Any, bs: Any, xs: Any, use_bi_direction: bool
    ) -> Any:
        if not is_active():
            return original(n, dropout, hx, ws, bs, xs, use_bi_direction)
        call = functools.partial(original, use_bi_direction=use_bi_direction)
        return _base(call, "gru", [hx], (n, dropout), (ws, bs), xs, use_bi_direction)

    return replacement


def _rnn(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(
        n: int,
        dropout: float,
        hx: Any,
        ws: Any,
        bs: Any,
        xs: Any,
        activation: str,
        use_bi_direction: bool,
    ) -> Any:
        if not is_active():
            return original(n, dropout, hx, ws, bs, xs, activation, use_bi_direction)
        call = functools.partial(original, activation=activation, use_bi_direction=use_bi_direction)
        kind = f"rnn_{activation}"
        return _base(call, kind, [hx], (n, dropout), (ws, bs), xs, use_bi_direction)

    return replacement
