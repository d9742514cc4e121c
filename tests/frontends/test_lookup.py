"""IntegerLookup, which Keras runs on TensorFlow only: against its documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from webconv.frontends.keras import load

IDS = np.array([[12, 1138, 42], [42, 1000, 36]], np.int32)
VOCABULARY = [12, 36, 1138, 42]


def lookup(folder: Path, **config: Any) -> Any:
    layers = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"name": "ids", "batch_shape": [None, 3], "dtype": "int32"},
        },
        {
            "module": "keras.layers",
            "class_name": "IntegerLookup",
            "config": {"name": "l", "trainable": True, "dtype": "int64", **config},
        },
    ]
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": layers},
    }
    path = folder / "m.json"
    path.write_text(json.dumps(model))
    return next(iter(load(path).run({"ids": IDS}).values()))


@pytest.mark.parametrize(
    ("config", "want"),
    [
        ({}, [[1, 3, 4], [4, 0, 2]]),
        ({"mask_token": 0}, [[2, 4, 5], [5, 1, 3]]),
        ({"num_oov_indices": 2}, [[2, 4, 5], [5, 0, 3]]),
        ({"num_oov_indices": 0}, [[0, 2, 3], [3, -1, 1]]),
        ({"output_mode": "multi_hot"}, [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]]),
        (
            {"output_mode": "count", "max_tokens": 6, "pad_to_max_tokens": True},
            [[0, 1, 0, 1, 1, 0], [1, 0, 1, 0, 1, 0]],
        ),
    ],
)
def test_integer_lookup(config: dict[str, Any], want: Any, tmp_path: Path) -> None:
    assert lookup(tmp_path, vocabulary=VOCABULARY, **config).tolist() == want
    with_special = {"vocabulary": [-1, *VOCABULARY]}
    if not config:
        assert lookup(tmp_path, **with_special).tolist() == want


def test_inverted(tmp_path: Path) -> None:
    global IDS  # the places instead of the ids
    ids, IDS = IDS, np.array([[1, 3, 4], [4, 0, 2]], np.int32)
    try:
        got = lookup(tmp_path, vocabulary=VOCABULARY, invert=True).tolist()
    finally:
        IDS = ids
    assert got == [[12, 1138, 42], [42, -1, 36]]
