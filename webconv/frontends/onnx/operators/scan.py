"""Scan, and the Loops whose trip count is known when converting.

Both become the `Scan` operator. A short Loop, and one whose body must know what it carries (sizes,
an end that it computes), is written out instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import known
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType
from webconv.ir.ops.host import HostOp

# Nodes that a Loop may become when it is written out although it need not be, and at most.
SHORT = 64
MOST_NODES = 20_000

# A trip count that stands for none: only the condition ends the Loop.
ENDLESS = (1 << 31) - 1


def scan_body(
    call: Any, body: onnx.GraphProto, carries: Sequence[Value], sequences: Sequence[Value]
) -> Callable[..., tuple[Value, ...]]:
    """The Scan of an ONNX body: a function of the direction that applies it."""
    own = [graph.input(f"carry_{k}", v.type) for k, v in enumerate(carries)]
    own += [
        graph.input(f"step_{k}", TensorType(v.type.dtype, v.shape[1:]))
        for k, v in enumerate(sequences)
    ]
    outputs, captured = call.closed(body, own)
    return _applied(carries, sequences, own, outputs, captured)


def _applied(
    carries: Sequence[Value],
    sequences: Sequence[Value],
    own: Sequence[Value],
    outputs: Sequence[Value],
    captured: dict[Value, Value],
) -> Callable[..., tuple[Value, ...]]:
    kept = [_kept(a, b) for a, b in zip(carries, outputs, strict=False)]
    if len(kept) < len(carries):
        raise ModelFormatError(f"the body gives {len(outputs)} values for {len(carries)} carries")
    inputs = {str(k): v for k, v in enumerate((*own, *captured.values()))}
    step = Graph(inputs, {str(k): v for k, v in enumerate((*kept, *outputs[len(carries) :]))})
    if any(isinstance(n.op, HostOp) for n in step.nodes):
        raise UnsupportedError("a size or a branch in the body is decided by data")

    def apply(reverse: bool = False) -> tuple[Value, ...]:
        op = ops.Scan(step, len(carries), len(sequences), reverse)
        made = op(*carries, *sequences, *captured)
        return made if isinstance(made, tuple) else (made,)

    return apply


def _kept(carry: Value, new: Value) -> Value:
    """What a carry becomes, of the type that it has; symbols that differ must be equal."""
    same = carry.type.dtype == new.type.dtype and carry.type.rank == new.type.rank
    pairs = zip(carry.shape, new.shape, strict=False)
    if not same or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
        raise ShapeError(f"what is carried must keep its type: {carry.type} becomes {new.type}")
    return common.reshape(new, carry.shape)


@operator("Scan", since=9, context=True)
def scan(
    call: Any,
    *inputs: Value,
    body: onnx.GraphProto,
    num_scan_inputs: int,
    scan_input_axes: Sequence[int] = (),
    scan_input_directions: Sequence[int] = (),
    scan_output_axes: Sequence[int] = (),
    scan_output_directions: Sequence[int] = (),
) -> Any:
    """A body run over slices of its inputs, each along an axis and in a direction."""
    n = len(inputs) - num_scan_inputs
    count = len(body.output) - n
    if num_scan_inputs < 1 or min(n, count) < 0:
        raise ModelFormatError(f"num_scan_inputs is {num_scan_inputs} of {len(inputs)} inputs")
    axes_in, ways_in = (
        _each(v, num_scan_inputs, "inputs") for v in (scan_input_axes, scan_input_directions)
    )
    axes_out, ways_out = (
        _each(v, count, "outputs") for v in (scan_output_axes, scan_output_directions)
    )
    reverse = all(ways_in) and all(ways_out)
    pairs = zip(inputs[n:], axes_in, ways_in, strict=True)
    sequences = [
        common.flip(v, 0) if way and not reverse else v
        for v, way in ((common.move_axis(x, axis, 0), way) for x, axis, way in pairs)
    ]
    made = scan_body(call, body, inputs[:n], sequences)(reverse)
    outputs = [
        common.move_axis(common.flip(y, 0) if way and not reverse else y, 0, axis)
        for y, axis, way in zip(made[n:], axes_out, ways_out, strict=True)
    ]
    return (*made[:n], *outputs)


def _each(values: Sequence[int], count: int, what: str) -> Sequence[int]:
    """One value for each; 0 unless given."""
    if values and len(values) != count:
        raise ModelFormatError(f"{len(values)} axes or directions are given for {count} {what}")
    return values or [0] * count


@operator("Scan", since=8, context=True)
def scan_of_batches(
    call: Any,
    sequence_lens: Value | None,
    *inputs: Value,
    body: onnx.GraphProto,
    num_scan_inputs: int,
    directions: Sequence[int] = (),
) -> Any:
    """A body run over axis 1 for each entry of axis 0, which it does not see."""
    if sequence_lens is not None:
        raise UnsupportedError("sequence_lens of Scan in opset 8 is not supported")
    n = len(inputs) - num_scan_inputs
    ways = _each(directions, num_scan_inputs, "inputs")
    turned = [
        *inputs[:n],
        *(common.flip(x, 1) if way else x for x, way in zip(inputs[n:], ways, strict=True)),
    ]
    own = [
        graph.input(f"entry_{k}", TensorType(v.type.dtype, v.shape[1:]))
        for k, v in enumerate(turned)
    ]
    inner_body, captured = _captured(call, body, own, n)
    return _applied([], turned, own, inner_body, captured)()


def _captured(
    call: Any, body: onnx.GraphProto, own: Sequence[Value], n: int
) -> tuple[tuple[Value, ...], dict[Value, Value]]:
    """The Scan of one entry, and the inputs that stand for what it takes from outside."""
    steps = [
        graph.input(f"step_{k}", TensorType(v.type.dtype, v.shape[1:] if k >= n else v.shape))
        for k, v in enumerate(own)
    ]
    outputs, taken = call.closed(body, steps)
    outer = {value: graph.input(inner.node.name, value.type) for value, inner in taken.items()}
    through = {outer[value]: inner for value, inner in taken.items()}
    return _applied(own[:n], own[n:], steps, outputs, through)(), outer


def folded_loop(
    call: Any,
    trips: Value | None,
    condition: Value | None,
    carries: Sequence[Value],
    body: onnx.GraphProto,
) -> tuple[Value, ...] | None:
    """The outputs of a Loop that ends after a known number of iterations; else None."""
    going = None if condition is None else known(condition)
    if condition is not None and (going is None or not isinstance(going.item(), int)):
        return None
    limit = None if trips is None else known(trips)
    count: Dim | None = None if limit is None else dims.maximum(limit.item(), 0)
    if trips is not None and count is None:
        return None
    if going is not None and not going.item():
        count = 0
    short = isinstance(count, int) and 0 < count * max(len(body.node), 1) <= SHORT
    endless = isinstance(count, int) and count >= ENDLESS
    if count is not None and not short and not endless:
        try:
            if (made := _counted(call, count, carries, body)) is not None:
                return made
        except (ShapeError, UnsupportedError):
            pass  # What the body must know, it may know when it is written out.
    if count is None or (isinstance(count, int) and count > 0):
        return _written_out(call, count, carries, body)
    return None


def _counted(
    call: Any, count: Dim, carries: Sequence[Value], body: onnx.GraphProto
) -> tuple[Value, ...] | None:
    """A Loop as a Scan over its counter, if nothing but the count ends it."""
    counter = common.cast(ops.Iota(count)(), dtypes.i64)
    k = graph.input("k", TensorType(dtypes.i64, ()))
    own = [graph.input(f"carry_{i}", v.type) for i, v in enumerate(carries)]
    (going, *outputs), captured = call.closed(body, [k, _true(), *own])
    settled = all(a.shape == b.shape for a, b in zip(carries, outputs, strict=False))
    if not _holds(going) or not settled:
        return None
    return _applied(carries, [counter], [*own, k], outputs, captured)()


def _true() -> Value:
    return graph.constant(np.bool_(True))


def _holds(condition: Value) -> bool:
    """True if a condition is known to be true."""
    value = known(condition)
    return value is not None and isinstance(value.item(), int) and bool(value.item())


def _written_out(
    call: Any, count: int | None, carries: Sequence[Value], body: onnx.GraphProto
) -> tuple[Value, ...] | None:
    """The iterations one after another, as long as the condition is known."""
    n = len(carries)
    stacks: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - n)]
    most = MOST_NODES // max(len(body.node), 1)
    for k in range(most if count is None else min(count, most)):
        going, *outputs = call.subgraph(body, [graph.constant(np.int64(k)), _true(), *carries])
        carries = outputs[:n]
        for stack, value in zip(stacks, outputs[n:], strict=True):
            stack.append(value)
        value = known(going)
        last = count is not None and k == count - 1
        if not last and (value is None or not isinstance(value.item(), int)):
            return None
        if last or (value is not None and not value.item()):
            return (*carries, *(common.stack(stack, 0) for stack in stacks))
    return None
