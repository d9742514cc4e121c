"""What convolution and pooling share: per-axis tuples, padding, and the order of axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from webconv.frontends import common
from webconv.frontends.common import Span
from webconv.frontends.keras.schema import Positive
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.ops.linear import Pads

DataFormat = Literal["channels_last", "channels_first", None]
Padding = Literal["valid", "same", "causal", "half"]
Sizes = Positive | tuple[Positive, ...]


def per_axis(value: int | tuple[int, ...] | None, rank: int, what: str) -> tuple[int, ...]:
    """`value` for each of `rank` spatial axes; one number stands for all."""
    if value is None:
        value = 1
    if isinstance(value, int):
        return (value,) * rank
    if len(value) == 1:
        return tuple(value) * rank
    if len(value) != rank:
        raise ShapeError(f"{what} must have {rank} sizes, but it is {list(value)}")
    return tuple(value)


def pads(
    padding: str,
    spatial: Sequence[Dim],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Pads:
    """The zeros before and after each axis; `half` is Theano's `same`."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if padding == "valid":
        return tuple((0, 0) for _ in reach)
    if padding == "causal":
        return tuple((r - 1, 0) for r in reach)
    if padding == "half":
        return tuple((r // 2, r // 2) for r in reach)
    return tuple(_same(n, r, s) for n, r, s in zip(spatial, reach, strides, strict=True))


def _same(n: Dim, reach: int, stride: int) -> tuple[Dim, Dim]:
    """Pads that give ceil(n / stride) windows, the odd one after, as TensorFlow puts it."""
    total = (dims.ceildiv(n, stride) - 1) * stride + reach - n
    if reach < stride:
        total = dims.maximum(total, 0)
    before = dims.floordiv(total, 2)
    return before, total - before


def trimmed(y: Value, x: Value, padding: str, strides: Sequence[int]) -> Value:
    """Theano's `same` has one window too many where the kernel is even: `y` without it."""
    if padding != "half":
        return y
    spans = {a: Span(0, dims.ceildiv(x.shape[a], s), 1) for a, s in enumerate(strides, start=1)}
    return common.slice_axes(y, spans)


def in_channels_last(
    function: Callable[[Value], Value], x: Value, data_format: str | None, rank: int
) -> Value:
    """`function` of x with channels last, whatever order x has; leading axes count as batch."""
    if x.type.rank < rank + 2:
        raise ShapeError(f"the input must have {rank + 2} axes, but it is {x.type}")
    lead = x.shape[: x.type.rank - rank - 1]
    flat = common.reshape(x, (dims.product(lead), *x.shape[len(lead) :]))
    if data_format == "channels_first":
        y = common.channels_first(function(common.channels_last(flat)))
    else:
        y = function(flat)
    return common.reshape(y, (*lead, *y.shape[1:]))
