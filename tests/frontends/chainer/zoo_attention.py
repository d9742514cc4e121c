"""Transformers and graphs, as people write them in Chainer, in small."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, TIME, floats, row, words


def sequence_linear(link: Any, x: Any) -> Any:
    """A layer on each step of [N, T, C]."""
    n, t, c = x.shape
    return F.reshape(link(F.reshape(x, (n * t, c))), (n, t, -1))


class Heads(chainer.Chain):
    """Attention of several heads, which are sliced out and put into the batch."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, 1.0 / (size // heads) ** 0.5
        with self.init_scope():
            self.W_Q, self.W_K = L.Linear(size, size, nobias=True), L.Linear(size, size)
            self.W_V, self.finish = L.Linear(size, size), L.Linear(size, size)

    def forward(self, x: Any, z: Any, mask: Any) -> Any:
        q, k, v = self.W_Q(x, n_batch_axes=2), self.W_K(z, n_batch_axes=2), self.W_V(z, 2)
        q, k, v = (F.concat(F.split_axis(a, self.heads, axis=2), axis=0) for a in (q, k, v))
        scores = F.matmul(q, k, transb=True) * self.scale
        mask = F.concat([mask] * self.heads, axis=0)
        scores = F.where(mask, scores, self.xp.full(scores.shape, -1e9, "f"))
        c = F.matmul(F.softmax(scores, axis=2), v)
        return sequence_linear(self.finish, F.concat(F.split_axis(c, self.heads, 0), axis=2))


class FeedForward(chainer.Chain):
    """Two layers on each step."""

    def __init__(self, size: int) -> None:
        super().__init__()
        with self.init_scope():
            self.l1, self.l2 = L.Linear(size, 4 * size), L.Linear(4 * size, size)

    def forward(self, x: Any) -> Any:
        return sequence_linear(self.l2, F.leaky_relu(sequence_linear(self.l1, x)))


class Steps(chainer.Chain):
    """A norm of each step."""

    def __init__(self, size: int) -> None:
        super().__init__()
        with self.init_scope():
            self.ln = L.LayerNormalization(size, eps=1e-6)

    def forward(self, x: Any) -> Any:
        n, t, c = x.shape
        return self.ln(x.reshape(n * t, c)).reshape(n, t, c)


class Layer(chainer.Chain):
    """Attention to itself, to `source` if there is one, and two layers."""

    def __init__(self, size: int, heads: int, decoder: bool) -> None:
        super().__init__()
        with self.init_scope():
            self.self_attention, self.feed = Heads(size, heads), FeedForward(size)
            self.ln1, self.ln2 = Steps(size), Steps(size)
            if decoder:
                self.source_attention, self.ln3 = Heads(size, heads), Steps(size)

    def forward(self, x: Any, mask: Any, source: Any = None, source_mask: Any = None) -> Any:
        x = self.ln1(x + F.dropout(self.self_attention(x, x, mask), 0.1))
        if source is not None:
            x = self.ln3(x + F.dropout(self.source_attention(x, source, source_mask), 0.1))
        return self.ln2(x + F.dropout(self.feed(x), 0.1))


