"""Entries cut out of one Keras model, and recurrent layers whose states are carried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.backends.test_wasm import instances
from tests.bundle.programs import beside_states
from tests.frontends.layer_cases import L
from tests.frontends.oracle import Array, assert_close, called, keras, randomise, sample, saved
from tests.frontends.test_stateful import onnx_lstm
from webconv.cli import run
from webconv.edits import Edits, edit
from webconv.frontends.keras import load
from webconv.frontends.onnx.convert import convert as convert_onnx
from webconv.ir import dims
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Constant, Program

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

READS, WRITES, UNITS = 7, 5, 6
ENTRIES = {
    "encoder": (["read"], ["lstm.1", "lstm.2"]),
    "decoder": (["previous", "lstm.1", "lstm.2"], ["dense", "lstm_1.1", "lstm_1.2"]),
}
CARRIED = Edits(
    entries=ENTRIES,
    states={"lstm.1": "lstm_1.1", "lstm.2": "lstm_1.2"},
    names={"lstm.1": "h", "lstm.2": "c"},
)


def encoder_decoder() -> Any:
    """The encoder-decoder of the Keras tutorial: one model, trained with the right answer."""
    read = keras.Input((None, READS), name="read")
    _, h, c = L.LSTM(UNITS, return_state=True, name="lstm")(read)
    previous = keras.Input((None, WRITES), name="previous")
    decoder = L.LSTM(UNITS, return_sequences=True, return_state=True, name="lstm_1")
    steps, _, _ = decoder(previous, initial_state=[h, c])
    model = keras.Model([read, previous], L.Dense(WRITES, "softmax", name="dense")(steps))
    randomise(model)
    return model


@pytest.fixture(scope="module")
def trained() -> Any:
    return encoder_decoder()


@pytest.fixture
def program(trained: Any, tmp_path: Path) -> Program:
    return load(saved(trained, tmp_path, ".keras"))


def taught(trained: Any) -> tuple[list[Array], Array]:
    """Both inputs of the whole model, and what it says at every step."""
    arrays = [sample((2, 4, READS), "float32"), sample((2, 3, WRITES), "float32", 2)]
    return arrays, called(trained, arrays)[0]


def run_wasm(program: Program) -> Any:
    """A function that runs an entry in wasmtime; states stay in the module."""
    return next(instances(program)).run


def test_states_by_hand(trained: Any, program: Program) -> None:
    """The decoder's inputs are what its layer starts from, so the page hands h and c on."""
    (read, previous), want = taught(trained)
    step = run_wasm(edit(program, Edits(entries=ENTRIES)))
    held = step({"read": read}, "encoder")
    assert list(held) == ["lstm.1", "lstm.2"]
    for k in range(3):
        out = step({"previous": previous[:, k : k + 1], **held}, "decoder")
        assert_close(out["dense"], want[:, k : k + 1])
        held = {"lstm.1": out["lstm_1.1"], "lstm.2": out["lstm_1.2"]}


def test_states_that_entries_share(trained: Any, program: Program) -> None:
    """The encoder writes what the decoder reads; neither is an input or output any more."""
    (read, previous), want = taught(trained)
    cut = edit(program, CARRIED)
    assert [s.name for s in cut.states] == ["h", "c"]
    encoder, decoder = cut.entries["encoder"], cut.entries["decoder"]
    assert (list(encoder.inputs), list(encoder.outputs)) == (["read"], [])
    assert (list(encoder.reads), list(encoder.writes)) == ([], ["h", "c"])
    assert (list(decoder.inputs), list(decoder.outputs)) == (["previous"], ["dense"])
    step, states = run_wasm(cut), dict[str, Array]()
    for _ in range(2):  # The encoder puts an end to what the decoder left.
        step({"read": read}, "encoder")
        cut.run({"read": read}, "encoder", states)
        for k in range(3):
            given = {"previous": previous[:, k : k + 1]}
            assert_close(step(given, "decoder")["dense"], want[:, k : k + 1])
            got = cut.run(given, "decoder", states)["dense"]
            assert_close(got.astype(np.float32), want[:, k : k + 1])


def test_the_likeliest_and_other_outputs(trained: Any, program: Program) -> None:
    """A head is cut like its output, and an entry may give what is no state too."""
    (read, previous), want = taught(trained)
    entries = {**ENTRIES, "encoder": (["read"], ["lstm", "lstm.1", "lstm.2"])}
    edits = Edits(entries=entries, states=CARRIED.states, heads={"dense": "argmax"})
    step = run_wasm(edit(program, edits))
    assert list(step({"read": read}, "encoder")) == ["lstm"]
    assert (step({"previous": previous}, "decoder")["dense"] == want.argmax(-1)).all()


