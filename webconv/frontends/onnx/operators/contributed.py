"""Operators of onnxruntime (`com.microsoft`) that optimised models have: products, activations.

Their meanings are onnxruntime's docs/ContribOperators.md and, where it is silent, what its CPU
provider computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.matrices import inverse
from webconv.frontends.onnx.operators import convolution, linear, making, slicing
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import array, ints, sizes
from webconv.ir import ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value

DOMAIN = "com.microsoft"
contributed = functools.partial(operator, domain=DOMAIN)


def refuse(**given: object) -> None:
    """Raise UnsupportedError for what is given: inputs that are there, attributes that are set."""
    found = [name for name, value in given.items() if value]
    if found:
        raise UnsupportedError(f"{', '.join(found)} is not supported")


# What `activation` may say, for its parameters in order, and their defaults.
ACTIVATIONS: dict[str, tuple[tuple[float, ...], Callable[..., ops.Op]]] = {
    "": ((), ops.Identity),
    "Clip": ((-3.4028235e38, 3.4028235e38), ops.Clip),
    "Elu": ((1.0,), ops.Elu),
    "HardSigmoid": ((0.2, 0.5), ops.HardSigmoid),
    "LeakyRelu": ((0.01,), ops.LeakyRelu),
    "Relu": ((), ops.Relu),
    "Sigmoid": ((), ops.Sigmoid),
    "Softplus": ((), ops.Softplus),
    "Softsign": ((), ops.Softsign),
    "Tanh": ((), ops.Tanh),
    "ThresholdedRelu": ((1.0,), ops.ThresholdedRelu),
}


def activated(x: Value, name: str, given: Sequence[float | None]) -> Value:
    """The activation `name` of x; None stands for a parameter's default."""
    if name not in ACTIVATIONS:
        known = ", ".join(filter(None, ACTIVATIONS))
        raise UnsupportedError(f"activation {name!r} is not supported; use one of {known}")
    defaults, op = ACTIVATIONS[name]
    padded = (*given, *[None] * len(defaults))
    values = [d if v is None else v for d, v in zip(defaults, padded, strict=False)]
    y: Value = op(*values)(x)
    return y


def _batch_last(x: Value) -> Value:
    """The first axis moved behind the batch axes: [M, B.., K] to [B.., M, K]."""
    return common.move_axis(x, 0, -2)


@contributed("FusedMatMul", "TransposeMatMul")
def fused_matmul(
    a: Value,
    b: Value,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Value:
    """alpha * a @ b, with axes of either moved."""
    a = _batch_last(a) if transBatchA else a
    b = _batch_last(b) if transBatchB else b
    # The flags say nothing about vectors.
    a = common.swap_axes(a, -1, -2) if transA and a.type.rank > 1 else a
    b = common.swap_axes(b, -1, -2) if transB and b.type.rank > 1 else b
    return linear.scaled(linear.matmul(a, b), alpha)


@contributed("FusedGemm")
def fused_gemm(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """Gemm, then an activation."""
    y = linear.gemm(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return activated(y, activation, (activation_alpha, activation_beta, activation_gamma))


@contributed("FusedConv")
def fused_conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    z: Value | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """Conv, z added, then an activation."""
    y = convolution.conv(
        x,
        w,
        b,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return activated(y if z is None else ops.Add()(y, z), activation, activation_params)


@contributed("Gelu")
def gelu(x: Value) -> Any:
    """x * Phi(x)."""
    return ops.Gelu(False)(x)


@contributed("BiasGelu")
def bias_gelu(x: Value, bias: Value) -> Any:
    """Gelu of x + bias."""
    return ops.Gelu(False)(ops.Add()(x, bias))


@contributed("FastGelu")
def fast_gelu(x: Value, bias: Value | None = None) -> Any:
    """Gelu by tanh, of x + bias."""
    return ops.Gelu(True)(x if bias is None else ops.Add()(x, bias))


@contributed("QuickGelu")
def quick_gelu(x: Value, *, alpha: float = 1.702) -> Any:
    """x * sigmoid(alpha * x)."""
    return ops.Swish(alpha)(x)


@contributed("BiasSplitGelu")
def bias_split_gelu(x: Value, bias: Value) -> Any:
    """The first half of the last axis of x + bias, times Gelu of the second."""
    y = ops.Add()(x, bias)
    width = y.shape[-1]
    if not isinstance(width, int) or width % 2:
        raise ShapeError(f"the last axis of {x.type} must divide into two halves")
    left, right = common.split(y, (width // 2, width // 2), -1)
    return ops.Mul()(left, ops.Gelu(False)(right))


@contributed("BiasAdd")
def bias_add(x: Value, bias: Value, skip: Value) -> Any:
    """x + bias + skip."""
    return ops.Add()(ops.Add()(x, bias), skip)


@contributed("CDist")
def cdist(a: Value, b: Value, *, metric: str = "sqeuclidean") -> Any:
    """The distance of every row of a from every row of b."""
    if metric not in ("euclidean", "sqeuclidean"):
        raise UnsupportedError(
            f"metric {metric!r} is not supported; use one of euclidean, sqeuclidean"
        )
    between = ops.Sub()(common.expand_dims(a, 1), common.expand_dims(b, 0))
    total = ops.ReduceSum((-1,))(ops.Mul()(between, between))
    return ops.Sqrt()(total) if metric == "euclidean" else total


@contributed("ExpandDims")
def expand_dims(x: Value, axis: Value) -> Value:
    """x with an axis of size 1."""
    return common.expand_dims(x, *ints(axis, "axis"))


@contributed("Pad")
def pad(x: Value, pads: Value, value: Value | None = None, *, mode: str = "constant") -> Value:
    """Axes extended before and after; pads [2 * rank] or [1, 2 * rank]."""
    flat = sizes(pads, "pads")
    rank = x.type.rank
    if len(flat) != 2 * rank:
        raise ShapeError(f"pads must hold {2 * rank} numbers, but it holds {len(flat)}")
    if mode not in slicing.MODES:
        raise ModelFormatError(f"mode must be constant, reflect or edge, but it is {mode!r}")
    fill = 0.0 if value is None else float(array(value, "value").item())
    out: Value = ops.Pad(tuple(flat[:rank]), tuple(flat[rank:]), slicing.MODES[mode], fill)(x)
    return out


@contributed("Inverse")
def inverse_(x: Value) -> Value:
    """Of matrices [..., N, N]."""
    return inverse(x)


contributed("Trilu")(making.trilu)

__all__ = ["DOMAIN", "activated", "contributed", "refuse"]
