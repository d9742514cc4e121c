"""Converts the nodes of an ONNX graph, one after another, to a Program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto

from webconv.edits import constant_input
from webconv.frontends.common import folded
from webconv.frontends.onnx import bodies, support
from webconv.frontends.onnx.reader import DEEPEST, opsets
from webconv.frontends.onnx.registry import Operator, find
from webconv.frontends.onnx.scopes import Call, Scope
from webconv.frontends.onnx.sizes import derive
from webconv.frontends.onnx.types import dtype_of, input_shape, symbol_name, tensor_array
from webconv.frontends.onnx.values import UnknownSizes
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, WebconvError
from webconv.ir.graph import Graph, Input, Node, Program, Value
from webconv.ir.op import Array, TensorType

# What functions of ours raise on inputs or attributes that the standard does not allow.
MISFITS = (
    *(TypeError, ValueError, IndexError, KeyError, AttributeError),
    *(ZeroDivisionError, OverflowError),
)

# A graph of more, functions and bodies written out, is taken for an attack.
MOST_NODES = 50_000

# What an integer input holds may be sizes if it has at most this many elements.
MOST_SIZES = 16


def convert(
    model: onnx.ModelProto,
    folder: Path,
    input_shapes: Mapping[str, tuple[Dim, ...]],
    constants: Mapping[str, object],
) -> Program:
    """The program of a model; `folder` is where external data lies."""
    support.check(model)
    converter = Converter(model, folder)
    inputs = converter.inputs(model.graph, input_shapes, constants)
    scope = Scope({**inputs, **converter.fixed(model.graph, inputs, constants)})
    outputs = converter.graph(model.graph, scope)
    used = {name: v for name, v in inputs.items() if name not in constants}
    layers = converter.layers(model.graph, scope)
    return Program({"main": Graph(used, outputs)}, name=model.graph.name or "model", layers=layers)


class Converter:
    """Converts nodes; holds what the whole model shares."""

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        self.folder = folder
        self.opsets = opsets(model)
        self.functions = {(f.domain, f.name): f for f in model.functions}
        self._fresh = 0
        self._converted = 0

    def fresh(self, what: str) -> dims.Expr:
        """A symbol that no other is called."""
        self._fresh += 1
        return dims.symbol(f"{what}_{self._fresh}_")

    def inputs(
        self,
        proto: onnx.GraphProto,
        shapes: Mapping[str, tuple[Dim, ...]],
        constants: Mapping[str, object],
    ) -> dict[str, Value]:
        """The inputs of the main graph; initialisers that stand among them are no inputs."""
        weights = {t.name for t in proto.initializer}
        out: dict[str, Value] = {}
        for i in proto.input:
            if i.name in weights:
                continue
            tensor = i.type.tensor_type
            shape = shapes[i.name] if i.name in shapes else input_shape(i.name, tensor)
            out[i.name] = _input(i.name, TensorType(dtype_of(tensor.elem_type), shape))
        for name in (*shapes, *constants):
            if name not in out:
                there = ", ".join(out) or "none"
                raise ModelFormatError(f"there is no input {name!r}; there are {there}")
        return out

    def fixed(
        self,
        proto: onnx.GraphProto,
        inputs: Mapping[str, Value],
        constants: Mapping[str, object],
    ) -> dict[str, Value]:
        """The inputs that `--const` made constants."""
        return {
            name: constant_input(name, inputs[name].type, value)
            for name, value in constants.items()
        }

    def graph(self, proto: onnx.GraphProto, scope: Scope) -> dict[str, Value]:
        """The outputs of a graph whose inputs are in `scope`."""
        for tensor in proto.initializer:
            scope.values[tensor.name] = graph.constant(
                tensor_array(tensor, self.folder), tensor.name
            )
        for node in proto.node:
            self.node(node, scope)
        outputs: dict[str, Value] = {}
        for o in proto.output:
            value = scope.find(o.name)
            if value is None:
                raise ModelFormatError(f"output {o.name!r} is not computed")
            outputs[o.name] = value
        return outputs

    def layers(self, proto: onnx.GraphProto, scope: Scope) -> dict[str, tuple[Value, ...]]:
        """What nodes give: by the names of the nodes, and by those of the tensors."""
        tensors = {
            name: v for node in proto.node for name in node.output if (v := scope.values.get(name))
        }
        nodes = {
            node.name: tuple(tensors[name] for name in node.output if name in tensors)
            for node in proto.node
            if node.name
        }
        return {name: (v,) for name, v in tensors.items()} | nodes

    def node(self, node: onnx.NodeProto, scope: Scope) -> None:
        """Convert one node: its outputs enter `scope`. Errors name the operator and the node."""
        self._converted += 1
        if self._converted > MOST_NODES:
            rule = f"the graph has more than {MOST_NODES} nodes once its functions are written out"
            raise ModelFormatError(rule)
        try:
            inputs = [scope.find(name) if name else None for name in node.input]
            outputs = self._outputs(node, scope, inputs)
        except UnknownSizes as error:
            raise ShapeError(f"{describe(node)}: {error}") from None
        except WebconvError as error:
            raise type(error)(f"{describe(node)}: {error}") from None
        named = zip(node.output, (*outputs, *[None] * len(node.output)), strict=False)
        for name, value in named:
            if name:
                scope.values[name] = value
                if value is not None and not value.node.name:
                    value.node.name = node.name or name

    def _outputs(
        self, node: onnx.NodeProto, scope: Scope, inputs: list[Value | None]
    ) -> Sequence[Value | None]:
        attributes = dict(self._attributes(node, scope))
        local = self.functions.get((node.domain, node.op_type))
        if local is not None:
            return self._function(node, local, scope, inputs)
        version = (scope.opsets or self.opsets).get(
            "" if node.domain == "ai.onnx" else node.domain, 1
        )
        found = find(node.domain, node.op_type, version)
        if found is None:
            types = [None if v is None else v.type for v in inputs]
            body = bodies.body(node, version, types)
            return self._function(node, body, scope, inputs)
        derived = self._derived(node, inputs, attributes, version)
        if derived is not None and derived.constant is not None:
            return (derived,)
        made = self._apply(found, node, scope, inputs, attributes, version)
        if derived is not None and made and made[0] is not None:
            return (derived if _of_shapes(derived) else _with_known(made[0], derived), *made[1:])
        return made

    def _derived(
        self,
        node: onnx.NodeProto,
        inputs: Sequence[Value | None],
        attributes: Mapping[str, Any],
        version: int,
    ) -> Value | None:
        """The output as sizes; None too where it misfits, which the operator itself will tell."""
        try:
            return derive(node.op_type, inputs, attributes, version)
        except MISFITS:
            return None

    def _apply(
        self,
        found: Operator,
        node: onnx.NodeProto,
        scope: Scope,
        inputs: list[Value | None],
        attributes: Mapping[str, Any],
        version: int,
    ) -> Sequence[Value | None]:
        unknown = sorted(set(attributes) - found.attributes)
        if unknown:
            raise ModelFormatError(f"it has the unknown attribute {', '.join(unknown)}")
        call = [Call(self, scope, node, version)] if found.context else []
        outputs = self._made(found, call, inputs, attributes)
        try:
            return [folded(v) if v is not None and _is_constant(v) else v for v in outputs]
        except MISFITS as error:
            raise _misfit(inputs, error) from error

    def _made(
        self,
        found: Operator,
        call: list[Call],
        inputs: Sequence[Value | None],
        attributes: Mapping[str, Any],
    ) -> tuple[Value | None, ...]:
        """The outputs; where sizes are computed from data, symbols are bound to them first."""
        try:
            made = found.function(*call, *inputs, **attributes)
        except UnknownSizes as unknown:
            anchor = inputs[0] if inputs else None
            if anchor is None or unknown.value is anchor or unknown.value not in inputs:
                raise
            measured = self.measured(anchor, unknown.value)
            given = [measured.get(v, v) if v is not None else None for v in inputs]
            return self._made(found, call, given, attributes)
        except MISFITS as error:
            # What files hold is checked by what is done with it: no function repeats the standard.
            raise _misfit(inputs, error) from error
        return made if isinstance(made, tuple) else (made,)

    def measured(self, anchor: Value, value: Value) -> dict[Value, Value]:
        """`anchor` after the elements of `value` became symbols, and `value` as these symbols."""
        count = value.type.size
        if not isinstance(count, int) or count > MOST_SIZES or not value.type.dtype.is_integer:
            raise ShapeError(
                f"{value.type} cannot hold sizes: they are at most {MOST_SIZES} integers"
            )
        symbols = [self.fresh(f"{dims.SIGNED}of_data") for _ in range(count)]
        bound: Value = ops.Bind(tuple(str(s) for s in symbols))(anchor, value)
        stand_in: Value = ops.Identity()(value)
        shape = tuple(d for d in value.shape if isinstance(d, int))
        stand_in.known = np.array(symbols, object).reshape(shape)
        return {anchor: bound, value: stand_in}

    def _function(
        self,
        node: onnx.NodeProto,
        function: onnx.FunctionProto,
        scope: Scope,
        inputs: Sequence[Value | None],
    ) -> Sequence[Value | None]:
        """The outputs of a function's body, which sees nothing but its inputs and attributes."""
        if scope.depth >= DEEPEST:
            raise ModelFormatError(f"functions call each other more than {DEEPEST} deep")
        if len(inputs) > len(function.input):
            raise ModelFormatError(f"it takes {len(function.input)} inputs, not {len(inputs)}")
        given = dict(zip(function.input, (*inputs, *[None] * len(function.input)), strict=False))
        attributes = {a.name: a for a in function.attribute_proto}
        attributes |= bodies.defaults(node, scope.opsets or self.opsets)
        attributes |= {a.name: self._resolved(a, scope) for a in node.attribute}
        versions = {**self.opsets, **opsets(function)}
        inner = Scope(given, None, attributes, versions, scope.depth + 1)
        for child in function.node:
            self.node(child, inner)
        wanted = function.output[: len(node.output)]
        return [
            inner.find(name) if used else None
            for name, used in zip(wanted, node.output, strict=False)
        ]

    def _resolved(self, attribute: AttributeProto, scope: Scope) -> AttributeProto:
        if not attribute.ref_attr_name:
            return attribute
        return scope.attributes.get(attribute.ref_attr_name, attribute)

    def _attributes(self, node: onnx.NodeProto, scope: Scope) -> Iterator[tuple[str, Any]]:
        for attribute in node.attribute:
            actual = self._resolved(attribute, scope)
            if actual.ref_attr_name:
                continue  # The function was called without it: the operator's default holds.
            yield attribute.name, self._value(attribute.name, actual)

    def _value(self, name: str, a: AttributeProto) -> Any:
        match a.type:
            case AttributeProto.FLOAT:
                return a.f
            case AttributeProto.INT:
                return a.i
            case AttributeProto.STRING:
                return _text(a.s)
            case AttributeProto.FLOATS:
                return tuple(a.floats)
            case AttributeProto.INTS:
                return tuple(a.ints)
            case AttributeProto.STRINGS:
                return tuple(map(_text, a.strings))
            case AttributeProto.TENSOR:
                return self.array(a.t)
            case AttributeProto.GRAPH:
                return a.g
        raise ModelFormatError(f"attribute {name!r} is of a kind that is not supported")

    def array(self, tensor: onnx.TensorProto) -> Array:
        """The array of a tensor."""
        return tensor_array(tensor, self.folder)