def positions(size: int, most: int = 16) -> Any:
    """Sines and cosines of all places there may be."""
    scales = np.exp(np.arange(size // 2) * -(math.log(10000.0) / (size // 2 - 1)))
    angles = np.arange(most)[:, None] * scales[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)[None].astype("f")


class Transformer(chainer.Chain):
    """Source and target words to the scores of the next ones; word 0 fills up."""

    def __init__(self, size: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.size, self.place = size, positions(size)
        with self.init_scope():
            self.embed_x = L.EmbedID(9, size, ignore_label=-1)
            self.embed_y = L.EmbedID(7, size, ignore_label=-1)
            self.encoder, self.decoder = Layer(size, heads, False), Layer(size, heads, True)

    def embedded(self, embed: Any, x: Any) -> Any:
        e = embed(x) * self.size**0.5
        return F.dropout(e + F.broadcast_to(self.place[:, : x.shape[1]], e.shape), 0.1)

    def filled(self, x: Any, y: Any) -> Any:
        known = F.cast(F.clip(F.cast(x, "f"), 0.0, 1.0), "bool")
        return F.broadcast_to(known[:, None, :], (x.shape[0], y.shape[1], x.shape[1]))

    def forward(self, x: Any, y: Any) -> Any:
        source = self.encoder(self.embedded(self.embed_x, x), self.filled(x, x))
        steps = self.xp.arange(y.shape[1])
        past = F.broadcast_to(steps[None, :] <= steps[:, None], (y.shape[0], *y.shape[1:] * 2))
        h = self.decoder(self.embedded(self.embed_y, y), past, source, self.filled(x, y))
        n, t, size = h.shape
        return F.reshape(F.linear(F.reshape(h, (n * t, size)), self.embed_y.W), (n, t, -1))


class GPT(chainer.Chain):
    """What comes next, from heads that are an axis, with the activation of Gauss by hand."""

    def __init__(self, size: int = 8, heads: int = 2, most: int = 20) -> None:
        super().__init__()
        self.heads = heads
        with self.init_scope():
            self.wte, self.wpe = L.EmbedID(9, size), L.EmbedID(most, size)
            self.qkv, self.proj = L.Linear(size, 3 * size), L.Linear(size, size)
            self.up, self.down = L.Linear(size, 4 * size), L.Linear(4 * size, size)
            self.ln1, self.ln2 = Steps(size), Steps(size)

    def gelu(self, x: Any) -> Any:
        return 0.5 * x * (1 + F.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def attention(self, x: Any) -> Any:
        n, t, size = x.shape
        q, k, v = F.split_axis(self.qkv(x, n_batch_axes=2), 3, axis=2)
        q, k, v = (
            F.transpose(F.reshape(a, (n, t, self.heads, size // self.heads)), (0, 2, 1, 3))
            for a in (q, k, v)
        )
        w = F.matmul(q, k, transb=True) / math.sqrt(size // self.heads)
        b = np.tril(np.ones((t, t), "f"))[None, None]
        w = w * F.broadcast_to(b, w.shape) - F.broadcast_to(1e10 * (1 - b), w.shape)
        a = F.transpose(F.matmul(F.softmax(w, axis=3), v), (0, 2, 1, 3))
        return self.proj(F.reshape(a, (n, t, size)), n_batch_axes=2)

    def forward(self, x: Any) -> Any:
        place = self.xp.arange(x.shape[1], dtype="i")
        h = self.wte(x) + F.broadcast_to(self.wpe(place)[None], (*x.shape, 8))
        h = h + self.attention(self.ln1(h))
        h = h + self.down(self.gelu(self.up(self.ln2(h), 2)), 2)
        return F.matmul(h, self.wte.W, transb=True)


class GGNN(chainer.Chain):
    """Atoms that tell their neighbours, by a gated unit that is reset in each call."""

    def __init__(self, size: int = 4, kinds: int = 2) -> None:
        super().__init__()
        self.size, self.kinds = size, kinds
        with self.init_scope():
            self.embed, self.messages = L.EmbedID(6, size), L.Linear(size, size * kinds)
            self.update, self.i, self.j = L.GRU(2 * size, size), L.Linear(8, 3), L.Linear(4, 3)

    def forward(self, atoms: Any, adjacency: Any) -> Any:
        self.update.reset_state()
        h0 = h = self.embed(atoms)
        n, count, size = h.shape
        for _ in range(2):
            m = F.reshape(self.messages(h, n_batch_axes=2), (n, count, size, self.kinds))
            m = F.sum(F.matmul(adjacency, F.transpose(m, (0, 3, 1, 2))), axis=1)
            rows = F.concat((F.reshape(h, (n * count, size)), F.reshape(m, (n * count, size))))
            h = F.reshape(self.update(rows), (n, count, size))
        gate = F.sigmoid(self.i(F.concat((h, h0), axis=2), n_batch_axes=2))
        return F.sum(gate * self.j(h, n_batch_axes=2), axis=1)


class PointNet(chainer.Chain):
    """Points in any order: the same layers on each, the largest of all."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.turn = L.ConvolutionND(1, 3, 9, 1)
            self.conv, self.bn = L.ConvolutionND(1, 3, 6, 1), L.BatchNormalization(6)
            self.fc = L.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        turn = F.reshape(F.max(self.turn(x), axis=2), (-1, 3, 3)) + np.eye(3, dtype="f")
        x = F.matmul(turn, x)
        return self.fc(F.max_pooling_1d(F.relu(self.bn(self.conv(x))), x.shape[2])[:, :, 0])


OTHER_TIMES = ({"batch": 1, "time": 6}, {"batch": 3, "time": 2})

ROWS: dict[str, Callable[[], Net]] = {
    "Transformer": lambda: row(Transformer, words(9, BATCH, 5), words(7, BATCH, 4)),
    "TransformerOpen": lambda: row(Transformer, words(9, BATCH, TIME), words(7, BATCH, 4)),
    "GPT": lambda: row(GPT, words(9, BATCH, 4)),
    "GPTOpen": lambda: row(GPT, words(9, BATCH, TIME), runs=OTHER_TIMES),
    "GGNN": lambda: row(GGNN, words(6, BATCH, 4), floats(BATCH, 2, 4, 4)),
    "PointNet": lambda: row(PointNet, floats(BATCH, 3, TIME), runs=OTHER_TIMES),
}
