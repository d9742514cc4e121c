"""Where a rule for a sequence of a list is asked, and lists that are brought to the same rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webconv.frontends import common
from webconv.frontends.chainer.items import BARE, GRID, MANY, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import (
    Layout,
    of_count,
    spread,
)
from webconv.frontends.chainer.tape import Call
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value


@dataclass(frozen=True)
class Length:
    """The length of a sequence, as a size in a shape or a number; or 1 divided by it."""

    reciprocal: bool = False


LENGTH = Length()


class ListsMeet(UnsupportedError):
    """Rows of two lists meet one by one; `names` are those of the inputs that they come from."""

    def __init__(self, one: Layout, other: Layout) -> None:
        self.names: tuple[str, str] | None = None
        if one.source is not None and other.source is not None and one.more == other.more:
            self.names = (one.source, other.source)
        met = f"{one.name} and {other.name}"
        super().__init__(
            f"rows of two lists ({met}) meet one by one, but each list has lengths of its own; "
            "give one list whose rows have the columns of both, or sequences as arguments of their "
            "own (forward(self, *xs))"
        )


Given = Sequence[Ragged | Value]
Apply = Callable[..., Sequence[Value]]


@dataclass(frozen=True)
class Site:
    """Where a rule is asked: the lists of the chain, and how a call is made on plain values."""

    layouts: dict[Any, Layout]
    needs: Callable[[Layout, int], None]
    apply: Apply


def changed(call: Call, **attributes: Any) -> Call:
    return dataclasses.replace(call, attributes={**call.attributes, **attributes})


def applied(call: Call, of: Ragged, given: Given, site: Site) -> list[Ragged]:
    """What the function makes of all rows at once."""
    values = [v.values if isinstance(v, Ragged) else v for v in given]
    return [dataclasses.replace(of, values=y) for y in site.apply(call, *values)]


def alike(given: Sequence[Ragged]) -> list[Ragged] | None:
    """Lists with as many rows each: what is one row stands for all of them."""
    kinds = {v.rows for v in given}
    if kinds & {GRID, TURNED}:
        first = given[0]
        wanted = (first.rows, first.layout, first.across)
        return [*given] if all((v.rows, v.layout, v.across) == wanted for v in given) else None
    top = next(v for kind in (MANY, ONE, BARE) for v in given if v.rows == kind)
    other = next((v for v in given if v.rows == MANY and v.layout is not top.layout), None)
    if other is not None:
        meet(top, other)
        return None
    rank = max(v.rank for v in given)
    made = [with_rows(v, top, rank) for v in given]
    return None if any(v is None for v in made) else [v for v in made if v is not None]


def meet(one: Ragged, other: Ragged) -> None:
    """Raises ListsMeet if the two are rows of two lists that are as long in the example."""
    many = one.rows == other.rows == MANY and one.layout is not other.layout
    if many and one.layout.example == other.layout.example:
        raise ListsMeet(one.layout, other.layout)


def with_rows(of: Ragged, top: Ragged, rank: int) -> Ragged | None:
    """`of` with the rows of `top`, for functions of each element of arrays up to a rank."""
    if of.rows == MANY:
        return of
    values = of_count(of.values, top.layout)
    own = [*values.shape[1:]]
    if of.rows == BARE:
        if top.rows == BARE:
            return Ragged(
                common.reshape(values, (values.shape[0], *[1] * (rank - len(own)), *own)),
                top.layout,
                BARE,
            )
        if len(own) == rank and own[0] != 1:
            return None
        own = own[1:] if len(own) == rank else [*[1] * (rank - 1 - len(own)), *own]
        values = common.reshape(values, (values.shape[0], *own))
    if top.rows == MANY:
        return Ragged(spread(values, top.layout), top.layout)
    return Ragged(values, top.layout, ONE)
