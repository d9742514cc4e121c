"""Rows for operations (`keras.ops`) that functional models call, by the class of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


def edges(x: Any) -> Any:
    """x, and what may be NaN, an infinity, or -0."""
    return O.concatenate([x, O.log(x), O.log(O.relu(x)), 1 / O.relu(-x), x * 0.0], -1)


def elementwise() -> Iterator[Case]:
    ints = ("int32",)
    for name, function in UNARY.items():
        yield case(name, "", lambda x, f=function: f(edges(x)), (4, 5))
        yield case(name, "ints", lambda x, f=function: f(x - 2), (4, 5), dtypes=ints)
    for name in ("Cbrt", "Sinc"):
        function = UNARY[name]
        yield case(name, "wide", lambda x, f=function: f(x), (4, 5), dtypes=("int64",))
    for name, function in BOOLS.items():
        yield case(name, "bool", lambda x, y, f=function: f(x > 0, y > 0), (4, 5), (4, 5))
    yield case("BitwiseNot", "bool", lambda x: O.bitwise_not(x > 0), (4, 5))
    yield case("Square", "bool", lambda x: O.square(x > 0), (4, 5))
    yield case("Trunc", "ints", lambda x: O.trunc(x), (4, 5), dtypes=ints)
    yield case("Signbit", "bool", lambda x: O.signbit(x > 0), (4, 5))
    for name, function in BINARY.items():
        two = (4, 3), (4, 3)
        yield case(name, "", lambda x, y, f=function: f(edges(x), edges(y)), *two)
        yield case(name, "equal", lambda x, f=function: f(edges(x), edges(x)), (4, 3))
        yield case(name, "mixed", lambda x, y, f=function: f(x, y), *two, dtypes=(*ints, "float32"))
        if name not in ("Isclose", "Logaddexp", "Logaddexp2"):
            yield case(name, "ints", lambda x, y, f=function: f(x - 2, y), *two, dtypes=ints * 2)
    yield case("Isclose", "wide", lambda x, y: O.isclose(x, y, 0.2, 0.1), (4, 9), (4, 9))
    yield case("Isclose", "nan", lambda x: O.isclose(edges(x), edges(x), equal_nan=True), (4, 9))
    yield case("NanToNum", "all", lambda x: O.nan_to_num(edges(x), 1.0, 2.0, 3.0), (4, 5))


UNARY: dict[str, Callable[..., Any]] = {
    "Fabs": O.fabs,
    "Cbrt": O.cbrt,
    "Sinc": O.sinc,
    "Signbit": O.signbit,
    "NanToNum": O.nan_to_num,
    "Conjugate": O.conj,
    "Imag": O.imag,
    "Isreal": O.isreal,
}
BOOLS: dict[str, Callable[..., Any]] = {
    "BitwiseAnd": O.bitwise_and,
    "BitwiseOr": O.bitwise_or,
    "BitwiseXor": O.bitwise_xor,
    "Heaviside": O.heaviside,
}
BINARY: dict[str, Callable[..., Any]] = {
    "Heaviside": O.heaviside,
    "Fmax": O.fmax,
    "Fmin": O.fmin,
    "Logaddexp": O.logaddexp,
    "Logaddexp2": O.logaddexp2,
    "Isclose": O.isclose,
}


def reductions() -> Iterator[Case]:
    some: dict[str, Callable[..., Any]] = {
        "Nansum": O.nansum,
        "Nanmean": O.nanmean,
        "Nanmax": O.nanmax,
        "Nanmin": O.nanmin,
        "Median": O.median,
    }
    for name, f in some.items():
        yield case(name, "", lambda x, f=f: f(x), (4, 5))
        yield case(name, "axis", lambda x, f=f: f(O.log(x), axis=1), (6, 2))
        yield case(name, "axes", lambda x, f=f: f(O.log(x + 1), (3, 1), True), (2, 3, 2))
        yield case(name, "ints", lambda x, f=f: f(x - 2, -1), (4, 5), dtypes=("int32",))
        yield case(name, "keep", lambda x, f=f: f(x, keepdims=True), (3, 2))
    yield case(
        "Nansum", "small", lambda x: O.nansum(O.cast(x, "uint8"), 1), (4,), dtypes=("int32",)
    )
    for name, q, f in (("Quantile", 1.0, O.quantile), ("Percentile", 100.0, O.percentile)):
        yield case(name, "", lambda x, q=q, f=f: f(x, 0.3 * q, 1), (6, 2))
        yield case(
            name, "list", lambda x, q=q, f=f: f(x, [0, 0.25 * q, q], -1, "linear", True), (7,)
        )
        yield case(name, "axes", lambda x, q=q, f=f: f(O.log(x + 1), [0.9 * q], (1, 2)), (3, 2))
        yield case(name, "ints", lambda x, q=q, f=f: f(x, 0.5 * q, -1), (8,), dtypes=("int32",))
    for name, f in (("Cumsum", O.cumsum), ("Cumprod", O.cumprod)):
        yield case(name, "", lambda x, f=f: f(x, 1), (4, 5))
        yield case(name, "flat", lambda x, f=f: f(x), (4, 2))
        yield case(name, "bool", lambda x, f=f: f(x > 0, -1), (5,))
        yield case(
            name, "small", lambda x, f=f: f(O.cast(x * 50, "int8"), -1), (5,), dtypes=("int32",)
        )
        yield case(name, "dtype", lambda x, f=f: f(x + 0.5, -1, "int32"), (5,))
    yield case("Sum", "small", lambda x: O.sum(O.cast(x * 60, "uint8"), 1), (9,), dtypes=("int32",))
    yield case("Prod", "dtype", lambda x: O.prod(x, 1, dtype="float32"), (9,), dtypes=("int32",))
    yield case("Logsumexp", "infinite", lambda x: O.logsumexp(O.log(O.relu(x)), 1), (2, 5))


def matrices() -> Iterator[Case]:
    ints = ("int32",)
    for k in (-2, 0, 1):
        yield case("Diag", f"vector {k}", lambda x, k=k: O.diag(O.ravel(x), k), (3,))
        yield case("Diag", f"matrix {k}", lambda x, k=k: O.diag(x, k), (5,))
        yield case("Diagonal", f"{k}", lambda x, k=k: O.diagonal(x, k, 1, 2), (4, 3))
        yield case("Trace", f"{k}", lambda x, k=k: O.trace(x, k, -1, 1), (4, 2, 3))
    yield case("Diagonal", "batch", lambda x: O.diagonal(x), (4, 3))
    yield case("Trace", "small", lambda x: O.trace(O.cast(x, "int8")), (2, 3), dtypes=ints)
    for k in (-1, 0, 1, 2, 3):
        yield case("Rot90", f"{k}", lambda x, k=k: O.rot90(x, k, (2, 1)), (4, 3))
    yield case("Rot90", "batch", lambda x: O.rot90(x), (4, 3))
    yield case("Flipud", "", lambda x: O.flipud(x), (4, 3))
    yield case("Fliplr", "", lambda x: O.fliplr(x), (4, 3))
    yield case("Inner", "", lambda x, y: O.inner(x, y), (4, 3), (2, 3))
    yield case("Inner", "number", lambda x: O.inner(x, 3), (4, 3))
    yield case("Inner", "mixed", lambda x: O.inner(x, given(2, 3)), (3,), dtypes=ints)
    yield case("Vdot", "", lambda x, y: O.vdot(x, y), (4, 3), (4, 3))
    yield case("Kron", "", lambda x, y: O.kron(x, y), (4, 3), (2, 5))
    yield case("Kron", "vector", lambda x: O.kron(x, given(2)), (3,))
    yield case("Cross", "", lambda x, y: O.cross(x, y), (4, 3), (1, 3))
    yield case("Cross", "axes", lambda x, y: O.cross(x, y, 1, 2, 1), (3, 4), (4, 3))
    yield case("Cross", "axis", lambda x, y: O.cross(x, y, axis=1), (3, 4), (3, 4))
    yield case("Cross", "plane", lambda x, y: O.cross(x, y), (4, 2), (4, 2))
    yield case("Cross", "half", lambda x, y: O.cross(x, y), (4, 2), (4, 3))


def pieces() -> Iterator[Case]:
    ints = ("int32",)
    yield case("Hsplit", "", lambda x: O.hsplit(x, 2), (4, 3))
    yield case("Hsplit", "indices", lambda x: O.hsplit(x, (1, 3)), (4, 3))
    yield case("Vsplit", "", lambda x: O.vsplit(x, (1,)), (4, 3))
    yield case("Dsplit", "", lambda x: O.dsplit(x, 3), (4, 3))
    yield case("ArraySplit", "", lambda x: O.array_split(x, 3, -1), (4, 5))
    yield case("ArraySplit", "batch", lambda x: O.array_split(x, 3), (4,))
    yield case("Slice", "", lambda x: O.slice(x, (0, 1, 2), (2, 3, 1)), (4, 5))
    update = O.slice_update
    yield case("SliceUpdate", "", lambda x, y: update(x * 1, (0, 1, 2), y), (4, 5), (3, 1))
    yield case("SliceUpdate", "part", lambda x: update(x * 1, (1, 0), given(1, 3)), (4,))
    yield case("SliceUpdate", "ints", lambda x: update(x * 1, [0, 2], x[:, :2]), (4,), dtypes=ints)
    yield case("Append", "", lambda x, y: O.append(x, y, 1), (4, 3), (1, 3))
    yield case(
        "Append", "flat", lambda x, y: O.append(x, y), (4, 3), (1,), dtypes=(*ints, "float32")
    )
    yield case("Dstack", "", lambda x, y: O.dstack([x, y, x]), (4,), (4,))
    yield case("Dstack", "deep", lambda x, y: O.dstack([x, y]), (4, 3), (4,))
    yield case("Dstack", "vectors", lambda x, y: O.dstack([O.ravel(x), O.ravel(y)]), (4,), (4,))
    yield case("Diff", "", lambda x: O.diff(x), (4, 3))
    yield case("Diff", "twice", lambda x: O.diff(x, 2, 1), (4, 3))
    yield case("Diff", "all", lambda x: O.diff(x, 5), (4, 3))
    yield case("Diff", "bool", lambda x: O.diff(x > 0), (6,))
    yield case("Full", "", lambda x: O.full((3, 2), O.sum(x)), (4,))
    yield case("Full", "row", lambda x: O.full((3, 4), x[0], "int32"), (4,))
    yield case("Linspace", "", lambda x, y: O.linspace(x, y, 5), (4,), (4,))
    yield case("Linspace", "open", lambda x: O.linspace(x, 2, 4, False, axis=-1), (4,), dtypes=ints)
    yield case("Linspace", "one", lambda x, y: O.linspace(x, y, 1, axis=1), (3, 4), (1, 4))
    yield case(
        "Meshgrid", "", lambda x, y: O.meshgrid(x[0], y), (4,), (3,), dtypes=(*ints, "float32")
    )
    yield case("Meshgrid", "ij", lambda x, y: O.meshgrid(x, y, x, indexing="ij"), (2,), (3,))


def operations() -> list[Case]:
    """The whole table."""
    return [*neural(), *elementwise(), *reductions(), *matrices(), *pieces()]
