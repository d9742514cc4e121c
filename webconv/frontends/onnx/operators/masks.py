"""Masks: what may attend to what. For the letters in shapes see `heads`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from webconv.frontends import common
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value


@dataclass(frozen=True)
class Mask:
    """What is added to the scores, and where attention is allowed; None for no such mask.

    `some` promises that every query is allowed a key, and that no bias is an infinity.
    """

    bias: Value | None = None
    allowed: Value | None = None
    some: bool = True

    def also(self, allowed: Value, some: bool = False) -> Mask:
        """With another rule of what is allowed."""
        both = allowed if self.allowed is None else ops.And()(self.allowed, allowed)
        return Mask(self.bias, both, self.some and some)

    def plus(self, bias: Value) -> Mask:
        """With another bias, of any size but infinity."""
        total = bias if self.bias is None else ops.Add()(self.bias, bias)
        return Mask(total, self.allowed, self.some)

    def forbids(self) -> Value | None:
        """`allowed` and where the bias is not -inf; None if that is everywhere."""
        if self.some or self.bias is None:
            return self.allowed
        finite = ops.Greater()(self.bias, common.scalar(-math.inf, self.bias))
        return finite if self.allowed is None else ops.And()(self.allowed, finite)


def places(length: Dim, first: Dim = 0) -> Value:
    """first, first + 1, ... as i32 [length]: positions of queries or keys."""
    return common.slice_axes(ops.Iota(first + length)(), {0: common.Span(first, length, 1)})


def positions(length: Dim, first: Dim | Value = 0) -> Value:
    """Where queries stand among the keys, [T, 1], or [B, 1, T, 1] if `first` is [B]."""
    if not isinstance(first, Value):
        return common.expand_dims(places(length, first), 1)
    offset = common.expand_dims(common.cast(first, dtypes.i32), 1, 2, 3)
    return ops.Add()(offset, common.expand_dims(places(length), 1))


def causal(rows: Value, length: Dim) -> Value:
    """True where a key is not later than the query, for `length` keys."""
    return ops.LessOrEqual()(places(length), rows)


def windowed(mask: Mask, rows: Value, length: Dim, left: int, right: int) -> Mask:
    """Also no key more than `left` before or `right` after the query's place; -1 for no limit."""
    if left >= 0:
        first = ops.Sub()(rows, graph.constant(np.int32(left)))
        mask = mask.also(ops.GreaterOrEqual()(places(length), first))
    if right >= 0:
        last = ops.Add()(rows, graph.constant(np.int32(right)))
        mask = mask.also(ops.LessOrEqual()(places(length), last))
    return mask


def shorter_than(lengths: Value, length: Dim) -> Value:
    """True for the keys before `lengths` [B] of each sample: [B, 1, 1, S]."""
    limit = common.expand_dims(common.cast(lengths, dtypes.i32), 1, 2, 3)
    return ops.Less()(places(length), limit)
