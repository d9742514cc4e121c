"""Chains traced with plain arrays, run at sizes that they were not traced with.

What can be called at other sizes only in part comes last: it stays as it was traced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L

from tests.frontends.chainer.nets import Net, floats, seeded, shared, words


class Translator(chainer.Chain):
    """Reads a sentence and marks the words of another: two loops of their own lengths."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 4)
            self.read, self.write = L.LSTM(4, 5), L.LSTM(4, 5)
            self.fc = L.Linear(5, 3)

    def forward(self, source: Any, target: Any) -> Any:
        self.read.reset_state()
        for word in F.separate(self.embed(source), 1):
            self.read(word)
        self.write.set_state(self.read.c, self.read.h)
        steps = [self.fc(self.write(word)) for word in F.separate(self.embed(target), 1)]
        return F.stack(steps, 1)


class Pairs(chainer.Chain):
    """A loop over two inputs at once, time first."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.cell = L.StatelessLSTM(5, 4)

    def forward(self, left: Any, right: Any) -> Any:
        c = h = None
        for x in F.concat((left, right), 2):
            c, h = self.cell(c, h, x)
        return h


class Kept(chainer.Chain):
    """A link that keeps its state, and reads a window in each call."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.rnn = L.StatefulGRU(3, 4)

    def forward(self, x: Any) -> Any:
        for t in range(x.shape[1]):
            h = self.rnn(x[:, t])
        return h


class Memory(chainer.Chain):
    """A chain that keeps a Variable itself, which `start` may be before the first call."""

    def __init__(self, start: Any = None) -> None:
        super().__init__()
        self.h, self.last = start, None
        with self.init_scope():
            self.enter, self.stay = L.Linear(3, 4), L.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        y = self.enter(x)
        self.h = F.tanh(y if self.h is None else y + self.stay(self.h))
        self.last = F.sum(self.h)
        return F.softmax(self.h)


class Cut(chainer.Chain):
    """Reads no more than ten steps, for a batch of three."""

    def __init__(self, steps: int = 10, batch: int | None = None) -> None:
        super().__init__()
        self.steps, self.batch = steps, batch
        with self.init_scope():
            self.cell = L.StatelessGRU(3, 4)

    def forward(self, x: Any) -> Any:
        h = self.xp.zeros((self.batch or len(x), 4), "f")
        for t in range(min(self.steps, x.shape[1])):
            h = self.cell(h, x[:, t])
        return h


def net(chain: Any, *runs: Any) -> Net:
    """A chain traced with the inputs of its first run."""
    return Net(seeded(chain), runs[0], runs)


PLAIN: dict[str, Callable[[], Net]] = {
    "LSTMClassifier": lambda: net(
        shared().LSTMClassifier(), *([words(20, *s)] for s in ((3, 6), (1, 1), (5, 11)))
    ),
    "StatelessLSTMNet": lambda: net(
        shared().StatelessLSTMNet(), *([floats(b, n) for n in (4, 5, 5)] for b in (3, 1, 6))
    ),
    "GRUNet": lambda: net(
        shared().GRUNet(), *([floats(*s)] for s in ((3, 6, 4), (1, 1, 4), (2, 9, 4)))
    ),
    "Peephole": lambda: net(
        shared().Peephole(), *([floats(*s)] for s in ((3, 6, 4), (1, 1, 4), (4, 12, 4)))
    ),
    "CNNLSTM": lambda: net(
        shared().CNNLSTM(), *([floats(*s)] for s in ((2, 1, 8, 5), (1, 1, 8, 1), (3, 1, 8, 12)))
    ),
    "Long": lambda: net(
        shared().GRUNet(), *([floats(*s)] for s in ((11, 40, 4), (1, 3, 4), (12, 50, 4)))
    ),
    "Translator": lambda: net(
        Translator(),
        *([words(9, b, n), words(9, b, m)] for b, n, m in ((2, 4, 3), (1, 1, 6), (3, 7, 1))),
    ),
    "Pairs": lambda: net(
        Pairs(), *([floats(t, b, 2), floats(t, b, 3)] for t, b in ((4, 3), (1, 1), (6, 2)))
    ),
    "Kept": lambda: net(Kept(), *([floats(2, t, 3)] for t in (3, 1, 5))),
    "Memory": lambda: net(Memory(), *([floats(2, 3)] for _ in range(3))),
    "Started": lambda: net(
        Memory(chainer.Variable(floats(2, 4))), *([floats(2, 3)] for _ in range(3))
    ),
    "OneBatch": lambda: net(Cut(99, 3), *([floats(3, t, 3)] for t in (5, 1, 8))),
    "Cut": lambda: net(Cut(), *([floats(b, 7, 3)] for b in (2, 1, 4))),
}
