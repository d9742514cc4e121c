"""What is run to verify a bundle, and what should come out of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Program
from webconv.ir.op import Array
from webconv.verify.compare import Expected, own_slack
from webconv.verify.data import Arrays, by_name, complete, read_npz, split_states

Given = str | Path | Arrays


@dataclass(frozen=True)
class Run:
    """One call of an entry. `states` are set before it; both expectations hold after it."""

    entry: str
    inputs: dict[str, Array]
    states: dict[str, Array]
    outputs: tuple[Expected, ...] = ()
    expected_states: tuple[Expected, ...] = field(default=())


def arrays_of(given: Given) -> dict[str, Array]:
    """The arrays of an npz file, or those given."""
    if isinstance(given, str | Path):
        return read_npz(Path(given))
    return {name: np.asarray(a) for name, a in given.items()}


def make_runs(
    program: Program,
    vocabularies: Mapping[tuple[str, str], int],
    inputs: Sequence[Given],
    expect: Sequence[Given],
    entry: str | None,
    rng: np.random.Generator,
) -> list[Run]:
    """The runs for the given inputs, or random ones for each entry if there are none.

    Without `expect` the expectations are NumPy's. Raises ModelFormatError or ShapeError if what is
    given does not fit the program.
    """
    if expect and len(expect) != len(inputs):
        rule = "every expect belongs to one inputs"
        raise ModelFormatError(f"{rule}, but there are {len(expect)} and {len(inputs)}")
    names = [entry] if entry else list(program.entries)
    if unknown := [n for n in names if n not in program.entries]:
        there = ", ".join(program.entries)
        raise ModelFormatError(f"there is no entry {unknown[0]!r}; there are {there}")
    given: list[Given]
    if inputs:
        given, names = list(inputs), names[:1]
    else:
        given = [{}] * (2 if program.states else 1)
    runs = []
    for name in names:
        for g in given:
            own, states = split_states(program, arrays_of(g))
            runs.append(Run(name, complete(program, name, own, vocabularies, rng), states))
    if expect:
        return [_expecting(program, run, arrays_of(e)) for run, e in zip(runs, expect, strict=True)]
    return _by_numpy(program, runs)


def _expecting(program: Program, run: Run, expect: dict[str, Array]) -> Run:
    outputs, states = split_states(program, expect)
    named = by_name(outputs, list(program.entries[run.entry].outputs), "output")
    return Run(
        run.entry,
        run.inputs,
        run.states,
        tuple(Expected(name, array) for name, array in named.items()),
        tuple(Expected(name, array) for name, array in states.items()),
    )


def _by_numpy(program: Program, runs: Sequence[Run]) -> list[Run]:
    """The same runs with NumPy's outputs in float64, and what float32 adds to the tolerance."""
    wide: dict[str, Array] = {}
    narrow: dict[str, Array] = {}
    done = []
    for run in runs:
        wide |= run.states
        narrow |= run.states
        want = program.run(run.inputs, run.entry, wide)
        near = program.run(run.inputs, run.entry, narrow, np.float32)
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
        other = program.run(run.inputs, run.entry, states)
        for want in run.outputs:
            if want.name in other and want.array.size:
                gap = np.abs(other[want.name].astype(np.float64) - want.array)
                found[want.name] = max(found.get(want.name, 0.0), float(np.nanmax(gap)))
    return found
