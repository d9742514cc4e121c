"""A table of small models, by the Keras layer that they exercise.

A row is (class, label, function from inputs to outputs, input shapes without the batch, dtypes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.frontends.oracle import keras, sample

L = keras.layers
ACTIVATIONS = sorted(keras.src.activations.ALL_OBJECTS_DICT)


@dataclass(frozen=True)
class Case:
    """One model; `h5` is False where Keras cannot write or read its own `.h5` of it."""

    name: str
    label: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    h5: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name


def case(
    name: str,
    label: str,
    function: Callable[..., Any],
    *shapes: tuple[int | None, ...],
    dtypes: tuple[str, ...] | None = None,
    h5: bool = True,
) -> Case:
    return Case(name, label, function, shapes, dtypes or ("float32",) * len(shapes), h5)


def cases() -> list[Case]:
    """The whole table."""
    return [
        *core(),
        *activations(),
        *convolution(),
        *pooling(),
        *reshaping(),
        *normalization(),
        *merging(),
        *attention(),
        *recurrent(),
        *preprocessing(),
    ]


def core() -> Iterator[Case]:
    yield case("Dense", "", lambda x: L.Dense(3, "relu")(x), (5,))
    yield case("Dense", "3d", lambda x: L.Dense(3, use_bias=False)(x), (4, 5))
    yield case("Dense", "int", lambda x: L.Dense(3)(x), (5,), dtypes=("int32",))
    yield case("Dense", "f64", lambda x: L.Dense(3, dtype="float64")(x), (5,))
    yield case("EinsumDense", "", lambda x: L.EinsumDense("ab,bc->ac", 4, bias_axes="c")(x), (5,))
    yield case(
        "EinsumDense",
        "heads",
        lambda x: L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de")(x),
        (6, 5),
    )
    yield case(
        "EinsumDense",
        "ellipsis",
        lambda x: L.EinsumDense("...x,xy->...y", 4, bias_axes="y", activation="tanh")(x),
        (6, 5),
    )
    yield case(
        "EinsumDense",
        "two inner",
        lambda x: L.EinsumDense("abcd,cde->abe", (None, 7))(x),
        (2, 3, 4),
    )
    yield case("Embedding", "", lambda x: L.Embedding(6, 3)(x), (4,), dtypes=("int32",))
    yield case("Embedding", "float ids", lambda x: L.Embedding(6, 3)(keras.ops.abs(x)), (4,))
    yield case("ReversibleEmbedding", "tied", _tied(True), (4,), dtypes=("int32",))
    yield case("ReversibleEmbedding", "untied", _tied(False), (4,), dtypes=("int32",))
    yield case("Masking", "", lambda x: L.LSTM(3)(L.Masking(0.0)(keras.ops.relu(x))), (5, 1))
    yield case("InputLayer", "", lambda x: L.Dense(2)(x), (3,))
    for name in ("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"):
        yield case(name, "", lambda x, n=name: getattr(L, n)(0.3)(x), (5,))
    for rank in (1, 2, 3):
        c = getattr(L, f"SpatialDropout{rank}D")
        yield case(c.__name__, "", lambda x, c=c: c(0.3)(x), (3,) * rank + (2,))
    yield case("ActivityRegularization", "", lambda x: L.ActivityRegularization(0.1)(x), (5,))
    yield case("Identity", "", lambda x: L.Dense(2)(L.Identity()(x)), (5,))


def _tied(tie: bool) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        layer = L.ReversibleEmbedding(6, 3, tie_weights=tie, logit_soft_cap=2.0)
        return layer(layer(x), reverse=True)

    return function


def activations() -> Iterator[Case]:
    needs = {"threshold"}
    for name in ACTIVATIONS:
        if name not in needs:
            yield case("Activation", name, lambda x, n=name: L.Activation(n)(x), (4, 6))
    yield case("ReLU", "", lambda x: L.ReLU()(x), (6,))
    yield case("ReLU", "max", lambda x: L.ReLU(max_value=1.0)(x), (6,))
    yield case("ReLU", "six", lambda x: L.ReLU(max_value=6)(x), (6,))
    yield case("ReLU", "all", lambda x: L.ReLU(1.5, 0.3, 0.4)(x), (9,))
    yield case("ReLU", "slope", lambda x: L.ReLU(negative_slope=0.3)(x), (9,))
    yield case("ReLU", "threshold", lambda x: L.ReLU(threshold=0.5, max_value=1.0)(x), (9,))
    yield case("LeakyReLU", "", lambda x: L.LeakyReLU(0.2)(x), (6,))
    yield case("PReLU", "", lambda x: L.PReLU()(x), (3, 6))
    yield case("PReLU", "shared", lambda x: L.PReLU(shared_axes=[1])(x), (3, 6))
    yield case("ELU", "", lambda x: L.ELU(0.7)(x), (6,))
    yield case("Softmax", "", lambda x: L.Softmax(axis=1)(x), (4, 6))
    yield case("Softmax", "axes", lambda x: L.Softmax(axis=(1, 3))(x), (2, 3, 4))
    yield case("Softmax", "mask", lambda x: L.Softmax()(x, mask=keras.ops.greater(x, 0.0)), (6,))
    yield case("Activation", "layer", lambda x: L.Dense(3, activation=L.LeakyReLU(0.4))(x), (5,))


def convolution() -> Iterator[Case]:
    sizes = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
    for rank, spatial in sizes.items():
        conv, back = getattr(L, f"Conv{rank}D"), getattr(L, f"Conv{rank}DTranspose")
        name, shape = f"Conv{rank}D", (*spatial, 2)
        yield case(name, "valid", lambda x, c=conv: c(4, 2)(x), shape)
        yield case(
            name, "same stride", lambda x, c=conv: c(4, 3, 2, "same", activation="relu")(x), shape
        )
        yield case(
            name, "same even", lambda x, c=conv: c(4, 2, 3, "same", use_bias=False)(x), shape
        )
        yield case(
            name, "dilated", lambda x, c=conv: c(4, 2, padding="same", dilation_rate=2)(x), shape
        )
        yield case(name, "groups", lambda x, c=conv: c(4, 2, groups=2)(x), shape)
        first = (2, *spatial)
        yield case(
            name,
            "first",
            lambda x, c=conv: c(
                4, 2, padding="same", data_format="channels_first", activation="softmax"
            )(x),
            first,
        )
        yield case(back.__name__, "valid", lambda x, c=back: c(3, 2, 2)(x), shape)
        yield case(back.__name__, "same", lambda x, c=back: c(3, 3, 2, "same")(x), shape)
        yield case(
            back.__name__,
            "small",
            lambda x, c=back: c(3, 1, 2, "same", activation="tanh")(x),
            shape,
        )
        yield case(back.__name__, "small valid", lambda x, c=back: c(3, 2, 3)(x), shape)
        yield case(
            back.__name__, "extra", lambda x, c=back: c(3, 3, 2, "same", output_padding=1)(x), shape
        )
        yield case(
            back.__name__,
            "dilated",
            lambda x, c=back: c(3, 2, 1, "same", dilation_rate=2)(x),
            shape,
        )
    yield case(
        "Conv1D", "causal", lambda x: L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x), (9, 2)
    )
    yield case("Conv2D", "sizes", lambda x: L.Conv2D(4, (3, 2), (1, 2))(x), (7, 6, 2))
    for rank in (1, 2):
        shape = (*sizes[rank], 3)
        deep, apart = getattr(L, f"DepthwiseConv{rank}D"), getattr(L, f"SeparableConv{rank}D")
        yield case(deep.__name__, "", lambda x, c=deep: c(3, depth_multiplier=2)(x), shape)
        yield case(
            deep.__name__, "same", lambda x, c=deep: c(3, 2, "same", use_bias=False)(x), shape
        )
        yield case(apart.__name__, "", lambda x, c=apart: c(4, 3, depth_multiplier=2)(x), shape)
        yield case(
            apart.__name__,
            "same",
            lambda x, c=apart: c(4, 3, 2, "same", activation="relu")(x),
            shape,
        )


def pooling() -> Iterator[Case]:
    sizes = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
    for rank, spatial in sizes.items():
        shape, first = (*spatial, 2), (2, *spatial)
        for kind in ("Max", "Average"):
            pool = getattr(L, f"{kind}Pooling{rank}D")
            whole = getattr(L, f"Global{kind}Pooling{rank}D")
            fit = getattr(L, f"Adaptive{kind}Pooling{rank}D")
            yield case(pool.__name__, "", lambda x, c=pool: c(2)(x), shape)
            yield case(pool.__name__, "same", lambda x, c=pool: c(3, 2, "same")(x), shape)
            yield case(pool.__name__, "overlap", lambda x, c=pool: c(3, 1)(x), shape)
            yield case(
                pool.__name__,
                "first",
                lambda x, c=pool: c(2, padding="same", data_format="channels_first")(x),
                first,
            )
            yield case(whole.__name__, "", lambda x, c=whole: c()(x), shape)
            yield case(
                whole.__name__,
                "keep",
                lambda x, c=whole: c("channels_first", keepdims=True)(x),
                first,
            )
            yield case(
                fit.__name__, "", lambda x, c=fit, n=rank: c((3,) * n if n > 1 else 3)(x), shape
            )
            yield case(
                fit.__name__,
                "exact",
                lambda x, c=fit, n=rank: c((2,) * n if n > 1 else 2)(x),
                shape,
            )
    yield case(
        "GlobalAveragePooling1D",
        "mask",
        lambda x: L.GlobalAveragePooling1D()(L.Masking()(keras.ops.relu(x))),
        (9, 1),
    )


def reshaping() -> Iterator[Case]:
    yield case("Flatten", "", lambda x: L.Flatten()(x), (2, 3, 4))
    yield case("Flatten", "first", lambda x: L.Flatten("channels_first")(x), (2, 3, 4))
    yield case("Flatten", "vector", lambda x: L.Flatten()(keras.ops.squeeze(x, -1)), (1,))
    yield case("Reshape", "", lambda x: L.Reshape((4, -1))(x), (2, 6))
    yield case("Permute", "", lambda x: L.Permute((3, 1, 2))(x), (2, 3, 4))
    yield case("RepeatVector", "", lambda x: L.RepeatVector(3)(x), (5,))
    for rank in (1, 2, 3):
        shape, first = (5,) * rank + (2,), (2, *(5,) * rank)
        pair = ((1, 2),) * rank if rank > 1 else (1, 2)
        pad, crop = getattr(L, f"ZeroPadding{rank}D"), getattr(L, f"Cropping{rank}D")
        up = getattr(L, f"UpSampling{rank}D")
        yield case(pad.__name__, "", lambda x, c=pad: c(2)(x), shape)
        yield case(pad.__name__, "pairs", lambda x, c=pad, p=pair: c(p, "channels_first")(x), first)
        yield case(crop.__name__, "", lambda x, c=crop, r=rank: c(1 if r > 1 else (1, 1))(x), shape)
        if rank > 1:
            yield case(
                crop.__name__, "pairs", lambda x, c=crop, p=pair: c(p, "channels_first")(x), first
            )
        yield case(up.__name__, "", lambda x, c=up: c(2)(x), shape)
    for mode in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        yield case(
            "UpSampling2D",
            mode,
            lambda x, m=mode: L.UpSampling2D((2, 3), interpolation=m)(x),
            (5, 7, 2),
        )
    yield case(
        "UpSampling2D",
        "first",
        lambda x: L.UpSampling2D(2, "channels_first", "bilinear")(x),
        (2, 3, 4),
    )


def normalization() -> Iterator[Case]:
    B, N = L.BatchNormalization, L.LayerNormalization
    yield case("BatchNormalization", "", lambda x: B()(x), (4, 5))
    yield case("BatchNormalization", "axis", lambda x: B(axis=1, scale=False)(x), (3, 4, 5))
    yield case("BatchNormalization", "bare", lambda x: B(center=False, scale=False)(x), (5,))
    yield case("BatchNormalization", "frozen", lambda x: B(trainable=False)(L.Dense(3)(x)), (5,))
    yield case("LayerNormalization", "", lambda x: N()(x), (4, 5))
    yield case("LayerNormalization", "axes", lambda x: N(axis=[1, 2], center=False)(x), (4, 5))
    yield case("LayerNormalization", "middle", lambda x: N(axis=1, epsilon=0.1)(x), (4, 5))
    G = L.GroupNormalization
    yield case("GroupNormalization", "", lambda x: G(2)(x), (3, 5, 6))
    yield case("GroupNormalization", "instance", lambda x: G(-1, scale=False)(x), (3, 4, 6))
    yield case("GroupNormalization", "axis", lambda x: G(3, axis=1)(x), (6, 4, 5))
    yield case("RMSNormalization", "", lambda x: L.RMSNormalization()(x), (4, 5))
    yield case("RMSNormalization", "axes", lambda x: L.RMSNormalization(axis=(1, 2))(x), (4, 5))
    yield case("UnitNormalization", "", lambda x: L.UnitNormalization()(x), (4, 5))
    yield case("UnitNormalization", "axes", lambda x: L.UnitNormalization([1, 2])(x), (4, 5))
    S = L.SpectralNormalization
    yield case("SpectralNormalization", "", lambda x: S(L.Dense(3))(x), (5,))
    yield case("SpectralNormalization", "conv", lambda x: S(L.Conv2D(3, 2))(x), (5, 5, 2))


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


def _adapted(x: Any) -> Any:
    layer = L.Normalization(axis=-1)
    layer.adapt(sample((20, 3, 2), "float32"))
    return layer(x)


def preprocessing() -> Iterator[Case]:
    yield case("Rescaling", "", lambda x: L.Rescaling(0.5, 1.0)(x), (4,))
    yield case("Rescaling", "ints", lambda x: L.Rescaling(1 / 255)(x), (4,), dtypes=("int32",))
    yield case("Rescaling", "vectors", lambda x: L.Rescaling([1.0, 2.0], [0.0, 1.0])(x), (3, 2))
    yield case("Normalization", "", lambda x: L.Normalization(mean=1.0, variance=2.0)(x), (4,))
    yield case(
        "Normalization",
        "invert",
        lambda x: L.Normalization(mean=[1.0, 2.0], variance=[2.0, 3.0], invert=True)(x),
        (3, 2),
    )
    yield case("Normalization", "adapted", _adapted, (3, 2))
    yield case("Discretization", "", lambda x: L.Discretization([-1.0, 0.0, 0.5])(x), (4,))
    for mode in ("one_hot", "multi_hot", "count"):
        yield case(
            "Discretization",
            mode,
            lambda x, m=mode: L.Discretization([-1.0, 0.0, 0.5], output_mode=m)(x),
            (4,),
        )
        shape = (1,) if mode == "one_hot" else (4,)
        yield case(
            "CategoryEncoding",
            mode,
            lambda x, m=mode: L.CategoryEncoding(5, output_mode=m)(x),
            shape,
            dtypes=("int32",),
        )
    for mode in ("nearest", "bilinear", "bicubic", "lanczos3"):
        yield case("Resizing", mode, lambda x, m=mode: L.Resizing(5, 9, m)(x), (7, 6, 2))
    yield case(
        "Resizing", "crop", lambda x: L.Resizing(4, 4, crop_to_aspect_ratio=True)(x), (7, 6, 2)
    )
    yield case(
        "Resizing",
        "pad",
        lambda x: L.Resizing(4, 8, pad_to_aspect_ratio=True, fill_value=0.5)(x),
        (7, 6, 2),
    )
    yield case("Resizing", "antialias", lambda x: L.Resizing(3, 4, antialias=True)(x), (9, 10, 2))
    yield case(
        "Resizing", "first", lambda x: L.Resizing(3, 4, data_format="channels_first")(x), (2, 6, 5)
    )
    yield case("CenterCrop", "", lambda x: L.CenterCrop(3, 4)(x), (6, 7, 2))
    yield case("CenterCrop", "small", lambda x: L.CenterCrop(8, 4)(x), (6, 7, 2))
    yield case(
        "Pipeline", "", lambda x: L.Pipeline([L.Rescaling(0.5), L.RandomFlip()])(x), (4, 4, 3)
    )
    yield case("AutoContrast", "", lambda x: L.AutoContrast((-4, 4))(x), (5, 5, 3))
    yield case("RandomCrop", "", lambda x: L.RandomCrop(6, 7)(x), (6, 7, 3))
    arguments = {
        "RandomBrightness": (0.2,),
        "RandomContrast": (0.2,),
        "RandomRotation": (0.2,),
        "RandomTranslation": (0.2, 0.2),
        "RandomZoom": (0.2,),
        "RandomHue": (0.2,),
        "RandomSaturation": (0.2,),
        "RandomSharpness": (0.2,),
        "RandomPosterization": (4,),
        "RandomColorDegeneration": (0.2,),
        "RandomShear": (0.2, 0.2),
    }
    for name in (
        "AugMix",
        "CutMix",
        "MixUp",
        "RandAugment",
        "RandomColorJitter",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomInvert",
        "RandomPerspective",
        "Solarization",
        *arguments,
    ):
        given = arguments.get(name, ())
        yield case(name, "", lambda x, n=name, a=given: getattr(L, n)(*a)(x), (6, 6, 3), h5=False)
    for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
        yield case(
            "STFTSpectrogram",
            mode,
            lambda x, m=mode: L.STFTSpectrogram(m, 16, 8, padding="same", expand_dims=m == "log")(
                x
            ),
            (64, 2),
        )
    yield case(
        "MelSpectrogram",
        "",
        lambda x: L.MelSpectrogram(64, 16, sampling_rate=800, num_mel_bins=8)(x),
        (256,),
    )
    yield case(
        "MelSpectrogram",
        "power",
        lambda x: L.MelSpectrogram(
            64, 16, 32, sampling_rate=800, num_mel_bins=8, power_to_db=False, mag_exp=1.5
        )(x),
        (256,),
    )
