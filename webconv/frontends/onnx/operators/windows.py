"""How windows slide over spatial axes: the attributes that convolutions and pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value

Pads = tuple[tuple[Dim, Dim], ...]


class Sliding(NamedTuple):
    """Per spatial axis: the window's size, its step, the distance of its elements, the padding."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    def span(self, axis: int) -> int:
        """How many elements of an axis the window covers, gaps included."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def steps_of(name: str, given: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Strides or dilations, 1 by default."""
    steps = tuple(given or (1,) * rank)
    if len(steps) != rank or min(steps, default=1) < 1:
        raise ShapeError(f"{name} must be {rank} positive numbers, but they are {list(steps)}")
    return steps


def paddings(pads: Sequence[int] | None, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) per axis from all befores and all afters."""
    ends = [0] * (2 * rank) if pads is None else list(pads)
    if len(ends) != 2 * rank or min(ends, default=0) < 0:
        raise ShapeError(f"pads must be {2 * rank} numbers from 0 on, but they are {ends}")
    return tuple(zip(ends[:rank], ends[rank:], strict=True))


def sliding(
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
) -> Sliding:
    """The windows over x [N, C, S], with defaults and `auto_pad` resolved."""
    rank = len(kernel)
    if x.type.rank != rank + 2:
        raise ShapeError(f"a kernel of {rank} axes does not fit an input {x.type}")
    steps, spread = steps_of("strides", strides, rank), steps_of("dilations", dilations, rank)
    slide = Sliding(tuple(kernel), steps, spread, ((0, 0),) * rank)
    if auto_pad in ("NOTSET", ""):
        return slide._replace(pads=paddings(pads, rank))
    if auto_pad == "VALID":
        return slide
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise ModelFormatError(f"auto_pad {auto_pad!r} is unknown")
    out: list[tuple[Dim, Dim]] = []
    for axis, (n, s) in enumerate(zip(x.shape[2:], steps, strict=True)):
        total = dims.maximum((dims.ceildiv(n, s) - 1) * s + slide.span(axis) - n, 0)
        less = dims.floordiv(total, 2)
        out.append((less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less))
    return slide._replace(pads=tuple(out))


def ceiled(x: Value, slide: Sliding) -> Sliding:
    """Padded further, so that a last window counts that is not whole.

    It must start within the input or the padding before it.
    """
    out: list[tuple[Dim, Dim]] = []
    for axis, (n, s) in enumerate(zip(x.shape[2:], slide.strides, strict=True)):
        before, after = slide.pads[axis]
        span = slide.span(axis)
        windows = dims.minimum(
            dims.ceildiv(n + before + after - span, s) + 1, dims.ceildiv(n + before, s)
        )
        out.append((before, dims.maximum((windows - 1) * s + span - n - before, after)))
    return slide._replace(pads=tuple(out))
