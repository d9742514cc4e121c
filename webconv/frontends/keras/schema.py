"""A layer function's signature is the schema of its config.

`convert` checks one JSON value against an annotation and gives the Python value: lists become
tuples, whole floats become ints where an int is asked for. What cannot be is an error in words.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from webconv.frontends.keras.errors import shown
from webconv.ir.errors import ModelFormatError, UnsupportedError


@dataclass(frozen=True)
class Least:
    """The smallest value that a number may have."""

    value: float


@dataclass(frozen=True)
class Rank:
    """The number of axes that a tensor must have: `least` to `most`."""

    least: int
    most: int


Positive = Annotated[int, Least(1)]
Natural = Annotated[int, Least(0)]


def words(text: str) -> list[str]:
    """The words of a text: how tables of bare names are written."""
    return text.split()


class Config:
    """Base of annotations that know how to read themselves from JSON."""

    @classmethod
    def from_json(cls, value: object) -> Any:
        """The instance that `value` describes; raises ValueError with the rule that it breaks."""
        raise NotImplementedError


@functools.cache
def parameters(function: Callable[..., Any]) -> Mapping[str, tuple[inspect.Parameter, Any]]:
    """The parameters of `function` with their resolved annotations."""
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    return {n: (p, hints.get(n, Any)) for n, p in signature.parameters.items()}


@functools.cache
def config_names(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the arguments that a config or a call may give by keyword."""
    known = parameters(function)
    return frozenset(n for n, (p, _) in known.items() if p.kind is p.KEYWORD_ONLY)


def convert(value: object, annotation: Any) -> Any:
    """`value` as `annotation` wants it.

    Raises ValueError with what it must be (a broken file), UnsupportedError if it is a choice that
    is not among those that `annotation` lists.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or annotation is object:
        return value
    if origin is Annotated:
        return _bounded(convert(value, arguments[0]), arguments[1:])
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is Literal:
        if not isinstance(value, str | int | bool | None) or value not in arguments:
            raise UnsupportedError(f"use one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _tuple(value, arguments)
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation.from_json(value)
    return _scalar(value, annotation)


def _bounded(value: Any, limits: tuple[object, ...]) -> Any:
    for limit in limits:
        if isinstance(limit, Least) and value < limit.value:
            raise ValueError(f"at least {limit.value}")
    return value


def _one_of(value: object, arguments: tuple[Any, ...]) -> Any:
    if value is None and type(None) in arguments:
        return None
    rules: list[str] = []
    refusal: UnsupportedError | None = None
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return convert(value, argument)
        except UnsupportedError as e:
            refusal = e
        except ValueError as e:
            rules.append(str(e))
    if refusal:
        raise refusal
    raise ValueError(" or ".join(dict.fromkeys(rules)))


def _tuple(value: object, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("a list")
    if len(arguments) == 2 and arguments[1] is ...:
        return tuple(convert(v, arguments[0]) for v in value)
    if len(value) != len(arguments):
        raise ValueError(f"a list of {len(arguments)}")
    return tuple(convert(v, a) for v, a in zip(value, arguments, strict=True))


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def _scalar(value: object, annotation: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is bool and (isinstance(value, bool) or (number and value in (0, 1))):
        return bool(value)
    if annotation is float and number:
        return _float(value)
    if annotation is int and number and abs(_float(value)) < 2**53 and value == int(value):  # type: ignore[call-overload]
        return int(value)  # type: ignore[call-overload]
    if annotation is str and isinstance(value, str):
        return value
    if annotation in (list, dict, tuple) and isinstance(value, list | dict):
        return value
    raise ValueError(_WORDS.get(annotation, "something else"))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number that fits a float") from None


def keywords(
    where: str, function: Callable[..., Any], config: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """`config` converted for `function`, and what is unsupported about it, in words.

    Raises ModelFormatError if a value is of a wrong kind or one that is needed is missing.
    """
    known = parameters(function)
    takes_all = any(p.kind is p.VAR_KEYWORD for p, _ in known.values())
    out: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in config.items():
        if key not in known or known[key][0].kind is not inspect.Parameter.KEYWORD_ONLY:
            if takes_all:
                out[key] = value
            else:
                problems.append(f"{where}: argument {shown(key)} is not supported")
            continue
        try:
            out[key] = convert(value, known[key][1])
        except UnsupportedError as e:
            problems.append(f"{where}: {key} {shown(value)} is not supported; {e}")
        except ValueError as e:
            rule = f"{key} must be {e}, but it is {shown(value)}"
            raise ModelFormatError(f"{where}: {rule}") from None
    for name, (p, _) in known.items():
        needed = p.kind is p.KEYWORD_ONLY and p.default is p.empty
        if needed and name not in out and not problems:
            raise ModelFormatError(f"{where}: the config has no {name}")
    return out, problems
