"""Changed models: whatever the bytes, a frontend gives a program or a WebconvError."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto

from tests.onnx_nodes.suite import load
from webconv.frontends.onnx import operators
from webconv.frontends.onnx.convert import convert
from webconv.frontends.onnx.reader import check
from webconv.frontends.onnx.registry import OPERATORS
from webconv.ir.errors import WebconvError

INTEGERS = st.one_of(
    st.integers(-3, 5), st.sampled_from([-(1 << 63), -(1 << 31), 1 << 31, 1 << 40])
)
FLOATS = st.floats(width=32)
assert operators.__all__  # importing them fills the registry

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def seeds() -> list[str]:
    """A test of each operator that we have."""
    found: dict[str, str] = {}
    for name, test in load("node").items():
        if len(test.model.graph.node) == 1:
            found.setdefault(test.model.graph.node[0].op_type, name)
    return sorted(found.values())


def attempt(model: onnx.ModelProto) -> None:
    """Convert; only a WebconvError of one line may come out."""
    try:
        check(model)
        convert(model, Path(), {}, {})
    except WebconvError as error:
        assert "\n" not in str(error)


@SETTINGS
@given(st.data())
def test_changed_models(data: st.DataObject) -> None:
    model = copy.deepcopy(load("node")[data.draw(st.sampled_from(seeds()))].model)
    for _ in range(data.draw(st.integers(1, 4))):
        data.draw(st.sampled_from(CHANGES))(data, model)
    attempt(model)


@SETTINGS
@given(st.data())
def test_changed_bytes(data: st.DataObject) -> None:
    whole = load("node")[data.draw(st.sampled_from(seeds()))].model.SerializeToString()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(changed))
    except DecodeError:
        return
    attempt(model)


def change_operator(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Another operator on the same inputs."""
    node = data.draw(st.sampled_from(list(model.graph.node)))
    node.domain, node.op_type = data.draw(st.sampled_from(sorted(OPERATORS)))


def change_attribute(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Another number, or another number of them."""
    attributes = [a for n in model.graph.node for a in n.attribute]
    if not attributes:
        return
    a = data.draw(st.sampled_from(attributes))
    if a.type == AttributeProto.INT:
        a.i = data.draw(INTEGERS)
    elif a.type == AttributeProto.FLOAT:
        a.f = data.draw(FLOATS)
    elif a.type == AttributeProto.INTS:
        a.ints[:] = data.draw(st.lists(INTEGERS, max_size=5))
    elif a.type == AttributeProto.STRING:
        a.s = data.draw(st.sampled_from([b"", b"NOTSET", b"linear", b"\xff", b"reflect"]))


def drop_attribute(data: st.DataObject, model: onnx.ModelProto) -> None:
    """One less."""
    node = data.draw(st.sampled_from(list(model.graph.node)))
    if node.attribute:
        del node.attribute[data.draw(st.integers(0, len(node.attribute) - 1))]


def change_inputs(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Other inputs, absent ones and more or fewer of them."""
    node = data.draw(st.sampled_from(list(model.graph.node)))
    names = [i.name for i in model.graph.input] + ["", "ghost"]
    node.input[:] = data.draw(st.lists(st.sampled_from(names), max_size=6))


def change_shape(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Another size or rank of an input."""
    if not model.graph.input:
        return
    tensor = data.draw(st.sampled_from(list(model.graph.input))).type.tensor_type
    sizes = st.one_of(INTEGERS, st.sampled_from(["n", "batch size", "min"]))
    del tensor.shape.dim[:]
    for size in data.draw(st.lists(sizes, max_size=5)):
        if isinstance(size, str):
            tensor.shape.dim.add(dim_param=size)
        else:
            tensor.shape.dim.add(dim_value=max(-(1 << 63), min(size, (1 << 63) - 1)))


def change_type(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Another element type of an input."""
    if model.graph.input:
        tensor = data.draw(st.sampled_from(list(model.graph.input))).type.tensor_type
        tensor.elem_type = data.draw(st.sampled_from(TensorProto.DataType.values()))


def fix_input(data: st.DataObject, model: onnx.ModelProto) -> None:
    """An input becomes a small constant."""
    if not model.graph.input:
        return
    name = data.draw(st.sampled_from([i.name for i in model.graph.input]))
    values = data.draw(st.lists(st.integers(-3, 9), max_size=4))
    kind = data.draw(st.sampled_from([TensorProto.INT64, TensorProto.FLOAT]))
    tensor = onnx.helper.make_tensor(name, kind, [len(values)], values)
    model.graph.initializer.append(tensor)


def change_opset(data: st.DataObject, model: onnx.ModelProto) -> None:
    """Another version of the operators."""
    for opset in model.opset_import:
        opset.version = data.draw(st.integers(1, 30))


CHANGES = (
    change_operator,
    change_attribute,
    drop_attribute,
    change_inputs,
    change_shape,
    change_type,
    fix_input,
    change_opset,
)
