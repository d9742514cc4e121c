"""Damaged and hostile ONNX files: one clear error, in bounded time, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import webconv
from webconv.ir.errors import WebconvError

F = TensorProto.FLOAT


def model(
    nodes: list[onnx.NodeProto],
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
    shape: tuple[object, ...] = (2, 3),
    initializers: tuple[onnx.TensorProto, ...] = (),
    functions: tuple[onnx.FunctionProto, ...] = (),
    opset: int = 21,
) -> onnx.ModelProto:
    """A model of f32 inputs of one shape."""
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info(n, F, shape) for n in inputs],
        [helper.make_tensor_value_info(n, F, None) for n in outputs],
        list(initializers),
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def node(kind: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node; names are separated by spaces."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def refused(proto: onnx.ModelProto | bytes, folder: Path, seconds: float = 5) -> str:
    """The one line with which a model is refused."""
    path = folder / "model.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    start = time.perf_counter()
    with pytest.raises(WebconvError) as error:
        webconv.load(path, frontend="onnx")
    assert time.perf_counter() - start < seconds
    message = str(error.value)
    assert "\n" not in message
    return message


def test_truncated_at_every_length(tmp_path: Path) -> None:
    whole = model([node("Relu", "x", "y")]).SerializeToString()
    for length in range(1, len(whole)):
        path = tmp_path / "model.onnx"
        path.write_bytes(whole[:length])
        try:
            webconv.load(path, frontend="onnx")
        except WebconvError as error:
            assert "\n" not in str(error)


def test_random_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 10, 100, 10_000):
        refused(rng.integers(0, 256, size, np.uint8).tobytes(), tmp_path)


BAD: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a dangling name": (
        lambda: model([node("Add", "x ghost", "y")]),
        "Add 'y': 'ghost' is used before it is computed",
    ),
    "a cycle": (
        lambda: model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]),
        "'b' is used before it is computed: the graph has a cycle",
    ),
    "an output that nothing computes": (lambda: model([node("Relu", "x", "z")]), "'y' is used"),
    "a type clash": (
        lambda: model([node("Cast", "x", "i", to=TensorProto.INT32), node("Add", "x i", "y")]),
        "inputs must share a dtype, but they are f32, i32",
    ),
    "shapes that do not broadcast": (
        lambda: model([node("Transpose", "x", "t"), node("Add", "x t", "y")]),
        "shapes must broadcast",
    ),
    "an unknown operator": (lambda: model([node("Teleport", "x", "y")]), "operator Teleport"),
    "an operator of training": (
        lambda: model([helper.make_node("Adam", ["x"], ["y"], domain="ai.onnx.preview.training")]),
        "operator ai.onnx.preview.training.Adam",
    ),
    "too few inputs": (lambda: model([node("Add", "x", "y")]), "does not fit its inputs"),
    "too many inputs": (lambda: model([node("Relu", "x x x", "y")]), "does not fit its inputs"),
    "an unknown attribute": (
        lambda: model([node("Relu", "x", "y", speed=3)]),
        "unknown attribute speed",
    ),
    "a missing attribute": (lambda: model([node("Cast", "x", "y")]), "does not fit its inputs"),
    "an axis out of range": (
        lambda: model([node("Softmax", "x", "y", axis=7)]),
        "axis must lie in [-2, 1], but it is 7",
    ),
    "an opset that is too old": (
        lambda: model([node("Relu", "x", "y")], opset=3),
        "opset 3 is older than 7",
    ),
    "an opset of the future": (
        lambda: model([node("Relu", "x", "y")], opset=9999),
        "opset 9999 is newer",
    ),
    "a huge constant": (
        lambda: model(
            [node("Relu", "x", "y")],
            initializers=(TensorProto(name="w", data_type=F, dims=[1 << 40]),),
        ),
        "which no page could load",
    ),
    "a constant without its data": (
        lambda: model(
            [node("Add", "x w", "y")],
            initializers=(TensorProto(name="w", data_type=F, dims=[2, 3], raw_data=b"abc"),),
        ),
        "tensor 'w' is damaged",
    ),
    "a negative size": (
        lambda: model(
            [node("Add", "x w", "y")],
            initializers=(TensorProto(name="w", data_type=F, dims=[-2, 3]),),
        ),
        "tensor 'w' has the shape [-2, 3]",
    ),
    "a huge expansion": (
        lambda: model(
            [node("Expand", "x s", "e"), node("ReduceSum", "e", "y")],
            initializers=(numpy_helper.from_array(np.array([1 << 40, 2, 3]), "s"),),
        ),
        "",
    ),
    "strings": (
        lambda: model(
            [node("Add", "x w", "y")],
            initializers=(helper.make_tensor("w", TensorProto.STRING, [1], [b"a"]),),
        ),
        "tensors of string",
    ),
}


@pytest.mark.parametrize("name", [n for n in BAD if n != "a huge expansion"])
def test_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, rule = BAD[name]
    assert rule in refused(make(), tmp_path)


def test_a_huge_expansion_takes_no_memory_to_convert(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(BAD["a huge expansion"][0]().SerializeToString())
    start = time.perf_counter()
    try:
        webconv.convert(path, tmp_path / "out", backends=["wasm"])
    except WebconvError as error:
        assert "\n" not in str(error)
    assert time.perf_counter() - start < 10


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    nodes = [node("Teleport", "x", "a"), node("Levitate", "a", "b"), node("Teleport", "b", "y")]
    message = refused(model(nodes), tmp_path)
    assert "operator Teleport (2)" in message
    assert "operator Levitate" in message


def test_functions_that_call_each_other(tmp_path: Path) -> None:
    def function(name: str, calls: str) -> onnx.FunctionProto:
        body = [helper.make_node(calls, ["a"], ["b"], domain="own")]
        imports = [helper.make_opsetid("own", 1)]
        return helper.make_function("own", name, ["a"], ["b"], body, imports)

    proto = model(
        [helper.make_node("Ping", ["x"], ["y"], domain="own")],
        functions=(function("Ping", "Pong"), function("Pong", "Ping")),
    )
    assert "functions call each other more than" in refused(proto, tmp_path)


def test_functions_that_double(tmp_path: Path) -> None:
    """Twenty functions that each call the next twice would be a million nodes."""
    functions = [
        helper.make_function(
            "own",
            f"F{k}",
            ["a"],
            ["c"],
            [
                helper.make_node(f"F{k + 1}", ["a"], ["b"], domain="own"),
                helper.make_node(f"F{k + 1}", ["b"], ["c"], domain="own"),
            ],
            [helper.make_opsetid("own", 1)],
        )
        for k in range(22)
    ]
    last = helper.make_function(
        "own", "F22", ["a"], ["c"], [node("Relu", "a", "c")], [helper.make_opsetid("", 21)]
    )
    proto = model(
        [helper.make_node("F0", ["x"], ["y"], domain="own")], functions=(*functions, last)
    )
    assert "nodes" in refused(proto, tmp_path, 30)


def nested(depth: int) -> onnx.NodeProto:
    """`If` within `If`."""
    inner = node("Relu", "x", "y0")
    for k in range(depth):
        outputs = [helper.make_tensor_value_info(f"y{k}", F, None)]
        body = helper.make_graph([inner], "body", [], outputs)
        inner = node("If", "c", f"y{k + 1}", then_branch=body, else_branch=body)
    return inner


@pytest.mark.parametrize("depth", [12, 30])
def test_graphs_within_each_other(depth: int, tmp_path: Path) -> None:
    total = node("ReduceSum", "x", "s", keepdims=0)
    condition = node("Cast", "s", "c", to=TensorProto.BOOL)
    if depth > 12:  # A body has two copies of the next: deeper ones are made as bytes.
        inner = node("Relu", "x", "y0")
        for k in range(depth):
            outputs = [helper.make_tensor_value_info(f"y{k}", F, None)]
            body = helper.make_graph([inner], "body", [], outputs)
            other = helper.make_graph([node("Neg", "x", f"y{k}")], "other", [], outputs)
            inner = node("If", "c", f"y{k + 1}", then_branch=body, else_branch=other)
        last = inner
    else:
        last = nested(4)
    proto = model([total, condition, last], outputs=(last.output[0],))
    if depth > 12:
        message = refused(proto, tmp_path)
        assert "deep" in message or "damaged" in message
    else:
        path = tmp_path / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        x = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(webconv.load(path).run({"x": x})["y4"], x)


def external(location: str, **entries: str) -> onnx.TensorProto:
    """A tensor [2, 3] whose data lies in a file."""
    tensor = TensorProto(name="w", data_type=F, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "sub/../../secret.bin", "/etc/hostname", "link.bin", "folder/x", "", "."],
)
def test_external_data_elsewhere(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "folder").symlink_to(tmp_path)
    proto = model([node("Add", "x w", "y")], initializers=(external(location),))
    message = refused(proto, folder)
    assert "tensor 'w' lies in" in message


@pytest.mark.parametrize(
    "entries",
    [{"offset": "-4"}, {"offset": "60"}, {"length": "1"}, {"offset": "x"}, {"length": "99999999"}],
)
def test_external_data_that_does_not_fit(entries: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(64))
    proto = model([node("Add", "x w", "y")], initializers=(external("w.bin", **entries),))
    assert "tensor 'w'" in refused(proto, tmp_path)


def test_external_data(tmp_path: Path) -> None:
    data = np.arange(10, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(data.tobytes())
    proto = model(
        [node("Add", "x w", "y")],
        initializers=(external("w.bin", offset="8", length="24"),),
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    got = webconv.load(path).run({"x": np.zeros((2, 3), np.float32)})["y"]
    np.testing.assert_array_equal(got, data[2:8].reshape(2, 3))
