"""Sizes that models compute of shapes, as `tf.shape(x)[0]`: known as Dims when converting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.ir import ops
from webconv.ir.dims import Dim, Expr
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Node, Value, toposort
from webconv.ir.op import Array

# Larger tensors are data, not sizes.
MOST_KNOWN = 1 << 10
COMPUTED: Mapping[type, Callable[[Any, Any], Any]] = {
    ops.Add: lambda a, b: a + b,
    ops.Sub: lambda a, b: a - b,
    ops.Mul: lambda a, b: a * b,
}


def sizes_of(shape: Any) -> list[Dim]:
    """The elements of a shape, a tensor or a list of numbers and tensors; UnsupportedError else."""
    parts = shape if isinstance(shape, list | tuple) else [shape]
    found: list[Dim] = []
    for part in parts:
        dims = _dims(part) if isinstance(part, Value) else np.array(part, object)
        if dims is None or not all(isinstance(v, int | Expr) for v in dims.flat):
            raise UnsupportedError("a shape must be known when converting, but it is computed")
        found += dims.reshape(-1).tolist()
    return found


def _dims(value: Value) -> Array | None:
    """The Dims that the elements are, as an object array; None for what data decides."""
    known: dict[Value, Array] = {}
    for node in toposort([value]):
        parts = [known[v] for v in node.inputs if v in known]
        if len(parts) == len(node.inputs):
            for v in node.outputs:
                found = _computed(node, v, parts)
                known |= {} if found is None else {v: found}
    return known.get(value)


def _computed(node: Node, value: Value, parts: Sequence[Array]) -> Array | None:
    size = value.type.size
    if not isinstance(size, int) or size > MOST_KNOWN or value.type.dtype.is_float:
        return None
    match node.op:
        case ops.Sizes(values):
            return np.array(values, object)
        case ops.Slice(starts, sizes, steps):
            ends = zip(_numbers(starts), _numbers(sizes), steps, strict=True)
            return parts[0][np.ix_(*([a + k * step for k in range(n)] for a, n, step in ends))]
        case ops.Reshape(shape):
            return parts[0].reshape(_numbers(shape))
        case ops.Cast():
            return parts[0]
        case ops.Concat(axis):
            return np.concatenate(parts, axis)
    if value.constant is not None:
        return np.array(value.constant.tolist(), object)
    compute = COMPUTED.get(type(node.op))
    return np.array(compute(*parts), object) if compute else None


def _numbers(sizes: Sequence[Dim]) -> list[int]:
    """Sizes that are numbers, as those of small tensors are."""
    found = [n for n in sizes if isinstance(n, int)]
    if len(found) < len(sizes):
        raise UnsupportedError("a part of a shape must be known when converting")
    return found
