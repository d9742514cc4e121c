"""Layers as the Keras of TensorFlow 2 writes them, where Keras 3 does something else with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.layer_cases import L
from tests.frontends.oracle import Array, assert_close, sample
from tests.frontends.test_older import functional, one, output, random, write
from webconv.frontends.keras import load
from webconv.ir.graph import Program

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other


def called_with(
    folder: Path,
    class_name: str,
    config: Mapping[str, Any],
    call: Sequence[Any],
    shapes: Mapping[str, Sequence[int | None]],
    arrays: Sequence[Array],
) -> Program:
    """A functional model of one layer `it`; `call` says what it does with the inputs."""
    layers: list[dict[str, Any]] = [
        {
            "class_name": "InputLayer",
            "name": name,
            "config": {"name": name, "batch_input_shape": list(shape), "dtype": "float32"},
            "inbound_nodes": [],
        }
        for name, shape in shapes.items()
    ]
    own = {"name": "it", **config}
    it = {"class_name": class_name, "name": "it", "config": own, "inbound_nodes": [call]}
    model = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [*layers, it],
            "input_layers": [[name, 0, 0] for name in shapes],
            "output_layers": [["it", 0, 0]],
        },
    }
    return load(write(folder / "m.h5", model, {"it": arrays}, "2.15.0", "tensorflow"))


@pytest.mark.parametrize("shape", [[None, 4, 6], {"class_name": "TensorShape", "items": [None, 6]}])
def test_multi_head_attention_of_tf_keras(shape: object, tmp_path: Path) -> None:
    """Shapes stand in its config; rows that attend to nothing attend to all, with dropout too."""
    config = {
        "num_heads": 2,
        "key_dim": 3,
        "value_dim": 3,
        "dropout": 0.1,
        "attention_axes": [1],
        "softmax_robust_masking": False,
        **dict.fromkeys(("query_shape", "key_shape", "value_shape"), shape),
    }
    into, out = [random(6, 2, 3), random(2, 3)], [random(2, 3, 6), random(6)]
    weights = [*into * 3, *out]
    call = [["q", 0, 0, {"value": ["v", 0, 0], "attention_mask": ["m", 0, 0]}]]
    shapes = {"q": [None, 4, 6], "v": [None, 5, 6], "m": [None, 4, 5]}
    program = called_with(tmp_path, "MultiHeadAttention", config, call, shapes, weights)
    q, v = sample((2, 4, 6), "float32"), sample((2, 5, 6), "float32", 2)
    mask = (sample((2, 4, 5), "float32", 3) > 0).astype("float32")
    mask[0, 1] = 0
    layer = L.MultiHeadAttention(2, 3)
    layer.build((2, 4, 6), (2, 5, 6))
    layer.set_weights(weights)
    want = np.asarray(layer(q, v, attention_mask=mask.astype(bool)))
    assert_close(output(program, q, v, mask), want)


def test_stateful_with_states_that_are_given(tmp_path: Path) -> None:
    """tf.keras takes what is given where the last run left zeros, and goes on from that else."""
    weights = [random(3, 6), random(2, 6), random(2, 6)]
    config = {"units": 2, "stateful": True, "recurrent_activation": "sigmoid", "reset_after": True}
    call = [["x", 0, 0, {"initial_state": [["h", 0, 0]]}]]
    shapes = {"x": [2, 4, 3], "h": [2, 2]}
    program = called_with(tmp_path, "GRU", config, call, shapes, weights)
    plain = L.GRU(2)
    plain.build((2, 4, 3))
    plain.set_weights(weights)
    h, held = sample((2, 2), "float32"), dict[str, Array]()
    before = h
    for k in range(3):
        x = sample((2, 4, 3), "float32", k)
        before = np.asarray(plain(x, initial_state=before))
        (got,) = program.run({"x": x, "h": h}, states=held).values()
        assert_close(got, before)


def test_a_sum_of_which_one_term_has_a_mask(tmp_path: Path) -> None:
    """The mask is that of the sum, too; in Keras 3 there would be none."""
    gru = {"name": "gru", "units": 2, "recurrent_activation": "sigmoid", "reset_after": True}
    entries = (
        ("Masking", {"name": "masking", "mask_value": 0.0}, [["x", 0, 0, {}]]),
        ("Add", {"name": "add"}, [["masking", 0, 0, {}], ["x", 0, 0, {}]]),
        ("GRU", gru, [["add", 0, 0, {}]]),
    )
    layers = [
        {"class_name": c, "name": config["name"], "config": config, "inbound_nodes": [node]}
        for c, config, node in entries
    ]
    weights = [random(3, 6), random(2, 6), random(2, 6)]
    program = functional(tmp_path, layers, [["gru", 0, 0]], {"gru": weights})
    x = sample((2, 4, 3), "float32")
    x[0, 2:] = 0
    x[1, 0] = 0
    layer = L.GRU(2)
    layer.build(x.shape)
    layer.set_weights(weights)
    assert_close(output(program, x), np.asarray(layer(2 * x, mask=(x != 0).any(-1))))


@pytest.mark.parametrize("mode", ["concat", None])
def test_directions_of_different_sizes(mode: str | None, tmp_path: Path) -> None:
    weights = [
        [random(3, 12), random(4, 12), random(2, 12)],
        [random(3, 8), random(2, 8), random(8)],
    ]
    layers = [
        ("GRU", {"name": "forward_it", "units": 4, "reset_after": True}),
        ("LSTM", {"name": "backward_it", "units": 2, "go_backwards": True}),
    ]
    entries = [
        {"class_name": n, "config": {**c, "recurrent_activation": "sigmoid"}} for n, c in layers
    ]
    config = {"layer": entries[0], "backward_layer": entries[1], "merge_mode": mode}
    arrays = weights[0] + weights[1]
    program = one(tmp_path, "Bidirectional", config, arrays, (5, 3), "2.15.0")
    x = sample((2, 5, 3), "float32")
    forward, backward = L.GRU(4), L.LSTM(2, go_backwards=True)
    want = []
    for layer, found in zip((forward, backward), weights, strict=True):
        layer.build(x.shape)
        layer.set_weights(found)
        want.append(np.asarray(layer(x)))
    (*got,) = program.run(dict(zip(program.main.inputs, [x], strict=True))).values()
    want = [np.concatenate(want, -1)] if mode else want
    for g, w in zip(got, want, strict=True):
        assert_close(g, w)
