"""The four recurrent models of the comparison, with seeded weights, as ONNX and as Keras files.

Both files of a model hold the same numbers, so that what two runtimes answer can be compared. The
ONNX graphs are what an exporter writes of the Keras layers, with the batch fixed to 1, which is the
form that lets onnxruntime plan best. Keras is not imported: its HDF5 layout is written as it is.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.files import write_inputs

Array = NDArray[Any]

INPUT = "x"
OPSET = 17


@dataclass(frozen=True)
class Model:
    """A stack of LSTMs, the last of which gives its last output, under one dense layer.

    The input is `steps` token ids below `vocabulary` where there is an embedding, else `steps`
    one-hot rows of that width.
    """

    name: str
    steps: int
    vocabulary: int
    embedding: int | None
    units: tuple[int, ...]
    classes: int
    activation: str


MODELS = {
    model.name: model
    for model in (
        Model("char", 16, 36, None, (128,), 36, "softmax"),
        Model("sent", 80, 20000, 128, (128,), 1, "sigmoid"),
        Model("stack", 80, 20000, 128, (64, 64), 1, "sigmoid"),
        Model("big", 100, 112, 256, (512, 512), 112, "softmax"),
    )
}


@dataclass(frozen=True)
class Weights:
    """Arrays in Keras's layout: gates are i, f, c, o along the last axis.

    `lstm` has a (kernel `[I, 4H]`, recurrent kernel `[H, 4H]`, bias `[4H]`) for each layer.
    """

    embedding: Array | None
    lstm: tuple[tuple[Array, Array, Array], ...]
    dense: tuple[Array, Array]


def make_weights(model: Model) -> Weights:
    """Draw weights of the size that training starts from; the same for the same name, always."""
    rng = np.random.default_rng(zlib.crc32(model.name.encode()))

    def draw(limit: float, *shape: int) -> Array:
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    embedding = draw(0.5, model.vocabulary, model.embedding) if model.embedding else None
    width, layers = model.embedding or model.vocabulary, []
    for units in model.units:
        kernel = draw((6 / (width + 4 * units)) ** 0.5, width, 4 * units)
        recurrent = draw((3 / units) ** 0.5, units, 4 * units)
        bias = draw(0.1, 4 * units)
        bias[units : 2 * units] += 1
        layers.append((kernel, recurrent, bias))
        width = units
    dense = draw((6 / (width + model.classes)) ** 0.5, width, model.classes)
    return Weights(embedding, tuple(layers), (dense, draw(0.1, model.classes)))


def make_ids(model: Model) -> Array:
    """Draw the token ids `[1, T]` of one input, batch 1, as int32."""
    return np.random.default_rng(7).integers(0, model.vocabulary, (1, model.steps), np.int32)


def make_input(model: Model) -> Array:
    """Make the input of those ids: themselves, or one-hot rows `[1, T, V]` as float32."""
    ids = make_ids(model)
    return ids if model.embedding else np.eye(model.vocabulary, dtype=np.float32)[ids]


def onnx_model(model: Model, weights: Weights) -> onnx.ModelProto:
    """Build the ONNX graph: Gather, Transpose, LSTM..., Squeeze, Gemm, Softmax or Sigmoid."""
    graph = _OnnxGraph()
    value = INPUT
    if weights.embedding is not None:
        value = graph.add("Gather", [graph.constant(weights.embedding), value])
    value = graph.add("Transpose", [value], perm=[1, 0, 2])
    for index, arrays in enumerate(weights.lstm):
        value = graph.lstm(value, arrays, sequences=index + 1 < len(weights.lstm))
    kernel, bias = (graph.constant(array) for array in weights.dense)
    value = graph.add("Gemm", [value, kernel, bias])
    last = {"softmax": "Softmax", "sigmoid": "Sigmoid"}[model.activation]
    graph.add(last, [value], output="y", **({"axis": -1} if last == "Softmax" else {}))
    return graph.build(make_input(model), [1, model.classes])


class _OnnxGraph:
    """Collects nodes and constants under names of their own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: Array) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def lstm(self, value: str, arrays: tuple[Array, Array, Array], *, sequences: bool) -> str:
        """Add an LSTM and the Squeeze of its direction axis, of Y `[T,1,B,H]` or Y_h `[1,B,H]`."""
        kernel, recurrent, bias = (_iofc(array) for array in arrays)
        both = np.concatenate([bias, np.zeros_like(bias)])
        inputs = [value, *(self.constant(array[None]) for array in (kernel, recurrent, both))]
        name = f"value_{len(self.nodes)}"
        outputs = [name] if sequences else ["", name]
        self.nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=arrays[1].shape[0]))
        axis = self.constant(np.array([1 if sequences else 0]))
        return self.add("Squeeze", [name, axis])

    def build(self, example: Array, output_shape: list[int]) -> onnx.ModelProto:
        dtype = helper.np_dtype_to_tensor_dtype(example.dtype)
        graph = helper.make_graph(
            self.nodes,
            "benchmark",
            [helper.make_tensor_value_info(INPUT, dtype, example.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        built = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(built, full_check=True)
        return built


def _iofc(array: Array) -> Array:
    """Turn Keras's i, f, c, o columns into ONNX's i, o, f, c rows."""
    i, f, c, o = np.split(array, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1).T


def keras_config(model: Model) -> dict[str, Any]:
    """Write the Sequential config as Keras 2.15 does, where it differs from the defaults."""
    dtype = "int32" if model.embedding else "float32"
    shape = [None, model.steps, *([] if model.embedding else [model.vocabulary])]
    layers = [_layer("InputLayer", name=INPUT, batch_input_shape=shape, dtype=dtype)]
    if model.embedding:
        size = {"input_dim": model.vocabulary, "output_dim": model.embedding}
        layers.append(_layer("Embedding", name="embedding", mask_zero=False, **size))
    for index, units in enumerate(model.units):
        layers.append(
            _layer(
                "LSTM",
                name=f"lstm_{index}",
                units=units,
                activation="tanh",
                recurrent_activation="sigmoid",
                use_bias=True,
                return_sequences=index + 1 < len(model.units),
            )
        )
    dense = {"units": model.classes, "activation": model.activation, "use_bias": True}
    layers.append(_layer("Dense", name="dense", **dense))
    return {"class_name": "Sequential", "config": {"name": model.name, "layers": layers}}


def _layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"dtype": "float32", **config}}


def write_keras(model: Model, weights: Weights, path: Path) -> None:
    """Write a full-model HDF5 file in the layout of Keras 2."""
    layers: dict[str, dict[str, Array]] = {}
    if weights.embedding is not None:
        layers["embedding"] = {"embedding/embeddings:0": weights.embedding}
    for index, arrays in enumerate(weights.lstm):
        names = [f"lstm_{index}/lstm_cell/{part}:0" for part in ("kernel", "recurrent_kernel")]
        layers[f"lstm_{index}"] = dict(
            zip([*names, f"lstm_{index}/lstm_cell/bias:0"], arrays, strict=True)
        )
    layers["dense"] = dict(zip(["dense/kernel:0", "dense/bias:0"], weights.dense, strict=True))
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for holder in (file, group):
            holder.attrs["keras_version"] = "2.15.0"
            holder.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(keras_config(model))
        group.attrs["layer_names"] = list(layers)
        for name, arrays_by_name in layers.items():
            layer = group.create_group(name)
            layer.attrs["weight_names"] = list(arrays_by_name)
            for weight, array in arrays_by_name.items():
                layer.create_dataset(weight, data=array)


def write_models(names: list[str], folder: Path) -> None:
    """Write NAME.onnx, NAME.h5 and NAME.inputs.json for each model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        model = MODELS[name]
        weights = make_weights(model)
        (folder / f"{name}.onnx").write_bytes(onnx_model(model, weights).SerializeToString())
        write_keras(model, weights, folder / f"{name}.h5")
        write_inputs({INPUT: make_input(model)}, folder / f"{name}.inputs.json")
