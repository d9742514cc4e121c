"""Bidirectional: a recurrent layer and its mirror image.

T time, B batch, D directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from webconv.frontends import common
from webconv.frontends.keras.layers.recurrent import (
    Masking,
    Result,
    Stack,
    fit_together,
    masking_of,
    run,
    stack_of,
)
from webconv.frontends.keras.tree import Layer, Rule, Tensor
from webconv.ir import ops
from webconv.ir.graph import Value


def bidirectional(
    layer: Layer,
    x: Value,
    *,
    merge_mode: Literal["concat", "sum", "mul", "ave", None] = "concat",
    mask: Value | None = None,
    initial_state: list[Value] | None = None,
) -> Any:
    """A recurrent layer and its mirror image, their outputs merged."""
    parts = [layer.children["forward_layer"], layer.children["backward_layer"]]
    config = parts[0].config
    time_major, sequences = (config.get(k, False) for k in ("time_major", "return_sequences"))
    zero = config.get("zero_output_for_mask", False)
    zero = sequences if layer.dialect.bidirectional_zeros else zero
    masking = masking_of(layer, mask, zero, time_major)
    steps = x if time_major else common.swap_axes(x, 0, 1)
    stacks = []
    for part, given in zip(parts, _halves(initial_state), strict=True):
        part.tracer = layer.tracer
        stacks.append(stack_of(part, steps, given))
    results = _run_both(stacks, steps, masking)
    states = [finals for result in results for finals in result.states]
    for stack, finals in zip(stacks, states, strict=True):
        stack.keep(finals)
    outputs = _merge(results, sequences, merge_mode, time_major)
    tensors = [Tensor(v, mask if sequences else None) for v in outputs]
    if config.get("return_state", False):
        return [*tensors, *(s for finals in states for s in finals)]
    return tensors[0] if len(tensors) == 1 else tensors


def _halves(given: list[Value] | None) -> list[list[Value] | None]:
    if not given:
        return [None, None]
    half = len(given) // 2
    return [given[:half], given[half:]]


def _run_both(stacks: Sequence[Stack], x: Value, masking: Masking) -> list[Result]:
    """One result of both directions, or of each: where several cells run, or sizes differ."""
    forward, backward = stacks
    if len(forward.cells) == len(backward.cells) == 1:
        both = [stack.runs[0] for stack in stacks]
        if fit_together(both):
            return [run(both, x, masking)]
    return [stack.over(x, masking) for stack in stacks]


def _merge(
    results: Sequence[Result], sequences: bool, mode: str | None, time_major: bool
) -> list[Value]:
    """y [T, B, D, ...] or last [B, D, ...] with the directions merged."""
    axis = 2 if sequences else 1
    found = [result.y if sequences else result.last for result in results]
    if sequences and not time_major:
        found = [common.swap_axes(y, 0, 1) for y in found]
    if len(found) == 1 and mode == "concat":
        y = common.move_axis(found[0], axis, -2)
        return [common.reshape(y, (*y.shape[:-2], y.shape[-2] * y.shape[-1]))]
    parts = [common.at(y, axis, d) for y in found for d in range(2 // len(found))]
    if mode is None:
        return parts
    if mode == "concat":
        return [common.concat(parts, -1)]
    merge = {"sum": ops.ReduceSum, "ave": ops.ReduceMean, "mul": ops.ReduceProd}[mode]
    return [merge((axis,))(common.stack(parts, axis))]


def _both(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {k: config.get(k) for k in ("forward_layer", "backward_layer")}


RULES: Mapping[str, Rule] = {
    "Bidirectional": Rule(
        bidirectional, ignores="weights layer forward_layer backward_layer", children=_both
    ),
}
