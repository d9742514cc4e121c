"""What the decoder says of a feature, in Chainer: the reference of the page's `captions.js`."""

from __future__ import annotations

from typing import Any

import chainer
import numpy as np
from net import Decoder
from scenes import LONGEST, VOCABULARY

Beam = tuple[float, list[int]]
"""The logarithm of a caption's probability, and its words, the end included."""


def text(words: list[int]) -> str:
    """Words up to the end."""
    return " ".join(VOCABULARY[w] for w in words[: words.index(0) if 0 in words else None])


def greedy(decoder: Decoder, features: np.ndarray) -> list[str]:
    """The likeliest word after each, for all features [B, 128] at once."""
    scores = _scores(decoder.start(features))
    rows = []
    for _ in range(LONGEST):
        rows.append(scores.argmax(1).astype("i4"))
        scores = _scores(decoder.step(rows[-1]))
    return [text(words) for words in np.stack(rows, 1).tolist()]


def beam_search(decoder: Decoder, feature: np.ndarray, width: int) -> list[tuple[str, float]]:
    """The `width` likeliest captions that are found when so many are followed, best first."""
    scores = _scores(decoder.start(feature[None]))
    live: list[Beam] = [(0.0, [])]
    done: list[Beam] = []
    for length in range(1, LONGEST + 1):
        found = [(sure, words, -1) for sure, words in done]
        for row, (sure, words) in enumerate(live):
            found += [(sure + float(s), [*words, w], row) for w, s in enumerate(scores[row])]
        best = sorted(found, key=lambda beam: -beam[0])[:width]
        done = [(sure, words) for sure, words, _ in best if words[-1] == 0]
        kept = [beam for beam in best if beam[1][-1] != 0]
        live = [(sure, words) for sure, words, _ in kept]
        if not live or length == LONGEST:
            break
        for name in ("c", "h"):
            state = getattr(decoder.lstm, name).array[[row for *_, row in kept]]
            setattr(decoder.lstm, name, chainer.Variable(state))
        scores = _scores(decoder.step(np.array([words[-1] for _, words in live], "i4")))
    return [(text(words), sure) for sure, words in sorted([*done, *live], reverse=True)]


def _scores(outputs: dict[str, Any]) -> np.ndarray:
    array: np.ndarray = outputs["scores"].array
    return array
