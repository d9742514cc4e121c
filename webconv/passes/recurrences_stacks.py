"""The same computation for every step as one computation for all of them.

A loop that applies a layer to each step and stacks the results is the layer on the stacked steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Input, Node, Value, constant
from webconv.ir.op import Op, normalise_axis
from webconv.ir.ops.reduction import Reduce
from webconv.passes.driver import Uses
from webconv.passes.recurrences_steps import common_sequence, moved, reshaped


def stack_of_results(node: Node, uses: Uses) -> Value | None:
    """stack(f(a), f(b), ...) -> f(stack(a, b, ...))"""
    match node:
        case Node(ops.Concat(axis), [Value() as first, _, *_] as parts):
            axis = normalise_axis(axis, first.type.rank)
            results = [_without(v, axis) for v in parts if v is not None and v.shape[axis] == 1]
            if len(results) < len(parts) or any(v.type != results[0].type for v in results):
                return None
            lifted = _lifted(results)
            if lifted is None:
                return None
            rest = [n for a, n in enumerate(first.shape) if a != axis]
            return moved(reshaped(lifted, (len(parts), *rest)), 0, axis)
    return None


def stack_of_shapes(node: Node, uses: Uses) -> Value | None:
    """stack(reshape(a), reshape(b), ...) -> reshape(stack(a, b, ...)), for steps of a sequence"""
    match node:
        case Node(ops.Concat(axis), [Value() as first, _, *_] as parts):
            axis = normalise_axis(axis, first.type.rank)
            shapes = [v.node for v in parts if v is not None and v.shape[axis] == 1]
            if len(shapes) < len(parts) or not all(isinstance(n.op, ops.Reshape) for n in shapes):
                return None
            steps = [n.inputs[0] for n in shapes if n.inputs[0] is not None]
            found = common_sequence(steps)
            if found is not None and all(v.type == first.type for v in parts if v is not None):
                rest = [n for a, n in enumerate(first.shape) if a != axis]
                return moved(reshaped(found, (len(parts), *rest)), 0, axis)
    return None


def steps_of_scan(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """scan(x) without states -> what its body computes, on all steps at once"""
    match node:
        case Node(ops.Scan(body, 0, sequences, _), [Value(type=first), *_]):
            count = first.shape[0]
            made = dict(zip(body.inputs.values(), node.inputs, strict=True))
            stepwise = {*list(body.inputs.values())[:sequences]}
            for inner in body.nodes:
                if isinstance(inner.op, Input):
                    continue
                result = _on_all_steps(inner, made, stepwise, count)
                if result is None:
                    return None
                made[inner.outputs[0]] = result
            results = [(made[v], v) for v in body.outputs.values()]
            return tuple(
                v if inner in stepwise else ops.Expand((count, *inner.shape))(v)
                for v, inner in results
                if v is not None
            )
    return None


def _on_all_steps(
    node: Node, made: Mapping[Value, Value | None], stepwise: set[Value], count: Dim
) -> Value | None:
    """What a node of a body gives on all steps; None if it is not known to do it step by step."""
    if len(node.outputs) > 1 or any(v is None for v in node.inputs):
        return None
    own = [k for k, v in enumerate(node.inputs) if v in stepwise]
    inputs = [v and made[v] for v in node.inputs]
    (result,) = node.outputs
    if not own:
        return Node(node.op, inputs, node.name).outputs[0]
    columns = [v for v in node.inputs if v is not None]
    if isinstance(node.op, ops.Elementwise | ops.Where):
        for k in own:
            columns[k] = _of_rank(columns[k], result.type.rank)
            inputs[k] = reshaped(inputs[k], (count, *columns[k].shape))  # type: ignore[arg-type]
    wide = with_steps(node.op, [[v] for v in columns], own, result.shape, count)
    if wide is None:
        return None
    stepwise.add(result)
    return Node(wide, inputs, node.name).outputs[0]


def _of_rank(value: Value, rank: int) -> Value:
    """`value` with axes in front that it lacks: behind that of the steps, when it has one."""
    shape = [*[1] * (rank - value.type.rank), *value.shape]
    array = value.constant
    if array is not None and array.ndim < rank:
        return constant(array.reshape([1] * (rank - array.ndim) + [*array.shape]), value.node.name)
    return reshaped(value, shape)


def _without(value: Value, axis: int) -> Value:
    """What `value` is with a new axis of size 1, if that is all it is; else `value` itself."""
    rest = (*value.shape[:axis], *value.shape[axis + 1 :])
    match value:
        case Value(Node(ops.Reshape(), [Value() as x])) if x.shape == rest:
            return x
    return value


def stack(values: Sequence[Value]) -> Value:
    """Values along a new first axis."""
    arrays = [v.constant for v in values]
    if all(array is not None for array in arrays):
        return constant(np.stack(arrays), values[0].node.name)  # type: ignore[arg-type]
    parts = [reshaped(v, (1, *v.shape)) for v in values]
    made: Value = ops.Concat(0)(*parts)
    return made


def _lifted(results: Sequence[Value]) -> Value | None:
    """The stack of results that one operator gives on the steps' own inputs."""
    first = results[0]
    nodes = [v.node for v in results]
    op = nodes[0].op
    alike = all(n.op == op and len(n.inputs) == len(nodes[0].inputs) for n in nodes)
    if not alike or len(nodes[0].outputs) > 1 or not nodes[0].inputs:
        return None
    columns = list(zip(*(n.inputs for n in nodes), strict=True))
    own = [k for k, column in enumerate(columns) if any(v is not column[0] for v in column)]
    if not own or any(v is None for k in own for v in columns[k]):
        return None
    if any(v.type != columns[k][0].type for k in own for v in columns[k]):
        return None
    if isinstance(op, ops.Elementwise | ops.Where):
        for k in own:
            columns[k] = tuple(_of_rank(v, first.type.rank) for v in columns[k])
    wide = with_steps(op, columns, own, first.shape, len(nodes))
    if wide is None or follow_each_other(results):
        return None
    inputs = [stack(column) if k in own else column[0] for k, column in enumerate(columns)]
    made: Value = wide(*inputs)
    return made


