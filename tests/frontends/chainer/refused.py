"""Functions and links of Chainer that are not converted, as rows: what is called, and on what.

`chainer.functions` holds them in the families loss and evaluation, but for three.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.frontends.chainer.cases import Case

_random = np.random.RandomState(8)
X, Y = _random.randn(3, 4).astype(np.float32), _random.randn(3, 4).astype(np.float32)
T = np.array([1, 0, 3], np.int32)
ONES, ROWS = np.ones(4, np.float32), np.ones((4, 2, 5), np.float32)

LOSSES = {
    "softmax_cross_entropy": Case(lambda F, x, t: F.softmax_cross_entropy(x, t), (X, T)),
    "sigmoid_cross_entropy": Case(
        lambda F, x, t: F.sigmoid_cross_entropy(x, t), (X, (Y > 0).astype(np.int32))
    ),
    "hinge": Case(lambda F, x, t: F.hinge(x, t), (X, T)),
    "huber_loss": Case(lambda F, x, y: F.huber_loss(x, y, 1.0), (X, Y)),
    "contrastive": Case(
        lambda F, x, y, t: F.contrastive(x, y, t), (X, Y, np.array([0, 1, 1], np.int32))
    ),
    "triplet": Case(lambda F, x, y: F.triplet(x, y, x * 2), (X, Y)),
    "connectionist_temporal_classification": Case(
        lambda F, x, t: F.connectionist_temporal_classification([x, x, x], t, 0), (X, T[:, None])
    ),
    "decov": Case(lambda F, x: F.decov(x), (X,)),
    "cross_covariance": Case(lambda F, x, y: F.cross_covariance(x, y), (X, Y)),
    "negative_sampling": Case(
        lambda F, x, t: F.negative_sampling(
            x, t, np.ones((5, 4), "f"), lambda shape: np.ones(shape, "i"), 2
        ),
        (X, T),
    ),
}

JUDGES = {
    "accuracy": Case(lambda F, x, t: F.accuracy(x, t), (X, T)),
    "binary_accuracy": Case(lambda F, x, t: F.binary_accuracy(x, t), (X, (Y > 0).astype(np.int32))),
    "classification_summary": Case(lambda F, x, t: F.classification_summary(x, t), (X, T)),
    "precision": Case(lambda F, x, t: F.precision(x, t), (X, T)),
    "recall": Case(lambda F, x, t: F.recall(x, t), (X, T)),
    "f1_score": Case(lambda F, x, t: F.f1_score(x, t), (X, T)),
    "r2_score": Case(lambda F, x, y: F.r2_score(x, y), (X, Y)),
}


def training(F: Any, name: str, *inputs: Any, **options: Any) -> Any:
    """A function as it is in training."""
    import chainer

    with chainer.using_config("train", True):
        return getattr(F, name)(*inputs, **options)


OTHERS = {
    "gaussian": Case(lambda F, x, y: F.gaussian(x, y), (X, Y)),
    "gumbel_softmax": Case(lambda F, x: F.gumbel_softmax(x), (X,)),
    "dropout": Case(lambda F, x: training(F, "dropout", x), (X,)),
    "rrelu": Case(lambda F, x: training(F, "rrelu", x), (X,)),
    "zoneout": Case(lambda F, x, y: training(F, "zoneout", x, y), (X, Y)),
    "batch_renormalization": Case(
        lambda F, x, g, b: training(
            F,
            "batch_renormalization",
            *(x, g, b, 1.5, 0.5),
            running_mean=np.zeros(4, "f"),
            running_var=np.ones(4, "f"),
        ),
        (X, ONES, ONES),
    ),
    "decorrelated_batch_normalization": Case(
        lambda F, x: training(F, "decorrelated_batch_normalization", x, groups=2), (X,)
    ),
}

REFUSED = {**LOSSES, **JUDGES, **OTHERS}

# A loss that is made of other functions, and decides by its data.
MADE_OF_OTHERS = ("discriminative_margin_based_clustering_loss",)
