"""Rows of an array that a chain takes one by one: `for h, y in zip(last, ys)`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends.chainer.tape import Call


def index_of(call: Call) -> int | None:
    """The number k of x[k]."""
    slices = call.attributes.get("slices") if call.name == "GetItem" else None
    plain = slices is not None and len(slices) == 1 and isinstance(slices[0], int | np.integer)
    return int(slices[0]) if slices is not None and plain else None


def indexed(calls: Sequence[Call]) -> dict[int, tuple[int, set[int]]]:
    """Values of which rows are taken one by one, by their numbers: a number that is the same for
    values that are made alike (`h[0]` in a loop), and the rows."""
    same: dict[int, int] = {}
    known: dict[tuple[int, int], int] = {}
    rows: dict[int, set[int]] = {}
    for call in calls:
        if (k := index_of(call)) is None:
            continue
        source = same.get(call.inputs[0], call.inputs[0])
        rows.setdefault(source, set()).add(k)
        made = call.outputs[0]
        if made is not None:
            same[made] = known.setdefault((source, k), made)
    numbers = {call.inputs[0] for call in calls if index_of(call) is not None}
    return {n: (same.get(n, n), rows[same.get(n, n)]) for n in numbers}
