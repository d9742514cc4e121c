"""Attention as onnxruntime (`com.microsoft`) has it. For the letters in shapes see `heads`.

Its masks are numbers that are added: what is masked gets `mask_filter_value`, not -inf.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from webconv.frontends import common
from webconv.frontends.onnx.operators import masks
from webconv.frontends.onnx.operators.contributed import contributed, refuse
from webconv.frontends.onnx.operators.heads import LOWEST, Attention, head_size, heads, joined
from webconv.frontends.onnx.operators.masks import Mask, places, positions, shorter_than
from webconv.frontends.onnx.operators.rotary import rotated
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value

FILTER = -10000.0


def filtered(mask: Value, value: float, rows: common.Span, total: Dim, batch: Dim) -> Value:
    """A mask of any of onnxruntime's forms as numbers to add to the scores of `rows`.

    Forms: [B] lengths, [2 * B] ends and then starts, [B, S], [B, T, S], [B, 1, T', S'] of 0 and 1.
    """
    if mask.type.rank == 1:
        keep = _between(mask, batch, total)
    elif mask.type.rank == 4:
        cut = common.slice_axes(mask, {2: rows, 3: common.Span(0, total, 1)})
        keep = ops.Greater()(cut, common.scalar(0, mask))
    elif mask.type.rank in (2, 3):
        axes = (1, 2) if mask.type.rank == 2 else (1,)
        keep = ops.Greater()(common.expand_dims(mask, *axes), common.scalar(0, mask))
    else:
        raise ShapeError(f"the mask must have 1 to 4 axes, but it is {mask.type}")
    y: Value = ops.Where()(keep, common.float_constant(0), common.float_constant(value))
    return y


def _between(mask: Value, batch: Dim, total: Dim) -> Value:
    """True for the keys between the starts and ends that a mask [B] or [2 * B] holds."""
    count = mask.shape[0]
    if count != 2 * batch or count == batch:
        if isinstance(count, int) and isinstance(batch, int) and count != batch:
            raise UnsupportedError(
                f"a mask of {count} numbers for a batch of {batch} is not supported; "
                "it may hold a length, or an end and a start, for each"
            )
        return shorter_than(mask, total)
    ends = common.slice_axes(mask, {0: common.Span(0, batch, 1)})
    starts = common.slice_axes(mask, {0: common.Span(batch, batch, 1)})
    first = common.expand_dims(common.cast(starts, dtypes.i32), 1, 2, 3)
    after = ops.GreaterOrEqual()(places(total), first)
    y: Value = ops.And()(shorter_than(ends, total), after)
    return y


def _masked(
    mask: Value | None,
    bias: Value | None,
    value: float,
    unidirectional: int,
    q: Value,
    past: Dim,
    total: Dim,
) -> Mask:
    found = Mask()
    if mask is not None:
        rows = common.Span(past, q.shape[2], 1)
        found = found.plus(filtered(mask, value, rows, total, q.shape[0]))
    if bias is not None:
        found = found.plus(common.cast(bias, dtypes.f32))
    if unidirectional:
        found = found.also(masks.causal(positions(q.shape[2], past), total), some=True)
    return found


def _scale(q: Value, scale: float) -> float:
    return scale or 1 / math.sqrt(head_size(q))


@contributed("Attention")
def attention(
    x: Value,
    weights: Value,
    bias: Value | None = None,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    past_sequence_length: Value | None = None,
    *,
    do_rotary: int = 0,
    mask_filter_value: float = FILTER,
    num_heads: int,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] = (),
    rotary_embedding_dim: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Value, Value | None]:
    """x [B, T, I] projected to queries, keys and values; also the present [2, B, N, S, H]."""
    refuse(do_rotary=do_rotary, past_present_share_buffer=past_present_share_buffer)
    width = weights.shape[1]
    if not qkv_hidden_sizes and (not isinstance(width, int) or width % 3):
        raise ShapeError(f"the weights' columns must be three equal parts, but they are {width}")
    parts = qkv_hidden_sizes or (dims.floordiv(width, 3),) * 3
    y = ops.MatMul()(x, weights)
    y = y if bias is None else ops.Add()(y, bias)
    q, k, v = (heads(part, num_heads) for part in common.split(y, parts, -1))
    before: Dim = 0
    if past is not None:
        before = past.shape[3]
        k = common.concat([common.at(past, 0, 0), k], 2)
        v = common.concat([common.at(past, 0, 1), v], 2)
    mask = _masked(
        mask_index, attention_bias, mask_filter_value, unidirectional, q, before, k.shape[2]
    )
    out = Attention(q, k, v, mask, _scale(q, scale))()
    return joined(out), common.stack([k, v], 0) if k.shape == v.shape else None


def _unpacked(
    query: Value, key: Value | None, value: Value | None, bias: Value | None, count: int
) -> tuple[Value, Value, Value]:
    """Queries, keys and values [B, N, T, H], from any of the forms that they are packed in."""
    if query.type.rank == 5:  # [B, T, N, 3, H]
        q, k, v = (common.transpose(common.at(query, 3, i), (0, 2, 1, 3)) for i in range(3))
        flat = [joined(t) for t in (q, k, v)]
    elif key is not None and key.type.rank == 5:  # [B, T, N, 2, H]
        k, v = (common.transpose(common.at(key, 3, i), (0, 2, 1, 3)) for i in range(2))
        flat = [query, joined(k), joined(v)]
    elif key is not None and value is not None:
        if key.type.rank == 4:  # Keys and values of a cache, which have their bias.
            bias_q = None if bias is None else common.slice_axis(bias, 0, 0, query.shape[-1])
            query = query if bias_q is None else ops.Add()(query, bias_q)
            return heads(query, count), key, value
        flat = [query, key, value]
    else:
        raise ModelFormatError("key and value are needed unless they are packed with the query")
    if bias is not None:
        widths = [t.shape[-1] for t in flat]
        pieces = common.split(bias, widths, 0)
        flat = [ops.Add()(t, b) for t, b in zip(flat, pieces, strict=True)]
    q, k, v = (heads(t, count) for t in flat)
    return q, k, v


@contributed("MultiHeadAttention")
def multi_head_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    bias: Value | None = None,
    key_padding_mask: Value | None = None,
    attention_bias: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    past_sequence_length: Value | None = None,
    cache_indirection: Value | None = None,
    *,
    mask_filter_value: float = FILTER,
    num_heads: int,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Value, ...]:
    """Projected queries, keys and values attend; also the present keys and values, the scores."""
    refuse(past_sequence_length=past_sequence_length, cache_indirection=cache_indirection)
    q, k, v = _unpacked(query, key, value, bias, num_heads)
    before: Dim = 0
    if past_key is not None and past_value is not None:
        before = past_key.shape[2]
        k, v = common.concat([past_key, k], 2), common.concat([past_value, v], 2)
    mask = _masked(
        key_padding_mask, attention_bias, mask_filter_value, unidirectional, q, before, k.shape[2]
    )
    whole = Attention(q, k, v, mask, _scale(q, scale))
    biased = whole.scores().biased
    y = joined(whole.output(whole.weights(biased)))
    return y, k, v, whole.shown(whole.forbidden(biased, LOWEST))


@contributed("RotaryEmbedding")
def rotary_embedding(
    x: Value,
    position_ids: Value,
    cos_cache: Value,
    sin_cache: Value,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Value:
    """x [B, N, T, H] or [B, T, N * H]; positions [B, T], or [1]: where the first token is."""
    refuse(is_packed_batching=is_packed_batching)
    if scale != 1:
        raise UnsupportedError(f"scale must be 1, but it is {scale}")
    packed = x.type.rank == 3
    y = x
    if packed:
        width, half = x.shape[-1], cos_cache.shape[-1]
        if num_heads:
            count: Dim = num_heads
        else:
            count = dims.floordiv(width, 2 * half)
        if not isinstance(count, int):
            raise ShapeError(f"the number of heads of {x.type} must be known")
        y = heads(x, count)
    length = y.shape[2]
    if position_ids.type.rank == 1:
        first = common.cast(position_ids, dtypes.i32)
        position_ids = common.expand_dims(ops.Add()(places(length), first), 0)
    cos, sin = (ops.Gather(0)(table, position_ids) for table in (cos_cache, sin_cache))
    y = rotated(y, cos, sin, bool(interleaved), rotary_embedding_dim)
    return joined(y) if packed else y
