"""Preprocessing of numbers: scaling, binning, encoding. What works on strings is not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, graph, ops
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Array

Encoding = Literal["int", "one_hot", "multi_hot", "binary", "count"]
# A vocabulary is compared with every id; beyond this a hash table would be needed.
LARGEST_VOCABULARY = 1 << 14


def numbers(value: object, what: str) -> Array:
    """A list of numbers from a config."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ModelFormatError(f"{what} must be numbers, but it is {shown(value)}") from None
    return array


def rescaling(layer: Layer, x: Value, *, scale: object = 1.0, offset: object = 0.0) -> Value:
    """x * scale + offset."""
    x = common.cast(x, layer.dtype)
    factor, shift = numbers(scale, "scale"), numbers(offset, "offset")
    if factor.ndim == shift.ndim == 0:
        return ops.Affine(float(factor), float(shift))(x)
    y = ops.Mul()(x, layer.constant("scale", lambda: layer.cast(factor)))
    return ops.Add()(y, layer.constant("offset", lambda: layer.cast(shift)))


def encoded(layer: Layer, ids: Value, mode: str, depth: int, weights: Value | None = None) -> Value:
    """Ids as they are, or as indicators or counts of each of `depth` values."""
    if mode == "int":
        return ids
    if mode == "one_hot":
        if ids.type.rank > 1 and ids.shape[-1] == 1:
            ids = common.squeeze(ids, -1)
        return common.one_hot(ids, depth, layer.dtype)
    ids = common.expand_dims(ids, -1) if ids.type.rank == 0 else ids
    axis = 1 if ids.type.rank > 1 else 0
    hot = common.one_hot(ids, depth, layer.dtype)
    if mode != "count":
        return ops.ReduceMax((axis,))(hot)
    if weights is not None:
        hot = ops.Mul()(hot, common.expand_dims(common.cast(weights, layer.dtype), -1))
    return ops.ReduceSum((axis,))(hot)


def category_encoding(
    layer: Layer,
    ids: Value,
    *,
    num_tokens: Positive,
    output_mode: Encoding = "multi_hot",
    count_weights: Value | None = None,
) -> Value:
    """Ids below `num_tokens` as indicators or counts."""
    return encoded(layer, common.cast(ids, dtypes.i32), output_mode, num_tokens, count_weights)


def discretization(
    layer: Layer,
    x: Value,
    *,
    bin_boundaries: object = None,
    output_mode: Encoding = "int",
) -> Value:
    """The number of boundaries that are at most x."""
    if bin_boundaries is None:
        raise UnsupportedError("boundaries that were adapted are not in the file; give them")
    edges = numbers(bin_boundaries, "bin_boundaries").reshape(-1)
    if not x.type.dtype.is_float:
        x = common.cast(x, dtypes.f32)
    made = edges.astype(x.type.dtype.numpy)
    above = ops.GreaterOrEqual()(common.expand_dims(x, -1), graph.constant(made))
    index = ops.ReduceSum((-1,))(common.cast(above, dtypes.i32))
    return encoded(layer, index, output_mode, len(edges) + 1)


def integer_lookup(
    layer: Layer,
    ids: Value,
    *,
    vocabulary: tuple[int, ...] | None = None,
    num_oov_indices: Natural = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    max_tokens: Positive | None = None,
    pad_to_max_tokens: bool = False,
    invert: bool = False,
    output_mode: Encoding = "int",
) -> Value:
    """Ids to their places in a vocabulary, after a place for masked and some for unknown ones."""
    if vocabulary is None:
        raise UnsupportedError(
            "the vocabulary is not in the config; pass it to the layer as a list"
        )
    special = ([] if mask_token is None else [mask_token]) + [oov_token] * num_oov_indices
    tokens = list(vocabulary)
    tokens = tokens[len(special) :] if special and tokens[: len(special)] == special else tokens
    if len(tokens) > LARGEST_VOCABULARY:
        raise UnsupportedError(f"vocabularies of more than {LARGEST_VOCABULARY} ids")
    ids = ids if ids.type.dtype.is_integer else common.cast(ids, dtypes.i32)
    if invert:
        table = np.asarray([*special, *tokens], np.int64).astype(ids.type.dtype.numpy)
        return ops.Gather(0)(graph.constant(table), ids)
    found = _places(ids, tokens, len(special))
    if mask_token is not None:
        found = ops.Where()(ops.Equal()(ids, scalar(mask_token, ids)), scalar(0, found), found)
    first = 0 if mask_token is None else 1
    if num_oov_indices == 0:
        unknown = scalar(-1, found)
    elif num_oov_indices == 1:
        unknown = scalar(first, found)
    else:
        rest = common.cast(ops.Mod()(ids, scalar(num_oov_indices, ids)), dtypes.i32)
        unknown = ops.Add()(rest, scalar(first, rest))
    found = ops.Where()(ops.Less()(found, scalar(0, found)), unknown, found)
    depth = max_tokens if pad_to_max_tokens and max_tokens else len(special) + len(tokens)
    return encoded(layer, found, output_mode, depth)


def _places(ids: Value, tokens: list[int], offset: int) -> Value:
    """Where each id stands in `tokens`, plus `offset`; -1 for none."""
    if not tokens:
        return common.broadcast_to(graph.constant(np.int32(-1)), ids.shape)
    table = graph.constant(np.asarray(tokens, np.int64).astype(ids.type.dtype.numpy))
    same = ops.Equal()(common.expand_dims(ids, -1), table)
    place = graph.constant(np.arange(len(tokens), dtype=np.int32) + offset)
    known = ops.Where()(same, place, graph.constant(np.int32(-1)))
    return ops.ReduceMax((-1,))(known)


RULES: Mapping[str, Rule] = {
    "Rescaling": Rule(rescaling, keeps_mask=True),
    "CategoryEncoding": Rule(category_encoding),
    "Discretization": Rule(discretization, ignores="num_bins epsilon"),
    "IntegerLookup": Rule(
        integer_lookup, ignores="vocabulary_dtype idf_weights vocabulary_size oov_method salt"
    ),
}
