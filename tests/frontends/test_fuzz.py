"""Hostile configurations give a Program or a WebconvError, never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.frontends.layer_cases import L
from tests.frontends.oracle import built, keras
from webconv.frontends.keras import load
from webconv.ir.errors import GraphError, WebconvError
from webconv.ir.graph import Program

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other


def recurrent(x: Any) -> Any:
    h = L.Masking()(x)
    h = L.Bidirectional(L.LSTM(3, return_sequences=True))(h)
    h = L.TimeDistributed(L.Dense(4, "relu"))(h)
    h = L.RNN([L.GRUCell(2), L.SimpleRNNCell(3)], return_sequences=True)(h)
    y, *states = L.GRU(3, return_state=True)(h)
    return [y, *states, L.Flatten()(L.ConvLSTM1D(2, 2)(L.Reshape((2, 2, 3))(h)))]


def image(x: Any) -> Any:
    h = L.Conv2D(4, 3, 2, "same", activation="relu")(L.ZeroPadding2D(1)(x))
    h = L.BatchNormalization()(L.DepthwiseConv2D(2, depth_multiplier=2)(h))
    h = L.UpSampling2D(2, interpolation="bilinear")(L.MaxPooling2D(2, padding="same")(h))
    h = L.Conv2DTranspose(3, 3, 2, "same")(L.SeparableConv2D(2, 2)(h))
    h = L.AdaptiveAveragePooling2D((2, 2))(L.Resizing(5, 6, "bicubic")(L.Cropping2D(1)(h)))
    return L.Softmax()(L.Permute((2, 1))(L.Reshape((-1, 3))(h)))


def sequence(ids: Any) -> Any:
    h = L.Embedding(9, 4, mask_zero=True)(ids)
    h = L.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    h = L.Add()([h, L.EinsumDense("abc,cd->abd", (5, 4), bias_axes="d")(h)])
    h = L.Concatenate()([L.LayerNormalization()(h), L.PReLU()(h)])
    h = L.Attention(use_scale=True)([h, h]) + keras.ops.mean(h, axis=1, keepdims=True)
    h = keras.ops.transpose(h, (0, 2, 1))[:, ::2, 1:] * 2.0
    return L.Dot(1)([L.GlobalMaxPooling1D()(h), L.GlobalAveragePooling1D()(h)])


def nested(x: Any) -> Any:
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3), L.GroupNormalization(3)])
    h = L.TimeDistributed(inner)(x)
    return L.SpectralNormalization(L.Dense(2))(L.Discretization([0.0, 1.0])(h)[:, 0] + x[:, 1])


BASES = {
    "recurrent": (recurrent, [(4, 3)], ["float32"]),
    "image": (image, [(8, 8, 3)], ["float32"]),
    "sequence": (sequence, [(5,)], ["int32"]),
    "nested": (nested, [(4, 3)], ["float32"]),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """Per model its configuration and a file of weights."""
    folder = tmp_path_factory.mktemp("fuzz")
    made = {}
    for name, (function, shapes, dtypes) in BASES.items():
        model = built(function, shapes, dtypes)
        weights = folder / f"{name}.weights.h5"
        model.save_weights(weights)
        made[name] = (json.loads(model.to_json()), weights)
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 12),
    st.sampled_from([0.5, -1.0, 1e30, 1e-30, float("inf"), float("nan"), 2**31, 2**63, 10**30]),
    st.sampled_from(
        [
            "",
            "same",
            "valid",
            "causal",
            "relu",
            "concat",
            "float16",
            "Dense",
            "GRU",
            "Add",
            "\ud800",
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["class_name", "config", "name", "x"]), inner, max_size=3),
    ),
    max_leaves=5,
)


def mutate(config: Any, data: st.DataObject) -> Any:
    """A few random edits: another value, a part removed, a part put in another's place."""
    config = copy.deepcopy(config)
    for _ in range(data.draw(st.integers(1, 4))):
        paths = list(places(config))
        if not paths:
            break
        path = paths[data.draw(st.integers(0, len(paths) - 1))]
        parent = config
        for key in path[:-1]:
            parent = parent[key]
        kind = data.draw(st.sampled_from(["value", "value", "remove", "copy"]))
        if kind == "value":
            parent[path[-1]] = data.draw(VALUES)
        elif kind == "remove":
            del parent[path[-1]]
        else:
            source: Any = config
            for key in paths[data.draw(st.integers(0, len(paths) - 1))]:
                source = source[key]
            parent[path[-1]] = copy.deepcopy(source)
    return config


@pytest.mark.parametrize("name", BASES)
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_configs(
    name: str, data: st.DataObject, bases: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    config, weights = bases[name]
    path = tmp_path / "model.json"
    path.write_text(json.dumps(mutate(config, data)))
    try:
        result: object = load(path, weights=weights)
    except WebconvError as e:
        result = e
    assert not isinstance(result, GraphError)
    assert isinstance(result, Program) or str(result)
