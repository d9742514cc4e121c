"""Networks that see images, as people write them in Chainer, in small."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, HEIGHT, WIDTH, floats, row


class MLP(chainer.Chain):
    """Digits by three layers, whose sizes follow from the first call."""

    def __init__(self, units: int = 8, out: int = 4) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(None, units)
            self.l2 = L.Linear(None, units)
            self.l3 = L.Linear(None, out)

    def forward(self, x: Any) -> Any:
        return self.l3(F.relu(self.l2(F.relu(self.l1(x)))))


class ConvBlock(chainer.Chain):
    """Convolution, statistics, activation, and dropout if asked for."""

    def __init__(self, channels: int, drop: float | None = None) -> None:
        super().__init__()
        self.drop = drop
        with self.init_scope():
            self.conv = L.Convolution2D(None, channels, ksize=3, pad=1, nobias=True)
            self.bn = L.BatchNormalization(channels)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.bn(self.conv(x)))
        return h if self.drop is None else F.dropout(h, ratio=self.drop)


class VGG(chainer.Chain):
    """Blocks and poolings, twice, then fully connected layers with statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.block1_1 = ConvBlock(4, 0.3)
            self.block1_2 = ConvBlock(4)
            self.block2_1 = ConvBlock(6, 0.4)
            self.block2_2 = ConvBlock(6)
            self.fc1 = L.Linear(None, 10, nobias=True)
            self.bn_fc1 = L.BatchNormalization(10)
            self.fc2 = L.Linear(None, 5, nobias=True)

    def forward(self, x: Any) -> Any:
        h = self.block1_2(self.block1_1(x))
        h = F.dropout(F.max_pooling_2d(h, ksize=2, stride=2), ratio=0.25)
        h = self.block2_2(self.block2_1(h))
        h = F.dropout(F.max_pooling_2d(h, ksize=2, stride=2), ratio=0.25)
        h = F.dropout(F.relu(self.bn_fc1(self.fc1(F.dropout(h, ratio=0.5)))), ratio=0.5)
        return self.fc2(h)


class AlexNet(chainer.Chain):
    """A large first stride, and local response normalisation after a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(None, 8, 11, stride=4)
            self.conv2 = L.Convolution2D(None, 10, 5, pad=2)
            self.conv3 = L.Convolution2D(None, 8, 3, pad=1)
            self.fc6 = L.Linear(None, 12)
            self.fc7 = L.Linear(None, 5)

    def forward(self, x: Any) -> Any:
        h = F.local_response_normalization(F.relu(self.conv1(x)))
        h = F.max_pooling_2d(h, 3, stride=2)
        h = F.max_pooling_2d(F.local_response_normalization(F.relu(self.conv2(h))), 3, stride=2)
        h = F.max_pooling_2d(F.relu(self.conv3(h)), 3, stride=2)
        return self.fc7(F.dropout(F.relu(self.fc6(h))))


class GoogLeNet(chainer.Chain):
    """Inception modules, plain or with statistics, and the mean of the whole image."""

    def __init__(self, normalised: bool) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(None, 6, 7, stride=2, pad=3)
            if normalised:
                self.inc3a = L.InceptionBN(None, 3, 2, 4, 2, 3, "avg", 2)
                self.inc3b = L.InceptionBN(None, 0, 3, 4, 2, 3, "max", stride=2)
            else:
                self.inc3a = L.Inception(None, 3, 2, 4, 1, 2, 2)
                self.inc3b = L.Inception(None, 4, 3, 5, 2, 3, 3)
            self.fc = L.Linear(None, 4)

    def forward(self, x: Any) -> Any:
        h = F.max_pooling_2d(F.relu(self.conv1(x)), 3, stride=2, pad=1)
        h = self.inc3b(self.inc3a(h))
        h = F.average_pooling_2d(h, h.shape[2:], stride=1)
        return self.fc(F.dropout(h, 0.4))


class Bottleneck(chainer.Chain):
    """1x1, 3x3 and 1x1, with a shortcut that is projected or not; `groups` make it a ResNeXt."""

    def __init__(self, size: int, out: int, stride: int, project: bool, groups: int) -> None:
        super().__init__()
        init = chainer.initializers.HeNormal()
        conv = functools.partial(L.Convolution2D, None, initialW=init, nobias=True)
        self.project = project
        with self.init_scope():
            self.conv1, self.bn1 = conv(size, 1), L.BatchNormalization(size)
            self.conv2 = conv(size, 3, stride, 1, groups=groups)
            self.bn2 = L.BatchNormalization(size)
            self.conv3, self.bn3 = conv(out, 1), L.BatchNormalization(out)
            if project:
                self.conv4, self.bn4 = conv(out, 1, stride), L.BatchNormalization(out)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(h))
        return F.relu(h + (self.bn4(self.conv4(x)) if self.project else x))


class Blocks(chainer.ChainList):
    """Bottlenecks one after another."""

    def __init__(self, count: int, size: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.add_link(Bottleneck(size, out, stride, True, groups))
        for _ in range(count - 1):
            self.add_link(Bottleneck(size, out, 1, False, groups))

    def forward(self, x: Any) -> Any:
        for block in self.children():
            x = block(x)
        return x


class ResNet(chainer.Chain):
    """Two stages of bottlenecks."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 4, 7, 2, 3, nobias=True)
            self.bn1 = L.BatchNormalization(4)
            self.res2 = Blocks(2, 4, 8, 1, groups)
            self.res3 = Blocks(2, 4, 12, 2, groups)
            self.fc = L.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        h = F.max_pooling_2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2)
        h = self.res3(self.res2(h))
        n, channels = h.shape[:2]
        return self.fc(F.reshape(F.average_pooling_2d(h, h.shape[2:]), (n, channels)))


