"""Layers and layouts of Keras 1 and 2 that Keras 3 cannot write, against NumPy or its successors.

The whole files of these versions are in test_shared_models.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.frontends.layer_cases import L
from tests.frontends.oracle import Array, assert_close, called, keras, sample
from webconv.frontends.keras import load
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Program

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other
RNG = np.random.default_rng(5)


def random(*shape: int) -> Array:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def write(
    path: Path,
    config: Mapping[str, Any],
    arrays: Mapping[str, Sequence[Array]],
    version: str,
    backend: str = "",
    suffix: str = "",
) -> Path:
    """An `.h5` file as Keras 1 and 2 write it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
        if backend:
            file.attrs["backend"] = backend
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([n.encode() for n in arrays])
        for name, values in arrays.items():
            group = weights.create_group(name)
            names = [f"{name}_{k}{suffix}" for k in range(len(values))]
            group.attrs["weight_names"] = np.array([n.encode() for n in names])
            for key, value in zip(names, values, strict=True):
                group[key] = value
    return path


def one(
    folder: Path,
    class_name: str,
    config: Mapping[str, Any],
    arrays: Sequence[Array],
    shape: Sequence[int | None],
    version: str = "1.2.2",
    **given: str,
) -> Program:
    """A Sequential of one layer."""
    entry = {
        "class_name": class_name,
        "config": {"name": "it", "batch_input_shape": [None, *shape], **config},
    }
    layers: Any = [entry] if version.startswith("1") else {"name": "s", "layers": [entry]}
    model = {"class_name": "Sequential", "config": layers}
    return load(write(folder / "m.h5", model, {"it": arrays}, version, **given))


def output(program: Program, *arrays: Array) -> Array:
    (result,) = program.run(dict(zip(program.main.inputs, arrays, strict=True))).values()
    return result


def keras_model(layer: Any, shape: Sequence[int], weights: Sequence[Array]) -> Any:
    model = keras.Sequential([keras.Input(tuple(shape)), layer])
    model.set_weights(weights)
    return model


# cuDNN's layouts, as keras.engine.saving of Keras 2 makes them --------------------------------


def to_cudnn(weights: Sequence[Array], gates: int) -> list[Array]:
    kernel, recurrent, bias = weights
    split = lambda w: np.split(w, gates, axis=1)  # noqa: E731
    return [
        np.hstack([k.T.reshape(k.shape) for k in split(kernel)]),
        np.hstack([k.T for k in split(recurrent)]),
        np.tile(0.5 * bias, 2) if bias.ndim == 1 else bias.reshape(-1),
    ]


@pytest.mark.parametrize("class_name", ["CuDNNLSTM", "LSTM"])
def test_cudnn_lstm(class_name: str, tmp_path: Path) -> None:
    weights = [random(3, 8), random(2, 8), random(8)]
    config = {"units": 2, "return_sequences": True, "recurrent_activation": "sigmoid"}
    config |= {"name": "it"} if class_name == "LSTM" else {"go_backwards": False}
    program = one(tmp_path, class_name, config, to_cudnn(weights, 4), (4, 3), "2.1.6")
    x = sample((2, 4, 3), "float32")
    want = called(keras_model(L.LSTM(2, return_sequences=True), (4, 3), weights), [x])[0]
    assert_close(output(program, x), want)


def test_cudnn_gru(tmp_path: Path) -> None:
    weights = [random(3, 6), random(2, 6), random(2, 6)]
    program = one(tmp_path, "CuDNNGRU", {"units": 2}, to_cudnn(weights, 3), (4, 3), "2.1.6")
    x = sample((2, 4, 3), "float32")
    assert_close(output(program, x), called(keras_model(L.GRU(2), (4, 3), weights), [x])[0])


def test_gru_older_than_reset_after(tmp_path: Path) -> None:
    weights = [random(3, 6), random(2, 6), random(6)]
    program = one(tmp_path, "GRU", {"units": 2}, weights, (4, 3), "2.0.8")
    layer = L.GRU(
        2, reset_after=False, recurrent_activation=lambda x: keras.ops.clip(0.2 * x + 0.5, 0, 1)
    )
    x = sample((2, 4, 3), "float32")
    assert_close(output(program, x), called(keras_model(layer, (4, 3), weights), [x])[0])


# Convolutions ---------------------------------------------------------------------------------


