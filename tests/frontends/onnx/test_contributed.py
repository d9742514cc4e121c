"""onnxruntime's own operators against onnxruntime, with random weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ShapeError, UnsupportedError

Array = Any


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def check(operator: str, inputs: dict[str, Array | None], **options: Any) -> None:
    agree(operator, inputs, domain="com.microsoft", **options)


@pytest.mark.parametrize("a", [0, 1])
@pytest.mark.parametrize("b", [0, 1])
def test_fused_matmul(a: int, b: int) -> None:
    x = normal(2, 3, 5, 4) if a else normal(2, 3, 4, 5)
    y = normal(2, 3, 6, 5, seed=1) if b else normal(2, 3, 5, 6, seed=1)
    check("FusedMatMul", {"x": x, "y": y}, transA=a, transB=b, alpha=0.5)
    check("FusedMatMul", {"x": x, "y": y[0, 0]}, weights=["y"], transA=a, transB=b)


@pytest.mark.parametrize("flags", [(1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 1, 0), (1, 1, 0, 1)])
def test_fused_matmul_moves_the_first_axis(flags: tuple[int, ...]) -> None:
    batch_a, batch_b, a, b = flags
    x = normal(3, *((4, 5) if not a else (5, 4)))
    y = normal(3, *((5, 6) if not b else (6, 5)), seed=1)
    x = np.moveaxis(x, -2, 0) if batch_a else x
    y = np.moveaxis(y, -2, 0) if batch_b else y
    names = {"transBatchA": batch_a, "transBatchB": batch_b, "transA": a, "transB": b}
    check("FusedMatMul", {"x": np.ascontiguousarray(x), "y": np.ascontiguousarray(y)}, **names)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Tanh", {}),
        ("LeakyRelu", {"activation_alpha": 0.3}),
        ("Elu", {"activation_alpha": 0.7}),
        ("HardSigmoid", {"activation_alpha": 0.1, "activation_beta": 0.4}),
        ("Softplus", {}),
        ("Softsign", {}),
        ("ThresholdedRelu", {"activation_alpha": 0.5}),
    ],
)
def test_fused_gemm(name: str, parameters: dict[str, float]) -> None:
    inputs = {"a": normal(3, 4), "b": normal(5, 4, seed=1), "c": normal(5, seed=2)}
    check("FusedGemm", inputs, weights=["b"], activation=name, transB=1, **parameters)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("Relu", []), ("Clip", [-0.5, 0.5]), ("LeakyRelu", [0.3]), ("HardSigmoid", [0.1, 0.4])],
)
def test_fused_conv(name: str, parameters: list[float]) -> None:
    inputs = {"x": normal(1, 3, 6, 6), "w": normal(4, 3, 3, 3, seed=1), "b": normal(4, seed=2)}
    more: dict[str, Any] = {"activation_params": parameters} if parameters else {}
    check("FusedConv", inputs, activation=name, pads=[1, 1, 1, 1], **more)
    check("FusedConv", {**inputs, "z": normal(1, 4, 4, 4, seed=3)}, activation="Relu")


def test_gelus() -> None:
    x = 3 * normal(3, 7)
    check("Gelu", {"x": x})
    check("BiasGelu", {"x": x, "b": normal(7, seed=1)})
    check("FastGelu", {"x": x})
    check("FastGelu", {"x": x, "b": normal(7, seed=1)})
    check("QuickGelu", {"x": x})
    check(
        "QuickGelu",
        {
            "x": x,
        },
        alpha=0.5,
    )


def computed(operator: str, inputs: dict[str, Array], **options: Any) -> list[Array]:
    """For operators that onnxruntime has on GPUs only: our outputs, the same on wasm."""
    program = convert(model(operator, inputs, domain="com.microsoft", **options), Path(), {}, {})
    want, got = program.run(inputs), run_program(program, inputs)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], 1e-5, 1e-5)
    return list(want.values())


def test_split_gelu_and_bias() -> None:
    x, bias = normal(2, 3, 8), normal(8, seed=1)
    left, right = np.split((x + bias).astype(float), 2, -1)
    want = left * right * 0.5 * (1 + np.vectorize(math.erf)(right / np.sqrt(2)))
    np.testing.assert_allclose(computed("BiasSplitGelu", {"x": x, "b": bias})[0], want, 1e-6, 1e-6)
    skip = normal(2, 3, 8, seed=2)
    (got,) = computed("BiasAdd", {"x": x, "b": bias, "skip": skip})
    np.testing.assert_allclose(got, x + bias + skip, 1e-6, 1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_cdist(metric: str) -> None:
    check("CDist", {"a": normal(5, 4), "b": normal(3, 4, seed=1)}, metric=metric)


def test_expand_dims_pad_and_trilu() -> None:
    x = normal(3, 4)
    for axis in (0, 1, -1):
        check("ExpandDims", {"x": x, "axis": np.int32(axis)}, weights=["axis"])
    pads = np.array([0, 1, 2, -1])
    value = np.float32([1.5])
    check("Pad", {"x": x, "pads": pads, "value": value}, weights=["pads", "value"])
    check("Pad", {"x": x, "pads": abs(pads)[None]}, weights=["pads"], mode="reflect")
    for k in (-2, 0, 1):
        check("Trilu", {"x": x, "k": np.int64(k)}, weights=["k"], upper=0)
        check("Trilu", {"x": x, "k": np.int64(k)}, weights=["k"])


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_inverse(n: int) -> None:
    check("Inverse", {"x": normal(2, n, n, seed=n)}, rtol=1e-4, atol=1e-4)


def test_inverse_swaps_rows() -> None:
    x = np.float32([[0, 2, 0], [0, 0, 4], [1, 0, 0]])
    check("Inverse", {"x": x[None]})


def test_layer_normalization() -> None:
    x, scale, bias = normal(2, 5, 8), normal(8, seed=1), normal(8, seed=2)
    check("SkipLayerNormalization", {"x": x, "skip": normal(2, 5, 8, seed=3), "gamma": scale})
    skips = normal(2, 5, 8, seed=3), normal(1, 5, 8, seed=3), normal(5, 8, seed=3)
    for skip in skips:
        inputs = {"x": x, "skip": skip, "gamma": scale, "beta": bias, "bias": normal(8, seed=4)}
        check("SkipLayerNormalization", inputs, epsilon=1e-3)
    agree("SimplifiedLayerNormalization", {"x": x, "scale": scale}, axis=-1, epsilon=1e-3)
    simple = {"x": x, "skip": skips[0], "gamma": scale, "bias": bias}
    check("SkipSimplifiedLayerNormalization", simple, epsilon=1e-3)


@pytest.mark.parametrize("name", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_sum_before_normalization(name: str) -> None:
    inputs = {"x": normal(2, 5, 8), "skip": normal(2, 5, 8, seed=1), "gamma": normal(8, seed=2)}
    made = model(name, inputs, domain="com.microsoft", outputs=4)
    for output in made.graph.output[1:3]:
        output.name = ""
    del made.graph.output[1:3]
    made.graph.node[0].output[1] = made.graph.node[0].output[2] = ""
    got = convert(made, Path(), {}, {}).run(inputs)
    np.testing.assert_allclose(got["y3"], inputs["x"] + inputs["skip"], 1e-6)


def test_layer_normalization_statistics() -> None:
    inputs = {"x": normal(2, 5, 8) + 1, "skip": normal(2, 5, 8, seed=1), "gamma": normal(8, seed=2)}
    _, mean, inverse, _ = computed("SkipLayerNormalization", inputs, outputs=4)
    total = (inputs["x"] + inputs["skip"]).astype(float)
    np.testing.assert_allclose(mean[..., 0], total.mean(-1), 1e-5, 1e-6)
    np.testing.assert_allclose(inverse[..., 0], 1 / total.std(-1), 1e-5)


@pytest.mark.parametrize("segments", [True, False])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("places", [True, False])
def test_embed_layer_normalization(segments: bool, mask: bool, places: bool) -> None:
    random = np.random.default_rng(0)
    ids = random.integers(0, 11, (2, 5)).astype(np.int32)
    inputs: dict[str, Array | None] = {
        "ids": ids,
        "segments": (ids % 2).astype(np.int32) if segments else None,
        "words": normal(11, 8),
        "places": normal(6, 8, seed=1),
        "segment_table": normal(2, 8, seed=2) if segments else None,
        "gamma": normal(8, seed=3),
        "beta": normal(8, seed=4),
        "mask": np.int32([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]) if mask else None,
        "position_ids": random.integers(0, 6, (2, 5)).astype(np.int32) if places else None,
    }
    weights = [
        n for n in ("words", "places", "segment_table", "gamma", "beta") if inputs[n] is not None
    ]
    while list(inputs.values())[-1] is None:
        inputs.popitem()
    check("EmbedLayerNormalization", inputs, weights=weights, outputs=3, epsilon=1e-5)


@pytest.mark.parametrize("last", [True, False])
def test_group_norm(last: bool) -> None:
    x, gamma, beta = normal(2, 3, 5, 8), normal(8, seed=1), normal(8, seed=2)
    given = {"x": x if last else np.moveaxis(x, -1, 1), "gamma": gamma, "beta": beta}
    options = {"groups": 4, "activation": 1, "channels_last": int(last), "epsilon": 1e-3}
    (got,) = computed("GroupNorm", given, **options)
    rows = x.astype(float).reshape(2, 15, 4, 2)
    y = (rows - rows.mean((1, 3), keepdims=True)) / np.sqrt(rows.var((1, 3), keepdims=True) + 1e-3)
    y = y.reshape(x.shape) * gamma + beta
    want = y / (1 + np.exp(-y))
    np.testing.assert_allclose(got if last else np.moveaxis(got, 1, -1), want, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "error", "message"),
    [
        ("FusedGemm", ((2, 3), (3, 2)), {"activation": "Foo"}, UnsupportedError, "'Foo'"),
        ("CDist", ((2, 3), (4, 3)), {"metric": "cosine"}, UnsupportedError, "'cosine'"),
        ("BiasSplitGelu", ((1, 2, 3), (3,)), {}, ShapeError, "two halves"),
        ("Inverse", ((2, 3),), {}, ShapeError, "square"),
        (
            "GroupNorm",
            ((1, 2, 2, 6), (6,), (6,)),
            {"groups": 4, "activation": 0},
            ShapeError,
            "4 groups",
        ),
    ],
)
def test_refused(
    operator: str,
    inputs: tuple[tuple[int, ...], ...],
    attributes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    given = {f"x{k}": normal(*shape) for k, shape in enumerate(inputs)}
    with pytest.raises(error, match=message):
        convert(model(operator, given, domain="com.microsoft", **attributes), Path(), {}, {})
