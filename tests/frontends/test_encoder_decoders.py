"""Encoder-decoders as people write them in Keras, decoded step by step from one trained model.

What the whole model says of a whole right answer is what the steps must say one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.backends.test_wasm import instances
from tests.frontends.layer_cases import L
from tests.frontends.oracle import Array, assert_close, called, keras, randomise, sample, saved
from webconv.cli import run as cli
from webconv.edits import Edits, edit
from webconv.frontends.keras import load
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.verify.browser import Browser

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

READS, WRITES, UNITS, WORDS = 7, 5, 6, 11
Model = tuple[Any, Mapping[str, str]]


def inputs() -> tuple[Any, Any]:
    return keras.Input((None, READS), name="read"), keras.Input((None, WRITES), name="previous")


def words() -> tuple[Any, Any]:
    return keras.Input((None,), name="read"), keras.Input((None,), name="previous")


def scores(y: Any, units: int = WRITES) -> Any:
    return L.Dense(units, activation="softmax", name="scores")(y)


def lstm(name: str, units: int = UNITS) -> Any:
    return L.LSTM(units, return_sequences=True, return_state=True, name=name)


def gru(name: str, units: int = UNITS) -> Any:
    return L.GRU(units, return_sequences=True, return_state=True, name=name)


def numbered(encoder: str, decoder: str, *outputs: int) -> dict[str, str]:
    """Outputs of the encoder's layer, and those of the decoder's that come after them."""
    return {f"{encoder}.{k}": f"{decoder}.{k}" for k in outputs}


def two_layers() -> Model:
    read, previous = inputs()
    y, *first = lstm("in_1")(read)
    _, *second = lstm("in_2")(y)
    y, *_ = lstm("out_1")(previous, initial_state=first)
    y, *_ = lstm("out_2")(y, initial_state=second)
    states = numbered("in_1", "out_1", 1, 2) | numbered("in_2", "out_2", 1, 2)
    steps = L.TimeDistributed(L.Dense(WRITES, activation="softmax"), name="scores")(y)
    return keras.Model([read, previous], steps), states


def two_layers_of_gru() -> Model:
    read, previous = inputs()
    y, first = gru("in_1")(read)
    _, second = gru("in_2")(y)
    y, _ = gru("out_1")(previous, initial_state=first)
    y, _ = gru("out_2")(y, initial_state=[second])
    states = numbered("in_1", "out_1", 1) | numbered("in_2", "out_2", 1)
    return keras.Model([read, previous], scores(y)), states


def bidirectional() -> Model:
    """Both directions' states side by side are where the decoder starts."""
    read, previous = inputs()
    _, fh, fc, bh, bc = L.Bidirectional(L.LSTM(UNITS, return_state=True), name="in")(read)
    h, c = L.Concatenate(name="h")([fh, bh]), L.Concatenate(name="c")([fc, bc])
    y, *_ = lstm("out", 2 * UNITS)(previous, initial_state=[h, c])
    return keras.Model([read, previous], scores(y)), {"h": "out.1", "c": "out.2"}


def bridge() -> Model:
    """Dense layers between states of different sizes."""
    read, previous = inputs()
    _, h, c = lstm("in")(read)
    h, c = L.Dense(8, activation="tanh", name="h")(h), L.Dense(8, name="c")(c)
    y, *_ = lstm("out", 8)(previous, initial_state=[h, c])
    return keras.Model([read, previous], scores(y)), {"h": "out.1", "c": "out.2"}


def attending(attend: Callable[[Any, Any], Any]) -> Model:
    """Every step looks at all that was read: a state that the decoder only reads."""
    read, previous = inputs()
    seen, *held = lstm("in")(read)
    y, *_ = lstm("out")(previous, initial_state=held)
    y = L.Concatenate()([y, attend(y, seen)])
    return keras.Model([read, previous], scores(y)), {
        "in": "in",
        **numbered("in", "out", 1, 2),
    }


def attention() -> Model:
    return attending(lambda y, seen: L.Attention()([y, seen]))


def additive_attention() -> Model:
    return attending(lambda y, seen: L.AdditiveAttention()([y, seen]))


def attention_by_hand() -> Model:
    def attend(y: Any, seen: Any) -> Any:
        weights = L.Activation("softmax")(L.Dot(axes=[2, 2])([y, seen]))
        return L.Dot(axes=[2, 1])([weights, seen])

    return attending(attend)