def correlate(x: Array, w: Array, padded: tuple[int, int], stride: int) -> Array:
    """x [B, T, I], w [K, I, O] -> [B, T', O]."""
    x = np.pad(x, ((0, 0), padded, (0, 0)))
    starts = range(0, x.shape[1] - len(w) + 1, stride)
    return np.stack([np.einsum("bki,kio->bo", x[:, s : s + len(w)], w) for s in starts], 1)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_theano_same_padding(kernel: int, stride: int, tmp_path: Path) -> None:
    """Half the kernel on both sides, and what is too many at the end cut off."""
    w = random(kernel, 3, 2)
    config = {
        "filters": 2,
        "kernel_size": [kernel],
        "strides": [stride],
        "padding": "same",
        "use_bias": False,
    }
    x = sample((2, 7, 3), "float32")
    program = one(tmp_path, "Conv1D", config, [w], (7, 3), "2.2.4", backend="theano")
    want = correlate(x, w[::-1], (kernel // 2, kernel // 2), stride)[:, : -(-7 // stride)]
    assert_close(output(program, x), want)


@pytest.mark.parametrize(("suffix", "flips"), [("", True), (":0", False)])
def test_keras_1_tells_its_backend_by_the_names_of_weights(
    suffix: str, flips: bool, tmp_path: Path
) -> None:
    w = random(3, 1, 4, 2)
    config = {
        "nb_filter": 2,
        "filter_length": 3,
        "border_mode": "valid",
        "bias": False,
        "subsample_length": 2,
        "input_dim": 4,
        "input_length": 7,
        "activation": "linear",
    }
    program = one(tmp_path, "Convolution1D", config, [w], (7, 4), suffix=suffix)
    x = sample((2, 7, 4), "float32")
    kernel = w[::-1, 0] if flips else w[:, 0]
    assert_close(output(program, x), correlate(x, kernel, (0, 0), 2))


def test_keras_1_oldest_kernel_of_one_dimension(tmp_path: Path) -> None:
    w = random(2, 4, 3, 1)
    config = {"nb_filter": 2, "filter_length": 3, "bias": False}
    program = one(tmp_path, "Convolution1D", config, [w], (7, 4), suffix=":0")
    x = sample((2, 7, 4), "float32")
    assert_close(output(program, x), correlate(x, w[..., 0].transpose(2, 1, 0), (0, 0), 1))


@pytest.mark.parametrize("ordering", ["tf", "th"])
@pytest.mark.parametrize(
    ("class_name", "extra", "successor"),
    [
        ("Convolution2D", {"subsample": [2, 1]}, lambda: L.Conv2D(5, (2, 3), (2, 1))),
        (
            "AtrousConvolution2D",
            {"atrous_rate": [2, 1]},
            lambda: L.Conv2D(5, (2, 3), dilation_rate=(2, 1)),
        ),
        (
            "Deconvolution2D",
            {"subsample": [2, 2], "output_shape": [None, 14, 13, 5]},
            lambda: L.Conv2DTranspose(5, (2, 3), 2),
        ),
    ],
)
def test_keras_1_convolutions(
    class_name: str, extra: Any, successor: Callable[[], Any], ordering: str, tmp_path: Path
) -> None:
    w, b = random(2, 3, 4, 5), random(5)
    stored = w if ordering == "tf" else w.transpose(3, 2, 0, 1)
    config = {
        "nb_filter": 5,
        "nb_row": 2,
        "nb_col": 3,
        "border_mode": "valid",
        "bias": True,
        "dim_ordering": ordering,
        "activation": "relu",
        "W_regularizer": None,
        **extra,
    }
    shape = (7, 6, 4) if ordering == "tf" else (4, 7, 6)
    program = one(tmp_path, class_name, config, [stored, b], shape, suffix=":0")
    x = sample((2, 7, 6, 4), "float32")
    kernel = w.transpose(0, 1, 3, 2) if class_name == "Deconvolution2D" else w
    want = np.maximum(called(keras_model(successor(), (7, 6, 4), [kernel, b]), [x])[0], 0)
    if ordering == "th":
        got = output(program, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    else:
        got = output(program, x)
    assert_close(got, want)


@pytest.mark.parametrize("first", [False, True])
def test_locally_connected(first: bool, tmp_path: Path) -> None:
    x, bias = sample((2, 5, 4, 3), "float32"), random(2, 3, 2)
    kernel = random(6, 12, 2)
    config = {
        "filters": 2,
        "kernel_size": [2, 2],
        "strides": [2, 1],
        "implementation": 1,
        "data_format": "channels_first" if first else "channels_last",
    }
    given = x.transpose(0, 3, 1, 2) if first else x
    program = one(tmp_path, "LocallyConnected2D", config, [kernel, bias], given.shape[1:], "2.2.4")
    want = np.zeros((2, 2, 3, 2), np.float32)
    for i in range(2):
        for j in range(3):
            patch = x[:, 2 * i : 2 * i + 2, j : j + 2]
            patch = patch.transpose(0, 3, 1, 2) if first else patch
            want[:, i, j] = patch.reshape(2, -1) @ kernel[3 * i + j] + bias[i, j]
    got = output(program, given)
    assert_close(got.transpose(0, 2, 3, 1) if first else got, want)


def test_locally_connected_1d(tmp_path: Path) -> None:
    x, kernel = sample((2, 5, 3), "float32"), random(4, 6, 2)
    config = {"filters": 2, "kernel_size": [2], "use_bias": False}
    program = one(tmp_path, "LocallyConnected1D", config, [kernel], (5, 3), "2.2.4")
    want = np.stack([x[:, t : t + 2].reshape(2, 6) @ kernel[t] for t in range(4)], 1)
    assert_close(output(program, x), want)


# Other layers of Keras 1 ----------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def test_highway(tmp_path: Path) -> None:
    w, carry, b, b_carry = random(4, 4), random(4, 4), random(4), random(4)
    config = {"activation": "tanh", "bias": True, "input_dim": 4, "transform_bias": -2}
    program = one(tmp_path, "Highway", config, [w, carry, b, b_carry], (4,))
    x = sample((3, 4), "float32")
    gate = sigmoid(x @ carry + b_carry)
    assert_close(output(program, x), gate * np.tanh(x @ w + b) + (1 - gate) * x)


def test_maxout_dense(tmp_path: Path) -> None:
    w, b = random(3, 4, 2), random(3, 2)
    config = {"output_dim": 2, "nb_feature": 3, "bias": True, "input_dim": 4}
    program = one(tmp_path, "MaxoutDense", config, [w, b], (4,))
    x = sample((5, 4), "float32")
    assert_close(output(program, x), (np.einsum("bi,fio->bfo", x, w) + b).max(1))


def test_time_distributed_dense(tmp_path: Path) -> None:
    w, b = random(4, 2), random(2)
    config = {
        "output_dim": 2,
        "activation": "relu",
        "bias": True,
        "input_dim": 4,
        "input_length": 3,
        "init": "uniform",
    }
    program = one(tmp_path, "TimeDistributedDense", config, [w, b], (3, 4))
    x = sample((5, 3, 4), "float32")
    assert_close(output(program, x), np.maximum(x @ w + b, 0))


def test_learnt_activations(tmp_path: Path) -> None:
    x = sample((5, 4), "float32") * 2
    alpha, beta = random(4), random(4)
    program = one(tmp_path, "ParametricSoftplus", {"alpha_init": 0.2}, [alpha, beta], (4,))
    assert_close(output(program, x), alpha * np.logaddexp(beta * x, 0))
    t, a, r, s = random(4), random(4), random(4), random(4)
    program = one(tmp_path, "SReLU", {"shared_axes": None}, [t, a, r, s], (4,))
    high = t + np.abs(r)
    want = np.where(x < t, t + a * (x - t), np.where(x > high, high + s * (x - high), x))
    assert_close(output(program, x), want)
    program = one(tmp_path, "LeakyReLU", {"alpha": 0.25}, [], (4,), "2.2.4")
    assert_close(output(program, x), np.where(x > 0, x, 0.25 * x))
    program = one(tmp_path, "ThresholdedReLU", {"theta": 0.5}, [], (4,), "2.2.4")
    assert_close(output(program, x), np.where(x > 0.5, x, 0))


def test_batch_normalization_modes(tmp_path: Path) -> None:
    x, g, b = sample((5, 4), "float32"), random(4), random(4)
    stats = [random(4), np.abs(random(4)) + 1]
    config = {"mode": 1, "epsilon": 0.01, "axis": -1}
    program = one(tmp_path, "BatchNormalization", config, [g, b], (4,))
    middle = x - x.mean(-1, keepdims=True)
    std = np.sqrt((middle**2).mean(-1, keepdims=True) + 0.01)
    assert_close(output(program, x), middle / (std + 0.01) * g + b)
    config = {"mode": 0, "epsilon": 0.01, "axis": -1, "momentum": 0.9, "gamma_init": "one"}
    program = one(tmp_path, "BatchNormalization", config, [g, b, *stats], (4,))
    assert_close(output(program, x), (x - stats[0]) / np.sqrt(stats[1] + 0.01) * g + b)
    with pytest.raises(UnsupportedError, match="BatchNormalization it: no layer of this class"):
        one(tmp_path, "BatchNormalization", {"mode": 2}, [g, b, *stats], (4,))


def test_padding_and_up_sampling(tmp_path: Path) -> None:
    x = sample((1, 2, 3, 2), "float32")
    pads = {"top_pad": 1, "bottom_pad": 2, "left_pad": 0, "right_pad": 1}
    config = {"padding": pads, "dim_ordering": "tf"}
    program = one(tmp_path, "ZeroPadding2D", config, [], (2, 3, 2))
    assert_close(output(program, x), np.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))))
    program = one(tmp_path, "ZeroPadding2D", {**config, "padding": [1, 2, 0, 1]}, [], (2, 3, 2))
    assert_close(output(program, x), np.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))))
    program = one(tmp_path, "UpSampling1D", {"length": 3}, [], (3, 2))
    assert_close(output(program, x[:, 0]), np.repeat(x[:, 0], 3, 1))
    config = {"pool_length": 2, "stride": 1, "border_mode": "valid"}
    program = one(tmp_path, "MaxPooling1D", config, [], (3, 2))
    assert_close(output(program, x[:, 0]), np.maximum(x[:, 0, :-1], x[:, 0, 1:]))


