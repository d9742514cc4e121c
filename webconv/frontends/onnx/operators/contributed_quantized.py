"""Quantised operators of onnxruntime (`com.microsoft`).

What reads 8-bit integers with constant scales and works element by element is a table of 256
entries, as in onnxruntime. Others compute in f32 between dequantising and quantising; onnxruntime
orders that arithmetic differently in places, so that a result halfway between two integers may
come out as the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.contributed import contributed
from webconv.frontends.onnx.operators.dynamic import size_of
from webconv.frontends.onnx.operators.pooling import average_pool
from webconv.frontends.onnx.operators.quantized import (
    centred,
    dequantized,
    floats,
    quantized,
    scale_product,
)
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Function = Callable[[Value], Value]


def per_element(
    function: Function, x: Value, parameters: Sequence[Value | None], dtype: DType
) -> Value:
    """`function` of 8-bit integers: looked up in a table if all its parameters are constant."""
    if any(p is not None and p.constant is None for p in parameters) or x.type.dtype.bits != 8:
        return function(x)
    limits = np.iinfo(x.type.dtype.numpy)
    every = np.arange(limits.min, limits.max + 1).astype(x.type.dtype.numpy)
    table = common.folded(function(graph.constant(every)))
    assert table.type.dtype == dtype
    index = common.cast(x, dtypes.i32)
    if limits.min:
        index = ops.Add()(index, graph.constant(np.int32(-limits.min)))
    out: Value = ops.Gather(0)(table, index)
    return out


def zero_dtype(zero: Value | None, x: Value) -> DType:
    """The dtype of a result: that of its zero point, or of the input without one."""
    return x.type.dtype if zero is None else zero.type.dtype


def _unary(name: str, function: Callable[..., Value], **defaults: float) -> None:
    def apply(
        x: Value,
        x_scale: Value,
        x_zero: Value | None,
        y_scale: Value,
        y_zero: Value | None,
        attributes: dict[str, float],
    ) -> Value:
        dtype = zero_dtype(y_zero, x)

        def whole(q: Value) -> Value:
            return quantized(
                function(dequantized(q, x_scale, x_zero), **attributes), y_scale, y_zero, dtype
            )

        return per_element(whole, x, (x_scale, x_zero, y_scale, y_zero), dtype)

    if defaults:

        @contributed(name)
        def with_alpha(
            x: Value,
            x_scale: Value,
            x_zero: Value | None,
            y_scale: Value,
            y_zero: Value | None = None,
            *,
            alpha: float = defaults["alpha"],
        ) -> Value:
            return apply(x, x_scale, x_zero, y_scale, y_zero, {"alpha": alpha})

    else:

        @contributed(name)
        def plain(
            x: Value,
            x_scale: Value,
            x_zero: Value | None,
            y_scale: Value,
            y_zero: Value | None = None,
        ) -> Value:
            return apply(x, x_scale, x_zero, y_scale, y_zero, {})


_unary("QLinearSigmoid", lambda x: ops.Sigmoid()(x))
_unary("QLinearLeakyRelu", lambda x, alpha: ops.LeakyRelu(alpha)(x), alpha=0.01)


@contributed("QLinearAdd")
def qlinear_add(
    a: Value,
    a_scale: Value,
    a_zero: Value | None,
    b: Value,
    b_scale: Value,
    b_zero: Value | None,
    c_scale: Value,
    c_zero: Value | None = None,
) -> Value:
    """a + b, of three scales."""
    y = ops.Add()(dequantized(a, a_scale, a_zero), dequantized(b, b_scale, b_zero))
    return quantized(y, c_scale, c_zero, zero_dtype(c_zero, a))


@contributed("QLinearMul")
def qlinear_mul(
    a: Value,
    a_scale: Value,
    a_zero: Value | None,
    b: Value,
    b_scale: Value,
    b_zero: Value | None,
    c_scale: Value,
    c_zero: Value | None = None,
) -> Value:
    """a * b, of three scales."""
    product = ops.Mul()(centred(a, a_zero), centred(b, b_zero))
    ratio = scale_product(a_scale, b_scale, c_scale)
    return quantized(product, ratio, c_zero, zero_dtype(c_zero, a), multiply=True)


@contributed("QLinearWhere")
def qlinear_where(
    condition: Value,
    x: Value,
    x_scale: Value,
    x_zero: Value,
    y: Value,
    y_scale: Value,
    y_zero: Value,
    z_scale: Value,
    z_zero: Value,
) -> Value:
    """x where the condition holds, else y, at the scale of the result."""
    first = rescaled(x, x_scale, x_zero, z_scale, z_zero)
    second = rescaled(y, y_scale, y_zero, z_scale, z_zero)
    out: Value = ops.Where()(condition, first, second)
    return out


def rescaled(
    x: Value, x_scale: Value, x_zero: Value | None, y_scale: Value, y_zero: Value | None
) -> Value:
    """x at another scale and zero point; x itself if they are the same."""
    if _same(x_scale, y_scale) and _same(x_zero, y_zero):
        return x
    dtype = zero_dtype(y_zero, x)

    def whole(q: Value) -> Value:
        return quantized(dequantized(q, x_scale, x_zero), y_scale, y_zero, dtype)

    return per_element(whole, x, (x_scale, x_zero, y_scale, y_zero), dtype)


def _same(a: Value | None, b: Value | None) -> bool:
    if a is None or b is None:
        return a is b
    return a is b or (
        a.constant is not None
        and b.constant is not None
        and a.type.dtype == b.type.dtype
        and np.array_equal(a.constant.ravel(), b.constant.ravel())
    )


@contributed("QLinearConcat")
def qlinear_concat(y_scale: Value, y_zero: Value, *inputs: Value, axis: int) -> Value:
    """Tensors, each with its scale and zero point, joined at one scale."""
    if len(inputs) % 3:
        raise ModelFormatError(f"tensors come with a scale and a zero point, not {len(inputs)}")
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    return common.concat([rescaled(*t, y_scale, y_zero) for t in triples], axis)


@contributed("QLinearSoftmax")
def qlinear_softmax(
    x: Value,
    x_scale: Value,
    x_zero: Value | None,
    y_scale: Value,
    y_zero: Value,
    *,
    axis: int = -1,
    opset: int = 13,
) -> Value:
    """Softmax along an axis; over all axes from it on before opset 13."""
    shape = x.shape
    axis = normalise_axis(axis, x.type.rank)
    if opset < 13:
        x = common.flatten(x, axis)
    y = ops.Softmax(-1 if opset < 13 else axis)(dequantized(x, x_scale, x_zero))
    return quantized(common.reshape(y, shape), y_scale, y_zero, y_zero.type.dtype)


@contributed("QLinearGlobalAveragePool")
def qlinear_global_average_pool(
    x: Value,
    x_scale: Value,
    x_zero: Value | None,
    y_scale: Value,
    y_zero: Value | None = None,
    *,
    channels_last: int = 0,
) -> Value:
    """The mean over all spatial axes, which stay with size 1."""
    first = 1 if channels_last else 2
    axes = tuple(range(first, x.type.rank - (1 if channels_last else 0)))
    total = ops.ReduceSum(axes, True)(centred(x, x_zero))
    count = common.cast(size_of(dims.product(x.shape[a] for a in axes)), dtypes.f32)
    ratio = common.folded(ops.Div()(floats(x_scale), ops.Mul()(floats(y_scale), count)))
    return quantized(total, ratio, y_zero, zero_dtype(y_zero, x), multiply=True)


@contributed("QLinearAveragePool")
def qlinear_average_pool(
    x: Value,
    x_scale: Value,
    x_zero: Value | None,
    y_scale: Value,
    y_zero: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The mean of each window."""
    real = dequantized(x, x_scale, x_zero)
    y = average_pool(
        common.channels_first(real) if channels_last else real,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    y = common.channels_last(y) if channels_last else y
    return quantized(y, y_scale, y_zero, zero_dtype(y_zero, x))
