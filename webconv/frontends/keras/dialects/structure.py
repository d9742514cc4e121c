"""Configs of layers that hold other layers, with those written out as configs of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webconv.frontends.keras.reader import Dialect
from webconv.frontends.keras.schema import words

Config = dict[str, Any]
MADE_UP = "__made_up__"

# Arguments of a recurrent layer that are not its cell's.
RNN_ARGUMENTS = frozenset(
    words(
        "return_sequences return_state go_backwards stateful unroll time_major "
        "zero_output_for_mask input_dim input_length num_constants"
    )
)
CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"}
CELLS |= {f"ConvLSTM{rank}D": f"ConvLSTM{rank}DCell" for rank in (1, 2, 3)}


def _split_cell(key: str, config: Config, dialect: Dialect) -> Config:
    """A recurrent layer's config with the cell's part as a config of its own."""
    name, _, layout = key.partition(":")
    own = {k: v for k, v in config.items() if k in RNN_ARGUMENTS}
    rest = {k: v for k, v in config.items() if k not in RNN_ARGUMENTS}
    if name == "GRU" and dialect.major < 3:
        # Files older than the argument mean False.
        rest.setdefault("reset_after", False)
    if name != "SimpleRNN" and dialect.major < 3:
        rest.setdefault("recurrent_activation", "hard_sigmoid")
    cell = f"{CELLS[name]}:{layout}" if layout else CELLS[name]
    return own | {"cell": {"class_name": cell, "config": rest}}


def _both_directions(key: str, config: Config, dialect: Dialect) -> Config:
    """Bidirectional with its forward and backward layer."""
    layer, backward = config.get("layer"), config.get("backward_layer")
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(layer, dict) or not isinstance(inner, dict):
        return config
    name = str(inner.get("name", ""))
    forward = {**layer, "config": {**inner, "name": f"forward_{name.removeprefix('forward_')}"}}
    if not isinstance(backward, dict):
        changed = {
            "go_backwards": not inner.get("go_backwards", False),
            "name": f"backward_{name.removeprefix('backward_')}",
        }
        backward = {**layer, "config": {**inner, **changed}}
    for part in (forward, backward):
        part.pop("shared_object_id", None)
    return config | {"forward_layer": forward, "backward_layer": backward}


CANONICAL: Mapping[str, Callable[[str, Config, Dialect], Config]] = {
    **dict.fromkeys(CELLS, _split_cell),
    "Bidirectional": _both_directions,
}


def with_input_layer(entries: list[Any], build_shape: object) -> list[Any]:
    """The layers of a Sequential, with an InputLayer made from the first one's shape if need be."""
    if not entries or _class_name(entries[0]) == "InputLayer":
        return entries
    shape, dtype = input_of(entries[0])
    configs = [e["config"] for e in entries if isinstance(e, dict) and "config" in e]
    taken = {str(c.get("name")) for c in configs if isinstance(c, dict)}
    name = "input"
    while name in taken:
        name += "_"
    config = {"name": name, "batch_shape": shape or build_shape, "dtype": dtype}
    return [{"class_name": "InputLayer", "config": config, MADE_UP: True}, *entries]


def is_made_up(entry: object) -> bool:
    """True for an InputLayer that the file does not have."""
    return isinstance(entry, dict) and MADE_UP in entry


def _class_name(entry: object) -> object:
    return entry.get("class_name") if isinstance(entry, dict) else None


def input_of(entry: object) -> tuple[Any, Any]:
    """The batch shape and dtype that a first layer's own config gives, else None."""
    config = entry.get("config") if isinstance(entry, dict) else None
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        config = config["layers"]
    if isinstance(config, list):
        return input_of(config[0]) if config else (None, None)
    if not isinstance(config, dict):
        return None, None
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    dtype = config.get("input_dtype", config.get("dtype"))
    if shape is None and isinstance(config.get("input_shape"), list):
        shape = [None, *config["input_shape"]]
    return shape, dtype


def is_merge_of_branches(entry: object) -> bool:
    """True for a Merge layer of Keras 1 that holds the models that it merges."""
    config = entry.get("config") if isinstance(entry, dict) else None
    branches = config.get("layers") if isinstance(config, dict) else None
    return _class_name(entry) == "Merge" and isinstance(branches, list) and bool(branches)
