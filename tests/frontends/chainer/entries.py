"""Runs in Chainer's environment: chains with several entries, and what they give, run after run.

python -m tests.frontends.chainer.entries OUT.npz
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.generate import write_program
from tests.frontends.chainer.nets import floats, seeded, words
from webconv import Dim, example
from webconv.frontends.chainer import trace
from webconv.frontends.chainer.record import named_outputs

BATCH = Dim("batch", 2)
Run = tuple[str, Sequence[Any]]


class Several(NamedTuple):
    """A chain, its entries, and the entry and the inputs of each run."""

    chain: Any
    entries: Mapping[str, Sequence[Any]]
    runs: Sequence[Run]


class Decoder(chainer.Chain):
    """What the captioning tutorial has: a feature first, then words."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(7, 5)
            self.lstm = L.LSTM(5, 6)
            self.scores = L.Linear(6, 7)

    def start(self, feature: Any) -> Any:
        self.lstm.reset_state()
        return self.scores(self.lstm(feature))

    def step(self, word: Any) -> Any:
        return self.scores(self.lstm(self.embed(word)))


def decoder() -> Several:
    chain = seeded(Decoder())
    entries = {
        "start": (chain.start, example((BATCH, 5))),
        "step": (chain.step, example((BATCH,), "int32")),
    }
    runs: list[Run] = []
    for batch in (1, 3):
        runs += [("start", [floats(batch, 5)]), *(("step", [words(7, batch)]) for _ in range(3))]
    return Several(chain, entries, runs)


class Layers(chainer.Chain):
    """An entry that changes both states, one that changes one, one that is a link, one without."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.below = L.LSTM(4, 3)
            self.above = L.StatefulMGU(3, 5)
            self.out = L.Linear(5, 2)

    def warm(self, x: Any) -> Any:
        return {"below": self.below(x)}

    def step(self, x: Any) -> Any:
        return {"y": self.out(self.above(self.below(x)))}

    def forget(self, x: Any) -> Any:
        self.above.reset_state()
        return {"y": F.softmax(self.out(self.above(x)))}


def layers() -> Several:
    chain = seeded(Layers())
    entries = {
        "warm": (chain.warm, example((BATCH, 4))),
        "step": (chain.step, example((BATCH, 4))),
        "forget": (chain.forget, example((BATCH, 3))),
        "read": (chain.out, example((Dim("rows", 4), 5))),
    }
    order = ("warm", "step", "step", "read", "forget", "warm", "step", "forget", "step")
    width = {"warm": 4, "step": 4, "forget": 3, "read": 5}
    return Several(chain, entries, [(name, [floats(2, width[name])]) for name in order])


class First(chainer.Chain):
    """A link whose first call is not like the others, which an entry makes the first again."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.gru = L.StatefulGRU(3, 4)

    def start(self, x: Any) -> Any:
        self.gru.reset_state()
        return self.gru(x)

    def step(self, x: Any) -> Any:
        return self.gru(x)


def first() -> Several:
    chain = seeded(First())
    entries = {
        "start": (chain.start, example((2, 3))),
        "step": (chain.step, example((2, 3))),
    }
    order = ("step", "step", "start", "step", "step")
    return Several(chain, entries, [(name, [floats(2, 3)]) for name in order])


CHAINS: dict[str, Callable[[], Several]] = {"decoder": decoder, "layers": layers, "first": first}


def main(out: Path) -> None:
    found: dict[str, Any] = {}
    for name, make in CHAINS.items():
        chain, entries, runs = make()
        program = trace(chain, entries=entries)
        write_program(found, name, program)
        for k, (entry, inputs) in enumerate(runs):
            with chainer.using_config("train", False):
                made = named_outputs(entries[entry][0](*inputs))
            key = f"{name}/run_{k}/{entry}"
            for n, array in zip(program.entries[entry].inputs, inputs, strict=True):
                found[f"{key}/in/{n}"] = array
            for n, v in made.items():
                found[f"{key}/out/{n}"] = v.array
    np.savez(out, **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
