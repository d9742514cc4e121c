"""Sequences one after another, and what operators make of them by where each begins and ends.

B sequences, T the longest, H hidden size, `total` the sum of all lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webconv.frontends import common
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value


@dataclass(frozen=True, eq=False)
class Layout:
    """How the sequences of a list lie; `example` has the lengths that were traced."""

    name: str
    lengths: Value
    total: Dim
    example: tuple[int, ...]

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

    def longer(self, rows: int) -> Layout:
        """Every sequence with so many rows more."""
        lengths = ops.Add()(self.lengths, graph.constant(rows))
        example = tuple(n + rows for n in self.example)
        name, total = f"{self.name}_and_{rows}", self.total + rows * self.count
        return Layout(name, lengths, total, example)


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


def packed(y: Value, layout: Layout) -> Value:
    """`[T, B, H]` one sequence after another: `[total, H]`."""
    t, count, h = y.shape
    place, which = layout.owners
    step = ops.Sub()(place, each(layout.starts, which))
    row = ops.Mul()(step, common.size_value(count))
    flat = common.reshape(y, (t * count, h))
    made: Value = ops.Gather(0)(flat, ops.Add()(row, which))
    return made


def flipped(values: Value, layout: Layout) -> Value:
    """Every sequence from its end to its beginning."""
    place, which = layout.owners
    last = ops.Sub()(each(layout.ends, which), graph.constant(1))
    from_end = ops.Sub()(place, each(layout.starts, which))
    made: Value = ops.Gather(0)(values, ops.Sub()(last, from_end))
    return made


def row_count(values: Sequence[Value]) -> int:
    """How many rows values have together whose numbers of rows are known."""
    return sum(n for v in values for n in v.shape[:1] if isinstance(n, int))


def extended(
    before: Sequence[Value], values: Value, after: Sequence[Value], old: Layout, new: Layout
) -> Value:
    """Every sequence between the same rows, `[n, ...]` each."""
    rows = row_count(before)
    table = common.concat([*before, values, *after], 0)
    place, which = new.owners
    step = ops.Sub()(place, each(new.starts, which))
    inner = ops.Sub()(step, graph.constant(rows))
    behind = ops.Sub()(inner, each(old.lengths, which))
    of_own = ops.Add()(ops.Add()(each(old.starts, which), inner), graph.constant(rows))
    of_after = ops.Add()(behind, common.size_value(old.total + rows))
    zero = graph.constant(0)
    row = ops.Where()(ops.Less()(behind, zero), of_own, of_after)
    row = ops.Where()(ops.Less()(inner, zero), step, row)
    made: Value = ops.Gather(0)(table, row)
    return made


def taken(values: Value, layout: Layout, index: int) -> Value:
    """A row of each sequence, counted from its beginning or, if negative, its end: `[B, ...]`."""
    edge = layout.starts if index >= 0 else layout.ends
    made: Value = ops.Gather(0)(values, ops.Add()(edge, graph.constant(index)))
    return made
