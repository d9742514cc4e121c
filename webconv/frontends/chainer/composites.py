"""Functions that Chainer computes outside of its graph, or in many steps, as one function each.

While a chain is traced, `composites()` puts these in the place of Chainer's own. They call the
original to compute their values, so a trace sees what the chain gives.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.functions.array import where as where_module
from chainer.functions.math import ceil as ceil_module
from chainer.functions.math import fix as fix_module
from chainer.functions.math import floor as floor_module
from chainer.functions.math import sign as sign_module
from chainer.functions.pooling import max_pooling_nd as max_pooling_module
from chainer.functions.pooling.upsampling_2d import Upsampling2D
from chainer.functions.rnn import n_step_gru, n_step_lstm, n_step_rnn
from chainer.links.rnn.n_step_rnn import NStepRNNBase
from chainer.utils import conv_nd

UPSAMPLING = ("kh", "kw", "sy", "sx", "ph", "pw", "outh", "outw", "cover_all")
GATES = {"lstm": 8, "gru": 6, "rnn_tanh": 2, "rnn_relu": 2}


class Composite(chainer.FunctionNode):  # type: ignore[misc]
    """A function that is computed by `original`, a function of arrays to arrays."""

    def __init__(self, original: Callable[..., Any], **attributes: Any) -> None:
        self._original = original
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arrays that the original gives."""
        with chainer.no_backprop_mode(), composites_off():
            made = self._original(*inputs)
        made = made if isinstance(made, tuple) else (made,)
        return tuple(y.array if isinstance(y, chainer.Variable) else np.asarray(y) for y in made)


class NStep(Composite):
    """A stack of recurrent layers over sequences of several lengths.

    Inputs: initial states (hx, and cx of an LSTM) if `given`, `count` sequences, the matrices and
    then the biases of each layer and direction. Outputs: final states, then the sequences. With
    `transposed` the sequences are time steps `[batch of the step, size]`.
    """


class Floor(Composite):
    """F.floor."""


class Ceil(Composite):
    """F.ceil."""


class Fix(Composite):
    """F.fix."""


class Sign(Composite):
    """F.sign."""


class MaxPoolingWithIndices(Composite):
    """F.max_pooling_*(return_indices=True), with the indices as the second output."""


class UpsamplingVariable(Composite):
    """F.upsampling_2d, with the indices as the second input."""


class WhereVariable(Composite):
    """F.where, with its condition as the first input."""


ABSENT = object()

_active: list[bool] = []


def is_active() -> bool:
    """True while calls are to be single functions of the graph."""
    return bool(_active) and _active[-1]


@contextlib.contextmanager
def composites_off() -> Iterator[None]:
    """The original functions again, within a composite."""
    _active.append(False)
    try:
        yield
    finally:
        _active.pop()


@contextlib.contextmanager
def composites() -> Iterator[None]:
    """While it lasts, Chainer's functions are those of this file."""
    changes = list(_changes())
    kept = [(place, name, vars(place).get(name, ABSENT)) for place, name, _ in changes]
    _active.append(True)
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in kept:
            if value is ABSENT:
                delattr(place, name)
            else:
                setattr(place, name, value)
        _active.pop()


def _changes() -> Iterator[tuple[Any, str, Any]]:
    from webconv.frontends.chainer import stand_ins  # They are made of this file's classes.

    yield from stand_ins.changes()
    # Chainer 7 uses names that NumPy has dropped since.
    for name, plain in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(np):
            yield np, name, plain
    pooling = _max_pooling(F.max_pooling_nd)
    yield F, "max_pooling_nd", pooling
    yield max_pooling_module, "max_pooling_nd", pooling
    yield F, "upsampling_2d", _upsampling(F.upsampling_2d)
    pairs = (
        ("floor", floor_module, Floor),
        ("ceil", ceil_module, Ceil),
        ("fix", fix_module, Fix),
        ("sign", sign_module, Sign),
    )
    for name, module, kind in pairs:
        replacement = _unary(getattr(F, name), kind)
        yield F, name, replacement
        yield module, name, replacement
    where = _where(F.where)
    yield F, "where", where
    yield where_module, "where", where
    yield NStepRNNBase, "_call", _link(NStepRNNBase._call)
    yield n_step_lstm, "n_step_lstm_base", _lstm(n_step_lstm.n_step_lstm_base)
    yield n_step_gru, "n_step_gru_base", _gru(n_step_gru.n_step_gru_base)
    yield n_step_rnn, "n_step_rnn_base", _rnn(n_step_rnn.n_step_rnn_base)


