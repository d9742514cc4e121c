"""Agents, and links put together in the ways that Chainer has, in small."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_images import MLP
from tests.frontends.chainer.zoo_rows import BATCH, floats, row


class Dueling(chainer.Chain):
    """The value of a state, and what each action adds (DQN)."""

    def __init__(self, actions: int = 3) -> None:
        super().__init__()
        self.actions = actions
        with self.init_scope():
            self.c1, self.c2 = L.Convolution2D(4, 5, 4, stride=2), L.Convolution2D(5, 4, 3)
            self.a, self.v = L.Linear(None, actions), L.Linear(None, 1)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.c2(F.relu(self.c1(x / 255.0))))
        h = h.reshape(h.shape[0], -1)
        ya = self.a(h)
        mean = F.reshape(F.sum(ya, axis=1) / self.actions, (h.shape[0], 1))
        ya, mean = F.broadcast(ya, mean)
        ya, ys = F.broadcast(ya - mean, self.v(h))
        return ya + ys


class Categorical(chainer.Chain):
    """The distribution of what each action is worth (C51)."""

    def __init__(self, actions: int = 3, atoms: int = 5) -> None:
        super().__init__()
        self.actions, self.atoms = actions, atoms
        self.add_persistent("z", np.linspace(-2, 2, atoms, dtype=np.float32))
        with self.init_scope():
            self.body = MLP(6, actions * atoms)

    def forward(self, x: Any) -> Any:
        q = F.softmax(F.reshape(self.body(x), (-1, self.actions, self.atoms)), axis=2)
        worth = F.sum(F.scale(q, self.z, axis=2), axis=2)
        return {"action": F.argmax(worth, axis=1), "best": F.max(worth, axis=1), "q": q}


class A3C(chainer.Chain):
    """A policy and a value, over a state that is kept from step to step."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.head, self.lstm = L.Linear(6, 5), L.LSTM(5, 4)
            self.pi, self.v = L.Linear(4, 3), L.Linear(4, 1)

    def forward(self, x: Any) -> Any:
        h = self.lstm(F.elu(self.head(x)))
        logits = self.pi(h)
        entropy = -F.sum(F.softmax(logits) * F.log_softmax(logits), axis=1)
        return logits, (F.flatten(self.v(h)), entropy)


class Actor(chainer.Chain):
    """Bounded actions, and the mean and spread of others (SAC)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.body, self.bound = MLP(6, 4), chainer.Parameter(np.array([0.5, 2.0], "f"))

    def forward(self, x: Any, a: Any) -> Any:
        mean, log_scale = F.split_axis(self.body(x), 2, axis=1)
        scale = F.exp(F.clip(log_scale, -20.0, 2.0))
        density = -((a - mean) ** 2) / (2 * scale**2) - F.log(scale) - 0.919
        squashed = F.tanh(mean) * F.broadcast_to(self.bound, mean.shape)
        return squashed, F.sum(density, axis=1, keepdims=True)


class Mixture(chainer.Chain):
    """The densities that a state is a mixture of."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.pi, self.mu, self.sigma = L.Linear(5, 3), L.Linear(5, 3), L.Linear(5, 3)

    def forward(self, x: Any, y: Any) -> Any:
        pi, mu, sigma = F.log_softmax(self.pi(x)), self.mu(x), F.softplus(self.sigma(x))
        log = -0.5 * ((F.broadcast_to(y, mu.shape) - mu) / sigma) ** 2 - F.log(sigma)
        return F.logsumexp(pi + log, axis=1)


def in_a_row() -> Any:
    """Functions with options, lambdas, and copies of a block, one after another."""
    block = chainer.Sequential(
        L.Linear(6, 6), functools.partial(F.leaky_relu, slope=0.3), lambda x: x * 0.5 + 1
    )
    return chainer.Sequential(L.Linear(None, 6), F.relu, block.repeat(2), F.dropout, L.Linear(6, 3))


