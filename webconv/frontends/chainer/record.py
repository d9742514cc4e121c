"""Calls a chain, and makes a tape of its computational graph."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chainer
import numpy as np

from webconv.frontends.chainer.composites import composites
from webconv.frontends.chainer.links import Calls, numbered
from webconv.frontends.chainer.tape import Call, Leaf, Tape
from webconv.ir.errors import ModelFormatError, UnsupportedError, WebconvError
from webconv.ir.op import Array

# Files whose lines are not the user's.
OURS = (str(Path(chainer.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True)
class Seen:
    """What was known of a function when it was called."""

    function: Any
    attributes: Mapping[str, Any]
    arrays: Sequence[Array]
    where: str
    link: str


class Watch(chainer.FunctionHook):  # type: ignore[misc]
    """Notes every function that is called, with its inputs and the user's line."""

    name = "webconv"

    def __init__(self, links: Calls) -> None:
        self.links = links
        self.calls: dict[int, Seen] = {}

    def forward_preprocess(self, function: Any, in_data: Any) -> None:
        """Called by Chainer before a function computes, so what it notes itself is not there."""
        own = getattr(function, "function", function)
        attributes = {k: v for k, v in vars(own).items() if k not in BOOKKEEPING}
        # The function is kept too: its id must not be given to another.
        self.calls[id(function)] = Seen(
            function, attributes, tuple(in_data), user_line(), self.links.path
        )


BOOKKEEPING = frozenset(vars(chainer.FunctionNode())) | {
    *("inputs", "outputs", "rank", "stack", "_original", "_n_local_function_hooks"),
    *(
        "_input_layouts",
        "_output_layouts",
        "_input_indexes_to_retain",
        "_is_chainerx_fallback_mode",
    ),
}


def user_line() -> str:
    """`net.py:12: h = F.relu(x)`, the line that runs and is neither Chainer's nor ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line).strip()
    return f"{Path(name).name}:{line}" + (f": {text}" if text else "")


def failed_line(error: Exception) -> str:
    """The last line of the user's on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(OURS)] or list(frames)
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"


@dataclass(frozen=True)
class Sources:
    """Where leaves come from: inputs and states as Variables by name, parameters by identity.

    `carried` are states that another entry reads: they are written though this call reads none.
    """

    inputs: Mapping[str, Any]
    states: Mapping[str, Any]
    parameters: Mapping[int, tuple[str, Any]]
    carried: Collection[str] = ()


def parameters(chain: Any) -> dict[int, tuple[str, Any]]:
    """Names of parameters and persistent arrays by the id of their array, which is kept too."""
    found: dict[int, tuple[str, Any]] = {}
    for path, link in chain.namedlinks():
        held = [*getattr(link, "_params", ()), *getattr(link, "_persistent", ())]
        for name in sorted(held):
            value = getattr(link, name)
            array = value.array if isinstance(value, chainer.Variable) else value
            if isinstance(array, np.ndarray):
                found[id(array)] = (f"{path.rstrip('/')}/{name}".lstrip("/"), array)
    return found


def record(
    run: Callable[[], tuple[Any, Mapping[str, Any]]], sources: Callable[[], Sources], chain: Any
) -> Tape:
    """The tape of `run()`, which gives what `chain` gave and the states after it.

    `sources` is asked after the run, when parameters that a first call makes are there.
    """
    links = Calls(chain)
    watch = Watch(links)
    with (
        chainer.using_config("train", False),
        chainer.using_config("enable_backprop", True),
        chainer.using_config("use_ideep", "never"),
        watch,
        links.noting(),
        composites(),
    ):
        try:
            made, states = run()
        except WebconvError:
            raise
        except Exception as error:  # The chain is the user's code, which may raise anything.
            reason = " ".join(str(error).split())
            where = failed_line(error)
            raise ModelFormatError(
                f"the chain's call fails at {where}: {type(error).__name__}: {reason}"
            ) from error
    return _Walk(watch, sources()).tape(named_outputs(made), states)


def named_outputs(made: Any) -> dict[str, Any]:
    """What a chain gave as Variables by name; nested lists are numbered through."""
    found = list(_flat("", made))
    if len(found) == 1 and not found[0][0]:
        return {"output": found[0][1]}
    return {name or f"output_{k}": v for k, (name, v) in enumerate(found)}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}{key}", inner)
    elif isinstance(value, tuple | list):
        for k, inner in enumerate(value):
            yield from _flat(f"{name}_{k}" if name else "", inner)
    elif isinstance(value, chainer.Variable | np.ndarray):
        yield name, value
    elif value is not None:
        raise UnsupportedError(
            f"the chain must give Variables, but it gives {type(value).__name__}; "
            "return what its functions make, not numbers"
        )


