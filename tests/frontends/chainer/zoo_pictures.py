"""Networks that make images, as people write them in Chainer, in small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_images import MLP, OTHER_IMAGES
from tests.frontends.chainer.zoo_rows import BATCH, HEIGHT, WIDTH, floats, row


class Generator(chainer.Chain):
    """Noise to images (DCGAN)."""

    def __init__(self, hidden: int = 5, width: int = 3, channels: int = 8) -> None:
        super().__init__()
        self.width, self.channels = width, channels
        w = chainer.initializers.Normal(0.3)
        with self.init_scope():
            self.l0 = L.Linear(hidden, width * width * channels, initialW=w)
            self.dc1 = L.Deconvolution2D(channels, channels // 2, 4, 2, 1, initialW=w)
            self.dc2 = L.Deconvolution2D(channels // 2, channels // 4, 4, 2, 1, initialW=w)
            self.dc3 = L.Deconvolution2D(channels // 4, 3, 3, 1, 1, initialW=w)
            self.bn0 = L.BatchNormalization(width * width * channels)
            self.bn1 = L.BatchNormalization(channels // 2)
            self.bn2 = L.BatchNormalization(channels // 4)

    def forward(self, z: Any) -> Any:
        h = F.relu(self.bn0(self.l0(z)))
        h = F.reshape(h, (len(z), self.channels, self.width, self.width))
        h = F.relu(self.bn1(self.dc1(h)))
        return F.sigmoid(self.dc3(F.relu(self.bn2(self.dc2(h)))))


class Discriminator(chainer.Chain):
    """Images to one number, with noise in training only (DCGAN)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.c0 = L.Convolution2D(3, 4, 3, 1, 1)
            self.c1 = L.Convolution2D(4, 6, 4, 2, 1)
            self.bn1 = L.BatchNormalization(6, use_gamma=False)
            self.l2 = L.Linear(None, 1)

    def add_noise(self, h: Any, sigma: float = 0.2) -> Any:
        if chainer.config.train:
            return h + sigma * self.xp.random.randn(*h.shape)
        return h

    def forward(self, x: Any) -> Any:
        h = F.leaky_relu(self.add_noise(self.c0(self.add_noise(x))))
        return self.l2(F.leaky_relu(self.add_noise(self.bn1(self.c1(h)))))


class Half(chainer.Chain):
    """A layer of a U-Net, down or up."""

    def __init__(self, into: int, out: int, up: bool, activation: Any, drop: bool = False) -> None:
        super().__init__()
        self.activation, self.drop = activation, drop
        kind = L.Deconvolution2D if up else L.Convolution2D
        with self.init_scope():
            self.c = kind(into, out, 4, 2, 1)
            self.batchnorm = L.BatchNormalization(out)

    def forward(self, x: Any) -> Any:
        h = self.batchnorm(self.c(x))
        return self.activation(F.dropout(h) if self.drop else h)


class UNet(chainer.Chain):
    """What goes down comes up again, beside what it was before (pix2pix)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.c0 = L.Convolution2D(3, 4, 3, 1, 1)
            self.c1 = Half(4, 6, False, F.leaky_relu)
            self.c2 = Half(6, 8, False, F.leaky_relu)
            self.d0 = Half(8, 6, True, F.relu, True)
            self.d1 = Half(12, 4, True, F.relu)
            self.d2 = L.Convolution2D(8, 2, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        hs = [F.leaky_relu(self.c0(x))]
        for i in range(1, 3):
            hs.append(self[f"c{i}"](hs[i - 1]))
        h = self.d0(hs[-1])
        for i in range(1, 3):
            h = F.concat([h, hs[-i - 1]])
            h = self[f"d{i}"](h)
        return F.tanh(h)


class CroppedUNet(chainer.Chain):
    """A U-Net for images of any size: what comes up is cut to what it is put beside."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.enc, self.mid = L.Convolution2D(1, 3, 3, pad=1), L.Convolution2D(3, 4, 3, pad=1)
            self.up = L.Deconvolution2D(4, 3, 2, 2)
            self.dec = L.Convolution2D(6, 2, 1)

    def forward(self, x: Any) -> Any:
        first = F.relu(self.enc(x))
        h = F.relu(self.mid(F.max_pooling_2d(first, 2, 2, cover_all=True)))
        h = F.relu(self.up(h))[:, :, : x.shape[2], : x.shape[3]]
        return F.softmax(self.dec(F.concat([first, h])), axis=1)


