"""onnxruntime's GroupQueryAttention: attention with a cache in which each sample has its place."""

from __future__ import annotations

import math

from webconv.frontends import common
from webconv.frontends.onnx.operators import masks
from webconv.frontends.onnx.operators.contributed import contributed, refuse
from webconv.frontends.onnx.operators.heads import Attention, head_size, heads, joined
from webconv.frontends.onnx.operators.linear_attention import written
from webconv.frontends.onnx.operators.masks import Mask, places, positions, shorter_than
from webconv.frontends.onnx.operators.rotary import rotated
from webconv.frontends.onnx.values import size
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value


@contributed("GroupQueryAttention")
def group_query_attention(
    query: Value,
    key: Value | None,
    value: Value | None,
    past_key: Value | None,
    past_value: Value | None,
    seqlens_k: Value,
    total_sequence_length: Value,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    position_ids: Value | None = None,
    attention_bias: Value | None = None,
    head_sink: Value | None = None,
    k_scale: Value | None = None,
    v_scale: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    *,
    causal: int = 1,
    do_rotary: int = 0,
    k_quant_type: str = "NONE",
    kv_cache_bit_width: int = 0,
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    qk_norm_epsilon: float = 1e-6,
    qk_output: int = 0,
    rotary_interleaved: int = 0,
    scale: float = 0.0,
    sliding_window_cache: int = 0,
    smooth_softmax: int = -1,
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
) -> tuple[Value, Value, Value]:
    """New tokens are written behind each sample's past, and attend; also the keys and values."""
    refuse(
        k_scale=k_scale,
        v_scale=v_scale,
        k_quant_type=k_quant_type != "NONE",
        v_quant_type=v_quant_type != "NONE",
        qk_output=qk_output,
        sliding_window_cache=sliding_window_cache,
    )
    q, k, v = _separate(query, key, value, num_heads, kv_num_heads)
    q, k = (
        _normalised(x, weight, qk_norm_epsilon)
        for x, weight in ((q, q_norm_weight), (k, k_norm_weight))
    )
    length = q.shape[2]
    past = _past(seqlens_k, length)
    if do_rotary:
        where = position_ids
        if where is None:
            where = ops.Add()(common.expand_dims(past, 1), places(length))
        tables = cos_cache, sin_cache
        q, k = (_turned(x, tables, where, bool(rotary_interleaved)) for x in (q, k))
    if past_key is not None and past_value is not None:
        total = size(total_sequence_length, "total_sequence_length")
        k, v = _cached(past_key, k, past, total), _cached(past_value, v, past, total)
    mask = _mask(past, length, k.shape[2], bool(causal), local_window_size)
    if attention_bias is not None:
        mask = mask.plus(_padded(common.cast(attention_bias, dtypes.f32), 3, k.shape[2]))
    sink = common.float_constant(0) if smooth_softmax > 0 else head_sink
    rule = scale or 1 / math.sqrt(head_size(q))
    return joined(Attention(q, k, v, mask, rule, softcap, sink)()), k, v


def _separate(
    query: Value, key: Value | None, value: Value | None, many: int, few: int
) -> tuple[Value, Value, Value]:
    """Queries, keys and values [B, N, T, H]; without keys they are packed with the queries."""
    if key is None or value is None:
        width = query.shape[-1]
        if not isinstance(width, int) or width % (many + 2 * few):
            raise ShapeError(f"{query.type} does not divide into {many} + 2 * {few} heads")
        each = width // (many + 2 * few)
        query, key, value = common.split(query, (many * each, few * each, few * each), -1)
    return heads(query, many), heads(key, few), heads(value, few)


def _normalised(x: Value, weight: Value | None, epsilon: float) -> Value:
    if weight is None:
        return x
    y: Value = ops.Mul()(ops.Normalize((-1,), epsilon, False)(x), weight)
    return y


def _past(seqlens_k: Value, length: Dim) -> Value:
    """The number of tokens of each sample's past [B], where `seqlens_k` is that of all, less one.

    The prompt of a sample may be padded: it has fewer tokens than the prompt is long.
    """
    last = common.cast(seqlens_k, dtypes.i32)
    before = ops.Sub()(ops.Add()(last, common.scalar(1, last)), common.size_value(length))
    past: Value = ops.Max()(before, common.scalar(0, last))
    return past


def _turned(
    x: Value, tables: tuple[Value | None, Value | None], where: Value, interleaved: bool
) -> Value:
    cos, sin = tables
    if cos is None or sin is None:
        raise ModelFormatError("do_rotary needs cos_cache and sin_cache")
    half = cos.shape[-1]
    if not isinstance(half, int):
        raise ShapeError(f"the last size of cos_cache must be known, but it is {cos.type}")
    looked = [ops.Gather(0)(table, where) for table in (cos, sin)]
    return rotated(x, looked[0], looked[1], interleaved, 2 * half)


def _cached(old: Value, new: Value, past: Value, total: Dim) -> Value:
    """The past, grown to `total` tokens if it is shorter, with the new tokens behind; then 0."""
    length = dims.maximum(old.shape[2], total)
    kept = common.swap_axes(shorter_than(past, length), 2, 3)
    return written(ops.Where()(kept, _padded(old, 2, length), common.scalar(0, old)), new, past, 2)


def _padded(x: Value, axis: int, length: Dim) -> Value:
    """x with zeros up to `length` of an axis."""
    if (x.shape[axis] in (1, length) and axis == x.type.rank - 1) or x.shape[axis] == length:
        return x
    before = (0,) * x.type.rank
    after = tuple(length - n if a == axis else 0 for a, n in enumerate(x.shape))
    y: Value = ops.Pad(before, after)(x)
    return y


def _mask(past: Value, length: Dim, total: Dim, causal: bool, window: int) -> Mask:
    rows = positions(length, past)
    if not causal:
        ends = ops.Add()(past, common.size_value(length))
        return Mask().also(shorter_than(ends, total), some=True)
    mask = Mask().also(masks.causal(rows, total), some=True)
    return masks.windowed(mask, rows, total, window - 1 if window > 0 else -1, -1)
