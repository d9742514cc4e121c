"""Products with quantised matrices of onnxruntime (`com.microsoft`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.contributed import contributed, refuse
from webconv.frontends.onnx.operators.contributed_attention import FILTER, attention
from webconv.frontends.onnx.operators.linear import matmul, scaled
from webconv.frontends.onnx.operators.quantized import (
    MOST_FOLDED,
    dequantized,
    dynamic_quantize_linear,
    floats,
    integer_product,
    per_row,
    quantized,
    scale_product,
)
from webconv.frontends.onnx.operators.recurrent import lstm
from webconv.frontends.onnx.values import array
from webconv.ir import dtypes, graph, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Array


@contributed("MatMulIntegerToFloat")
def matmul_integer_to_float(
    a: Value,
    b: Value,
    a_scale: Value,
    b_scale: Value,
    a_zero: Value | None = None,
    b_zero: Value | None = None,
    bias: Value | None = None,
) -> Value:
    """An exact product of integers, scaled to floats, plus a bias."""
    total = common.cast(integer_product(a, b, a_zero, b_zero), dtypes.f32)
    y = ops.Mul()(total, scale_product(per_row(a_scale), b_scale))
    return y if bias is None else ops.Add()(y, bias)


@contributed("DynamicQuantizeMatMul")
def dynamic_quantize_matmul(
    a: Value, b: Value, b_scale: Value, b_zero: Value | None = None, bias: Value | None = None
) -> Value:
    """a, quantised by its own range, times a quantised matrix, in floats."""
    q, scale, zero = dynamic_quantize_linear(a)
    return matmul_integer_to_float(q, b, scale, b_scale, zero, b_zero, bias)


@contributed("QGemm")
def qgemm(
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    c: Value | None = None,
    y_scale: Value | None = None,
    y_zero: Value | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """alpha * a @ b + c of quantised matrices; floats if the result has no scale.

    c is i32 of the scale alpha * a_scale * b_scale.
    """
    left = common.swap_axes(a, 0, 1) if transA else a
    right = common.swap_axes(b, 0, 1) if transB else b
    total = integer_product(left, right, a_zero, b_zero)
    if c is not None:
        total = ops.Add()(total, c)
    ratio = common.folded(scaled(scale_product(a_scale, b_scale), alpha))
    if y_scale is None:
        out: Value = ops.Mul()(common.cast(total, dtypes.f32), ratio)
        return out
    ratio = common.folded(ops.Div()(ratio, floats(y_scale)))
    dtype = a.type.dtype if y_zero is None else y_zero.type.dtype
    return quantized(total, ratio, y_zero, dtype, multiply=True)


def unpacked(data: Array, bits: int) -> Array:
    """The numbers of `bits` bits that the last axis of bytes holds, the lowest bits first."""
    if bits == 8:
        return data
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (data[..., None] >> shifts) & ((1 << bits) - 1)
    return parts.reshape(*data.shape[:-1], -1)


@contributed("MatMulNBits")
def matmul_n_bits(
    a: Value,
    b: Value,
    scales: Value,
    zero_points: Value | None = None,
    g_idx: Value | None = None,
    bias: Value | None = None,
    *,
    K: int,
    N: int,
    accuracy_level: int = 0,
    bits: int = 4,
    block_size: int,
    weight_prepacked: int = 0,
) -> Value:
    """a @ w.T, w [N, K] of 2, 4 or 8 bits in blocks along K; it is unpacked when converting."""
    refuse(weight_prepacked=weight_prepacked)
    if bits not in (2, 4, 8):
        raise UnsupportedError(f"weights of {bits} bits are not supported; use 2, 4 or 8")
    blocks = -(-K // block_size)
    packed = array(b, "the weights").reshape(N, blocks, -1)
    whole = unpacked(packed, bits)[..., :block_size].astype(np.float32)
    scale = array(scales, "the scales").reshape(N, blocks).astype(np.float32)
    zero = _block_zeros(zero_points, N, blocks, bits)
    if g_idx is None:
        real = ((whole - zero[..., None]) * scale[..., None]).reshape(N, -1)[:, :K]
    else:
        group = array(g_idx, "g_idx").astype(np.int64).reshape(-1)[:K]
        real = (whole.reshape(N, -1)[:, :K] - zero[:, group]) * scale[:, group]
    w = graph.constant(np.ascontiguousarray(real.T.astype(np.float32)), b.node.name)
    y = common.cast(matmul(common.cast(a, dtypes.f32), w), a.type.dtype)
    return y if bias is None else ops.Add()(y, bias)


def _block_zeros(zero_points: Value | None, n: int, blocks: int, bits: int) -> Array:
    """The zero point of each block [n, blocks]: packed like weights, or floats; else the middle."""
    if zero_points is None:
        return np.full((n, blocks), 1 << (bits - 1), np.float32)
    given = array(zero_points, "the zero points")
    if given.dtype.kind == "f":
        return given.reshape(n, blocks).astype(np.float32)
    whole = unpacked(given.reshape(n, -1), bits)
    if whole.shape[1] < blocks:
        raise ShapeError(f"{blocks} zero points per row are needed, not {whole.shape[1]}")
    return whole[:, :blocks].astype(np.float32)


@contributed("DynamicQuantizeLSTM")
def dynamic_quantize_lstm(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None,
    sequence_lens: Value | None,
    initial_h: Value | None,
    initial_c: Value | None,
    p: Value | None,
    w_scale: Value,
    w_zero: Value,
    r_scale: Value,
    r_zero: Value,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int = 0,
    input_forget: int = 0,
) -> tuple[Value, ...]:
    """An LSTM with quantised weights [D, K, 4 * H], in floats.

    onnxruntime also quantises x and h at every step, which loses accuracy to gain speed. Here the
    weights are dequantised when converting and nothing else is rounded: the result lies between
    onnxruntime's and that of the model before quantisation.
    """

    def real(q: Value, scale: Value, zero: Value) -> Value:
        wide = (scale.shape[0], 1, scale.shape[1] if scale.type.rank == 2 else 1)
        scale, zero = common.reshape(scale, wide), common.reshape(zero, wide)
        return common.swap_axes(dequantized(q, scale, zero), 1, 2)

    made: tuple[Value, ...] = lstm(
        x,
        common.folded(real(w, w_scale, w_zero), MOST_FOLDED),
        common.folded(real(r, r_scale, r_zero), MOST_FOLDED),
        b,
        sequence_lens,
        initial_h,
        initial_c,
        p,
        activation_alpha=activation_alpha,
        activation_beta=activation_beta,
        activations=activations,
        clip=clip,
        direction=direction,
        hidden_size=hidden_size,
        input_forget=input_forget,
    )
    return made


@contributed("QAttention")
def qattention(
    x: Value,
    weight: Value,
    bias: Value,
    x_scale: Value,
    weight_scale: Value,
    mask_index: Value | None = None,
    x_zero: Value | None = None,
    weight_zero: Value | None = None,
    past: Value | None = None,
    *,
    do_rotary: int = 0,
    mask_filter_value: float = FILTER,
    num_heads: int,
    past_present_share_buffer: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Value, Value | None]:
    """Attention on quantised tokens and weights [I, 3 * H]; all but these is floats."""
    return attention(
        dequantized(x, x_scale, x_zero),
        dequantized(weight, weight_scale, weight_zero),
        bias,
        mask_index,
        past,
        do_rotary=do_rotary,
        mask_filter_value=mask_filter_value,
        num_heads=num_heads,
        past_present_share_buffer=past_present_share_buffer,
        scale=scale,
        unidirectional=unidirectional,
    )