def test_weights_are_stored_once(program: Program, tmp_path: Path) -> None:
    """All entries of a bundle share one weights file, and each array in it is there once."""
    entries = {"main": (["read", "previous"], ["dense"]), **ENTRIES}
    three = webconv.convert(edit(program, Edits(entries=entries)), tmp_path / "three")
    one = webconv.convert(program, tmp_path / "one")
    sizes = [
        [f.stat().st_size for f in b.path.iterdir() if f.name.startswith("weights-")]
        for b in (three, one)
    ]
    assert sizes[0] == sizes[1]
    assert len(sizes[0]) == 1
    assert three.program.parameters == program.parameters
    arrays = {n.op for g in three.program.entries.values() for n in g.nodes}
    assert sum(isinstance(op, Constant) for op in arrays) < 12


def test_from_the_command_line(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = saved(trained, tmp_path, ".keras")
    states = ["--state", "lstm.1=lstm_1.1", "--state", "lstm.2=lstm_1.2"]
    entries = [
        *("--entry", "encoder=read:lstm.1,lstm.2"),
        *("--entry", "decoder=previous,lstm.1,lstm.2:dense,lstm_1.1,lstm_1.2"),
        *("--entry", "by hand=previous,lstm_1/h,lstm_1/c:dense"),
    ]
    out = tmp_path / "out"
    names = ["--rename", "lstm.1=h", "--rename", "lstm.2=c", "--rename", "lstm_1/c=class"]
    assert run(["convert", str(model), "-o", str(out), *entries, *states, *names]) == 0
    line = 'entry("by hand").run({ previous, "lstm_1/h": lstm_1_h, class: input_class });  // dense'
    assert line in capsys.readouterr().out
    made = webconv.Bundle.open(out).program
    assert list(made.entries) == ["encoder", "decoder", "by hand"]
    assert [s.name for s in made.states] == ["h", "c"]
    assert run(["verify", str(out), "--browser", "none"]) == 0


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        (
            {"e": (["read"], ["lstm.3"])},
            "there is no 'lstm.3': layer 'lstm' has 3 outputs, the last lstm.2",
        ),
        (
            {"e": (["read"], ["lstm:1"])},
            "there is no 'lstm:1': output 1 of layer 'lstm' is 'lstm.1'",
        ),
        (
            {"e": (["previous"], ["dense"])},
            "entry 'e' needs read as inputs too, or lstm_1/h, lstm_1/c instead",
        ),
    ],
)
def test_what_cannot_be_cut(entries: Any, rule: str, program: Program) -> None:
    with pytest.raises(ModelFormatError, match=rule):
        edit(program, Edits(entries=entries))


def test_a_state_of_another_type(program: Program) -> None:
    entries = {**ENTRIES, "decoder": (["previous", "lstm.1", "lstm.2"], ["dense", "lstm_1"])}
    with pytest.raises(ShapeError, match=r"state 'lstm.1' is f32\[batch, 6\], but output 'lstm_1'"):
        edit(program, Edits(entries=entries, states={"lstm.1": "lstm_1"}))


def test_a_size_that_no_input_tells(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 3)), L.MaxPooling1D(2, name="half"), L.LSTM(2)])
    program = load(saved(model, tmp_path, ".keras"))
    with pytest.raises(ShapeError, match="no run can tell the symbols"):
        edit(program, Edits(entries={"e": (["half"], list(program.main.outputs))}))


def test_a_layer_by_its_result(tmp_path: Path) -> None:
    """A layer's name means what the layer gives, of each of its calls in turn."""
    x = keras.Input((4,))
    first, second = L.Dense(4, "tanh", name="first"), L.Dense(3, "relu", name="second")
    model = keras.Model(x, second(first(first(x))))
    randomise(model)
    program = load(saved(model, tmp_path, ".keras"))
    source, *_ = program.main.inputs
    cut = edit(program, Edits(entries={"e": ([source], ["first", "first.1"])}))
    array = sample((2, 4), "float32")
    got = cut.run({source: array}, "e")
    once = called(keras.Model(x, first(x)), [array])[0]
    assert_close(got["first"].astype(np.float32), once)
    twice = called(keras.Model(x, first(x)), [once])[0]
    assert_close(got["first.1"].astype(np.float32), twice)


def test_states_while_other_entries_run_at_other_sizes() -> None:
    """States of a batch of 5 stay what they are, however large the batches of others are."""
    x = np.arange(20, dtype="f4").reshape(5, 4)
    for instance in instances(beside_states()):
        for k in range(1, 4):
            got = instance.run({"x": x})
            assert_close(got["doubled"], 2 * (0.5 + k * x))
            assert_close(got["tripled"], 3 * k * x)
            for n in (1, 9):
                instance.run({"wide": np.ones((n, 64), "f4")}, "other")
                assert_close(instance.read_state("g", {}), k * x)
        with pytest.raises(ShapeError, match=r"state 'h' holds \(5, 4\)"):
            instance.run({"x": x[:2]})


