"""Convolutions and pooling: ONNX is channels-first, our operators are channels-last."""

from __future__ import annotations

from collections.abc import Sequence

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value

Pads = tuple[tuple[Dim, Dim], ...]


def spatial_sizes(x: Value, kernel: Sequence[int] | None, w: Value | None) -> tuple[int, ...]:
    """The kernel's sizes, from the attribute or the weights."""
    if kernel is not None:
        return tuple(kernel)
    sizes = () if w is None else w.shape[2:]
    if not sizes or not all(isinstance(n, int) for n in sizes):
        raise ModelFormatError("kernel_shape is missing")
    return sizes  # type: ignore[return-value]


def window_pads(
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,
    auto_pad: str,
) -> Pads:
    """(before, after) per spatial axis, explicit or by `auto_pad`."""
    rank = len(kernel)
    if auto_pad in ("NOTSET", ""):
        given = [0] * (2 * rank) if pads is None else list(pads)
        if len(given) != 2 * rank:
            raise ShapeError(f"pads must hold {2 * rank} numbers, but it is {given}")
        return tuple((given[k], given[k + rank]) for k in range(rank))
    if auto_pad == "VALID":
        return ((0, 0),) * rank
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise ModelFormatError(f"auto_pad {auto_pad!r} is unknown")
    out: list[tuple[Dim, Dim]] = []
    for n, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        span = (k - 1) * d + 1
        total = dims.maximum((dims.ceildiv(n, s) - 1) * s + span - n, 0)
        less = dims.floordiv(total, 2)
        out.append((less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less))
    return tuple(out)


def _weights(w: Value) -> Value:
    """[O, I/G, K] to [K, I/G, O]."""
    rank = w.type.rank
    return common.transpose(w, (*range(2, rank), 1, 0))


@operator("Conv")
def conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """Cross-correlation: x [N, C, S], w [M, C/group, K], b [M]."""
    kernel = spatial_sizes(x, kernel_shape, w)
    ones = (1,) * len(kernel)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    around = window_pads(x, kernel, steps, spread, pads, auto_pad)
    y = ops.Conv(steps, spread, around, group)(common.channels_last(x), _weights(w))
    return common.channels_first(y if b is None else ops.Add()(y, b))


@operator("ConvTranspose")
def conv_transpose(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The gradient of a convolution as an operator: x [N, C, S], w [C, M/group, K]."""
    kernel = spatial_sizes(x, kernel_shape, w)
    ones = (1,) * len(kernel)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    extra = tuple(output_padding or (0,) * len(kernel))
    around = _transposed_pads(x, kernel, steps, spread, extra, pads, output_shape, auto_pad)
    # w [C, M/G, K] -> [K, M/G, C]
    weights = common.transpose(w, (*range(2, w.type.rank), 1, 0))
    op = ops.ConvTranspose(steps, spread, around, extra, group)
    y = op(common.channels_last(x), weights)
    return common.channels_first(y if b is None else ops.Add()(y, b))


def _transposed_pads(
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    extra: Sequence[int],
    pads: Sequence[int] | None,
    output_shape: Sequence[int] | None,
    auto_pad: str,
) -> Pads:
    if output_shape is None and auto_pad in ("NOTSET", "VALID", ""):
        explicit = "NOTSET" if auto_pad == "" else auto_pad
        return window_pads(x, kernel, strides, dilations, pads, explicit)
    wanted: Sequence[Dim] = output_shape or [
        n * s for n, s in zip(x.shape[2:], strides, strict=True)
    ]
    out: list[tuple[Dim, Dim]] = []
    for n, k, s, d, e, size in zip(
        x.shape[2:], kernel, strides, dilations, extra, wanted[-len(kernel) :], strict=True
    ):
        total = dims.maximum((n - 1) * s + e + (k - 1) * d + 1 - size, 0)
        less = dims.floordiv(total, 2)
        out.append((less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less))
    return tuple(out)


def _ceiled(
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Pads,
) -> Pads:
    """Padded further, so that a last window that starts within input or padding counts."""
    out: list[tuple[Dim, Dim]] = []
    for n, k, s, d, (before, after) in zip(
        x.shape[2:], kernel, strides, dilations, pads, strict=True
    ):
        span = (k - 1) * d + 1
        windows = dims.ceildiv(n + before + after - span, s) + 1
        # The last window must start in the input or the padding before it.
        if all(isinstance(v, int) for v in (windows, n, before)):
            assert isinstance(windows, int)
            assert isinstance(n, int)
            assert isinstance(before, int)
            windows -= (windows - 1) * s >= n + before
        out.append((before, dims.maximum((windows - 1) * s + span - n - before, after)))
    return tuple(out)


@operator("MaxPool")
def max_pool(
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Value:
    """The maximum of each window."""
    ones = (1,) * len(kernel_shape)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    around = window_pads(x, kernel_shape, steps, spread, pads, auto_pad)
    around = _ceiled(x, kernel_shape, steps, spread, around) if ceil_mode else around
    y = ops.MaxPool(steps, spread, around, tuple(kernel_shape))(common.channels_last(x))
    return common.channels_first(y)


@operator("AveragePool")
def average_pool(
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """The mean of each window."""
    ones = (1,) * len(kernel_shape)
    steps, spread = tuple(strides or ones), tuple(dilations or ones)
    around = window_pads(x, kernel_shape, steps, spread, pads, auto_pad)
    around = _ceiled(x, kernel_shape, steps, spread, around) if ceil_mode else around
    op = ops.AveragePool(steps, spread, around, tuple(kernel_shape), bool(count_include_pad))
    return common.channels_first(op(common.channels_last(x)))


@operator("GlobalAveragePool")
def global_average_pool(x: Value) -> Value:
    """The mean over all spatial axes."""
    out: Value = ops.ReduceMean(tuple(range(2, x.type.rank)), True)(x)
    return out


@operator("GlobalMaxPool")
def global_max_pool(x: Value) -> Value:
    """The maximum over all spatial axes."""
    out: Value = ops.ReduceMax(tuple(range(2, x.type.rank)), True)(x)
    return out
