"""Traces a chain as often as it takes to know what depends on its sizes and what on its data."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from webconv.frontends.chainer.agreement import check_agreement, compare
from webconv.frontends.chainer.align import Mismatch, aligned, multiples, samples_of
from webconv.frontends.chainer.convert import check, convert
from webconv.frontends.chainer.example import Change, contrary, disturbed, emptied, padded
from webconv.frontends.chainer.fixed import with_notes
from webconv.frontends.chainer.links import shown, stripped, with_common_layers
from webconv.frontends.chainer.open_lists import of_any_lists
from webconv.frontends.chainer.opening import REFUSALS, SHORT, Axis, opened
from webconv.frontends.chainer.registry import FUNCTIONS, Convert
from webconv.frontends.chainer.sites import ListsMeet
from webconv.frontends.chainer.states import with_first_call
from webconv.frontends.chainer.tape import Tape
from webconv.frontends.chainer.traced import Sizes, Traced
from webconv.frontends.chainer.unify import unified
from webconv.frontends.chainer.variants import (
    with_alike,
    with_apart,
    with_beside,
    with_counted,
    with_other_lists,
    with_star,
)
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Program
from webconv.ir.op import Array
from webconv.ir.ops.control import Scan
from webconv.passes.recurrences import recognise_recurrences


def program_of(traced: Traced, name: str, plugins: Mapping[str, Convert]) -> Program:
    """The program of a chain, with sizes open that its steps show to be.

    The arrays of `*xs` are a list if the chain takes them so, in any number, else inputs each.
    """

    def converted(other: Traced) -> tuple[Program, Tape]:
        return _program(other, name, plugins)

    def finish(other: Traced, program: Program, base: Tape) -> Program:
        return _finished(other, program, base, name, plugins)

    def of_lists(other: Traced) -> Program:
        try:
            return finish(other, *converted(other))
        except REFUSALS as error:
            if (apart := with_apart(other)) is not None:
                with contextlib.suppress(*REFUSALS):
                    made = finish(apart, *converted(apart))
                    compare(made, other.arrays({}), other.tape({}))
                    return made
            if isinstance(error, ListsMeet) and error.names is not None:
                return of_lists(with_beside(other, *error.names))
            if (alike := with_alike(other)) is not None:
                with contextlib.suppress(*REFUSALS):
                    return of_lists(alike)
            raise

    if (listed := with_star(traced)) is not None:
        with contextlib.suppress(*REFUSALS):
            return of_lists(listed)
    if traced.counts:
        try:
            return of_lists(traced)
        except REFUSALS:
            if (counted := with_counted(traced)) is not None:
                with contextlib.suppress(*REFUSALS):
                    return finish(counted, *converted(counted))
            raise
    program, base = converted(traced)
    reasons: dict[Axis, str] = {}
    made = opened(traced, program, base, converted, finish, reasons)
    return with_notes(traced, made or finish(traced, program, base), reasons)


def _finished(
    traced: Traced, program: Program, base: Tape, name: str, plugins: Mapping[str, Convert]
) -> Program:
    """`program`, checked with other lists and sizes, and with a first call that differs."""
    if base.lists:
        _check_rows(traced, program)
        other = _again(traced, program, name, plugins)
        program = of_any_lists(
            traced,
            program,
            other,
            make=lambda of: _program(of, name, plugins)[0],
            tape_of=_tape_of_sizes,
            convert=lambda tape, plain: convert(tape, name, plugins, plain),
        )
    check_agreement(traced, program, base, _divided(traced, base)[1])
    if not base.writes:
        return program
    first, alone = _program(dataclasses.replace(traced, first=True), name, plugins)
    return program if _same_results(base, alone) else with_first_call(program, first)


def _check_rows(traced: Traced, program: Program) -> None:
    """Raises UnsupportedError if a slice has nothing of a sequence of the example."""
    for argument in traced.arguments:
        least = program.main.lists.least.get(argument.label, 1)
        shortest = min(map(len, argument.arrays)) if argument.is_list else least
        if shortest < least:
            raise UnsupportedError(
                f"a slice of a sequence of {argument.label} is empty if it has less than {least} "
                f"rows, and the example has one of {shortest}; give longer ones"
            )


def _again(traced: Traced, program: Program, name: str, plugins: Mapping[str, Convert]) -> Program:
    """The program that other lists give; an error says that the example itself has passed."""
    try:
        return _program(with_other_lists(traced, program.main.lists.least), name, plugins)[0]
    except REFUSALS as error:
        counts = ", ".join(f"Dim('{n}', {size})" for n, size in traced.counts.items())
        error.args = (
            f"with a sequence more, {error}; an axis of another input that has the size of the "
            f"list has its name: {counts}",
        )
        raise


def _same_results(carried: Tape, first: Tape) -> bool:
    """True if a first call does what a call on states of zeros does."""
    pairs = [(carried.results[n], first.results[n]) for n in carried.results]
    pairs += [(carried.written[n], first.results[n]) for n in carried.writes]
    return all(np.allclose(a, b, 1e-5, 1e-6) for a, b in pairs)


def _program(traced: Traced, name: str, plugins: Mapping[str, Convert]) -> tuple[Program, Tape]:
    """The program of a call, and the tape of the example."""
    base = traced.tape(traced.sizes)
    _check_functions(base, plugins)
    _check_data(traced, base)
    if not traced.sizes:
        return convert(base, name, plugins), base
    open_, looped = _divided(traced, base)
    return _with_loops(traced, base, open_, looped, name, plugins), base


def _tape_of_sizes(traced: Traced) -> Tape:
    """The tape of a call whose sizes decide shapes only; raises Mismatch if they decide steps."""
    base = traced.tape(traced.sizes)
    open_, looped = _divided(traced, base)
    if looped:
        raise Mismatch(f"the number of its calls depends on {', '.join(looped)}")
    return _aligned_tape(traced, open_, {}) if open_ else base


def _check_functions(tape: Tape, plugins: Mapping[str, Convert]) -> None:
    import webconv.frontends.chainer.functions  # noqa: F401  (fills the table)

    check(tape, {**FUNCTIONS, **plugins})


def _check_data(traced: Traced, base: Tape) -> None:
    """Raises ModelFormatError if other values give another graph or other constants."""
    known: list[Mapping[str, Array]] = []
    for change in (disturbed, contrary, emptied, padded):
        arrays = traced.arrays(traced.sizes, change)
        if any(all(np.array_equal(own[n], arrays[n]) for n in own) for own in known):
            continue
        known.append(arrays)
        _check_values(traced, base, change)


def _check_values(traced: Traced, base: Tape, change: Change) -> None:
    try:
        with np.errstate(all="ignore"):
            other = traced.tape(traced.sizes, change)
    except ModelFormatError as error:
        if error.__cause__ is None:
            raise
        # Not all values are valid: a matrix may have to be positive definite.
        return
    try:
        aligned([base, other], [traced.sizes] * 2)
    except Mismatch as mismatch:
        raise ModelFormatError(
            f"the chain depends on the values of its inputs, on chance or on earlier calls: "
            f"{mismatch}; compute with functions of chainer.functions on Variables, not with "
            ".array, NumPy or `if`, and give what stays the same when the chain is made"
        ) from None


def _divided(traced: Traced, base: Tape) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes on which only shapes depend, and those on which the number of calls does."""
    open_: dict[str, int] = {}
    looped: dict[str, int] = {}
    for symbol, size in traced.sizes.items():
        others = [{**traced.sizes, symbol: n} for n in (size + 1, size - 1, *multiples(size)) if n]
        other = next((sizes for sizes in others if traced.takes(sizes)), others[0])
        same = _steps(traced.tape(other)) == _steps(base)
        (open_ if same else looped)[symbol] = size
    return open_, looped