def test_what_cannot_be_stateful(program: Program) -> None:
    rule = "layer 'dense' has no LSTM, GRU or RNN .* such layers are lstm, lstm_1"
    with pytest.raises(ModelFormatError, match=rule):
        edit(program, Edits(stateful=("dense",)))
    with pytest.raises(ModelFormatError, match=r"'lstm_1/h': its initial value is computed"):
        edit(program, Edits(stateful=("lstm_1",)))


# -- edits together --------------------------------------------------------------------------------


def test_a_constant_input_of_a_cut_model(trained: Any, program: Program, tmp_path: Path) -> None:
    """What layers name is computed from the constant; where that leaves a size open it is said."""
    (read, previous), want = taught(trained)
    shapes = {"read": (2, 4, READS), "previous": (2, dims.symbol("time"), WRITES)}
    sized = load(saved(trained, tmp_path, ".h5"), input_shapes=shapes)
    entries = {"whole": (["previous"], ["dense"]), "decoder": ENTRIES["decoder"]}
    cut = edit(sized, Edits(constants={"read": read.tolist()}, entries=entries))
    got = cut.run({"previous": previous}, "whole")["dense"].astype(np.float32)
    assert_close(got, want)
    with pytest.raises(
        ShapeError, match="entry 'main': no input tells time; give the sizes by --in"
    ):
        edit(program, Edits(constants={"read": 0.5}))
    with pytest.raises(ShapeError, match="entry 'e': no input tells batch and time"):
        edit(program, Edits(constants={"read": 0.5}, entries={"e": ([], ["lstm.1"])}))


def test_heads_of_what_entries_give(trained: Any, program: Program) -> None:
    """Layers too; what one entry gives the best of another takes as it is."""
    (read, previous), want = taught(trained)
    entries = {
        "scores": (["read", "previous"], ["dense"]),
        "steps": (["read", "previous"], ["lstm_1"]),
        "last": (["lstm_1"], ["dense", "dense_indices"]),
    }
    edits = Edits(entries=entries, heads={"dense": "topk:2", "lstm_1": "argmax"})
    with pytest.raises(ModelFormatError, match="no input, output or layer 'lstm_1_indices'"):
        edit(program, Edits(entries={"e": (["read"], ["lstm_1_indices"])}))
    cut = edit(program, edits)
    assert list(cut.entries["last"].outputs) == ["dense", "dense_indices"]
    got = cut.run({"read": read, "previous": previous}, "scores")
    assert list(got) == ["dense", "dense_indices"]
    np.testing.assert_array_equal(got["dense_indices"], np.argsort(-want, -1)[..., :2])
    assert cut.entries["steps"].outputs["lstm_1"].type.dtype.name == "i32"
    assert cut.entries["last"].inputs["lstm_1"].shape[-1] == UNITS


def test_an_entry_that_reads_a_state_only(trained: Any, program: Program) -> None:
    """It sees what the last step left, and leaves it so."""
    (read, previous), want = taught(trained)
    entries = {**ENTRIES, "peek": (["previous", "lstm.1", "lstm.2"], ["dense"])}
    cut = edit(program, Edits(entries=entries, states=CARRIED.states))
    assert list(cut.entries["peek"].inputs) == ["previous"]
    assert list(cut.entries["peek"].writes) == []
    step = run_wasm(cut)
    step({"read": read}, "encoder")
    for _ in range(2):
        assert_close(step({"previous": previous}, "peek")["dense"], want)
    for k in range(3):
        step({"previous": previous[:, k : k + 1]}, "decoder")
    (got,) = step({"previous": previous[:, :1]}, "peek").values()
    assert np.abs(got - want[:, :1]).max() > 1e-3


def test_an_entry_that_only_writes_states(trained: Any, program: Program) -> None:
    """What primes a decoder need not give anything."""
    (read, previous), want = taught(trained)
    entries = {**ENTRIES, "feed": (["previous", "lstm.1", "lstm.2"], ["lstm_1.1", "lstm_1.2"])}
    step = run_wasm(edit(program, Edits(entries=entries, states=CARRIED.states)))
    step({"read": read}, "encoder")
    assert step({"previous": previous[:, :2]}, "feed") == {}
    assert_close(step({"previous": previous[:, 2:]}, "decoder")["dense"], want[:, 2:])