class NIN(chainer.Chain):
    """Perceptrons in the place of convolutions, and no fully connected layer."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.mlpconv1 = L.MLPConvolution2D(None, (6, 6, 6), 5, stride=2)
            self.mlpconv2 = L.MLPConvolution2D(None, (8, 8, 4), 3, pad=1)

    def forward(self, x: Any) -> Any:
        h = F.max_pooling_2d(F.relu(self.mlpconv1(x)), 3, stride=2)
        h = self.mlpconv2(F.dropout(h, ratio=0.5))
        return F.reshape(F.average_pooling_2d(h, h.shape[2:]), (x.shape[0], 4))


class MobileNet(chainer.Chain):
    """Each channel by itself and then 1x1; an inverted bottleneck with groups; ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(3, 4, 3, 2, 1, nobias=True)
            self.depth = L.DepthwiseConvolution2D(4, 1, 3, stride=1, pad=1, nobias=True)
            self.point, self.bn = L.Convolution2D(4, 8, 1, nobias=True), L.BatchNormalization(8)
            self.wide = L.Convolution2D(8, 16, 1, nobias=True)
            self.each = L.Convolution2D(16, 16, 3, 1, 1, groups=16, nobias=True)
            self.bn_each = L.BatchNormalization(16)
            self.narrow = L.Convolution2D(16, 8, 1)
            self.fc = L.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        h = F.clipped_relu(self.depth(F.relu6(self.conv(x))), z=6.0)
        h = F.relu6(self.bn(self.point(h)))
        h = h + self.narrow(F.relu6(self.bn_each(self.each(F.relu6(self.wide(h))))))
        return F.softmax(self.fc(F.mean(h, axis=(2, 3))))


