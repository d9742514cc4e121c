"""Trains date_lstm.keras and date_repeat.keras to write dates as ISO 8601 does, and measures them.

    pip install keras jax h5py
    KERAS_BACKEND=jax python train.py

Writes the two models and heldout.json. README.md has the figures it printed.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from random import Random

import keras
import numpy as np
from dates import LONGEST, READS, WRITES, split, written
from keras import layers

FOLDER = Path(__file__).parent
SEED = 1
UNITS = 96
LENGTH = 10
BATCH = 64
STEPS, STEPS_OF_REPEAT = 12000, 16000


def encode(texts: list[str], characters: str, first: int, length: int) -> np.ndarray:
    """Indices from `first` on, padded with zeros behind."""
    rows = [[characters.index(c) + first for c in text] for text in texts]
    return np.array([row + [0] * (length - len(row)) for row in rows], "int32")


def encoder_decoder() -> keras.Model:
    """One model, trained with the right characters so far as its second input."""
    text = keras.Input((None,), dtype="int32", name="text")
    read = layers.Embedding(len(READS) + 1, 32, mask_zero=True, name="read")(text)
    _, h, c = layers.LSTM(UNITS, return_state=True, name="encoder")(read)
    previous = keras.Input((None,), dtype="int32", name="previous")
    known = layers.Embedding(len(WRITES), 16, name="known")(previous)
    decoder = layers.LSTM(UNITS, return_sequences=True, return_state=True, name="decoder")
    steps, _, _ = decoder(known, initial_state=[h, c])
    letter = layers.Dense(len(WRITES), activation="softmax", name="letter")(steps)
    return keras.Model([text, previous], letter, name="date_lstm")


def repeated() -> keras.Model:
    """The encoder's result, repeated for each character that is to be written."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="text"),
            layers.Embedding(len(READS) + 1, 32, mask_zero=True),
            layers.LSTM(UNITS),
            layers.RepeatVector(LENGTH),
            layers.LSTM(UNITS, return_sequences=True),
            layers.TimeDistributed(layers.Dense(len(WRITES), activation="softmax"), name="letter"),
        ],
        name="date_repeat",
    )


class Pairs(keras.utils.PyDataset):
    """Batches of dates written by chance."""

    def __init__(self, dates: list[datetime.date], steps: int, forced: bool) -> None:
        super().__init__()
        self.dates, self.steps, self.forced = dates, steps, forced

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[object, np.ndarray]:
        random = Random(f"{SEED} {index}")
        dates = random.choices(self.dates, k=BATCH)
        text = encode([written(d, random) for d in dates], READS, 1, LONGEST)
        letters = encode([d.isoformat() for d in dates], WRITES, 0, LENGTH)
        previous = np.pad(letters, ((0, 0), (1, 0)))[:, :-1]
        return ([text, previous] if self.forced else text), letters


def train(model: keras.Model, pairs: Pairs) -> None:
    """One pass; the learning rate falls to zero along a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(4e-3, len(pairs))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, metrics=["accuracy"])
    model.fit(pairs, epochs=1, shuffle=False, verbose=2)
    # A copy, since a compiled model is saved with its optimizer, which is twice as large.
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    copy.save(FOLDER / f"{model.name}.keras")


def greedy(model: keras.Model, text: np.ndarray) -> np.ndarray:
    """The likeliest character again and again, from the whole model, as slow as that is."""
    letters = np.zeros((len(text), LENGTH + 1), "int32")
    for k in range(LENGTH):
        steps = model.predict([text, letters[:, :LENGTH]], batch_size=2048, verbose=0)
        letters[:, k + 1] = steps[:, k].argmax(-1)
    return letters[:, 1:]


def main() -> None:
    learnt, held_out = split()
    random = Random(SEED)
    texts = [written(date, random) for date in held_out]
    text = encode(texts, READS, 1, LONGEST)
    wanted = encode([date.isoformat() for date in held_out], WRITES, 0, LENGTH)

    keras.utils.set_random_seed(SEED)
    lstm, repeat = encoder_decoder(), repeated()
    train(lstm, Pairs(learnt, STEPS, forced=True))
    train(repeat, Pairs(learnt, STEPS_OF_REPEAT, forced=False))
    found = {
        lstm.name: greedy(lstm, text),
        repeat.name: repeat.predict(text, batch_size=2048, verbose=0).argmax(-1),
    }
    for model in (lstm, repeat):
        share = np.all(found[model.name] == wanted, axis=1).mean()
        print(f"{model.name}: {model.count_params()} parameters")
        print(f"{100 * share:.2f} % of {len(held_out)} held-out dates right in every character")
    pairs = [[text, date.isoformat()] for text, date in zip(texts, held_out, strict=True)]
    (FOLDER / "heldout.json").write_text(json.dumps(pairs[:1000]) + "\n")


if __name__ == "__main__":
    main()
