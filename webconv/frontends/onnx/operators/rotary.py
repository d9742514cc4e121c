"""Rotary position embeddings (Su 2021): pairs of elements turned by an angle per position."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.onnx.operators.heads import heads, joined, wide
from webconv.frontends.onnx.registry import operator
from webconv.ir import ops
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value


def rotated(x: Value, cos: Value, sin: Value, interleaved: bool, size: int = 0) -> Value:
    """The first `size` elements of x [B, N, T, H] turned (0 for all), by cos and sin [B, T, R/2].

    Pairs are neighbours if interleaved, else elements of the first and the second half.
    """
    whole = x.shape[-1]
    if not isinstance(whole, int):
        raise ShapeError(f"the size of a head must be known, but x is {x.type}")
    size = size or whole
    if size % 2 or size > whole:
        raise ShapeError(f"{size} of the {whole} elements of a head cannot be turned in pairs")
    for name, table in (("cos", cos), ("sin", sin)):
        if isinstance(table.shape[-1], int) and table.shape[-1] != size // 2:
            raise ShapeError(f"{name}_cache must end in an axis of {size // 2}, not {table.type}")
    turned = common.slice_axis(x, -1, 0, size)
    first, second = _pairs(wide(turned), interleaved)
    c, s = (common.expand_dims(wide(t), 1) for t in (cos, sin))
    real = ops.Sub()(ops.Mul()(first, c), ops.Mul()(second, s))
    imaginary = ops.Add()(ops.Mul()(first, s), ops.Mul()(second, c))
    if interleaved:
        y = common.reshape(common.stack([real, imaginary], -1), turned.shape)
    else:
        y = common.concat([real, imaginary], -1)
    y = common.cast(y, x.type.dtype)
    return y if size == whole else common.concat([y, common.slice_axis(x, -1, size)], -1)


def _pairs(x: Value, interleaved: bool) -> tuple[Value, Value]:
    if interleaved:
        return common.slice_axis(x, -1, 0, None, 2), common.slice_axis(x, -1, 1, None, 2)
    half = x.shape[-1] // 2
    return common.slice_axis(x, -1, 0, half), common.slice_axis(x, -1, half)


@operator("RotaryEmbedding", since=23)
def rotary_embedding(
    x: Value,
    cos_cache: Value,
    sin_cache: Value,
    position_ids: Value | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Value:
    """x [B, N, T, H] or [B, T, N * H]; caches [B, T, R/2], or tables that positions look up."""
    packed = x.type.rank == 3
    if packed and num_heads < 1:
        raise ModelFormatError("num_heads must be given for an input of three axes")
    if position_ids is not None:
        cos_cache = ops.Gather(0)(cos_cache, position_ids)
        sin_cache = ops.Gather(0)(sin_cache, position_ids)
    y = heads(x, num_heads) if packed else x
    y = rotated(y, cos_cache, sin_cache, bool(interleaved), rotary_embedding_dim)
    return joined(y) if packed else y
