"""Layers that carry their states: Keras's `stateful=True` of every kind, and `--stateful`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import helper, numpy_helper

from tests.backends.test_wasm import instances
from tests.frontends.layer_cases import L
from tests.frontends.oracle import Array, assert_close, called, keras, randomise, sample, saved
from webconv.backends.descriptor import describe_states
from webconv.cli import run as cli
from webconv.edits import Edits, edit
from webconv.frontends.keras import load
from webconv.frontends.onnx.convert import convert as convert_onnx
from webconv.ir import dims
from webconv.ir.dtypes import i32
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Program, State
from webconv.ir.op import TensorType

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

SUFFIXES = (".keras", ".h5")
Layers = Callable[[], list[Any]]

STATEFUL: dict[str, Layers] = {
    "stacked": lambda: [
        L.LSTM(4, stateful=True, return_sequences=True),
        L.GRU(3, stateful=True),
        L.Dense(1),
    ],
    "beside one that is not": lambda: [
        L.LSTM(4, return_sequences=True),
        L.SimpleRNN(3, stateful=True),
    ],
    "both directions": lambda: [
        L.Bidirectional(L.LSTM(4, stateful=True, return_sequences=True)),
        L.Bidirectional(L.GRU(3, stateful=True), merge_mode="sum"),
    ],
    "cells": lambda: [L.RNN(L.LSTMCell(4), stateful=True, return_sequences=True)],
    "backwards": lambda: [L.LSTM(4, stateful=True, go_backwards=True)],
    "reset before": lambda: [L.GRU(4, stateful=True, reset_after=False, unroll=True)],
    "convolutions": lambda: [
        L.Reshape((3, 2, 2, 1)),
        L.ConvLSTM2D(3, 2, padding="same", stateful=True, return_sequences=True),
        L.Bidirectional(L.ConvLSTM2D(2, 2, stateful=True)),
    ],
}


def reset(model: Any) -> None:
    """What `model.reset_states()` was in Keras 2."""
    for layer in model.layers:
        for name in ("reset_state", "reset_states"):
            if hasattr(layer, name):
                getattr(layer, name)()
                break


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_keras_stateful(make: Layers, tmp_path: Path) -> None:
    """Three batches, a reset, and the first again: one file in wasm, the other in NumPy."""
    model = keras.Sequential([keras.Input(batch_shape=(2, 3, 4), name="x"), *make()])
    randomise(model)
    batches = [sample((2, 3, 4), "float32", k) for k in (1, 2, 3)]
    programs = [load(saved(model, tmp_path, suffix)) for suffix in SUFFIXES]
    reset(model)
    run, held = next(instances(programs[0])).run, dict[str, Array]()
    for batch in batches:
        want = called(model, [batch])[0]
        assert_close(next(iter(run({"x": batch}).values())), want)
        (got,) = programs[1].run({"x": batch}, states=held).values()
        assert_close(got.astype(np.float32), want)
    reset(model)
    (got,) = programs[1].run({"x": batches[0]}, states={}).values()
    assert_close(got.astype(np.float32), called(model, batches[:1])[0])


@pytest.mark.parametrize("deeper", [False, True])
def test_a_layer_that_is_called_twice(deeper: bool, tmp_path: Path) -> None:
    """Its calls come in the order in which Keras makes them, which is the last output first."""
    x, y = (keras.Input(batch_shape=(2, 3, 4), name=name) for name in "xy")
    layer = L.LSTM(4, stateful=True, return_sequences=True)
    first = layer(x)
    model = keras.Model([x, y], [L.Dense(2)(first) if deeper else first, layer(y)])
    randomise(model)
    run = next(instances(load(saved(model, tmp_path, ".keras")))).run
    for k in range(2):
        arrays = [sample((2, 3, 4), "float32", seed) for seed in (k, k + 5)]
        got = run(dict(zip("xy", arrays, strict=True)))
        for g, w in zip(got.values(), called(model, arrays), strict=True):
            assert_close(g, w)
    program = load(saved(model, tmp_path, ".keras"))
    assert deeper or program.layers[layer.name] == tuple(program.main.outputs.values())


def test_masked_steps_carry_what_was(tmp_path: Path) -> None:
    """Zeros are passed over, also where a run has nothing else."""
    layers = [L.Embedding(6, 4, mask_zero=True), L.LSTM(4, name="memory")]
    model = keras.Sequential([keras.Input((None,), name="ids"), *layers])
    randomise(model)
    ids = np.array([[1, 2, 0, 3, 0, 1], [2, 2, 0, 0, 5, 0]], "float32")
    program = edit(load(saved(model, tmp_path, ".h5")), Edits(stateful=("memory",)))
    run = next(instances(program)).run
    for k in range(6):
        (got,) = run({"ids": ids[:, k : k + 1]}).values()
    assert_close(got, called(model, [ids])[0])


def test_stacked_cells_and_shared_layers(tmp_path: Path) -> None:
    """A layer with several operators has the states of each."""
    x = keras.Input((None, 3), name="x")
    shared = L.GRU(3, return_sequences=True, name="shared")
    cells = L.RNN([L.LSTMCell(4), L.GRUCell(2)], name="cells")
    model = keras.Model(x, cells(shared(shared(x))))
    randomise(model)
    program = edit(load(saved(model, tmp_path, ".keras")), Edits(stateful=("cells", "shared")))
    names = ["cells/0/h", "cells/0/c", "cells/1/h", "shared/0/h", "shared/1/h"]
    assert [s.name for s in program.states] == names
    array, run = sample((2, 5, 3), "float32"), next(instances(program)).run
    for k in range(5):
        (got,) = run({"x": array[:, k : k + 1]}).values()
    assert_close(got, called(model, [array])[0])


REFUSED = (
    (lambda: L.LSTM(2, go_backwards=True, name="m"), "'m': it runs from the last step to the"),
    (lambda: L.Bidirectional(L.GRU(2), name="m"), "'m': it also runs from the last step to the"),
    (lambda: L.LSTM(2, stateful=True, name="m"), "'m': its states are carried already"),
    (lambda: L.Conv1D(2, 2, name="m"), "'m' has no LSTM, GRU or RNN whose states could be carr"),
)


@pytest.mark.parametrize(("make", "rule"), REFUSED)
def test_what_cannot_be_carried(make: Callable[[], Any], rule: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(1, 3, 2)), make()])
    program = load(saved(model, tmp_path, ".keras"))
    with pytest.raises(ModelFormatError, match=f"layer {rule}"):
        edit(program, Edits(stateful=("m",)))


# -- `--stateful` of Keras's layers ----------------------------------------------------------------

CELLS = {"lstm": L.LSTM, "gru": L.GRU, "rnn": L.SimpleRNN}


@pytest.mark.parametrize("kind", CELLS)
def test_stepping_with_carried_states(kind: str, tmp_path: Path) -> None:
    """Step by step is what the window at once is; two layers, the last without a sequence."""
    x = keras.Input((8, 3), name="x")
    y = CELLS[kind](4, return_sequences=True, name="below")(x)
    model = keras.Model(x, L.Dense(2, name="out")(CELLS[kind](5, name="above")(y)))
    randomise(model)
    shapes = {"x": (dims.symbol("batch"), dims.symbol("time"), 3)}
    program = load(saved(model, tmp_path, ".keras"), input_shapes=shapes)
    stateful = edit(program, Edits(stateful=("below", "above")))
    names = ["h", "c"] if kind == "lstm" else ["h"]
    assert [s.name for s in stateful.states] == [
        f"{n}/{s}" for n in ("below", "above") for s in names
    ]
    array = sample((2, 8, 3), "float32")
    want = called(model, [array])[0]
    step, states = next(instances(stateful)).run, dict[str, Array]()
    for part in np.split(array, [3, 4, 5, 6, 7], axis=1):
        got = step({"x": part})["out"]
        reference = stateful.run({"x": part}, states=states)["out"]
    assert_close(got, want)
    assert_close(reference.astype(np.float32), want)


def test_keras_stateful_is_the_same(tmp_path: Path) -> None:
    """`--stateful` of a layer and Keras's own `stateful=True` give one program."""
    programs = []
    for own in (True, False):
        layers = [keras.Input(batch_shape=(2, 3, 2)), L.LSTM(4, stateful=own, name="lstm")]
        model = keras.Sequential([*layers, L.Dense(1)])
        randomise(model)
        program = load(saved(model, tmp_path, ".keras"))
        programs.append(program if own else edit(program, Edits(stateful=("lstm",))))
    assert [[s.name for s in p.states] for p in programs] == [["lstm/h", "lstm/c"]] * 2
    held: list[dict[str, Array]] = [{}, {}]
    for k in range(3):
        array = sample((2, 3, 2), "float32", k)
        results = [
            p.run(dict.fromkeys(p.main.inputs, array), states=s)[next(iter(p.main.outputs))]
            for p, s in zip(programs, held, strict=True)
        ]
        np.testing.assert_array_equal(results[0], results[1])