class VAE(chainer.Chain):
    """Mean and variance of a code, and the image of the mean, or of what the noise makes of it."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.le1, self.le2_mu, self.le2_ln_var = L.Linear(8, 6), L.Linear(6, 3), L.Linear(6, 3)
            self.ld1, self.ld2 = L.Linear(3, 6), L.Linear(6, 8)

    def encode(self, x: Any) -> Any:
        h1 = F.tanh(self.le1(x))
        return self.le2_mu(h1), self.le2_ln_var(h1)

    def decode(self, z: Any, sigmoid: bool = True) -> Any:
        h2 = self.ld2(F.tanh(self.ld1(z)))
        return F.sigmoid(h2) if sigmoid else h2

    def forward(self, x: Any, noise: Any) -> Any:
        mean, ln_var = self.encode(x)
        drawn = F.gaussian(mean, ln_var, eps=noise.array)
        kl = F.gaussian_kl_divergence(mean, ln_var, reduce="no")
        return {"image": self.decode(mean), "drawn": self.decode(drawn), "kl": F.sum(kl, axis=1)}


class Distributions(chainer.Chain):
    """A VAE by Chainer's distributions: how likely an image is by the mean of its code."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.mean, self.scale, self.decode = L.Linear(8, 3), L.Linear(8, 3), L.Linear(3, 8)

    def forward(self, x: Any) -> Any:
        D = chainer.distributions
        q = D.Independent(D.Normal(self.mean(x), log_scale=self.scale(x)))
        prior = D.Independent(D.Normal(np.zeros((1, 3), "f"), log_scale=np.zeros((1, 3), "f")))
        p = D.Bernoulli(logit=self.decode(q.mean))
        kinds = D.Categorical(logit=self.mean(x))
        return {
            "log_prob": F.sum(p.log_prob(F.sigmoid(x)), axis=1),
            "prior": prior.log_prob(q.mean),
            "kl": chainer.kl_divergence(q, prior),
            "entropy": q.entropy + kinds.entropy + F.sum(p.entropy, axis=1),
            "image": p.mean,
        }


class InstanceNorm(chainer.Chain):
    """Each channel of each image by its own mean and variance, by means of the batch's."""

    def __init__(self, size: int) -> None:
        super().__init__()
        with self.init_scope():
            self.gamma = chainer.Parameter(chainer.initializers.Uniform(1.0), size)
            self.beta = chainer.Parameter(0.1, size)

    def forward(self, x: Any) -> Any:
        n, c, height, width = x.shape
        whole = F.reshape(x, (1, n * c, height, width))
        gamma = F.broadcast_to(self.gamma, (n, c)).reshape(n * c)
        beta = F.reshape(F.broadcast_to(self.beta[None], (n, c)), (n * c,))
        return F.reshape(F.batch_normalization(whole, gamma, beta), x.shape)


class InstanceNormByHand(chainer.Chain):
    """The same, written with means."""

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        with self.init_scope():
            self.gamma = chainer.Parameter(chainer.initializers.Uniform(1.0), (1, size, 1, 1))

    def forward(self, x: Any) -> Any:
        mean = F.mean(x, axis=(2, 3), keepdims=True)
        centred = x - F.broadcast_to(mean, x.shape)
        var = F.average(centred**2, axis=(2, 3), keepdims=True)
        return centred / F.sqrt(F.broadcast_to(var, x.shape) + self.eps) * self.gamma


class Residual(chainer.Chain):
    """Mirrored edges, a convolution and a norm, added to what was before."""

    def __init__(self, size: int, norm: Any) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.norm = L.Convolution2D(size, size, 3), norm(size)

    def forward(self, x: Any) -> Any:
        h = F.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
        return x + F.relu(self.norm(self.conv(h)))


