"""How layers are connected: shared, nested, several inputs and outputs, names, states, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.conftest import require_models
from tests.frontends.layer_cases import L
from tests.frontends.oracle import (
    assert_close,
    called,
    check,
    compare,
    keras,
    randomise,
    sample,
    saved,
)
from webconv.frontends.keras import load
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Constant, Program

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other
BOTH = (".keras", ".h5")


def model_of(inputs: Any, outputs: Any, **arguments: Any) -> Any:
    model = keras.Model(inputs, outputs, **arguments)
    randomise(model)
    return model


def constants(program: Program) -> list[Constant]:
    return [n.op for n in program.main.nodes if isinstance(n.op, Constant) and n.op.array.ndim > 1]


def test_shared_layer_has_one_constant(tmp_path: Path) -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    dense = L.Dense(4, name="shared")
    model = model_of([a, b], dense(L.Add()([dense(a), dense(dense(b))])))
    arrays = [sample((2, 4), "float32", k) for k in range(2)]
    program = check(model, arrays, tmp_path, BOTH)
    assert list(program.main.inputs) == ["a", "b"]
    assert len(constants(program)) == 1
    assert program.parameters == 20


def test_nested_and_shared_models(tmp_path: Path) -> None:
    inner_in = keras.Input((5, 3))
    normal = L.BatchNormalization()(inner_in)
    inner = keras.Model(inner_in, [L.LSTM(4)(normal), L.Dense(2)(normal)], name="inner")
    last = keras.Sequential([keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.Dense(2)])
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    p, q = inner(x)
    r, _ = inner(y)
    model = model_of([x, y], [last(L.Add()([p, r])), q, last(p)])
    arrays = [sample((2, 5, 3), "float32", k) for k in range(2)]
    check(model, arrays, tmp_path, BOTH)


def test_model_in_model_in_model(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(3, "tanh")])
    for depth in range(4):
        if depth % 2:
            model = keras.Sequential([keras.Input((3,)), model, L.BatchNormalization()])
        else:
            x = keras.Input((3,))
            model = keras.Model(x, L.Dense(3)(model(x)))
    randomise(model)
    check(model, [sample((2, 3), "float32")], tmp_path, BOTH)


def test_frozen_layers_change_the_order_of_weights(tmp_path: Path) -> None:
    inner = keras.Sequential(
        [keras.Input((3,)), L.Dense(3, trainable=False), L.BatchNormalization(), L.Dense(3)]
    )
    x = keras.Input((3,))
    model = model_of(x, L.Dense(2)(inner(x)))
    check(model, [sample((2, 3), "float32")], tmp_path, BOTH)


def test_dict_inputs_and_outputs(tmp_path: Path) -> None:
    inputs = {"b": keras.Input((3,), name="b"), "a": keras.Input((3,), name="a")}
    outputs = {"sum": L.Add()([inputs["a"], inputs["b"]]), "less": L.Dense(2)(inputs["a"])}
    model = model_of(inputs, outputs)
    arrays = {k: sample((2, 3), "float32", n) for n, k in enumerate("ab")}
    program = load(saved(model, tmp_path, ".keras"))
    assert (list(program.main.inputs), list(program.main.outputs)) == (["a", "b"], ["less", "sum"])
    want = model({k: keras.ops.convert_to_tensor(v) for k, v in arrays.items()})
    for name, got in program.run(arrays).items():
        assert_close(got, np.asarray(want[name]), name)


def test_names_of_outputs(tmp_path: Path) -> None:
    x = keras.Input((5, 3), name="x")
    outputs = L.LSTM(2, return_sequences=True, return_state=True, name="lstm")(x)
    model = model_of(x, [*outputs, L.Dense(1, name="lstm_1")(x), x])
    program = check(model, [sample((2, 5, 3), "float32")], tmp_path, BOTH)
    assert list(program.main.outputs) == ["lstm", "lstm_2", "lstm_3", "lstm_1", "x"]


def test_sequential_names(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,), name="ids"), L.Dense(2, name="probs")])
    program = load(saved(model, tmp_path, ".keras"))
    assert (list(program.main.inputs), list(program.main.outputs)) == (["ids"], ["probs"])


def test_sequential_without_input_layer(tmp_path: Path) -> None:
    model = keras.Sequential([L.Dense(2, name="input"), L.ReLU()])
    path, weights = tmp_path / "model.json", tmp_path / "model.weights.h5"
    path.write_text(model.to_json())
    model.build((None, 3))
    randomise(model)
    model.save_weights(weights)
    with pytest.raises(ShapeError, match=r"the file does not say its shape; give .*input_=batch"):
        load(path, weights=weights)
    program = load(path, weights=weights, input_shapes={"input_": (2, 3)})
    assert list(program.main.outputs) == ["output"]
    compare(program, [array := sample((2, 3), "float32")], called(model, [array]), "json")


def test_nodes_are_named_after_layers(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((4,)), L.Embedding(5, 3, name="words"), L.LSTM(2, name="lstm_1")]
    )
    program = load(saved(model, tmp_path, ".keras"))
    names = {n.name for n in program.main.nodes if not isinstance(n.op, Constant)}
    assert names == {*program.main.inputs, "words", "lstm_1"}


def test_unused_branches_go(tmp_path: Path) -> None:
    x = keras.Input((3,))
    dense = L.Dense(4)
    L.Dense(2)(dense(x))
    model = model_of(x, dense(x))
    assert len(load(saved(model, tmp_path, ".keras")).main.nodes) == 5


@pytest.mark.parametrize("suffix", BOTH)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Bidirectional", "stacked"])
def test_stateful(kind: str, suffix: str, tmp_path: Path) -> None:
    layers = {
        "LSTM": lambda: L.LSTM(3, stateful=True),
        "GRU": lambda: L.GRU(3, stateful=True, return_sequences=True, go_backwards=True),
        "Bidirectional": lambda: L.Bidirectional(L.LSTM(3, stateful=True)),
        "stacked": lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2)], stateful=True),
    }
    model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), layers[kind]()])
    randomise(model)
    program = load(saved(model, tmp_path, suffix))
    assert len(program.states) == {"LSTM": 2, "GRU": 1, "Bidirectional": 4, "stacked": 3}[kind]
    states: dict[str, Any] = {}
    name = next(iter(program.main.inputs))
    model.reset_states() if hasattr(model, "reset_states") else None
    for run in range(3):
        array = sample((2, 4, 3), "float32", run)
        want = called(model, [array])
        got = program.run({name: array}, states=states)
        assert_close(next(iter(got.values())), want[0], f"run {run}")
    assert set(states) == {s.name for s in program.states}


def lstm_step(x: Any, h: Any, c: Any, weights: list[Any]) -> tuple[Any, Any]:
    w, r, b = weights
    i, f, g, o = np.split(x @ w + h @ r + b, 4, -1)
    i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


@pytest.mark.parametrize("backend", ["tensorflow", "numpy"])
@pytest.mark.parametrize("sequences", [True, False])
def test_masked_steps_before_any_valid_one(backend: str, sequences: bool, tmp_path: Path) -> None:
    """TensorFlow gives 0 there; the JAX and NumPy backends give the initial state."""
    x, h, c = keras.Input((4, 3)), keras.Input((2,)), keras.Input((2,))
    mask = keras.Input((4,), dtype="bool")
    layer = L.LSTM(2, return_sequences=sequences)
    model = model_of([x, h, c, mask], layer(x, initial_state=[h, c], mask=mask))
    path = saved(model, tmp_path, ".h5")
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = backend
        file["model_weights"].attrs["backend"] = backend
    steps = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]], bool)
    arrays = [sample((3, 4, 3), "float32"), *(sample((3, 2), "float32", k) for k in (2, 3)), steps]
    hidden, cell = arrays[1], arrays[2]
    shown = np.zeros_like(hidden) if backend == "tensorflow" else hidden
    outputs = []
    for t in range(4):
        valid = steps[:, t, None]
        new_h, new_c = lstm_step(arrays[0][:, t], hidden, cell, layer.get_weights())
        hidden, cell = np.where(valid, new_h, hidden), np.where(valid, new_c, cell)
        shown = np.where(valid, new_h, shown)
        outputs.append(shown)
    program = load(path)
    got = program.run(dict(zip(program.main.inputs, arrays, strict=True)))
    assert_close(next(iter(got.values())), np.stack(outputs, 1) if sequences else shown)


def test_layer_shared_by_two_nested_models(tmp_path: Path) -> None:
    dense = L.Dense(3, name="both")
    first = keras.Sequential([keras.Input((3,)), dense, L.ReLU()])
    second = keras.Sequential([keras.Input((3,)), L.Dense(3), dense])
    x = keras.Input((3,))
    model = model_of(x, second(first(x)))
    program = check(model, [sample((2, 3), "float32")], tmp_path, [".keras"])
    assert len(constants(program)) == 2


def test_subclassed_model(tmp_path: Path) -> None:
    class Mine(keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2

    model = Mine(name="mine")
    model(np.zeros((1, 2), np.float32))
    with pytest.raises(UnsupportedError, match="Mine mine: a model of a class of its own is"):
        load(saved(model, tmp_path, ".keras"))


def test_symbolic_operations(tmp_path: Path) -> None:
    x, y = keras.Input((4, 3)), keras.Input((4, 3))
    o = keras.ops
    z = o.where(x > y, x * 2.0, o.exp(-o.abs(y))) + o.mean(x, axis=1, keepdims=True)
    z = o.concatenate([z, o.transpose(o.reshape(y, (-1, 3, 4)), (0, 2, 1))], axis=-1)
    z = o.matmul(z, o.transpose(z, (0, 2, 1)))[:, ::2, 1:]
    w = o.stack([o.max(z, axis=-1), o.sum(z, axis=-1), o.std(z, axis=-1)], axis=1)
    k = o.cast(o.argmax(w, axis=1), "float32") + o.logsumexp(w, axis=1)
    t = o.clip(o.einsum("abc,adc->abd", x, y), -1.0, 1.0)
    parts = o.split(t, 2, axis=1)
    model = model_of([x, y], [w, k, parts[0] - parts[1], o.floor(x) // 2.0, o.sort(y, axis=1)])
    arrays = [sample((2, 4, 3), "float32", k) for k in range(2)]
    check(model, arrays, tmp_path, BOTH)


def test_keras_2_weights_with_json(tmp_path: Path) -> None:
    folder = require_models("chars2vec_eng_50")
    with h5py.File(folder / "rebuilt_keras2.15.h5") as file:
        config = json.loads(file.attrs["model_config"])
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**config, "keras_version": "2.15.0", "backend": "tensorflow"}))
    program = load(path, weights=folder / "weights.h5")
    given = {next(iter(program.main.inputs)): np.load(folder / "inputs.npz")["0"]}
    want = np.load(folder / "expect.npz")["0"]
    assert_close(next(iter(program.run(given).values())), want)


def test_keras_3_weights_with_json(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 3)), L.GRU(3), L.BatchNormalization(), L.Dense(2)])
    randomise(model)
    path, weights = tmp_path / "model.json", tmp_path / "model.weights.h5"
    path.write_text(model.to_json())
    model.save_weights(weights)
    array = sample((2, 4, 3), "float32")
    compare(load(path, weights=weights), [array], called(model, [array]), "json")


HOSTILE = ["*\\alert(1)\\\\", "</script>", "__proto__", "a\nb", "\u2028", "; DROP TABLE", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_kept(name: str, tmp_path: Path) -> None:
    x = keras.Input((3,), name="x")
    model = model_of(x, L.Dense(2, name="here")(x))
    config = (
        model.to_json().replace('"here"', json.dumps(name)).replace('"x"', json.dumps("/" + name))
    )
    path, weights = tmp_path / "model.json", tmp_path / "model.weights.h5"
    path.write_text(config)
    model.save_weights(weights)
    program = load(path, weights=weights)
    assert (list(program.main.inputs), list(program.main.outputs)) == (["/" + name], [name])
    array = sample((2, 3), "float32")
    compare(program, [array], called(model, [array]), name)


def test_a_thousand_layers_deep(tmp_path: Path) -> None:
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"name": "x", "batch_shape": [None, 2]},
            "name": "x",
            "inbound_nodes": [],
        }
    ]
    for k in range(3000):
        before = layers[-1]["name"]
        layers.append(
            {
                "class_name": "ReLU",
                "config": {"name": f"r{k}", "trainable": True},
                "name": f"r{k}",
                "inbound_nodes": [[[before, 0, 0, {}]]],
            }
        )
    config = {
        "class_name": "Functional",
        "config": {
            "name": "deep",
            "layers": layers[::-1],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["r2999", 0, 0]],
        },
    }
    path = tmp_path / "deep.json"
    path.write_text(json.dumps({**config, "keras_version": "2.15.0"}))
    program = load(path)
    assert len(program.main.nodes) == 3001
