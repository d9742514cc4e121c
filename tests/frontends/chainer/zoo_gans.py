"""Pieces of networks that make images, as people write them in Chainer, in small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.link_hooks import SpectralNormalization, WeightStandardization

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, HEIGHT, WIDTH, floats, row, words


class Growing(chainer.Chain):
    """Weights scaled at run time, pixels and batches normalised, two stages faded (PGGAN)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.c0 = L.Convolution2D(4, 4, 4, 1, 3)
            self.c1, self.out = L.Convolution2D(4, 4, 3, 1, 1), L.Convolution2D(4, 3, 1)
            self.score = L.Convolution2D(4, 1, 3)

    def scaled(self, conv: Any, x: Any) -> Any:
        return conv(np.sqrt(2 / (x.shape[1] * conv.ksize**2)) * x)

    def pixels(self, x: Any) -> Any:
        alpha = 1 / F.sqrt(F.mean(x * x, axis=1, keepdims=True) + 1e-8)
        return F.broadcast_to(alpha, x.data.shape) * x

    def deviation(self, x: Any) -> Any:
        d = x - F.broadcast_to(F.mean(x, axis=0, keepdims=True), x.shape)
        std = F.mean(F.sqrt(F.mean(d * d, axis=0, keepdims=True) + 1e-8), keepdims=True)
        return F.concat([x, F.broadcast_to(std, (x.shape[0], 1, *x.shape[2:]))], axis=1)

    def forward(self, z: Any, alpha: float = 0.3) -> Any:
        h = self.pixels(F.reshape(z, (len(z), 4, 1, 1)))
        h = self.pixels(F.leaky_relu(self.scaled(self.c0, h)))
        h = F.unpooling_2d(h, 2, 2, 0, outsize=(h.shape[2] * 2, h.shape[3] * 2))
        image = (1 - alpha) * self.out(h) + alpha * self.out(self.pixels(self.scaled(self.c1, h)))
        return image, F.sum(self.scaled(self.score, self.deviation(image)), axis=(1, 2, 3))


class Spectral(chainer.Chain):
    """Weights divided by their norm, or standardised, by hooks of links (SNGAN)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.c1 = L.Convolution2D(3, 4, 3, 1, 1).add_hook(SpectralNormalization())
            self.c2 = L.Convolution2D(4, 4, 4, 2, 1).add_hook(SpectralNormalization(use_gamma=True))
            self.c3 = L.Convolution2D(None, 4, 3).add_hook(WeightStandardization())
            self.up = L.Deconvolution2D(4, 2, 4, 2, 1).add_hook(SpectralNormalization())
            self.fc = L.Linear(None, 1).add_hook(SpectralNormalization(n_power_iteration=2))
            self.embed = L.EmbedID(3, 4).add_hook(SpectralNormalization(factor=1.2))

    def forward(self, x: Any, y: Any) -> Any:
        h = F.relu(self.c2(F.leaky_relu(self.c1(x))))
        image = self.up(self.c3(h))
        h = F.sum(h, axis=(2, 3))
        return self.fc(h) + F.sum(self.embed(y) * h, axis=1, keepdims=True), image


class OpenUNet(chainer.Chain):
    """A U-Net for images of any size that can be halved twice."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.down1, self.down2 = L.Convolution2D(1, 3, 4, 2, 1), L.Convolution2D(3, 4, 4, 2, 1)
            self.up2, self.up1 = L.Deconvolution2D(4, 3, 4, 2, 1), L.Deconvolution2D(6, 2, 4, 2, 1)

    def forward(self, x: Any) -> Any:
        h1 = F.relu(self.down1(x))
        h2 = F.relu(self.up2(F.relu(self.down2(h1))))
        return F.concat([x, F.tanh(self.up1(F.concat([h1, h2])))]), F.split_axis(x, 2, 3)[1]


class InstanceOwn(chainer.Chain):
    """A norm of each image, by Variables that are made in the call and taken apart again."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.gamma = (
                L.Convolution2D(3, 4, 3),
                chainer.Parameter(np.arange(4.0, dtype="f")),
            )

    def forward(self, x: Any) -> Any:
        h = self.conv(x)
        n, c = h.shape[:2]
        beta = chainer.Variable(self.xp.arange(c, dtype=x.dtype))
        with chainer.using_config("train", True):
            h = F.batch_normalization(
                h.reshape((1, n * c, *h.shape[2:])),
                self.xp.tile(self.gamma.data, n),
                self.xp.tile(beta.data, n),
            )
        return F.tanh(h.reshape((n, c, *h.shape[2:])))


OTHER_MULTIPLES = ({"height": 4, "width": 8}, {"height": 20, "width": 16})

ROWS: dict[str, Callable[[], Net]] = {
    "Growing": lambda: row(Growing, floats(BATCH, 4)),
    "Spectral": lambda: row(Spectral, floats(BATCH, 3, 8, 8), words(3, BATCH)),
    "OpenUNet": lambda: row(OpenUNet, floats(2, 1, HEIGHT, WIDTH), runs=OTHER_MULTIPLES),
    "InstanceOwn": lambda: row(InstanceOwn, floats(2, 3, 6, 6)),
}
