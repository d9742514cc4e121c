"""Attention: dot-product, additive, multi-head and grouped-query.

B batch, T query length, S key length, N heads, H size of a head. Masks are True where attention is
allowed. Rows of which everything is masked attend equally to everything, as Keras's fused kernel
has it; with scores returned, or dropout in the config, Keras 3 gives 0 there, and so do we.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.activations import lowest
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule, Tensor
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def causal_mask(t: Dim, s: Dim) -> Value:
    """bool [T, S], True where the key is not later than the query."""
    rows, columns = common.expand_dims(ops.Iota(t)(), 1), common.expand_dims(ops.Iota(s)(), 0)
    return ops.GreaterOrEqual()(rows, columns)


def _band_mask(t: Dim, s: Dim, width: int) -> Value:
    """bool [T, S], True where query and key are less than `width` apart."""
    rows, columns = common.expand_dims(ops.Iota(t)(), 1), common.expand_dims(ops.Iota(s)(), 0)
    return ops.Less()(ops.Abs()(ops.Sub()(rows, columns)), graph.constant(np.int32(width)))


def all_of(masks: list[Value | None]) -> Value | None:
    """What all masks allow; None without any."""
    found: Value | None = None
    for mask in masks:
        if mask is not None:
            mask = common.cast(mask, dtypes.bool_)
            found = mask if found is None else ops.And()(found, mask)
    return found


def _masked_softmax(scores: Value, mask: Value | None, zeros: bool) -> Value:
    """Softmax over keys; `zeros` makes what is masked exactly 0."""
    if mask is None:
        return ops.Softmax(-1)(scores)
    y = ops.Softmax(-1)(ops.Where()(mask, scores, scalar(lowest(scores), scores)))
    return ops.Where()(mask, y, scalar(0, y)) if zeros else y


def attention(
    layer: Layer,
    xs: list[Value],
    *,
    use_scale: bool = False,
    score_mode: Literal["dot", "concat"] = "dot",
    mask: list[Value | None] | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    causal: bool = False,
) -> Any:
    """[query, value, key]: softmax(query . key) @ value (Luong 2015)."""
    query, value, key = _three(xs)
    if score_mode == "concat":
        total = _sums(query, key)
        total = ops.Mul()(layer.weight("scale"), total) if use_scale else total
        summed = ops.ReduceSum((-1,))(ops.Tanh()(total))
        scores = ops.Mul()(layer.weight("concat_score_weight"), summed)
    else:
        scores = ops.MatMul()(query, common.swap_axes(key, -2, -1))
        scores = ops.Mul()(scores, layer.weight("scale")) if use_scale else scores
    return _attend(scores, value, mask, return_attention_scores, use_causal_mask or causal)


def additive_attention(
    layer: Layer,
    xs: list[Value],
    *,
    use_scale: bool = True,
    mask: list[Value | None] | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    causal: bool = False,
) -> Any:
    """[query, value, key]: softmax(sum(scale * tanh(query + key))) @ value (Bahdanau 2015)."""
    query, value, key = _three(xs)
    total = ops.Tanh()(_sums(query, key))
    total = ops.Mul()(layer.weight("scale", None), total) if use_scale else total
    scores = ops.ReduceSum((-1,))(total)
    return _attend(scores, value, mask, return_attention_scores, use_causal_mask or causal)


def _three(xs: list[Value]) -> tuple[Value, Value, Value]:
    if len(xs) not in (2, 3):
        raise ShapeError(f"[query, value] or [query, value, key] is needed, not {len(xs)} inputs")
    return xs[0], xs[1], xs[-1]


def _sums(query: Value, key: Value) -> Value:
    """query + key for every pair: [B, T, S, H]."""
    return ops.Add()(common.expand_dims(query, -2), common.expand_dims(key, -3))


def _attend(
    scores: Value, value: Value, masks: list[Value | None] | None, with_scores: bool, causal: bool
) -> Any:
    query_mask, value_mask = (*(masks or []), None, None)[:2]
    allowed = [None if value_mask is None else common.expand_dims(value_mask, -2)]
    if causal:
        allowed.append(common.expand_dims(causal_mask(scores.shape[-2], scores.shape[-1]), 0))
    weights = _masked_softmax(scores, all_of(allowed), zeros=False)
    y = ops.MatMul()(weights, value)
    if query_mask is not None:
        y = ops.Where()(common.expand_dims(query_mask, -1), y, scalar(0, y))
    tensor = Tensor(y, query_mask)
    return [tensor, weights] if with_scores else tensor


def projection(layer: Layer, x: Value, *, use_bias: bool = True, inputs: Positive = 1) -> Value:
    """The last `inputs` axes of x mapped to the other axes of the kernel."""
    kernel = layer.array("kernel", *[None] * layer.stored("kernel").ndim)
    if inputs >= kernel.ndim or inputs >= x.type.rank:
        raise ShapeError(f"kernel {list(kernel.shape)} does not fit {x.type}")
    rows, out = kernel.shape[:inputs], kernel.shape[inputs:]
    lead = x.shape[: x.type.rank - inputs]
    flat = common.reshape(x, (*lead, dims.product(x.shape[x.type.rank - inputs :])))
    w = layer.constant("kernel", lambda: kernel.reshape(math.prod(rows), math.prod(out)))
    y = common.reshape(ops.MatMul()(flat, w), (*lead, *out))
    return ops.Add()(y, layer.weight("bias", *out)) if use_bias else y


def _project(layer: Layer, name: str, x: Value) -> Value:
    found = layer.tracer.layer(layer.children[name], [Tensor(x)], {})
    assert isinstance(found, Tensor)
    return found.value


def multi_head_attention(
    layer: Layer,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    num_heads: Positive,
    key_dim: Positive,
    value_dim: Positive | None = None,
    dropout: float = 0.0,
    use_bias: bool = True,
    use_gate: bool = False,
    attention_axes: int | tuple[int, ...] | None = None,
    sliding_window: Positive | None = None,
    query_mask: Value | None = None,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Value | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """Vaswani 2017: heads attend each with projections of their own."""
    rank = query.type.rank
    axes = attention_axes if attention_axes is not None else tuple(range(1, rank - 1))
    axes = (axes,) if isinstance(axes, int) else axes
    axes = tuple(normalise_axis(a, rank) for a in axes)
    q = _project(layer, "query_dense", query)
    k = _project(layer, "key_dense", value if key is None else key)
    v = _project(layer, "value_dense", value)
    mask = _automatic_mask(
        query, value, axes, query_mask, value_mask, key_mask, use_causal_mask, sliding_window
    )
    mask = all_of([mask, _flat_mask(attention_mask, len(axes))])
    zeros = dropout > 0 or return_attention_scores or rank != 3
    zeros = zeros and layer.dialect.major == 3
    if layer.dialect.takes_masks:
        layer.tracer.forget_masks(query, value, key)
    q = ops.Mul()(q, scalar(1 / math.sqrt(key_dim), q))
    y, weights = attend_by_heads(q, k, v, axes, mask, zeros)
    if use_gate:
        y = ops.Mul()(y, ops.Sigmoid()(_project(layer, "gate_dense", query)))
    tensor = Tensor(_project(layer, "output_dense", y), query_mask)
    return [tensor, weights] if return_attention_scores else tensor


def _automatic_mask(
    query: Value,
    value: Value,
    axes: tuple[int, ...],
    query_mask: Value | None,
    value_mask: Value | None,
    key_mask: Value | None,
    causal: bool,
    window: int | None,
) -> Value | None:
    """What masks of the inputs, causality and a window allow: [B or 1, T, S]."""
    masks = [
        None if query_mask is None else common.expand_dims(query_mask, -1),
        None if value_mask is None else common.expand_dims(value_mask, -2),
        None if key_mask is None else common.expand_dims(key_mask, -2),
    ]
    t, s = query.shape[1], value.shape[1]
    masks.append(common.expand_dims(causal_mask(t, s), 0) if causal else None)
    masks.append(common.expand_dims(_band_mask(t, s, window), 0) if window else None)
    if len(axes) > 1 and any(m is not None for m in masks):
        raise ShapeError("masks of the inputs need a single attention axis")
    return all_of(masks)


def _flat_mask(mask: Value | None, axes: int) -> Value | None:
    """[B, T.., S..] with the query axes joined, and the key axes."""
    if mask is None or axes == 1:
        return mask
    if mask.type.rank < 2 * axes:
        raise ShapeError(f"attention_mask must have {2 * axes + 1} axes, but it is {mask.type}")
    lead = mask.shape[: mask.type.rank - 2 * axes]
    t, s = mask.shape[len(lead) : len(lead) + axes], mask.shape[len(lead) + axes :]
    return common.reshape(mask, (*lead, dims.product(t), dims.product(s)))


def attend_by_heads(
    q: Value,
    k: Value,
    v: Value,
    axes: tuple[int, ...],
    mask: Value | None,
    zeros: bool,
    bias: Value | None = None,
) -> tuple[Value, Value]:
    """q [B, .., N, H] and k, v alike: what heads see, and the weights [B, .., N, T.., S..].

    `bias` is added to the scores.
    """
    rank = q.type.rank
    free = [a for a in range(rank - 2) if a not in axes]
    order = [*free, rank - 2, *axes, rank - 1]
    flat = [_joined(common.transpose(x, order), len(free) + 1, len(axes)) for x in (q, k, v)]
    scores = ops.MatMul()(flat[0], common.swap_axes(flat[1], -2, -1))
    scores = scores if bias is None else ops.Add()(scores, bias)
    if mask is not None:
        missing = scores.type.rank - mask.type.rank
        mask = common.reshape(mask, (*mask.shape[:-2], *[1] * missing, *mask.shape[-2:]))
    weights = _masked_softmax(scores, mask, zeros)
    y = ops.MatMul()(weights, flat[2])
    lengths = tuple(q.shape[a] for a in axes)
    y = common.reshape(y, (*y.shape[: len(free) + 1], *lengths, y.shape[-1]))
    y = common.transpose(y, np.argsort(order).tolist())
    keys = tuple(k.shape[a] for a in axes)
    return y, common.reshape(weights, (*weights.shape[: len(free) + 1], *lengths, *keys))


def _joined(x: Value, first: int, count: int) -> Value:
    """`count` axes from `first` on made one."""
    end = first + count
    return common.reshape(x, (*x.shape[:first], dims.product(x.shape[first:end]), *x.shape[end:]))


def grouped_query_attention(
    layer: Layer,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    head_dim: Positive,
    num_query_heads: Positive,
    num_key_value_heads: Positive,
    dropout: float = 0.0,
    use_bias: bool = True,
    use_gate: bool = False,
    sliding_window: Positive | None = None,
    query_mask: Value | None = None,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Value | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """Ainslie 2023: several query heads share a key and value head."""
    if num_query_heads % num_key_value_heads:
        raise ShapeError(f"{num_key_value_heads} must divide the {num_query_heads} query heads")
    repeats = num_query_heads // num_key_value_heads
    q = _project(layer, "query_dense", query)
    k = common.repeat(_project(layer, "key_dense", value if key is None else key), repeats, 2)
    v = common.repeat(_project(layer, "value_dense", value), repeats, 2)
    mask = _automatic_mask(
        query, value, (1,), query_mask, value_mask, key_mask, use_causal_mask, sliding_window
    )
    q = ops.Mul()(q, scalar(1 / math.sqrt(head_dim), q))
    zeros = dropout > 0 or return_attention_scores
    y, weights = attend_by_heads(q, k, v, (1,), all_of([mask, attention_mask]), zeros)
    if use_gate:
        y = ops.Mul()(y, ops.Sigmoid()(_project(layer, "gate_dense", query)))
    tensor = Tensor(_project(layer, "output_dense", y), query_mask)
    return [tensor, weights] if return_attention_scores else tensor


def _projections(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The dense layers inside, in the order in which Keras makes them."""
    names = ["query", "key", *(["gate"] if config.get("use_gate") else []), "value", "output"]
    if "head_dim" in config and config.get("use_gate"):
        names = ["query", "key", "gate", "value", "output"]
    prefix = config.get("name", "attention")
    return {
        f"{n}_dense": {
            "class_name": "__projection__",
            "config": {
                "name": f"{prefix}/{n}",
                "use_bias": config.get("use_bias", True),
                "inputs": 2 if n == "output" else 1,
                "dtype": config.get("dtype"),
                "trainable": config.get("trainable", True),
            },
        }
        for n in names
    }


def _attention_weights(config: Mapping[str, Any]) -> str:
    return "scale?use_scale" + (
        " concat_score_weight" if config.get("score_mode") == "concat" else ""
    )


MHA_IGNORES = (
    "output_shape flash_attention seed query_shape key_shape value_shape softmax_robust_masking"
)
RULES: Mapping[str, Rule] = {
    "Attention": Rule(attention, _attention_weights, "dropout seed"),
    "AdditiveAttention": Rule(additive_attention, "scale?use_scale", "dropout seed score_mode"),
    "MultiHeadAttention": Rule(multi_head_attention, "", MHA_IGNORES, children=_projections),
    **dict.fromkeys(
        ("GroupQueryAttention", "GroupedQueryAttention"),
        Rule(grouped_query_attention, "", MHA_IGNORES, children=_projections),
    ),
    "__projection__": Rule(projection, "kernel bias?use_bias"),
}