def test_stateful_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([keras.Input((16, 3), name="x"), L.LSTM(4, name="memory")])
    path = saved(model, tmp_path, ".keras")
    options = ["--input-shape", "x=batch,time,3", "--stateful", "memory"]
    assert cli(["inspect", str(path), *options, "--json", "-"]) == 0
    described = json.dumps(json.loads(capsys.readouterr().out))
    assert "memory/h" in described


# -- ONNX ------------------------------------------------------------------------------------------


def onnx_model(kind: str, gates: int, zeros: bool, **attributes: int) -> onnx.ModelProto:
    """x [time, batch, 3]; the initial state is absent, or zeros for the batch as PyTorch has it."""
    rng, units = np.random.default_rng(0), 4
    arrays: dict[str, Any] = {
        "w": rng.normal(0, 0.4, (1, gates * units, 3)).astype("f4"),
        "r": rng.normal(0, 0.4, (1, gates * units, units)).astype("f4"),
        "b": rng.normal(0, 0.4, (1, 2 * gates * units)).astype("f4"),
    }
    nodes, inputs = [], ["x", "w", "r", "b"]
    if zeros:
        arrays |= {"zero": np.zeros((1, 1, units), "f4"), "one": np.array([1])}
        arrays["units"] = np.array([units])
        nodes = [
            helper.make_node("Shape", ["x"], ["batch"], start=1, end=2),
            helper.make_node("Concat", ["one", "batch", "units"], ["shape"], axis=0),
            helper.make_node("Expand", ["zero", "shape"], ["h0"]),
        ]
        inputs += ["", "h0"]
    more = {"hidden_size": units, **attributes}
    nodes.append(helper.make_node(kind, inputs, ["y"], "memory", **more))
    shapes: dict[str, list[str | int | None]] = {
        "x": ["time", "batch", 3],
        "y": ["time", 1, "batch", units],
    }
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items())
    weights = [numpy_helper.from_array(a, n) for n, a in arrays.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    ("kind", "gates", "attributes"),
    [("GRU", 3, {}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {}), ("LSTM", 4, {})],
)
def test_onnx_step_by_step(kind: str, gates: int, attributes: Any, zeros: bool) -> None:
    """Steps are what onnxruntime gives for the whole."""
    model = onnx_model(kind, gates, zeros and kind != "LSTM", **attributes)
    x = sample((6, 2, 3), "float32")
    (want,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    program: Program = convert_onnx(model, Path(), {}, {})
    run = next(instances(edit(program, Edits(stateful=("memory",))))).run
    got = np.concatenate([run({"x": x[k : k + 1]})["y"] for k in range(6)])
    assert_close(got, np.asarray(want))


@pytest.mark.parametrize("batch", ["batch", "n"])
def test_the_axis_that_select_reorders(batch: str) -> None:
    """However the batch is called, the first axis being time; a counter is one for all rows."""
    model = onnx_model("GRU", 3, zeros=False)
    for info in (*model.graph.input, *model.graph.output):
        for d in info.type.tensor_type.shape.dim:
            if d.dim_param == "batch":
                d.dim_param = batch
    program = edit(convert_onnx(model, Path(), {}, {}), Edits(stateful=("memory",)))
    (described,) = describe_states(program)
    assert described["batchAxis"] == 0
    counter = State("counter", TensorType(i32, ()))
    both = replace(program, states=(*program.states, counter))
    assert [s["batchAxis"] for s in describe_states(both)] == [0, None]


def onnx_lstm(initial: Array | None, direction: str = "forward") -> onnx.ModelProto:
    """x [T, B, 3] through an LSTM of 4; `initial` is its h0, as ONNX has it."""
    rng = np.random.default_rng(0)
    count = 2 if direction == "bidirectional" else 1
    arrays = {
        "w": rng.normal(0, 0.4, (count, 16, 3)),
        "r": rng.normal(0, 0.4, (count, 16, 4)),
        **({} if initial is None else {"h0": initial}),
    }
    weights = [numpy_helper.from_array(a.astype("float32"), n) for n, a in arrays.items()]
    inputs = ["x", "w", "r", "", "", *([] if initial is None else ["h0"])]
    node = helper.make_node(
        "LSTM", inputs, ["y", "y_h"], "recurrence", hidden_size=4, direction=direction
    )
    shapes: list[tuple[str, list[str | int | None]]] = [
        ("x", ["time", 2, 3]),
        ("y_h", [count, 2, 4]),
    ]
    types = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes
    ]
    graph = helper.make_graph([node], "g", types[:1], types[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("layer", ["recurrence", "y_h"])
def test_a_node_or_a_tensor(layer: str, given: bool) -> None:
    """By the node's name or the tensor's; a constant initial state is where it starts."""
    initial = np.random.default_rng(1).normal(0, 1, (1, 2, 4)) if given else None
    program = convert_onnx(onnx_lstm(initial), Path(), {}, {})
    stateful = edit(program, Edits(stateful=(layer,)))
    assert [s.name for s in stateful.states] == [f"{layer}/h", f"{layer}/c"]
    array = sample((6, 2, 3), "float32")
    want = program.run({"x": array})["y_h"].astype(np.float32)
    step = next(instances(stateful)).run
    for part in np.split(array, 3):
        got = step({"x": part})["y_h"]
    assert_close(got, want)


def test_from_the_last_step_to_the_first() -> None:
    both = convert_onnx(onnx_lstm(None, "bidirectional"), Path(), {}, {})
    with pytest.raises(ModelFormatError, match="from the last step to the first"):
        edit(both, Edits(stateful=("recurrence",)))
