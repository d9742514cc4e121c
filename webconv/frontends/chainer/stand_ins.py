"""Functions that Chainer computes outside of its graph, written with functions that are in it.

While a chain is traced, `changes()` says what stands in the place of Chainer's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
from chainer.functions.activation import rrelu as rrelu_module
from chainer.functions.loss import crf1d as crf1d_module
from chainer.functions.noise.gaussian import Gaussian
from chainer.links.rnn.n_step_rnn import argsort_list_descent, permutate_list

from webconv.frontends.chainer.composites import Composite, is_active


class GumbelSoftmax(Composite):
    """F.gumbel_softmax."""


class RandomReLU(Composite):
    """F.rrelu as it is in training."""


class SpatialPyramidPooling(Composite):
    """F.spatial_pyramid_pooling_2d, whose windows follow from the size of the image."""


def changes() -> Iterator[tuple[Any, str, Any]]:
    """Places, names, and what stands there."""
    for place, name, stand_in in (
        (F, "forget", forget),
        (F, "gaussian", gaussian),
        (F, "rrelu", rrelu),
        (F, "argmax_crf1d", argmax_crf1d),
        (crf1d_module, "argmax_crf1d", argmax_crf1d),
        (L.CRF1d, "argmax", argmax_of_link),
    ):
        yield place, name, while_active(getattr(place, name), stand_in)
    yield F, "gumbel_softmax", one_node(F.gumbel_softmax, GumbelSoftmax)
    pyramid = one_node(F.spatial_pyramid_pooling_2d, SpatialPyramidPooling, "pyramid_height")
    yield F, "spatial_pyramid_pooling_2d", pyramid


def while_active(original: Callable[..., Any], stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """What a chain calls that is traced: the original elsewhere."""

    @functools.wraps(original)
    def replacement(*arguments: Any, **options: Any) -> Any:
        return (stand_in if is_active() else original)(*arguments, **options)

    return replacement


def forget(func: Callable[..., Any], *xs: Any) -> Any:
    """F.forget: it computes `func` without keeping what training would need."""
    return func(*xs)


def gaussian(mean: Any, ln_var: Any, eps: Any = None, return_eps: bool = False) -> Any:
    """F.gaussian, whose noise may be given."""
    if eps is None:
        return Gaussian().apply((mean, ln_var))[0]
    drawn = mean + F.exp(ln_var * 0.5) * eps
    return (drawn, eps) if return_eps else drawn


def rrelu(x: Any, *arguments: Any, **options: Any) -> Any:
    """F.rrelu, whose slopes are drawn in training."""
    compute = functools.partial(rrelu_module.rrelu, **options)
    if not chainer.config.train:
        return compute(x, *arguments)
    return RandomReLU(lambda a: compute(a, *arguments)).apply((x,))[0]


def one_node(
    original: Callable[..., Any], kind: type[Composite], *names: str
) -> Callable[..., Any]:
    """`original` as one function in the graph, whose attributes are arguments after the first."""

    @functools.wraps(original)
    def replacement(x: Any, *arguments: Any, **options: Any) -> Any:
        if not is_active():
            return original(x, *arguments, **options)
        given = {**dict(zip(names, arguments, strict=False)), **options}
        attributes = {name: given[name] for name in names}
        return kind(lambda a: original(a, *arguments, **options), **attributes).apply((x,))[0]

    return replacement


def argmax_crf1d(cost: Any, xs: Sequence[Any]) -> tuple[Any, list[Any]]:
    """F.argmax_crf1d, whose labels are Variables: the likeliest path of each sequence.

    `xs` are steps [B, K] of sequences in falling order of length, `cost` [K, K].
    """
    best = xs[0]
    steps = []
    for x in xs[1:]:
        ended = None
        if len(best) > len(x):
            best, ended = F.split_axis(best, [len(x)], axis=0)
        scores = best[:, :, None] + cost
        steps.append((F.argmax(scores, axis=1), ended))
        best = F.max(scores, axis=1) + x
    score, labels = F.max(best, axis=1), F.argmax(best, axis=1)
    path = [labels]
    for before, ended in reversed(steps):
        labels = F.select_item(before, labels)
        if ended is not None:
            labels = F.concat([labels, F.argmax(ended, axis=1)], axis=0)
            score = F.concat([score, F.max(ended, axis=1)], axis=0)
        path.append(labels)
    return score, path[::-1]


def argmax_of_link(self: Any, xs: Sequence[Any], transpose: bool = False) -> Any:
    """L.CRF1d.argmax; with `transpose`, of sequences in any order."""
    if not transpose:
        return argmax_crf1d(self.cost, xs)
    order = argsort_list_descent(xs)
    steps = F.transpose_sequence(permutate_list(xs, order, inv=False))
    score, path = argmax_crf1d(self.cost, steps)
    return score, permutate_list(F.transpose_sequence(path), order, inv=True)