def deep_with_attention() -> Model:
    read, previous = inputs()
    y = L.Bidirectional(L.GRU(UNITS, return_sequences=True))(read)
    both = L.Bidirectional(gru("in"), merge_mode="sum", name="seen")
    seen, forward, backward = both(y)
    y, _ = gru("out")(previous, initial_state=L.Add(name="h")([forward, backward]))
    y = L.Concatenate()([y, L.Attention(use_scale=True)([y, seen])])
    return keras.Model([read, previous], scores(y)), {"seen": "seen", "h": "out.1"}


def shared_embedding() -> Model:
    read, previous = words()
    embed = L.Embedding(WORDS, 5)
    _, *held = lstm("in")(embed(read))
    y, *_ = lstm("out")(embed(previous), initial_state=held)
    return keras.Model([read, previous], scores(y, WORDS)), numbered("in", "out", 1, 2)


def masked() -> Model:
    """Zeros are no words."""
    read, previous = words()
    _, *held = lstm("in")(L.Embedding(WORDS, 5, mask_zero=True)(read))
    y, *_ = lstm("out")(L.Embedding(WORDS, 5, mask_zero=True)(previous), initial_state=held)
    return keras.Model([read, previous], scores(y, WORDS)), numbered("in", "out", 1, 2)


def two_cells() -> Model:
    read, previous = inputs()
    cells = [[L.LSTMCell(UNITS), L.LSTMCell(4)] for _ in range(2)]
    _, *held = L.RNN(cells[0], return_state=True, name="in")(read)
    decoder = L.RNN(cells[1], return_sequences=True, return_state=True, name="out")
    y, *_ = decoder(previous, initial_state=held)
    return keras.Model([read, previous], scores(y)), numbered("in", "out", 1, 2, 3, 4)


def nested() -> Model:
    """Both are models, with layers of equal names; a layer of one is `model/layer`."""
    outer, inner = inputs(), inputs()
    h, c = keras.Input((UNITS,)), keras.Input((UNITS,))
    encoder = keras.Model(inner[0], lstm("memory")(inner[0])[1:], name="encoder")
    y, *held = lstm("memory")(inner[1], initial_state=[h, c])
    decoder = keras.Model([inner[1], h, c], [scores(y), *held], name="decoder")
    y, *_ = decoder([outer[1], *encoder(outer[0])])
    return keras.Model(outer, y), numbered("encoder/memory", "decoder/memory", 1, 2)


MODELS = (
    *(two_layers, two_layers_of_gru, bidirectional, bridge, two_cells, nested),
    *(attention, additive_attention, attention_by_hand, deep_with_attention),
    *(shared_embedding, masked),
)


@dataclass
class Case:
    """A model's files, what it was given, and what it says at every step."""

    files: Mapping[str, Path]
    edits: Edits
    read: Array
    previous: Array
    want: Array

    @property
    def output(self) -> str:
        return self.edits.entries["decoder"][1][0]


def case_of(model: Any, states: Mapping[str, str], folder: Path, output: str = "scores") -> Case:
    randomise(model)
    rng = np.random.default_rng(0)
    if len(model.inputs[0].shape) == 2:
        arrays = [rng.integers(1, WORDS, (2, steps)).astype("f4") for steps in (4, 3)]
        arrays[0][1, 2:] = 0
    else:
        arrays = [sample((2, 4, READS), "float32"), sample((2, 3, WRITES), "float32", 2)]
    after = [target for source, target in states.items() if target != source]
    entries = {
        "encoder": (["read"], [*states]),
        "decoder": (["previous", *states], [output, *after]),
    }
    files = {suffix: saved(model, folder, suffix) for suffix in (".keras", ".h5")}
    return Case(files, Edits(states=states, entries=entries), *arrays, called(model, arrays)[0])


def steps(case: Case, run: Callable[[dict[str, Array], str], dict[str, Array]]) -> None:
    """Reads once and writes step by step, twice: what is read anew puts an end to what was held."""
    for _ in range(2):
        assert run({"read": case.read}, "encoder") == {}
        for k in range(case.want.shape[1]):
            got = run({"previous": case.previous[:, k : k + 1]}, "decoder")
            assert_close(got[case.output].astype(np.float32), case.want[:, k : k + 1])


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_step_by_step(make: Callable[[], Model], tmp_path: Path) -> None:
    """One file in wasm, the other in NumPy."""
    output = "decoder" if make is nested else "scores"
    case = case_of(*make(), tmp_path, output)
    programs = [edit(load(case.files[suffix]), case.edits) for suffix in (".keras", ".h5")]
    steps(case, next(instances(programs[0])).run)
    held: dict[str, Array] = {}
    steps(case, lambda given, entry: programs[1].run(given, entry, held))


