"""Networks that read and write text, as people write them in Chainer, in small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, TIME, floats, lists, row, words


class RNNForLM(chainer.Chain):
    """Word by word, with states that the links keep; its parameters are drawn anew."""

    def __init__(self, n_vocab: int = 9, n_units: int = 4) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(n_vocab, n_units)
            self.l1, self.l2 = L.LSTM(n_units, n_units), L.LSTM(n_units, n_units)
            self.l3 = L.Linear(n_units, n_vocab)
        for param in self.params():
            param.array[...] = np.random.uniform(-0.5, 0.5, param.shape)

    def reset_state(self) -> None:
        self.l1.reset_state()
        self.l2.reset_state()

    def forward(self, x: Any) -> Any:
        h0 = self.embed(x)
        h1 = self.l1(F.dropout(h0))
        return self.l3(F.dropout(self.l2(F.dropout(h1))))


class ContinuousBoW(chainer.Chain):
    """The word in the middle from the mean of those around it (word2vec)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4, initialW=chainer.initializers.Uniform(0.25))
            self.out = L.Linear(4, 9, initialW=0.3)

    def forward(self, contexts: Any) -> Any:
        e = self.embed(contexts)
        return self.out(F.sum(e, axis=1) * (1.0 / contexts.shape[1]))


class SkipGram(chainer.Chain):
    """The words around from the one in the middle, said for each place (word2vec)."""

    def __init__(self, places: int = 4) -> None:
        super().__init__()
        self.places = places
        with self.init_scope():
            self.embed, self.out = L.EmbedID(9, 4), L.Linear(4, 9)

    def forward(self, x: Any) -> Any:
        e = self.embed(x)
        shape = e.shape
        e = F.broadcast_to(e[:, None], (shape[0], self.places, shape[1]))
        return F.log_softmax(self.out(F.reshape(e, (shape[0] * self.places, shape[1]))))


def sequence_embed(embed: Any, xs: Any, dropout: float = 0.0) -> Any:
    """All words of a batch at once, then cut where sentences end."""
    section = np.cumsum([len(x) for x in xs[:-1]])
    ex = F.dropout(embed(F.concat(xs, axis=0)), ratio=dropout)
    return F.split_axis(ex, section, 0)


class RNNEncoder(chainer.Chain):
    """Sentences to vectors by a stack of LSTMs."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4, initialW=chainer.initializers.Uniform(0.25))
            self.encoder = L.NStepLSTM(2, 4, 4, 0.4)

    def forward(self, xs: Any) -> Any:
        last_h, _, _ = self.encoder(None, None, sequence_embed(self.embed, xs, 0.4))
        return last_h[-1]


class CNNEncoder(chainer.Chain):
    """Sentences to vectors by convolutions of three widths and the largest of each."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4, ignore_label=-1)
            self.cnn_w3 = L.Convolution2D(4, 3, ksize=(3, 1), stride=1, pad=(2, 0), nobias=True)
            self.cnn_w5 = L.Convolution2D(4, 3, ksize=(5, 1), stride=1, pad=(4, 0), nobias=True)
            self.mlp = L.Linear(6, 5)

    def forward(self, xs: Any) -> Any:
        block = F.pad_sequence(xs, padding=-1)
        e = F.transpose(self.embed(block), (0, 2, 1))[:, :, :, None]
        h3, h5 = F.max(self.cnn_w3(e), axis=2), F.max(self.cnn_w5(e), axis=2)
        h = F.concat([F.relu(h3), F.relu(h5)], axis=1)
        return F.relu(self.mlp(F.dropout(h[:, :, 0], ratio=0.4)))