def _unary(original: Callable[..., Any], kind: type[Composite]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any) -> Any:
        return kind(original).apply((x,))[0] if _active[-1] else original(x)

    return replacement


def _where(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(condition: Any, x: Any, y: Any) -> Any:
        if not _active[-1]:
            return original(condition, x, y)
        return WhereVariable(original).apply((condition, x, y))[0]

    return replacement


def _max_pooling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any, ksize: Any, *rest: Any, **options: Any) -> Any:
        given = inspect.signature(original).bind(x, ksize, *rest, **options)
        given.apply_defaults()
        names = given.arguments
        if not _active[-1] or not names["return_indices"]:
            return original(x, ksize, *rest, **options)
        ndim = x.ndim - 2
        stride = names["ksize"] if names["stride"] is None else names["stride"]
        node = MaxPoolingWithIndices(
            lambda a: original(a, *given.args[1:], **given.kwargs),
            ksize=conv_nd.as_tuple(names["ksize"], ndim),
            stride=conv_nd.as_tuple(stride, ndim),
            pad=conv_nd.as_tuple(names["pad"], ndim),
            cover_all=names["cover_all"],
        )
        return node.apply((x,))

    return replacement


def _upsampling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any, indexes: Any, *rest: Any, **options: Any) -> Any:
        if not _active[-1] or not isinstance(indexes, chainer.Variable):
            return original(x, indexes, *rest, **options)
        plain = Upsampling2D(indexes.array, *rest, **options)
        node = UpsamplingVariable(
            lambda a, where: original(a, where, *rest, **options),
            **{k: v for k, v in vars(plain).items() if k in UPSAMPLING},
        )
        return node.apply((x, indexes))[0]

    return replacement


def _link(original: Callable[..., Any]) -> Callable[..., Any]:
    """The links L.NStep*, which sort their sequences before they call the functions."""

    @functools.wraps(original)
    def replacement(self: Any, hs: Sequence[Any], xs: Sequence[Any], **kwargs: Any) -> Any:
        given = [h for h in hs if h is not None]
        if not _active[-1] or kwargs or len(given) not in (0, len(hs)):
            return original(self, hs, xs, **kwargs)

        def compute(*arrays: Any) -> tuple[Any, ...]:
            states = arrays[: len(given)] or [None] * len(hs)
            start = len(given)
            hys, ys = original(
                self,
                [None if h is None else chainer.Variable(h) for h in states],
                [chainer.Variable(x) for x in arrays[start : start + len(xs)]],
            )
            return (*hys, *ys)

        weights = [w for layer in self.ws for w in layer], [b for layer in self.bs for b in layer]
        node = _n_step(
            compute, _kind(self), self.n_layers, self.direction == 2, len(given), len(xs)
        )
        made = node.apply((*given, *xs, *weights[0], *weights[1]))
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
    given: int,
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

    node = _n_step(compute, kind, n_layers, bidirectional, len(states), len(xs), True)
    made = node.apply((*states, *xs, *matrices, *biases))
    return (*made[: len(states)], tuple(made[len(states) :]))


def _lstm(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(
        n: int, dropout: float, hx: Any, cx: Any, ws: Any, bs: Any, xs: Any, use_bi_direction: bool
    ) -> Any:
        if not _active[-1]:
            return original(n, dropout, hx, cx, ws, bs, xs, use_bi_direction)
        call = functools.partial(original, use_bi_direction=use_bi_direction)
        return _base(call, "lstm", [hx, cx], (n, dropout), (ws, bs), xs, use_bi_direction)

    return replacement


def _gru(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(
        n: int, dropout: float, hx: Any, ws: Any, bs: Any, xs: Any, use_bi_direction: bool
    ) -> Any:
        if not _active[-1]:
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
        if not _active[-1]:
            return original(n, dropout, hx, ws, bs, xs, activation, use_bi_direction)
        call = functools.partial(original, activation=activation, use_bi_direction=use_bi_direction)
        kind = f"rnn_{activation}"
        return _base(call, kind, [hx], (n, dropout), (ws, bs), xs, use_bi_direction)

    return replacement
