"""Attention with a state of fixed size, and writing into a cache."""

from __future__ import annotations

import math

from webconv.frontends import common
from webconv.frontends.onnx.operators.heads import heads, wide
from webconv.frontends.onnx.registry import operator
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType, normalise_axis

# For each rule, whether the state decays, and whether only what is new of a value is written.
RULES = {
    "linear": (False, False),
    "gated": (True, False),
    "delta": (False, True),
    "gated_delta": (True, True),
}


@operator("LinearAttention")
def linear_attention(
    query: Value,
    key: Value,
    value: Value,
    past_state: Value | None = None,
    decay: Value | None = None,
    beta: Value | None = None,
    *,
    chunk_size: int = 64,
    kv_num_heads: int,
    q_num_heads: int,
    scale: float = 0.0,
    update_rule: str = "gated_delta",
) -> tuple[Value, Value]:
    """S = exp(g) S + k (b (v - S'k))', o = scale * q S, step by step; S is [B, M, H, V].

    Without decay exp(g) is 1, without delta the written value is v. Query heads share states in
    groups, as in attention.
    """
    if update_rule not in RULES:
        rules = ", ".join(RULES)
        raise UnsupportedError(f"update_rule {update_rule!r} is not supported; use one of {rules}")
    for needed, x, name in zip(RULES[update_rule], (decay, beta), ("decay", "beta"), strict=True):
        if needed != (x is not None):
            verb = "needs" if needed else "takes no"
            raise ModelFormatError(f"update_rule {update_rule!r} {verb} input {name}")
    if kv_num_heads < 1 or q_num_heads % kv_num_heads:
        raise ShapeError(f"{kv_num_heads} key heads must divide {q_num_heads} query heads")
    batch = _one_batch(query, key, value, past_state, decay, beta)

    def unpacked(x: Value, count: int) -> Value:
        return heads(wide(common.broadcast_to(x, (batch, *x.shape[1:]))), count)

    q = unpacked(query, q_num_heads)
    k, v = unpacked(key, kv_num_heads), unpacked(value, kv_num_heads)
    size = k.shape[-1]
    if not isinstance(size, int):
        raise ShapeError(f"the size of a head must be known, but the keys are {key.type}")
    # The steps of all sequences, [T, B, M, ...]: columns where they meet the state's rows.
    steps = {
        "q": common.move_axis(common.reshape(q, (batch, kv_num_heads, -1, *q.shape[2:])), 3, 0),
        "k": common.expand_dims(_time_first(k), -1),
        "v": common.expand_dims(_time_first(v), -2),
    }
    if decay is not None:
        kept = ops.Exp()(_time_first(unpacked(decay, kv_num_heads)))
        steps["decay"] = common.expand_dims(kept, -1)
    if beta is not None:
        each = 1 if beta.shape[-1] == 1 else kv_num_heads
        steps["beta"] = common.expand_dims(_time_first(unpacked(beta, each)), -1)
    state_type = TensorType(q.type.dtype, (batch, kv_num_heads, size, v.shape[-1]))
    start = common.scalar(0, q) if past_state is None else wide(past_state)
    state = common.broadcast_to(start, state_type.shape)
    body = _body(state_type, steps)
    final, y = ops.Scan(body, 1, len(steps))(state, *steps.values())
    factor = scale or 1 / math.sqrt(size)
    # [T, B, M, N / M, V] to [B, T, N * V]
    y = common.flatten(common.move_axis(ops.Mul()(y, common.scalar(factor, y)), 0, 1), 2)
    like = query if past_state is None else past_state
    return common.cast(y, query.type.dtype), common.cast(final, like.type.dtype)


def _one_batch(*xs: Value | None) -> Dim:
    """The size of the first axis of all: a number if one of them says it."""
    sizes = [x.shape[0] for x in xs if x is not None]
    return next((n for n in sizes if isinstance(n, int)), sizes[0])


def _time_first(x: Value) -> Value:
    """[B, N, T, H] as [T, B, N, H]."""
    return common.move_axis(x, 2, 0)


def _body(state_type: TensorType, steps: dict[str, Value]) -> Graph:
    """One step: the state and what each sequence holds to the next state and the output."""
    state = graph.input("state", state_type)
    given = {
        name: graph.input(name, TensorType(x.type.dtype, x.shape[1:])) for name, x in steps.items()
    }
    new = state
    if "decay" in given:
        new = ops.Mul()(new, given["decay"])
    v = given["v"]
    if "beta" in given:
        seen = ops.ReduceSum((-2,), True)(ops.Mul()(new, given["k"]))
        v = ops.Mul()(given["beta"], ops.Sub()(v, seen))
    new = ops.Add()(new, ops.Mul()(given["k"], v))
    y = ops.MatMul()(given["q"], new)
    return Graph({"state": state, **given}, {"next": new, "y": y})


@operator("TensorScatter", since=24)
def tensor_scatter(
    past_cache: Value,
    update: Value,
    write_indices: Value | None = None,
    *,
    axis: int = -2,
    mode: str = "linear",
) -> Value:
    """The cache with `update` written along an axis, from an index of each sample on."""
    axis = normalise_axis(axis, past_cache.type.rank)
    if axis == 0 or mode not in ("linear", "circular"):
        raise ModelFormatError(f"axis must not be 0 nor mode {mode!r}")
    return written(past_cache, update, write_indices, axis, mode == "circular")


def written(
    cache: Value, update: Value, first: Value | None, axis: int, circular: bool = False
) -> Value:
    """`cache` with `update` in the places of `axis` from `first` [B] on; None for 0."""
    rank, length, count = cache.type.rank, cache.shape[axis], update.shape[axis]
    place = common.expand_dims(ops.Iota(length)(), *(a for a in range(rank) if a != axis))
    if first is not None:
        start = common.expand_dims(common.cast(first, dtypes.i32), *range(1, rank))
        place = ops.Sub()(place, start)
        if circular:
            place = ops.Mod()(place, common.size_value(length))
    inside = ops.Less()(place, common.size_value(count))
    if not circular and first is not None:
        inside = ops.And()(inside, ops.GreaterOrEqual()(place, common.scalar(0, place)))
    # What lies outside is not read: any place will do.
    at = ops.Where()(inside, place, common.scalar(0, place))
    new = ops.GatherElements(axis)(update, common.broadcast_to(at, cache.shape))
    out: Value = ops.Where()(inside, new, cache)
    return out