@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "max", "concat", "dot", "cos"])
def test_merge_modes(mode: str, tmp_path: Path) -> None:
    entries = [
        {
            "class_name": "InputLayer",
            "name": n,
            "inbound_nodes": [],
            "config": {"name": n, "batch_input_shape": [None, 3], "input_dtype": "float32"},
        }
        for n in "ab"
    ]
    config = {
        "name": "m",
        "mode": mode,
        "mode_type": "raw",
        "concat_axis": -1,
        "dot_axes": -1,
        "arguments": {},
        "output_shape": None,
    }
    merge = {
        "class_name": "Merge",
        "name": "m",
        "config": config,
        "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]],
    }
    model = {
        "class_name": "Model",
        "config": {
            "name": "x",
            "layers": [*entries, merge],
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["m", 0, 0]],
        },
    }
    a, b = sample((2, 3), "float32", 1), sample((2, 3), "float32", 2)
    dot = (a * b).sum(1, keepdims=True)
    lengths = np.sqrt((a * a).sum(1) * (b * b).sum(1))[:, None]
    want = {
        "sum": a + b,
        "mul": a * b,
        "ave": (a + b) / 2,
        "max": np.maximum(a, b),
        "concat": np.concatenate([a, b], 1),
        "dot": dot,
        "cos": (dot / lengths)[:, None],
    }[mode]
    program = load(write(tmp_path / "m.h5", model, {}, "1.2.2"))
    assert_close(output(program, a, b), want)


