"""A sequence of a list, and what lists are made of while a chain is converted."""

from __future__ import annotations

from dataclasses import dataclass

from webconv.frontends.chainer.packing import Layout
from webconv.ir.graph import Value

# What an array of a list is: rows, one row `[1, ...]`, an array that is no rows, the products of
# the rows of two sequences, or rows as columns.
MANY, ONE, BARE, GRID, TURNED = "many", "one", "bare", "grid", "turned"

REFUSED = (
    "a list of sequences may enter F.concat over axis 0, F.pad_sequence and L.NStep* as a whole, "
    "and functions of each row one by one; give the arrays as arguments of their own "
    "(forward(self, *xs)) to fix their number"
)


@dataclass(frozen=True, eq=False)
class Ragged:
    """What a list has for each sequence.

    By `rows`, `values` are MANY: sequences one after another, `[total, ...]`; ONE or BARE: of each
    sequence a row, `[B, ...]`; GRID: `[B, T, U]`, filled up, with rows of `layout` and columns of
    `across`. TURNED are rows whose matrix is transposed: `values` are those of before.
    """

    values: Value
    layout: Layout
    rows: str = MANY
    across: Layout | None = None

    @property
    def rank(self) -> int:
        """The number of axes of each array."""
        stacked = self.rows in (BARE, GRID)
        rank: int = self.values.type.rank
        return rank - stacked

    @property
    def items(self) -> list[Item]:
        """The sequences."""
        return [Item(self, k) for k in range(len(self.layout.example))]


@dataclass(frozen=True, eq=False)
class Item:
    """A sequence of a list."""

    of: Ragged
    index: int

    def same(self, other: Item) -> bool:
        """True for the same sequence of the same list."""
        return self.of is other.of and self.index == other.index
