"""chainer.functions.array: joined and taken apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


@function("Concat")
def concat(call: Applied, *xs: Value) -> Value:
    """Joined along an axis, by default the second."""
    return common.concat(xs, call.axis)


@function("Hstack")
def hstack(call: Applied, *xs: Value) -> Value:
    """Joined along the second axis; vectors along their only one."""
    xs = tuple(common.reshape(x, (1,)) if x.type.rank == 0 else x for x in xs)
    return common.concat(xs, 0 if xs[0].type.rank == 1 else 1)


@function("Vstack")
def vstack(call: Applied, *xs: Value) -> Value:
    """Joined along the first axis of what has two or more."""
    rows = [common.reshape(x, (1, x.type.size)) if x.type.rank < 2 else x for x in xs]
    return common.concat(rows, 0)


@function("Dstack")
def dstack(call: Applied, *xs: Value) -> Value:
    """Joined along the third axis."""
    deep = []
    for x in xs:
        if x.type.rank < 2:
            x = common.reshape(x, (1, x.type.size))
        deep.append(common.expand_dims(x, 2) if x.type.rank == 2 else x)
    return common.concat(deep, 2)


@function("Stack")
def stack(call: Applied, *xs: Value) -> Value:
    """Joined along a new axis."""
    return common.stack(xs, call.axis)


@function("Separate")
def separate(call: Applied, x: Value) -> list[Value]:
    """The elements of an axis."""
    return [common.at(x, call.axis, k) for k in range(call.outputs)]


@function("SplitAxis")
def split_axis(call: Applied, x: Value) -> list[Value]:
    """Pieces of an axis, between given places or of one size."""
    axis = normalise_axis(call.axis, x.type.rank)
    n = x.shape[axis]
    if call.indices is None:
        return common.split_evenly(x, call.sections, axis)
    places = [0, *(_plain(k) for k in call.indices), n]
    starts = [dims.minimum(p, n) for p in places]
    sizes = [dims.maximum(b - a, 0) for a, b in itertools.pairwise(starts)]
    pieces = zip(starts, sizes, strict=False)
    return [common.slice_axes(x, {axis: Span(a, size, 1)}) for a, size in pieces]


def _plain(place: Dim | np.integer[Any]) -> Dim:
    return int(place) if isinstance(place, np.integer) else place


@function("PadSequence")
def pad_sequence(call: Applied, *xs: Value) -> Value:
    """Sequences as one array, the short ones filled up."""
    length: Dim = call.length if call.length is not None else 0
    if call.length is None:
        for x in xs:
            length = dims.maximum(length, x.shape[0])
    return common.stack([padded(x, length, float(call.padding)) for x in xs], 0)


def padded(x: Value, length: Dim, value: float = 0.0) -> Value:
    """`x` filled up to `length` along its first axis."""
    more = length - x.shape[0]
    if more == 0:
        return x
    rest = (0,) * (x.type.rank - 1)
    return ops.Pad((0, *rest), (more, *rest), "constant", value)(x)


@function("TransposeSequence")
def transpose_sequence(call: Applied, *xs: Value) -> list[Value]:
    """The k-th elements of all sequences that are so long; they lie in falling order of length."""
    lengths = [x.shape[0] for x in xs]
    if not all(isinstance(n, int) for n in lengths):
        raise UnsupportedError("the lengths of the sequences must be known")
    out = []
    for k in range(call.outputs):
        rows = [common.at(x, 0, k) for x, n in zip(xs, lengths, strict=True) if k < n]  # type: ignore[operator]
        out.append(common.stack(rows, 0))
    return out
