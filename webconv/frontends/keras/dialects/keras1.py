"""Keras 1: other names of arguments, a Merge layer with a mode, weights as one array per gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from webconv.frontends.keras.layers import RULES as LAYERS
from webconv.frontends.keras.layers.retired import RULES as RETIRED
from webconv.frontends.keras.schema import words
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir.op import Array

Config = dict[str, Any]

# Arguments that mean nothing at inference.
DROPPED = frozenset(
    words(
        "init inner_init forget_bias_init gamma_init beta_init alpha_init "
        "W_learning_rate_multiplier b_learning_rate_multiplier dropout_W dropout_U "
        "weights W_regularizer U_regularizer b_regularizer W_constraint b_constraint "
        "t_left_init a_left_init t_right_init a_right_init"
    )
)
ARGUMENTS = {
    "bias": "use_bias",
    "inner_activation": "recurrent_activation",
    "border_mode": "padding",
    "nb_filter": "filters",
    "subsample": "strides",
    "subsample_length": "strides",
    "filter_length": "kernel_size",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "dim_ordering": "data_format",
    "p": "rate",
    "sigma": "stddev",
}
ORDERINGS = {"tf": "channels_last", "th": "channels_first", "default": None}
KERNELS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "MergeCosine",
}
# Classes whose `output_dim` is what Keras 3 calls `units`.
UNITS = frozenset(["Dense", "TimeDistributedDense", "LSTM", "GRU", "SimpleRNN", "MaxoutDense"])


def canonical(name: str, config: Config) -> tuple[str, Config]:
    """The key of the rule, and the config in the words of Keras 2."""
    if name == "Merge":
        return _merge(config)
    renamed = {ARGUMENTS.get(k, k): v for k, v in config.items() if k not in DROPPED}
    if name == "Embedding":
        renamed.pop("dropout", None)
    if name in UNITS and "output_dim" in renamed:
        renamed["units"] = renamed.pop("output_dim")
    if name in UNITS or name in CLASSES or name.startswith(("Conv", "Locally")):
        for gone in ("input_dim", "input_length"):
            renamed.pop(gone, None)
    if isinstance(renamed.get("data_format"), str):
        renamed["data_format"] = ORDERINGS.get(renamed["data_format"], renamed["data_format"])
    for names in KERNELS:
        if all(n in renamed for n in names):
            renamed["kernel_size"] = [renamed.pop(n) for n in names]
    name = CLASSES.get(name, name)
    change = SPECIAL.get(name)
    return change(name, renamed) if change else (name, renamed)


def _merge(config: Config) -> tuple[str, Config]:
    mode = config.get("mode")
    kept: Config = {k: config[k] for k in ("name", "trainable") if k in config}
    if config.get("mode_type", "raw") != "raw" or not (isinstance(mode, str) and mode in MERGES):
        return "Lambda", kept
    if mode == "concat":
        kept["axis"] = config.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        kept["axes"] = config.get("dot_axes", -1)
    return MERGES[mode], kept


def _convolution(name: str, config: Config) -> tuple[str, Config]:
    config.pop("output_shape", None)
    layout = config.get("data_format") or "channels_last"
    return f"{name}:{layout}", config


def _recurrent(name: str, config: Config) -> tuple[str, Config]:
    mode = config.pop("consume_less", "cpu")
    return (name if mode == "gpu" or name == "SimpleRNN" else f"{name}:gates"), config


def _conv_lstm(name: str, config: Config) -> tuple[str, Config]:
    config.pop("consume_less", None)
    return f"{name}:{config.get('data_format') or 'channels_last'}", config


def _batch_normalization(name: str, config: Config) -> tuple[str, Config]:
    mode = config.pop("mode", 0)
    if mode == 1:  # each sample on its own, over all but the axis given
        return "BatchNormalization:samples", config
    return (name if mode == 0 else f"{name} mode {mode}"), config


def _padding(name: str, config: Config) -> tuple[str, Config]:
    """Padding as numbers for one axis, as a dict of sides, or as four numbers."""
    padding = config.get("padding")
    if isinstance(padding, dict):
        sides = [("left_pad", "right_pad")]
        if name == "ZeroPadding2D":
            sides = [("top_pad", "bottom_pad"), ("left_pad", "right_pad")]
        config["padding"] = [[padding.get(s, 0) for s in pair] for pair in sides]
    elif isinstance(padding, list) and name == "ZeroPadding2D" and len(padding) == 4:
        config["padding"] = [padding[:2], padding[2:]]
    return name, config


def _length(name: str, config: Config) -> tuple[str, Config]:
    if "length" in config:
        config["size"] = config.pop("length")
    return name, config


SPECIAL: Mapping[str, Callable[[str, Config], tuple[str, Config]]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv2DTranspose", "SeparableConv2D"), _convolution),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _recurrent),
    "ConvLSTM2D": _conv_lstm,
    "BatchNormalization": _batch_normalization,
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padding),
    "UpSampling1D": _length,
}


# Weights ------------------------------------------------------------------------------------


def _per_gate(gates: Sequence[str]) -> str:
    """Names of one kernel, recurrent kernel and bias per gate."""
    return " ".join(f"{kind}_{g}" for g in gates for kind in ("W", "U", "b"))


def _join_gates(gates: Sequence[str]) -> Callable[[Layer], None]:
    def join(layer: Layer) -> None:
        """One array per gate to Keras 2's arrays of all gates."""
        for kind, name in (("W", "kernel"), ("U", "recurrent_kernel"), ("b", "bias")):
            parts = [layer.arrays.pop(f"{kind}_{g}") for g in gates]
            layer.arrays[name] = _concatenated(layer, name, parts)

    return join