def test_merge_by_a_function_is_the_users_code(tmp_path: Path) -> None:
    config = {"mode": "lambda x: x", "mode_type": "lambda", "layers": []}
    with pytest.raises(UnsupportedError, match=r"Merge it: .*the file does not hold as data"):
        one(tmp_path, "Merge", config, [], (3,))


# Functional models of Keras 2 -----------------------------------------------------------------


def functional(
    path: Path, layers: Sequence[Mapping[str, Any]], outputs: Any, arrays: Any = None
) -> Program:
    entry = {
        "class_name": "InputLayer",
        "name": "x",
        "inbound_nodes": [],
        "config": {"name": "x", "batch_input_shape": [None, 4, 3], "dtype": "float32"},
    }
    model = {
        "class_name": "Functional",
        "config": {
            "name": "f",
            "layers": [entry, *layers],
            "input_layers": [["x", 0, 0]],
            "output_layers": outputs,
        },
    }
    return load(write(path / "m.h5", model, arrays or {}, "2.9.0", "tensorflow"))


def operation(name: str, function: str, node: Any) -> dict[str, Any]:
    return {
        "class_name": "TFOpLambda",
        "name": name,
        "inbound_nodes": [node],
        "config": {"name": name, "trainable": True, "dtype": "float32", "function": function},
    }


