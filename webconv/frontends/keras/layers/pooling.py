"""Pooling over windows, over everything, and to a given size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.keras.layers.windows import (
    DataFormat,
    Sizes,
    in_channels_last,
    pads,
    per_axis,
    trimmed,
)
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

MOST_WINDOWS = 1 << 16


def _pool(op: type[Any], rank: int) -> Callable[..., Value]:
    def pool(
        layer: Layer,
        x: Value,
        *,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: Literal["valid", "same", "half"] = "valid",
        data_format: DataFormat = None,
    ) -> Value:
        """The maximum or the mean of each window; padding counts for neither."""
        size = per_axis(pool_size, rank, "pool_size")
        stride = size if strides is None else per_axis(strides, rank, "strides")
        ones = (1,) * rank

        def body(x: Value) -> Value:
            around = pads(padding, x.shape[1:-1], size, stride, ones)
            if padding == "half":  # Theano's pooling pads by one less on both sides
                around = tuple((k - 2 + (k + 1) % 2,) * 2 for k in size)
            return trimmed(op(stride, ones, around, size)(x), x, padding, stride)

        return in_channels_last(body, x, data_format, rank)

    return pool


def _global(op: type[Any], rank: int) -> Callable[..., Value]:
    def global_pool(
        layer: Layer, x: Value, *, data_format: DataFormat = None, keepdims: bool = False
    ) -> Value:
        """The maximum or the mean over all spatial axes."""
        if x.type.rank != rank + 2:
            raise ShapeError(f"the input must have {rank + 2} axes, but it is {x.type}")
        first = 2 if data_format == "channels_first" else 1
        return op(tuple(range(first, first + rank)), keepdims)(x)

    return global_pool


def global_average_1d(
    layer: Layer,
    x: Value,
    *,
    data_format: DataFormat = None,
    keepdims: bool = False,
    mask: Value | None = None,
) -> Value:
    """The mean over time of the steps that are not masked."""
    if x.type.rank != 3:
        raise ShapeError(f"the input must have 3 axes, but it is {x.type}")
    axis = 2 if data_format == "channels_first" else 1
    if mask is None:
        return ops.ReduceMean((axis,), keepdims)(x)
    shown = common.cast(common.expand_dims(mask, 3 - axis), x.type.dtype)
    total = ops.ReduceSum((axis,), keepdims)(ops.Mul()(x, shown))
    return ops.Div()(total, ops.ReduceSum((axis,), keepdims)(shown))


def _adaptive(op: type[Any], rank: int) -> Callable[..., Value]:
    def adaptive_pool(
        layer: Layer, x: Value, *, output_size: Sizes, data_format: DataFormat = None
    ) -> Value:
        """Windows of about equal size such that there are `output_size` of them, axis by axis."""
        sizes = per_axis(output_size, rank, "output_size")

        def body(x: Value) -> Value:
            for axis, size in enumerate(sizes, start=1):
                x = _adapt(op, x, axis, size)
            return x

        return in_channels_last(body, x, data_format, rank)

    return adaptive_pool


def _adapt(op: type[Any], x: Value, axis: int, size: int) -> Value:
    """Window k reaches from floor(k n / size) to ceil((k + 1) n / size); all are of two lengths.

    Pooling with both lengths at stride 1, then picking, is how Keras does it.
    """
    n: Dim = x.shape[axis]
    if not isinstance(n, int):
        raise ShapeError(f"adaptive pooling needs a known size, but axis {axis} of {x.type} is not")
    if size > min(n, MOST_WINDOWS):
        raise ShapeError(f"output_size must be at most {min(n, MOST_WINDOWS)}, but it is {size}")
    k = np.arange(size)
    starts, ends = k * n // size, -(-(k + 1) * n // size)
    pieces: list[Value] = []
    where = np.zeros(size, np.int32)
    offset = 0
    for length in sorted(set((ends - starts).tolist())):
        own = ends - starts == length
        where[own] = starts[own] + offset
        pieces.append(_windows(op, x, axis, length))
        offset += n - length + 1
    return ops.Gather(axis)(common.concat(pieces, axis), graph.constant(where))


def _windows(op: type[Any], x: Value, axis: int, length: int) -> Value:
    """All windows of `length` along `axis`."""
    rank = x.type.rank - 2
    size = tuple(length if a == axis else 1 for a in range(1, rank + 1))
    ones = (1,) * rank
    return op(ones, ones, ((0, 0),) * rank, size)(x)


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for rank in (1, 2, 3):
        for name, op, reduce in (
            ("Max", ops.MaxPool, ops.ReduceMax),
            ("Average", ops.AveragePool, ops.ReduceMean),
        ):
            rules[f"{name}Pooling{rank}D"] = Rule(_pool(op, rank))
            rules[f"Global{name}Pooling{rank}D"] = Rule(_global(reduce, rank))
            rules[f"Adaptive{name}Pooling{rank}D"] = Rule(_adaptive(op, rank))
    rules["GlobalAveragePooling1D"] = Rule(global_average_1d)
    return rules


RULES: Mapping[str, Rule] = _rules()
