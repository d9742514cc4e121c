"""Notes the functions that a chain calls, and what their inputs held then."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chainer

from webconv.frontends.chainer.lines import user_line
from webconv.frontends.chainer.links import Calls
from webconv.frontends.chainer.patterns import copied
from webconv.ir.op import Array


@dataclass(frozen=True)
class Seen:
    """What was known of a function when it was called: `contents` are its `arrays` at that time."""

    function: Any
    attributes: Mapping[str, Any]
    arrays: Sequence[Array]
    contents: Sequence[Array]
    where: str
    link: str


class Watch(chainer.FunctionHook):  # type: ignore[misc]
    """Notes every function that is called, with its inputs and the user's line."""

    name = "webconv"

    def __init__(self, links: Calls, parameters: Collection[int]) -> None:
        self.links = links
        self.calls: dict[int, Seen] = {}
        self._parameters = parameters
        self._finished: Any = None
        # What functions gave, and nobody changes. An id may be another's when an array is gone.
        self._made: dict[int, weakref.ref[Array]] = {}

    def forward_preprocess(self, function: Any, in_data: Any) -> None:
        """Called by Chainer before a function computes, so what it notes itself is not there."""
        own = getattr(function, "function", function)
        attributes = {k: v for k, v in vars(own).items() if k not in BOOKKEEPING}
        # The function is kept too: its id must not be given to another.
        for reference in getattr(self._finished, "outputs", None) or ():
            node = reference()
            variable = node.get_variable_or_none() if node else None
            if variable is not None:
                self._made[id(variable.array)] = weakref.ref(variable.array)
        contents = tuple(map(self._content, in_data))
        self.calls[id(function)] = Seen(
            function, attributes, tuple(in_data), contents, user_line(), self.links.path
        )

    def forward_postprocess(self, function: Any, in_data: Any) -> None:
        """Called by Chainer when a function has computed, before it has its outputs."""
        self._finished = function

    def _content(self, array: Array) -> Array:
        """A copy of an array that the chain may fill with something else after the call."""
        made = self._made.get(id(array))
        known = id(array) in self._parameters or (made is not None and made() is array)
        return array if known else copied(array)


BOOKKEEPING = frozenset(vars(chainer.FunctionNode())) | {
    *("inputs", "outputs", "rank", "stack", "_original", "_n_local_function_hooks"),
    *(
        "_input_layouts",
        "_output_layouts",
        "_input_indexes_to_retain",
        "_is_chainerx_fallback_mode",
    ),
}
