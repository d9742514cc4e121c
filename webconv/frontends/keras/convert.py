"""From a saved model to a program: parse, fill in weights, make inputs, trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webconv.frontends.keras import weights
from webconv.frontends.keras.errors import Problems, shown
from webconv.frontends.keras.dialects import RULES as OLD_RULES
from webconv.frontends.keras.layers import RULES
from webconv.frontends.keras.parse import POLICIES, Parser
from webconv.frontends.keras.reader import SavedModel
from webconv.frontends.keras.trace import Tracer
from webconv.frontends.keras.tree import Layer, Model, Tensor, flatten
from webconv.ir import dims, dtypes, graph
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import TensorType


def convert(
    saved: SavedModel, shapes: Mapping[str, tuple[Dim, ...]], plugins: Sequence[Path]
) -> Program:
    """The program of a saved model."""
    problems = Problems()
    parser = Parser(saved.dialect, {**OLD_RULES, **RULES}, problems)
    model = parser.node(saved.config)
    if isinstance(model, Layer):
        raise ModelFormatError(f"a model is needed, but the file describes {model.label}")
    problems.raise_all()
    weights.load(model, saved.weights)
    tracer = Tracer(problems)
    inputs = _inputs(model, shapes)
    outputs = tracer.model(model, [Tensor(v) for v in inputs.values()])
    problems.raise_all()
    named = _named_outputs(model, outputs)
    states = list(tracer.states.values())
    return Program({"main": Graph(inputs, named, tracer.reads, tracer.writes)}, tuple(states))


def _inputs(model: Model, shapes: Mapping[str, tuple[Dim, ...]]) -> dict[str, Value]:
    out = {}
    for ref in flatten(model.inputs):
        layer = model.layers[ref.layer]
        assert isinstance(layer, Layer)
        config: dict[str, Any] = layer.raw
        shape = shapes.get(ref.layer) or _shape(config.get("batch_shape", config.get("batch_input_shape")))
        dtype = POLICIES.get(str(config.get("dtype"))) or dtypes.DTYPES.get(
            {"int32": "i32", "int64": "i64", "bool": "bool", "uint8": "u8"}.get(str(config.get("dtype")), "f32")
        )
        assert dtype
        out[ref.layer] = graph.input(ref.layer, TensorType(dtype, shape))
    return out


def _shape(value: Any) -> tuple[Dim, ...]:
    if not isinstance(value, list):
        raise ShapeError(f"no input shape {shown(value)}")
    names = ["batch", "time", "height", "width"]
    return tuple(dims.symbol(names[k]) if d is None else int(d) for k, d in enumerate(value))


def _named_outputs(model: Model, outputs: Any) -> dict[str, Value]:
    refs = flatten(model.outputs)
    tensors = flatten(outputs)
    out: dict[str, Value] = {}
    for k, t in enumerate(tensors):
        base = refs[k].layer if k < len(refs) else refs[0].layer
        if model.is_sequential and not model.has_input_layer:
            base = "output"
        name, n = base, 0
        while name in out:
            n += 1
            name = f"{base}_{n}"
        out[name] = t.value
    return out
