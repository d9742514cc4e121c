"""Rows for merging, attention and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.frontends.layer_case import ACTIVATIONS, Case, L, case
from tests.frontends.oracle import keras


def merging() -> Iterator[Case]:
    def masked(*xs: Any) -> list[Any]:
        return [L.Masking()(keras.ops.relu(x)) for x in xs]

    for name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"):
        c = getattr(L, name)
        yield case(name, "", lambda x, y, c=c: c()([x, y]), (3, 4), (3, 4))
        yield case(name, "broadcast", lambda x, y, c=c: c()([x, y]), (3, 4), (4,))
        yield case(name, "masks", lambda x, y, c=c: L.LSTM(2)(c()(masked(x, y))), (4, 1), (4, 1))
        yield case(
            name, "one mask", lambda x, y, c=c: L.LSTM(2)(c()([*masked(x), y])), (4, 1), (4, 1)
        )
    yield case("Add", "three", lambda x, y, z: L.Add()([x, y, z]), (4,), (4,), (4,))
    yield case("Concatenate", "", lambda x, y: L.Concatenate()([x, y]), (3, 4), (3, 2))
    yield case(
        "Concatenate",
        "time",
        lambda x, y: L.LSTM(2)(L.Concatenate(1)(masked(x, y))),
        (3, 1),
        (5, 1),
    )
    yield case(
        "Concatenate",
        "masks",
        lambda x, y: L.LSTM(2)(L.Concatenate()(masked(x, y))),
        (4, 1),
        (4, 1),
    )
    yield case(
        "Concatenate",
        "one mask",
        lambda x, y: L.LSTM(2)(L.Concatenate(1)([*masked(x), y])),
        (4, 1),
        (4, 1),
    )
    yield case("Dot", "", lambda x, y: L.Dot(1)([x, y]), (4,), (4,))
    yield case("Dot", "axes", lambda x, y: L.Dot((1, 2))([x, y]), (3, 5), (4, 3))
    yield case("Dot", "normal", lambda x, y: L.Dot(-1, normalize=True)([x, y]), (4, 3), (5, 3))
    yield case("Dot", "ranks", lambda x, y: L.Dot((1, 1))([x, y]), (3,), (3, 4, 2))


def attention() -> Iterator[Case]:
    A, D, M, G = L.Attention, L.AdditiveAttention, L.MultiHeadAttention, L.GroupQueryAttention

    def masked(x: Any) -> Any:
        return L.Masking()(keras.ops.relu(x))

    qv = ((4, 3), (5, 3))
    yield case("Attention", "", lambda q, v: A()([q, v]), *qv)
    yield case(
        "Attention", "key", lambda q, v, k: A(use_scale=True)([q, v, k]), (4, 3), (5, 2), (5, 3)
    )
    yield case(
        "Attention", "concat", lambda q, v: A(score_mode="concat", use_scale=True)([q, v]), *qv
    )
    yield case(
        "Attention",
        "causal",
        lambda q, v: A()([q, v], use_causal_mask=True, return_attention_scores=True),
        *qv,
    )
    yield case("Attention", "masks", lambda q, v: A()([masked(q), masked(v)]), (4, 1), (5, 1))
    yield case("AdditiveAttention", "", lambda q, v: D()([q, v]), *qv)
    yield case("AdditiveAttention", "plain", lambda q, v: D(use_scale=False)([q, v]), *qv)
    yield case("MultiHeadAttention", "", lambda q: M(2, 3)(q, q), (4, 5))
    yield case(
        "MultiHeadAttention",
        "cross",
        lambda q, v: M(2, 3, 4, dropout=0.1, use_bias=False, output_shape=6)(q, v),
        (4, 5),
        (6, 3),
    )
    yield case(
        "MultiHeadAttention", "causal", lambda q: M(2, 3)(q, q, use_causal_mask=True), (4, 5)
    )
    yield case("MultiHeadAttention", "window", lambda q: M(2, 3, sliding_window=2)(q, q), (6, 5))
    yield case("MultiHeadAttention", "gate", lambda q: M(2, 3, use_gate=True)(q, q), (6, 5))
    yield case(
        "MultiHeadAttention",
        "scores",
        lambda q: M(2, 3)(q, q, return_attention_scores=True),
        (4, 5),
    )
    yield case(
        "MultiHeadAttention", "axes", lambda q: M(2, 3, attention_axes=(2,))(q, q), (2, 4, 5)
    )
    yield case(
        "MultiHeadAttention", "two axes", lambda q: M(2, 3, attention_axes=(1, 2))(q, q), (2, 3, 5)
    )
    yield case(
        "MultiHeadAttention",
        "mask",
        lambda q, m: M(2, 3)(q, q, attention_mask=keras.ops.greater(m, -1.0)),
        (4, 5),
        (4, 4),
    )
    yield case(
        "MultiHeadAttention", "key padding", lambda q, v: M(2, 3)(q, masked(v)), (4, 5), (6, 1)
    )
    yield case(
        "MultiHeadAttention", "key", lambda q, v, k: M(2, 3)(q, v, k), (4, 5), (6, 3), (6, 2)
    )

    def read_again(q: Any, v: Any) -> list[Any]:
        """Whoever comes after the first finds no mask: Keras has taken it off."""
        v = masked(v)
        return [M(2, 3)(q, v), L.LSTM(2)(v), M(2, 3)(q, L.Dropout(0.5)(v)), L.LSTM(2)(v)]

    yield case("MultiHeadAttention", "masks that are gone", read_again, (4, 5), (6, 1))
    yield case("GroupQueryAttention", "", lambda q: G(3, 4, 2)(q, q), (4, 5))
    yield case(
        "GroupQueryAttention",
        "causal",
        lambda q, v: G(3, 4, 1, use_gate=True)(q, v, use_causal_mask=True),
        (4, 5),
        (4, 5),
    )
    yield case(
        "GroupQueryAttention",
        "scores",
        lambda q: G(3, 4, 2, sliding_window=3)(q, q, return_attention_scores=True),
        (4, 5),
    )


def recurrent() -> Iterator[Case]:
    def masked(x: Any) -> Any:
        return L.Masking()(keras.ops.relu(x))

    for name in ("LSTM", "GRU", "SimpleRNN"):
        c = getattr(L, name)
        states = 2 if name == "LSTM" else 1
        yield case(name, "", lambda x, c=c: c(3)(x), (5, 4))
        yield case(
            name, "sequences", lambda x, c=c: c(3, return_sequences=True, use_bias=False)(x), (5, 4)
        )
        yield case(
            name, "states", lambda x, c=c: c(3, return_state=True, return_sequences=True)(x), (5, 4)
        )
        yield case(
            name,
            "backwards",
            lambda x, c=c: c(3, go_backwards=True, return_sequences=True, return_state=True)(x),
            (5, 4),
        )
        yield case(name, "unrolled", lambda x, c=c: c(3, unroll=True)(x), (5, 4))
        yield case(
            name,
            "given",
            lambda x, *s, c=c: c(3, return_sequences=True)(x, initial_state=list(s)),
            (5, 4),
            *[(3,)] * states,
        )
        yield case(name, "mask", lambda x, c=c: c(3, return_sequences=True)(masked(x)), (8, 1))
        yield case(name, "mask last", lambda x, c=c: c(3)(masked(x)), (8, 1))
        yield case(
            name,
            "mask zero",
            lambda x, c=c: c(3, return_sequences=True, zero_output_for_mask=True)(masked(x)),
            (8, 1),
        )
        yield case(
            name,
            "mask zero last",
            lambda x, c=c: c(3, return_state=True, zero_output_for_mask=True)(masked(x)),
            (8, 1),
        )
        yield case(
            name,
            "mask backwards",
            lambda x, c=c: c(3, return_sequences=True, go_backwards=True)(masked(x)),
            (8, 1),
        )
        yield case(
            name,
            "mask argument",
            lambda x, m, c=c: c(3)(x, mask=keras.ops.greater(m, 0.0)),
            (6, 2),
            (6,),
        )
        cell = getattr(L, f"{name}Cell")
        yield case(f"{name}Cell", "", lambda x, c=cell: L.RNN(c(3))(x), (5, 4))
    yield case("GRU", "reset before", lambda x: L.GRU(3, reset_after=False)(x), (5, 4))
    for activation in ACTIVATIONS:
        if activation in ("threshold", "glu"):
            continue
        yield case(
            "LSTM",
            f"gates {activation}",
            lambda x, a=activation: L.LSTM(3, recurrent_activation=a, return_sequences=True)(x),
            (3, 4),
        )
        yield case(
            "GRU",
            f"activation {activation}",
            lambda x, a=activation: L.GRU(3, activation=a)(x),
            (3, 4),
        )
    yield case("SimpleRNN", "relu", lambda x: L.SimpleRNN(3, "relu")(x), (5, 4))
    yield from wrapped(masked)


def wrapped(masked: Callable[[Any], Any]) -> Iterator[Case]:
    cells = lambda: [L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(4)]  # noqa: E731
    yield case("StackedRNNCells", "", lambda x: L.RNN(cells(), return_sequences=True)(x), (5, 4))
    yield case(
        "RNN",
        "states",
        lambda x: keras.tree.flatten(L.RNN(L.LSTMCell(3), return_state=True)(x)),
        (5, 4),
    )
    yield case(
        "RNN", "mask", lambda x: L.RNN(L.GRUCell(3), return_sequences=True)(masked(x)), (6, 1)
    )
    B = L.Bidirectional
    for mode in ("concat", "sum", "mul", "ave", None):
        for sequences in (True, False):
            yield case(
                "Bidirectional",
                f"{mode} {sequences}",
                lambda x, m=mode, s=sequences: B(L.LSTM(3, return_sequences=s), merge_mode=m)(x),
                (5, 4),
            )
    yield case("Bidirectional", "states", lambda x: B(L.GRU(3, return_state=True))(x), (5, 4))
    yield case(
        "Bidirectional",
        "given",
        lambda x, *s: B(L.LSTM(3, return_sequences=True))(x, initial_state=list(s)),
        (5, 4),
        *[(3,)] * 4,
    )
    yield case(
        "Bidirectional", "mask", lambda x: B(L.LSTM(3, return_sequences=True))(masked(x)), (8, 1)
    )
    yield case("Bidirectional", "mask last", lambda x: B(L.GRU(3))(masked(x)), (8, 1))
    yield case(
        "Bidirectional",
        "two layers",
        lambda x: B(
            L.LSTM(3, activation="relu", return_sequences=True),
            backward_layer=L.GRU(3, go_backwards=True, return_sequences=True),
        )(x),
        (5, 4),
    )
    yield case(
        "Bidirectional",
        "two activations",
        lambda x: B(L.LSTM(3, activation="relu"), backward_layer=L.LSTM(3, go_backwards=True))(x),
        (5, 4),
    )
    yield case(
        "Bidirectional",
        "mish",
        lambda x: B(L.LSTM(3, activation="mish", return_sequences=True))(x),
        (5, 4),
    )
    T = L.TimeDistributed
    yield case("TimeDistributed", "dense", lambda x: T(L.Dense(3, "relu"))(x), (5, 4))
    yield case("TimeDistributed", "conv", lambda x: T(L.Conv2D(3, 2, 2, "same"))(x), (3, 5, 5, 2))
    yield case("TimeDistributed", "lstm", lambda x: T(L.LSTM(3))(x), (3, 5, 2))
    yield case("TimeDistributed", "norm", lambda x: T(L.BatchNormalization())(x), (3, 5))
    yield case(
        "TimeDistributed",
        "model",
        lambda x: T(
            keras.Sequential(
                [keras.Input((5,)), L.Dense(4, "relu"), L.BatchNormalization(), L.Dense(2)]
            )
        )(x),
        (3, 5),
        h5=False,
    )
    yield case("TimeDistributed", "mask", lambda x: L.LSTM(2)(T(L.Dense(3))(masked(x))), (6, 1))
    for rank in (1, 2, 3):
        c = getattr(L, f"ConvLSTM{rank}D")
        shape = (3, *(4,) * rank, 2)
        yield case(c.__name__, "", lambda x, c=c: c(3, 2)(x), shape)
        yield case(
            c.__name__,
            "same",
            lambda x, c=c: c(2, 3, 2, "same", return_sequences=True, return_state=True)(x),
            shape,
        )
        yield case(
            c.__name__,
            "backwards",
            lambda x, c=c: c(
                2, 2, padding="same", go_backwards=True, return_sequences=True, use_bias=False
            )(x),
            shape,
        )
    yield case(
        "ConvLSTM2D",
        "first",
        lambda x: L.ConvLSTM2D(
            3, 2, data_format="channels_first", recurrent_activation="hard_sigmoid"
        )(x),
        (3, 2, 4, 4),
    )
    yield case(
        "ConvLSTM1D",
        "both",
        lambda x: B(L.ConvLSTM1D(3, 2, padding="same", return_sequences=True))(x),
        (3, 4, 2),
    )