class BOWMLPEncoder(chainer.Chain):
    """Sentences to vectors by the mean of their words."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.mlp = L.EmbedID(9, 4, ignore_label=-1), L.Linear(4, 5)

    def forward(self, xs: Any) -> Any:
        e = self.embed(F.pad_sequence(xs, padding=-1))
        lengths = self.xp.array([len(x) for x in xs], np.int32)[:, None]
        return F.tanh(self.mlp(F.sum(e, axis=1) / lengths))


class TextClassifier(chainer.Chain):
    """Sentences to classes by an encoder."""

    def __init__(self, encoder: Any, size: int) -> None:
        super().__init__()
        with self.init_scope():
            self.encoder, self.output = encoder, L.Linear(size, 3)

    def forward(self, xs: Any) -> Any:
        return F.softmax(self.output(F.dropout(self.encoder(xs), ratio=0.4)))


class Seq2seq(chainer.Chain):
    """Sentences read backwards by one stack, and written by another that starts from its states."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed_x, self.embed_y = L.EmbedID(9, 4), L.EmbedID(7, 4)
            self.encoder, self.decoder = L.NStepLSTM(2, 4, 4, 0.1), L.NStepLSTM(2, 4, 4, 0.1)
            self.W = L.Linear(4, 7)

    def forward(self, xs: Any, ys: Any) -> Any:
        exs = sequence_embed(self.embed_x, [x[::-1] for x in xs])
        eys = sequence_embed(self.embed_y, ys)
        hx, cx, _ = self.encoder(None, None, exs)
        _, _, os = self.decoder(hx, cx, eys)
        return self.W(F.concat(os, axis=0))


class Stacks(chainer.Chain):
    """Stacks of every kind over the same sentences, from states that are given to some."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.tanh, self.relu = L.NStepRNNTanh(2, 4, 3, 0.1), L.NStepRNNReLU(1, 3, 4, 0.1)
            self.both, self.gru = L.NStepBiRNNTanh(1, 4, 3, 0.1), L.NStepBiGRU(2, 6, 4, 0.1)

    def forward(self, xs: Any) -> Any:
        h, ys = self.tanh(None, xs)
        last, _ = self.relu(None, ys)
        _, ys = self.both(None, xs)
        states, ys = self.gru(None, ys)
        return h, last, states, F.concat(ys, axis=0)


class Memory(chainer.Chain):
    """Stories, questions and answers by attention to sentences, with places in time (MemN2N)."""

    def __init__(self, hops: int = 2, n_vocab: int = 9, size: int = 4, most: int = 5) -> None:
        super().__init__()
        self.hops = hops
        normal = chainer.initializers.Normal(0.5)
        with self.init_scope():
            self.E1, self.E2, self.E3 = (
                L.EmbedID(n_vocab, size, initialW=normal, ignore_label=0) for _ in range(3)
            )
            self.T1, self.T2 = L.EmbedID(most, size), L.EmbedID(most, size)

    def encode(self, embed: Any, x: Any) -> Any:
        length, size = x.shape[-1], embed.W.shape[1]
        k = np.arange(1, size + 1, dtype=np.float32)[None, :] / size
        place = np.arange(1, length + 1, dtype=np.float32)[:, None]
        weights = (1 - place / length) - k * (1 - 2.0 * place / length)
        e = embed(x)
        return F.sum(e * F.broadcast_to(weights, e.shape), axis=-2)

    def forward(self, sentences: Any, question: Any) -> Any:
        u = self.encode(self.E1, question)
        count = sentences.shape[1]
        steps = self.xp.arange(count, dtype=np.int32)[::-1]
        m = self.encode(self.E2, sentences)
        m = m + F.broadcast_to(self.T1(steps), m.shape)
        c = self.encode(self.E3, sentences)
        c = c + F.broadcast_to(self.T2(steps), c.shape)
        for _ in range(self.hops):
            p = F.softmax(F.matmul(m, F.expand_dims(u, -1)))
            o = F.matmul(F.swapaxes(c, 2, 1), p)
            u = u + F.squeeze(o, -1)
        return F.matmul(u, self.E3.W, transb=True)


class CRFTagger(chainer.Chain):
    """The likeliest tags of sentences of several lengths, in any order."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.feature, self.crf = L.EmbedID(9, 3), L.CRF1d(3)
            self.crf.cost.array[...] = np.random.randn(3, 3)

    def forward(self, *xs: Any) -> Any:
        score, path = self.crf.argmax([self.feature(x) for x in xs], transpose=True)
        return score, path


