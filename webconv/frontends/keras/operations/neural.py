"""Products, activations, normalisations and convolutions called as operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.einsum import einsum
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.layers import activations, pooling
from webconv.frontends.keras.layers.convolution import (
    convolve,
    convolve_transposed,
    known_channels,
)
from webconv.frontends.keras.layers.windows import (
    DataFormat,
    Sizes,
    in_channels_last,
    per_axis,
)
from webconv.frontends.keras.operations.elementwise import (
    dtype_named,
    floating,
    promoted,
    tensor,
)
from webconv.frontends.keras.operations.reductions import axes_of
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

Axes = tuple[int, ...]


def matmul(layer: Layer, x1: Any, x2: Any) -> Value:
    """x1 @ x2, with vectors as NumPy has them."""
    a, b = promoted(x1, x2)
    left, right = a.type.rank == 1, b.type.rank == 1
    y = ops.MatMul()(
        common.expand_dims(a, 0) if left else a, common.expand_dims(b, 1) if right else b
    )
    y = common.squeeze(y, -1) if right else y
    return common.squeeze(y, -2 + right) if left else y


def einsum_operation(layer: Layer, *operands: Any, subscripts: str) -> Value:
    """Sums of products."""
    return einsum(subscripts, *promoted(*operands))


def tensordot(layer: Layer, x1: Any, x2: Any, *, axes: Any = 2) -> Value:
    """The sum of products over some axes of both."""
    a, b = promoted(x1, x2)
    if isinstance(axes, int) and 0 <= axes <= min(a.type.rank, b.type.rank):
        first, second = list(range(a.type.rank - axes, a.type.rank)), list(range(axes))
    else:
        first, second = _axis_lists(axes)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    left = list(letters[: a.type.rank])
    right = list(letters[a.type.rank : a.type.rank + b.type.rank])
    for p, q in zip(first, second, strict=True):
        right[normalise_axis(q, b.type.rank)] = left[normalise_axis(p, a.type.rank)]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


def _axis_lists(axes: Any) -> tuple[list[int], list[int]]:
    pairs = [[a] if isinstance(a, int) else a for a in axes] if isinstance(axes, list) else []
    ok = len(pairs) == 2 and all(
        isinstance(p, list) and all(isinstance(a, int) for a in p) for p in pairs
    )
    if not ok or len(pairs[0]) != len(pairs[1]):
        raise ModelFormatError(f"axes must be a number or two lists, but it is {shown(axes)}")
    return pairs[0], pairs[1]


def dot(layer: Layer, x1: Any, x2: Any) -> Value:
    """NumPy's dot: over the last axis of x1 and the second to last of x2."""
    a, b = promoted(x1, x2)
    if min(a.type.rank, b.type.rank) == 0:
        return ops.Mul()(a, b)
    return tensordot(layer, a, b, axes=[[-1], [-1 if b.type.rank == 1 else -2]])


def outer(layer: Layer, x1: Any, x2: Any) -> Value:
    """All products of two flattened tensors."""
    a, b = promoted(x1, x2)
    return ops.Mul()(common.reshape(a, [-1, 1]), common.reshape(b, [1, -1]))


def _activation(name: str) -> Callable[..., Value]:
    def activation(
        layer: Layer,
        x: Any,
        *,
        alpha: float | None = None,
        negative_slope: float | None = None,
        threshold: float | None = None,
        default_value: float | None = None,
        max_value: float | None = None,
        axis: int | tuple[int, ...] | None = None,
        b: float | None = None,
        approximate: bool | None = None,
    ) -> Value:
        """An activation with its arguments."""
        given = {
            "alpha": alpha,
            "negative_slope": negative_slope,
            "threshold": threshold,
            "default_value": default_value,
            "max_value": max_value,
            "axis": axis,
            "b": b,
            "approximate": approximate,
        }
        given = {k: v for k, v in given.items() if v is not None}
        return activations.by_name(name, floating(x), given)

    return activation


def normalize(
    layer: Layer,
    x: Any,
    *,
    axis: int | tuple[int, ...] = -1,
    order: float = 2,
    epsilon: float | None = None,
) -> Value:
    """x divided by its norm, which is at least epsilon."""
    value = floating(x)
    if order != 2:
        raise UnsupportedError(f"normalisation of order {order} is not supported; use 2")
    least = 1e-7 if epsilon is None else epsilon
    square = ops.ReduceSum(axes_of(axis, value), True)(ops.Mul()(value, value))
    return ops.Div()(value, ops.Sqrt()(ops.Max()(square, scalar(least * least, value))))


def one_hot(
    layer: Layer,
    x: Any,
    *,
    num_classes: Positive,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
) -> Value:
    """1 at each index along a new axis."""
    ids = common.cast(tensor(x), dtypes.i32)
    y = common.one_hot(ids, num_classes, dtype_named(dtype or "float32"))
    return common.move_axis(y, -1, axis)


def _pool(kind: str) -> Callable[..., Value]:
    def pool(
        layer: Layer,
        inputs: Value,
        *,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: Literal["valid", "same"] = "valid",
        data_format: DataFormat = None,
    ) -> Value:
        """Pooling over windows."""
        rule = pooling.RULES[f"{kind}Pooling{min(max(inputs.type.rank - 2, 1), 3)}D"]
        return rule.function(
            layer,
            inputs,
            pool_size=pool_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
        )

    return pool


