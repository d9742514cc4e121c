"""Several entries of one chain: each is traced, and they share parameters and states."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from webconv.frontends.chainer.chains import program_of
from webconv.frontends.chainer.registry import Convert
from webconv.frontends.chainer.states import STARTED
from webconv.frontends.chainer.traced import Traced
from webconv.ir import dims
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Graph, Program, State, constant

Entries = Mapping[str, Sequence[Any]]
"""By its name what an entry calls, with an example of each of its inputs."""


def program_of_entries(
    chain: Any,
    entries: Entries,
    input_shapes: Mapping[str, tuple[dims.Dim, ...]],
    name: str,
    plugins: Mapping[str, Convert],
) -> Program:
    """The program with all entries; raises ModelFormatError or ShapeError naming the entry."""
    _check_entries(chain, entries)
    traced = {}
    for entry, (method, *examples) in entries.items():
        own = Traced(chain, examples, method=method)
        inputs = {n for a in own.arguments for n in a.names}
        shapes = {n: shape for n, shape in input_shapes.items() if n in inputs}
        traced[entry] = dataclasses.replace(own, input_shapes=shapes)
    known = dict.fromkeys(n for t in traced.values() for a in t.arguments for n in a.names)
    if unknown := [n for n in input_shapes if n not in known]:
        raise ModelFormatError(f"there is no input {unknown[0]!r}; there are {', '.join(known)}")
    beside = list(traced.values())
    traced = {n: dataclasses.replace(t, entries=beside) for n, t in traced.items()}
    tapes = {n: _about(n, partial(t.tape, t.sizes)) for n, t in traced.items()}
    carried = sorted({state for tape in tapes.values() for state in tape.writes})
    programs = {}
    for entry, one in traced.items():
        own = dataclasses.replace(one, carried=carried)
        programs[entry] = _about(entry, partial(program_of, own, name, plugins))
    return _joined(programs, name)


def _check_entries(chain: Any, entries: Entries) -> None:
    if not entries:
        raise ModelFormatError("there must be an entry, but there are none")
    links = [link for _, link in chain.namedlinks()]
    for name, entry in entries.items():
        if not isinstance(entry, tuple | list) or len(entry) < 2 or not callable(entry[0]):
            raise ModelFormatError(
                f"entry {name!r} must be what it calls and its example inputs: "
                f"{{{name!r}: (chain.method, x)}}"
            )
        owner = getattr(entry[0], "__self__", chain)
        if not any(owner is link for link in links):
            raise ModelFormatError(
                f"entry {name!r} calls a method of {type(owner).__name__}, which is no link of "
                f"{type(chain).__name__}; entries share the parameters and states of one chain"
            )


def _about(entry: str, make: Callable[[], Any]) -> Any:
    """Put the entry's name before the message of an error."""
    try:
        return make()
    except (ModelFormatError, ShapeError, UnsupportedError) as error:
        error.args = (f"entry {entry!r}: {error}",)
        raise


def _joined(programs: Mapping[str, Program], name: str) -> Program:
    states: dict[str, State] = {}
    for entry, program in programs.items():
        for state in program.states:
            first = states.setdefault(state.name, state)
            if first.type != state.type:
                _differ(entry, state.name, first.type, state.type)
    graphs = {entry: program.main for entry, program in programs.items()}
    if STARTED in states:
        graphs = {entry: _starting(entry, graph, states) for entry, graph in graphs.items()}
    for entry, graph in graphs.items():
        for state_name, value in graph.writes.items():
            if value.type != states[state_name].type:
                _differ(entry, state_name, states[state_name].type, value.type)
    notes = tuple(f"{entry}: {note}" for entry, p in programs.items() for note in p.notes)
    return Program(graphs, tuple(states.values()), name, notes=notes)


def _differ(entry: str, state: str, known: object, found: object) -> None:
    raise ShapeError(
        f"entry {entry!r}: state {state!r} is {found}, but {known} in another entry; give the "
        "batch of all entries one name (webconv.Dim), or one size"
    )


def _starting(entry: str, graph: Graph, states: Mapping[str, State]) -> Graph:
    """`graph`, which notes that there was a run if it leaves the states of one."""
    if STARTED in graph.writes or not graph.writes:
        return graph
    if missing := [n for n in states if n != STARTED and n not in graph.writes]:
        raise UnsupportedError(
            f"entry {entry!r} leaves {', '.join(missing)} as it was, but a link of the chain does "
            "something else in its first call than later, which is known of all states together"
        )
    return dataclasses.replace(graph, writes={**graph.writes, STARTED: constant(np.True_)})
