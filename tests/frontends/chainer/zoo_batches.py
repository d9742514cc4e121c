"""Networks that take the rows of a batch one by one, and join what they make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, OTHER, TIME, floats, row, words


class Sentences(chainer.Chain):
    """Words of sentences of one length, each of which is a sequence for L.NStepLSTM."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.rnn = L.EmbedID(9, 4), L.NStepLSTM(2, 4, 5, 0.1)
            self.out = L.Linear(5, 9)

    def forward(self, x: Any) -> Any:
        h, _, ys = self.rnn(None, None, [self.embed(words) for words in x])
        scores = F.stack([self.out(y) for y in ys])
        told = [F.select_item(F.log_softmax(y), words) for y, words in zip(scores, x, strict=True)]
        return {"h": h, "scores": scores, "told": F.pad_sequence(told)}


class Attention(chainer.Chain):
    """Steps in front, from given states; each sequence looks at itself and at what it ends with."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.rnn, self.row = L.NStepBiGRU(1, 4, 3, 0.1), L.Linear(6, 4)

    def forward(self, x: Any, h: Any) -> Any:
        last, ys = self.rnn(h, F.separate(x, axis=1))
        ends = F.concat((last[0], last[1]), axis=1)
        made = []
        for end, y in zip(ends, ys, strict=True):
            shares = F.softmax(F.matmul(y, end[None], transb=True), axis=0)
            own = F.matmul(F.softmax(F.matmul(y, y, transb=True)), self.row(y))
            best = F.broadcast_to(F.max(own[1:], axis=0), own.shape)
            made.append(
                F.concat([F.matmul(shares, y, transa=True)[0], F.sum(own - best, axis=0)], 0)
            )
        return F.stack(made)


class Pictures(chainer.Chain):
    """Functions of single pictures, and of all of them."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.norm = L.Convolution2D(3, 4, 3, pad=1), L.LayerNormalization(8)

    def forward(self, x: Any, weights: Any) -> Any:
        shares = F.softmax(weights)
        found = []
        for picture, share in zip(F.split_axis(x, x.shape[0], axis=0), shares, strict=True):
            maps = F.max_pooling_2d(F.relu(self.conv(picture)), 2)[0]
            found.append(F.sum(self.norm(F.reshape(maps, (-1, 8))) * share[0], axis=1))
        return F.vstack(found), F.concat([F.flatten(y)[None] for y in x], axis=0)


class Queries(chainer.Chain):
    """Rows of a batch seen from questions that are the same for all, and from their mean."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.row, self.share = L.Linear(4, 4), L.Linear(4, 1)

    def forward(self, x: Any, mask: Any, questions: Any) -> Any:
        asked, means, norms = [], [], []
        for steps, left in zip(x, mask, strict=True):
            shares = F.softmax(F.matmul(self.row(questions), steps, transb=True))
            asked.append(F.matmul(shares, steps - F.mean(x, axis=(0, 1))[None]))
            means.append(F.sum(steps * left[:, None], axis=0) / (F.sum(left) ** 2 + 1))
            norms.append(F.normalize(means[-1][None]) * F.softmax(self.share.W))
        scores = F.hstack([self.share(steps)[:, 0] for steps in x])
        return F.concat(asked, axis=1), F.stack(means, axis=-1), F.vstack(norms), scores


ROWS: dict[str, Callable[[], Net]] = {
    "Sentences": lambda: row(Sentences, words(9, BATCH, TIME), runs=OTHER),
    "Attention": lambda: row(Attention, floats(TIME, BATCH, 4), floats(2, BATCH, 3), runs=OTHER),
    "Queries": lambda: row(
        Queries, floats(BATCH, TIME, 4), floats(BATCH, TIME), floats(3, 4), runs=OTHER
    ),
    "Pictures": lambda: row(Pictures, floats(BATCH, 3, 4, 8), floats(BATCH, 2), runs=OTHER),
}
