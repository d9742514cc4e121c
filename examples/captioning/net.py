"""The two chains that caption a scene, and what `webconv convert net.py:make_...` asks for."""

from __future__ import annotations

import chainer
import chainer.functions as F
import chainer.links as L
from scenes import HEIGHT, VOCABULARY, WIDTH

from webconv import Dim, example

UNITS = 128


class Encoder(chainer.Chain):  # type: ignore[misc]
    """A picture [B, 1, 40, 48] becomes a feature [B, 128]."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(1, 16, 5, stride=2, pad=2, nobias=True)
            self.conv2 = L.Convolution2D(16, 32, 3, pad=1, nobias=True)
            self.conv3 = L.Convolution2D(32, 64, 3, pad=1, nobias=True)
            self.conv4 = L.Convolution2D(64, 32, 3, pad=1, nobias=True)
            self.norm1, self.norm2 = L.BatchNormalization(16), L.BatchNormalization(32)
            self.norm3, self.norm4 = L.BatchNormalization(64), L.BatchNormalization(32)
            self.feature = L.Linear(32 * (HEIGHT // 8) * (WIDTH // 8), UNITS)

    def forward(self, picture: chainer.Variable) -> dict[str, chainer.Variable]:
        """Four convolutions, the first three of which halve the size."""
        h = F.relu(self.norm1(self.conv1(picture)))
        h = F.max_pooling_2d(F.relu(self.norm2(self.conv2(h))), 2)
        h = F.max_pooling_2d(F.relu(self.norm3(self.conv3(h))), 2)
        h = F.relu(self.norm4(self.conv4(h)))
        return {"feature": self.feature(h)}


class Decoder(chainer.Chain):  # type: ignore[misc]
    """Says a word after another, of which the LSTM keeps what it needs."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(len(VOCABULARY), UNITS)
            self.lstm = L.LSTM(UNITS, UNITS)
            self.scores = L.Linear(UNITS, len(VOCABULARY))

    def start(self, feature: chainer.Variable) -> dict[str, chainer.Variable]:
        """How likely each word is to be the first, of a new picture."""
        self.lstm.reset_state()
        return self._next(feature)

    def step(self, word: chainer.Variable) -> dict[str, chainer.Variable]:
        """How likely each is after `word`."""
        return self._next(self.embed(word))

    def _next(self, x: chainer.Variable) -> dict[str, chainer.Variable]:
        return {"scores": F.log_softmax(self.scores(self.lstm(x)))}


BATCH = Dim("batch", 2)


def make_encoder() -> tuple[object, ...]:
    """The encoder, and an example of its input."""
    return Encoder(), example((BATCH, 1, HEIGHT, WIDTH))


def make_decoder() -> tuple[object, ...]:
    """The decoder, and its two entries with an example of what each takes."""
    decoder = Decoder()
    return decoder, {
        "start": (decoder.start, example((BATCH, UNITS))),
        "step": (decoder.step, example((BATCH,), "int32")),
    }