@pytest.mark.parametrize(
    "make",
    [two_layers, bidirectional, deep_with_attention, masked],
    ids=lambda make: make.__name__,
)
def test_step_by_step_in_a_browser(
    make: Callable[[], Model], browser: Browser, tmp_path: Path
) -> None:
    """The same on every backend."""
    case = case_of(*make(), tmp_path)
    bundle = webconv.convert(case.files[".keras"], tmp_path / "bundle", edits=case.edits)
    inputs, expect = [{"read": case.read}], [dict[str, Array]()]
    for k in range(case.want.shape[1]):
        inputs.append({"previous": case.previous[:, k : k + 1]})
        expect.append({"scores": case.want[:, k : k + 1]})
    report = bundle.verify(browser=browser, inputs=inputs, expect=expect)
    assert report.ok, report.failures()
    assert {result.backend for result in report.results} == {"wasm", "webgpu", "webgl"}


def test_a_mask_of_what_was_read(tmp_path: Path) -> None:
    """Attention that is masked by the words: the decoder takes them too, or the mask's layer."""
    read, previous = words()
    embed = L.Embedding(WORDS, 5, mask_zero=True)
    seen, *held = lstm("in")(embed(read))
    y, *_ = lstm("out")(embed(previous), initial_state=held)
    y = L.Concatenate()([y, L.Attention()([y, seen])])
    model = keras.Model([read, previous], scores(y, WORDS))
    states = {"in": "in", **numbered("in", "out", 1, 2)}
    case = case_of(model, states, tmp_path)
    program = load(case.files[".keras"])
    with pytest.raises(ModelFormatError, match=r"'decoder' needs read as inputs too, or \w+ inst"):
        edit(program, case.edits)
    inputs, outputs = case.edits.entries["decoder"]
    entries = {**case.edits.entries, "decoder": ([*inputs, "read"], outputs)}
    cut = edit(program, Edits(states=states, entries=entries))
    run = next(instances(cut)).run
    steps(case, lambda given, entry: run({**given, "read": case.read}, entry))


def test_a_decoder_that_has_read_nothing(tmp_path: Path) -> None:
    """How long the sequence is that a state holds only the encoder tells."""
    model, states = attention()
    case = case_of(model, states, tmp_path)
    program = edit(load(case.files[".keras"]), case.edits)
    given = {"previous": case.previous[:, :1]}
    for run in (next(instances(program)).run, program.run):
        with pytest.raises(ShapeError, match=r"state 'in' holds nothing yet.* writes it first"):
            run(given, "decoder")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The decoder first, its two likeliest, other names; each step is verified against Keras."""
    case = case_of(*attention(), tmp_path)
    out = tmp_path / "out"
    options = [
        *("--entry", "write=previous,in,in.1,in.2:scores,out.1,out.2", "--state", "in=in"),
        *("--entry", "read=read:in,in.1,in.2", "--state", "in.1=out.1", "--state", "in.2=out.2"),
        *("--head", "scores=topk:2", "--rename", "in=seen", "--rename", "read=text"),
        *("--backend", "wasm"),
    ]
    assert cli(["convert", str(case.files[".h5"]), "-o", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert 'await runner.entry("write").run({ previous });  // scores, scores_indices' in printed
    assert 'await runner.entry("read").run({ text });' in printed
    assert cli(["verify", str(out), "--browser", "none"]) == 0
    files = [(tmp_path / f"x{k}.npz", tmp_path / f"y{k}.npz") for k in range(4)]
    np.savez(files[0][0], text=case.read)
    np.savez(files[0][1])
    for k, (given, expect) in enumerate(files[1:]):
        np.savez(given, previous=case.previous[:, k : k + 1])
        best = np.argsort(-case.want[:, k : k + 1], -1)[..., :2]
        np.savez(expect, scores_indices=best.astype("i4"))
    pairs = [f for x, y in files for f in ("--inputs", str(x), "--expect", str(y))]
    assert cli(["verify", str(out), "--browser", "none", *pairs]) == 0
    np.savez(files[3][1], scores_indices=1 - best)
    assert cli(["verify", str(out), "--browser", "none", *pairs]) == 1


def captioned(cells: int) -> Any:
    """A picture's feature is what all states start at; only the sequence is returned."""
    feature, previous = keras.Input((READS,), name="read"), keras.Input((None, WRITES), name="x")
    start = L.Dense(UNITS, "tanh")(feature)
    if cells > 1:
        parts = [L.LSTMCell(UNITS), L.GRUCell(UNITS)]
        layer = L.RNN(parts, return_sequences=True, name="memory")
        y = layer(previous, initial_state=[[start, start], start])
    else:
        layer = L.LSTM(UNITS, return_sequences=True, name="memory")
        y = layer(previous, initial_state=[start, start])
    inner = keras.Model([feature, previous], y, name="inner")
    feature, previous = keras.Input((READS,), name="read"), keras.Input((None, WRITES), name="x")
    return keras.Model([feature, previous], scores(inner([feature, previous])))