class Attention(chainer.Chain):
    """One step of a decoder that looks at what the encoder has made (Bahdanau)."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(7, size)
            self.U, self.w, self.v = L.Linear(size, size), L.Linear(size, size), L.Linear(size, 1)
            self.lstm = L.StatelessLSTM(2 * size, size)
            self.maxout = L.Maxout(3 * size, 5, 2)

    def forward(self, y: Any, c: Any, h: Any, encoded: Any) -> Any:
        n, steps, size = encoded.shape
        keys = F.reshape(self.U(F.reshape(encoded, (n * steps, size))), encoded.shape)
        query = F.broadcast_to(F.expand_dims(self.w(h), 1), encoded.shape)
        scores = self.v(F.reshape(F.tanh(keys + query), (n * steps, size)))
        a = F.softmax(F.reshape(scores, (n, steps)))
        context = F.reshape(F.batch_matmul(encoded, a, transa=True), (n, size))
        e = self.embed(y)
        c, h = self.lstm(c, h, F.concat((e, context)))
        return c, h, self.maxout(F.concat((e, context, h))), a


class Dilated(chainer.Chain):
    """A block of dilated causal convolutions over time, with a gate (WaveNet)."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.DilatedConvolution2D(
                4, 8, ksize=(2, 1), pad=(dilation, 0), dilate=(dilation, 1)
            )
            self.res, self.skip = L.Convolution2D(4, 4, 1), L.Convolution2D(4, 3, 1)

    def forward(self, x: Any) -> Any:
        h = self.conv(x)[:, :, : x.shape[2]]
        tanh, sigmoid = F.split_axis(h, 2, axis=1)
        z = F.tanh(tanh) * F.sigmoid(sigmoid)
        return x + self.res(z), self.skip(z)


class WaveNet(chainer.Chain):
    """Blocks whose dilations double, and the sum of what they pass on."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.Convolution2D(5, 4, (2, 1), pad=(1, 0), nobias=True)
            self.blocks = chainer.ChainList(*(Dilated(2**i) for i in range(3)))
            self.proj = L.Linear(3, 5)

    def forward(self, x: Any) -> Any:
        h = self.embed(x[:, :, :, None])[:, :, :-1]
        skips = 0
        for block in self.blocks:
            h, skip = block(h)
            skips = skips + skip
        y = F.relu(F.squeeze(skips, axis=3))
        return F.transpose(self.proj(F.transpose(y, (0, 2, 1)), n_batch_axes=2), (0, 2, 1))


class QRNN(chainer.Chain):
    """Gates by a convolution over time, then a short recurrence without products."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution1D(3, 12, 2, pad=1)

    def forward(self, x: Any) -> Any:
        gates = self.conv(F.swapaxes(x, 1, 2))[:, :, : x.shape[1]]
        z, f, o = F.split_axis(gates, 3, axis=1)
        z, f, o = F.tanh(z), F.sigmoid(f), F.sigmoid(o)
        c, hs = self.xp.zeros((x.shape[0], 4), "f"), []
        for t in range(x.shape[1]):
            c = f[:, :, t] * c + (1 - f[:, :, t]) * z[:, :, t]
            hs.append(o[:, :, t] * c)
        return F.stack(hs, axis=1)


SENTENCE = words(9)
OTHER_TIMES = ({"batch": 1, "time": 7}, {"batch": 3, "time": 2})

ROWS: dict[str, Callable[[], Net]] = {
    "RNNForLM": lambda: row(RNNForLM, words(9, BATCH), runs=({}, {}, {})),
    "ContinuousBoW": lambda: row(ContinuousBoW, words(9, BATCH, TIME)),
    "SkipGram": lambda: row(SkipGram, words(9, BATCH)),
    "RNNEncoder": lambda: lists(lambda: TextClassifier(RNNEncoder(), 4), SENTENCE),
    "CNNEncoder": lambda: lists(lambda: TextClassifier(CNNEncoder(), 5), SENTENCE),
    "BOWMLPEncoder": lambda: lists(lambda: TextClassifier(BOWMLPEncoder(), 5), SENTENCE),
    "Seq2seq": lambda: lists(Seq2seq, SENTENCE, words(7)),
    "Stacks": lambda: lists(Stacks, floats(4)),
    "Memory": lambda: row(Memory, words(9, BATCH, 4, 3), words(9, BATCH, 3)),
    "CRFTagger": lambda: row(CRFTagger, words(9, 2), words(9, 4), words(9, 3)),
    "Attention": lambda: row(
        Attention, words(7, BATCH), floats(BATCH, 4), floats(BATCH, 4), floats(BATCH, TIME, 4)
    ),
    "WaveNet": lambda: row(WaveNet, floats(BATCH, 5, TIME), runs=OTHER_TIMES),
    "QRNN": lambda: row(QRNN, floats(BATCH, 4, 3)),
}
