"""Compares a program with its chain at sizes from which it was not made.

Calls with some sizes tell what a chain does; with one row, or many steps, it may do something
else. What it gives there is compared where it takes these sizes and the arrays stay small.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends.chainer.example import disturbed
from webconv.frontends.chainer.tape import Tape
from webconv.frontends.chainer.traced import Sizes, Traced
from webconv.frontends.chainer.variants import with_lists
from webconv.ir import dims, dtypes
from webconv.ir.errors import ShapeError, UnsupportedError, WebconvError
from webconv.ir.graph import Node, Program
from webconv.ir.op import Array

# Multiplications, of all calls together, that the NumPy reference does in a second or so.
MOST_WORK = 1e9

# More than any size in examples that are typed by hand.
FAR = 64

# How far results may be apart, seen from the largest number: f32 adds up in another order, and the
# reference does not round to f16 on the way.
SINGLE, HALF = 1e-3, 1e-2

# Calls of a loop of that many steps that are quick to record.
MOST_CALLS = 3000

# Lengths of sequences in a message.
MOST_TOLD = 5


class Disagreement(ShapeError):
    """The program gives something else than the chain."""


def check_agreement(traced: Traced, program: Program, base: Tape, looped: Collection[str]) -> None:
    """Raises UnsupportedError naming sizes, or lengths, at which the two give other numbers."""
    left = MOST_WORK
    tried: list[dict[str, int]] = []
    for sizes in _telling(traced, base, looped):
        work = sum(_work(node, sizes) for node in program.main.nodes)
        if sizes in tried or work > left:
            continue
        tried.append(sizes)
        # What one row gives tells the most.
        left = min(left - work, MOST_WORK / 5)
        if (tape := _taken(traced, sizes)) is None:
            continue
        try:
            compare(program, traced.arrays(sizes, change=disturbed), tape)
        except Disagreement as found:
            changed = [f"{name} {n}" for name, n in sizes.items() if n != traced.sizes[name]]
            raise UnsupportedError(
                f"at {', '.join(changed)} {found}: the chain does something else with this size; "
                "fix the size (a plain number in the example)"
                if changed
                else f"{found} with the example itself: it may change an array in place that it "
                "has used (make a new one each time), or a plugin may compute something else"
            ) from None
    if base.lists:
        _check_lists(traced, program)


# Lists of few and many sequences, of short and long ones, and of equal ones, which a chain may
# take for a batch.
LISTS = ((3, 1, 4), (1,), (2,), (3, 3, 3), (12, 2), (FAR + 6, 2), (1, 2, 1) * 22)


def _check_lists(traced: Traced, program: Program) -> None:
    for lengths in LISTS:
        other = with_lists(traced, lengths, program.main.lists.least)
        if sum(_work(node, _of_lists(other)) for node in program.main.nodes) > MOST_WORK / 5:
            continue
        if (tape := _taken(other, other.sizes)) is None:
            continue
        try:
            compare(program, other.arrays(other.sizes, change=disturbed), tape)
        except Disagreement as found:
            raise UnsupportedError(
                f"with {_told(lengths)} {found}: the chain "
                "depends on the number or the lengths of its sequences; give the arrays as "
                "arguments of their own (forward(self, *xs)) to fix their number"
            ) from None


def _told(lengths: Sequence[int]) -> str:
    if len(lengths) > MOST_TOLD:
        return f"{len(lengths)} sequences of {min(lengths)} to {max(lengths)} steps"
    return f"sequences of {', '.join(map(str, lengths))} steps"


def _of_lists(traced: Traced) -> dict[str, int]:
    """The sizes of a call, those of its lists too."""
    found = {**traced.sizes, **traced.counts}
    for argument in traced.arguments:
        if argument.is_list:
            lengths = [len(a) for a in argument.arrays]
            found[f"{argument.label}_total"] = sum(lengths)
            found[f"{argument.label}_longest"] = max(lengths)
    return found


def _taken(traced: Traced, sizes: Sizes) -> Tape | None:
    """What a call with these sizes does; None if they are no sizes for the chain."""
    try:
        # Rows that are repeated to make more of them would be alike.
        tape = traced.tape(sizes, change=disturbed)
    except WebconvError:
        return None
    # A window that holds nothing but padding has a maximum of -inf: the chain means larger ones.
    return tape if all(np.isfinite(a).all() for a in tape.results.values()) else None


def _telling(traced: Traced, base: Tape, looped: Collection[str]) -> Iterator[dict[str, int]]:
    """The least sizes, the example's, and far ones; all at once, and one after the other."""
    example = dict(traced.sizes)
    # One row is what flat data stand for. A loop of one step, which has no next, may be no loop,
    # and a picture of one pixel no picture.
    rows = {axes[0].name for a in traced.arguments for axes in a.axes if axes and axes[0]}
    least = {name: 1 if name in rows and name not in looped else 2 for name in example}
    yield least
    yield example
    yield {name: max(least[name], n - 1) for name, n in example.items()}
    yield {name: max(least[name], (n + 1) // 2) for name, n in example.items()}
    steps = max((n for name, n in example.items() if name in looped), default=FAR)
    is_long = len(base.calls) * FAR > MOST_CALLS * steps
    far = {
        name: 2 * n + 1 if name in looped and is_long else max(FAR, n) + k
        for k, (name, n) in enumerate(example.items())
    }
    yield far
    # Where all at once are too many for the chain.
    yield from ({**least, name: n} for name, n in far.items())
    yield from ({**example, name: n} for name, n in least.items())
    yield {name: 2 * n + 1 for name, n in example.items()}
    # What must be a multiple of something may be so in the example.
    yield {name: 2 * n for name, n in example.items()}


def _work(node: Node, sizes: Sizes) -> float:
    """About how many multiplications a node takes, as far as the sizes tell."""
    made = 0.0
    for value in node.outputs:
        try:
            shape = [dims.evaluate(d, sizes) for d in value.shape]
        except (KeyError, ShapeError):
            continue
        total = float(np.prod(shape, dtype=float))
        weights = [v.constant for v in node.inputs if v is not None and v.constant is not None]
        # Of a weight, the axis that the result has too is not multiplied.
        each = [w.size / max([1, *(n for n in w.shape if n in shape)]) for w in weights]
        made += total * max([1.0, *each])
    return made


def compare(program: Program, inputs: Mapping[str, Array], tape: Tape) -> None:
    """Raises Disagreement if the program gives something else than the chain gave.

    What differs between single and double precision hangs on rounding, and tells nothing.
    """
    try:
        double = _results(program, inputs, tape, np.float64)
    except Exception as error:  # NumPy's too: whatever fails here fails in the page.
        raise Disagreement(f"the program fails, and the chain does not ({error})") from None
    want = [*tape.results.values(), *tape.written.values()]
    halves = any(v.type.dtype == dtypes.f16 for n in program.main.nodes for v in n.outputs)
    apart = HALF if halves else SINGLE
    if not _all_close(double, want, apart):
        single = _results(program, inputs, tape, np.float32)
        if not _all_close(single, want, apart) and _all_close(single, double, apart):
            raise Disagreement("the chain gives other numbers than the program")


def _results(
    program: Program, inputs: Mapping[str, Array], tape: Tape, precision: type[np.floating[Any]]
) -> list[Array]:
    given: dict[str, Any] = dict(inputs)
    for label, names in tape.lists.items():
        given[label] = [given.pop(name) for name in names]
    states: dict[str, Any] = {}
    got = program.run(given, states=states, precision=precision)
    flat = [a for made in got.values() for a in (made if isinstance(made, list) else [made])]
    return [*flat, *(states[name] for name in tape.written)]


def _all_close(got: Sequence[Array], want: Sequence[Array], apart: float) -> bool:
    return len(got) == len(want) and all(
        _is_close(a, b, apart) for a, b in zip(got, want, strict=True)
    )


def _is_close(got: Array, want: Array, apart: float) -> bool:
    """True if two arrays are alike, small numbers seen from the largest."""
    if np.shape(got) != np.shape(want):
        return False
    finite = np.isfinite(want)
    largest = float(np.max(np.abs(want), initial=0.0, where=finite))
    return bool(np.allclose(got, want, apart, apart / 10 * largest + 1e-6, equal_nan=True))
