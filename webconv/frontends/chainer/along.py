"""Functions along axes of each sequence of a list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.items import BARE, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import (
    filled,
    flipped,
    of_count,
    packed,
)
from webconv.frontends.chainer.sites import Given, Site, alike, applied, changed
from webconv.frontends.chainer.tape import Call
from webconv.ir import ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

# Functions along axes, or an axis, that keep the others as they are.
ALONG = frozenset(
    (
        *("Sum", "Mean", "Max", "Min", "Prod", "ArgMax", "ArgMin", "LogSumExp", "Softmax"),
        *("LogSoftmax", "Cumsum", "Cumprod", "NormalizeL2", "Flip", "SplitAxis", "Separate"),
        *("Squeeze", "Concat", "Stack", "CReLU", "Repeat"),
    )
)

# Functions of a whole sequence: the operator, and what is no part of the sequence.
POOLED: Mapping[str, tuple[Any, float]] = {
    "Sum": (ops.ReduceSum, 0.0),
    "Mean": (ops.ReduceSum, 0.0),
    "Max": (ops.ReduceMax, -np.inf),
    "Min": (ops.ReduceMin, np.inf),
}

# Functions along a whole sequence that give as many rows.
RUNNING: Mapping[str, tuple[Callable[[int], Any], float]] = {
    "Softmax": (ops.Softmax, -np.inf),
    "LogSoftmax": (ops.LogSoftmax, -np.inf),
    "Cumsum": (ops.CumSum, 0.0),
    "Cumprod": (ops.CumProd, 1.0),
}

# Functions whose axes are a tuple, None for all of them; of others None flattens.
REDUCED = frozenset((*POOLED, "Prod", "LogSumExp"))


def _axes(call: Call, rank: int) -> list[int]:
    """The axes that a call is along."""
    axis = call.attributes.get("axis")
    if axis is None:
        return [*range(rank)]
    new = rank + (call.name == "Stack")
    return [
        normalise_axis(int(a), new) for a in (axis if isinstance(axis, tuple | list) else [axis])
    ]


def along_axes(call: Call, given: Given, site: Site) -> list[Ragged] | None:
    """A function along axes; that of the rows is another thing."""
    lists = [v for v in given if isinstance(v, Ragged)]
    if len(lists) != len(given):
        return None
    if len({v.rank for v in lists}) > 1:
        return None
    of = alike(lists)
    if of is None:
        return None
    first = of[0]
    axes = _axes(call, first.rank)
    keeps = call.name in REDUCED or isinstance(call.attributes.get("axis"), tuple | list)
    if not keeps and len(axes) > 1:
        return None
    if first.rows == BARE:
        shifted = tuple(a + 1 for a in axes)
        own = changed(call, axis=shifted if keeps else shifted[0])
        return applied(own, first, of, site)
    if 0 not in axes:
        own = changed(call, axis=tuple(axes) if keeps else axes[0])
        return applied(own, first, of, site)
    return _over_rows(call, first, axes) if len(of) == 1 else None


def _over_rows(call: Call, of: Ragged, axes: Sequence[int]) -> list[Ragged] | None:
    """What is along the rows of each sequence."""
    at = call.attributes
    if of.rows == ONE:
        squeezes = call.name == "Squeeze" and axes == [0]
        return [Ragged(of.values, of.layout, BARE)] if squeezes else None
    if call.name == "Flip" and axes == [0]:
        return [Ragged(flipped(of.values, of.layout), of.layout)]
    if not of.values.type.dtype.is_float:
        return None
    if call.name in POOLED:
        y = _pooled(call.name, of, axes, bool(at["keepdims"]))
        return [Ragged(y, of.layout, ONE if at["keepdims"] else BARE)]
    if call.name in ("ArgMax", "ArgMin") and axes == [0] and at["axis"] is not None:
        op = ops.ArgMax(1) if call.name == "ArgMax" else ops.ArgMin(1)
        padding = -np.inf if call.name == "ArgMax" else np.inf
        return [Ragged(op(filled(of.values, of.layout, padding)[0]), of.layout, BARE)]
    if call.name in RUNNING and axes == [0] and at["axis"] is not None:
        kind, padding = RUNNING[call.name]
        return [
            Ragged(packed(kind(1)(filled(of.values, of.layout, padding)[0]), of.layout), of.layout)
        ]
    return None


def _pooled(name: str, of: Ragged, axes: Sequence[int], keepdims: bool) -> Value:
    """The sum, mean or an extreme over each sequence: `[B, ...]`."""
    op, padding = POOLED[name]
    own = tuple(a + 1 for a in axes)
    y: Value = op(own, keepdims)(filled(of.values, of.layout, padding)[0])
    y = common.squeeze(y, 1) if keepdims else y
    if name != "Mean":
        return y
    lengths = common.cast(of.layout.lengths, y.type.dtype)
    others: Any = [of.values.shape[a] for a in axes if a]
    if others:
        lengths = ops.Mul()(lengths, common.scalar(float(np.prod(others)), lengths))
    count = of_count(lengths, of.layout)
    made: Value = ops.Div()(y, common.reshape(count, (of.layout.count, *[1] * (y.type.rank - 1))))
    return made


def of_turned(call: Call, of: Ragged) -> list[Ragged] | None:
    """A function of rows as columns."""
    if call.name == "Transpose" and call.attributes["axes"] in (None, (1, 0)):
        return [Ragged(of.values, of.layout)]
    if call.name in RUNNING and call.attributes["axis"] in (1, -1):
        rows = Ragged(of.values, of.layout)
        made = _over_rows(changed(call, axis=0), rows, [0])
        return [dataclasses.replace(v, rows=TURNED) for v in made or []] or None
    return None
