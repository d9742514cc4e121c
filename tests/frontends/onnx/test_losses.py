"""Losses of classification, beside onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontends.onnx.against_onnxruntime import agree

Array = Any
RNG = np.random.default_rng(13)
CLASSES = 5


def inputs(shape: tuple[int, ...], ignored: int | None, weighted: bool) -> dict[str, Array]:
    """Scores [3, 5, ...], targets, and weights of the classes."""
    target = RNG.integers(0, CLASSES, (3, *shape))
    if ignored is not None:
        target.flat[::3] = ignored
    weights = np.abs(RNG.normal(size=CLASSES)).astype(np.float32)
    scores = RNG.normal(size=(3, CLASSES, *shape)).astype(np.float32) * 3
    return {"x": scores, "target": target, **({"weights": weights} if weighted else {})}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignored", [None, 2, -1, 100])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_losses(
    reduction: str, ignored: int | None, weighted: bool, shape: tuple[int, ...]
) -> None:
    given = inputs(shape, ignored, weighted)
    options: dict[str, Any] = {"reduction": reduction, "opset": 13}
    if ignored is not None:
        options["ignore_index"] = ignored
    names = {"x": ["n", CLASSES, *(f"s{k}" for k in range(len(shape)))]}
    agree("NegativeLogLikelihoodLoss", given, shapes=names, **options)
    agree("SoftmaxCrossEntropyLoss", given, outputs=2, **options)


def test_labels_of_32_bits() -> None:
    given = inputs((4,), None, True)
    given["target"] = given["target"].astype(np.int32)
    agree("SoftmaxCrossEntropyLoss", given, opset=12)
