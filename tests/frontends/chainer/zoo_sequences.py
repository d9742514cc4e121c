"""Networks of lists of sentences, as people write them in Chainer, in small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import Input, floats, lists, made, words
from tests.frontends.chainer.zoo_text import sequence_embed


class LanguageModel(chainer.Chain):
    """Each word from those before it, and how likely the next one is."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.out = L.EmbedID(9, 4), L.Linear(5, 9)
            self.rnn = L.NStepLSTM(1, 4, 5, 0.1)

    def forward(self, xs: Any) -> Any:
        _, _, hs = self.rnn(None, None, sequence_embed(self.embed, [x[:-1] for x in xs]))
        scores = [F.log_softmax(self.out(h)) for h in hs]
        told = [F.select_item(y, x[1:]) for y, x in zip(scores, xs, strict=True)]
        mean = F.stack([F.sum(t) / len(t) for t in told])
        return {"scores": scores, "told": F.concat(told, axis=0), "mean": mean}


class Slices(chainer.Chain):
    """Parts of sentences of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4)

    def forward(self, xs: Any) -> Any:
        es = [self.embed(x) for x in xs]
        start = np.zeros((1, 4), "f")
        return {
            "inner": [e[1:-1] for e in es],
            "moved": F.concat([F.concat([start, e], axis=0)[:-1] for e in es], axis=0),
            "pairs": F.concat([F.concat([e[:-1], e[1:]], axis=1) for e in es], axis=0),
            "head": F.concat([e[:2] for e in es], axis=0),
            "tail": F.pad_sequence([e[-4:] for e in es]),
            "every": F.concat([e[1::2] for e in es], axis=0),
            "rows": F.stack([e[2] - e[-3] for e in es]),
            "last": F.concat([F.tanh(e[-1:]) for e in es], axis=0),
            "columns": F.concat([e[:, 1:3] for e in es], axis=0),
        }


class Luong(chainer.Chain):
    """A decoder that looks at the words of its own source sentence."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed_x, self.embed_y = L.EmbedID(9, 4), L.EmbedID(7, 4)
            self.encoder, self.decoder = L.NStepLSTM(1, 4, 5, 0.1), L.NStepLSTM(1, 4, 5, 0.1)
            self.context, self.out = L.Linear(10, 5), L.Linear(5, 7)

    def forward(self, xs: Any, ys: Any) -> Any:
        h, c, hxs = self.encoder(None, None, sequence_embed(self.embed_x, xs))
        _, _, hys = self.decoder(h, c, sequence_embed(self.embed_y, ys))
        contexts = []
        for hx, hy in zip(hxs, hys, strict=True):
            weights = F.softmax(F.matmul(hy, hx, transb=True), axis=1)
            contexts.append(F.matmul(weights, hx))
        both = F.concat([F.concat(contexts, axis=0), F.concat(hys, axis=0)], axis=1)
        return self.out(F.tanh(self.context(both)))


class Hierarchical(chainer.Chain):
    """Words to sentences, and sentences to a document, by attention."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4)
            self.words, self.sentences = L.NStepBiGRU(1, 4, 3, 0.1), L.NStepBiGRU(1, 6, 3, 0.1)
            self.wa, self.wu = L.Linear(6, 5), L.Linear(5, 1, nobias=True)
            self.sa, self.su = L.Linear(6, 5), L.Linear(5, 1, nobias=True)
            self.out = L.Linear(6, 2)

    def attend(self, hs: Any, a: Any, u: Any) -> Any:
        found = []
        for h in hs:
            weights = F.softmax(u(F.tanh(a(h))), axis=0)
            found.append(F.sum(h * F.broadcast_to(weights, h.shape), axis=0))
        return F.stack(found)

    def forward(self, sentences: Any) -> Any:
        _, hs = self.words(None, [self.embed(s) for s in sentences])
        vectors = self.attend(hs, self.wa, self.wu)
        _, ds = self.sentences(None, [vectors])
        return self.out(self.attend(ds, self.sa, self.su))


class Decomposable(chainer.Chain):
    """Two sentences that look at each other (natural language inference)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.f = L.EmbedID(9, 4), L.Linear(4, 4)
            self.g, self.h = L.Linear(8, 4), L.Linear(8, 3)

    def forward(self, xs: Any, ys: Any) -> Any:
        found = []
        for x, y in zip(xs, ys, strict=True):
            a, b = self.embed(x), self.embed(y)
            e = F.matmul(F.relu(self.f(a)), F.relu(self.f(b)), transb=True)
            beta = F.matmul(F.softmax(e, axis=1), b)
            alpha = F.matmul(F.softmax(e, axis=0), a, transa=True)
            left = F.sum(F.relu(self.g(F.concat((a, beta), axis=1))), axis=0)
            right = F.sum(F.relu(self.g(F.concat((b, alpha), axis=1))), axis=0)
            found.append(F.concat((left, right), axis=0))
        return self.h(F.stack(found))