@pytest.mark.parametrize(("cells", "suffix"), [(1, ".keras"), (2, ".h5")])
def test_states_that_start_at_one_value(cells: int, suffix: str, tmp_path: Path) -> None:
    """`memory/h` and `memory/c` are where a layer starts, also where it does not return them."""
    model = captioned(cells)
    randomise(model)
    names = ["memory/h", "memory/c"]
    if cells > 1:
        names = ["inner/memory/0/h", "inner/memory/0/c", "inner/memory/1/h"]
    layer = names[0].partition("/h")[0].removesuffix("/0")
    arrays = [sample((2, READS), "float32"), sample((2, 3, WRITES), "float32", 2)]
    want = called(model, arrays)[0]
    program = load(saved(model, tmp_path, suffix))
    entries = {"start": (["read"], names), "step": (["x"], ["scores"])}
    cut = edit(program, Edits(entries=entries, stateful=(layer,)))
    assert [s.name for s in cut.states] == names
    runs = [next(instances(cut)).run]
    held: dict[str, Array] = {}
    runs.append(lambda given, entry: cut.run(given, entry, held))
    for run in runs * 2:
        assert run({"read": arrays[0]}, "start") == {}
        for k in range(3):
            (got,) = run({"x": arrays[1][:, k : k + 1]}, "step").values()
            assert_close(got.astype(np.float32), want[:, k : k + 1])


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        (
            {"step": (["x"], ["scores"])},
            "'memory/h': its initial value is computed from inputs; an",
        ),
        (
            {
                "start": (["read"], ["memory/h", "memory/c"]),
                "step": (["read", "x"], ["scores"]),
            },
            "entry 'step': 'read' says where 'memory/h' starts, but the entry goes on",
        ),
        (
            {"both": (["read", "x"], ["scores", "memory/h", "memory/c"])},
            "entry 'both': it goes on from the state 'memory/h', so it cannot give where",
        ),
    ],
)
def test_starts_that_make_no_sense(entries: Any, rule: str, tmp_path: Path) -> None:
    program = load(saved(captioned(1), tmp_path, ".keras"))
    with pytest.raises(ModelFormatError, match=rule):
        edit(program, Edits(entries=entries, stateful=("memory",)))


# -- names -----------------------------------------------------------------------------------------


def twins() -> Any:
    """Two models, each with a layer `memory`, and a third of that name."""
    x = keras.Input(batch_shape=(2, 3, 2), name="x")
    y = x
    for name, width in (("one", 2), ("two", 4)):
        inner = keras.Input(batch_shape=(2, 3, width))
        layer = L.LSTM(4, return_sequences=True, stateful=True, name="memory")
        y = keras.Model(inner, layer(inner), name=name)(y)
    return keras.Model(x, L.LSTM(3, stateful=True, name="memory")(y))


def test_layers_of_equal_names(tmp_path: Path) -> None:
    """Each has its own states, and goes by the model that it is in."""
    model = twins()
    randomise(model)
    program = load(saved(model, tmp_path, ".keras"))
    layers = ["one/memory", "two/memory", "memory"]
    assert [s.name for s in program.states] == [f"{n}/{s}" for n in layers for s in "hc"]
    run = next(instances(program)).run
    for k in range(3):
        array = sample((2, 3, 2), "float32", k)
        (got,) = run({"x": array}).values()
        assert_close(got, called(model, [array])[0])


def test_inner_layers_of_equal_names(tmp_path: Path) -> None:
    """Two Bidirectional layers around layers of one name."""
    x = keras.Input(batch_shape=(2, 3, 2), name="x")
    around = L.LSTM(4, return_sequences=True, stateful=True, name="memory")
    y = L.Bidirectional(around, name="below")(x)
    y = L.Bidirectional(L.LSTM(3, stateful=True, name="memory"), name="above")(y)
    model = keras.Model(x, y)
    randomise(model)
    program = load(saved(model, tmp_path, ".h5"))
    assert len({s.name for s in program.states}) == 8
    run = next(instances(program)).run
    for k in range(3):
        array = sample((2, 3, 2), "float32", k)
        (got,) = run({"x": array}).values()
        assert_close(got, called(model, [array])[0])
