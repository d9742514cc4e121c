"""Small programs for the tests of passes, and the ways they are run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from webconv.backends import wasm
from webconv.backends.compiled import gather_weights
from webconv.backends.lower import lower
from webconv.backends.wasm.host import Instance
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType, f32
from webconv.ir.graph import Constant, Graph, Input, Program, Value, constant, input, toposort
from webconv.ir.op import TensorType

Array = Any


def given(name: str, *shape: Dim, dtype: DType = f32) -> Value:
    """An input."""
    return input(name, TensorType(dtype, shape))


def weight(*shape: int, seed: int = 0) -> Value:
    """A constant of normal f32 numbers."""
    rng = np.random.default_rng([seed, *shape])
    return constant(rng.normal(size=shape).astype(np.float32), "weight")


def f32_array(*values: object) -> Value:
    """A constant of these f32 numbers."""
    return constant(np.array(values, np.float32))


def program(*outputs: Value, **named: Value) -> Program:
    """The program of all inputs behind some outputs, which are called y0, y1, ..."""
    results = {f"y{k}": v for k, v in enumerate(outputs)} | named
    nodes = toposort(results.values())
    inputs = {n.name: n.outputs[0] for n in nodes if isinstance(n.op, Input)}
    return Program({"main": Graph(inputs, results)})


def op_counts(p: Program) -> dict[str, int]:
    """How many nodes of each operator the main entry has, inputs and constants left out."""
    ops = [n.op for n in p.main.nodes if not isinstance(n.op, Constant | Input)]
    return dict(Counter(type(op).__name__ for op in ops))


def run_wasm(p: Program, feeds: Mapping[str, Array], variant: str = "relaxed") -> dict[str, Array]:
    """The outputs of the main entry as its wasm module computes them."""
    entries = {name: lower(p, name) for name in p.entries}
    weights = gather_weights(entries.values())
    compiled = wasm.compile(p, entries, weights)
    module = compiled.files[f"{variant}.wasm"]
    return Instance(module, p, entries, weights, compiled.descriptor).run(feeds)
