"""Inbound nodes and references to tensors, as every version of Keras writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.tree import Call, Ref
from webconv.ir import dtypes
from webconv.ir.errors import ModelFormatError


def json_object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFormatError(f"{what} must be a JSON object, but it is {shown(value)}")
    return value


def json_list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ModelFormatError(f"{what} must be a list, but it is {shown(value)}")
    return value


def _is_reference(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(v, int) and not isinstance(v, bool) for v in value[1:3])
        and (len(value) == 3 or isinstance(value[3], dict))
    )


def references(value: object, where: str) -> Any:
    """A structure of Refs from `["layer", 0, 0]` or lists and dicts of such."""
    if _is_reference(value):
        assert isinstance(value, list)
        return Ref(*value[:3])
    if isinstance(value, dict):
        return {k: references(v, where) for k, v in value.items()}
    if isinstance(value, list) and value:
        return [references(v, where) for v in value]
    raise ModelFormatError(f"{where} must hold [layer, call, output], but it is {shown(value)}")


def parse_call(json: object) -> Call:
    """One inbound node: of Keras 3 (`args` and `kwargs`), or of Keras 1 and 2 (a list)."""
    if isinstance(json, dict) and "args" in json:
        args = json_list(json["args"], "args of an inbound node")
        kwargs = json_object(json.get("kwargs", {}), "kwargs of an inbound node")
        return Call([_decode(a) for a in args], {k: _decode(v) for k, v in kwargs.items()})
    kwargs = {}
    first = _old_argument(json, kwargs)
    if isinstance(first, list) and len(first) == 1:
        first = first[0]
    return Call([first], kwargs)


_SPECIAL = ("__tensor__", "__numpy__")


def _decode(value: Any) -> Any:
    """Arguments as Keras 3 writes them."""
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__" and isinstance(config, dict):
        return references(config.get("keras_history"), "keras_history")
    if kind in _SPECIAL and isinstance(config, dict):
        return _constant(config)
    if kind == "__slice__" and isinstance(config, dict):
        parts = [_decode(config.get(k)) for k in ("start", "stop", "step")]
        return slice(*parts)
    if kind == "__ellipsis__":
        return ...
    return {k: _decode(v) for k, v in value.items()}


def _constant(config: dict[str, Any]) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(config.get("value"), str(config.get("dtype", "float32")))
    except (TypeError, ValueError, OverflowError):
        raise ModelFormatError(f"not a constant tensor: {shown(config)}") from None
    dtypes.from_numpy(array.dtype)
    return array


def _old_argument(json: Any, kwargs: dict[str, Any]) -> Any:
    """Arguments as Keras 1 and 2 write them; the last dict of each tensor is keyword arguments."""
    if isinstance(json, list) and json[:2] == ["_CONSTANT_VALUE", -1]:
        if len(json) > 3 and isinstance(json[3], dict):
            kwargs |= {k: _old_keyword(v) for k, v in json[3].items()}
        return json[2] if len(json) > 2 else None
    if _is_reference(json):
        if len(json) == 4:
            kwargs |= {k: _old_keyword(v) for k, v in json[3].items()}
        return Ref(*json[:3])
    if isinstance(json, list):
        return [_old_argument(v, kwargs) for v in json]
    if isinstance(json, dict):
        return {k: _old_argument(v, kwargs) for k, v in json.items()}
    raise ModelFormatError(f"not an inbound node: {shown(json)}")


def _old_keyword(value: Any) -> Any:
    if _is_reference(value):
        return Ref(*value[:3])
    if isinstance(value, list):
        return [_old_keyword(v) for v in value]
    if isinstance(value, dict):
        return {k: _old_keyword(v) for k, v in value.items()}
    return value
