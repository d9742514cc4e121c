"""Attention: masks, and the operators of ONNX. For the letters in shapes see `heads`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from webconv.frontends import common
from webconv.frontends.onnx.operators.heads import (
    Attention,
    group,
    head_size,
    heads,
    joined,
    ungroup,
)
from webconv.frontends.onnx.operators.masks import (
    Mask,
    causal,
    positions,
    shorter_than,
    windowed,
)
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.types import dtype_of
from webconv.ir import dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value


def _given(mask: Value, length: Dim, pads: bool) -> Mask:
    """The input `attn_mask`: where a shorter one ends, nothing is allowed."""
    is_bool = mask.type.dtype == dtypes.bool_
    n = mask.shape[-1]
    if n != length and (pads or n != 1):
        before = (0,) * mask.type.rank
        after = (*before[1:], length - n)
        if is_bool:
            short = ops.Pad(before, after, "constant", 0)(common.cast(mask, dtypes.i32))
            mask = common.cast(short, dtypes.bool_)
        else:
            mask = ops.Pad(before, after, "constant", -math.inf)(mask)
    if is_bool:
        return Mask(allowed=mask, some=False)
    finite = mask.constant is not None and bool(np.all(np.isfinite(mask.constant)))
    return Mask(bias=mask, some=finite)


def _needs_both(first: Value | None, second: Value | None, what: str) -> None:
    if (first is None) != (second is None):
        raise ModelFormatError(f"{what} must be given together")


@operator("Attention", since=23, context=True)
def attention(
    call: Any,
    q: Value,
    k: Value,
    v: Value,
    attn_mask: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    nonpad_kv_seqlen: Value | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int = 0,
    left_window_size: int = -1,
    q_num_heads: int = 0,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int = 1,
) -> tuple[Value, ...]:
    """softmax(scale * q k' + mask) v, with keys and values of the past before the new ones."""
    _needs_both(past_key, past_value, "past_key and past_value")
    packed = q.type.rank == 3
    if packed:
        q, k, v = heads(q, q_num_heads), heads(k, kv_num_heads), heads(v, kv_num_heads)
    past: Dim = 0
    if past_key is not None and past_value is not None:
        past = past_key.shape[2]
        k, v = common.concat([past_key, k], 2), common.concat([past_value, v], 2)
    length, total = q.shape[2], k.shape[2]
    first: Dim | Value = past
    if nonpad_kv_seqlen is not None:
        first = ops.Sub()(common.cast(nonpad_kv_seqlen, dtypes.i32), common.size_value(length))
    mask = Mask() if attn_mask is None else _given(attn_mask, total, call.opset >= 24)
    rows = positions(length, first)
    if is_causal:
        mask = mask.also(causal(rows, total), some=nonpad_kv_seqlen is None)
    mask = windowed(mask, rows, total, left_window_size, right_window_size)
    if nonpad_kv_seqlen is not None:
        mask = mask.also(shorter_than(nonpad_kv_seqlen, total))
    rule = 1 / math.sqrt(head_size(q)) if scale is None else scale
    whole = Attention(q, k, v, mask, rule, softcap)
    scores = whole.scores()
    weights = whole.weights(scores.biased)
    y = whole.output(weights)
    results = (joined(y) if packed else y, k, v)
    if not call.wants(3):
        return results
    modes = (scores.scaled, scores.capped, whole.forbidden(scores.biased), weights)
    if not 0 <= qk_matmul_output_mode < len(modes):
        raise ModelFormatError(
            f"qk_matmul_output_mode must be 0 to 3, but it is {qk_matmul_output_mode}"
        )
    return (*results, whole.shown(modes[qk_matmul_output_mode]))


@operator("FlexAttention", domain="ai.onnx.preview", context=True)
def flex_attention(
    call: Any,
    q: Value,
    k: Value,
    v: Value,
    *,
    prob_mod: onnx.GraphProto | None = None,
    scale: float | None = None,
    score_mod: onnx.GraphProto | None = None,
    softmax_precision: int = 0,
) -> Value:
    """Attention with graphs in the node that change the scores and the weights."""
    whole = Attention(q, k, v, Mask(), 1 / math.sqrt(head_size(q)) if scale is None else scale)
    precision = q.type.dtype if q.type.dtype == dtypes.f64 else dtypes.f32
    if softmax_precision:
        precision = dtype_of(softmax_precision)

    def changed(x: Value, body: onnx.GraphProto | None) -> Value:
        if body is None:
            return x
        seen = common.cast(ungroup(x, whole.groups), precision)
        (new,) = call.subgraph(body, [seen])
        return group(common.cast(new, x.type.dtype), whole.groups)

    weights = ops.Softmax(-1)(changed(whole.scores().scaled, score_mod))
    return whole.output(changed(weights, prob_mod))
