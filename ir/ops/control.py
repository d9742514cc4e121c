"""Operators that hold a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webconv.ir import dims
from webconv.ir.graph import Graph, Value
from webconv.ir.op import Array, Guard, Op, TensorType, require, unify


@dataclass(frozen=True)
class Scan(Op):
    """Runs `body` once per step along axis 0 of the sequences.

    inputs   `carries` initial values, `sequences` tensors [T, ...], then captured values
    body     the carries, one step of each sequence, the captured values
             -> the next carries, then what a step gives
    outputs  the final carries, then what the steps gave, stacked to [T, ...]

    The body is closed: it sees nothing but its inputs. `reverse` runs from the last step to the
    first; stacked outputs keep the order of the sequences.
    """

    body: Graph
    carries: int
    sequences: int
    reverse: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        inputs = [v.type for v in self.body.inputs.values()]
        require(len(inputs) == len(types), f"the body takes {len(inputs)} inputs, not {len(types)}")
        require(self.sequences > 0, "at least one sequence is needed")
        for k, (inner, outer) in enumerate(zip(inputs, types, strict=True)):
            sequence = self.carries <= k < self.carries + self.sequences
            shape = outer.shape[1:] if sequence else outer.shape
            rule = f"body input {k} is {inner}, but it is given {outer}"
            require(inner.dtype == outer.dtype and inner.shape == shape, rule)
        outputs = [v.type for v in self.body.outputs.values()]
        for k in range(self.carries):
            rule = f"carry {k} enters as {types[k]} and leaves as {outputs[k]}"
            require(outputs[k] == types[k], rule)
        steps = types[self.carries].shape[0]
        stacked = (TensorType(t.dtype, (steps, *t.shape)) for t in outputs[self.carries :])
        return (*types[: self.carries], *stacked)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        sequences = types[self.carries : self.carries + self.sequences]
        pairs = (unify(sequences[0].shape[0], t.shape[0])[1] for t in sequences[1:])
        return (*self.body.guards, *(g for g in pairs if g))

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        from webconv.ir.reference import evaluate

        n, m = self.carries, self.carries + self.sequences
        carries, sequences, captured = list(arrays[:n]), arrays[n:m], arrays[m:]
        steps = sequences[0].shape[0]
        values = list(self.body.inputs.values())
        shapes = [a.shape[1:] if n <= k < m else a.shape for k, a in enumerate(arrays)]
        sizes = _sizes(values, shapes)
        precision = next((a.dtype.type for a in arrays if a.dtype.kind == "f"), np.float64)
        stacks: list[list[Array]] = [[] for _ in range(len(self.body.outputs) - n)]
        for t in range(steps)[:: -1 if self.reverse else 1]:
            given = [*carries, *(s[t] for s in sequences), *captured]
            results = evaluate(self.body, dict(zip(values, given, strict=True)), sizes, precision)
            outputs = [results[v] for v in self.body.outputs.values()]
            carries = outputs[:n]
            for stack, array in zip(stacks, outputs[n:], strict=True):
                stack.append(array)
        order = slice(None, None, -1 if self.reverse else 1)
        stacked = []
        for stack, v in zip(stacks, list(self.body.outputs.values())[n:], strict=True):
            empty = np.zeros((0, *(dims.evaluate(d, sizes) for d in v.shape)))
            stacked.append(np.stack(stack[order]) if stack else empty)
        return (*carries, *stacked)


def _sizes(values: Sequence[Value], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for v, shape in zip(values, shapes, strict=True):
        for d, n in zip(v.shape, shape, strict=True):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol):
                sizes[found.name] = n
    return sizes
