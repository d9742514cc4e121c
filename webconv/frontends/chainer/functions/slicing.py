"""`x[...]` by NumPy's rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import Span
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim, Expr
from webconv.ir.graph import Value


def get_item(x: Value, items: Sequence[Any]) -> Value:
    """`x[items]`."""
    items = _expanded(x, items)
    if any(_is_array(i) for i in items):
        return _advanced(x, items)
    spans: dict[int, Span] = {}
    shape: list[Dim] = []
    axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, slice) and item == slice(None):
            shape.append(n)
        elif isinstance(item, slice):
            step = 1 if item.step is None else int(item.step)
            spans[axis] = common.span(n, item.start, item.stop, step)
            shape.append(spans[axis].size)
        else:
            spans[axis] = Span(_index(item, n), 1, 1)
        axis += 1
    return common.reshape(common.slice_axes(x, spans), shape)


def _index(item: Any, n: Dim) -> Dim:
    if isinstance(item, Expr):
        return n + item if dims.bounds(item)[1] < 0 else item
    return n + int(item) if item < 0 else int(item)


def _is_array(item: Any) -> bool:
    return isinstance(item, list | np.ndarray) and not (
        isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind != "b"
    )


def _expanded(x: Value, items: Sequence[Any]) -> list[Any]:
    """One item per axis besides new ones, the ellipsis written out, masks as indices."""
    flat: list[Any] = []
    for item in items:
        if isinstance(item, list | np.ndarray) and np.asarray(item).dtype.kind == "b":
            flat += list(np.nonzero(np.asarray(item)))
        else:
            flat.append(item)
    used = sum(i is not None and i is not Ellipsis for i in flat)
    rest = [slice(None)] * (x.type.rank - used)
    for k, item in enumerate(flat):
        if item is Ellipsis:
            return [*flat[:k], *rest, *flat[k + 1 :]]
    return [*flat, *rest]


def _advanced(x: Value, items: list[Any]) -> Value:
    """Arrays of indices, which numbers beside them join."""
    arrays = [k for k, i in enumerate(items) if not isinstance(i, slice) and i is not None]
    axis_of: list[int] = []
    axis = 0
    for item in items:
        axis_of.append(axis)
        axis += item is not None
    together = arrays == list(range(arrays[0], arrays[-1] + 1))
    plain = [slice(None) if k in arrays else i for k, i in enumerate(items)]
    sizes = [x.shape[axis_of[k]] for k in arrays]
    linear = _linear([items[k] for k in arrays], sizes)
    # First the slices and new axes, with the axes of arrays left whole ...
    y = get_item(x, plain)
    # ... whose places are those of their items.
    order = [*arrays, *(k for k in range(y.type.rank) if k not in arrays)]
    y = common.transpose(y, order)
    y = common.reshape(y, (dims.product(sizes), *y.shape[len(arrays) :]))
    y = ops.Gather(0)(y, linear)
    if together and arrays[0]:
        inner = linear.type.rank
        first = arrays[0]
        back = [*range(inner, inner + first), *range(inner), *range(inner + first, y.type.rank)]
        y = common.transpose(y, back)
    return y


def _linear(items: Sequence[Any], sizes: Sequence[Dim]) -> Value:
    """Indices of several axes as those of the one axis that they make."""
    arrays = [i if _is_symbolic(i) else np.asarray(i).astype(np.int32) for i in items]
    if not any(map(_is_symbolic, arrays)):
        arrays = list(np.broadcast_arrays(*arrays))
    total: Value | None = None
    for array, n in zip(arrays, sizes, strict=True):
        place = _counted(array, n)
        if total is not None:
            place = ops.Add()(ops.Mul()(total, common.size_value(n)), place)
        total = place
    assert total is not None
    return common.folded(total)


def _counted(array: Any, n: Dim) -> Value:
    """Indices counted from the front of an axis of size n."""
    if _is_symbolic(array):
        return ops.Sizes(tuple(_index(i, n) for i in array), dtypes.i32)()
    if isinstance(n, int):
        return graph.constant(np.where(array < 0, array + n, array).astype(np.int32))
    place: Value = graph.constant(array)
    if np.any(array < 0):
        back = ops.Mul()(graph.constant((array < 0).astype(np.int32)), common.size_value(n))
        place = ops.Add()(place, back)
    return place


def _is_symbolic(item: Any) -> bool:
    """True for a list of numbers of which some are sizes."""
    return isinstance(item, list) and any(isinstance(i, Expr) for i in item)
