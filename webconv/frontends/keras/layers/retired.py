"""Layers that only Keras 1 and 2 have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.activations import LINEAR, Activation
from webconv.frontends.keras.layers.merging import batch_dot
from webconv.frontends.keras.layers.windows import DataFormat, Sizes, in_channels_last, per_axis
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

MOST_TAPS = 1 << 10


def highway(
    layer: Layer, x: Value, *, activation: Activation = LINEAR, use_bias: bool = True
) -> Value:
    """activation(x W + b) where a learnt gate is open, x where it is closed (Srivastava 2015)."""
    n = layer.array("W", None, None).shape[-1]
    gate, y = (ops.MatMul()(x, layer.weight(k, n, n)) for k in ("W_carry", "W"))
    if use_bias:
        gate = ops.Add()(gate, layer.weight("b_carry", n))
        y = ops.Add()(y, layer.weight("b", n))
    gate, y = ops.Sigmoid()(gate), activation.apply(layer, y)
    return ops.Add()(x, ops.Mul()(gate, ops.Sub()(y, x)))


def maxout_dense(
    layer: Layer, x: Value, *, units: Positive, nb_feature: Positive = 4, use_bias: bool = True
) -> Value:
    """The maximum of several affine maps (Goodfellow 2013)."""
    y = common.expand_dims(x, 1, 2)
    y = ops.MatMul()(y, layer.weight("W", nb_feature, None, units))
    y = common.squeeze(y, 2)
    y = ops.Add()(y, layer.weight("b", nb_feature, units)) if use_bias else y
    return ops.ReduceMax((1,))(y)


def parametric_softplus(layer: Layer, x: Value) -> Value:
    """alpha * softplus(beta * x), with a learnt alpha and beta for each element."""
    shape = [None] * (x.type.rank - 1)
    inner = ops.Softplus()(ops.Mul()(layer.weight("beta", *shape), x))
    return ops.Mul()(inner, layer.weight("alpha", *shape))


def s_relu(layer: Layer, x: Value) -> Value:
    """Linear in three pieces with learnt slopes and bends (Jin 2015)."""
    shape = [None] * (x.type.rank - 1)
    low, left, high, right = (
        layer.weight(n, *shape) for n in ("t_left", "a_left", "t_right", "a_right")
    )
    high = ops.Add()(low, ops.Abs()(high))
    middle = ops.Max()(ops.Min()(x, high), low)
    below = ops.Mul()(left, ops.Min()(ops.Sub()(x, low), scalar(0, x)))
    above = ops.Mul()(right, ops.Max()(ops.Sub()(x, high), scalar(0, x)))
    return ops.Add()(middle, ops.Add()(below, above))


def merge_cosine(layer: Layer, xs: list[Value], *, axes: int | tuple[int, int] = -1) -> Value:
    """The cosine of the angle between two inputs, as [B, 1, ...]."""
    if len(xs) != 2:
        raise ShapeError(f"2 inputs are needed, but {len(xs)} are given")
    pair = (axes, axes) if isinstance(axes, int) else axes
    x, y = xs
    a, b = normalise_axis(pair[0], x.type.rank), normalise_axis(pair[1], y.type.rank)
    lengths = ops.Sqrt()(ops.Mul()(batch_dot(x, x, a, a), batch_dot(y, y, b, b)))
    out = ops.Div()(batch_dot(x, y, a, b), ops.Max()(lengths, scalar(1e-7, lengths)))
    return common.expand_dims(out, 1)


def samplewise_normalization(
    layer: Layer, x: Value, *, axis: int = -1, epsilon: float = 1e-3
) -> Value:
    """Keras 1's BatchNormalization in mode 1: over the last axis of each sample."""
    mean = ops.ReduceMean((-1,), True)(x)
    middle = ops.Sub()(x, mean)
    variance = ops.ReduceMean((-1,), True)(ops.Mul()(middle, middle))
    deviation = ops.Sqrt()(ops.Add()(variance, scalar(epsilon, x)))
    y = ops.Div()(middle, ops.Add()(deviation, scalar(epsilon, x)))
    y = ops.Mul()(y, layer.weight("gamma", None))
    return ops.Add()(y, layer.weight("beta", None))


def _locally_connected(rank: int) -> Callable[..., Value]:
    def locally_connected(
        layer: Layer,
        x: Value,
        *,
        filters: Positive,
        kernel_size: Sizes,
        strides: Sizes = 1,
        data_format: DataFormat = None,
        activation: Activation = LINEAR,
        use_bias: bool = True,
    ) -> Value:
        """A convolution with a kernel of its own at every place."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")

        def body(x: Value) -> Value:
            spatial = x.shape[1:-1]
            if not all(isinstance(n, int) for n in (*spatial, x.shape[-1])):
                raise ShapeError(f"sizes must be known, but {x.type} has symbols")
            sizes = [
                (n - k) // s + 1
                for n, k, s in zip(spatial, kernel, stride, strict=True)
                if isinstance(n, int)
            ]
            if math.prod(kernel) > MOST_TAPS:
                raise UnsupportedError(f"kernels of more than {MOST_TAPS} places: {list(kernel)}")
            if any(n < 1 for n in sizes):
                raise ShapeError(f"a window of {list(kernel)} does not fit {x.type}")
            patches = _patches(x, kernel, stride, sizes, data_format == "channels_first")
            places = math.prod(sizes)
            w = layer.weight("kernel", places, patches.shape[-1], filters)  # type: ignore[arg-type]
            y = ops.MatMul()(common.swap_axes(patches, 0, 1), w)
            y = common.reshape(common.swap_axes(y, 0, 1), (x.shape[0], *sizes, filters))
            return ops.Add()(y, layer.weight("bias", *sizes, filters)) if use_bias else y

        return activation.apply(layer, in_channels_last(body, x, data_format, rank))

    return locally_connected


def _patches(
    x: Value,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    sizes: list[int],
    channels_come_first: bool,
) -> Value:
    """What every window sees: [B, places, K * C], or C * K."""
    taps = []
    for offset in itertools.product(*map(range, kernel)):
        spans = {
            a + 1: common.Span(o, n, s)
            for a, (o, n, s) in enumerate(zip(offset, sizes, strides, strict=True))
        }
        tap = common.slice_axes(x, spans)
        taps.append(common.reshape(tap, (x.shape[0], math.prod(sizes), x.shape[-1])))
    stacked = common.stack(taps, 3 if channels_come_first else 2)
    return common.flatten(stacked, 2)


LOCAL = Rule(_locally_connected(1), "kernel bias?use_bias", "padding implementation")
RULES: Mapping[str, Rule] = {
    "Highway": Rule(highway, "W W_carry b?use_bias b_carry?use_bias", "input_dim transform_bias"),
    "MaxoutDense": Rule(maxout_dense, "W b?use_bias", "input_dim"),
    "ParametricSoftplus": Rule(parametric_softplus, "alpha beta", "beta_init", keeps_mask=True),
    "SReLU": Rule(s_relu, "t_left a_left t_right a_right", "shared_axes", keeps_mask=True),
    "MergeCosine": Rule(merge_cosine, ignores="layers"),
    "BatchNormalization:samples": Rule(
        samplewise_normalization, "gamma beta", "momentum", keeps_mask=True
    ),
    "LocallyConnected1D": LOCAL,
    "LocallyConnected2D": Rule(
        _locally_connected(2), "kernel bias?use_bias", "padding implementation"
    ),
}
