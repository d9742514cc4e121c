"""Convolutions of one to three dimensions: plain, transposed, depthwise, separable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from webconv.frontends.keras.layers.activations import LINEAR, Activation
from webconv.frontends.keras.layers.windows import (
    DataFormat,
    Padding,
    Sizes,
    in_channels_last,
    pads,
    per_axis,
    trimmed,
)
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array


def _flipped(layer: Layer, kernel: Array, rank: int) -> Array:
    """Theano's kernels are for true convolution: they run backwards along each spatial axis."""
    return np.flip(kernel, tuple(range(rank))) if layer.dialect.flips_kernels else kernel


def known_channels(x: Value) -> int:
    """The size of the last axis."""
    channels = x.shape[-1]
    if not isinstance(channels, int):
        raise ShapeError(f"the number of channels must be known, but it is {channels}")
    return channels


def _finish(layer: Layer, y: Value, size: int, use_bias: bool) -> Value:
    """y with the bias, which is per channel."""
    return ops.Add()(y, layer.weight("bias", size)) if use_bias else y


def convolve(
    x: Value,
    w: Value,
    strides: tuple[int, ...],
    padding: str,
    dilations: tuple[int, ...],
    groups: int,
) -> Value:
    """x [N, spatial, I] convolved with w [spatial, I / groups, O]."""
    kernel = tuple(int(k) for k in w.shape[:-2] if isinstance(k, int))
    around = pads(padding, x.shape[1:-1], kernel, strides, dilations)
    return trimmed(ops.Conv(strides, dilations, around, groups)(x, w), x, padding, strides)


def _conv(rank: int) -> Callable[..., Value]:
    def conv(
        layer: Layer,
        x: Value,
        *,
        filters: Positive,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat = None,
        dilation_rate: Sizes = 1,
        groups: Positive = 1,
        activation: Activation = LINEAR,
        use_bias: bool = True,
    ) -> Value:
        """activation(x convolved with the kernel + bias)."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")
        dilation = per_axis(dilation_rate, rank, "dilation_rate")

        def make() -> Array:
            return _flipped(layer, layer.array("kernel", *kernel, None, filters), rank)

        def body(x: Value) -> Value:
            y = convolve(x, layer.constant("kernel", make), stride, padding, dilation, groups)
            return _finish(layer, y, filters, use_bias)

        return activation.apply(layer, in_channels_last(body, x, data_format, rank))

    return conv


def _transpose_pads(
    reach: int, stride: int, padding: str, extra: int | None
) -> tuple[tuple[int, int], int]:
    """What to cut before and after, and what to add after, for one axis."""
    if padding == "valid":
        added = max(stride - reach, 0) if extra is None else extra
        return (0, 0), added
    # The size is n * stride, or (n - 1) * stride + reach % 2 + output_padding: compare
    # keras.src.backend.common.backend_utils.
    total = stride + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    left = min(total // 2 + total % 2, reach - 1)
    before, after = reach - 1 - left, reach - 1 - (total - left)
    return (before, max(after, 0)), max(-after, 0)


def convolve_transposed(
    x: Value,
    w: Value,
    strides: tuple[int, ...],
    padding: str,
    dilations: tuple[int, ...],
    output_padding: int | tuple[int, ...] | None,
) -> Value:
    """The adjoint of a convolution with w [spatial, O, I], of x [N, spatial, I]."""
    rank = len(strides)
    extra: tuple[int | None, ...] = (None,) * rank
    if output_padding is not None:
        extra = per_axis(output_padding, rank, "output_padding")
    kernel = [int(k) for k in w.shape[:-2] if isinstance(k, int)]
    each = zip(kernel, strides, dilations, extra, strict=True)
    made = [_transpose_pads((k - 1) * d + 1, s, padding, e) for k, s, d, e in each]
    cut, added = zip(*made, strict=True)
    return ops.ConvTranspose(strides, dilations, cut, added)(x, w)


def _conv_transpose(rank: int) -> Callable[..., Value]:
    def conv_transpose(
        layer: Layer,
        x: Value,
        *,
        filters: Positive,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Literal["valid", "same"] = "valid",
        output_padding: Natural | tuple[Natural, ...] | None = None,
        data_format: DataFormat = None,
        dilation_rate: Sizes = 1,
        activation: Activation = LINEAR,
        use_bias: bool = True,
    ) -> Value:
        """activation(the adjoint of a convolution of x + bias)."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")
        dilation = per_axis(dilation_rate, rank, "dilation_rate")

        def make() -> Array:
            return _flipped(layer, layer.array("kernel", *kernel, filters, None), rank)

        def body(x: Value) -> Value:
            w = layer.constant("kernel", make)
            y = convolve_transposed(x, w, stride, padding, dilation, output_padding)
            return _finish(layer, y, filters, use_bias)

        return activation.apply(layer, in_channels_last(body, x, data_format, rank))

    return conv_transpose


