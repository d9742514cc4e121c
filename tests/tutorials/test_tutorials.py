"""The models of five tutorials on recurrent networks, as they define them, on every backend.

Each test has its tutorial's name and the definition as a reader would type it; weights are random.
What they must give Keras computes, or TensorFlow has computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.backends.test_wasm import instances
from tests.chainer_fixtures import Run
from tests.frontends.chainer.test_functions import program_of
from tests.frontends.layer_cases import L
from tests.frontends.oracle import (
    Array,
    assert_close,
    called,
    compare,
    keras,
    randomise,
    sample,
    saved,
)
from webconv.edits import Edits
from webconv.frontends.keras import load
from webconv.ir import dims
from webconv.verify.browser import Browser
from webconv.verify.report import Report

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

Check = Callable[..., Report]


def sequential(*layers: Any) -> Any:
    model = keras.Sequential(list(layers))
    randomise(model)
    return model


@pytest.fixture
def check(browser: Browser, tmp_path: Path) -> Check:
    """A function that holds a model against Keras: one file on every backend, the other in NumPy.

    Every run is given the arrays of all inputs, or that of the only one.
    """

    def checked(model: Any, *runs: Array | Sequence[Array], **options: Any) -> Report:
        given: list[Sequence[Array]] = [
            [run] if isinstance(run, np.ndarray) else run for run in runs
        ]
        want = [called(model, arrays) for arrays in given]
        program = load(saved(model, tmp_path, ".h5"))
        if not program.states:
            compare(program, given[0], want[0], ".h5")
        bundle = webconv.convert(saved(model, tmp_path, ".keras"), tmp_path / "bundle", **options)
        report = bundle.verify(
            browser=browser,
            inputs=[by_position(arrays) for arrays in given],
            expect=[by_position(arrays) for arrays in want],
        )
        assert report.ok, report.failures()
        assert {result.backend for result in report.results} == {"wasm", "webgpu", "webgl"}
        return report

    return checked


def by_position(arrays: Sequence[Array]) -> dict[str, Array]:
    return {str(k): array for k, array in enumerate(arrays)}


# -- sentiment of reviews --------------------------------------------------------------------------

WORDS = 20_000


def reviews(batch: int, time: int) -> Array:
    ids: Array = np.random.default_rng(time).integers(0, WORDS, (batch, time)).astype("float32")
    return ids


def test_sentiment(check: Check) -> None:
    """Embedding, LSTM, Dense: reviews of any length."""
    model = sequential(
        keras.Input((None,)),
        L.Embedding(WORDS, 128),
        L.LSTM(128, dropout=0.2, recurrent_dropout=0.2),
        L.Dense(1, activation="sigmoid"),
    )
    check(model, reviews(1, 12), reviews(3, 5))


def test_sentiment_stacked(check: Check) -> None:
    """Two LSTMs, of which the first hands on its sequence."""
    model = sequential(
        keras.Input((20,)),
        L.Embedding(WORDS, 32),
        L.LSTM(64, return_sequences=True),
        L.Dropout(0.5),
        L.LSTM(32),
        L.Dense(1, activation="sigmoid"),
    )
    check(model, reviews(2, 20))


# -- text by characters ----------------------------------------------------------------------------

MAXLEN, CHARS = 40, 59


def text_generation() -> Any:
    """LSTM(128, input_shape=(maxlen, chars)), Dense, softmax, as the tutorial has it."""
    model = keras.models.Sequential()
    model.add(L.LSTM(128, input_shape=(MAXLEN, CHARS)))
    model.add(L.Dense(CHARS))
    model.add(L.Activation("softmax"))
    randomise(model)
    return model


def text(batch: int) -> Array:
    """One-hot windows."""
    drawn = np.random.default_rng(0).integers(0, CHARS, (batch, MAXLEN))
    one_hot: Array = np.eye(CHARS, dtype="float32")[drawn]
    return one_hot


def test_text_generation(check: Check) -> None:
    check(text_generation(), text(1), text(2))


def test_text_generation_step_by_step(browser: Browser, tmp_path: Path) -> None:
    """The same file, one character at a time with carried state, ends at the same distribution."""
    model = text_generation()
    path = saved(model, tmp_path, ".keras")
    name, *_ = load(path).main.inputs
    layer = model.layers[0].name
    shapes = {name: (dims.symbol("batch"), 1, CHARS)}
    stateful = Edits(stateful=(layer,))
    bundle = webconv.convert(path, tmp_path / "bundle", input_shapes=shapes, edits=stateful)
    window = text(2)
    # What Keras says of every beginning of the window.
    steps = [window[:, : k + 1] for k in range(MAXLEN)]
    sequences = keras.Sequential([keras.Input((None, CHARS)), *model.layers])
    report = bundle.verify(
        browser=browser,
        inputs=[{name: step[:, -1:]} for step in steps],
        expect=[{"0": called(sequences, [step])[0]} for step in steps],
    )
    assert report.ok, report.failures()


# -- what an RNN computes --------------------------------------------------------------------------


def test_simple_rnn(check: Check) -> None:
    """SimpleRNN(4, input_shape=(3, 2)): 28 numbers, which can be followed by hand."""
    model = keras.models.Sequential()
    model.add(L.SimpleRNN(4, input_shape=(3, 2)))
    randomise(model)
    assert model.count_params() == 28
    x = sample((1, 3, 2), "float32")
    check(model, x)
    w, u, b = (np.asarray(v) for v in model.get_weights())
    h = np.zeros((1, 4))
    for step in range(3):
        h = np.tanh(x[:, step] @ w + h @ u + b)
    np.testing.assert_allclose(called(model, [x])[0], h, rtol=1e-6)


def test_simple_rnn_return_sequences(check: Check) -> None:
    model = sequential(keras.Input((3, 2)), L.SimpleRNN(4, return_sequences=True))
    check(model, sample((2, 3, 2), "float32"))


@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_bidirectional_concatenation(cell: Any, check: Check) -> None:
    """Both directions side by side, with and without their sequences."""
    x = keras.Input((5, 3))
    sequences = L.Bidirectional(cell(4, return_sequences=True), merge_mode="concat")(x)
    model = keras.Model(x, [sequences, L.Bidirectional(cell(3))(sequences)])
    randomise(model)
    check(model, sample((2, 5, 3), "float32"))


def test_bidirectional_by_hand(check: Check) -> None:
    """Two layers, one of which goes backwards, and Concatenate."""
    x = keras.Input((5, 3))
    both = [L.LSTM(4)(x), L.LSTM(4, go_backwards=True)(x)]
    model = keras.Model(x, L.Dense(2)(L.Concatenate()(both)))
    randomise(model)
    check(model, sample((2, 5, 3), "float32"))


# -- one and many ----------------------------------------------------------------------------------


def test_one_to_one(check: Check) -> None:
    """One number in, one out: no recurrence is needed."""
    model = sequential(keras.Input((1,)), L.Dense(5, activation="relu"), L.Dense(1))
    check(model, sample((4, 1), "float32"))


def test_one_to_many(check: Check) -> None:
    """RepeatVector hands one vector to every step."""
    model = sequential(
        keras.Input((10,)),
        L.RepeatVector(6),
        L.LSTM(12, return_sequences=True),
        L.TimeDistributed(L.Dense(3, activation="softmax")),
    )
    check(model, sample((2, 10), "float32"))


def test_many_to_one(check: Check) -> None:
    """All layers but the last hand on their sequences."""
    model = sequential(
        keras.Input((7, 4)),
        L.LSTM(6, return_sequences=True),
        L.LSTM(5, return_sequences=True),
        L.LSTM(4),
        L.Dense(1),
    )
    check(model, sample((3, 7, 4), "float32"))


def test_many_to_many(check: Check) -> None:
    """An output for every step: a Dense layer acts on each by itself."""
    model = sequential(
        keras.Input((None, 4)),
        L.LSTM(6, return_sequences=True),
        L.TimeDistributed(L.Dense(3, activation="softmax")),
    )
    check(model, sample((2, 5, 4), "float32"), sample((1, 9, 4), "float32"))


def test_encoder_decoder_repeat_vector(check: Check) -> None:
    """Many to many of another length: what was read is repeated for what is written."""
    model = sequential(
        keras.Input((None, 4)),
        L.LSTM(6),
        L.RepeatVector(3),
        L.LSTM(6, return_sequences=True),
        L.TimeDistributed(L.Dense(2)),
    )
    check(model, sample((2, 5, 4), "float32"))


# -- states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_return_state(cell: Any, sequences: bool, check: Check) -> None:
    """The output, h, and of an LSTM c, as outputs of the model."""
    x = keras.Input((4, 3))
    model = keras.Model(x, cell(5, return_sequences=sequences, return_state=True)(x))
    randomise(model)
    check(model, sample((2, 4, 3), "float32"))


def test_initial_state(check: Check) -> None:
    """The encoder-decoder: an LSTM starts from another's h and c."""
    x, y = keras.Input((None, 3), name="x"), keras.Input((None, 2), name="y")
    _, h, c = L.LSTM(5, return_state=True)(x)
    outputs, _, _ = L.LSTM(5, return_sequences=True, return_state=True)(y, initial_state=[h, c])
    model = keras.Model([x, y], L.Dense(2, activation="softmax")(outputs))
    randomise(model)
    check(model, (sample((2, 4, 3), "float32"), sample((2, 3, 2), "float32", 2)))


