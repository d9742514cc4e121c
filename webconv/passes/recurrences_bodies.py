"""Bodies of Scans made ready: constants lie in them, and steps come as steps of sequences."""

from __future__ import annotations

import numpy as np

from webconv.ir import graph as graphs
from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Constant, Node, Value
from webconv.ir.op import TensorType, normalise_axis
from webconv.passes.driver import Uses
from webconv.passes.recurrences_scan import Steps
from webconv.passes.recurrences_steps import moved, reshaped
from webconv.passes.substitute import rewire


def step_by_counter(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """scan(0, 1, ..., x) that takes x[k] in step k -> scan(0, 1, ..., x) with x as a sequence"""
    if not isinstance(node.op, ops.Scan):
        return None
    steps = Steps(node, node.op)
    start, end = steps.ends
    for inner in node.op.body.nodes:
        match inner:
            case Node(ops.Gather(axis), [Value() as x, Value() as index]):
                counter = _source(index)
                if x not in steps.inputs[end:] or counter not in steps.inputs[start:end]:
                    continue
                whole = steps.outer(x)
                axis = normalise_axis(axis, x.type.rank)
                if index.type.size != 1 or not _counts(steps.outer(counter), whole.shape[axis]):
                    continue
                sequence = moved(whole, axis, 0)
                taken = graphs.input("step", TensorType(x.type.dtype, sequence.shape[1:]))
                shape = inner.outputs[0].shape
                inputs = [*steps.inputs[:end], taken, *steps.inputs[end:]]
                body = rewire(
                    node.op.body,
                    {inner.outputs[0]: reshaped(taken, shape)},
                    {str(k): v for k, v in enumerate(inputs)},
                )
                op = ops.Scan(body, node.op.carries, node.op.sequences + 1, node.op.reverse)
                outer = [*node.inputs[:end], sequence, *node.inputs[end:]]
                return Node(op, outer, node.name).outputs
    return None


def _source(index: Value) -> Value:
    """What a value is a cast or another shape of."""
    match index:
        case Value(Node(ops.Cast() | ops.Reshape(), [Value() as x])):
            return _source(x)
    return index


def _counts(sequence: Value, size: Dim) -> bool:
    """True if `sequence` is 0, 1, ..., size - 1."""
    match _source(sequence):
        case Value(Node(ops.Iota(n))):
            return n == size
        case Value(Node(Constant(array))):
            return array.size == size and bool(np.array_equal(array, np.arange(array.size)))
    return False


def take_constants(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """scan(..., constant) -> scan(...), with the constant in the body"""
    if not isinstance(node.op, ops.Scan):
        return None
    end = node.op.carries + node.op.sequences
    names = list(node.op.body.inputs)
    moved = {
        names[k]: v for k, v in enumerate(node.inputs) if k >= end and v and v.constant is not None
    }
    if not moved:
        return None
    inputs = node.op.body.inputs
    body = rewire(
        node.op.body,
        {inputs[name]: v for name, v in moved.items()},
        {name: v for name, v in inputs.items() if name not in moved},
    )
    op = ops.Scan(body, node.op.carries, node.op.sequences, node.op.reverse)
    rest = [v for name, v in zip(names, node.inputs, strict=True) if name not in moved]
    return Node(op, rest, node.name).outputs
