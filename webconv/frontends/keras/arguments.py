"""Fits the arguments of a call to the signature of a layer's function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np

from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.schema import Rank, convert, parameters
from webconv.frontends.keras.tree import Layer, Tensor, flatten, map_leaves
from webconv.ir import graph, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value

# Call arguments without a meaning at inference.
IGNORED = frozenset(("training", "input_length"))
# What Keras calls the first argument of `call`; a call by keyword uses it.
FIRST = ("inputs", "sequences", "sequence", "x", "input_tensor", "query")


class Bound(NamedTuple):
    """Arguments ready for the function, and the mask of the first."""

    args: list[Any]
    kwargs: dict[str, Any]
    mask: Value | None


def bind_arguments(layer: Layer, args: Sequence[Any], kwargs: dict[str, Any]) -> Bound:
    """The arguments with Tensors as Values, masks filled in and types checked.

    Raises ShapeError or ModelFormatError for what the function cannot take, UnsupportedError for an
    argument that it does not know.
    """
    known = parameters(layer.rule.function)
    names = [n for n, (p, _) in known.items() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    variadic = any(p.kind is p.VAR_POSITIONAL for p, _ in known.values())
    args, kwargs = _positional(layer, names, list(args), dict(kwargs), variadic)
    if "initial_state" in known and args and isinstance(args[0], list) and len(args[0]) > 1:
        # Keras 2 passes initial states as further inputs.
        kwargs["initial_state"], args[0] = args[0][1:], args[0][0]
    if not layer.is_operation:
        _fill_masks(known, names, args, kwargs)
    explicit = kwargs.get("mask")
    mask = explicit if isinstance(explicit, Tensor) else None
    first = args[0] if args else None
    own = mask.value if mask else first.mask if isinstance(first, Tensor) else None
    out_args = []
    for k, argument in enumerate(args):
        name = names[k] if k < len(names) else "inputs"
        annotation = known[name][1] if name in known else Any
        out_args.append(_fit(layer, name, argument, annotation))
    return Bound(out_args, _keywords(layer, kwargs), own)


def _positional(
    layer: Layer, names: list[str], args: list[Any], kwargs: dict[str, Any], variadic: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments that were given by keyword moved to their position."""
    if not args:
        first = next((n for n in (*names[:1], *FIRST) if n in kwargs), None)
        if first is not None:
            args = [kwargs.pop(first)]
    if len(args) > len(names) and not variadic:
        # Keras 3 allows any argument of `call` by position; only tensors come first in ours.
        extra = [a for a in args[len(names) :] if a is not None]
        if extra:
            rule = f"{len(names)} inputs are taken, but {len(args)} are given"
            raise ModelFormatError(f"{layer.label}: {rule}")
        args = args[: len(names)]
    for name in names[len(args) :]:
        if name not in kwargs:
            break
        args.append(kwargs.pop(name))
    function = parameters(layer.rule.function)
    missing = [n for n in names[len(args) :] if function[n][0].default is inspect.Parameter.empty]
    if missing:
        raise ModelFormatError(f"{layer.label}: input {missing[0]} is missing")
    return args, kwargs


def _fill_masks(known: Any, names: list[str], args: list[Any], kwargs: dict[str, Any]) -> None:
    """Masks that travel with the tensors, for the mask parameters that were not given."""
    for name, argument in zip(names, args, strict=False):
        key = f"{name}_mask"
        if key in known and kwargs.get(key) is None and isinstance(argument, Tensor):
            kwargs[key] = _mask_tensor(argument)
    if "mask" in known and kwargs.get("mask") is None and args:
        first = args[0]
        if isinstance(first, Tensor):
            kwargs["mask"] = _mask_tensor(first)
        else:
            kwargs["mask"] = [_mask_tensor(t) for t in flatten(first) if isinstance(t, Tensor)]


def _mask_tensor(tensor: Tensor) -> Tensor | None:
    return None if tensor.mask is None else Tensor(tensor.mask)


def _keywords(layer: Layer, kwargs: dict[str, Any]) -> dict[str, Any]:
    known = parameters(layer.rule.function)
    takes_all = any(p.kind is p.VAR_KEYWORD for p, _ in known.values())
    out = {}
    for name, value in kwargs.items():
        if name in known:
            out[name] = _fit(layer, name, value, known[name][1])
        elif takes_all:
            out[name] = map_leaves(lambda v: _value(layer, v), value)
        elif name not in IGNORED and value is not None and value is not False:
            what = f"a tensor as {name}" if isinstance(value, Tensor) else f"{name} {shown(value)}"
            raise UnsupportedError(f"call argument {what} is not supported")
    return out


def _fit(layer: Layer, name: str, argument: Any, annotation: Any) -> Any:
    """`argument` as `annotation` wants it."""
    argument = map_leaves(lambda v: _value(layer, v), argument)
    kinds = [a for a in _alternatives(annotation) if _is_tensor(a)]
    if isinstance(argument, Value) and kinds:
        for kind in kinds:
            _check_rank(name, argument, kind)
        return argument
    if annotation is Any:
        return argument
    if _takes_list(annotation) and not isinstance(argument, Value | None):
        found = flatten(argument)
        kind = Value | None if _takes_nones(annotation) else Value
        if found and all(isinstance(v, kind) for v in found):
            return found
    if isinstance(argument, Value) and _takes_list(annotation):
        return [argument]
    if argument is None and type(None) in _alternatives(annotation):
        return None
    if kinds or _takes_list(annotation):
        rule = f"{name} must be one tensor" if kinds else f"{name} must be tensors"
        raise ShapeError(f"{rule}, but it is {shown(argument)}")
    return _convert(layer, name, argument, annotation)


def _convert(layer: Layer, name: str, argument: Any, annotation: Any) -> Any:
    if any(isinstance(v, Value) for v in flatten(argument)):
        raise UnsupportedError(f"{name} must be known when converting, but it is a tensor")
    try:
        return convert(argument, annotation)
    except UnsupportedError as e:
        raise UnsupportedError(f"{name} {shown(argument)} is not supported; {e}") from None
    except ValueError as e:
        rule = f"{name} must be {e}, but it is {shown(argument)}"
        raise ModelFormatError(f"{layer.label}: {rule}") from None


def _value(layer: Layer, leaf: Any) -> Any:
    """A Tensor's value, floats in the layer's compute dtype, as Keras casts them."""
    if isinstance(leaf, np.ndarray):
        return graph.constant(layer.cast(leaf))
    if not isinstance(leaf, Tensor):
        return leaf
    value = leaf.value
    if not layer.is_operation and value.type.dtype.is_float and value.type.dtype != layer.dtype:
        value = ops.Cast(layer.dtype)(value)
    return value


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Annotated:
        return (annotation,)
    arguments = typing.get_args(annotation)
    return arguments if type(None) in arguments else (annotation,)


def _is_tensor(annotation: Any) -> bool:
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation is Value


def _takes_list(annotation: Any) -> bool:
    return any(
        typing.get_origin(a) is list and typing.get_args(a)[0] in (Value, Value | None)
        for a in _alternatives(annotation)
    )


def _takes_nones(annotation: Any) -> bool:
    return any(typing.get_args(a)[:1] == (Value | None,) for a in _alternatives(annotation))


def _check_rank(name: str, value: Value, annotation: Any) -> None:
    for limit in typing.get_args(annotation)[1:]:
        if isinstance(limit, Rank) and not limit.least <= value.type.rank <= limit.most:
            axes = f"{limit.least}" if limit.least == limit.most else f"{limit.least} or more"
            raise ShapeError(f"{name} must have {axes} axes, but it is {value.type}")