@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_stateful_over_batches(cell: Any, check: Check) -> None:
    """Row k of a batch goes on where row k of the last ended, until the states are reset."""
    model = sequential(
        keras.Input(batch_shape=(2, 3, 1)),
        cell(6, stateful=True, return_sequences=True),
        cell(5, stateful=True),
        L.Dense(1),
    )
    check(model, *(sample((2, 3, 1), "float32", k) for k in range(3)))


# -- words of a story ------------------------------------------------------------------------------

STORY = Path(__file__).resolve().parents[2] / "examples" / "story"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("story", id="basic_lstm_cell_512"),
        pytest.param("story_two_layers", id="multi_rnn_cell"),
    ],
)
def test_story(name: str, browser: Browser, tmp_path: Path) -> None:
    """Three words in, one out: static_rnn of BasicLSTMCell(512), and of two in a MultiRNNCell.

    TensorFlow has computed what examples/story/train.py left beside the files.
    """
    report = webconv.convert(STORY / f"{name}.onnx", tmp_path / "bundle").verify(
        browser=browser,
        inputs=[STORY / "windows.npz"],
        expect=[STORY / f"{name}_expect.npz"],
    )
    assert report.ok, report.failures()
    assert {result.backend for result in report.results} == {"wasm", "webgpu", "webgl"}


# -- captions of images ----------------------------------------------------------------------------

CAPTIONING = Path(__file__).resolve().parents[2] / "examples" / "captioning"
CAPTIONS = Path(__file__).with_name("captions.py")


def test_captioning_with_two_runners(chainer_python: Run, tmp_path: Path) -> None:
    """A network for images, and EmbedID, LSTM, Linear, which starts from the feature of one.

    The scores go word by word as in Chainer; h and c are states, which the page need not hand on.
    """
    out = tmp_path / "captions.npz"
    done = chainer_python(CAPTIONS, out, cwd=CAPTIONING)
    assert done.returncode == 0, done.stderr
    with np.load(out) as arrays:
        found = dict(arrays)
    encoders = instances(program_of(found, "encoder"))
    decoders = instances(program_of(found, "decoder"))
    for encoder, decoder in zip(encoders, decoders, strict=True):
        feature = encoder.run({"picture": found["picture"]})["feature"]
        assert_close(feature, found["feature"])
        assert_close(decoder.run({"feature": feature}, "start")["scores"], found["scores_0"])
        for k in range(1, 4):
            step = decoder.run({"word": found[f"scores_{k - 1}"].argmax(1)}, "step")
            assert_close(step["scores"], found[f"scores_{k}"])
