"""Calls a chain, and makes a tape of its computational graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import numpy as np

from webconv.frontends.chainer.composites import composites
from webconv.frontends.chainer.lines import failed_line, reason, user_line
from webconv.frontends.chainer.links import Calls, numbered
from webconv.frontends.chainer.registry import FUNCTIONS
from webconv.frontends.chainer.taken import Taken, holds_taken
from webconv.frontends.chainer.tape import Call, Leaf, Tape
from webconv.frontends.chainer.values import noticing
from webconv.frontends.chainer.watch import Seen, Watch
from webconv.ir.errors import ModelFormatError, UnsupportedError, WebconvError
from webconv.ir.op import Array


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
    run: Callable[[], tuple[Any, Mapping[str, Any]]],
    sources: Callable[[], Sources],
    chain: Any,
    sizes: str = "",
) -> Tape:
    """The tape of `run()`, which gives what `chain` gave and the states after it.

    `sources` is asked after the run, when parameters that a first call makes are there.
    `sizes` tells those that the example has not.
    """
    import webconv.frontends.chainer.functions  # noqa: F401  (fills the table)

    links = Calls(chain)
    watch = Watch(links, parameters(chain))
    looks: dict[str, str] = {}
    with (
        chainer.using_config("train", False),
        chainer.using_config("enable_backprop", True),
        chainer.using_config("use_ideep", "never"),
        watch,
        links.noting(),
        composites(),
        noticing(lambda what: looks.update({user_line(): what})),
    ):
        try:
            made, states = run()
        except WebconvError:
            raise
        except (Exception, SystemExit) as error:  # The user's code may raise anything.
            where = failed_line(error)
            place = f" at {where}" if where else ""
            call = f"the chain's call{sizes and f' with {sizes}'} fails"
            raise ModelFormatError(f"{call}{place}: {reason(error)}") from error
    if looks:
        lines = "; ".join(f"it {what} at {line}" for line, what in looks.items())
        raise ModelFormatError(
            f"the chain depends on the values of its inputs: {lines}; compute with functions of "
            "chainer.functions (F.where, F.maximum, F.get_item, ...), and leave out what is not "
            "needed for the result"
        )
    return _Walk(watch, sources()).tape(named_outputs(made), states)


def named_outputs(made: Any) -> dict[str, Any]:
    """What a chain gave as Variables by name; nested lists are numbered through."""
    found = list(_flat("", made))
    if not found:
        raise UnsupportedError("the chain gives nothing: forward must return what it computes")
    if len(found) == 1 and not found[0][0]:
        return {"output": found[0][1]}
    named = {name or f"output_{k}": v for k, (name, v) in enumerate(found)}
    if len(named) < len(found):
        names = ", ".join(name for name, _ in found)
        raise UnsupportedError(f"the chain gives several outputs of one name: {names}")
    return named


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}_{key}" if name else str(key), inner)
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
            array = v.array if isinstance(v, chainer.Variable) else v
            node = getattr(array, "node", None) or getattr(v, "node", None)
            if isinstance(array, Taken) and array.node is None:
                if node is None or node.creator_node is None:
                    raise UnsupportedError(_without_graph(name))
            elif node is None:
                # An array that depends on no input is given as it is.
                node = chainer.Variable(array).node
            results[name] = np.asarray(array)
            variables[name] = node
        made = {name: self._value(node, results[name]) for name, node in variables.items()}
        written: dict[str, int] = {}
        while new := [n for n in states if n not in written and self._is_written(n, states[n])]:
            # What is read is carried on; a chain that resets its links reads none of their states.
            written |= {n: self._value(states[n].node, states[n].array) for n in new}
        for name, v in self.inputs.items():
            if ("input", name) not in self.shared:
                self._leaf(v.node, v.array, v.array, "its end")
        after = {name: states[name].array for name in written}
        names = tuple(self.inputs)
        layers = numbered(self.links, self.numbers)
        return Tape(self.leaves, self.calls, made, written, results, names, after, layers=layers)

    def _is_written(self, name: str, after: Any) -> bool:
        """True for a state that this call reads, or that it changes and another entry reads."""
        changed = after is not self.states.get(name)
        return ("state", name) in self.shared or (name in self.carried and changed)

    def _value(self, root: Any, array: Array) -> int:
        stack: list[tuple[Any, Array | None, Array, str]] = [(root, array, array, "its end")]
        while stack:
            node, data, content, reader = stack[-1]
            if id(node) in self.numbers:
                stack.pop()
                continue
            function = node.creator_node
            if function is None:
                source = getattr(data, "node", None)
                if source is None or source is node:
                    self._leaf(node, data, content, reader)
                elif id(source) in self.numbers:
                    # The array of a Variable that was made a Variable again.
                    self._alias(node, self.numbers[id(source)])
                else:
                    stack.append((source, np.asarray(data), content, reader))
                continue
            seen = self.seen.get(id(function))
            if seen is None:
                raise ModelFormatError(
                    f"the chain reads at {reader} what an earlier call has made; an attribute that "
                    "holds a Variable or None may keep something, and links of Chainer (L.LSTM), "
                    "but no lists or arrays"
                )
            open_inputs = [
                (n, a, content, seen.where)
                for n, a, content in zip(function.inputs, seen.arrays, seen.contents, strict=True)
                if id(n) not in self.numbers
            ]
            if open_inputs:
                stack += reversed(open_inputs)
            else:
                self._call(function, seen)
        return self.numbers[id(root)]

    def _call(self, function: Any, seen: Seen) -> None:
        if any(map(holds_taken, seen.attributes.values())):
            raise ModelFormatError(
                f"the chain depends on the values of its inputs: {seen.where} is given an array "
                "that is taken out of a Variable (.array, .data, NumPy), as an index or a mask; "
                "use functions of chainer.functions that take it as an input (F.where, "
                "F.select_item)"
            )
        outputs: list[int | None] = []
        for reference in function.outputs:
            node = reference()
            outputs.append(None if node is None else self._number(node))
        own = getattr(function, "function", function)
        self.calls.append(
            Call(
                _name(type(own)),
                seen.attributes,
                tuple(self.numbers[id(n)] for n in function.inputs),
                tuple(outputs),
                seen.where,
                seen.link,
            )
        )

    def _alias(self, node: Any, number: int) -> None:
        self.numbers[id(node)] = number
        self.kept.append(node)

    def _number(self, node: Any) -> int:
        self.numbers[id(node)] = self.count
        self.kept.append(node)
        self.count += 1
        return self.count - 1

    def _leaf(self, node: Any, data: Array | None, content: Array, reader: str) -> None:
        kind, name = self.names.get(id(node)) or self.arrays.get(id(data)) or ("constant", "")
        if kind == "constant" and getattr(node, "is_input", False):
            raise ModelFormatError(
                f"the chain reads at {reader} what an earlier call was given; an attribute that "
                "holds a Variable or None may keep something, but no lists or arrays"
            )
        if kind == "constant" and isinstance(data, Taken):
            raise ModelFormatError(
                f"the chain depends on the values of its inputs: an array that is computed of a "
                f"Variable's (.array, .data, NumPy) enters at {reader}; compute it with functions "
                "of chainer.functions"
            )
        if kind == "constant" and id(data) in self.parameters:
            kind, name = "parameter", self.parameters[id(data)][0]
        key = (kind, name)
        if kind != "constant" and key in self.shared:
            self._alias(node, self.shared[key])
            return
        number = self._number(node)
        self.shared[key] = number
        assert data is not None
        array = np.asarray(data) if kind == "parameter" else np.asanyarray(content)
        self.leaves.append(Leaf(kind, name, array, number))


def _name(kind: type) -> str:
    """What a function is called; beside one of Chainer's of that name, with its module."""
    name = kind.__name__
    is_chainers = kind.__module__.startswith(("chainer.", "webconv."))
    return name if is_chainers or name not in FUNCTIONS else f"{kind.__module__}.{name}"


def _without_graph(name: str) -> str:
    return (
        f"output {name!r} is an array without a graph: what makes it takes the array out of a "
        "Variable (.array, .data, NumPy); compute it with functions of chainer.functions"
    )
