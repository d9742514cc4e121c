"""Sequences one after another, and what operators make of them by where each begins and ends.

B sequences, T the longest, H hidden size, `total` the sum of all lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webconv.frontends import common
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value


@dataclass(frozen=True, eq=False)
class Layout:
    """How the sequences of a list lie; `example` has the lengths that were traced.

    Each is `more` rows longer than that of the input list `source`, None if it follows otherwise.
    """

    name: str
    lengths: Value
    total: Dim
    example: tuple[int, ...]
    source: str | None = None
    more: int = 0

    @property
    def count(self) -> Dim:
        """The symbol for the number of sequences."""
        return self.lengths.shape[0]

    @property
    def ends(self) -> Value:
        """Where each sequence ends: `[B]`."""
        made: Value = ops.CumSum(0)(self.lengths)
        return made

    @property
    def starts(self) -> Value:
        """Where each sequence begins: `[B]`."""
        made: Value = ops.Sub()(self.ends, self.lengths)
        return made

    @property
    def owners(self) -> tuple[Value, Value]:
        """Of each row, its place among all and the sequence that it belongs to: `[total]`."""
        place = ops.Iota(self.total)()
        return place, ops.SearchSorted(True)(self.ends, place)

    @property
    def steps(self) -> tuple[Value, Value]:
        """Of each row, its place in its sequence and the sequence: `[total]`."""
        place, which = self.owners
        return ops.Sub()(place, each(self.starts, which)), which

    def longer(self, rows: int) -> Layout:
        """Every sequence with so many rows more, or less if it is negative."""
        lengths = ops.Add()(self.lengths, graph.constant(rows))
        example = tuple(n + rows for n in self.example)
        sign = "and" if rows > 0 else "less"
        name, total = f"{self.name}_{sign}_{abs(rows)}", self.total + rows * self.count
        return Layout(name, lengths, total, example, self.source, self.more + rows)


def rows_layout(count: int) -> Layout:
    """The rows of an array one by one, which are no sequences of several lengths."""
    none = graph.constant(np.zeros(count, np.int32))
    return Layout("rows", none, 0, (0,) * count)


def each(values: Value, which: Value) -> Value:
    """What each row's sequence has, of `[B, ...]`."""
    made: Value = ops.Gather(0)(values, which)
    return made


def filled(
    values: Value, layout: Layout, padding: float, time_first: bool = False
) -> tuple[Value, Value]:
    """Sequences as `[B, T, ...]` or `[T, B, ...]`, and where there is something in it."""
    longest = f"{layout.name}_longest"
    top = ops.ReduceMax((0,), True)(layout.lengths)
    bound: Value = ops.Bind((longest,))(values, top)
    step = common.expand_dims(ops.Iota(dims.symbol(longest))(), 1 if time_first else 0)
    lengths, starts = layout.lengths, layout.starts
    if not time_first:
        lengths, starts = common.expand_dims(lengths, 1), common.expand_dims(starts, 1)
    mask = ops.Less()(step, lengths)
    padded = ops.Gather(0)(bound, ops.Add()(starts, step))
    wide = common.reshape(mask, (*mask.shape, *[1] * (padded.type.rank - 2)))
    return ops.Where()(wide, padded, common.scalar(padding, padded)), mask


def within(layout: Layout) -> Value:
    """Where filled up sequences have something: `[B, T]`."""
    longest = f"{layout.name}_longest"
    top = ops.ReduceMax((0,), True)(layout.lengths)
    lengths = ops.Bind((longest,))(layout.lengths, top)
    step = common.expand_dims(ops.Iota(dims.symbol(longest))(), 0)
    made: Value = ops.Less()(step, common.expand_dims(lengths, 1))
    return made


def packed(y: Value, layout: Layout, time_first: bool = False) -> Value:
    """`[B, T, ...]` or `[T, B, ...]` one sequence after another: `[total, ...]`."""
    first, second, *rest = y.shape
    step, which = layout.steps
    outer, inner = (step, which) if time_first else (which, step)
    row = ops.Add()(ops.Mul()(outer, common.size_value(second)), inner)
    made: Value = ops.Gather(0)(common.reshape(y, (first * second, *rest)), row)
    return made


def flipped(values: Value, layout: Layout) -> Value:
    """Every sequence from its end to its beginning."""
    step, which = layout.steps
    last = ops.Sub()(each(layout.ends, which), graph.constant(1))
    made: Value = ops.Gather(0)(values, ops.Sub()(last, step))
    return made


def taken(values: Value, layout: Layout, index: int) -> Value:
    """A row of each sequence, counted from its beginning or, if negative, its end: `[B, ...]`."""
    edge = layout.starts if index >= 0 else layout.ends
    made: Value = ops.Gather(0)(values, ops.Add()(edge, graph.constant(index)))
    return made


def sliced(values: Value, old: Layout, new: Layout, starts: Value | int, step: int) -> Value:
    """The rows of each sequence from `starts`, one or `[B]`, on: as many as `new` says."""
    place, which = new.steps
    if step != 1:
        place = ops.Mul()(place, graph.constant(step))
    first = graph.constant(starts) if isinstance(starts, int) else each(starts, which)
    row = ops.Add()(each(old.starts, which), ops.Add()(first, place))
    made: Value = ops.Gather(0)(values, row)
    return made


def spread(values: Value, layout: Layout) -> Value:
    """A row of each sequence, `[B, ...]`, for each of its rows: `[total, ...]`."""
    return each(of_count(values, layout), layout.owners[1])


def of_count(values: Value, layout: Layout) -> Value:
    """`[B, ...]` of another list that has as many sequences, which a guard checks."""
    return common.reshape(values, (layout.count, *values.shape[1:]))


# What a sequence is joined of: rows of its own, one row of its own, or the same rows for all.
Part = tuple[Value, "Layout | None"]


def joined(parts: Sequence[Part], new: Layout) -> Value:
    """Sequences that lie one behind the other become one: `[total, ...]`.

    A part is the rows of a list with its layout; without, `[n, ...]` which all have.
    """
    step, which = new.steps
    row: Value | None = None
    base: Dim = 0
    before: Value = graph.constant(0)
    for values, layout in parts:
        own = ops.Sub()(step, before)
        here = ops.Add()(own, common.size_value(base))
        length: Value = common.size_value(values.shape[0])
        if layout is not None:
            here = ops.Add()(here, each(layout.starts, which))
            length = each(layout.lengths, which)
        row = here if row is None else ops.Where()(ops.Less()(step, before), row, here)
        before = ops.Add()(before, length)
        base = base + values.shape[0]
    assert row is not None
    made: Value = ops.Gather(0)(common.concat([values for values, _ in parts], 0), row)
    return made
