"""The models of five tutorials on recurrent networks, as they define them, against Keras on wasm.

Each test has its tutorial's name and the definition as a reader would type it; weights are random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import instances
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
from webconv.edits import Edits, edit
from webconv.frontends.keras import load
from webconv.ir import dims

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

SUFFIXES = (".keras", ".h5")
Step = Callable[..., dict[str, Array]]


def sequential(*layers: Any) -> Any:
    model = keras.Sequential(list(layers))
    randomise(model)
    return model


def check(model: Any, folder: Path, *batches: Array) -> None:
    """Saved both ways, every batch gives what Keras gives, in NumPy and in both wasm modules."""
    for suffix in SUFFIXES:
        program = load(saved(model, folder, suffix))
        (name,) = program.main.inputs
        for instance in instances(program):
            for batch in batches:
                want = called(model, [batch])
                got = instance.run({name: batch})
                for g, w in zip(got.values(), want, strict=True):
                    assert_close(g, w, suffix)
        compare(program, batches[:1], called(model, [batches[0]]), suffix)


# -- sentiment of reviews --------------------------------------------------------------------------

WORDS = 200


def reviews(batch: int, time: int) -> Array:
    ids: Array = np.random.default_rng(time).integers(0, WORDS, (batch, time)).astype("float32")
    return ids


def test_sentiment(tmp_path: Path) -> None:
    """Embedding, LSTM, Dense: reviews of any length."""
    model = sequential(
        keras.Input((None,)),
        L.Embedding(WORDS, 16),
        L.LSTM(24, dropout=0.2, recurrent_dropout=0.2),
        L.Dense(1, activation="sigmoid"),
    )
    check(model, tmp_path, reviews(1, 12), reviews(3, 5))


def test_sentiment_stacked(tmp_path: Path) -> None:
    """Two LSTMs, of which the first hands on its sequence."""
    model = sequential(
        keras.Input((20,)),
        L.Embedding(WORDS, 16),
        L.LSTM(12, return_sequences=True),
        L.Dropout(0.5),
        L.LSTM(8),
        L.Dense(1, activation="sigmoid"),
    )
    check(model, tmp_path, reviews(2, 20))


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


def test_text_generation(tmp_path: Path) -> None:
    check(text_generation(), tmp_path, text(1), text(2))


def test_text_generation_step_by_step(tmp_path: Path) -> None:
    """The same file, one character at a time with carried state, ends at the same distribution."""
    model = text_generation()
    path = saved(model, tmp_path, ".keras")
    name, *_ = load(path).main.inputs
    layer = model.layers[0].name
    shape = (dims.symbol("batch"), 1, CHARS)
    program = edit(load(path, input_shapes={name: shape}), Edits(stateful=(layer,)))
    window = text(2)
    for instance in instances(program):
        for k in range(MAXLEN):
            (got,) = instance.run({name: window[:, k : k + 1]}).values()
        assert_close(got, called(model, [window])[0])


# -- what an RNN computes --------------------------------------------------------------------------


def test_simple_rnn(tmp_path: Path) -> None:
    """SimpleRNN(4, input_shape=(3, 2)): 28 numbers, which can be followed by hand."""
    model = keras.models.Sequential()
    model.add(L.SimpleRNN(4, input_shape=(3, 2)))
    randomise(model)
    assert model.count_params() == 28
    x = sample((1, 3, 2), "float32")
    check(model, tmp_path, x)
    w, u, b = (np.asarray(v) for v in model.get_weights())
    h = np.zeros((1, 4))
    for step in range(3):
        h = np.tanh(x[:, step] @ w + h @ u + b)
    program = load(tmp_path / "model.keras")
    (got,) = program.run(dict.fromkeys(program.main.inputs, x)).values()
    np.testing.assert_allclose(got, h)


def test_simple_rnn_return_sequences(tmp_path: Path) -> None:
    model = sequential(keras.Input((3, 2)), L.SimpleRNN(4, return_sequences=True))
    check(model, tmp_path, sample((2, 3, 2), "float32"))


@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_bidirectional_concatenation(cell: Any, tmp_path: Path) -> None:
    """Both directions side by side, with and without their sequences."""
    x = keras.Input((5, 3))
    sequences = L.Bidirectional(cell(4, return_sequences=True), merge_mode="concat")(x)
    model = keras.Model(x, [sequences, L.Bidirectional(cell(3))(sequences)])
    randomise(model)
    check(model, tmp_path, sample((2, 5, 3), "float32"))


def test_bidirectional_by_hand(tmp_path: Path) -> None:
    """Two layers, one of which goes backwards, and Concatenate."""
    x = keras.Input((5, 3))
    both = [L.LSTM(4)(x), L.LSTM(4, go_backwards=True)(x)]
    model = keras.Model(x, L.Dense(2)(L.Concatenate()(both)))
    randomise(model)
    check(model, tmp_path, sample((2, 5, 3), "float32"))


# -- one and many ----------------------------------------------------------------------------------


def test_one_to_one(tmp_path: Path) -> None:
    """One number in, one out: no recurrence is needed."""
    model = sequential(keras.Input((1,)), L.Dense(5, activation="relu"), L.Dense(1))
    check(model, tmp_path, sample((4, 1), "float32"))


def test_one_to_many(tmp_path: Path) -> None:
    """RepeatVector hands one vector to every step."""
    model = sequential(
        keras.Input((10,)),
        L.RepeatVector(6),
        L.LSTM(12, return_sequences=True),
        L.TimeDistributed(L.Dense(3, activation="softmax")),
    )
    check(model, tmp_path, sample((2, 10), "float32"))


def test_many_to_one(tmp_path: Path) -> None:
    """All layers but the last hand on their sequences."""
    model = sequential(
        keras.Input((7, 4)),
        L.LSTM(6, return_sequences=True),
        L.LSTM(5, return_sequences=True),
        L.LSTM(4),
        L.Dense(1),
    )
    check(model, tmp_path, sample((3, 7, 4), "float32"))


def test_many_to_many(tmp_path: Path) -> None:
    """An output for every step: a Dense layer acts on each by itself."""
    model = sequential(
        keras.Input((None, 4)),
        L.LSTM(6, return_sequences=True),
        L.TimeDistributed(L.Dense(3, activation="softmax")),
    )
    check(model, tmp_path, sample((2, 5, 4), "float32"), sample((1, 9, 4), "float32"))


def test_encoder_decoder_repeat_vector(tmp_path: Path) -> None:
    """Many to many of another length: what was read is repeated for what is written."""
    model = sequential(
        keras.Input((None, 4)),
        L.LSTM(6),
        L.RepeatVector(3),
        L.LSTM(6, return_sequences=True),
        L.TimeDistributed(L.Dense(2)),
    )
    check(model, tmp_path, sample((2, 5, 4), "float32"))


# -- states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_return_state(cell: Any, sequences: bool, tmp_path: Path) -> None:
    """The output, h, and of an LSTM c, as outputs of the model."""
    x = keras.Input((4, 3))
    model = keras.Model(x, cell(5, return_sequences=sequences, return_state=True)(x))
    randomise(model)
    check(model, tmp_path, sample((2, 4, 3), "float32"))


def test_initial_state(tmp_path: Path) -> None:
    """The encoder-decoder: an LSTM starts from another's h and c."""
    x, y = keras.Input((None, 3), name="x"), keras.Input((None, 2), name="y")
    _, h, c = L.LSTM(5, return_state=True)(x)
    outputs, _, _ = L.LSTM(5, return_sequences=True, return_state=True)(y, initial_state=[h, c])
    model = keras.Model([x, y], L.Dense(2, activation="softmax")(outputs))
    randomise(model)
    arrays = [sample((2, 4, 3), "float32"), sample((2, 3, 2), "float32", 2)]
    for suffix in SUFFIXES:
        program = load(saved(model, tmp_path, suffix))
        for instance in instances(program):
            (got,) = instance.run(dict(zip(("x", "y"), arrays, strict=True))).values()
            assert_close(got, called(model, arrays)[0], suffix)