def conv(
    layer: Layer,
    inputs: Value,
    kernel: Value,
    *,
    strides: Sizes = 1,
    padding: Literal["valid", "same"] = "valid",
    data_format: DataFormat = None,
    dilation_rate: Sizes = 1,
) -> Value:
    """A convolution with a kernel [spatial, I / groups, O]."""
    rank = inputs.type.rank - 2
    stride, dilation = _steps(strides, dilation_rate, rank)

    def body(x: Value) -> Value:
        channels, own = x.shape[-1], kernel.shape[-2]
        if not isinstance(channels, int) or not isinstance(own, int) or not own or channels % own:
            raise ShapeError(f"kernel {kernel.type} does not fit {x.type}")
        return convolve(x, kernel, stride, padding, dilation, channels // own)

    return in_channels_last(body, inputs, data_format, rank)


def _steps(strides: Sizes, dilation_rate: Sizes, rank: int) -> tuple[Axes, Axes]:
    return per_axis(strides, rank, "strides"), per_axis(dilation_rate, rank, "dilation_rate")


def conv_transpose(
    layer: Layer,
    inputs: Value,
    kernel: Value,
    *,
    strides: Sizes = 1,
    padding: Literal["valid", "same"] = "valid",
    output_padding: Natural | tuple[Natural, ...] | None = None,
    data_format: DataFormat = None,
    dilation_rate: Sizes = 1,
) -> Value:
    """The adjoint of a convolution with a kernel [spatial, O, I]."""
    rank = inputs.type.rank - 2
    stride, dilation = _steps(strides, dilation_rate, rank)

    def body(x: Value) -> Value:
        return convolve_transposed(x, kernel, stride, padding, dilation, output_padding)

    return in_channels_last(body, inputs, data_format, rank)


def depthwise_conv(
    layer: Layer,
    inputs: Value,
    kernel: Value,
    pointwise_kernel: Value | None = None,
    *,
    strides: Sizes = 1,
    padding: Literal["valid", "same"] = "valid",
    data_format: DataFormat = None,
    dilation_rate: Sizes = 1,
) -> Value:
    """Each channel convolved with its part of a kernel [spatial, I, M], and then perhaps mixed."""
    rank = inputs.type.rank - 2
    stride, dilation = _steps(strides, dilation_rate, rank)
    if kernel.type.rank != rank + 2:
        raise ShapeError(f"kernel {kernel.type} does not fit {inputs.type}")
    ones, out = (1,) * rank, kernel.shape[-2] * kernel.shape[-1]
    weight = common.reshape(kernel, (*kernel.shape[:-2], 1, out))

    def body(x: Value) -> Value:
        channels = known_channels(x)
        if kernel.shape[-2] != channels:
            raise ShapeError(f"kernel {kernel.type} does not fit {x.type}")
        y = convolve(x, weight, stride, padding, dilation, channels)
        if pointwise_kernel is None:
            return y
        return convolve(y, pointwise_kernel, ones, "valid", ones, 1)

    return in_channels_last(body, inputs, data_format, rank)


def _adaptive(kind: str) -> Callable[..., Value]:
    def adaptive_pool(
        layer: Layer, inputs: Value, *, output_size: Sizes, data_format: DataFormat = None
    ) -> Value:
        """Pooling to a given size."""
        rule = pooling.RULES[f"Adaptive{kind}Pooling{min(max(inputs.type.rank - 2, 1), 3)}D"]
        return rule.function(layer, inputs, output_size=output_size, data_format=data_format)

    return adaptive_pool


def multi_hot(
    layer: Layer,
    inputs: Any,
    *,
    num_classes: Positive,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
) -> Value:
    """1 at every index that is among those of a row."""
    hot = one_hot(layer, inputs, num_classes=num_classes, axis=axis, dtype="int32")
    found = ops.ReduceMax((1 if hot.type.rank > 2 else 0,))(hot)
    return common.cast(found, dtype_named(dtype or "float32"))


ACTIVATIONS: Mapping[str, str] = {
    "Relu": "relu",
    "ReLU": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "SparseSigmoid": "sparse_sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SoftShrink": "soft_shrink",
    "SparsePlus": "sparse_plus",
    "Silu": "silu",
    "Squareplus": "squareplus",
    "LogSigmoid": "log_sigmoid",
    "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
    "Glu": "glu",
    "Gelu": "gelu",
    "TanhShrink": "tanh_shrink",
    "HardTanh": "hard_tanh",
    "HardShrink": "hard_shrink",
    "Threshold": "threshold",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sparsemax": "sparsemax",
    "Mish": "mish",
}
RULES: Mapping[str, Rule] = {
    **{name: Rule(_activation(known)) for name, known in ACTIVATIONS.items()},
    "Matmul": Rule(matmul),
    "Einsum": Rule(einsum_operation),
    "Tensordot": Rule(tensordot),
    "Dot": Rule(dot),
    "Outer": Rule(outer),
    "Normalize": Rule(normalize),
    "OneHot": Rule(one_hot),
    "MaxPool": Rule(_pool("Max")),
    "AveragePool": Rule(_pool("Average")),
    "AdaptiveMaxPool": Rule(_adaptive("Max")),
    "AdaptiveAveragePool": Rule(_adaptive("Average")),
    "Conv": Rule(conv),
    "ConvTranspose": Rule(conv_transpose),
    "DepthwiseConv": Rule(depthwise_conv),
    "SeparableConv": Rule(depthwise_conv),
    "MultiHot": Rule(multi_hot),
}
