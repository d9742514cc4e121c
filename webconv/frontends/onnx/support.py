"""Finds everything in a model that has no road to the browser, before anything is converted."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from webconv.frontends.onnx import bodies
from webconv.frontends.onnx.reader import DEEPEST, graphs_of, opsets
from webconv.frontends.onnx.registry import find
from webconv.frontends.onnx.types import ELEMENTS, type_name
from webconv.ir.errors import ModelFormatError, UnsupportedError


def check(model: onnx.ModelProto) -> None:
    """Raises UnsupportedError with all operators and types that are missing."""
    from webconv.frontends.onnx import operators  # noqa: F401  (fills the registry)

    versions = opsets(model)
    functions = {(f.domain, f.name): f for f in model.functions}
    missing: dict[str, int] = {}
    for what in _types(model.graph):
        missing[what] = missing.get(what, 0) + 1
    for what in _operators(model.graph.node, versions, set(functions), 0):
        missing[what] = missing.get(what, 0) + 1
    for function in model.functions:
        own = {**versions, **opsets(function)}
        for what in _operators(function.node, own, set(functions), 0):
            missing[what] = missing.get(what, 0) + 1
    if missing:
        listed = ", ".join(f"{what} ({n})" if n > 1 else what for what, n in missing.items())
        raise UnsupportedError(f"the model uses what is not supported: {listed}")


def _operators(
    nodes: object, versions: dict[str, int], functions: set[tuple[str, str]], depth: int
) -> Iterator[str]:
    if depth > DEEPEST:
        raise ModelFormatError(f"graphs lie within each other more than {DEEPEST} deep")
    for node in nodes:  # type: ignore[attr-defined]
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = versions.get(domain, 1)
        known = (node.domain, node.op_type) in functions
        if not (known or find(domain, node.op_type, version) or bodies.has_body(node, version)):
            yield f"operator {domain + '.' if domain else ''}{node.op_type}"
        for body in graphs_of(node):
            yield from _types(body)
            yield from _operators(body.node, versions, functions, depth + 1)


def _types(graph: onnx.GraphProto) -> Iterator[str]:
    """Types of inputs, outputs and tensors that we do not have."""
    for value in (*graph.input, *graph.output):
        kind = value.type.WhichOneof("value")
        if kind == "tensor_type":
            code = value.type.tensor_type.elem_type
            if code not in ELEMENTS and code != 0:
                yield f"tensors of {type_name(code)}"
        elif kind is not None:
            yield kind.removesuffix("_type") + "s"
    for tensor in graph.initializer:
        if tensor.data_type not in ELEMENTS:
            yield f"tensors of {type_name(tensor.data_type)}"
    for _ in graph.sparse_initializer:
        yield "sparse tensors"
