"""Sizes that the example does not name, but that the chain's steps show to be open.

A chain of plain arrays whose loop is a recurrence runs at one length. If it can be called with
others, and all calls make one program, the axis of the loop becomes the symbol `time`, and that of
the batch `batch`. What gives no such program stays as it was traced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from typing import TYPE_CHECKING, Any

from webconv.frontends.chainer.agreement import compare
from webconv.frontends.chainer.example import Dim as NamedSize
from webconv.frontends.chainer.example import example, resized
from webconv.frontends.chainer.tape import Tape
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Program
from webconv.ir.ops.control import Scan
from webconv.ir.ops.recurrent import Recurrent
from webconv.passes.recurrences import recognise

if TYPE_CHECKING:
    from webconv.frontends.chainer.traced import Traced

# What a chain raises that cannot be called with other sizes, or gives another program with them.
REFUSALS = (UnsupportedError, ModelFormatError, ShapeError)

# Longer sequences take a while to trace.
SHORT = 8

# Ways to choose axes of one size that may be those of a loop.
MOST_GROUPS = 12

# An axis of an input, by its name.
Axis = tuple[str, int]
Names = Mapping[Axis, str]

Convert = Callable[["Traced"], tuple[Program, Tape]]
Finish = Callable[["Traced", Program, Tape], Program]


def opened(
    traced: Traced,
    program: Program,
    base: Tape,
    convert: Convert,
    finish: Finish,
    reasons: dict[Axis, str],
) -> Program | None:
    """The program with open sizes, converted and finished; None if they stay as they are.

    A size that is named by the caller says that the others are meant as they are. Entries that
    share states must have the same sizes, so theirs stay too. Why an axis stays is put in
    `reasons`.
    """
    if traced.sizes or traced.input_shapes or traced.entries or base.lists:
        return None
    recognised, found = recognise(program)
    if not found.layers:
        return None
    probes = _Probes(traced, base)
    steps = _steps(recognised)
    for axis, failure in probes.failures.items():
        if axis[1] == 0 or probes.sizes[axis] in steps:
            reasons[axis] = failure
    for names in _proposals(probes, _batches(recognised)):
        candidate = named(traced, names)
        sizes = {name: probes.sizes[axis] for axis, name in names.items()}
        try:
            made, tape = convert(candidate)
            compare(made, traced.arrays({}), base)
            other = {name: 2 * n + 1 for name, n in sizes.items()}
            compare(made, candidate.arrays(other), candidate.tape(other))
            return finish(candidate, made, tape)
        except REFUSALS as error:
            for axis in names:
                reasons.setdefault(axis, str(error))
    return None


def _steps(program: Program) -> set[object]:
    """How many steps the loops have."""
    loops = [n.inputs[0] for n in program.main.nodes if isinstance(n.op, Recurrent)]
    return {x.shape[0] for x in loops if x is not None}


def _batches(program: Program) -> set[object]:
    """The sizes of what may be the batch of loops."""
    found: set[object] = set()
    for node in program.main.nodes:
        if isinstance(node.op, Recurrent) and node.inputs[0] is not None:
            found.add(node.inputs[0].shape[1])
        if isinstance(node.op, Scan):
            states = node.inputs[: node.op.carries]
            found |= {v.shape[0] for v in states if v is not None and v.shape}
    return found


def named(traced: Traced, names: Names) -> Traced:
    """The same chain with names for axes of its inputs; they are short, as calls are many."""
    order = {name: k for k, name in enumerate(dict.fromkeys(names.values()))}
    examples: list[Any] = []
    for argument in traced.arguments:
        own = []
        for name, array in zip(argument.names, argument.arrays, strict=True):
            sizes = [
                NamedSize(symbol, min(n, SHORT + order[symbol])) if symbol is not None else n
                for k, n in enumerate(array.shape)
                for symbol in [names.get((name, k))]
            ]
            own.append(example(sizes, array.dtype, resized(array, sizes)))
        examples.append(own if argument.listed else own[0])
    labels = [a.label for a in traced.arguments]
    return dataclasses.replace(traced, examples=examples, names=labels)


def _calls(tape: Tape) -> list[str]:
    return [c.name for c in tape.calls]


class _Probes:
    """What calls do with an axis, or several, one longer."""

    def __init__(self, traced: Traced, base: Tape) -> None:
        self._traced = traced
        self._calls = _calls(base)
        self.sizes: dict[Axis, int] = {
            (name, k): n
            for argument in traced.arguments
            for name, array in zip(argument.names, argument.arrays, strict=True)
            for k, n in enumerate(array.shape)
            if n
        }
        self.failures: dict[Axis, str] = {}
        self._alone = {axis: self._longer([axis]) for axis in self.sizes}

    def _longer(self, axes: Sequence[Axis]) -> bool | None:
        """True if the call has other steps with one more, None if it fails."""
        candidate = named(self._traced, dict.fromkeys(axes, "size"))
        n = candidate.sizes["size"]
        try:
            shown = n == self.sizes[axes[0]]
            calls = self._calls if shown else _calls(candidate.tape({"size": n}))
            return _calls(candidate.tape({"size": n + 1})) != calls
        except REFUSALS as error:
            self.failures.update((axis, str(error)) for axis in axes if len(axes) == 1)
            return None

    def batch(self, sizes: Iterable[object]) -> list[Axis]:
        """An axis of each input that has one, of these sizes, without which no step is more."""
        known = set(sizes)
        fitting = [axis for axis, n in self.sizes.items() if n in known]
        groups = [[axis for axis in fitting if axis[1] == k] for k in (0, 1)]
        # The first axis of an input may be that of a loop, and of another the batch.
        firsts = {axis[0]: axis for axis in reversed(fitting) if not self._alone[axis]}
        for group in (*groups, [*firsts.values()]):
            alike = len({self.sizes[axis] for axis in group}) == 1
            if alike and self._longer(group) is False:
                return group
        return []

    def times(self, batch: Sequence[Axis]) -> list[list[Axis]]:
        """Axes with the steps of a loop; those that only change together are in one group."""
        rest = {axis: steps for axis, steps in self._alone.items() if axis not in batch}
        groups = [[axis] for axis, steps in rest.items() if steps]
        inputs = [name for group in groups for name, _ in group]
        if len(set(inputs)) < len(inputs):
            return []
        # `zip` stops at the end of the shortest, and others fail there.
        others = [axis for axis, steps in rest.items() if not steps and axis[0] not in inputs]
        for group in _of_one_size(others, self.sizes):
            known = {name for found in groups for name, _ in found}
            if known.isdisjoint(name for name, _ in group) and self._longer(group):
                groups.append(group)
        return groups


def _of_one_size(axes: Iterable[Axis], sizes: Mapping[Axis, int]) -> Iterator[list[Axis]]:
    """Axes of several inputs, one of each, that have the same size; the most inputs first."""
    groups: dict[int, dict[str, list[Axis]]] = {}
    for axis in axes:
        groups.setdefault(sizes[axis], {}).setdefault(axis[0], []).append(axis)
    for group in groups.values():
        chosen = (
            product(*some)
            for count in range(len(group), 1, -1)
            for some in combinations(group.values(), count)
        )
        yield from islice((list(axes) for some in chosen for axes in some), MOST_GROUPS)


def _proposals(probes: _Probes, batches: Iterable[object]) -> Iterator[Names]:
    """Names for axes, the most first."""
    batch = dict.fromkeys(probes.batch(batches), "batch")
    groups = probes.times([*batch])
    several = len(groups) > 1
    apart = {a: f"{g[0][0]}_time" if several else "time" for g in groups for a in g}
    proposals = [{**apart, **batch}]
    if several and len({probes.sizes[axis] for axis in apart}) == 1:
        proposals.append({**dict.fromkeys(apart, "time"), **batch})
    proposals += [apart, batch]
    tried: list[Names] = [{}]
    for names in proposals:
        if names not in tried:
            tried.append(names)
            yield names