def _misfit(inputs: Sequence[Value | None], error: Exception) -> ModelFormatError:
    given = ", ".join("none" if v is None else str(v.type) for v in inputs)
    reason = " ".join(str(error).split())
    return ModelFormatError(f"it does not fit its inputs ({given}) and attributes: {reason}")


def describe(node: onnx.NodeProto) -> str:
    """`Conv 'conv_1'`."""
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    name = node.name or next(iter(node.output), "")
    return f"{domain}{node.op_type}" + (f" {name!r}" if name else "")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _input(name: str, t: TensorType) -> Value:
    count = t.size
    few = isinstance(count, int) and 0 < count <= MOST_SIZES
    if not (few and t.dtype.is_integer):
        return graph.input(name, t)
    assert isinstance(count, int)
    base = symbol_name(name)
    symbols = tuple(f"{dims.SIGNED}{base}_{k}" for k in range(count))
    value = Node(Input(t, symbols), (), name).outputs[0]
    shape = tuple(d for d in t.shape if isinstance(d, int))
    value.known = np.array([dims.symbol(s) for s in symbols], object).reshape(shape)
    return value


def _is_constant(value: Value) -> bool:
    """True if `value` is computed from constants by a few nodes, as functions of ours make them."""
    stack, seen = [value], 0
    while stack:
        v = stack.pop()
        seen += 1
        if isinstance(v.node.op, Input) or seen > 32 or any(True for _ in v.node.op.dims):
            return False
        stack += [i for i in v.node.inputs if i is not None and i.constant is None]
    return value.constant is None


def _of_shapes(value: Value) -> bool:
    """True if its Dims come from shapes alone, not from what an input holds."""
    assert value.known is not None
    names = dims.symbols(*(d for d in value.known.flat))
    return not any(name.startswith(dims.SIGNED) for name in names)


def _with_known(value: Value, derived: Value) -> Value:
    if value.shape == derived.shape:
        value.known = derived.known
    return value