class Conditioned(chainer.Chain):
    """Sentences behind others, and words beside the vector of another sentence."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.rnn = L.EmbedID(9, 4), L.NStepGRU(1, 4, 4, 0.1)

    def forward(self, xs: Any, ys: Any) -> Any:
        exs, eys = sequence_embed(self.embed, xs), sequence_embed(self.embed, ys)
        h, _ = self.rnn(None, exs)
        mark = np.ones((1, 4), "f")
        pairs = [F.concat([x, mark, y], axis=0) for x, y in zip(exs, eys, strict=True)]
        own = zip(h[-1], eys, strict=True)
        beside = [F.concat([e, F.broadcast_to(v, e.shape)], axis=1) for v, e in own]
        queries = [F.matmul(e, F.mean(e, axis=0)) for e in eys]
        joined, _ = self.rnn(None, pairs)
        return {"joined": joined, "beside": beside, "queries": F.concat(queries, axis=0)}


class Padded(chainer.Chain):
    """Attention over sentences that are filled up, with masks that NumPy computes."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.rnn = L.EmbedID(9, 4), L.NStepLSTM(1, 4, 4, 0.1)
            self.out = L.Linear(8, 5)

    def forward(self, xs: Any, queries: Any) -> Any:
        _, _, hs = self.rnn(None, None, sequence_embed(self.embed, xs))
        h = F.pad_sequence(hs)
        b, t, size = h.shape
        filled = F.pad_sequence(xs, padding=-1).array == -1
        q = F.reshape(self.embed(queries), (b, 1, size))
        scores = F.sum(h * F.broadcast_to(q, (b, t, size)), axis=2)
        scores = F.where(filled, self.xp.full((b, t), -1e9, "f"), scores)
        weights = F.broadcast_to(F.softmax(scores)[:, :, None], h.shape)
        counts = (~filled).sum(axis=1, keepdims=True).astype("f")
        mean = F.sum(h * (1 - filled[:, :, None]), axis=1) / counts
        return self.out(F.concat([F.sum(weights * h, axis=1), mean], axis=1))


class MaskedLoop(chainer.Chain):
    """A loop over sentences that are filled up, whose states stay where one has ended."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.cell = L.EmbedID(9, 4, ignore_label=-1), L.StatelessLSTM(4, 5)
            self.out = L.Linear(5, 3)

    def forward(self, xs: Any) -> Any:
        block = F.pad_sequence(xs, padding=-1)
        c = h = self.xp.zeros((len(xs), 5), "f")
        for t in range(block.shape[1]):
            word = block[:, t]
            next_c, next_h = self.cell(c, h, self.embed(word))
            there = self.xp.broadcast_to((word.array != -1)[:, None], next_h.shape)
            c, h = F.where(there, next_c, c), F.where(there, next_h, h)
        return self.out(h)


class Attended(chainer.Chain):
    """Attention by a vector of all sentences, by one of each, and over masks of lengths."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.rnn = L.EmbedID(9, 4), L.NStepGRU(1, 4, 4, 0.1)
            self.query = chainer.Parameter(chainer.initializers.Normal(), (4, 1))

    def forward(self, xs: Any) -> Any:
        last, hs = self.rnn(None, [self.embed(x) for x in xs])
        whole = []
        for k, h in enumerate(hs):
            turned = F.softmax(F.transpose(F.matmul(h, self.query)))
            own = F.softmax(F.matmul(h, last[0][k]), axis=0)
            whole.append(F.concat([F.flatten(F.matmul(turned, h)), F.matmul(own, h)], axis=0))
        block = F.pad_sequence(hs)
        lengths = [len(x) for x in xs]
        mask = np.array([[1.0] * n + [0.0] * (block.shape[1] - n) for n in lengths], "f")
        scores = F.squeeze(F.matmul(block, F.expand_dims(last[-1], 2)), 2) - 1e6 * (1 - mask)
        context = F.squeeze(F.matmul(F.softmax(scores)[:, None], block), 1)
        return F.stack(whole), context


class Started(chainer.Chain):
    """A sentence read from the h of another one, and an h alone."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.first = L.EmbedID(9, 4), L.NStepGRU(2, 4, 5, 0.1)
            self.second = L.NStepLSTM(2, 4, 5, 0.1)

    def forward(self, xs: Any, ys: Any) -> Any:
        h, _ = self.first(None, sequence_embed(self.embed, xs))
        h, c, said = self.second(h, None, sequence_embed(self.embed, ys))
        return {"h": h, "c": c, "said": said}


class Features(chainer.Chain):
    """A tagger of words beside marks and numbers of each word, some of which a mask leaves out."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.marks = L.EmbedID(9, 4), L.EmbedID(5, 3)
            self.rnn, self.out = L.NStepBiGRU(1, 9, 5, 0.1), L.Linear(10, 3)

    def forward(self, xs: Any, marks: Any, numbers: Any, masks: Any) -> Any:
        rows = zip(xs, marks, numbers, strict=True)
        es = [F.concat((self.embed(x), self.marks(m), n), axis=1) for x, m, n in rows]
        _, ys = self.rnn(None, es)
        pairs = zip(ys, masks, strict=True)
        kept = [y[1:] * F.broadcast_to(m[:-1, None], y[1:].shape) for y, m in pairs]
        return {"tags": [self.out(y) for y in ys], "mean": F.stack([F.mean(y, 0) for y in kept])}


