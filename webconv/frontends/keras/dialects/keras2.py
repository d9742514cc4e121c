"""Names and layers of Keras 2 that Keras 3 has no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webconv.frontends.keras.layers.retired import RULES as RETIRED
from webconv.frontends.keras.tree import Rule

Config = dict[str, Any]

# class -> class today, and arguments that are called otherwise now
RENAMED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "LeakyReLU": ("LeakyReLU", {"alpha": "negative_slope"}),
    "CuDNNLSTM": ("LSTM", {}),
    "CuDNNGRU": ("GRU", {}),
    "Convolution1D": ("Conv1D", {}),
    "Convolution2D": ("Conv2D", {}),
    "Convolution3D": ("Conv3D", {}),
    "Convolution2DTranspose": ("Conv2DTranspose", {}),
    "Convolution3DTranspose": ("Conv3DTranspose", {}),
    "SeparableConvolution1D": ("SeparableConv1D", {}),
    "SeparableConvolution2D": ("SeparableConv2D", {}),
    "MaxPool1D": ("MaxPooling1D", {}),
    "MaxPool2D": ("MaxPooling2D", {}),
    "MaxPool3D": ("MaxPooling3D", {}),
    "AvgPool1D": ("AveragePooling1D", {}),
    "AvgPool2D": ("AveragePooling2D", {}),
    "AvgPool3D": ("AveragePooling3D", {}),
    "BatchNormalizationV1": ("BatchNormalization", {}),
    "BatchNormalizationV2": ("BatchNormalization", {}),
    "SyncBatchNormalization": ("BatchNormalization", {}),
    "LSTMV2": ("LSTM", {}),
    "GRUV2": ("GRU", {}),
    "DenseV2": ("Dense", {}),
}


def canonical(key: str, config: Config) -> tuple[str, Config]:
    """The class and config in the words of Keras 3."""
    name, _, layout = key.partition(":")
    today, arguments = RENAMED.get(name, (name, {}))
    config = {arguments.get(k, k): v for k, v in config.items()}
    if name == "CuDNNGRU":
        config.setdefault("reset_after", True)
    if name in ("CuDNNLSTM", "CuDNNGRU"):
        config |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    axis = config.get("axis")
    if today == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    return (f"{today}:{layout}" if layout else today), config


RULES: Mapping[str, Rule] = RETIRED