def _steps(tape: Tape) -> list[tuple[str, int, int]]:
    return [(c.name, len(c.inputs), len(c.outputs)) for c in tape.calls]


def _with_loops(
    traced: Traced,
    base: Tape,
    open_: dict[str, int],
    looped: dict[str, int],
    name: str,
    plugins: Mapping[str, Convert],
) -> Program:
    """The program of loops of any length; few steps tell what many do, if it gives that."""
    few = {symbol: min(n, SHORT + k) for k, (symbol, n) in enumerate(looped.items())}
    if few != looped and not base.lists and traced.takes({**traced.sizes, **few}):
        with contextlib.suppress(*REFUSALS):
            made = _with_steps(traced, open_, few, name, plugins)
            compare(made, traced.arrays(traced.sizes), base)
            return made
    return _with_steps(traced, open_, looped, name, plugins)


def _with_steps(
    traced: Traced,
    open_: dict[str, int],
    looped: dict[str, int],
    name: str,
    plugins: Mapping[str, Convert],
) -> Program:
    if not looped:
        return convert(_aligned_tape(traced, open_, {}), name, plugins)
    try:
        return _of_samples(traced, open_, looped, name, plugins)
    except Mismatch as mismatch:
        for more in MORE:
            with contextlib.suppress(Mismatch, *REFUSALS):
                other = {symbol: n + more for symbol, n in looped.items()}
                return _of_samples(traced, open_, other, name, plugins, by_rows=True)
        names = ", ".join(looped)
        raise UnsupportedError(
            f"the steps over {names} are not a recurrence that is known: {mismatch}; fix the size "
            "(a plain number in the example), or use a link of L.NStep*"
        ) from None