class Joined(chainer.Chain):
    """Words and marks that are joined as a whole, and cut again; a label for each of them."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.marks = L.EmbedID(9, 4), L.EmbedID(5, 3)
            self.rnn, self.out = L.NStepGRU(1, 7, 4, 0.1), L.Linear(4, 5)

    def forward(self, xs: Any, marks: Any) -> Any:
        whole = self.embed(F.concat(xs, axis=0)), self.marks(F.concat(marks, axis=0))
        ends = np.cumsum([len(x) for x in xs])[:-1]
        _, ys = self.rnn(None, F.split_axis(F.concat(whole, axis=1), ends, axis=0))
        return F.select_item(self.out(F.concat(ys, axis=0)), F.concat(marks, axis=0))


class Crossed(chainer.Chain):
    """Rows of two lists that meet in products and in labels only, and words that do not count."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.row = L.Linear(4, 5)

    def forward(self, xs: Any, ys: Any, labels: Any) -> Any:
        sums = [F.matmul(x, y, transa=True) for x, y in zip(xs, ys, strict=True)]
        told = []
        for x, label in zip(xs, labels, strict=True):
            scores = F.select_item(F.log_softmax(self.row(x)), label)
            scores += np.where(label.array == 0, -9.0, 0).astype("f")
            told.append(F.sum(F.softmax(scores, axis=0)[:, None] * x, axis=0))
        return F.stack(sums), F.stack(told)


class PairedLoop(chainer.Chain):
    """A loop over the steps of words and their numbers, filled up."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.cell = L.EmbedID(9, 4), L.StatelessLSTM(6, 5)

    def forward(self, xs: Any, numbers: Any) -> Any:
        pairs = zip(xs, numbers, strict=True)
        steps = F.pad_sequence([F.concat((self.embed(x), n), axis=1) for x, n in pairs])
        c = h = None
        for t in range(steps.shape[1]):
            c, h = self.cell(c, h, steps[:, t])
        return h


SENTENCE = words(9)
LONGER = ((3, 5, 4), (6,), (4, 3, 9, 3))


def apart(make: Callable[[], Any], left: Input, right: Input) -> Net:
    """A chain of two lists, whose sequences have lengths of their own."""
    pairs = (((3, 1, 2), (2, 2, 5)), ((4,), (3,)), ((1, 2, 3, 4), (4, 3, 2, 6)))
    random = np.random.RandomState(5)
    drawn = [
        [
            [member._replace(shape=(n,)).drawn(random, {}) for n in lengths]
            for member, lengths in zip((left, right), pair, strict=True)
        ]
        for pair in pairs
    ]
    return Net(made(make, drawn[0]), drawn[0], drawn)


def beside_list() -> Net:
    """A list, and an array with a row for each of its sequences, which no name says."""
    random = np.random.RandomState(5)
    drawn = [
        [
            [words(9, n).drawn(random, {}) for n in lengths],
            words(9, len(lengths)).drawn(random, {}),
        ]
        for lengths in ((3, 1, 2), (4,), (2, 6, 3, 1))
    ]
    return Net(made(Padded, drawn[0]), drawn[0], drawn)


ROWS: dict[str, Callable[[], Net]] = {
    "LanguageModel": lambda: lists(LanguageModel, SENTENCE, runs=LONGER),
    "Slices": lambda: lists(Slices, SENTENCE, runs=LONGER),
    "Luong": lambda: apart(Luong, SENTENCE, words(7)),
    "Hierarchical": lambda: lists(Hierarchical, SENTENCE),
    "Decomposable": lambda: apart(Decomposable, SENTENCE, SENTENCE),
    "Conditioned": lambda: apart(Conditioned, SENTENCE, SENTENCE),
    "Padded": beside_list,
    "MaskedLoop": lambda: lists(MaskedLoop, SENTENCE),
    "Attended": lambda: lists(Attended, SENTENCE),
    "Features": lambda: lists(
        Features, SENTENCE, words(5), floats(2), floats(), runs=((3, 2, 4), (5,), (2, 3, 9, 2))
    ),
    "Joined": lambda: lists(Joined, SENTENCE, words(5)),
    "Crossed": lambda: lists(Crossed, floats(4), floats(3), words(5)),
    "PairedLoop": lambda: lists(PairedLoop, SENTENCE, floats(2)),
    "Started": lambda: apart(Started, SENTENCE, SENTENCE),
}