X = ["x", 0, 0]
TF_CALLS: list[tuple[str, Any, Callable[[Array], Array]]] = [
    ("math.multiply", [*X, {"y": 2.0, "name": None}], lambda x: x * 2),
    ("__operators__.add", [*X, {"y": ["x", 0, 0], "name": None}], lambda x: x + x),
    ("math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}], lambda x: 1 - x),
    ("math.truediv", [*X, {"y": 4, "name": None}], lambda x: x / 4),
    ("math.reduce_mean", [*X, {"axis": 1, "keepdims": True}], lambda x: x.mean(1, keepdims=True)),
    ("math.reduce_sum", [*X, {"axis": [1, 2]}], lambda x: x.sum((1, 2))),
    ("expand_dims", [*X, {"axis": -1}], lambda x: x[..., None]),
    ("transpose", [*X, {"perm": [0, 2, 1]}], lambda x: x.transpose(0, 2, 1)),
    ("reshape", [*X, {"shape": [-1, 12]}], lambda x: x.reshape(-1, 12)),
    ("concat", [[*X, {"axis": 1}], [*X, {"axis": 1}]], lambda x: np.concatenate([x, x], 1)),
    ("clip_by_value", [*X, {"clip_value_min": -1, "clip_value_max": 1}], lambda x: x.clip(-1, 1)),
    ("nn.softmax", [*X, {"axis": -1}], lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    ("nn.leaky_relu", [*X, {"alpha": 0.3}], lambda x: np.where(x > 0, x, 0.3 * x)),
    ("cast", [*X, {"dtype": "int32"}], lambda x: x.astype("int32")),
    ("math.greater", [*X, {"y": 0.0}], lambda x: x > 0),
    ("linalg.matmul", [*X, {"b": X, "transpose_b": True}], lambda x: x @ x.transpose(0, 2, 1)),
    ("tile", [*X, {"multiples": [1, 2, 1]}], lambda x: np.tile(x, (1, 2, 1))),
    (
        "pad",
        [*X, {"paddings": [[0, 0], [1, 0], [0, 2]]}],
        lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2))),
    ),
    ("math.top_k", [*X, {"k": 2}], lambda x: np.sort(x)[..., ::-1][..., :2]),
    ("math.l2_normalize", [*X, {"axis": 1}], lambda x: x / np.sqrt((x * x).sum(1, keepdims=True))),
    ("split", [*X, {"num_or_size_splits": [1, 3], "axis": 1}], lambda x: x[:, :1]),
    ("compat.v1.transpose", [*X, {"perm": [0, 2, 1], "conjugate": False}], lambda x: x.mT),
    ("compat.v1.squeeze", [*X, {"axis": None, "squeeze_dims": None}], lambda x: x),
    (
        "compat.v1.gather",
        [*X, {"indices": [0, 2], "axis": 1, "batch_dims": 0}],
        lambda x: x[:, [0, 2]],
    ),
    (
        "compat.v1.pad",
        [*X, {"paddings": [[0, 0], [1, 1], [0, 0]], "mode": "REFLECT", "constant_values": 0}],
        lambda x: np.pad(x, ((0, 0), (1, 1), (0, 0)), "reflect"),
    ),
    (
        "compat.v1.norm",
        [*X, {"ord": "euclidean", "axis": -1, "keepdims": None}],
        lambda x: np.linalg.norm(x, axis=-1),
    ),
    ("math.add_n", [[*X, {}], [*X, {}]], lambda x: 2 * x),
    ("math.squared_difference", [*X, {"y": 1.0}], lambda x: (x - 1) ** 2),
    ("linalg.band_part", [*X, {"num_lower": -1, "num_upper": 0}], np.tril),
    ("linalg.band_part", [*X, {"num_lower": 1, "num_upper": -1}], lambda x: np.triu(x, -1)),
    ("slice", [*X, {"begin": [0, 1, 0], "size": [-1, 2, -1]}], lambda x: x[:, 1:3]),
    ("keras.backend.batch_flatten", [*X, {}], lambda x: x.reshape(2, 12)),
]


@pytest.mark.parametrize(("name", "node", "want"), TF_CALLS, ids=[c[0] for c in TF_CALLS])
def test_tensorflow_functions(name: str, node: Any, want: Any, tmp_path: Path) -> None:
    x = sample((2, 4, 3), "float32")
    layers = [operation("t", f"{name}", node)]
    program = functional(tmp_path, layers, [["t", 0, 0]])
    assert_close(output(program, x), want(x))


