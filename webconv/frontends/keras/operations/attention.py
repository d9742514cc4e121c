"""Attention, and normalisations, called as operations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from webconv.frontends import common
from webconv.frontends.keras.layers.attention import all_of, attend_by_heads, causal_mask
from webconv.frontends.keras.layers.normalization import (
    Axes,
    layer_normalized,
    rms_normalized,
    sorted_axes,
)
from webconv.frontends.keras.operations.elementwise import floating, promoted, result_type, tensor
from webconv.frontends.keras.schema import Rank
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value

EPSILON = 1e-7  # keras.config.epsilon() as it is unless set; files do not hold it


def _wide(x: Value) -> Value:
    """x in the dtype that Keras normalises in: f32 or wider."""
    return common.cast(x, result_type(x.type.dtype, dtypes.f32))


def _along(v: Value, axes: Sequence[int], x: Value) -> Value:
    """A parameter that has the sizes of x along `axes`, so that it broadcasts against x."""
    v = common.cast(v, x.type.dtype)
    if v.type.rank == x.type.rank:
        return v
    return common.reshape(v, [n if a in axes else 1 for a, n in enumerate(x.shape)])


def layer_norm(
    layer: Layer,
    x: Value,
    gamma: Value | None = None,
    beta: Value | None = None,
    *,
    axis: Axes = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Value:
    """x normalised over `axis`, scaled by gamma and shifted by beta."""
    value, axes = _wide(x), sorted_axes(axis, x)
    y = layer_normalized(value, axes, EPSILON if epsilon is None else epsilon, rms_scaling)
    y = y if gamma is None else ops.Mul()(y, _along(gamma, axes, value))
    y = y if beta is None or rms_scaling else ops.Add()(y, _along(beta, axes, value))
    return common.cast(y, x.type.dtype)


def rms_norm(
    layer: Layer,
    x: Value,
    scale: Value | None = None,
    *,
    axis: Axes = -1,
    epsilon: float | None = None,
) -> Value:
    """x divided by the root of its mean square over `axis`, then scaled."""
    value = _wide(x)
    y = rms_normalized(value, sorted_axes(axis, x), EPSILON if epsilon is None else epsilon)
    y = y if scale is None else ops.Mul()(y, common.cast(scale, y.type.dtype))
    return common.cast(y, x.type.dtype)


def batch_norm(
    layer: Layer,
    x: Any,
    mean: Value,
    variance: Value,
    offset: Value | None = None,
    scale: Value | None = None,
    *,
    axis: int,
    epsilon: float = 1e-3,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, all along `axis`."""
    value = floating(x)
    axes = sorted_axes(axis, value)
    factor = ops.Reciprocal()(ops.Sqrt()(ops.Affine(1.0, epsilon)(floating(variance))))
    factor = factor if scale is None else ops.Mul()(*promoted(factor, scale))
    shift = ops.Neg()(ops.Mul()(*promoted(mean, factor)))
    shift = shift if offset is None else ops.Add()(*promoted(shift, offset))
    y = ops.Mul()(value, _along(factor, axes, value))
    return ops.Add()(y, _along(shift, axes, value))


def dot_product_attention(
    layer: Layer,
    query: Annotated[Value, Rank(4, 4)],
    key: Annotated[Value, Rank(4, 4)],
    value: Annotated[Value, Rank(4, 4)],
    bias: Value | None = None,
    mask: Value | None = None,
    scale: Any = None,
    *,
    is_causal: bool = False,
    attn_logits_soft_cap: float | None = None,
) -> Value:
    """softmax(query . key * scale + bias) . value, of tensors [batch, length, heads, size].

    A head of key and value serves as many heads of the query as there are to each.
    """
    if attn_logits_soft_cap is not None:
        raise UnsupportedError(f"attn_logits_soft_cap {attn_logits_soft_cap} is not supported")
    query, key = promoted(query, key)
    query, value = promoted(query, value)
    query, key = promoted(query, key)
    heads, own, size = query.shape[2], key.shape[2], key.shape[3]
    if not (isinstance(heads, int) and isinstance(own, int) and isinstance(size, int)):
        raise ShapeError(f"heads and their size must be known, but query is {query.type}")
    if heads % own or value.shape[2] != own:
        raise ShapeError(f"the {heads} heads of the query do not share {own} of key and value")
    factor = tensor(1 / math.sqrt(size) if scale is None else scale, query)
    if factor.type.rank:
        raise UnsupportedError(f"a scale of several numbers is not supported: {factor.type}")
    query = ops.Mul()(query, common.cast(factor, query.type.dtype))
    key, value = (common.repeat(v, heads // own, 2) for v in (key, value))
    causal = causal_mask(query.shape[1], key.shape[1]) if is_causal else None
    allowed = all_of([None if v is None else _four_axes(v) for v in (mask, causal)])
    if bias is not None:
        bias = common.cast(_four_axes(bias), query.type.dtype)
    return attend_by_heads(query, key, value, (1,), allowed, False, bias)[0]


def _four_axes(v: Value) -> Value:
    """What broadcasts to [batch, heads, query length, key length]."""
    return common.expand_dims(v, *range(4 - v.type.rank))


RULES: Mapping[str, Rule] = {
    "LayerNorm": Rule(layer_norm),
    "RMSNorm": Rule(rms_norm),
    "BatchNorm": Rule(batch_norm),
    "DotProductAttention": Rule(dot_product_attention, ignores="flash_attention"),
}