@pytest.mark.parametrize("cell", [L.SimpleRNN, L.LSTM, L.GRU])
def test_stateful_over_batches(cell: Any, tmp_path: Path) -> None:
    """Row k of a batch goes on where row k of the last ended, until the states are reset."""
    model = sequential(
        keras.Input(batch_shape=(2, 3, 1)),
        cell(6, stateful=True, return_sequences=True),
        cell(5, stateful=True),
        L.Dense(1),
    )
    batches = [sample((2, 3, 1), "float32", k) for k in range(3)]
    program = load(saved(model, tmp_path, ".keras"))
    (name,) = program.main.inputs

    def runs(step: Step) -> list[Array]:
        return [next(iter(step({name: batch}).values())) for batch in batches]

    want = [called(model, [batch])[0] for batch in batches]
    for layer in model.layers[:2]:
        layer.reset_states()
    np.testing.assert_array_equal(called(model, batches[:1])[0], want[0])
    for instance in instances(program):
        for got, expected in zip(runs(instance.run), want, strict=True):
            assert_close(got, expected)
        reset = {
            s.name: np.zeros([dims.evaluate(d, {}) for d in s.type.shape], "f4")
            for s in program.states
        }
        again = instance.run({name: batches[0]}, states=reset)
        assert_close(next(iter(again.values())), want[0])