def test_shapes_that_are_computed(tmp_path: Path) -> None:
    """`tf.shape(x)[0]` and what is made of it, in shapes and ranges; the batch stays open."""
    item = {"class_name": "SlicingOpLambda"}
    size = ["shape", 0, 0]
    layers = [
        operation("shape", "compat.v1.shape", [*X, {"out_type": "int32"}]),
        operation("batch", "__operators__.getitem", [*size, {"slice_spec": 0}]) | item,
        operation("time", "__operators__.getitem", [*size, {"slice_spec": 1}]) | item,
        operation("all", "math.multiply", ["time", 0, 0, {"y": 3}]),
        operation("flat", "reshape", [*X, {"shape": [["batch", 0, 0], ["all", 0, 0]]}]),
        operation("places", "range", ["all", 0, 0, {}]),
        operation("cast", "cast", ["places", 0, 0, {"dtype": "float32"}]),
        operation("sum", "math.add", ["flat", 0, 0, {"y": ["cast", 0, 0]}]),
    ]
    program = functional(tmp_path, layers, [["sum", 0, 0]])
    for batch in (2, 3):
        x = sample((batch, 4, 3), "float32")
        assert_close(output(program, x), x.reshape(batch, 12) + np.arange(12, dtype="f4"))


def test_tensorflow_function_that_lacks_a_tensor(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"math\.add takes 2 tensors, but 1 are given"):
        functional(tmp_path, [operation("t", "math.add", [*X, {}])], [["t", 0, 0]])


def test_tensorflow_function_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedError, match=r"TensorFlow function 'signal\.fft' is not supported"
    ):
        functional(tmp_path, [operation("t", "signal.fft", [*X, {}])], [["t", 0, 0]])


def test_slices_of_keras_2(tmp_path: Path) -> None:
    spec = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": 2}, -1]
    layer = {
        "class_name": "SlicingOpLambda",
        "name": "s",
        "config": {"name": "s", "trainable": True, "function": "__operators__.getitem"},
        "inbound_nodes": [[*X, {"slice_spec": spec}]],
    }
    x = sample((2, 4, 3), "float32")
    assert_close(output(functional(tmp_path, [layer], [["s", 0, 0]]), x), x[:, 1::2, -1])


def test_masks_of_words_in_sentences(tmp_path: Path) -> None:
    """TimeDistributed in Keras 2 hands the inner layer's mask on to the next."""
    table, lstm = random(5, 3), [random(3, 8), random(2, 8), random(8)]
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"name": "ids", "batch_input_shape": [None, 3, 4], "dtype": "int32"},
        },
        {
            "class_name": "TimeDistributed",
            "config": {
                "name": "words",
                "layer": {
                    "class_name": "Embedding",
                    "config": {"name": "e", "input_dim": 5, "output_dim": 3, "mask_zero": True},
                },
            },
        },
        {
            "class_name": "TimeDistributed",
            "config": {
                "name": "reader",
                "layer": {
                    "class_name": "LSTM",
                    "config": {"name": "l", "units": 2, "recurrent_activation": "sigmoid"},
                },
            },
        },
    ]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {"words": [table], "reader": lstm}
    program = load(write(tmp_path / "m.h5", model, weights, "2.9.0", "tensorflow"))
    ids = np.array([[[1, 2, 0, 0], [3, 0, 4, 0], [4, 4, 4, 4]]], np.int32)
    keras_lstm = keras_model(L.LSTM(2), (4, 3), lstm)
    for row, got in zip(ids[0], output(program, ids)[0], strict=True):
        kept = table[row[row > 0]][None]
        want = keras.Sequential([keras.Input((None, 3)), keras_lstm.layers[0]])
        assert_close(got, called(want, [kept])[0][0])


def test_old_layers_in_a_dict_of_policies(tmp_path: Path) -> None:
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    program = one(
        tmp_path,
        "Dense",
        {"units": 2, "dtype": policy, "use_bias": False},
        [random(4, 2)],
        (4,),
        "2.4.0",
    )
    assert str(next(iter(program.main.outputs.values())).type.dtype) == "f16"


def test_time_comes_first(tmp_path: Path) -> None:
    weights = [random(3, 8), random(2, 8), random(8)]
    config = {
        "units": 2,
        "time_major": True,
        "return_sequences": True,
        "recurrent_activation": "sigmoid",
    }
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [4, None, 3]}},
        {"class_name": "LSTM", "config": {"name": "it", **config}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    program = load(write(tmp_path / "m.h5", model, {"it": weights}, "2.9.0", "tensorflow"))
    x = sample((2, 4, 3), "float32")
    want = called(keras_model(L.LSTM(2, return_sequences=True), (4, 3), weights), [x])[0]
    got = output(program, x.transpose(1, 0, 2))
    assert_close(got.transpose(1, 0, 2), want)
