"""Heads that attend: scaled dot products, masks, and query heads that share a key head.

B batch, N query heads, M key heads (a divisor of N), T query length, S key length, H size of a
head. Queries are [B, N, T, H], keys and values [B, M, S, H], masks are True where attention is
allowed and broadcast to [B, N, T, S].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.masks import Mask
from webconv.ir import dims, dtypes, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

# What has no weight beside any other score.
LOWEST = float(np.finfo(np.float32).min)


class Scores(NamedTuple):
    """The products of queries and keys: scaled, then capped, then with the bias."""

    scaled: Value
    capped: Value
    biased: Value


def heads(x: Value, count: int) -> Value:
    """[B, T, count * H] as [B, count, T, H]."""
    batch, length, width = x.shape
    if count < 1 or (isinstance(width, int) and width % count):
        raise ShapeError(f"the last axis of {x.type} must divide into {count} heads")
    split = common.reshape(x, (batch, length, count, dims.floordiv(width, count)))
    return common.transpose(split, (0, 2, 1, 3))


def joined(x: Value) -> Value:
    """[B, N, T, H] as [B, T, N * H]."""
    batch, count, length, size = x.shape
    return common.reshape(common.transpose(x, (0, 2, 1, 3)), (batch, length, count * size))


def number_of_heads(x: Value) -> int:
    """N of [B, N, T, H]."""
    count = x.shape[1]
    if not isinstance(count, int):
        raise ShapeError(f"the number of heads of {x.type} must be known")
    return count


def head_size(q: Value) -> int:
    """The size of a head, which the scale follows from."""
    size = q.shape[-1]
    if not isinstance(size, int) or size < 1:
        raise ShapeError(f"the size of a head must be known, but the queries are {q.type}")
    return size


def group(x: Value, groups: int) -> Value:
    """[..., N, T, S] as [..., M, N / M, T, S]; heads that are one stay one."""
    if groups == 1 or x.type.rank < 3:
        return x
    n = x.shape[-3]
    if n == 1:
        return common.expand_dims(x, -3)
    if not isinstance(n, int) or n % groups:
        raise ShapeError(f"axis -3 of {x.type} must be 1 or a multiple of {groups}")
    return common.reshape(x, (*x.shape[:-3], n // groups, groups, *x.shape[-2:]))


def ungroup(x: Value, groups: int) -> Value:
    """[B, M, N / M, T, S] as [B, N, T, S]."""
    if groups == 1:
        return x
    batch, few, many, *rest = x.shape
    return common.reshape(x, (batch, few * many, *rest))


@dataclass(frozen=True)
class Attention:
    """softmax(scale * q k' + bias) v. Query heads that share a key head form a group.

    `sink` [N] or a scalar is a score that takes part in the softmax, but has no value. All is
    computed in f32 where the inputs are f16: every result is rounded once.
    """

    q: Value
    k: Value
    v: Value
    mask: Mask
    scale: float
    softcap: float = 0.0
    sink: Value | None = None

    @property
    def groups(self) -> int:
        """The number of query heads per key head."""
        many, few = number_of_heads(self.q), number_of_heads(self.k)
        if few < 1 or many % few or number_of_heads(self.v) != few:
            raise ShapeError(
                f"{few} key heads must divide {many} query heads, and be as many as value heads"
            )
        return many // few

    def scores(self) -> Scores:
        """The scores by stage, [B, M, N / M, T, S] if there are groups."""
        q, k = group(wide(self.q), self.groups), wide(self.k)
        k = k if self.groups == 1 else common.expand_dims(k, 2)
        product = ops.MatMul()(q, common.swap_axes(k, -1, -2))
        scaled = product
        if self.scale != 1:
            scaled = ops.Mul()(product, common.scalar(self.scale, product))
        capped = scaled
        if self.softcap:
            cap = common.scalar(self.softcap, scaled)
            capped = ops.Mul()(ops.Tanh()(ops.Div()(scaled, cap)), cap)
        biased = capped
        if self.mask.bias is not None:
            biased = ops.Add()(capped, group(wide(self.mask.bias), self.groups))
        return Scores(scaled, capped, biased)

    def weights(self, biased: Value) -> Value:
        """The softmax, 0 for a query that is allowed no key."""
        allowed = self.mask.forbids()
        if allowed is None:
            return self._softmax(biased)
        allowed = group(allowed, self.groups)
        lowest = common.scalar(LOWEST, biased)
        y = self._softmax(ops.Where()(allowed, biased, lowest))
        # Beside any allowed score the lowest number has the weight 0 by itself.
        return y if self.mask.some else ops.Where()(allowed, y, common.scalar(0, y))

    def _softmax(self, x: Value) -> Value:
        if self.sink is None:
            return ops.Softmax(-1)(x)
        sink = common.cast(self.sink, x.type.dtype)
        if sink.type.rank == 1:
            sink = group(common.expand_dims(sink, 1, 2), self.groups)
        column = common.broadcast_to(sink, (*x.shape[:-1], 1))
        return common.slice_axis(
            ops.Softmax(-1)(common.concat([x, column], -1)), -1, 0, x.shape[-1]
        )

    def output(self, weights: Value) -> Value:
        """[B, N, T, H], in the dtype of the queries."""
        v = wide(self.v)
        v = v if self.groups == 1 else common.expand_dims(v, 2)
        y = ungroup(ops.MatMul()(common.cast(weights, v.type.dtype), v), self.groups)
        return common.cast(y, self.q.type.dtype)

    def forbidden(self, biased: Value, value: float = -math.inf) -> Value:
        """Scores with `value` where attention is not allowed."""
        if self.mask.allowed is None:
            return biased
        allowed = group(self.mask.allowed, self.groups)
        return ops.Where()(allowed, biased, common.scalar(value, biased))

    def shown(self, x: Value) -> Value:
        """Scores or weights as an output, [B, N, T, S]."""
        whole = common.broadcast_to(x, (*x.shape[:-1], self.k.shape[-2]))
        return common.cast(ungroup(whole, self.groups), self.q.type.dtype)

    def __call__(self) -> Value:
        """[B, N, T, H]."""
        return self.output(self.weights(self.scores().biased))


def wide(x: Value) -> Value:
    return common.cast(x, dtypes.f32) if x.type.dtype == dtypes.f16 else x
