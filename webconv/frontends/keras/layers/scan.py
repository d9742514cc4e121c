"""Runs any cell over time with the `Scan` operator: for cells that no recurrent operator covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from webconv.frontends import common
from webconv.frontends.keras.trace import name_nodes
from webconv.ir import dtypes, graph, ops
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType

if TYPE_CHECKING:
    from webconv.frontends.keras.layers.recurrent import Masking, Result, Run


def scan(run: Run, x: Value, masking: Masking) -> Result:
    """One direction of `run` over x [T, B, ...].

    The body carries the states and, with a mask, the output before: what a masked step repeats.
    """
    from webconv.frontends.keras.layers.recurrent import Result

    dtype, batch = x.type.dtype, x.shape[1]
    types = [TensorType(dtype, (batch, *shape)) for shape in run.cell.shapes(x)]
    x = run.cell.prepare(x)
    states = run.states or [_zeros(t) for t in types]
    masked = masking.mask is not None
    carries = list(states)
    if masked:
        carries.append(states[0] if masking.holds_initial else _zeros(types[0]))
    sequences = [x, masking.mask] if masking.mask is not None else [x]
    body = _body(run, x, [v.type for v in carries], masking)
    *finals, y = ops.Scan(body, len(carries), len(sequences), run.reverse)(*carries, *sequences)
    last = common.at(y, 0, 0 if run.reverse else -1)
    finals = finals[: len(states)]
    return Result(common.expand_dims(y, 2), common.expand_dims(last, 1), [finals])


def _zeros(type: TensorType) -> Value:
    zero = graph.constant(np.zeros((), type.dtype.numpy))
    return common.broadcast_to(zero, type.shape)


def _body(run: Run, x: Value, carries: Sequence[TensorType], masking: Masking) -> Graph:
    """One step: carries and this step's input (and mask) to the next carries and the output."""
    inputs = {f"carry_{k}": graph.input(f"carry_{k}", t) for k, t in enumerate(carries)}
    states = list(inputs.values())[: len(run.cell.names)]
    inputs["x"] = graph.input("x", TensorType(x.type.dtype, x.shape[1:]))
    output, new = run.cell.step(inputs["x"], states)
    next_carries = list(new)
    if masking.mask is not None:
        inputs["mask"] = graph.input("mask", TensorType(dtypes.bool_, masking.mask.shape[1:]))
        kept = inputs[f"carry_{len(states)}"]
        next_carries = [_where(inputs["mask"], n, s) for n, s in zip(new, states, strict=True)]
        before = common.broadcast_to(common.scalar(0, output), output.shape)
        output = _where(inputs["mask"], output, before if masking.zero else kept)
        next_carries.append(output)
    for value in (*next_carries, output):
        name_nodes(value, run.layer.name)
    outputs = {f"next_{k}": v for k, v in enumerate(next_carries)}
    return Graph(inputs, {**outputs, "y": output})


def _where(mask: Value, x: Value, y: Value) -> Value:
    """x [B, ...] in the rows of which mask [B] is True, else y."""
    wide = common.expand_dims(mask, *range(1, x.type.rank))
    return ops.Where()(wide, x, y)