class Copies(chainer.Chain):
    """A link, what `copy` makes of it, and what `repeat` does."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.first = L.Linear(5, 5)
            self.second = copy.deepcopy(self.first)
            self.third = self.first.copy(mode="init")
            self.rest = L.Linear(5, 5).repeat(2)

    def forward(self, x: Any) -> Any:
        return self.rest(self.third(F.tanh(self.second(self.first(x)))))


class Perceptrons(chainer.ChainList):
    """Links that are found by their number, some of them twice."""

    def __init__(self) -> None:
        super().__init__(L.Linear(5, 5), L.Linear(5, 5))
        self.append(L.Maxout(5, 4, 2))

    def forward(self, x: Any) -> Any:
        h = x
        for link in self[:2]:
            h = h + F.relu(link(h))
        return self[-1](self[0](h))


class Sundry(chainer.Chain):
    """Links that few use."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.high, self.dropped = L.Highway(5), L.SimplifiedDropconnect(5, 4)
            self.bilinear = L.Bilinear(5, 4, 3)
            self.swish, self.prelu = L.Swish((5,)), L.PReLU((5,))
            self.scale, self.bias = L.Scale(axis=1, W_shape=(4,), bias_term=True), L.Bias(1, (3,))
            self.table = L.Parameter(np.ones((5,), "f") * 0.5)
            self.gn = L.GroupNormalization(2, 4)

    def forward(self, x: Any) -> Any:
        h = self.prelu(self.swish(self.high(x))) * F.broadcast_to(self.table(), x.shape)
        d = self.gn(self.scale(self.dropped(h, train=False)))
        return self.bias(self.bilinear(h, d))


class Branching(chainer.Chain):
    """Options of the chain, not of the data: flags, defaults, `None` among what is given."""

    def __init__(self, deep: bool = True) -> None:
        super().__init__()
        self.deep, self.extra = deep, None
        with self.init_scope():
            self.l1 = L.Linear(5, 4)
            if deep:
                self.l2 = L.Linear(4, 4)

    def forward(self, x: Any, y: Any = None, *, scale: float = 2.0) -> Any:
        h = self.l1(x)
        if self.deep:
            h = self.l2(F.relu(h))
        if y is not None:
            h = h + y
        return {"h": h * scale, "extra": self.extra, "all": [h, F.max(h, axis=1)]}


class Outputs(chainer.Chain):
    """What depends on no input is given too: anchors, a parameter, an input as it is, None."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.fc = L.Linear(5, 4)
        self.anchors = np.arange(6, dtype="f").reshape(3, 2)

    def forward(self, x: Any) -> Any:
        y = self.fc(x)
        return y, self.anchors, self.fc.W, chainer.Variable(self.anchors * 2), x, None, y


class Multivariate(chainer.Chain):
    """How likely points are, with a matrix of covariances."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.fc = L.Linear(5, 3)
        self.scale = np.tri(3, dtype="f") + np.eye(3, dtype="f")

    def forward(self, x: Any) -> Any:
        scale = F.broadcast_to(self.scale[None], (len(x), 3, 3))
        return chainer.distributions.MultivariateNormal(self.fc(x), scale_tril=scale).log_prob(
            x[:, :3]
        )


ROWS: dict[str, Callable[[], Net]] = {
    "Dueling": lambda: row(Dueling, floats(BATCH, 4, 8, 8)),
    "Categorical": lambda: row(Categorical, floats(BATCH, 6)),
    "A3C": lambda: row(A3C, floats(2, 6)),
    "Actor": lambda: row(Actor, floats(BATCH, 6), floats(BATCH, 2)),
    "Mixture": lambda: row(Mixture, floats(BATCH, 5), floats(BATCH, 1)),
    "Sequential": lambda: row(in_a_row, floats(BATCH, 5)),
    "Copies": lambda: row(Copies, floats(BATCH, 5)),
    "Perceptrons": lambda: row(Perceptrons, floats(BATCH, 5)),
    "Sundry": lambda: row(Sundry, floats(BATCH, 5)),
    "Branching": lambda: row(Branching, floats(BATCH, 5), floats(BATCH, 4)),
    "Outputs": lambda: row(Outputs, floats(BATCH, 5)),
    "Multivariate": lambda: row(Multivariate, floats(2, 5)),
    "Predictor": lambda: row(lambda: L.Classifier(MLP()).predictor, floats(BATCH, 6)),
}
