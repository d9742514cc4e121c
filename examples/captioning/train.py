"""Trains encoder.npz and decoder.npz to caption scenes of digits, and measures them.

    python train.py    (with Chainer as docs/chainer.md has it, and scikit-learn)

Writes the two snapshots; heldout.json, the scenes of digits that were held out, for the page; and
expected.json, what Chainer says of some of them. README.md has the figures that it printed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from decode import beam_search, greedy
from net import Decoder, Encoder
from scenes import HEIGHT, LONGEST, VOCABULARY, WIDTH, Scene, draw, scene
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent
SEED = 1
BATCH = 64
ROUNDS = ((4500, 2e-3, True), (3000, 1.5e-3, False), (4000, 1.5e-3, False))
"""Steps, the highest learning rate, and whether a hint is given."""
HELD_OUT, SCENES, EXPECTED, SEARCHED, WIDTH_OF_SEARCH = 360, 1000, 200, 40, 5

Digits = tuple[np.ndarray, np.ndarray]
"""Images [n, 8, 8] of values up to 16, and their classes [n]."""


def split() -> tuple[Digits, Digits]:
    """The digits to learn from, and those that are held out."""
    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    own, held = order[HELD_OUT:], order[:HELD_OUT]
    images = data.images.astype("f4")
    return (images[own], data.target[own]), (images[held], data.target[held])


def encode(scenes: list[Scene]) -> np.ndarray:
    """Captions as rows of words, -1 behind their ends."""
    rows = [[*map(VOCABULARY.index, s.caption.split()), 0] for s in scenes]
    return np.array([row + [-1] * (LONGEST - len(row)) for row in rows], "i4")


class Training(chainer.Chain):  # type: ignore[misc]
    """Both chains, and in the first round a hint: how often the feature shows each digit."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.encoder, self.decoder = Encoder(), Decoder()
            self.hint = L.Linear(None, 10 * 4)

    def forward(self, pictures: np.ndarray, scenes: list[Scene], hint: bool) -> chainer.Variable:
        """The loss, the right words so far given to every step (teacher forcing)."""
        feature = self.encoder(pictures)["feature"]
        words = encode(scenes)
        scores = [self.decoder.start(feature)["scores"]]
        scores += [self.decoder.step(np.maximum(w, 0))["scores"] for w in words.T[:-1]]
        loss = _of_words(F.stack(scores, 1), words)
        if hint:
            counts = [[sum(d.label == k for d in s.digits) for k in range(10)] for s in scenes]
            shown = F.reshape(self.hint(feature), (-1, 4))
            loss += 5 * F.softmax_cross_entropy(shown, np.array(counts, "i4").reshape(-1))
        return loss


def _of_words(scores: chainer.Variable, words: np.ndarray) -> chainer.Variable:
    """The loss of scores [B, LONGEST, words] for each caption, summed over its words."""
    loss = F.softmax_cross_entropy(F.reshape(scores, (words.size, -1)), words.reshape(-1))
    return loss * (np.count_nonzero(words >= 0) / len(words))


def train(training: Training, digits: Digits, number: int) -> None:
    """A round: the learning rate rises at first, and then falls to zero along a cosine."""
    steps, rate, hint = ROUNDS[number]
    random = Random(SEED + 10 * number)
    images, labels = digits
    optimizer = chainer.optimizers.Adam(rate).setup(training)
    optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(2.0))
    for step in range(steps):
        falling = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimizer.alpha = rate * min(falling, (step + 1) / 200)
        scenes = [scene(labels, random) for _ in range(BATCH)]
        loss = training(draw(scenes, images), scenes, hint)
        training.cleargrads()
        loss.backward()
        loss.unchain_backward()
        optimizer.update()
        if step % 250 == 249:
            print(f"{step + 1}: loss {float(loss.array):.3f}", flush=True)
            save(training)


def save(training: Training) -> None:
    """The two snapshots."""
    for name in ("encoder", "decoder"):
        chainer.serializers.save_npz(FOLDER / f"{name}.npz", training[name])


def measure(training: Training, digits: Digits) -> None:
    """Captions of scenes that hold digits never seen, to the word."""
    random = Random(SEED + 1)
    images, labels = digits
    scenes = [scene(labels, random) for _ in range(SCENES)]
    write_scenes(digits, scenes)
    features = training.encoder(draw(scenes, images))["feature"].array
    said = greedy(training.decoder, features)
    searched = [beam_search(training.decoder, f, WIDTH_OF_SEARCH) for f in features]
    for name, captions in (("greedy", said), ("beams", [beams[0][0] for beams in searched])):
        right = sum(c == s.caption for c, s in zip(captions, scenes, strict=True))
        print(f"{name}: {right} of {len(scenes)} captions right in every word", flush=True)
    expected = {"greedy": said[:EXPECTED], "beams": searched[:SEARCHED]}
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def write_scenes(digits: Digits, scenes: list[Scene]) -> None:
    """heldout.json: words, digits with a character for each pixel, scenes."""
    images, labels = digits
    pixels = ["".join("0123456789abcdefg"[int(v)] for v in image.flat) for image in images]
    found = {
        "width": WIDTH,
        "height": HEIGHT,
        "words": VOCABULARY,
        "digits": [[int(label), row] for label, row in zip(labels, pixels, strict=True)],
        "scenes": [
            [[[d.image, d.x, d.y, d.size] for d in s.digits], s.brightness, s.seed, s.caption]
            for s in scenes
        ],
    }
    lines = json.dumps(found, separators=(",", ":")).replace("],[[[", "],\n[[[")
    (FOLDER / "heldout.json").write_text(lines.replace('"],["', '"],\n["') + "\n")


def main() -> None:
    np.random.seed(SEED)
    own, held = split()
    training = Training()
    for number in range(len(ROUNDS)):
        train(training, own, number)
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        measure(training, held)


if __name__ == "__main__":
    main()
