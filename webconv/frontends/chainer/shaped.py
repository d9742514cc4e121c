"""Slices and shapes of each sequence of a list."""

from __future__ import annotations

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.cuts import cut
from webconv.frontends.chainer.items import BARE, MANY, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import (
    Layout,
)
from webconv.frontends.chainer.sites import LENGTH, Site, applied, changed, with_rows
from webconv.frontends.chainer.tape import Call
from webconv.ir.op import normalise_axis

# The name of the attribute that is a shape.
SHAPES = {"Reshape": "shape", "BroadcastTo": "_shape"}


def item(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    """x[first, ...]: rows are taken, then the rest of each."""
    slices = [*call.attributes["slices"]]
    if Ellipsis in [s for s in slices if not isinstance(s, np.ndarray | list)]:
        at = next(k for k, s in enumerate(slices) if s is Ellipsis)
        known = sum(s is not None and s is not Ellipsis for s in slices)
        slices[at : at + 1] = [slice(None)] * (of.rank - known)
    if of.rows == BARE:
        return applied(changed(call, slices=(slice(None), *slices)), of, [of], site)
    first, rest = (slices[0], slices[1:]) if slices else (slice(None), [])
    made = cut(of, first, site.layouts, site.needs)
    if made is None:
        return None
    if all(not isinstance(s, np.ndarray | list) and s == slice(None) for s in rest):
        return [made]
    # Of one row, its axes are those behind that of the sequences.
    return applied(changed(call, slices=(slice(None), *rest)), made, [made], site)


def shaped(call: Call, of: Ragged, target: Layout, site: Site) -> list[Ragged] | None:
    """F.reshape or F.broadcast_to."""
    name = SHAPES[call.name]
    shape = tuple(call.attributes[name])
    spreads = call.name == "BroadcastTo"
    if of.rows == MANY and shape[0] is LENGTH and of.layout is target:
        return applied(changed(call, **{name: (target.total, *shape[1:])}), of, [of], site)
    if of.rows == MANY and shape[0] == -1 and not spreads:
        rest, own = shape[1:], of.values.shape[1:]
        if int(np.prod(rest)) == int(np.prod(own)):  # type: ignore[arg-type]
            return applied(changed(call, shape=(of.layout.total, *rest)), of, [of], site)
        return None
    if of.rows == MANY:
        single = of.rank == 1 or (of.rank == 2 and of.values.shape[1] == 1)
        turns = not spreads and len(shape) == 2 and shape[0] == 1 and single
        column = common.reshape(of.values, (of.layout.total, 1)) if turns else of.values
        return [Ragged(column, of.layout, TURNED)] if turns else None
    if shape[0] is LENGTH and spreads:
        row = with_rows(of, Ragged(of.values, target, MANY), len(shape))
        if row is None:
            return None
        return applied(changed(call, **{name: (target.total, *shape[1:])}), row, [row], site)
    count = of.layout.count
    values = of.values
    if spreads and of.rows == BARE:
        values = common.reshape(values, (count, *[1] * (len(shape) - of.rank), *values.shape[1:]))
    one = shape[0] == 1
    whole = (count, *(shape[1:] if one else shape))
    if spreads and one and of.rows == BARE:
        values = common.squeeze(values, 1)
    if spreads and of.rows == ONE and not one:
        values = common.expand_dims(values, 1)
    made = site.apply(changed(call, **{name: whole}), values)
    return [Ragged(made[0], of.layout, ONE if one else BARE)]


def expanded(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    """F.expand_dims."""
    axis = normalise_axis(int(call.attributes["axis"]), of.rank + 1)
    if axis == 0:
        return [Ragged(of.values, of.layout, ONE)] if of.rows == BARE else None
    return applied(changed(call, axis=axis + (of.rows == BARE)), of, [of], site)


def transposed(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    axes = call.attributes["axes"] or tuple(range(of.rank))[::-1]
    axes = tuple(normalise_axis(a, of.rank) for a in axes)
    if of.rows == BARE:
        return applied(changed(call, axes=(0, *(a + 1 for a in axes))), of, [of], site)
    if axes == (1, 0) and of.rows == MANY:
        return [Ragged(of.values, of.layout, TURNED)]
    return applied(changed(call, axes=axes), of, [of], site) if axes[0] == 0 else None
