"""What older Keras calls otherwise, brought to the words of Keras 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webconv.frontends.keras.reader import Dialect

MADE_UP = "__made_up__"
Config = dict[str, Any]


def with_input_layer(entries: list[Any], build_shape: object) -> list[Any]:
    """The layers of a Sequential; where the first is no InputLayer, with one made from its shape."""
    if not entries or _class_name(entries[0]) == "InputLayer":
        return entries
    shape, dtype = _input_of(entries[0])
    config = {"name": "input", "batch_shape": shape or build_shape, "dtype": dtype}
    return [{"class_name": "InputLayer", "config": config, MADE_UP: True}, *entries]


def is_made_up(entry: object) -> bool:
    """True for an InputLayer that the file does not have."""
    return isinstance(entry, dict) and MADE_UP in entry


def _class_name(entry: object) -> object:
    return entry.get("class_name") if isinstance(entry, dict) else None


def _input_of(entry: object) -> tuple[Any, Any]:
    """The batch shape and dtype that a first layer's own config gives, else None."""
    config = entry.get("config") if isinstance(entry, dict) else None
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        config = config["layers"]
    if isinstance(config, list):
        return _input_of(config[0]) if config else (None, None)
    if not isinstance(config, dict):
        return None, None
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    dtype = config.get("input_dtype", config.get("dtype"))
    if shape is None and isinstance(config.get("input_shape"), list):
        shape = [None, *config["input_shape"]]
    return shape, dtype


def is_operation(class_name: str, config: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """True if an entry of Keras 3 is an operation (`keras.ops.add`), not a layer (`Add`).

    Files with a module say so; `.h5` files have none, but only layers have `trainable`.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return ".ops." in module or ".activations." in module
    return "inbound_nodes" in entry and "trainable" not in config and class_name != "InputLayer"


# Arguments of a recurrent layer that are not its cell's.
RNN_ARGUMENTS = frozenset(
    "return_sequences return_state go_backwards stateful unroll time_major zero_output_for_mask"
    " input_dim input_length".split()
)
CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"}
CELLS |= {f"ConvLSTM{rank}D": f"ConvLSTM{rank}DCell" for rank in (1, 2, 3)}


def _split_cell(class_name: str, config: Config, dialect: Dialect) -> Config:
    """A recurrent layer's config with the cell's part as a config of its own."""
    own = {k: v for k, v in config.items() if k in RNN_ARGUMENTS}
    rest = {k: v for k, v in config.items() if k not in RNN_ARGUMENTS}
    if class_name == "GRU" and dialect.major < 3:
        rest.setdefault("reset_after", False)
    if dialect.major < 3:
        rest.setdefault("recurrent_activation", "hard_sigmoid")
    if class_name == "SimpleRNN":
        rest.pop("recurrent_activation", None)
    return own | {"cell": {"class_name": CELLS[class_name], "config": rest}}


def _bidirectional(class_name: str, config: Config, dialect: Dialect) -> Config:
    """Forward and backward layer written out."""
    layer, backward = config.get("layer"), config.get("backward_layer")
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(layer, dict) or not isinstance(inner, dict):
        return config
    name = str(inner.get("name", ""))
    forward = {**layer, "config": {**inner, "name": f"forward_{name.removeprefix('forward_')}"}}
    if backward is None:
        reverse = not inner.get("go_backwards", False)
        backwards = {"go_backwards": reverse, "name": f"backward_{name.removeprefix('backward_')}"}
        backward = {**layer, "config": {**inner, **backwards}}
    forward.pop("shared_object_id", None)
    return config | {"forward_layer": forward, "backward_layer": backward}


CANONICAL: Mapping[str, Callable[[str, Config, Dialect], Config]] = {
    **dict.fromkeys(CELLS, _split_cell),
    "Bidirectional": _bidirectional,
}


def canonical(class_name: str, config: Config, dialect: Dialect) -> tuple[str, Config]:
    """The class and config in the words of Keras 3."""
    change = CANONICAL.get(class_name)
    return class_name, change(class_name, config, dialect) if change else config
