"""Reads the protobuf, and checks what must hold before anything is converted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from webconv.ir.errors import ModelFormatError, UnsupportedError

OLDEST = 7
# Protobuf's own limit is 100 messages; a graph within a graph takes three.
DEEPEST = 24


def read(path: Path) -> onnx.ModelProto:
    """The model in a file, without external data.

    Raises ModelFormatError if it is damaged, UnsupportedError if its opset is too old.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFormatError(f"the file cannot be read: {error.strerror}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"it is not an ONNX model, or a damaged one: {error}") from None
    check(model)
    return model


def _require_text(model: onnx.ModelProto) -> None:
    """Protobuf gives names that are not UTF-8 as bytes."""
    for graph in (model.graph, *model.functions):
        for names in _names(graph):
            if not isinstance(names, str):
                raise ModelFormatError(f"it is damaged: the name {names!r} is not UTF-8")


def _names(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[str]:
    yield graph.name
    if isinstance(graph, onnx.GraphProto):
        for value in (*graph.input, *graph.output):
            yield value.name
            yield from (d.dim_param for d in value.type.tensor_type.shape.dim)
        yield from (t.name for t in graph.initializer)
    else:
        yield from (graph.domain, *graph.input, *graph.output)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (a.name for a in node.attribute)
        for body in graphs_of(node):
            yield from _names(body)


def check(model: onnx.ModelProto) -> None:
    """What no conversion could do without."""
    if not model.HasField("graph") or not model.graph.output:
        raise ModelFormatError("it is not an ONNX model, or a damaged one: it has no outputs")
    _require_text(model)
    opset = opsets(model).get("", OLDEST)
    if opset < OLDEST:
        raise UnsupportedError(f"opset {opset} is older than {OLDEST}; export the model again")
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise UnsupportedError(f"opset {opset} is newer than {newest}, the newest that onnx knows")


def opsets(proto: onnx.ModelProto | onnx.FunctionProto) -> dict[str, int]:
    """The version of each domain that a model or function imports."""
    return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}


def graphs_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds as attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
