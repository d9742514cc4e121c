"""Names: what a node may see, and what a function may ask of the converter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import onnx
from onnx import AttributeProto

from webconv.frontends.onnx.reader import DEEPEST
from webconv.frontends.onnx.values import known, sizes
from webconv.ir import graph
from webconv.ir.dims import Dim, Shape
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Input, Value

if TYPE_CHECKING:
    from webconv.frontends.onnx.convert import Converter

AnyScope = TypeVar("AnyScope", bound="Scope")


@dataclass
class Scope:
    """Values by name; a subgraph also sees those of the graph around it."""

    values: dict[str, Value | None]
    outer: Scope | None = None
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    opsets: Mapping[str, int] = field(default_factory=dict)
    depth: int = 0

    def find(self, name: str) -> Value | None:
        """The value called `name`; raises ModelFormatError if none is yet."""
        if name in self.values:
            return self.values[name]
        if self.outer is not None:
            return self.outer.find(name)
        raise ModelFormatError(
            f"{name!r} is used before it is computed: the graph has a cycle, or lacks a node"
        )


@dataclass
class Closed(Scope):
    """The scope of a body that is a graph of its own: what it takes from outside are its inputs.

    `captured` maps values of the graph around to the inputs that stand for them.
    """

    captured: dict[Value, Value] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        if name in self.values:
            return self.values[name]
        value = super().find(name)
        if value is None or not (value.node.inputs or isinstance(value.node.op, Input)):
            return value  # Constants and sizes are no data of the graph around.
        if value not in self.captured:
            self.captured[value] = graph.input(name, value.type)
            self.captured[value].known = value.known
        return self.captured[value]


@dataclass(frozen=True)
class Call:
    """What a function may know of the node besides its inputs and attributes."""

    converter: Converter
    scope: Scope
    node: onnx.NodeProto
    opset: int

    @property
    def outputs(self) -> int:
        """The number of outputs up to the last one that is used."""
        return max((k + 1 for k, name in enumerate(self.node.output) if name), default=0)

    def wants(self, k: int) -> bool:
        """True if output `k` is used."""
        return k < len(self.node.output) and bool(self.node.output[k])

    def subgraph(self, body: onnx.GraphProto, inputs: Sequence[Value | None] = ()) -> list[Value]:
        """The outputs of a graph within the node, converted in place for these inputs."""
        if len(inputs) > len(body.input):
            raise ModelFormatError(f"the body takes {len(body.input)} inputs, not {len(inputs)}")
        given = {i.name: v for i, v in zip(body.input, inputs, strict=False)}
        scope = self.inner(given, Scope)
        return list(self.converter.graph(body, scope).values())

    def closed(
        self, body: onnx.GraphProto, inputs: Sequence[Value | None] = ()
    ) -> tuple[list[Value], dict[Value, Value]]:
        """The outputs of a graph as one of its own, and its inputs by the values they stand for."""
        given = {i.name: v for i, v in zip(body.input, inputs, strict=False)}
        scope = self.inner(given, Closed)
        return list(self.converter.graph(body, scope).values()), scope.captured

    def inner(self, values: Mapping[str, Value | None], kind: type[AnyScope]) -> AnyScope:
        """A scope within the node's."""
        if self.scope.depth >= DEEPEST:
            raise ModelFormatError(f"graphs lie within each other more than {DEEPEST} deep")
        outer = self.scope
        return kind(dict(values), outer, outer.attributes, outer.opsets, outer.depth + 1)

    def measured(self, anchor: Value, value: Value, what: str) -> tuple[Value, Shape]:
        """`anchor`, and the elements of `value` as sizes, which it binds if data gives them."""
        if known(value) is not None:
            return anchor, sizes(value, what)
        bound = self.converter.measured(anchor, value)
        return bound[anchor], sizes(bound[value], what)

    def fresh(self, what: str) -> Dim:
        """A symbol for a size that only a run can tell."""
        return self.converter.fresh(what)
