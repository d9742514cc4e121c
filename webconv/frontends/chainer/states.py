"""Links that keep something from call to call: what they keep becomes states of the program."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chainer
import chainer.links as L
import numpy as np

from webconv.frontends.chainer.composites import composites_off
from webconv.frontends.chainer.kept import Done, done, moved
from webconv.ir import dtypes, ops
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph, Program, State, Value, constant
from webconv.ir.graph import input as new_input
from webconv.ir.op import TensorType
from webconv.passes.substitute import substitute

# The links, and what each keeps. All begin with None, which stands for zeros.
KEPT: dict[type, tuple[str, ...]] = {
    L.LSTM: ("c", "h"),
    L.StatefulPeepholeLSTM: ("c", "h"),
    L.StatefulZoneoutLSTM: ("c", "h"),
    L.StatefulMGU: ("h",),
    L.StatefulGRU: ("h",),
}


@dataclass(frozen=True)
class Carried:
    """States before a call as Variables by name, and how to read those after it."""

    before: Mapping[str, Any]
    after: Callable[[], Mapping[str, Any]]


def _kept_by(link: Any) -> list[str]:
    """The attributes of a link in which it may keep something."""
    for kind, names in KEPT.items():
        if isinstance(link, kind):
            return [*names]
    if type(link).__module__.startswith("chainer."):
        return []
    # A chain of the user's own keeps Variables, in attributes that hold one or nothing yet.
    own = {name: v for name, v in vars(link).items() if not name.startswith("_")}
    return [n for n, v in own.items() if n != "name" and (v is None or _is_variable(v))]


def _is_variable(value: Any) -> bool:
    return isinstance(value, chainer.Variable) and not isinstance(value, chainer.Parameter)


class States:
    """What the links of a chain keep from call to call, by the link's path and its attribute.

    A link of Chainer's starts with nothing, an attribute of the user's with what it holds.
    """

    def __init__(self, chain: Any) -> None:
        self._chain = chain
        self._checked = False
        self.places: dict[str, tuple[Any, str]] = {}
        self._initial: dict[str, Any] = {}
        for path, link in chain.namedlinks():
            for field in _kept_by(link):
                name = f"{path.strip('/')}/{field}".lstrip("/")
                self.places[name] = (link, field)
                self._initial[name] = (
                    None if isinstance(link, tuple(KEPT)) else getattr(link, field)
                )

    @contextlib.contextmanager
    def carried(self, calls: Sequence[Callable[[], Any]], first: bool = False) -> Iterator[Carried]:
        """States as before any call, zeros for None, whose shapes `calls` tell.

        With `first` they are those of a first call: None. The links are as before at the end.
        """
        kept = {name: getattr(link, field) for name, (link, field) in self.places.items()}
        try:
            before = self._starts(calls) if self.places else {}
            for name, start in before.items():
                setattr(*self.places[name], start)
            if first:
                self._clear()
            yield Carried({} if first else before, lambda: self._after(before))
        finally:
            for name, (link, field) in self.places.items():
                setattr(link, field, kept[name])

    def _starts(self, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """What is kept after any of `calls`, as it is before them."""
        self._clear()
        found = {}
        for call in calls:
            with composites_off(), chainer.no_backprop_mode(), _same_attributes(self._chain):
                call()
            for name, place in self.places.items():
                value, initial = getattr(*place), self._initial[name]
                if _is_variable(value) and value is not initial:
                    start = np.zeros_like(value.array) if initial is None else initial.array
                    found[name] = chainer.Variable(start)
        if not self._checked:
            self._check_others(calls, found)
            self._checked = True
        self._clear()
        return found

    def _check_others(self, calls: Sequence[Callable[[], Any]], starts: Mapping[str, Any]) -> None:
        """Refuses what is kept and is no Variable, if a next call does something else for it."""
        held = {name: getattr(*place) for name, place in self.places.items() if name not in starts}
        for name, value in held.items():
            if value is self._initial[name]:
                continue
            for call in calls:
                without = self._done(call, starts)
                if without != self._done(call, starts):
                    continue  # By chance, which is told where two calls are compared.
                if without != self._done(call, {**starts, name: moved(value)}):
                    link, field = name.rpartition("/")[::2]
                    kind = "array" if isinstance(value, np.ndarray) else type(value).__name__
                    raise ModelFormatError(
                        f"{f'link {link}' if link else 'the chain'} keeps what is no Variable in "
                        f"its attribute {field} ({kind}), and its next call reads "
                        "it; keep Variables in attributes of their own (self.c, self.h = c, h)"
                    )

    def _done(self, call: Callable[[], Any], starts: Mapping[str, Any]) -> Done:
        """What a call does that begins with `starts`."""
        self._clear()
        for name, start in starts.items():
            setattr(*self.places[name], start)
        with composites_off(), _same_attributes(self._chain):
            try:
                made = call()
            except Exception as error:  # The user's code may raise anything.
                return Done({"error": type(error).__name__}, {})
        kept = {name: getattr(*place) for name, place in self.places.items()}
        after = {name: v for name, v in kept.items() if _is_variable(v)}
        return done({"made": made, "after": after})

    def _clear(self) -> None:
        for name, (link, field) in self.places.items():
            setattr(link, field, self._initial[name])

    def _after(self, before: Mapping[str, Any]) -> dict[str, Any]:
        after = {name: getattr(*self.places[name]) for name in before}
        return {name: value for name, value in after.items() if _is_variable(value)}


@contextlib.contextmanager
def _same_attributes(chain: Any) -> Iterator[None]:
    """Numbers and lists that the chains hold, as counters, are at the end what they are now."""
    held: list[dict[str, Any]] = [vars(link) for _, link in chain.namedlinks()]
    kept: list[tuple[dict[str, Any], str, Any, Any]] = [
        (own, name, value, copy.copy(value))
        for own in held
        for name, value in own.items()
        if isinstance(value, bool | int | float | str | tuple | list) and not name.startswith("_")
    ]
    try:
        yield
    finally:
        for own, name, value, content in kept:
            own[name] = value
            if isinstance(value, list):
                value[:] = content


STARTED = "started"


def with_first_call(program: Program, first: Program) -> Program:
    """`program`, but with the results of `first` in the first run after a reset.

    `first` gives the states after it as outputs. A state more tells whether there was a run.
    """
    graph, other = program.main, first.main
    inputs = {other.inputs[name]: v for name, v in graph.inputs.items()}
    alone = substitute(other.outputs, inputs)
    kind = TensorType(dtypes.bool_, ())
    name = STARTED
    while name in graph.reads:
        name += "_"
    started = new_input(name, kind)

    def chosen(name: str, value: Value) -> Value:
        made: Value = ops.Where()(started, value, alone[name])
        return made

    outputs = {n: chosen(n, v) for n, v in graph.outputs.items()}
    writes = {n: chosen(n, v) for n, v in graph.writes.items()}
    writes[name] = constant(np.True_)
    reads = {**graph.reads, name: started}
    main = Graph(graph.inputs, outputs, reads, writes, lists=graph.lists)
    return Program({"main": main}, (*program.states, State(name, kind)), program.name)
