"""Arrays that a chain makes of the lengths of its sequences with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.items import Ragged
from webconv.frontends.chainer.packing import Layout, within
from webconv.frontends.chainer.tape import Leaf
from webconv.ir import graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.graph import Value


def of_lengths(leaf: Leaf, lists: Sequence[Ragged]) -> Value | None:
    """The lengths of a list, or what is a little more or less, where a constant holds them
    (`np.array([len(x) for x in xs])`), or a mask that they make.

    What holds them by chance differs in the program of other lengths, which is told.
    """
    array = leaf.array
    if leaf.kind != "constant" or array.dtype.kind not in "biuf":
        return None
    for whole in lists:
        layout = whole.layout
        counts = array.dtype.kind != "b" and array.size == len(layout.example)
        if counts and array.size in array.shape:
            more = set((array.ravel() - layout.example).tolist())
            if len(more) > 1 or not more <= {-2, -1, 0, 1, 2}:
                continue
            shape: list[Dim] = [1] * array.ndim
            shape[array.shape.index(array.size)] = layout.count
            lengths = ops.Add()(layout.lengths, graph.constant(int(more.pop())))
            return common.reshape(common.cast(lengths, from_numpy(array.dtype)), shape)
        if (mask := _mask(array, layout)) is not None:
            return mask
    return None


def _mask(array: Any, layout: Layout) -> Value | None:
    """Two numbers, one where a list that is filled up has something, as NumPy makes a mask."""
    lengths = np.array(layout.example)
    inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
    if inside.all() or array.ndim < 2:
        return None
    for turned in (False, True):
        own = np.swapaxes(array, 0, 1) if turned else array
        if own.shape[:2] != inside.shape:
            continue
        wide = inside.reshape(*inside.shape, *[1] * (own.ndim - 2))
        first, rest = own[inside].flat[0], own[~inside].flat[0]
        if first == rest or not np.array_equal(
            own, np.broadcast_to(np.where(wide, first, rest), own.shape)
        ):
            continue
        known = common.transpose(within(layout), (1, 0)) if turned else within(layout)
        chosen = ops.Where()(
            common.reshape(known, (*known.shape, *[1] * (own.ndim - 2))),
            graph.constant(np.asarray(first, array.dtype)),
            graph.constant(np.asarray(rest, array.dtype)),
        )
        return common.broadcast_to(chosen, (*chosen.shape[:2], *array.shape[2:]))
    return None
