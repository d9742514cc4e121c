"""Loops over time as people write them in Chainer, with masks, several sequences, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, flags, floats, row, words
from webconv import Dim


class Tagger(chainer.Chain):
    """Both directions over padded words: past its end a sentence keeps its states."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 3)
            self.forth, self.back = L.StatelessLSTM(3, size), L.StatelessGRU(3, size)
            self.out = L.Linear(2 * size, 5)

    def forward(self, ids: Any, mask: Any) -> Any:
        e = self.embed(ids)
        c = h = g = np.zeros((ids.shape[0], 4), "f")
        forth, back = [], []
        for t in range(ids.shape[1]):
            valid = F.broadcast_to(mask[:, t : t + 1], h.shape)
            new_c, new_h = self.forth(c, h, e[:, t])
            c, h = F.where(valid, new_c, c), F.where(valid, new_h, h)
            forth.append(h)
        for t in reversed(range(ids.shape[1])):
            valid = F.cast(F.broadcast_to(mask[:, t][:, None], g.shape), "float32")
            g = valid * self.back(g, e[:, t]) + (1 - valid) * g
            back.append(g * valid)
        both = F.concat((F.stack(forth, 1), F.stack(back[::-1], 1)), axis=2)
        return self.out(both, n_batch_axes=2), c


class Weighed(chainer.Chain):
    """States that numbers between 0 and 1 mix in, as a mask of floats might be."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.cell = L.StatelessLSTM(3, 4)

    def forward(self, x: Any, weight: Any) -> Any:
        c = h = np.zeros((x.shape[0], 4), "f")
        for t in range(x.shape[1]):
            new_c, new_h = self.cell(c, h, x[:, t])
            w = F.broadcast_to(weight[:, t : t + 1], h.shape)
            c, h = w * new_c + (1 - w) * c, w * new_h + (1 - w) * h
        return h


class Pairs(chainer.Chain):
    """One cell over two sequences: words, and features of their places."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.place = L.EmbedID(9, 3), L.Linear(2, 3)
            self.cell, self.over = L.StatelessLSTM(3, 4), L.StatelessGRU(6, 4)

    def forward(self, words: Any, places: Any) -> Any:
        c = h = None
        g = np.zeros((words.shape[0], 4), "f")
        found = []
        for word, place in zip(F.separate(words, 1), F.separate(places, 1), strict=True):
            c, h = self.cell(c, h, self.embed(word) + self.place(place))
            g = self.over(g, F.concat((h, place)))
            found.append(g)
        return F.stack(found, axis=1)


class Translator(chainer.Chain):
    """A decoder of given words that looks at all states of the encoder in each step."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(7, size)
            self.encoder, self.decoder = L.StatelessLSTM(3, size), L.StatelessLSTM(2 * size, size)
            self.out = L.Linear(2 * size, 7)

    def forward(self, x: Any, y: Any) -> Any:
        c = h = None
        states = []
        for t in range(x.shape[1]):
            c, h = self.encoder(c, h, x[:, t])
            states.append(h)
        scores = []
        for t in range(y.shape[1]):
            likeness = F.concat([F.sum(h * s, axis=1, keepdims=True) for s in states])
            weights = F.softmax(likeness)
            context = 0
            for k, s in enumerate(states):
                context += F.broadcast_to(weights[:, k : k + 1], s.shape) * s
            c, h = self.decoder(c, h, F.concat((self.embed(y[:, t]), context)))
            scores.append(self.out(F.concat((h, context))))
        return F.stack(scores, axis=1)


TIME = Dim("time", 4)
SOURCE = Dim("source", 4)
OTHER = ({"batch": 1, "time": 7}, {"batch": 3, "time": 2}, {"batch": 2, "time": 1})
LENGTHS = ({"source": 7}, {"source": 2, "batch": 1})

ROWS: dict[str, Callable[[], Net]] = {
    "Tagger": lambda: row(Tagger, words(9, BATCH, TIME), flags(BATCH, TIME), runs=OTHER),
    "Weighed": lambda: row(Weighed, floats(BATCH, TIME, 3), floats(BATCH, TIME), runs=OTHER),
    "Pairs": lambda: row(Pairs, words(9, BATCH, TIME), floats(BATCH, TIME, 2), runs=OTHER),
    "Translator": lambda: row(
        Translator, floats(BATCH, SOURCE, 3), words(7, BATCH, 3), runs=LENGTHS
    ),
}
