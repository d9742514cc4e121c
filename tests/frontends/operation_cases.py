"""Rows for operations (`keras.ops`) that functional models call, by the class of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.frontends.layer_case import Case, L, case
from tests.frontends.oracle import keras, sample

O = keras.ops  # noqa: E741


def given(*shape: int) -> np.ndarray:
    """Numbers that a model holds."""
    return sample(shape, "float32", 9)


def neural() -> Iterator[Case]:
    attend = O.dot_product_attention
    q, k = (4, 2, 3), (5, 2, 3)
    name = "DotProductAttention"
    yield case(name, "", lambda q, k: attend(q, k, k), q, k)
    yield case(name, "scale", lambda q, k: attend(q, k, k, scale=0.3), q, k)
    yield case(name, "causal", lambda q, k: attend(q, k, k, is_causal=True), q, k)
    yield case(name, "mask", lambda q, k, m: attend(q, k, k, mask=m > 0), q, k, (1, 1, 5))
    yield case(
        name,
        "all",
        lambda q, k, b, m: attend(q, k, k, bias=b, mask=m > 0, is_causal=True),
        *(q, k, (2, 4, 5), (1, 4, 5)),
    )
    yield case(name, "constant bias", lambda q, k: attend(q, k, k, bias=given(4, 5)), q, k)
    yield case(name, "masked input", lambda q, k: attend(L.Masking()(O.relu(q)), k, k), q, k)
    N = O.layer_normalization
    yield case("LayerNorm", "", lambda x: N(x), (4, 5))
    yield case("LayerNorm", "all", lambda x: N(x, given(5), given(5), epsilon=0.1), (4, 5))
    yield case("LayerNorm", "axes", lambda x: N(x, given(4, 5), axis=(2, 1)), (4, 5))
    yield case("LayerNorm", "middle", lambda x, g: N(x, given(4), given(4), axis=1), (4, 5), (4,))
    yield case("LayerNorm", "rms", lambda x: N(x, given(5), rms_scaling=True), (4, 5))
    yield case("LayerNorm", "ints", lambda x: N(x * 7, given(5) * 9), (4, 5), dtypes=("int32",))
    R = O.rms_normalization
    yield case("RMSNorm", "", lambda x: R(x), (4, 5))
    yield case("RMSNorm", "axis", lambda x: R(x, given(4, 1), axis=1, epsilon=0.2), (4, 5))
    B = O.batch_normalization
    yield case("BatchNorm", "", lambda x: B(x, given(5), abs(given(5)), -1), (4, 5))
    yield case(
        "BatchNorm",
        "all",
        lambda x: B(x, given(4), abs(given(4)), 1, given(4), given(4), epsilon=0.1),
        (4, 5),
    )
    for rank in (1, 2, 3):
        yield from _windows(rank)
    yield case("MultiHot", "", lambda x: O.multi_hot(x, 5), (3,), dtypes=("int32",))
    yield case("MultiHot", "axis", lambda x: O.multi_hot(x, 6, 1), (3, 2), dtypes=("int32",))
    yield case(
        "MultiHot", "bool", lambda x: O.multi_hot(x, 5, dtype="bool"), (3,), dtypes=("int32",)
    )


def _windows(rank: int) -> Iterator[Case]:
    shape, first, label = (6,) * rank + (2,), (2, *(7,) * rank), f"{rank}d"
    three = (3,) * rank
    for name, pool in (
        ("AdaptiveMaxPool", O.adaptive_max_pool),
        ("AdaptiveAveragePool", O.adaptive_average_pool),
    ):
        yield case(name, label, lambda x, p=pool: p(x, (4,) * rank, "channels_last"), shape)
        yield case(
            name, f"{label} first", lambda x, p=pool: p(x, (3,) * rank, "channels_first"), first
        )
    T = O.conv_transpose
    yield case("ConvTranspose", label, lambda x: T(x, given(*three, 4, 2), 2, "same"), shape)
    yield case(
        "ConvTranspose",
        f"{label} first",
        lambda x: T(x, given(*three, 4, 2), 2, "valid", 1, "channels_first"),
        first,
    )
    if rank == 3:
        return
    D, S = O.depthwise_conv, O.separable_conv
    yield case("DepthwiseConv", label, lambda x: D(x, given(*three, 2, 3), 1, "same"), shape)
    yield case(
        "DepthwiseConv",
        f"{label} first",
        lambda x: D(x, given(*three, 2, 1), 1, "valid", "channels_first", 2),
        first,
    )
    point = (*(1,) * rank, 6, 4)
    yield case(
        "SeparableConv", label, lambda x: S(x, given(*three, 2, 3), given(*point), 2, "same"), shape
    )


def operations() -> list[Case]:
    """The whole table."""
    return [*neural()]