@pytest.mark.parametrize(
    ("edits", "rule"),
    [
        (Edits(entries={"e": (["read", "read"], ["lstm"])}), "entry 'e' names 'read' twice"),
        (
            Edits(entries={"e": (["lstm", "lstm.0"], ["dense"])}),
            "entry 'e': 'lstm' and 'lstm.0' are the same value",
        ),
        (
            Edits(entries=ENTRIES, states={"previous": "previous"}),
            "there is no output 'previous'; there are lstm.1",
        ),
        (
            Edits(
                entries={"e": (["previous", "lstm.1", "lstm.2"], ["dense", "lstm.1"])},
                states={"lstm.1": "lstm.1"},
            ),
            "state 'lstm.1': no entry gives it without taking it",
        ),
        (
            Edits(entries=ENTRIES, states={"lstm_1.1": "lstm.1"}),
            "there is no input 'lstm_1.1'; there are read, previous, lstm.1, lstm.2",
        ),
    ],
)
def test_edits_that_make_no_sense(edits: Edits, rule: str, program: Program) -> None:
    with pytest.raises(ModelFormatError, match=rule):
        edit(program, edits)


def test_an_input_of_an_entry_is_no_constant() -> None:
    with pytest.raises(ModelFormatError, match="'read' is made a constant, so no entry can take"):
        Edits(constants={"read": 0}, entries=ENTRIES)


def test_python_takes_edits_of_all(program: Program, tmp_path: Path) -> None:
    """A program and a bundle are edited like a file; other options they do not take."""
    edits = Edits(entries=ENTRIES)
    made = webconv.convert(program, tmp_path / "made", backends=["wasm"], edits=edits)
    assert list(made.program.entries) == list(ENTRIES)
    whole = webconv.convert(program, tmp_path / "whole", backends=["wasm"])
    argmax = webconv.load(whole.path, edits=Edits(heads={"dense": "argmax"}))
    assert argmax.main.outputs["dense"].type.dtype.name == "i32"
    for model, taken in ((program, "a program takes the option edits only"), (whole.path, "edits")):
        with pytest.raises(webconv.WebconvError, match=taken):
            webconv.convert(model, tmp_path / "none", input_shapes={"read": (1, 2, READS)})


def test_two_files_in_one_bundle(trained: Any, tmp_path: Path) -> None:
    """The inference models of the Keras tutorial, each saved by itself, share states."""
    (read, previous), want = taught(trained)
    layer = {name: trained.get_layer(name) for name in ("lstm", "lstm_1", "dense")}
    x, y = keras.Input((None, READS), name="read"), keras.Input((None, WRITES), name="previous")
    h, c = keras.Input((UNITS,), name="h"), keras.Input((UNITS,), name="c")
    steps, *after = layer["lstm_1"](y, initial_state=[h, c])
    models = {
        "encoder": keras.Model(x, layer["lstm"](x)[1:]),
        "decoder": keras.Model([y, h, c], [layer["dense"](steps), *after]),
    }
    entries = {}
    for name, model in models.items():
        (tmp_path / name).mkdir()
        names = {"lstm": "h", "lstm_1": "c"} if name == "encoder" else {}
        path = saved(model, tmp_path / name, ".keras")
        entries[name] = webconv.load(path, edits=Edits(names=names)).main
    states = Edits(states={"h": "lstm_1", "c": "lstm_1_1"})
    bundle = webconv.convert(Program(entries), tmp_path / "out", backends=["wasm"], edits=states)
    step = run_wasm(bundle.program)
    assert step({"read": read}, "encoder") == {}
    for k in range(3):
        given = {"previous": previous[:, k : k + 1]}
        assert_close(step(given, "decoder")["dense"], want[:, k : k + 1])
    apart = load(
        tmp_path / "decoder" / "model.keras", input_shapes={"h": (dims.symbol("n"), UNITS)}
    )
    with pytest.raises(ShapeError, match="sizes that are equal need one name, by --input-shape"):
        edit(Program({**entries, "decoder": apart.main}), states)


def test_onnx_entries() -> None:
    """Tensors are what entries name, nodes too."""
    program = convert_onnx(onnx_lstm(None), Path(), {}, {})
    cut = edit(program, Edits(entries={"e": (["x"], ["y", "recurrence.1"])}))
    got = cut.run({"x": sample((6, 2, 3), "float32")}, "e")
    np.testing.assert_array_equal(got["y"][-1], got["recurrence.1"])


def test_names_with_colons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """TensorFlow's names end in `:0`, as files from tf2onnx have them; nothing is given twice."""
    names = {"x": "x:0", "y": "scope/y:0", "y_h": "y_h:0"}
    model = onnx_lstm(None)
    for node in model.graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
    for info in (*model.graph.input, *model.graph.output):
        info.name = names[info.name]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    entry = ["--entry", "e=x:0:scope/y:0,y_h:0"]
    assert run(["inspect", str(path), *entry, "--json", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["entries"].values()
    assert (list(found["inputs"]), list(found["outputs"])) == (["x:0"], ["scope/y:0", "y_h:0"])
    assert run(["inspect", str(path), *entry, *entry]) == 2
    assert "'e' is given twice" in capsys.readouterr().err
