"""Layers of the user's own, and Lambda: functions in a plugin file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.frontends.layer_cases import L
from tests.frontends.oracle import called, compare, keras, randomise, sample, saved
from webconv.frontends.keras import load
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

PLUGIN = """
from webconv.frontends.keras.layers.cells import Cell, vectors
from webconv.frontends.keras.tree import Rule
from webconv.ir import graph, ops


def scale(layer, x, *, factor: float = 1.0, **config):
    y = ops.Affine(factor)(x)
    return ops.Add()(y, graph.constant(layer.weights[0])) if layer.weights else y


def twice(layer, x, **config):
    return ops.Add()(x, x)


def gated(layer, x, *, units: int):
    return ops.Mul()(x, layer.weight("gate", units))


def bounded(layer, x):
    return ops.Clip(-0.5, 0.5)(x)


def leaky_cell(layer, *, units: int):
    def step(x, states):
        h = ops.Add()(ops.Affine(0.5)(states[0]), x)
        return ops.Tanh()(h), [h]

    return Cell(vectors(units, 1), ["h"], step)


LAYERS = {
    "Scale": scale,
    "doubler": twice,
    "Gated": Rule(gated, "gate", keeps_mask=True),
    "bounded": bounded,
    "LeakyCell": leaky_cell,
}
"""


@keras.saving.register_keras_serializable("mine")
class Scale(L.Layer):
    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(shape=(shape[-1],))

    def call(self, x: Any) -> Any:
        return x * self.factor + self.shift

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("mine")
class Gated(L.Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.gate = self.add_weight(shape=(units,))

    def call(self, x: Any) -> Any:
        return x * self.gate

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("mine")
class LeakyCell(L.Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def call(self, x: Any, states: Any) -> Any:
        h = 0.5 * states[0] + x
        return keras.ops.tanh(h), [h]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("mine", "bounded")
def bounded(x: Any) -> Any:
    return keras.ops.clip(x, -0.5, 0.5)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_lambda_and_cells(suffix: str, plugin: Path, tmp_path: Path) -> None:
    x = keras.Input((5, 3))
    y = Gated(3)(Scale(0.5, name="s")(x))
    y = L.Lambda(lambda v: v + v, name="doubler")(y)
    y = L.LSTM(2, return_sequences=True)(L.RNN(LeakyCell(3), return_sequences=True)(y))
    model = keras.Model(x, L.Dense(2)(y))
    randomise(model)
    path = saved(model, tmp_path, suffix)
    array = sample((2, 5, 3), "float32")
    program = load(path, plugins=[plugin])
    compare(program, [array], called(model, [array]), suffix)


def test_activation(plugin: Path, tmp_path: Path) -> None:
    x = keras.Input((5, 3))
    model = keras.Model(x, L.Dense(2, activation=bounded)(L.GRU(3, activation=bounded)(x)))
    randomise(model)
    array = sample((2, 5, 3), "float32")
    path = saved(model, tmp_path, ".keras")
    compare(load(path, plugins=[plugin]), [array], called(model, [array]), "activation")
    with pytest.raises(UnsupportedError, match=r"activation '.*bounded' is not supported; use one"):
        load(path)


def test_without_a_plugin_the_error_shows_what_to_write(tmp_path: Path) -> None:
    x = keras.Input((3,))
    y = Scale()(L.Lambda(lambda v: v, name="my lambda")(x))
    path = saved(keras.Model(x, y), tmp_path, ".keras")
    with pytest.raises(UnsupportedError) as caught:
        load(path)
    text = str(caught.value)
    assert "Lambda my lambda: runs Python code, which the file does not hold as data" in text
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index("LAYERS = {'my lambda': my_lambda}")
    source = "\n".join([*lines[at - 2 : at + 1], "LAYERS['Scale'] = my_lambda"])
    (tmp_path / "p.py").write_text(source)
    load(path, plugins=[tmp_path / "p.py"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "plugin p.py: a table LAYERS from names to functions is needed"),
        ("LAYERS = [1]", "plugin p.py: a table LAYERS from names to functions is needed"),
        ("LAYERS = {1: print}", "plugin p.py: a table LAYERS from names to functions is needed"),
        ("LAYERS = {'Scale': 3}", "plugin p.py: 'Scale' must be a function"),
    ],
)
def test_bad_plugins(source: str, message: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), L.ReLU()])
    path = saved(model, tmp_path, ".keras")
    (tmp_path / "p.py").write_text(source)
    with pytest.raises(UnsupportedError, match=message):
        load(path, plugins=[tmp_path / "p.py"])
    with pytest.raises(UnsupportedError, match=r"plugin no\.py: there is no such file"):
        load(path, plugins=[tmp_path / "no.py"])


def test_weights_of_a_rule_are_checked(plugin: Path, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Gated(3, name="g")])
    path = saved(model, tmp_path, ".keras")
    wrong = PLUGIN.replace('layer.weight("gate", units)', 'layer.weight("gate", 4)')
    plugin.write_text(wrong)
    with pytest.raises(ShapeError, match=r"Gated g: weight gate must have shape \[4\], but it has"):
        load(path, plugins=[plugin])
    plugin.write_text(PLUGIN.replace('Rule(gated, "gate"', 'Rule(gated, "gate more"'))
    with pytest.raises(
        ModelFormatError, match=r"Gated g: 2 weights are needed \(gate, more\), but"
    ):
        load(path, plugins=[plugin])