def with_steps(
    op: Op,
    columns: Sequence[Sequence[Value]],
    own: Sequence[int],
    shape: Sequence[Dim],
    count: Dim,
) -> Op | None:
    """`op` with an axis of steps in front of what differs from step to step."""
    rank = len(shape)
    ranks = {columns[k][0].type.rank for k in own}
    match op:
        case ops.Elementwise() | ops.Where() | ops.Cast():
            # What lacks axes would meet the steps with its first.
            return op if ranks == {rank} else None
        case ops.MatMul():
            shared = columns[1][0].type.rank == 2 if own == [0] else own == [0, 1]
            return op if shared and ranks == {rank} else None
        case ops.Reshape(target):
            return ops.Reshape((count, *target))
        case ops.Expand(target) if ranks == {rank}:
            return ops.Expand((count, *target))
        case Reduce():
            (inner,) = ranks
            return replace(op, axes=tuple(a + 1 for a in op.normal_axes(inner)))
        case ops.Transpose(order):
            return ops.Transpose((0, *(a + 1 for a in order)))
        case ops.Slice(starts, sizes, steps):
            return ops.Slice((0, *starts), (count, *sizes), (1, *steps))
        case ops.Gather(axis) if own == [1] and axis == 0:
            return op
        case ops.Concat(axis) if len(own) == len(columns):
            return ops.Concat(normalise_axis(axis, rank) + 1)
        case ops.Softmax(axis):
            return replace(op, axis=normalise_axis(axis, rank) + 1)
    return None


def follow_each_other(results: Sequence[Value]) -> bool:
    """True if a step's result enters a later one's: then they are a recurrence."""
    wanted = set(results)
    stack = [v for r in results for v in r.node.inputs if v is not None]
    seen: set[Value] = set()
    while stack:
        value = stack.pop()
        if value in wanted:
            return True
        if value not in seen:
            seen.add(value)
            stack += [v for v in value.node.inputs if v is not None]
    return False
