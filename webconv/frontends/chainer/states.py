"""Links that keep something from call to call: what they keep becomes states of the program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chainer
import chainer.links as L
import numpy as np

from webconv.frontends.chainer.composites import composites_off
from webconv.ir import dtypes, ops
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


class States:
    """The stateful links of a chain."""

    def __init__(self, chain: Any) -> None:
        self.places: dict[str, tuple[Any, str]] = {}
        for path, link in chain.namedlinks():
            for kind, names in KEPT.items():
                if isinstance(link, kind):
                    for name in names:
                        self.places[f"{path.strip('/')}/{name}".lstrip("/")] = (link, name)

    @contextlib.contextmanager
    def carried(self, calls: Sequence[Callable[[], Any]], first: bool = False) -> Iterator[Carried]:
        """Zeros as states, whose shapes `calls` tell; the links are as before at the end.

        With `first` the states are those of a first call: None.
        """
        kept = {name: getattr(link, field) for name, (link, field) in self.places.items()}
        try:
            before = self._zeros(calls) if self.places else {}
            for name, zeros in before.items():
                setattr(*self.places[name], zeros)
            if first:
                self._clear()
            yield Carried({} if first else before, lambda: self._after(before))
        finally:
            for name, (link, field) in self.places.items():
                setattr(link, field, kept[name])

    def _zeros(self, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """Zeros of the shapes that states have after any of `calls`."""
        self._clear()
        found = {}
        for call in calls:
            with composites_off(), chainer.no_backprop_mode():
                call()
            for name, place in self.places.items():
                if (value := getattr(*place)) is not None:
                    found[name] = chainer.Variable(np.zeros_like(value.array))
        return found

    def _clear(self) -> None:
        for link, field in self.places.values():
            setattr(link, field, None)

    def _after(self, before: Mapping[str, Any]) -> dict[str, Any]:
        after = {name: getattr(*self.places[name]) for name in before}
        return {name: value for name, value in after.items() if value is not None}


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
