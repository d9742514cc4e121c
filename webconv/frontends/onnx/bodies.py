"""Operators that ONNX itself defines by a function of other operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import defs

from webconv.frontends.onnx.types import type_proto
from webconv.ir.errors import UnsupportedError
from webconv.ir.op import TensorType


def schema(node: onnx.NodeProto, version: int) -> Any:
    """ONNX's definition of the operator, as of `version` of its domain; None if it has none."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        return defs.get_schema(node.op_type, max_inclusive_version=version, domain=domain)
    except defs.SchemaError:
        return None


def has_body(node: onnx.NodeProto, version: int) -> bool:
    """True if the operator can be written as others."""
    found = schema(node, version)
    return bool(found and (found.has_function or found.has_context_dependent_function))


def body(
    node: onnx.NodeProto, version: int, types: Sequence[TensorType | None]
) -> onnx.FunctionProto:
    """The operator as a function of others, for inputs of these types."""
    found = schema(node, version)
    if found is not None and found.has_function:
        function: onnx.FunctionProto = found.function_body
        return function
    if found is not None and found.has_context_dependent_function:
        protos = [b"" if t is None else type_proto(t).SerializeToString() for t in types]
        data = found.get_context_dependent_function(node.SerializeToString(), protos)
        if data:
            function = onnx.FunctionProto()
            function.ParseFromString(data)
            return function
    raise UnsupportedError("the operator is not supported")


def defaults(node: onnx.NodeProto, versions: Mapping[str, int]) -> dict[str, onnx.AttributeProto]:
    """The values that the attributes of an ONNX operator have when they are not given."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    found = schema(node, versions.get(domain, 1))
    if found is None:
        return {}
    return {
        name: attribute.default_value
        for name, attribute in found.attributes.items()
        if attribute.default_value.type
    }
