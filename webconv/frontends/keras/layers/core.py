"""Dense, Embedding, Masking and the layers that do nothing at inference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from webconv.frontends import common
from webconv.frontends.einsum import einsum
from webconv.frontends.keras.layers.activations import LINEAR, Activation
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule, Tensor
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value


def identity(layer: Layer, x: Value) -> Value:
    """x."""
    return x


def dense(
    layer: Layer,
    x: Value,
    *,
    units: Positive,
    activation: Activation = LINEAR,
    use_bias: bool = True,
) -> Value:
    """activation(x @ kernel + bias) over the last axis."""
    x = common.cast(x, layer.dtype)
    y = ops.MatMul()(x, layer.weight("kernel", None, units))
    if use_bias:
        y = ops.Add()(y, layer.weight("bias", units))
    return activation.apply(layer, y)


def embedding(
    layer: Layer, ids: Value, *, input_dim: Positive, output_dim: Positive, mask_zero: bool = False
) -> Tensor:
    """Rows of a table; id 0 is masked if `mask_zero`."""
    ids = ids if ids.type.dtype.is_integer else common.cast(ids, dtypes.i32)
    mask = common.not_equal(ids, common.scalar(0, ids)) if mask_zero else None
    return Tensor(ops.Gather(0)(layer.weight("embeddings", input_dim, output_dim), ids), mask)


def reversible_embedding(
    layer: Layer,
    x: Value,
    *,
    input_dim: Positive,
    output_dim: Positive,
    tie_weights: bool = True,
    mask_zero: bool = False,
    logit_soft_cap: float | None = None,
    reverse: bool = False,
) -> Value | Tensor:
    """Rows of a table; or with `reverse` the products with all rows, as logits."""
    if not reverse:
        return embedding(layer, x, input_dim=input_dim, output_dim=output_dim, mask_zero=mask_zero)
    if tie_weights:
        w = layer.constant(
            "transposed", lambda: np.ascontiguousarray(layer.array("embeddings", None, None).T)
        )
    else:
        w = layer.weight("reverse_embeddings", output_dim, input_dim)
    y = ops.MatMul()(x, w)
    if logit_soft_cap is None:
        return y
    if logit_soft_cap <= 0:
        raise ShapeError(f"logit_soft_cap must be positive, but it is {logit_soft_cap}")
    return ops.ScaledTanh(logit_soft_cap, 1 / logit_soft_cap)(y)


def einsum_dense(
    layer: Layer,
    x: Value,
    *,
    equation: str,
    bias_axes: str | None = None,
    activation: Activation = LINEAR,
) -> Value:
    """activation(einsum(equation, x, kernel) + bias)."""
    kernel = layer.weight("kernel", *[None] * layer.stored("kernel").ndim)
    y = einsum(equation, common.cast(x, layer.dtype), kernel)
    if bias_axes:
        y = ops.Add()(y, layer.weight("bias", *[None] * layer.stored("bias").ndim))
    return activation.apply(layer, y)


def masking(layer: Layer, x: Value, *, mask_value: float = 0.0) -> Tensor:
    """Hides steps of which every element is `mask_value`, and makes them 0."""
    differs = common.not_equal(x, common.scalar(mask_value, x))
    kept = common.any_along(differs, -1, keepdims=True)
    shown = ops.Where()(kept, x, common.scalar(0, x))
    return Tensor(shown, common.squeeze(kept, x.type.rank - 1))


def _tied(config: Mapping[str, object]) -> str:
    return "embeddings" if config.get("tie_weights", True) else "embeddings reverse_embeddings"


RULES: Mapping[str, Rule] = {
    "InputLayer": Rule(identity, ignores="optional", keeps_mask=True),
    "Identity": Rule(identity, keeps_mask=True),
    "Dense": Rule(dense, "kernel bias?use_bias", "lora_rank lora_alpha", keeps_mask=True),
    "Embedding": Rule(embedding, "embeddings", "input_length lora_rank lora_alpha weights"),
    "ReversibleEmbedding": Rule(
        reversible_embedding, _tied, "reverse_dtype lora_rank lora_alpha weights"
    ),
    "EinsumDense": Rule(
        einsum_dense,
        "kernel bias?bias_axes",
        "output_shape lora_rank lora_alpha gptq_unpacked_column_size",
    ),
    "Masking": Rule(masking),
    "Dropout": Rule(identity, "", "rate noise_shape seed", keeps_mask=True),
    "SpatialDropout1D": Rule(identity, "", "rate noise_shape seed", keeps_mask=True),
    "SpatialDropout2D": Rule(identity, "", "rate noise_shape seed data_format", keeps_mask=True),
    "SpatialDropout3D": Rule(identity, "", "rate noise_shape seed data_format", keeps_mask=True),
    "AlphaDropout": Rule(identity, "", "rate noise_shape seed", keeps_mask=True),
    "GaussianDropout": Rule(identity, "", "rate seed", keeps_mask=True),
    "GaussianNoise": Rule(identity, "", "stddev seed", keeps_mask=True),
    "ActivityRegularization": Rule(identity, "", "l1 l2", keeps_mask=True),
}
