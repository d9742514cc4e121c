"""The table of ONNX operators: one plain function per operator and meaning.

A function takes the inputs as Values (None for an optional one that is absent), the attributes as
keyword arguments under their ONNX names, and gives a Value or a tuple of them. `since` is the first
opset of the meaning. With `context=True` the first argument is the `Call`: what else is known of
the node.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

DOMAINS = {"ai.onnx": ""}

Function = TypeVar("Function", bound=Callable[..., Any])


class Operator(NamedTuple):
    """A function that converts an operator from opset `since` on."""

    function: Callable[..., Any]
    since: int
    context: bool

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes that it takes."""
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


OPERATORS: dict[tuple[str, str], list[Operator]] = {}


def operator(
    *names: str, since: int = 1, domain: str = "", context: bool = False
) -> Callable[[Function], Function]:
    """Register a function for operators of a domain."""

    def register(function: Function) -> Function:
        for name in names:
            versions = OPERATORS.setdefault((domain, name), [])
            versions.append(Operator(function, since, context))
            versions.sort(key=lambda o: -o.since)
        return function

    return register


def find(domain: str, name: str, version: int) -> Operator | None:
    """The newest meaning of an operator that `version` of its domain has."""
    versions = OPERATORS.get((DOMAINS.get(domain, domain), name), ())
    return next((o for o in versions if o.since <= version), None)