def _depthwise_kernel(
    layer: Layer, name: str, kernel: tuple[int, ...], channels: int, multiplier: int
) -> Value:
    """[K, I, M] as the weight [K, 1, I * M] of a convolution in I groups."""

    def make() -> Array:
        w = _flipped(layer, layer.array(name, *kernel, channels, multiplier), len(kernel))
        return w.reshape(*kernel, 1, channels * multiplier)

    return layer.constant(name, make)


def _depthwise(rank: int) -> Callable[..., Value]:
    def depthwise_conv(
        layer: Layer,
        x: Value,
        *,
        kernel_size: Sizes,
        depth_multiplier: Positive = 1,
        strides: Sizes = 1,
        padding: Literal["valid", "same", "causal"] = "valid",
        data_format: DataFormat = None,
        dilation_rate: Sizes = 1,
        activation: Activation = LINEAR,
        use_bias: bool = True,
    ) -> Value:
        """activation(each channel convolved with kernels of its own + bias)."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")
        dilation = per_axis(dilation_rate, rank, "dilation_rate")

        def body(x: Value) -> Value:
            channels = known_channels(x)
            name = "depthwise_kernel"
            w = _depthwise_kernel(layer, name, kernel, channels, depth_multiplier)
            y = convolve(x, w, stride, padding, dilation, channels)
            return _finish(layer, y, channels * depth_multiplier, use_bias)

        return activation.apply(layer, in_channels_last(body, x, data_format, rank))

    return depthwise_conv


def _separable(rank: int) -> Callable[..., Value]:
    def separable_conv(
        layer: Layer,
        x: Value,
        *,
        filters: Positive,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: Positive = 1,
        activation: Activation = LINEAR,
        use_bias: bool = True,
    ) -> Value:
        """A depthwise convolution, then one of size 1 that mixes the channels."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")
        dilation = per_axis(dilation_rate, rank, "dilation_rate")
        ones = (1,) * rank

        def body(x: Value) -> Value:
            channels = known_channels(x)
            name = "depthwise_kernel"
            w = _depthwise_kernel(layer, name, kernel, channels, depth_multiplier)
            y = convolve(x, w, stride, padding, dilation, channels)
            point = layer.weight("pointwise_kernel", *ones, channels * depth_multiplier, filters)
            return _finish(layer, convolve(y, point, ones, "valid", ones, 1), filters, use_bias)

        return activation.apply(layer, in_channels_last(body, x, data_format, rank))

    return separable_conv


PLAIN = "kernel bias?use_bias"
DEPTHWISE = "depthwise_kernel bias?use_bias"
SEPARABLE = "depthwise_kernel pointwise_kernel bias?use_bias"
LORA = "lora_rank lora_alpha"


def _rules() -> dict[str, Rule]:
    rules: dict[str, Any] = {}
    for rank in (1, 2, 3):
        rules[f"Conv{rank}D"] = Rule(_conv(rank), PLAIN, f"{LORA} rank")
        rules[f"Conv{rank}DTranspose"] = Rule(_conv_transpose(rank), PLAIN, f"{LORA} groups rank")
    for rank in (1, 2):
        ignored = f"{LORA} groups rank filters"
        rules[f"DepthwiseConv{rank}D"] = Rule(_depthwise(rank), DEPTHWISE, ignored)
        rules[f"SeparableConv{rank}D"] = Rule(_separable(rank), SEPARABLE, f"{LORA} groups rank")
    return rules


RULES: Mapping[str, Rule] = _rules()
