"""Convolutions: ONNX is channels-first, our operators are channels-last."""

from __future__ import annotations

from collections.abc import Sequence

from webconv.frontends import common
from webconv.frontends.onnx.operators.windows import Sliding, sliding
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value


def kernel_sizes(w: Value, given: Sequence[int] | None) -> tuple[int, ...]:
    """The kernel's sizes, from the attribute or the weights, which must agree."""
    sizes = w.shape[2:]
    if given is None:
        if not sizes or not all(isinstance(n, int) for n in sizes):
            raise ModelFormatError(f"kernel_shape is missing, and the weights are {w.type}")
        return sizes  # type: ignore[return-value]
    if tuple(given) != sizes and all(isinstance(n, int) for n in sizes):
        raise ShapeError(f"kernel_shape is {list(given)}, but the weights are {w.type}")
    return tuple(given)


def _flipped(w: Value) -> Value:
    """[A, B, K] to [K, B, A]."""
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
    kernel = kernel_sizes(w, kernel_shape)
    slide = sliding(x, kernel, strides, dilations, pads, auto_pad)
    op = ops.Conv(slide.strides, slide.dilations, slide.pads, group)
    y = op(common.channels_last(x), _flipped(w))
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
    kernel = kernel_sizes(w, kernel_shape)
    rank = len(kernel)
    same = auto_pad in ("SAME_UPPER", "SAME_LOWER")
    ignored = output_shape is not None or same
    slide = sliding(
        x, kernel, strides, dilations, None if ignored else pads, "VALID" if ignored else auto_pad
    )
    extra = tuple(output_padding or (0,) * rank)
    if ignored:
        wanted: Sequence[Dim] = output_shape or [
            n * s for n, s in zip(x.shape[2:], slide.strides, strict=True)
        ]
        slide, extra = _to_shape(x, slide, extra, wanted[-rank:], auto_pad)
    op = ops.ConvTranspose(slide.strides, slide.dilations, slide.pads, extra, group)
    y = op(common.channels_last(x), _flipped(w))
    return common.channels_first(y if b is None else ops.Add()(y, b))


def _to_shape(
    x: Value, slide: Sliding, extra: Sequence[int], wanted: Sequence[Dim], auto_pad: str
) -> tuple[Sliding, tuple[int, ...]]:
    """Padding that gives the wanted sizes; what is missing of them is added after the end."""
    pads: list[tuple[Dim, Dim]] = []
    grown: list[int] = []
    for axis, (e, size) in enumerate(zip(extra, wanted, strict=True)):
        n, s = x.shape[2 + axis], slide.strides[axis]
        over = (n - 1) * s + e + slide.span(axis) - size
        if not isinstance(over, int) and dims.bounds(over)[0] < 0:
            raise ShapeError(
                f"an output of {size} needs a known input size; fix it with --input-shape"
            )
        total = dims.maximum(over, 0)
        less = dims.floordiv(total, 2)
        pads.append((less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less))
        grown.append(e + (max(-over, 0) if isinstance(over, int) else 0))
    return slide._replace(pads=tuple(pads)), tuple(grown)
