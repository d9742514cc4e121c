"""Slice and Pad: ends that count from the back, sizes that only a run can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import ints, number, sizes
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def _index(d: Dim, n: Dim, low: Dim, high: Dim) -> Dim:
    """A start or end: counted from the end if negative, limited to [low, high]."""
    if isinstance(d, int):
        if abs(d) >= 1 << 30:  # INT_MAX and its kin mean "to the end".
            return high if d > 0 else low
        at: Dim = n + d if d < 0 else d
    elif dims.bounds(d)[0] >= 0:
        at = d
    elif dims.bounds(d)[1] < 0:
        at = n + d
    else:
        negative = dims.maximum(0, dims.minimum(1, -1 * d))
        at = d + negative * n
    return dims.maximum(dims.minimum(at, high), low)


def _slice(
    x: Value,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Value:
    where = tuple(range(len(starts))) if axes is None else axes
    strides = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(where) == len(strides):
        raise ShapeError("starts, ends, axes and steps must be of one length")
    spans: dict[int, common.Span] = {}
    for axis, start, end, step in zip(where, starts, ends, strides, strict=True):
        n = x.shape[normalise_axis(axis, x.type.rank)]
        if step == 0:
            raise ShapeError("a slice's step must not be 0")
        low, high = (0, n) if step > 0 else (-1, n - 1)
        first, last = _index(start, n, 0 if step > 0 else -1, high), _index(end, n, low, high)
        count = dims.ceildiv(last - first, step) if step > 0 else dims.ceildiv(first - last, -step)
        spans[axis] = common.Span(first, dims.maximum(count, 0), step)
    return common.slice_axes(x, spans)


@operator("Slice")
def slice_1(
    x: Value, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> Value:
    """x[starts:ends] (opset 1)."""
    return _slice(x, starts, ends, axes, None)


@operator("Slice", since=10)
def slice_10(
    x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None
) -> Value:
    """x[starts:ends:steps]."""
    return _slice(
        x,
        sizes(starts, "starts"),
        sizes(ends, "ends"),
        None if axes is None else ints(axes, "axes"),
        None if steps is None else ints(steps, "steps"),
    )


MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def _pad(
    x: Value, pads: Sequence[Dim], mode: str, value: float, axes: Sequence[int] | None
) -> Value:
    rank = x.type.rank
    where = range(rank) if axes is None else [normalise_axis(a, rank) for a in axes]
    if len(pads) != 2 * len(where):
        raise ShapeError(f"pads must hold {2 * len(where)} numbers, but it holds {len(pads)}")
    before: list[Dim] = [0] * rank
    after: list[Dim] = [0] * rank
    for k, axis in enumerate(where):
        before[axis], after[axis] = pads[k], pads[k + len(where)]
    if not any(isinstance(d, dims.Expr) or d for d in (*before, *after)):
        return x
    out: Value = ops.Pad(tuple(before), tuple(after), MODES[mode], value)(x)
    return out


@operator("Pad")
def pad_2(x: Value, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Value:
    """Extended (opset 2: as attributes)."""
    return _pad(x, pads, mode, value, None)


@operator("Pad", since=11)
def pad_11(
    x: Value,
    pads: Value,
    constant_value: Value | None = None,
    axes: Value | None = None,
    *,
    mode: str = "constant",
) -> Value:
    """Axes extended before and after; negative pads crop."""
    where = None if axes is None else ints(axes, "axes")
    around = sizes(pads, "pads")
    if mode != "constant" or constant_value is None:
        return _pad(x, around, mode, 0.0, where)
    if constant_value.constant is not None:
        return _pad(x, around, mode, float(number(constant_value, "constant_value")), where)
    inside = _pad(
        common.broadcast_to(graph.constant(np.array(True)), x.shape), around, mode, 0, where
    )
    fill = common.reshape(constant_value, ())
    out: Value = ops.Where()(inside, _pad(x, around, mode, 0, where), fill)
    return out
