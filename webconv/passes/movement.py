"""Operators that only move elements: dropped where nothing moves, composed where two meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from webconv.ir import ops
from webconv.ir.graph import Node, Value
from webconv.ir.op import normalise_axis
from webconv.passes.driver import Rule, Uses


def drop_transpose(node: Node, uses: Uses) -> Value | None:
    """transpose(x) -> x, for axes in order"""
    match node:
        case Node(ops.Transpose(order), [Value() as x]) if order == tuple(range(len(order))):
            return x
    return None


def join_transposes(node: Node, uses: Uses) -> Value | None:
    """transpose(transpose(x)) -> transpose(x)"""
    match node:
        case Node(ops.Transpose(outer), [Value(Node(ops.Transpose(inner), [Value() as x]))]):
            return ops.Transpose(tuple(inner[a] for a in outer))(x)
    return None


def drop_same_shape(node: Node, uses: Uses) -> Value | None:
    """reshape(x) -> x and expand(x) -> x, to the shape that x has"""
    match node:
        case Node(ops.Reshape(shape) | ops.Expand(shape), [Value() as x]) if shape == x.shape:
            return x
    return None


def join_reshapes(node: Node, uses: Uses) -> Value | None:
    """reshape(reshape(x)) -> reshape(x)"""
    match node:
        case Node(ops.Reshape(), [Value(Node(ops.Reshape(), [Value() as x], guards=[]))]):
            return node.op(x)
    return None


def join_expands(node: Node, uses: Uses) -> Value | None:
    """expand(expand(x)) -> expand(x)"""
    match node:
        case Node(ops.Expand(), [Value(Node(ops.Expand(), [Value() as x], guards=[]))]):
            return node.op(x)
    return None


def drop_slice(node: Node, uses: Uses) -> Value | None:
    """x[:] -> x"""
    match node:
        case Node(ops.Slice(starts, sizes, steps), [Value() as x]):
            forwards = all(s == 1 or n == 1 for s, n in zip(steps, sizes, strict=True))
            return x if sizes == x.shape and forwards and not any(starts) else None
    return None


def join_slices(node: Node, uses: Uses) -> Value | None:
    """x[a][b] -> x[c]"""
    match node:
        case Node(
            ops.Slice(starts, sizes, steps),
            [Value(Node(ops.Slice(first, _, inner), [Value() as x]))],
        ):
            both = zip(first, starts, inner, steps, strict=True)
            begin, stride = zip(*((f + s * k, k * m) for f, s, k, m in both), strict=True)
            return ops.Slice(begin, sizes, stride)(x)
    return None


def drop_pad(node: Node, uses: Uses) -> Value | None:
    """pad(x) -> x, by nothing"""
    match node:
        case Node(ops.Pad(before, after), [Value() as x]) if not any((*before, *after)):
            return x
    return None


def flatten_concat(node: Node, uses: Uses) -> Value | None:
    """concat(concat(x, y), empty, z) -> concat(x, y, z), and concat(x) -> x"""
    match node:
        case Node(ops.Concat(axis), [Value() as first, *_]):
            axis = normalise_axis(axis, first.type.rank)
            parts = list(_parts(node.inputs, axis, uses)) or [first]
            if len(parts) == 1:
                return parts[0] if parts[0].type == node.outputs[0].type else None
            return ops.Concat(axis)(*parts) if tuple(parts) != node.inputs else None
    return None


def _parts(values: Sequence[Value | None], axis: int, uses: Uses) -> Iterator[Value]:
    for value in values:
        match value:
            case Value(Node(ops.Concat(inner), parts)) if uses[value] <= 1:
                if normalise_axis(inner, value.type.rank) == axis:
                    yield from _parts(parts, axis, uses)
                    continue
        if value is not None and value.shape[axis] != 0:
            yield value


MOVEMENT: tuple[Rule, ...] = (
    drop_transpose,
    join_transposes,
    drop_same_shape,
    join_reshapes,
    join_expands,
    drop_slice,
    join_slices,
    drop_pad,
    flatten_concat,
)
