"""Quantised tensors: integers q that stand for (q - zero_point) * scale.

Sums of products of integers are exact, in i32. A result is rounded once, from f32, as onnxruntime
does it; `ops.Quantize` says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.operators.convolution import conv
from webconv.frontends.onnx.operators.linear import matmul
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.types import dtype_of
from webconv.ir import dtypes, ops
from webconv.ir.dtypes import DType
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

# Constants of up to this many elements are dequantised when converting.
MOST_FOLDED = 1 << 28


def spread(x: Value, axis: int, like: Value, block_size: int = 0) -> Value:
    """Scales or zero points of `like` in a shape that broadcasts with it.

    They are one for all, one per element of `axis`, or one per block of `block_size` elements.
    """
    if x.type.size == 1:
        return common.reshape(x, ())
    rank = like.type.rank
    axis = normalise_axis(axis, rank)
    n = like.shape[axis]
    if block_size:
        if x.type.rank != rank:
            raise ShapeError(f"scales of blocks must have {rank} axes, but they are {x.type}")
        return common.slice_axis(common.repeat(x, block_size, axis), axis, 0, n)
    if x.type.rank != 1 or (isinstance(n, int) and x.type.size not in (n, 1)):
        raise ShapeError(f"{x.type} is not one per element of axis {axis} of {like.type}")
    return common.reshape(x, [n if a == axis else 1 for a in range(rank)])


def floats(x: Value) -> Value:
    """x as f32; a constant is converted now."""
    return common.folded(common.cast(x, dtypes.f32))


def zero_of(zero: Value | None) -> Value:
    """A zero point as f32."""
    return common.float_constant(0) if zero is None else floats(zero)


def quantized(
    x: Value, scale: Value, zero: Value | None, dtype: DType, multiply: bool = False
) -> Value:
    """Floats (or exact integers) as integers of `dtype`; scale and zero broadcast with x."""
    x = common.cast(x, dtypes.f32)
    out: Value = ops.Quantize(dtype, multiply)(x, floats(scale), zero_of(zero))
    return out


def centred(x: Value, zero: Value | None, dtype: DType = dtypes.i32) -> Value:
    """x - zero as i32 (or floats)."""
    whole = common.cast(x, dtypes.i32)
    if zero is not None and not _is_zero(zero):
        whole = ops.Sub()(whole, common.cast(zero, dtypes.i32))
    return common.cast(whole, dtype)


def _is_zero(x: Value) -> bool:
    return x.constant is not None and not x.constant.any()


def dequantized(x: Value, scale: Value, zero: Value | None, dtype: DType = dtypes.f32) -> Value:
    """(x - zero) * scale; scale and zero broadcast with x."""
    out = ops.Mul()(centred(x, zero, dtypes.f32), floats(scale))
    return common.folded(common.cast(out, dtype), MOST_FOLDED)


def scale_product(a: Value, b: Value, over: Value | None = None) -> Value:
    """a * b / over, as f32 in that order."""
    product = ops.Mul()(floats(a), floats(b))
    return common.folded(product if over is None else ops.Div()(product, floats(over)))


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain="com.microsoft")
def quantize_linear(
    x: Value,
    y_scale: Value,
    y_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Value:
    """round(x / scale) + zero point; the quotient is f32 whatever `precision` asks for."""
    dtype = dtypes.u8 if y_zero_point is None else y_zero_point.type.dtype
    if output_dtype:
        dtype = dtype_of(output_dtype)
    zero = None if y_zero_point is None else spread(y_zero_point, axis, x, block_size)
    return quantized(x, spread(y_scale, axis, x, block_size), zero, dtype)


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain="com.microsoft")
def dequantize_linear(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Value:
    """(x - zero point) * scale, of the dtype of the scale."""
    dtype = dtype_of(output_dtype) if output_dtype else x_scale.type.dtype
    zero = None if x_zero_point is None else spread(x_zero_point, axis, x, block_size)
    return dequantized(x, spread(x_scale, axis, x, block_size), zero, dtype)


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(x: Value) -> tuple[Value, Value, Value]:
    """x as u8 with the scale and zero point that its range, widened to hold 0, asks for."""
    zero, levels = common.scalar(0, x), common.scalar(255, x)
    low = ops.Min()(ops.ReduceMin()(x), zero)
    high = ops.Max()(ops.ReduceMax()(x), zero)
    step = ops.Div()(ops.Sub()(high, low), levels)
    scale = ops.Where()(ops.Equal()(step, zero), common.scalar(1, x), step)
    point = quantized(ops.Neg()(low), scale, None, dtypes.u8)
    return quantized(x, scale, point, dtypes.u8), scale, point


def per_row(x: Value) -> Value:
    """What is one for all rows of a matrix, or one for each."""
    if x.type.size == 1:
        return common.reshape(x, ())
    return common.expand_dims(x, 1) if x.type.rank == 1 else x


def integer_product(a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> Value:
    """(a - a_zero) @ (b - b_zero), exact in i32; zero points per row of a and per column of b."""
    rows = None if a_zero is None else per_row(a_zero)
    return matmul(centred(a, rows), centred(b, b_zero))


@operator("MatMulInteger")
def matmul_integer(
    a: Value, b: Value, a_zero_point: Value | None = None, b_zero_point: Value | None = None
) -> Value:
    """The product of integers less their zero points, as i32."""
    return integer_product(a, b, a_zero_point, b_zero_point)


@operator("QLinearMatMul")
def qlinear_matmul(
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
) -> Value:
    """A product of quantised matrices, quantised."""
    total = integer_product(a, b, a_zero_point, b_zero_point)
    ratio = scale_product(per_row(a_scale), b_scale, y_scale)
    return quantized(total, ratio, y_zero_point, y_zero_point.type.dtype, multiply=True)


def _convolved(
    x: Value,
    w: Value,
    x_zero: Value | None,
    w_zero: Value | None,
    bias: Value | None,
    window: Mapping[str, Any],
) -> Value:
    """The convolution of integers less their zero points, plus an i32 bias; exact in i32."""
    shift = None if x_zero is None else spread(x_zero, 0, x)
    own = None if w_zero is None else spread(w_zero, 0, w)
    return conv(centred(x, shift), centred(w, own), bias, **window)


@operator("ConvInteger")
def conv_integer(
    x: Value,
    w: Value,
    x_zero_point: Value | None = None,
    w_zero_point: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The convolution of integers less their zero points, as i32; padding is the zero point."""
    window = {"auto_pad": auto_pad, "dilations": dilations, "group": group}
    window |= {"kernel_shape": kernel_shape, "pads": pads, "strides": strides}
    return _convolved(x, w, x_zero_point, w_zero_point, None, window)


@operator("QLinearConv")
@operator("QLinearConv", domain="com.microsoft")
def qlinear_conv(
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    w: Value,
    w_scale: Value,
    w_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    bias: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """A quantised convolution; the bias is i32 of the scale x_scale * w_scale."""
    window = {"auto_pad": auto_pad, "dilations": dilations, "group": group}
    window |= {"kernel_shape": kernel_shape, "pads": pads, "strides": strides}
    x = common.channels_first(x) if channels_last else x
    total = _convolved(x, w, x_zero_point, w_zero_point, bias, window)
    ratio = scale_product(x_scale, w_scale, y_scale)
    ratio = spread(ratio, 1, total)
    y = quantized(total, ratio, y_zero_point, y_zero_point.type.dtype, multiply=True)
    return common.channels_last(y) if channels_last else y
