"""Slices of each sequence of a list: `x[1:]`, `x[:-1]`, `x[-1]`, `x[::-1]`, `x[::2]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from webconv.frontends.chainer.items import BARE, MANY, ONE, Ragged
from webconv.frontends.chainer.packing import Layout, flipped, sliced, taken
from webconv.ir import dims, graph, ops
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value

Layouts = dict[Any, Layout]
# Says that the sequences of a layout have so many rows at least.
Needs = Callable[[Layout, int], None]

# Such sequences, or as much longer as a slice asks for, have rows in it, or none has.
LONG = 64


def cut(of: Ragged, item: Any, layouts: Layouts, needs: Needs) -> Ragged | None:
    """`x[item]` of each sequence; None for what is no number and no slice."""
    if isinstance(item, np.ndarray | list):
        return None
    if item == slice(None):
        return of
    if of.rows == ONE:
        return Ragged(of.values, of.layout, BARE) if item in (0, -1) else None
    if of.rows != MANY:
        return None
    if isinstance(item, int | np.integer):
        needs(of.layout, int(item) + 1 if item >= 0 else -int(item))
        return Ragged(taken(of.values, of.layout, int(item)), of.layout, BARE)
    if item == slice(None, None, -1):
        return Ragged(flipped(of.values, of.layout), of.layout)
    if not isinstance(item, slice) or not _is_plain(item):
        return None
    return _sliced(of, item, layouts, needs)


def _is_plain(item: slice) -> bool:
    """True for a slice of numbers that goes forwards."""
    parts = (item.start, item.stop, item.step)
    return all(isinstance(v, int | np.integer | None) for v in parts) and (item.step or 1) > 0


def _sliced(of: Ragged, item: slice, layouts: Layouts, needs: Needs) -> Ragged:
    # A sequence that is longer than all that the slice names shows what long ones have.
    long = LONG + 2 * sum(abs(v) for v in (item.start, item.stop, item.step) if v is not None)
    counts = [len(range(*item.indices(n))) for n in range(long + 1)]
    least = max((n + 1 for n in range(long + 1) if not counts[n]), default=0)
    if least > long:
        raise UnsupportedError("the slice of a sequence would be empty")
    needs(of.layout, least)
    old, step = of.layout, item.step or 1
    if set(counts[least:]) == {1}:
        first = range(*item.indices(long))[0]
        # From the end, or from the beginning.
        index = first if range(*item.indices(long - 1))[0] == first else first - long
        return Ragged(taken(of.values, old, index), old, ONE)
    starts: Value | int
    if step == 1 and (item.start or 0) >= 0 and (item.stop is None or item.stop < 0):
        less = (item.start or 0) - (item.stop or 0)
        wanted, starts = (old.longer(-less) if less else old), int(item.start or 0)
    else:
        start = _place(item.start, 0, old.lengths)
        wanted, starts = _computed(of, item, start), start
        of = Ragged(_bound(of.values, wanted), old)
    new = layouts.setdefault(wanted.total, wanted)
    return Ragged(sliced(of.values, old, new, starts, int(step)), new)


def _place(index: int | None, default: Value | int, lengths: Value) -> Value:
    """A place in each sequence, within its bounds: `[B]`."""
    zero = graph.constant(0)
    if index is None:
        return ops.Mul()(lengths, zero) if default == 0 else lengths
    counted = graph.constant(abs(int(index)))
    made: Value = (
        ops.Min()(lengths, counted) if index >= 0 else ops.Max()(ops.Sub()(lengths, counted), zero)
    )
    return made


def _computed(of: Ragged, item: slice, start: Value) -> Layout:
    """The lengths of slices that are not the same number shorter everywhere."""
    old, step = of.layout, int(item.step or 1)
    stop = old.lengths if item.stop is None else _place(item.stop, 0, old.lengths)
    span = ops.Sub()(stop, start)
    if step > 1:
        span = ops.Div()(ops.Add()(span, graph.constant(step - 1)), graph.constant(step))
    parts = ["" if v is None else str(v).replace("-", "_") for v in (item.start, item.stop)]
    name = f"{old.name}_from_{parts[0]}_to_{parts[1]}_by_{step}"
    example = tuple(len(range(*item.indices(n))) for n in old.example)
    return Layout(name, span, dims.symbol(f"{name}_total"), example)


def _bound(values: Value, layout: Layout) -> Value:
    """`values`, and the size of a layout's total known from here on."""
    total = ops.ReduceSum((0,), True)(layout.lengths)
    made: Value = ops.Bind((str(layout.total),))(values, total)
    return made