def _concatenated(layer: Layer, name: str, parts: Sequence[Array]) -> Array:
    if any(p.ndim == 0 or p.shape[:-1] != parts[0].shape[:-1] for p in parts):
        shapes = ", ".join(str(list(p.shape)) for p in parts)
        raise layer.wrong_shape(name, "one array per gate, of one shape", shapes)
    return np.concatenate(parts, -1)


def _kernel_1d(layer: Layer) -> None:
    """[length, 1, I, O], or of the oldest files [O, I, length, 1], to [length, I, O]."""
    kernel = layer.arrays["kernel"]
    if kernel.ndim != 4:
        raise layer.wrong_shape("kernel", "4 axes", str(list(kernel.shape)))
    if kernel.shape[1] != 1:
        kernel = kernel.transpose(2, 3, 1, 0)
    layer.arrays["kernel"] = kernel[:, 0]


def _moved(*names: str) -> Callable[[Layer], None]:
    def move(layer: Layer) -> None:
        """Theano's kernels [O, I, spatial] to [spatial, I, O]."""
        for name in names:
            if layer.arrays[name].ndim > 2:
                array = layer.arrays[name]
                spatial = tuple(range(2, array.ndim))
                layer.arrays[name] = array.transpose(*spatial, 1, 0)

    return move


def _swap_channels(layer: Layer) -> None:
    """[spatial, I, O] of a transposed convolution to [spatial, O, I]."""
    if layer.arrays["kernel"].ndim > 2:
        layer.arrays["kernel"] = np.swapaxes(layer.arrays["kernel"], -1, -2)


def _both(*changes: Callable[[Layer], None]) -> Callable[[Layer], None]:
    def change(layer: Layer) -> None:
        for each in changes:
            each(layer)

    return change


def _rules() -> dict[str, Rule]:
    lstm, gru = ("i", "f", "c", "o"), ("z", "r", "h")
    gates = {"LSTMCell": lstm, "GRUCell": gru}
    stored = {"LSTMCell": ("i", "c", "f", "o"), "GRUCell": gru}
    rules = {}
    for name, order in gates.items():
        rules[f"{name}:gates"] = replace(
            LAYERS[name], weights=_per_gate(stored[name]), repack=_join_gates(order)
        )
        outer = name.removesuffix("Cell")
        rules[f"{outer}:gates"] = LAYERS[outer]
    for ordering in ("channels_last", "channels_first"):
        first = ordering == "channels_first"
        for name in ("Conv2D", "Conv3D"):
            change = _moved("kernel") if first else None
            rules[f"{name}:{ordering}"] = replace(LAYERS[name], repack=change)
        moved = _both(_moved("kernel"), _swap_channels) if first else _swap_channels
        rules[f"Conv2DTranspose:{ordering}"] = replace(LAYERS["Conv2DTranspose"], repack=moved)
        rules[f"Conv1D:{ordering}"] = replace(LAYERS["Conv1D"], repack=_kernel_1d)
        pair = _moved("depthwise_kernel", "pointwise_kernel") if first else None
        rules[f"SeparableConv2D:{ordering}"] = replace(LAYERS["SeparableConv2D"], repack=pair)
        join = _join_gates(lstm)
        if first:
            join = _both(_moved(*(f"{k}_{g}" for k in "WU" for g in lstm)), join)
        weights = _per_gate(stored["LSTMCell"])
        rules[f"ConvLSTM2DCell:{ordering}"] = replace(
            LAYERS["ConvLSTM2DCell"], weights=weights, repack=join
        )
        rules[f"ConvLSTM2D:{ordering}"] = LAYERS["ConvLSTM2D"]
    return rules


RULES: Mapping[str, Rule] = {**RETIRED, **_rules()}