class ShuffleNet(chainer.Chain):
    """Groups of channels that are shuffled."""

    def __init__(self, groups: int = 3) -> None:
        super().__init__()
        self.groups = groups
        with self.init_scope():
            self.first = L.Convolution2D(6, 12, 1, groups=groups)
            self.second = L.Convolution2D(12, 6, 1, groups=groups)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.first(x))
        n, c, height, width = h.shape
        h = F.reshape(h, (n, self.groups, c // self.groups, height, width))
        h = F.reshape(F.transpose(h, (0, 2, 1, 3, 4)), (n, c, height, width))
        return F.concat((F.average_pooling_2d(x, 3, 2, 1), self.second(h)[:, :, ::2, ::2]))


class DenseNet(chainer.Chain):
    """Layers that read all layers before them, under names that are computed."""

    def __init__(self, layers: int = 3, growth: int = 3) -> None:
        super().__init__()
        self.layers = layers
        for k in range(layers):
            self.add_link(f"bn{k}", L.BatchNormalization(4 + k * growth))
            self.add_link(f"conv{k}", L.Convolution2D(4 + k * growth, growth, 3, 1, 1))

    def forward(self, x: Any) -> Any:
        for k in range(self.layers):
            h = self[f"conv{k}"](F.relu(self[f"bn{k}"](x)))
            x = F.concat((x, h), axis=1)
        return x


class SqueezeExcite(chainer.Chain):
    """A fire module, and channels weighted by what a small network makes of their means."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.squeeze = L.Convolution2D(3, 2, 1)
            self.expand1, self.expand3 = L.Convolution2D(2, 4, 1), L.Convolution2D(2, 4, 3, pad=1)
            self.down, self.up = L.Linear(8, 2), L.Linear(2, 8)

    def forward(self, x: Any) -> Any:
        h = F.elu(self.squeeze(x))
        h = F.concat([self.expand1(h), self.expand3(h)])
        z = F.average_pooling_2d(h, h.shape[2:])
        z = F.sigmoid(self.up(F.relu(self.down(z))))
        z = F.broadcast_to(z[:, :, None, None], h.shape)
        return F.max(h * z, axis=(2, 3))


class Capsules(chainer.Chain):
    """Capsules that agree on their predictions in three rounds."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(1, 8, 3, 2)
            self.W = chainer.Parameter(chainer.initializers.Normal(0.5), (18, 3, 4, 4))

    def squash(self, s: Any, axis: int) -> Any:
        norm = F.sum(s**2, axis=axis, keepdims=True)
        s, norm = F.broadcast(s, norm)
        return s * norm / ((1 + norm) * F.sqrt(norm + 1e-7))

    def forward(self, x: Any) -> Any:
        n = x.shape[0]
        u = F.transpose(F.reshape(self.conv(x), (n, 2, 4, 9)), (0, 1, 3, 2))
        u = self.squash(F.reshape(u, (n, 18, 4)), 2)
        votes = F.einsum("nik,ijko->njio", u, self.W)
        b = self.xp.zeros(votes.shape[:3], "f")
        for _ in range(3):
            c = F.broadcast_to(F.softmax(b, axis=1)[..., None], votes.shape)
            v = self.squash(F.sum(votes * c, axis=2), 2)
            b = b + F.sum(votes * F.broadcast_to(v[:, :, None], votes.shape), axis=3)
        return F.sqrt(F.sum(v * v, axis=2))


class Straightened(chainer.Chain):
    """A network that first turns its image the right way up."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.where = L.Linear(None, 6, initialW=0.01, initial_bias=np.eye(2, 3).ravel() * 0.9)
            self.conv = L.Convolution2D(1, 3, 3)

    def forward(self, x: Any) -> Any:
        theta = F.reshape(self.where(x), (-1, 2, 3))
        grid = F.spatial_transformer_grid(theta, (6, 6))
        return self.conv(F.spatial_transformer_sampler(x, grid))


class Siamese(chainer.Chain):
    """Two images by one network, and how far apart they are."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.body = MLP(6, 3)

    def forward(self, x0: Any, x1: Any) -> Any:
        a, b = F.normalize(self.body(x0)), F.normalize(self.body(x1))
        return {"distance": F.batch_l2_norm_squared(a - b), "cosine": F.sum(a * b, axis=1)}


class Pyramid(chainer.Chain):
    """Images of any size by pooling into a pyramid of bins."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv, self.fc = L.Convolution2D(1, 3, 3, pad=1), L.Linear(None, 4)

    def forward(self, x: Any) -> Any:
        return self.fc(F.spatial_pyramid_pooling_2d(F.relu(self.conv(x)), 3, pooling="max"))


OTHER_IMAGES = ({"batch": 1, "height": 9, "width": 7}, {"batch": 3, "height": 17, "width": 14})

ROWS: dict[str, Callable[[], Net]] = {
    "MLP": lambda: row(MLP, floats(BATCH, 1, 6, 6)),
    "VGG": lambda: row(VGG, floats(BATCH, 3, 8, 8)),
    "AlexNet": lambda: row(AlexNet, floats(BATCH, 3, 67, 67)),
    "GoogLeNet": lambda: row(lambda: GoogLeNet(False), floats(BATCH, 3, 28, 28)),
    "GoogLeNetBN": lambda: row(lambda: GoogLeNet(True), floats(BATCH, 3, 28, 28)),
    "ResNet": lambda: row(ResNet, floats(BATCH, 3, 32, 32)),
    "ResNeXt": lambda: row(lambda: ResNet(2), floats(BATCH, 3, 32, 32)),
    "NIN": lambda: row(NIN, floats(BATCH, 3, 17, 17)),
    "MobileNet": lambda: row(MobileNet, floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "ShuffleNet": lambda: row(ShuffleNet, floats(BATCH, 6, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "DenseNet": lambda: row(DenseNet, floats(BATCH, 4, 5, 5)),
    "SqueezeExcite": lambda: row(SqueezeExcite, floats(BATCH, 3, HEIGHT, WIDTH), runs=OTHER_IMAGES),
    "Capsules": lambda: row(Capsules, floats(BATCH, 1, 7, 7)),
    "Straightened": lambda: row(Straightened, floats(BATCH, 1, 8, 8)),
    "Siamese": lambda: row(Siamese, floats(BATCH, 6), floats(BATCH, 6)),
    "Pyramid": lambda: row(Pyramid, floats(BATCH, 1, HEIGHT, WIDTH), runs=OTHER_IMAGES),
}
