"""Rows for layers that are no windows and no sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.frontends.layer_case import ACTIVATIONS, Case, L, case
from tests.frontends.oracle import keras


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
    yield case(
        "BatchNormalization",
        "mask",
        lambda x: L.LSTM(2)(B()(L.Masking()(keras.ops.relu(x)))),
        (6, 1),
    )
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
