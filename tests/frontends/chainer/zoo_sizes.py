"""Functions whose numbers depend on sizes that are open, and arrays that chains make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import Net
from tests.frontends.chainer.zoo_rows import BATCH, HEIGHT, TIME, WIDTH, floats, row
from webconv import Dim

_random = np.random.RandomState(9)
TABLE = _random.randn(20, 4).astype(np.float32)
FILTER = _random.randn(3, 2, 3, 3).astype(np.float32)


class Function(chainer.Chain):
    """A function of arrays as a chain."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self._call = call

    def forward(self, x: Any) -> Any:
        return self._call(x)


SIZES = ({"height": 9, "width": 7}, {"height": 17, "width": 14})
TIMES = ({"batch": 1, "time": 5}, {"batch": 3, "time": 1}, {"batch": 2, "time": 8})


def of_images(call: Callable[[Any], Any]) -> Callable[[], Net]:
    """A function of images of any size."""
    return lambda: row(lambda: Function(call), floats(2, 3, HEIGHT, WIDTH), runs=SIZES)


def of_steps(call: Callable[[Any], Any]) -> Callable[[], Net]:
    """A function of any number of sequences of any length."""
    return lambda: row(lambda: Function(call), floats(BATCH, TIME, 4), runs=TIMES)


def causal(x: Any) -> Any:
    """Attention to what was before, with a mask that is made in each call."""
    n, t = x.shape[:2]
    place = np.arange(t)
    mask = np.broadcast_to((place[:, None] >= place)[None], (n, t, t))
    scores = F.where(mask, F.matmul(x, x, transb=True), np.full((n, t, t), -np.inf, "f"))
    return F.matmul(F.softmax(scores, axis=2), x)


def grid(height: int, width: int) -> Any:
    """Where the middle of each pixel is, across and down, of the whole."""
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([across / width, down / height])[None].astype("f")


IMAGES = {
    "resize": lambda x: F.resize_images(x, (5, 6)),
    "resize_edges": lambda x: F.resize_images(x, (x.shape[2] * 2, 3), align_corners=False),
    "resize_nearest": lambda x: F.resize_images(x, (x.shape[2] + 3, x.shape[3]), mode="nearest"),
    "outsize": lambda x: F.deconvolution_2d(x[:, :, ::2, ::2], FILTER, None, 2, 1, x.shape[2:]),
    "unpooling": lambda x: F.unpooling_2d(F.max_pooling_2d(x, 2), 2, outsize=x.shape[2:]),
    "upsampling": lambda x: F.upsampling_2d(
        *F.max_pooling_2d(x, 3, 2, 1, return_indices=True), 3, 2, 1, outsize=x.shape[2:]
    ),
    "pyramid": lambda x: F.spatial_pyramid_pooling_2d(x, 2, "max"),
    "whole": lambda x: F.average_pooling_2d(x, x.shape[2:]),
    "mirrored": lambda x: F.pad(x, ((0, 0), (0, 0), (3, 1), (0, 2)), "symmetric"),
    "extremes": lambda x: F.pad(x, ((0, 0), (0, 0), (1, 1), (2, 0)), "maximum"),
    "corners": lambda x: x[:, :, [[0], [-1]], [0, -1]],
    "scattered": lambda x: F.scatter_add(
        x, (slice(None), 0, slice(-2, None), [0, 2]), x[:, 0, :2, :2]
    ),
    "linspace": lambda x: (
        x * np.linspace(-1, 1, x.shape[3], dtype="f")
        + np.linspace(0, np.pi, x.shape[2], dtype="f")[:, None]
    ),
    "grid": lambda x: F.concat(
        [x, F.broadcast_to(grid(x.shape[2], x.shape[3]), (x.shape[0], 2, *x.shape[2:]))]
    ),
    "cells": lambda x: x + np.arange(x[0, 0].size, dtype="f").reshape(x.shape[2:]),
    "strides": lambda x: F.as_strided(
        x, (2, x.shape[2]), (x.shape[1] * x.shape[2] * x.shape[3], x.shape[3]), 1
    ),
}

STEPS = {
    "places": lambda x: x + np.arange(x.shape[1], dtype="f")[:, None],
    "places_back": lambda x: x * np.arange(x.shape[1], dtype="f")[::-1][None, :, None],
    "places_doubled": lambda x: x * (2 * np.arange(1, x.shape[1] + 1, dtype="f"))[:, None],
    "places_wide": lambda x: (
        x * np.broadcast_to(np.arange(x.shape[1], dtype="f")[:, None], x.shape)
    ),
    "places_embedded": lambda x: x + F.embed_id(np.arange(x.shape[1]), TABLE),
    "waves": lambda x: x + F.sin(np.arange(x.shape[1], dtype="f"))[:, None],
    "running_sum": lambda x: F.matmul(np.tril(np.ones((x.shape[1],) * 2, "f")), x),
    "later": lambda x: F.matmul(np.triu(np.ones((x.shape[1],) * 2, "f"), 2), x),
    "self_loops": lambda x: F.matmul(np.eye(x.shape[1], dtype="f") * 2, x),
    "causal": causal,
    "table": lambda x: x + TABLE[: x.shape[1]],
    "table_wide": lambda x: x + F.broadcast_to(TABLE[None, 3 : 3 + x.shape[1]], x.shape),
    "table_end": lambda x: x + TABLE[-x.shape[1] :],
    "table_column": lambda x: x + TABLE[: x.shape[1], 1][:, None],
    "count": lambda x: x / np.full(x.shape, x.shape[1], "f"),
    "number": lambda x: x * np.array([x.shape[1]], "f"),
    "start": lambda x: F.concat([np.zeros((x.shape[0], 1, 4), "f"), x], axis=1)[:, :-1],
}


class Loop(chainer.Chain):
    """A loop of many steps."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.lstm, self.out = L.LSTM(4, 3), L.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        self.lstm.reset_state()
        return F.stack([self.out(self.lstm(x[:, t])) for t in range(x.shape[1])], axis=1)


FEW = ({"batch": 1, "time": 1}, {"batch": 3, "time": 6})

ROWS: dict[str, Callable[[], Net]] = {
    "loop": lambda: row(Loop, floats(BATCH, Dim("time", 30), 4), runs=TIMES),
    "table_of_six": lambda: row(
        lambda: Function(lambda x: x + TABLE[:6][: x.shape[1]]), floats(BATCH, TIME, 4), runs=FEW
    ),
    **{name: of_images(call) for name, call in IMAGES.items()},
    **{name: of_steps(call) for name, call in STEPS.items()},
}