# An axis that has the size of a batch by chance is taken for it; other batches tell.
MORE = (0, 3, 9)


def _of_samples(
    traced: Traced,
    open_: dict[str, int],
    looped: dict[str, int],
    name: str,
    plugins: Mapping[str, Convert],
    by_rows: bool = False,
) -> Program:
    """One program of those of several sizes; raises Mismatch if there is none.

    With `by_rows`, arrays of these sizes are lists of what the chain takes one by one.
    """
    samples = samples_of(looped, lambda s: traced.takes({**traced.sizes, **s}))
    tapes = with_common_layers([_aligned_tape(traced, open_, sizes) for sizes in samples])
    programs = [
        convert(tape, name, plugins, rows=sizes.values() if by_rows else ())
        for tape, sizes in zip(tapes, samples, strict=True)
    ]
    return _unified(programs, samples)


def _unified(programs: Sequence[Program], samples: Sequence[Sizes]) -> Program:
    """One program of several lengths, with its layers if they are alike too.

    What a link gives before a mask holds its states is no result of a recurrent operator, and it
    is better to have that.
    """
    try:
        made = unified([recognise_recurrences(shown(p)) for p in programs], samples)
    except Mismatch:
        return unified([recognise_recurrences(p) for p in programs], samples)
    if scans := _scans(made):
        # The first of the programs tells whether the others are worth it.
        with contextlib.suppress(Mismatch):
            if _scans(recognise_recurrences(programs[0])) < scans:
                return unified([recognise_recurrences(p) for p in programs], samples)
    return stripped(made, programs[0])


def _scans(program: Program) -> int:
    return sum(isinstance(n.op, Scan) for n in program.main.nodes)


def _aligned_tape(traced: Traced, open_: dict[str, int], fixed: Sizes) -> Tape:
    samples = [dict(fixed)]
    if open_:
        found = samples_of(open_, lambda s: traced.takes({**s, **fixed}))
        samples = [{**s, **fixed} for s in found]
    tapes = [traced.tape(s) for s in samples]
    try:
        return aligned(tapes, [{k: s[k] for k in open_} for s in samples])
    except Mismatch as mismatch:
        raise UnsupportedError(
            f"sizes {', '.join(open_)} cannot stay open: {mismatch}; give them plain numbers in "
            "the example"
        ) from None
