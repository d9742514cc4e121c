"""Programs of chains that compute with the number and the lengths of their sequences.

A chain that fills a list up (`F.pad_sequence`), or stacks what its sequences come to, may read the
shape of that: `b, t, _ = h.shape`. Calls with several lists tell which numbers are such sizes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from webconv.frontends.chainer.align import Mismatch, generalised, generalised_leaf
from webconv.frontends.chainer.links import shown, stripped
from webconv.frontends.chainer.tape import Call, Leaf, Tape
from webconv.frontends.chainer.traced import Traced
from webconv.frontends.chainer.unify import unified
from webconv.frontends.chainer.variants import with_lists, with_other_lists
from webconv.ir import ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Program, content_digest
from webconv.ir.text import print_program
from webconv.passes.recurrences import recognise_recurrences

# Lengths of a list's sequences, and how much longer those of each next list are.
LISTS = (
    ((5, 1, 2), 1),
    ((1, 7), 2),
    ((3, 6, 2, 8, 1), 0),
    ((4, 2), 3),
    ((2, 2, 9, 1, 5, 3), 1),
    ((6, 1, 1, 3), 4),
    ((3, 10, 4), 2),
    ((1, 1, 1, 2, 5, 1, 3), 5),
)

# Of a loop: the lengths of longest sequences, and those of others beside each.
LOOPS = (4, 5, 7, 10)
BESIDE = ((1, 2), (3,), (2, 1, 3), (1, 3, 2, 2))

DERIVED = re.compile(r"(.+?)(?:_(and|less)_(\d+))?_longest")


# Converts a tape, and says which of its calls have to do with no sequence of a list.
Convert = Callable[[Tape, list[Call]], Program]


def of_any_lists(
    traced: Traced,
    program: Program,
    other: Program,
    make: Callable[[Traced], Program],
    tape_of: Callable[[Traced], Tape],
    convert: Convert,
) -> Program:
    """`program`, which the example gives, for all lists; `other` is of one sequence more.

    Raises UnsupportedError if other lists give another.
    """
    least = program.main.lists.least
    if _text(program) == _text(other):
        return program
    calls = [traced, with_other_lists(traced, least)]
    calls += [with_lists(traced, lengths, least, apart) for lengths, apart in LISTS]
    names = [*dict.fromkeys((*_bound(program), *program.main.symbols))]
    samples = [_sizes(call, names) for call in calls]
    try:
        with contextlib.suppress(Mismatch):
            return _with_sizes([tape_of(call) for call in calls], samples, convert)
        with contextlib.suppress(Mismatch, ShapeError):
            return _with_loop(traced, least, names, tape_of, convert)
        programs = [program, other, *(make(call) for call in calls[2:])]
        return _unified(programs, samples)
    except Mismatch as mismatch:
        raise UnsupportedError(
            f"the chain depends on the number or the lengths of its sequences: {mismatch}; give "
            "the arrays as arguments of their own (forward(self, *xs)) to fix their number"
        ) from None


def _with_sizes(
    tapes: Sequence[Tape], samples: Sequence[Mapping[str, int]], convert: Convert
) -> Program:
    """The program of the first tape, with the sizes of lists in calls on what was made of them."""
    found: list[list[Call]] = [[] for _ in tapes]
    for tape, calls in zip(tapes, found, strict=True):
        convert(tape, calls)
    if len({tuple((c.name, c.where, len(c.inputs)) for c in calls) for calls in found}) > 1:
        raise Mismatch("other lists take other calls")
    leaves = [{leaf.value: leaf for leaf in tape.leaves} for tape in tapes]
    made: dict[int, Leaf] = {}
    changed: dict[int, Call] = {}
    for group in zip(*found, strict=True):
        changed[id(group[0])] = _call(group, samples)
        for numbers in zip(*(c.inputs for c in group), strict=True):
            own = [own.get(n) for own, n in zip(leaves, numbers, strict=True)]
            constants = [leaf for leaf in own if leaf is not None and leaf.kind == "constant"]
            if len(constants) == len(tapes):
                made[numbers[0]] = generalised_leaf(constants, samples, group[0])
    first = tapes[0]
    own_leaves = [made.get(leaf.value, leaf) for leaf in first.leaves]
    calls = [changed.get(id(call), call) for call in first.calls]
    return convert(dataclasses.replace(first, leaves=own_leaves, calls=calls), [])


def _with_loop(
    traced: Traced,
    least: Mapping[str, int],
    names: Collection[str],
    tape_of: Callable[[Traced], Tape],
    convert: Convert,
) -> Program:
    """The program of a loop over the steps of a list that is filled up.

    Lists whose longest sequences are equal take the same calls; what differs then between longer
    and shorter ones is the loop.
    """
    own = [a.label for a in traced.arguments if a.is_list and a.label not in traced.beside]
    if len(own) != 1:
        raise Mismatch("loops over several lists are not told apart")
    programs, samples = [], []
    for longest in LOOPS:
        calls = [with_lists(traced, (*others, longest), least) for others in BESIDE]
        sizes = [_sizes(call, names) for call in calls]
        bound = {n: v for n, v in sizes[0].items() if n.endswith("_longest")}
        inner = [{n: v for n, v in own.items() if n not in bound} for own in sizes]
        programs.append(_with_sizes([tape_of(call) for call in calls], inner, convert))
        samples.append(bound)
    return _unified(programs, samples)


def _call(calls: Sequence[Call], samples: Sequence[Mapping[str, int]]) -> Call:
    first = calls[0]
    attributes = {
        name: generalised([c.attributes.get(name) for c in calls], samples)
        for name in first.attributes
    }
    return dataclasses.replace(first, attributes=attributes)


def _text(program: Program) -> str:
    return print_program(program, lambda array: (content_digest(array),))


def _bound(program: Program) -> list[str]:
    """Sizes of lists that only a run can tell."""
    binds = [n.op for n in program.main.nodes if isinstance(n.op, ops.Bind)]
    return [symbol for op in binds for symbol in op.symbols]


def _sizes(traced: Traced, names: Collection[str]) -> dict[str, int]:
    """The sizes of these names that the lists of a call have."""
    found: dict[str, int] = {}
    for argument in traced.arguments:
        if not argument.is_list:
            continue
        lengths = [len(a) for a in argument.arrays]
        found.setdefault("count", len(lengths))
        found[f"{argument.label}_count"] = len(lengths)
        found[f"{argument.label}_total"] = sum(lengths)
        for name in names:
            match = DERIVED.fullmatch(name)
            if match and match[1] == argument.label:
                more = int(match[3] or 0) * (-1 if match[2] == "less" else 1)
                found[name] = max(lengths) + more
    # Lists have as many sequences each: one name tells how many.
    counts = [name for name in found if name.endswith("_count")]
    return {n: v for n, v in found.items() if n in names and n not in counts[1:]}


def _unified(programs: Sequence[Program], samples: Sequence[dict[str, int]]) -> Program:
    alike = _with_common_layers(programs)
    with contextlib.suppress(Mismatch):
        return stripped(unified([shown(p) for p in alike], samples), alike[0])
    plain = [dataclasses.replace(p, layers={}) for p in programs]
    return unified([recognise_recurrences(p) for p in plain], samples)


def _with_common_layers(programs: Sequence[Program]) -> list[Program]:
    """The programs with layers that all call as often."""
    names = [
        name
        for name, values in programs[0].layers.items()
        if all(len(p.layers.get(name, ())) == len(values) for p in programs)
    ]
    return [dataclasses.replace(p, layers={n: p.layers[n] for n in names}) for p in programs]
