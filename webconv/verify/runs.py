"""What is run to verify a bundle, and what should come out of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Program
from webconv.ir.lists import members
from webconv.ir.op import Array
from webconv.verify.compare import Expected, own_slack
from webconv.verify.data import LARGER, SIZES, Arrays, complete, read_npz, split_states
from webconv.verify.names import by_name

Given = str | Path | Arrays


@dataclass(frozen=True)
class Run:
    """One call of an entry. `states` are set before it; both expectations hold after it.

    Inputs that are lists of sequences are lists of arrays; outputs that are lists are expected
    array by array, as `ys/0`, `ys/1`, ...
    """

    entry: str
    inputs: dict[str, Any]
    states: dict[str, Array]
    outputs: tuple[Expected, ...] = ()
    expected_states: tuple[Expected, ...] = field(default=())


def arrays_of(given: Given) -> dict[str, Any]:
    """The arrays of an npz file, or those given."""
    if isinstance(given, str | Path):
        return read_npz(Path(given))
    return dict(given)


def make_runs(
    program: Program,
    vocabularies: Mapping[tuple[str, str], int],
    inputs: Sequence[Given],
    expect: Sequence[Given],
    entry: str | None,
    rng: np.random.Generator,
) -> list[Run]:
    """The runs for the given inputs, or random ones for each entry if there are none.

    Without `entry` a run is one of the first entry that has its inputs, without `expect` the
    expectations are NumPy's. Raises ModelFormatError or ShapeError if what is given does not fit
    the program.
    """
    if expect and len(expect) != len(inputs):
        rule = "every expect belongs to one inputs"
        raise ModelFormatError(f"{rule}, but there are {len(expect)} and {len(inputs)}")
    names = [entry] if entry else list(program.entries)
    if unknown := [n for n in names if n not in program.entries]:
        there = ", ".join(program.entries)
        raise ModelFormatError(f"there is no entry {unknown[0]!r}; there are {there}")
    # (entry, arrays of inputs, arrays of states) of each run.
    given: list[tuple[str, Arrays, dict[str, Array]]] = []
    for g in inputs:
        own, states = split_states(program, arrays_of(g))
        given.append((_entry_of(program, names, own), own, states))
    if not inputs:
        # What reads states comes after what only writes them.
        for name in sorted(names, key=lambda n: bool(program.entries[n].reads)):
            given += [(name, {}, {})] * (2 if program.states else 1)

    def runs(sizes: Sequence[int]) -> list[Run]:
        return [
            Run(name, complete(program, name, own, vocabularies, rng, sizes=sizes), states)
            for name, own, states in given
        ]

    if expect:
        pairs = zip(runs(SIZES), expect, strict=True)
        return [_expecting(program, run, arrays_of(e)) for run, e in pairs]
    return _by_numpy_at_sizes(program, runs)


def _entry_of(program: Program, names: Sequence[str], given: Arrays) -> str:
    """The first entry that has all inputs which are named; else the first."""
    fitting = (n for n in names if given and _has_inputs(program.entries[n], given))
    return next(fitting, names[0])


def _has_inputs(graph: Graph, given: Arrays) -> bool:
    """True if all keys name inputs, or arrays of a list as `xs/0`."""
    lists = graph.lists.inputs
    return all(k in graph.inputs or k.rpartition("/")[0] in lists for k in given)


def _expecting(program: Program, run: Run, expect: dict[str, Any]) -> Run:
    outputs, states = split_states(program, expect)
    graph = program.entries[run.entry]
    named = by_name(outputs, list(graph.outputs), "output", graph.lists.outputs)
    packed = graph.lists.pack(run.inputs, {name: v.type for name, v in graph.inputs.items()})
    for name, lengths in graph.lists.outputs.items():
        arrays, count = named.get(name), len(packed[lengths])
        if name in named and not (isinstance(arrays, list) and len(arrays) == count):
            found = len(arrays) if isinstance(arrays, list) else "one array"
            rule = f"output {name!r} is a list of {count} sequences, as its input is"
            raise ModelFormatError(f"{rule}, but expected are {found}")
    return Run(
        run.entry,
        run.inputs,
        run.states,
        tuple(Expected(name, array) for name, array in members(named)),
        tuple(Expected(name, array) for name, array in states.items()),
    )


def _by_numpy_at_sizes(program: Program, runs: Callable[[Sequence[int]], list[Run]]) -> list[Run]:
    """The runs with NumPy's outputs, at larger sizes if it refuses those that were chosen."""
    seen: list[str] = []
    refused: ShapeError | None = None
    for size in (SIZES[0], *LARGER):
        chosen = runs([*dict.fromkeys((size, *SIZES))])
        if _shapes(chosen) in seen:
            continue
        seen.append(_shapes(chosen))
        try:
            return _by_numpy(program, chosen)
        except ShapeError as error:
            refused = refused or error
    assert refused is not None
    if len(seen) == 1:
        raise refused
    rule = f"random inputs {seen[0]}, and larger ones, do not fit"
    raise ShapeError(f"{refused}; {rule}: --inputs FILE.npz gives others")


def _shapes(runs: Sequence[Run]) -> str:
    """The shapes of all inputs, as `x [2, 7]`."""
    found = dict.fromkeys(
        f"{name} {list(array.shape)}" for run in runs for name, array in members(run.inputs)
    )
    return ", ".join(found)


def _by_numpy(program: Program, runs: Sequence[Run]) -> list[Run]:
    """The same runs with NumPy's outputs in float64, and what float32 adds to the tolerance."""
    wide: dict[str, Array] = {}
    narrow: dict[str, Array] = {}
    done = []
    for run in runs:
        wide |= run.states
        narrow |= run.states
        want = dict(members(program.run(run.inputs, run.entry, wide)))
        near = dict(members(program.run(run.inputs, run.entry, narrow, np.float32)))
        outputs = tuple(Expected(n, a, own_slack(near[n], a)) for n, a in want.items())
        written = program.entries[run.entry].writes
        states = tuple(Expected(n, wide[n], own_slack(narrow[n], wide[n])) for n in written)
        done.append(Run(run.entry, run.inputs, run.states, outputs, states))
    return done


def distance(program: Program, runs: Sequence[Run]) -> dict[str, float]:
    """By output, the largest difference between the runs' expectations and another program's."""
    states: dict[str, Array] = {}
    found: dict[str, float] = {}
    for run in runs:
        states |= run.states
        other = dict(members(program.run(run.inputs, run.entry, states)))
        for want in run.outputs:
            if want.name in other and want.array.size:
                gap = np.abs(other[want.name].astype(np.float64) - want.array)
                found[want.name] = max(found.get(want.name, 0.0), float(np.nanmax(gap)))
    return found
