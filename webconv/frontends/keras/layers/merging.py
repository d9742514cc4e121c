"""Layers that take several tensors: Add, Concatenate, Dot and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.normalization import l2_normalized
from webconv.frontends.keras.tree import Layer, Rule, Tensor
from webconv.ir import dtypes, graph, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Masks = list[Value | None]


def _same_rank(xs: Sequence[Value]) -> list[Value]:
    """Tensors of fewer axes get axes of size 1 after the batch."""
    most = max(x.type.rank for x in xs)
    return [common.expand_dims(x, *range(1, 1 + most - x.type.rank)) for x in xs]


def merged_mask(layer: Layer, masks: Masks) -> Value | None:
    """One mask of several: Keras 3 takes either's steps, and none if any is none.

    Older ones take both's, and leave those out that are none.
    """
    found = [m for m in masks if m is not None]
    if not found or (len(found) < len(masks) and layer.dialect.major == 3):
        return None
    op = ops.Or if layer.dialect.major == 3 else ops.And
    return reduce(lambda a, b: op()(a, b), found)


def _masks_for(xs: Sequence[Value], masks: Masks | None) -> Masks:
    """A mask or None for each input."""
    if not masks:
        return [None] * len(xs)
    if len(masks) != len(xs):
        raise ShapeError(f"{len(xs)} inputs have {len(masks)} masks")
    return masks


def _fold(op: type[Any], x: Sequence[Value]) -> Value:
    return reduce(lambda a, b: op()(a, b), x)


def _merge(function: Callable[[Layer, list[Value]], Value]) -> Callable[..., Tensor]:
    def merge(layer: Layer, xs: list[Value], *, mask: Masks | None = None) -> Tensor:
        """Tensors merged element by element, broadcasting."""
        return Tensor(function(layer, _same_rank(xs)), merged_mask(layer, _masks_for(xs, mask)))

    return merge


def _subtract(layer: Layer, xs: list[Value]) -> Value:
    if len(xs) != 2:
        raise ShapeError(f"2 inputs are needed, but {len(xs)} are given")
    return _fold(ops.Sub, xs)


def _average(layer: Layer, xs: list[Value]) -> Value:
    return ops.Mul()(total := _fold(ops.Add, xs), scalar(1 / len(xs), total))


def _shown(mask: Value | None, x: Value) -> Value | None:
    """A mask [B, T] that broadcasts against x [B, T, F]."""
    return None if mask is None else common.expand_dims(mask, *range(mask.type.rank, x.type.rank))


def _extremum(op: type[Any]) -> Callable[..., Tensor]:
    def extremum(layer: Layer, xs: list[Value], *, mask: Masks | None = None) -> Tensor:
        """The largest or smallest element; Keras 3 leaves masked ones out."""
        masks = _masks_for(xs, mask)
        xs = _same_rank(xs)
        if layer.dialect.major < 3:
            return Tensor(_fold(op, xs), merged_mask(layer, masks))
        out, seen = xs[0], _shown(masks[0], xs[0])
        for x, own in zip(xs[1:], masks[1:], strict=True):
            own_shown = _shown(own, x)
            x = x if own_shown is None else ops.Where()(own_shown, x, out)
            out = out if seen is None else ops.Where()(seen, out, x)
            seen = None if seen is None or own_shown is None else ops.Or()(seen, own_shown)
            out = op()(out, x)
        return Tensor(out, merged_mask(layer, masks))

    return extremum


def multiply(layer: Layer, xs: list[Value], *, mask: Masks | None = None) -> Tensor:
    """The product; in Keras 3 a masked element counts as 1, and as 0 if all are masked."""
    masks = _masks_for(xs, mask)
    xs = _same_rank(xs)
    merged = merged_mask(layer, masks)
    if layer.dialect.major < 3:
        return Tensor(_fold(ops.Mul, xs), merged)
    shown = [_shown(m, x) for x, m in zip(xs, masks, strict=True)]
    factors = [
        x if m is None else ops.Where()(m, x, scalar(1, x)) for x, m in zip(xs, shown, strict=True)
    ]
    y = _fold(ops.Mul, factors)
    if merged is not None:
        y = ops.Where()(_shown(merged, y), y, scalar(0, y))
    return Tensor(y, merged)


def concatenate(
    layer: Layer, xs: list[Value], *, axis: int = -1, mask: Masks | None = None
) -> Tensor:
    """Tensors joined along `axis`, and so are their masks."""
    if not xs:
        raise ShapeError("at least one input is needed")
    y = common.concat(xs, normalise_axis(axis, xs[0].type.rank))
    return Tensor(y, _joined_mask(layer, xs, _masks_for(xs, mask), axis))


def _joined_mask(layer: Layer, xs: list[Value], masks: Masks, axis: int) -> Value | None:
    if all(m is None for m in masks):
        return None
    rank = xs[0].type.rank
    axis = normalise_axis(axis, rank)
    if any(m is not None and m.type.rank != rank - 1 for m in masks):
        raise UnsupportedError("masks that have not one axis less than the inputs cannot be joined")
    true = graph.constant(np.asarray(True))
    full = [
        common.broadcast_to(true, x.shape[:-1]) if m is None else m
        for x, m in zip(xs, masks, strict=True)
    ]
    if axis < rank - 1:
        return common.concat(full, axis)
    return _fold(ops.Or if layer.dialect.major == 3 else ops.And, full)


def dot(
    layer: Layer, xs: list[Value], *, axes: int | tuple[int, int], normalize: bool = False
) -> Value:
    """The sum of products over one axis of each input, sample by sample."""
    if len(xs) != 2:
        raise ShapeError(f"2 inputs are needed, but {len(xs)} are given")
    pair = (axes, axes) if isinstance(axes, int) else axes
    x, y = xs
    a, b = normalise_axis(pair[0], x.type.rank), normalise_axis(pair[1], y.type.rank)
    if not a or not b:
        raise ShapeError("the batch axis cannot be summed over")
    if normalize:
        # Keras 2 limits the squared norm by 1e-12 as well.
        x, y = l2_normalized(x, [a], 1e-6), l2_normalized(y, [b], 1e-6)
    return batch_dot(x, y, a, b)


def batch_dot(x: Value, y: Value, a: int, b: int) -> Value:
    """[B, X.., k] . [B, k, Y..] -> [B, X.., Y..]; at least [B, 1]."""
    x, y = common.move_axis(x, a, -1), common.move_axis(y, b, 1)
    middle, trail = x.shape[1:-1], y.shape[2:]
    left = common.reshape(x, (x.shape[0], -1 if middle else 1, x.shape[-1]))
    right = common.reshape(y, (y.shape[0], y.shape[1], -1 if trail else 1))
    out = ops.MatMul()(left, right)
    return common.reshape(out, (out.shape[0], *((*middle, *trail) or (1,))))


RULES: Mapping[str, Rule] = {
    "Add": Rule(_merge(lambda layer, xs: _fold(ops.Add, xs))),
    "Subtract": Rule(_merge(_subtract)),
    "Average": Rule(_merge(_average)),
    "Multiply": Rule(multiply),
    "Maximum": Rule(_extremum(ops.Max)),
    "Minimum": Rule(_extremum(ops.Min)),
    "Concatenate": Rule(concatenate),
    "Dot": Rule(dot, keeps_mask=False),
}

__all__ = ["RULES", "batch_dot", "dtypes", "merged_mask"]
