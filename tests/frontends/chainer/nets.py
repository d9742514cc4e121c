"""Chains to trace, with runs to compare: links, open sizes, states. Read in Chainer's environment.

Each row is a function that gives a chain, its example inputs and the inputs of runs; the runs of a
chain with states follow each other.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from webconv import Dim, example

SHARED = Path(__file__).resolve().parents[4] / "shared" / "models" / "chainer_rnn_generated"


class Net(NamedTuple):
    """A chain, the inputs to trace it with, and the inputs of each run."""

    chain: Any
    examples: Sequence[Any]
    runs: Sequence[Sequence[Any]]


class Single(chainer.Chain):
    """A link, or a function of one."""

    def __init__(self, link: Any, call: Callable[..., Any] | None = None) -> None:
        super().__init__()
        with self.init_scope():
            self.link = link
        self._call = call or (lambda link, *xs: link(*xs))

    def forward(self, *xs: Any) -> Any:
        return self._call(self.link, *xs)


_random = np.random.RandomState(7)


def floats(*shape: int) -> Any:
    return _random.randn(*shape).astype(np.float32)


def words(high: int, *shape: int) -> Any:
    return _random.randint(0, high, shape).astype(np.int32)


def seeded(chain: Any) -> Any:
    """`chain` with parameters and statistics that are not the initial ones."""
    random = np.random.RandomState(3)
    for _, p in sorted(chain.namedparams()):
        if p.array is not None:
            p.array[...] = random.randn(*p.shape) * 0.4
    for _, link in sorted(chain.namedlinks()):
        for name in ("avg_mean", "avg_var", "avg_projection"):
            value = getattr(link, name, None)
            if value is not None:
                value[...] = np.abs(random.randn(*value.shape)) + 0.3
    return chain


def link(made: Any, *inputs: Any, call: Callable[..., Any] | None = None) -> Net:
    """A link on fixed inputs; parameters that its first call makes are made now."""
    chain = Single(made, call)
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        chain(*inputs)
    for _, own in chain.namedlinks():
        if hasattr(own, "reset_state"):
            own.reset_state()
    return Net(seeded(chain), inputs, [inputs])


LINKS: dict[str, Callable[[], Net]] = {
    "Linear": lambda: link(L.Linear(None, 5), floats(3, 2, 2)),
    "Bias": lambda: link(L.Bias(1, (3,)), floats(2, 3, 4)),
    "Scale": lambda: link(L.Scale(1, (3,), bias_term=True), floats(2, 3, 4)),
    "Bilinear": lambda: link(L.Bilinear(3, 4, 5), floats(2, 3), floats(2, 4)),
    "Convolution1D": lambda: link(L.Convolution1D(2, 3, 3, 2, 1), floats(2, 2, 7)),
    "Convolution2D": lambda: link(L.Convolution2D(None, 4, 3, 2, 1), floats(2, 3, 7, 6)),
    "Convolution3D": lambda: link(L.Convolution3D(2, 3, 2), floats(1, 2, 3, 4, 3)),
    "Deconvolution1D": lambda: link(L.Deconvolution1D(2, 3, 3, 2, 1), floats(2, 2, 5)),
    "Deconvolution2D": lambda: link(L.Deconvolution2D(3, 2, 4, 2, 1), floats(2, 3, 4, 3)),
    "Deconvolution3D": lambda: link(L.Deconvolution3D(2, 3, 2), floats(1, 2, 2, 3, 2)),
    "DepthwiseConvolution2D": lambda: link(L.DepthwiseConvolution2D(3, 2, 3), floats(2, 3, 6, 5)),
    "DilatedConvolution2D": lambda: link(
        L.DilatedConvolution2D(3, 2, 3, dilate=2), floats(2, 3, 7, 6)
    ),
    "DeformableConvolution2D": lambda: link(
        L.DeformableConvolution2D(2, 3, 3, 1, 1), floats(1, 2, 5, 4)
    ),
    "LocalConvolution2D": lambda: link(
        L.LocalConvolution2D(2, 3, in_size=(5, 4), ksize=3), floats(1, 2, 5, 4)
    ),
    "MLPConvolution2D": lambda: link(L.MLPConvolution2D(2, (4, 3), 3), floats(2, 2, 5, 5)),
    "Inception": lambda: link(L.Inception(3, 2, 3, 2, 2, 3, 2), floats(1, 3, 5, 5)),
    "InceptionBN": lambda: link(L.InceptionBN(3, 2, 3, 2, 2, 3, "avg", 2), floats(1, 3, 5, 5)),
    "Highway": lambda: link(L.Highway(4), floats(3, 4)),
    "Maxout": lambda: link(L.Maxout(4, 3, 2), floats(3, 4)),
    "PReLU": lambda: link(L.PReLU((3,)), floats(2, 3, 4)),
    "Swish": lambda: link(L.Swish((3,)), floats(2, 3, 4)),
    "Parameter": lambda: link(
        L.Parameter(floats(3, 4)), floats(3, 4), call=lambda own, x: own() * x
    ),
    "EmbedID": lambda: link(L.EmbedID(6, 4, ignore_label=-1), words(7, 2, 3) - 1),
    "BatchNormalization": lambda: link(L.BatchNormalization(3), floats(2, 3, 4, 2)),
    "BatchRenormalization": lambda: link(L.BatchRenormalization(3), floats(2, 3, 4, 2)),
    "DecorrelatedBatchNormalization": lambda: link(
        L.DecorrelatedBatchNormalization(4, groups=2), floats(2, 4, 3, 2)
    ),
    "GroupNormalization": lambda: link(L.GroupNormalization(2, 4), floats(2, 4, 3, 2)),
    "LayerNormalization": lambda: link(L.LayerNormalization(4), floats(3, 4)),
    "Sequential": lambda: link(
        chainer.Sequential(L.Linear(4, 3), F.relu, L.Linear(3, 2), F.softmax), floats(3, 4)
    ),
    "StatelessLSTM": lambda: link(L.StatelessLSTM(3, 4), floats(2, 4), floats(2, 4), floats(2, 3)),
    "StatelessGRU": lambda: link(L.StatelessGRU(3, 4), floats(2, 4), floats(2, 3)),
    "StatelessMGU": lambda: link(L.StatelessMGU(3, 4), floats(2, 4), floats(2, 3)),
    "ChildSumTreeLSTM": lambda: link(
        L.ChildSumTreeLSTM(3, 4), *(floats(2, n) for n in (4, 4, 4, 4, 3))
    ),
    "NaryTreeLSTM": lambda: link(L.NaryTreeLSTM(3, 4, 2), *(floats(2, n) for n in (4, 4, 4, 4, 3))),
}


def stateful(made: Any, batch: int = 2) -> Net:
    """A link with states: four runs, which follow each other."""
    chain = Single(made)
    return Net(seeded(chain), [example((batch, 3))], [[floats(2, 3)] for _ in range(4)])


STATES: dict[str, Callable[[], Net]] = {
    "LSTM": lambda: stateful(L.LSTM(3, 4)),
    "LSTM_open": lambda: stateful(L.LSTM(3, 4), Dim("batch", 2)),
    "StatefulGRU": lambda: stateful(L.StatefulGRU(3, 4)),
    "GRU": lambda: stateful(L.GRU(3, 4)),
    "StatefulPeepholeLSTM": lambda: stateful(L.StatefulPeepholeLSTM(3, 4)),
    "StatefulMGU": lambda: stateful(L.StatefulMGU(3, 4)),
    "StatefulZoneoutLSTM": lambda: stateful(L.StatefulZoneoutLSTM(3, 4)),
}


class Pooled(chainer.Chain):
    """Convolutions over images of any size, whose sizes the chain itself reads."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(1, 3, 3, pad=1)
            self.fc = L.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        h = F.max_pooling_2d(F.relu(self.conv(x)), 2)
        top = h[:, :, : x.shape[2] // 4 + 1]
        h = F.reshape(h, (h.shape[0], h.shape[1], -1))
        h = F.sum(h, 2) / h.shape[2]
        return self.fc(h), F.broadcast_to(F.mean(top), (x.shape[0] * 2,)), top


class Steps(chainer.Chain):
    """A recurrence that starts from zeros of the batch's size, and a layer on every step."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.cell = L.StatelessGRU(3, 4)
            self.fc = L.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        h = np.zeros((x.shape[0], 4), np.float32)
        ys = []
        for t in range(x.shape[1]):
            h = self.cell(h, x[:, t])
            ys.append(F.softmax(self.fc(h)))
        return F.stack(ys, 1), h


class Both(chainer.Chain):
    """Two LSTMs over a sentence, forwards and backwards, joined."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 3)
            self.forth, self.back = L.LSTM(3, 4), L.LSTM(3, 4)
            self.fc = L.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        self.forth.reset_state()
        self.back.reset_state()
        words = F.separate(self.embed(x), 1)
        for word in words:
            first = self.forth(word)
        for word in reversed(words):
            second = self.back(word)
        return F.sigmoid(self.fc(F.concat((first, second))))


def shared() -> Any:
    """The nets beside the shared model files."""
    spec = importlib.util.spec_from_file_location("shared_nets", SHARED / "nets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(chain: Any, shape: Sequence[int], *sizes: Sequence[int], high: int = 0) -> Net:
    """A chain of one input with open sizes, run with several."""
    made = (lambda *s: words(high, *s)) if high else floats
    dtype = "int32" if high else "float32"
    runs = []
    for other in sizes:
        left = iter(other)
        runs.append([made(*(next(left) if isinstance(n, Dim) else n for n in shape))])
    return Net(seeded(chain), [example(shape, dtype)], runs)


class Gathered(chainer.Chain):
    """What a loop gathers: the mean of the states, and the extremes of what is made of them."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.cell, self.fc = L.LSTM(3, 4), L.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        self.cell.reset_state()
        total, best, least = 0, None, None
        for t in range(x.shape[1]):
            h = self.cell(x[:, t])
            y = F.tanh(self.fc(h))
            total += h
            best = y if best is None else F.maximum(best, y)
            least = y if least is None else F.minimum(least, y)
        return {"mean": total / x.shape[1], "best": best, "least": least}


class AfterGRU(chainer.Chain):
    """Each step of a GRU, whose first is like no other, enters an LSTM and is an output too."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.gru, self.lstm, self.fc = L.GRU(3, 4), L.LSTM(4, 5), L.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        self.gru.reset_state()
        self.lstm.reset_state()
        tags = []
        for t in range(x.shape[1]):
            h = self.gru(x[:, t])
            tags.append(self.fc(h))
            last = self.lstm(h)
        return F.stack(tags, 1), last


class AfterFirst(chainer.Chain):
    """A loop that may have no step, after a first step that is no cell."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.x, self.h = L.Linear(3, 4), L.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        h = self.x(x[:, 0])
        for t in range(1, x.shape[1]):
            h = F.tanh(self.x(x[:, t]) + self.h(h))
        return h


BATCH, TIME = Dim("batch", 2), Dim("time", 3)

OPEN: dict[str, Callable[[], Net]] = {
    "Pooled": lambda: opened(
        Pooled(), (BATCH, 1, Dim("height", 8), Dim("width", 6)), (1, 8, 6), (3, 11, 5), (2, 5, 9)
    ),
    "Steps": lambda: opened(Steps(), (BATCH, TIME, 3), (1, 1), (2, 6), (3, 2)),
    "Gathered": lambda: opened(Gathered(), (BATCH, Dim("time", 4), 3), (1, 3), (2, 9), (3, 2)),
    "AfterGRU": lambda: opened(AfterGRU(), (BATCH, TIME, 3), (1, 1), (2, 6), (3, 2)),
    "AfterFirst": lambda: opened(AfterFirst(), (BATCH, TIME, 3), (2, 1), (2, 6)),
    "Both": lambda: opened(Both(), (BATCH, TIME), (1, 2), (2, 6), (3, 3), high=9),
    "LSTMClassifier": lambda: opened(
        shared().LSTMClassifier(), (BATCH, TIME), (1, 1), (2, 7), (5, 3), high=20
    ),
    "GRUNet": lambda: opened(shared().GRUNet(), (BATCH, TIME, 4), (1, 2), (2, 7), (5, 3)),
    "CNNLSTM": lambda: opened(shared().CNNLSTM(), (BATCH, 1, 8, TIME), (1, 2), (2, 7), (5, 3)),
    "NStepBiLSTM": lambda: Net(
        seeded(shared().NStep("NStepBiLSTM")),
        [example((Dim(f"length_{k}", n), 4)) for k, n in enumerate((3, 2, 4))],
        [[floats(n, 4) for n in lengths] for lengths in ((3, 2, 4), (1, 5, 2))],
    ),
}


class Tagger(chainer.Chain):
    """Words of sentences to tags, and sentences to classes, as Chainer's examples write it."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4)
            self.rnn = L.NStepBiLSTM(2, 4, 5, 0.3)
            self.tags, self.classes = L.Linear(10, 3), L.Linear(10, 2)

    def forward(self, xs: Any) -> Any:
        ends = np.cumsum([len(x) for x in xs[:-1]])
        words = F.split_axis(self.embed(F.concat(xs, axis=0)), ends, 0)
        h, _, ys = self.rnn(None, None, words)
        classes = self.classes(F.concat((h[-2], h[-1]), axis=1))
        return F.softmax(classes), [F.softmax(self.tags(y)) for y in ys]


class Stack(chainer.Chain):
    """A stack of recurrent layers over a list, and its sequences filled up."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        with self.init_scope():
            self.rnn = getattr(L, kind)(2, 4, 5, 0.0)

    def forward(self, xs: Any) -> Any:
        h, ys = self.rnn(None, [F.tanh(x) for x in xs])
        return h, list(ys), F.pad_sequence(ys, padding=-1.0)


class Translator(chainer.Chain):
    """An encoder of one list, read backwards, and a decoder of another, with a mark before it."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.source, self.target = L.EmbedID(9, 4), L.EmbedID(7, 4)
            self.encoder, self.decoder = L.NStepLSTM(2, 4, 5, 0.1), L.NStepLSTM(2, 4, 5, 0.1)
            self.words = L.Linear(5, 7)

    def forward(self, xs: Any, ys: Any) -> Any:
        ends = np.cumsum([len(x) for x in xs])[:-1]
        backwards = [x[::-1] for x in xs]
        embedded = F.split_axis(self.source(F.concat(backwards, axis=0)), ends, 0)
        h, c, _ = self.encoder(None, None, embedded)
        marked = [F.concat([np.array([0], np.int32), y], axis=0) for y in ys]
        _, _, hs = self.decoder(h, c, [self.target(y) for y in marked])
        _, _, plain = self.decoder(h, c, [self.target(y) for y in ys])
        words = [F.softmax(self.words(h)) for h in plain]
        return {"marked": self.words(F.concat(hs, axis=0)), "words": words}


class Decoder(chainer.Chain):
    """Steps from states that are given, a row for each sequence of the list."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed, self.rnn = L.EmbedID(7, 4), L.NStepLSTM(2, 4, 5, 0.1)

    def forward(self, h: Any, c: Any, ys: Any) -> Any:
        h, c, words = self.rnn(h, c, [self.embed(y) for y in ys])
        return {"h": h, "c": c, "words": words}


class Summary(chainer.Chain):
    """What each sequence of a list comes to: a row."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.fc = L.Linear(4, 3)

    def forward(self, xs: Any) -> Any:
        ys = [F.relu(self.fc(x)) for x in xs]
        ends = [np.ones((2, 3), "f"), np.zeros((1, 3), "f")]
        framed = [F.concat((ends[0], y, ends[1]), axis=0) for y in ys]
        return {
            "first": F.concat([F.expand_dims(y[0], 0) for y in ys], axis=0),
            "last": F.stack([F.tanh(y[-1]) for y in ys]),
            "total": F.concat([F.sum(y, axis=0, keepdims=True) for y in ys], axis=0),
            "mean": F.stack([F.mean(y, axis=0) for y in ys]),
            "best": F.stack([F.max(y, axis=0) - F.min(y, axis=0) for y in ys]),
            "framed": F.concat(framed, axis=0),
            "turned": [F.flip(y, axis=0) for y in ys],
        }


def listed(chain: Any, member: Callable[[int], Any]) -> Net:
    """A chain of a list, run with other numbers of sequences and other lengths than traced."""
    runs = [[[member(n) for n in lengths]] for lengths in ((3, 1, 2), (4,), (2, 7, 3, 1, 5))]
    return Net(seeded(chain), runs[0], runs)


def starred() -> Net:
    """A chain that takes its sequences as arguments, each by itself."""
    runs = [[[floats(n, 4) for n in lengths]] for lengths in ((5, 3, 2), (3,), (2, 6, 1, 4))]
    return Net(seeded(shared().NStep("NStepLSTM")), runs[0][0], runs)


def translated() -> Net:
    """Two lists with other lengths, but as many sequences."""
    pairs = (((3, 1, 2), (2, 2, 5)), ((4,), (3,)), ((1, 2, 3, 4), (4, 3, 2, 6)))
    runs = [[[words(9, n) for n in a], [words(7, n) for n in b]] for a, b in pairs]
    return Net(seeded(Translator()), runs[0], runs)


def decoded() -> Net:
    """A list between inputs that have as many rows as it has sequences."""
    state = example((2, Dim("ys_count", 3), 5))
    runs = [
        [*(floats(2, len(lengths), 5) for _ in "hc"), [words(7, n) for n in lengths]]
        for lengths in ((3, 1, 2), (4,), (1, 1, 5, 1))
    ]
    return Net(seeded(Decoder()), [state, state, runs[0][2]], runs)


LISTS: dict[str, Callable[[], Net]] = {
    "NStepLSTM": starred,
    "Translator": translated,
    "Decoder": decoded,
    "Summary": lambda: listed(Summary(), lambda n: floats(n, 4)),
    "Tagger": lambda: listed(Tagger(), lambda n: words(9, n)),
    "NStepGRU": lambda: listed(Stack("NStepGRU"), lambda n: floats(n, 4)),
    "NStepBiRNNReLU": lambda: listed(Stack("NStepBiRNNReLU"), lambda n: floats(n, 4)),
}

FAMILIES = {"lists": LISTS, "links": LINKS, "states": STATES, "open": OPEN}