class _Walk:
    """Follows creators from outputs to leaves, without recursion."""

    def __init__(self, watch: Watch, sources: Sources) -> None:
        self.seen = watch.calls
        self.links = watch.links.results
        self.inputs = sources.inputs
        self.states = sources.states
        self.carried = sources.carried
        self.names: dict[int, tuple[str, str]] = {
            id(v.node): (kind, name)
            for kind, group in (("input", sources.inputs), ("state", sources.states))
            for name, v in group.items()
        }
        self.arrays = {
            id(v.array): (kind, name)
            for kind, group in (("input", sources.inputs), ("state", sources.states))
            for name, v in group.items()
        }
        self.parameters = sources.parameters
        self.numbers: dict[int, int] = {}
        self.shared: dict[tuple[str, str], int] = {}
        self.leaves: list[Leaf] = []
        self.calls: list[Call] = []
        self.count = 0
        self.kept: list[Any] = []

    def tape(self, outputs: Mapping[str, Any], states: Mapping[str, Any]) -> Tape:
        """The tape of all that outputs and states need."""
        results = {}
        variables = {}
        for name, v in outputs.items():
            if not isinstance(v, chainer.Variable):
                raise UnsupportedError(_without_graph(name))
            results[name] = v.array
            variables[name] = v
        for name, v in variables.items():
            if v.creator_node is None and id(v.node) not in self.names:
                raise UnsupportedError(_without_graph(name))
        made = {name: self._value(v.node, v.array) for name, v in variables.items()}
        written: dict[str, int] = {}
        while new := [n for n in states if n not in written and self._is_written(n, states[n])]:
            # What is read is carried on; a chain that resets its links reads none of their states.
            written |= {n: self._value(states[n].node, states[n].array) for n in new}
        for name, v in self.inputs.items():
            if ("input", name) not in self.shared:
                self._leaf(v.node, v.array)
        after = {name: states[name].array for name in written}
        names = tuple(self.inputs)
        layers = numbered(self.links, self.numbers)
        return Tape(self.leaves, self.calls, made, written, results, names, after, layers=layers)

    def _is_written(self, name: str, after: Any) -> bool:
        """True for a state that this call reads, or that it changes and another entry reads."""
        changed = after is not self.states.get(name)
        return ("state", name) in self.shared or (name in self.carried and changed)

    def _value(self, root: Any, array: Array) -> int:
        stack: list[tuple[Any, Array | None]] = [(root, array)]
        while stack:
            node, data = stack[-1]
            if id(node) in self.numbers:
                stack.pop()
                continue
            function = node.creator_node
            if function is None:
                stack.pop()
                self._leaf(node, data)
                continue
            seen = self.seen[id(function)]
            open_inputs = [
                (n, a)
                for n, a in zip(function.inputs, seen.arrays, strict=True)
                if id(n) not in self.numbers
            ]
            if open_inputs:
                stack += reversed(open_inputs)
                continue
            stack.pop()
            self._call(function, seen)
        return self.numbers[id(root)]

    def _call(self, function: Any, seen: Seen) -> None:
        outputs: list[int | None] = []
        for reference in function.outputs:
            node = reference()
            outputs.append(None if node is None else self._number(node))
        own = getattr(function, "function", function)
        self.calls.append(
            Call(
                type(own).__name__,
                seen.attributes,
                tuple(self.numbers[id(n)] for n in function.inputs),
                tuple(outputs),
                seen.where,
                seen.link,
            )
        )

    def _number(self, node: Any) -> int:
        self.numbers[id(node)] = self.count
        self.kept.append(node)
        self.count += 1
        return self.count - 1

    def _leaf(self, node: Any, data: Array | None) -> None:
        kind, name = self.names.get(id(node)) or self.arrays.get(id(data)) or ("constant", "")
        if kind == "constant" and id(data) in self.parameters:
            kind, name = "parameter", self.parameters[id(data)][0]
        key = (kind, name)
        if kind != "constant" and key in self.shared:
            self.numbers[id(node)] = self.shared[key]
            self.kept.append(node)
            return
        number = self._number(node)
        self.shared[key] = number
        assert data is not None
        self.leaves.append(Leaf(kind, name, data, number))


def _without_graph(name: str) -> str:
    return (
        f"output {name!r} is an array without a graph: what makes it takes the array out of a "
        "Variable (.array, .data, NumPy); compute it with functions of chainer.functions"
    )