class Style(chainer.Chain):
    """An image in another style: down, residual blocks, up by repeated or resized elements."""

    def __init__(self, norm: Any, resize: bool) -> None:
        super().__init__()
        self.resize = resize
        with self.init_scope():
            self.c1, self.b1 = L.Convolution2D(3, 4, 3, 2, 1), norm(4)
            self.r1, self.r2 = Residual(4, norm), Residual(4, norm)
            self.d1 = L.Convolution2D(4, 3, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        h = self.r2(self.r1(F.elu(self.b1(self.c1(x)))))
        if self.resize:
            h = F.resize_images(h, (h.shape[2] * 2, h.shape[3] * 2))
        else:
            h = F.unpooling_2d(h, 2, 2, 0, cover_all=False)
        return (F.tanh(self.d1(h)) + 1) * 127.5


class SegNet(chainer.Chain):
    """Elements go back to where the maxima were, in images of any size."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.back = L.Convolution2D(2, 4, 3, pad=1), L.Convolution2D(4, 3, 3, pad=1)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.conv(x))
        p, where = F.max_pooling_2d(h, 2, stride=2, return_indices=True)
        h = F.upsampling_2d(p, where, ksize=2, stride=2, outsize=x.shape[2:])
        return F.argmax(self.back(h), axis=1)


class Segmentation(chainer.Chain):
    """Scores of several resolutions added, brought to the size of the image (FCN)."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.c1, self.c2 = L.Convolution2D(3, 4, 3, pad=1), L.Convolution2D(4, 4, 3, pad=1)
            self.score1, self.score2 = L.Convolution2D(4, 3, 1), L.Convolution2D(4, 3, 1)
            self.up = L.Deconvolution2D(3, 3, 4, 2, 1, nobias=True)
            self.context = L.DilatedConvolution2D(3, 3, 3, pad=2, dilate=2)

    def forward(self, x: Any) -> Any:
        one = F.max_pooling_2d(F.relu(self.c1(x)), 2, cover_all=False)
        two = F.max_pooling_2d(F.relu(self.c2(one)), 2, cover_all=False)
        up = self.up(self.score2(two))
        h = self.context(self.score1(one)[:, :, : up.shape[2], : up.shape[3]] + up)
        return F.log_softmax(F.resize_images(h, x.shape[2:], align_corners=False))


class SuperResolution(chainer.Chain):
    """An image four times as large, from channels."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(1, 4, 5, pad=2)
            self.conv2 = L.Convolution2D(4, 4, 3, pad=1)
            self.act = L.PReLU((4,))

    def forward(self, x: Any) -> Any:
        return F.clip(F.depth2space(self.conv2(self.act(self.conv1(x))), 2), 0.0, 1.0)


class Boxes(chainer.Chain):
    """What lies where: a list of boxes over several scales (SSD), with a scaled norm."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes
        with self.init_scope():
            self.c1, self.c2 = L.Convolution2D(3, 6, 3, 2, 1), L.Convolution2D(6, 6, 3, 2, 1)
            self.loc, self.conf = chainer.ChainList(), chainer.ChainList()
            self.scale = L.Scale(W_shape=(6,))
        for count in (2, 3):
            self.loc.add_link(L.Convolution2D(6, count * 4, 3, pad=1))
            self.conf.add_link(L.Convolution2D(6, count * classes, 3, pad=1))
        self.scale.W.array[...] = 2.0

    def forward(self, x: Any) -> Any:
        h1 = F.relu(self.c1(x))
        maps = [self.scale(F.normalize(h1)), F.relu(self.c2(h1))]
        locs, confs = [], []
        for h, loc, conf in zip(maps, self.loc, self.conf, strict=True):
            y = F.transpose(loc(h), (0, 2, 3, 1))
            locs.append(F.reshape(y, (y.shape[0], -1, 4)))
            y = conf(h).transpose(0, 2, 3, 1)
            confs.append(y.reshape(y.shape[0], -1, self.classes))
        return F.concat(locs, axis=1), F.softmax(F.concat(confs, axis=1), axis=2)


class Yolo(chainer.Chain):
    """A grid of boxes: what each number means is in its channel."""

    def __init__(self, boxes: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.boxes, self.classes = boxes, classes
        self.add_persistent("anchors", np.array([[1.0, 2.0], [3.0, 1.5]], "f"))
        with self.init_scope():
            self.conv = L.Convolution2D(8, boxes * (5 + classes), 1)

    def reorg(self, x: Any) -> Any:
        n, c, height, width = x.shape
        h = F.reshape(x, (n, c, height // 2, 2, width // 2, 2))
        h = F.transpose(h, (0, 3, 5, 1, 2, 4))
        return F.reshape(h, (n, c * 4, height // 2, width // 2))

    def forward(self, x: Any) -> Any:
        h = self.conv(self.reorg(F.leaky_relu(x, slope=0.1)))
        n, _, height, width = h.shape
        h = F.reshape(h, (n, self.boxes, self.classes + 5, height, width))
        x, y, w, h, conf, prob = F.split_axis(h, (1, 2, 3, 4, 5), axis=2)
        across = np.arange(width, dtype="f")
        down = np.arange(height, dtype="f")[:, None]
        w = F.exp(w) * self.anchors[:, 0].reshape(1, self.boxes, 1, 1, 1)
        h = F.exp(h) * self.anchors[:, 1].reshape(1, self.boxes, 1, 1, 1)
        box = F.concat(((F.sigmoid(x) + across) / width, (F.sigmoid(y) + down) / height, w, h), 2)
        return box, F.sigmoid(conf) * F.softmax(prob, axis=2)


class Regions(chainer.Chain):
    """The classes of regions of an image."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.head = L.Convolution2D(3, 4, 3, pad=1), MLP(6, 3)

    def forward(self, x: Any, rois: Any, which: Any) -> Any:
        h = F.relu(self.conv(x))
        return self.head(F.roi_average_align_2d(h, rois, which, (2, 3), 0.5, 2))


class Masked(chainer.Chain):
    """Each pixel by those before it (PixelCNN): weights that are masked in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = np.ones((4, 1, 3, 3), "f")
        self.mask[:, :, 1, 1:] = self.mask[:, :, 2] = 0
        with self.init_scope():
            self.conv, self.out = L.Convolution2D(1, 4, 3, pad=1), L.Convolution2D(2, 1, 1)

    def forward(self, x: Any) -> Any:
        h = F.convolution_2d(x, self.conv.W * self.mask, self.conv.b, pad=1)
        a, b = F.split_axis(h, 2, axis=1)
        return self.out(F.tanh(a) * F.sigmoid(b))


class Tied(chainer.Chain):
    """An autoencoder whose decoder is its encoder turned over; the error tells the unusual."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.enc = L.Linear(8, 3)
            self.bias = chainer.Parameter(0.0, 8)

    def forward(self, x: Any) -> Any:
        y = F.sigmoid(F.linear(F.sigmoid(self.enc(x)), self.enc.W.T, self.bias))
        return y, F.mean(F.squared_error(x, y), axis=1)


ROWS: dict[str, Callable[[], Net]] = {
    "Generator": lambda: row(Generator, floats(BATCH, 5)),
    "Discriminator": lambda: row(Discriminator, floats(BATCH, 3, 8, 8)),
    "UNet": lambda: row(UNet, floats(BATCH, 3, 8, 12)),
    "CroppedUNet": lambda: row(CroppedUNet, floats(BATCH, 1, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "VAE": lambda: row(VAE, floats(BATCH, 8), floats(BATCH, 3)),
    "Distributions": lambda: row(Distributions, floats(BATCH, 8)),
    "Style": lambda: row(
        lambda: Style(InstanceNorm, False), floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES
    ),
    "CycleGAN": lambda: row(
        lambda: Style(InstanceNormByHand, True), floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES
    ),
    "SegNet": lambda: row(SegNet, floats(BATCH, 2, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "Segmentation": lambda: row(Segmentation, floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "SuperResolution": lambda: row(
        SuperResolution, floats(BATCH, 1, HEIGHT, WIDTH), runs=OTHER_IMAGES
    ),
    "Boxes": lambda: row(Boxes, floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "Yolo": lambda: row(Yolo, floats(BATCH, 2, 6, 8)),
    "Masked": lambda: row(Masked, floats(BATCH, 1, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "Tied": lambda: row(Tied, floats(BATCH, 8)),
}
