"""Normalisations of onnxruntime (`com.microsoft`), alone and fused with what is before them."""

from __future__ import annotations

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.contributed import DOMAIN, contributed
from webconv.frontends.onnx.operators.normalization import layer_normalization
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

contributed("LayerNormalization", context=True)(layer_normalization)


def statistics(x: Value, axes: tuple[int, ...], epsilon: float, center: bool) -> tuple[Value, ...]:
    """The mean, and 1 / the standard deviation (or the root of the mean square)."""
    mean = ops.ReduceMean(axes, True)(x)
    rest = ops.Sub()(x, mean) if center else x
    square = ops.ReduceMean(axes, True)(ops.Mul()(rest, rest))
    root = ops.Sqrt()(ops.Add()(square, common.scalar(epsilon, square)))
    return mean, ops.Reciprocal()(root)


def wide(x: Value) -> Value:
    """x in f32 at least, as statistics are computed."""
    return common.cast(x, dtypes.f32) if x.type.dtype == dtypes.f16 else x


def scaled(y: Value, like: Value, gamma: Value | None, beta: Value | None = None) -> Value:
    """gamma * y + beta, in the dtype of `like`."""
    if gamma is not None:
        y = ops.Mul()(y, common.cast(gamma, y.type.dtype))
    if beta is not None:
        y = ops.Add()(y, common.cast(beta, y.type.dtype))
    return common.cast(y, like.type.dtype)


@operator("SimplifiedLayerNormalization")
@operator("SimplifiedLayerNormalization", domain=DOMAIN)
def simplified_layer_normalization(
    x: Value, scale: Value, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Value, Value]:
    """x / sqrt(mean(x^2) + epsilon) * scale over the axes from `axis` on; and 1 / that root."""
    axes = tuple(range(normalise_axis(axis, x.type.rank), x.type.rank))
    y = scaled(ops.Normalize(axes, epsilon, False)(wide(x)), x, scale)
    return y, statistics(wide(x), axes, epsilon, False)[1]


def _skipped(x: Value, skip: Value, bias: Value | None) -> Value:
    total = ops.Add()(wide(x), wide(skip))
    return total if bias is None else ops.Add()(total, wide(bias))


@contributed("SkipLayerNormalization")
def skip_layer_normalization(
    x: Value,
    skip: Value,
    gamma: Value,
    beta: Value | None = None,
    bias: Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Value, ...]:
    """LayerNormalization of x + skip + bias over the last axis; also the statistics and the sum."""
    total = _skipped(x, skip, bias)
    y = scaled(ops.Normalize((-1,), epsilon)(total), x, gamma, beta)
    return y, *statistics(total, (-1,), epsilon, True), common.cast(total, x.type.dtype)


@contributed("SkipSimplifiedLayerNormalization")
def skip_simplified_layer_normalization(
    x: Value, skip: Value, gamma: Value, bias: Value | None = None, *, epsilon: float = 1e-12
) -> tuple[Value, ...]:
    """RMSNormalization of x + skip + bias over the last axis; also the statistics and the sum."""
    total = _skipped(x, skip, bias)
    y = scaled(ops.Normalize((-1,), epsilon, False)(total), x, gamma)
    return y, *statistics(total, (-1,), epsilon, False), common.cast(total, x.type.dtype)


@contributed("EmbedLayerNormalization")
def embed_layer_normalization(
    ids: Value,
    segments: Value | None,
    words: Value,
    places: Value,
    segment_table: Value | None,
    gamma: Value,
    beta: Value,
    mask: Value | None = None,
    position_ids: Value | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 0,
) -> tuple[Value | None, ...]:
    """LayerNormalization of the sum of three embeddings; the mask's lengths [B]; the sum."""
    batch, length = ids.shape
    total = ops.Gather(0)(words, ids)
    if position_ids is None:
        total = ops.Add()(total, common.slice_axes(places, {0: common.Span(0, length, 1)}))
    else:
        total = ops.Add()(total, ops.Gather(0)(places, position_ids))
    if segments is not None and segment_table is not None:
        total = ops.Add()(total, ops.Gather(0)(segment_table, segments))
    y = scaled(ops.Normalize((-1,), epsilon)(wide(total)), total, gamma, beta)
    if mask is None:
        none = graph.constant(np.int32(0))
        return y, common.broadcast_to(none, (batch,)), total
    kept = common.cast(common.cast(mask, dtypes.bool_), dtypes.i32)
    return y, ops.ReduceSum((1,))(kept), total


@contributed("GroupNorm")
def group_norm(
    x: Value,
    gamma: Value,
    beta: Value,
    *,
    activation: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
    groups: int,
) -> Value:
    """x [N, S.., C] (or [N, C, S..]) by groups of channels, then with `activation` 1 the SiLU."""
    rows = x if channels_last else common.channels_last(x)
    batch, *spatial, channels = rows.shape
    if groups < 1 or not isinstance(channels, int) or channels % groups:
        raise ShapeError(f"{channels} channels do not divide into {groups} groups")
    shape = (batch, dims.product(spatial), groups, channels // groups)
    y = ops.Normalize((1, 3), epsilon)(common.reshape(wide(rows), shape))
    y = scaled(common.reshape(y, rows.shape), x, gamma, beta)
    y = ops.Swish(1.0)(y) if activation else y
    return y if channels_last else common.channels_first(y)
