"""F.pad: axes made longer, as np.pad does, one axis after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import Span
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value

# x, its axis, how much longer it becomes before and after, the options of this axis.
Longer = Callable[[Value, int, Dim, Dim, Mapping[str, Any]], Value]

NUMPY_PAD: Any = np.pad  # Its types do not know options that are handed on.


@function("Pad")
def pad(call: Applied, x: Value) -> Value:
    """Axes made longer, as np.pad."""
    rank = x.type.rank
    widths = _of_axes(call.pad_width, rank)
    mode, options = call.mode, dict(call.keywords)
    odd = options.pop("reflect_type", "even") == "odd"
    if mode in ("edge", "wrap") or (mode == "reflect" and not odd):
        before, after = zip(*widths, strict=True)
        return ops.Pad(before, after, mode)(x)
    name = f"odd {mode}" if odd else mode
    if name not in MODES:
        raise UnsupportedError(f"mode {mode!r} is not supported; use one of {', '.join(MODES)}")
    tables = {key: _of_axes(value, rank) for key, value in options.items()}
    for axis, (before, after) in enumerate(widths):
        if before != 0 or after != 0:
            own = {key: rows[axis] for key, rows in tables.items()}
            x = MODES[name](x, axis, before, after, own)
    return x


def _of_axes(value: Any, rank: int) -> list[tuple[Any, Any]]:
    """A pair for each axis, of one for all or of a number for both ends."""
    pairs = np.broadcast_to(np.asarray(value, object), (rank, 2))
    return [(_number(b), _number(a)) for b, a in pairs]


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _along(x: Value, axis: int, n: Dim) -> tuple[Dim, ...]:
    return tuple(n if k == axis else 0 for k in range(x.type.rank))


def _constant(x: Value, axis: int, before: Dim, after: Dim, options: Mapping[str, Any]) -> Value:
    """A number before, another one after."""
    first, last = options.get("constant_values", (0, 0))
    none = _along(x, axis, 0)
    x = ops.Pad(_along(x, axis, before), none, "constant", float(first))(x)
    return ops.Pad(none, _along(x, axis, after), "constant", float(last))(x)


def _symmetric(x: Value, axis: int, before: Dim, after: Dim, options: Mapping[str, Any]) -> Value:
    """Mirrored with the edge repeated."""
    n = x.shape[axis]
    place = ops.Sub()(ops.Iota(n + before + after)(), common.size_value(before))
    place = ops.Mod()(place, common.size_value(2 * n))
    back = ops.Sub()(common.size_value(2 * n - 1), place)
    return ops.Gather(axis)(x, common.folded(ops.Min()(place, back)))


def _statistic(op: Any) -> Longer:
    """What `op` makes of the elements at the end that is padded."""

    def longer(x: Value, axis: int, before: Dim, after: Dim, options: Mapping[str, Any]) -> Value:
        n = x.shape[axis]
        first, last = (
            n if count is None else dims.minimum(n, count)
            for count in options.get("stat_length", (None, None))
        )
        parts = [x]
        for start, count, width in ((0, first, before), (n - last, last, after)):
            end = op((axis,), True)(common.slice_axes(x, {axis: Span(start, count, 1)}))
            shape = tuple(width if k == axis else d for k, d in enumerate(x.shape))
            parts.append(common.broadcast_to(end, shape))
        return common.concat([parts[1], parts[0], parts[2]], axis)

    return longer


def _linear(mode: str, **more: Any) -> Longer:
    """What np.pad makes of unit vectors, as a matrix, and of zeros, as a shift."""

    def longer(x: Value, axis: int, before: Dim, after: Dim, options: Mapping[str, Any]) -> Value:
        n = x.shape[axis]
        if not (isinstance(n, int) and isinstance(before, int) and isinstance(after, int)):
            raise UnsupportedError(f"mode {mode} needs sizes that are known")
        width = (before, after)
        own: Any = {**more, **options}
        columns = [NUMPY_PAD(row, width, mode, **more) for row in np.eye(n)]
        shift = NUMPY_PAD(np.zeros(n), width, mode, **own)
        dtype = x.type.dtype.numpy
        last = common.move_axis(x, axis, -1)
        y = ops.MatMul()(last, graph.constant(np.array(columns).astype(dtype)))
        y = ops.Add()(y, graph.constant(shift.astype(dtype)))
        return common.move_axis(y, -1, axis)

    return longer


MODES: dict[str, Longer] = {
    "constant": _constant,
    "symmetric": _symmetric,
    "maximum": _statistic(ops.ReduceMax),
    "minimum": _statistic(ops.ReduceMin),
    "mean": _statistic(ops.ReduceMean),
    "linear_ramp": _linear("linear_ramp"),
    "odd reflect": _linear("reflect", reflect_type="odd"),
    "odd symmetric": _linear("symmetric", reflect_type="odd"),
}
