"""From a saved model to a program: parse, fill in weights, make inputs, trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webconv.frontends.keras import weights
from webconv.frontends.keras.dialects import RULES as OLDER
from webconv.frontends.keras.errors import Problems
from webconv.frontends.keras.inputs import InputSpec, equal_symbols, input_specs, make_inputs
from webconv.frontends.keras.layers import RULES as LAYERS
from webconv.frontends.keras.operations import RULES as OPERATIONS
from webconv.frontends.keras.parse import Parser
from webconv.frontends.keras.plugins import load_plugins
from webconv.frontends.keras.reader import SavedModel
from webconv.frontends.keras.trace import Tracer
from webconv.frontends.keras.tree import Layer, Model, Ref, Tensor, flatten, map_leaves
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, UnsupportedError, WebconvError
from webconv.ir.graph import Graph, Program, Value

RULES = {**OLDER, **LAYERS, **OPERATIONS}


def convert(
    saved: SavedModel, shapes: Mapping[str, tuple[Dim, ...]], plugins: Sequence[Path]
) -> Program:
    """The program of a saved model.

    It is traced again if the first time shows that sizes which had symbols of their own must be
    equal: then they share one.
    """
    problems = Problems()
    parser = Parser(saved.dialect, RULES, load_plugins(plugins), problems)
    model = parser.node(saved.config)
    if isinstance(model, Layer):
        raise _no_model(model)
    problems.raise_all()
    weights.load(model, saved.weights)
    specs = input_specs(model)
    merged: dict[str, str] = {}
    # Sizes that were given a name keep it: two of them that must be equal are checked by runs.
    given = {s for shape in shapes.values() for s in dims.symbols(*shape)}
    while True:
        program = _trace(model, specs, shapes, merged, problems)
        known = sorted(program.main.symbols, key=lambda s: s not in given)
        found = equal_symbols(program.main.guards, known)
        more = {old: new for old, new in found.items() if old not in given}
        if not more:
            return program
        merged = {k: more.get(v, v) for k, v in merged.items()} | more


def _no_model(layer: Layer) -> WebconvError:
    if layer.class_name in RULES:
        return ModelFormatError(f"a model is needed, but the file describes {layer.label}")
    return UnsupportedError(
        f"{layer.label}: a model of a class of its own is Python code, which the file does not"
        " hold; rebuild it as a functional model, or export it to ONNX"
    )


def _trace(
    model: Model,
    specs: Sequence[InputSpec],
    shapes: Mapping[str, tuple[Dim, ...]],
    merged: Mapping[str, str],
    problems: Problems,
) -> Program:
    tracer = Tracer(problems)
    inputs = make_inputs(specs, shapes, merged)
    outputs = tracer.start(model, [Tensor(v) for v in inputs.values()])
    problems.raise_all()
    graph = Graph(inputs, _named_outputs(model, outputs), tracer.reads, tracer.writes)
    return Program({"main": graph}, tuple(tracer.states.values()), model.name, layers=tracer.named)


def _named_outputs(model: Model, outputs: Any) -> dict[str, Value]:
    """Outputs by name: of their layer, as Keras has it, or the key where the model has a dict.

    Further outputs of one layer are called `lstm_1`, `lstm_2`, ... after it.
    """
    named: list[tuple[str, Tensor]] = []
    for base, tensors in _by_name(model, outputs):
        named += [(base, t) for t in flatten(tensors)]
    if not named:
        raise ModelFormatError(f"{model.label}: there are no outputs")
    bases = {base for base, _ in named}
    out: dict[str, Value] = {}
    for base, tensor in named:
        name, count = base, 0
        while name in out or (count and name in bases):
            count += 1
            name = f"{base}_{count}"
        out[name] = tensor.value
    return out


def _by_name(model: Model, outputs: Any) -> list[tuple[str, Any]]:
    if model.is_sequential and not model.has_input_layer:
        return [("output", outputs)]
    if isinstance(model.outputs, dict):
        return [(k, outputs[k]) for k in sorted(model.outputs)]
    flat = flatten(map_leaves(_layer_of, model.outputs))
    if len(flat) == 1:
        return [(flat[0], outputs)]
    return list(zip(flat, flatten(outputs), strict=True))


def _layer_of(leaf: Any) -> str:
    return leaf.layer if isinstance(leaf, Ref) else "output"
