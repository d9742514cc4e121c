"""How a row of the zoo is made: a chain, example inputs with open sizes, runs of other sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chainer
import numpy as np

from tests.frontends.chainer.generate import plain_chainer, variables
from tests.frontends.chainer.nets import Net
from webconv import Dim, example

BATCH, TIME = Dim("batch", 2), Dim("time", 3)
HEIGHT, WIDTH = Dim("height", 8), Dim("width", 12)

Sizes = Mapping[str, int]


class Input(NamedTuple):
    """What to draw: floats, or integers below `high`, or truth values."""

    shape: tuple[int, ...]
    high: int = 0
    truth: bool = False

    def drawn(self, random: Any, sizes: Sizes) -> Any:
        """An array with these sizes."""
        shape = [sizes.get(n.name, int(n)) if isinstance(n, Dim) else n for n in self.shape]
        if self.truth:
            return random.rand(*shape) < 0.5
        if self.high:
            return random.randint(0, self.high, shape).astype(np.int32)
        return random.randn(*shape).astype(np.float32)

    @property
    def example(self) -> Any:
        """The input to trace with."""
        kind = "bool" if self.truth else "int32" if self.high else "float32"
        return example(self.shape, kind)


def floats(*shape: int) -> Input:
    """Numbers around 0."""
    return Input(shape)


def words(high: int, *shape: int) -> Input:
    """Integers below `high`."""
    return Input(shape, high)


def flags(*shape: int) -> Input:
    """True and False, with holes anywhere."""
    return Input(shape, truth=True)


OTHER = ({"batch": 1, "time": 5}, {"batch": 3, "time": 2})


def row(make: Callable[[], Any], *inputs: Input, runs: Sequence[Sizes] = OTHER) -> Net:
    """A chain on inputs, run with several sizes; with the same ones if none is open."""
    random = np.random.RandomState(5)
    chain = made(make, [i.drawn(random, {}) for i in inputs])
    drawn = [[i.drawn(random, sizes) for i in inputs] for sizes in ({}, *runs)]
    if not any(isinstance(n, Dim) for i in inputs for n in i.shape):
        drawn = drawn[:1]
    return Net(chain, [i.example for i in inputs], drawn)


def made(make: Callable[[], Any], arguments: Sequence[Any]) -> Any:
    """The chain with all its parameters, statistics as after training, and no states."""
    np.random.seed(11)  # Chainer's initializers draw from NumPy's own state.
    chain = make()
    with plain_chainer(), chainer.no_backprop_mode():
        chain(*map(variables, arguments))
    random = np.random.RandomState(3)
    for _, link in sorted(chain.namedlinks()):
        for name in ("avg_mean", "avg_var"):
            value = getattr(link, name, None)
            if value is not None:
                value[...] = random.uniform(0.5, 1.5, value.shape)
        if hasattr(link, "reset_state"):
            link.reset_state()
    return chain


LENGTHS = ((3, 1, 2), (4,), (2, 6, 3, 1))


def lists(make: Callable[[], Any], *members: Input, runs: Sequence[Sequence[int]] = LENGTHS) -> Net:
    """A chain of lists of sequences, run with other numbers of sequences and other lengths."""
    random = np.random.RandomState(5)
    drawn = [
        [[m._replace(shape=(n, *m.shape)).drawn(random, {}) for n in lengths] for m in members]
        for lengths in runs
    ]
    return Net(made(make, drawn[0]), drawn[0], drawn)
