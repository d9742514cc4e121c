"""What a function of one sequence of a list is on all of them at once.

A rule takes a call and what it is applied to, lists or plain values, and gives the lists that it
makes, None where it knows no way. Attributes are those of a call on one sequence, whose length
stands in shapes as LENGTH. B sequences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer import grids
from webconv.frontends.chainer.cuts import cut
from webconv.frontends.chainer.items import BARE, GRID, MANY, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import (
    Layout,
    filled,
    flipped,
    of_count,
    packed,
    spread,
)
from webconv.frontends.chainer.tape import Call
from webconv.ir import ops
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis

# Functions of each element.
ELEMENTWISE = frozenset(
    (
        *("Sigmoid", "Tanh", "ReLU", "ClippedReLU", "ELU", "HardSigmoid", "LeakyReLU", "Softplus"),
        *("Neg", "Absolute", "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Square", "Sin", "Cos", "Erf"),
        *("AddConstant", "SubFromConstant", "MulConstant", "DivFromConstant", "PowVarConst"),
        *("PowConstVar", "PowVarVar", "MultiAdd", "LinearInterpolate", "WhereVariable", "RReLU"),
        *("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "Clip", "Cast", "Identity", "Copy"),
        *("Floor", "Ceil", "Fix", "Sign", "Tan", "Sinh", "Cosh", "Arcsin", "Arccos", "Arctan"),
    )
)

# Functions that compute each row of their first input by itself.
BY_ROW = frozenset(
    (
        *("LinearFunction", "EmbedIDFunction", "LayerNormalization", "FixedBatchNormalization"),
        *("Swish", "PReLUFunction", "GroupNormalization", "LocalResponseNormalization"),
        *("Convolution2DFunction", "ConvolutionND", "Deconvolution2DFunction", "DeconvolutionND"),
        *("MaxPoolingND", "AveragePooling2D", "AveragePoolingND"),
    )
)

# Functions that compute each row of all their inputs by itself.
TOGETHER = frozenset(("SelectItem", "BatchMatMul"))

# Functions along axes, or an axis, that keep the others as they are.
ALONG = frozenset(
    (
        *("Sum", "Mean", "Max", "Min", "Prod", "ArgMax", "ArgMin", "LogSumExp", "Softmax"),
        *("LogSoftmax", "Cumsum", "Cumprod", "NormalizeL2", "Flip", "SplitAxis", "Separate"),
        *("Squeeze", "Concat", "Stack", "CReLU", "Repeat"),
    )
)

# Functions of a whole sequence: the operator, and what is no part of the sequence.
POOLED: Mapping[str, tuple[Any, float]] = {
    "Sum": (ops.ReduceSum, 0.0),
    "Mean": (ops.ReduceSum, 0.0),
    "Max": (ops.ReduceMax, -np.inf),
    "Min": (ops.ReduceMin, np.inf),
}

# Functions along a whole sequence that give as many rows.
RUNNING: Mapping[str, tuple[Callable[[int], Any], float]] = {
    "Softmax": (ops.Softmax, -np.inf),
    "LogSoftmax": (ops.LogSoftmax, -np.inf),
    "Cumsum": (ops.CumSum, 0.0),
    "Cumprod": (ops.CumProd, 1.0),
}


@dataclass(frozen=True)
class Length:
    """The length of a sequence, as a size in a shape or a number; or 1 divided by it."""

    reciprocal: bool = False


LENGTH = Length()

# A number beside a sequence that is its length, or the reciprocal of that.
BESIDE: Mapping[str, Callable[[Value, Value], Value]] = {
    "AddConstant": lambda x, n: ops.Add()(x, n),
    "SubFromConstant": lambda x, n: ops.Sub()(n, x),
    "MulConstant": lambda x, n: ops.Mul()(x, n),
    "DivFromConstant": lambda x, n: ops.Div()(n, x),
}

# The name of the attribute that is a shape.
SHAPES = {"Reshape": "shape", "BroadcastTo": "_shape"}

Given = Sequence[Ragged | Value]
Apply = Callable[..., Sequence[Value]]


@dataclass(frozen=True)
class Site:
    """Where a rule is asked: the lists of the chain, and how a call is made on plain values."""

    layouts: dict[Any, Layout]
    needs: Callable[[Layout, int], None]
    apply: Apply


def by_sequence(call: Call, given: Given, target: Layout | None, site: Site) -> list[Ragged] | None:
    """The lists that a call makes; `target` is that whose lengths are LENGTH."""
    first = given[0]
    if isinstance(call.attributes.get("value"), Length) and target is not None:
        return _with_length(call, first, target)
    if call.name in ELEMENTWISE:
        return _elementwise(call, given, site)
    if call.name == "MatMul":
        made = grids.product(call, first, given[1])
        return [made] if made is not None else None
    if not isinstance(first, Ragged):
        return None
    if first.rows in (GRID, TURNED):
        return _of_grid(call, first) if first.rows == GRID else _of_turned(call, first)
    if call.name in BY_ROW:
        plain = all(isinstance(v, Value) for v in given[1:])
        return _applied(call, first, given, site) if plain and first.rows != BARE else None
    if call.name in TOGETHER:
        return _together(call, given, site)
    if call.name in SHAPES and target is not None:
        return _shaped(call, first, target, site)
    rule = RULES.get(call.name)
    if rule is not None:
        return rule(call, first, site)
    if call.name == "Hstack":
        axis = 0 if first.rank == 1 else 1
        fits = axis == 1 or first.rows == BARE
        return _along(_changed(call, axis=axis), given, site) if fits else None
    if call.name == "Concat" and call.attributes["axis"] == 0 and first.rows != BARE:
        return None
    return _along(call, given, site) if call.name in ALONG else None


def _changed(call: Call, **attributes: Any) -> Call:
    return dataclasses.replace(call, attributes={**call.attributes, **attributes})


def _applied(call: Call, of: Ragged, given: Given, site: Site) -> list[Ragged]:
    """What the function makes of all rows at once."""
    values = [v.values if isinstance(v, Ragged) else v for v in given]
    return [dataclasses.replace(of, values=y) for y in site.apply(call, *values)]


def _together(call: Call, given: Given, site: Site) -> list[Ragged] | None:
    """A function of each row of several lists."""
    of = [v for v in given if isinstance(v, Ragged)]
    first = of[0]
    same = all((v.rows, v.layout) == (first.rows, first.layout) for v in of)
    if len(of) < len(given) or not same or first.rows not in (MANY, ONE):
        return None
    return _applied(call, first, of, site)


def _elementwise(call: Call, given: Given, site: Site) -> list[Ragged] | None:
    of = alike([v for v in given if isinstance(v, Ragged)])
    if of is None:
        return None
    rank = max(v.rank for v in of)
    plain = [v for v in given if isinstance(v, Value)]
    # A row for each step of the example would be none for others.
    if of[0].rows != BARE and any(v.type.rank >= rank and v.shape[0] != 1 for v in plain):
        return None
    if any(v.type.rank > rank for v in plain):
        return None
    if of[0].rows in (GRID, TURNED) and any(v.type.size != 1 for v in plain):
        return None
    left = iter(of)
    own = [next(left) if isinstance(v, Ragged) else v for v in given]
    top = max(of, key=lambda v: v.rank)
    return _applied(call, top, own, site)


def _with_length(call: Call, of: Ragged | Value, target: Layout) -> list[Ragged] | None:
    """`x / len(x)` and the like."""
    if not isinstance(of, Ragged) or of.rows == GRID:
        return None
    n = common.cast(target.lengths, of.values.type.dtype)
    if call.attributes["value"].reciprocal:
        n = ops.Reciprocal()(n)
    both = alike([of, Ragged(n, target, BARE)])
    if both is None:
        return None
    y = BESIDE[call.name](both[0].values, both[1].values)
    return [dataclasses.replace(both[0], values=y)]


def alike(given: Sequence[Ragged]) -> list[Ragged] | None:
    """Lists with as many rows each: what is one row stands for all of them."""
    kinds = {v.rows for v in given}
    if kinds & {GRID, TURNED}:
        first = given[0]
        wanted = (first.rows, first.layout, first.across)
        return [*given] if all((v.rows, v.layout, v.across) == wanted for v in given) else None
    top = next(v for kind in (MANY, ONE, BARE) for v in given if v.rows == kind)
    if any(v.rows == MANY and v.layout is not top.layout for v in given):
        return None
    rank = max(v.rank for v in given)
    made = [_with_rows(v, top, rank) for v in given]
    return None if any(v is None for v in made) else [v for v in made if v is not None]


def _with_rows(of: Ragged, top: Ragged, rank: int) -> Ragged | None:
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


def _of_grid(call: Call, of: Ragged) -> list[Ragged] | None:
    made = None
    if call.name in ("Softmax", "LogSoftmax"):
        made = grids.softmax(call, of)
    if call.name == "Transpose" and call.attributes["axes"] in (None, (1, 0)):
        made = grids.turned(of)
    return [made] if made is not None else None


def _of_turned(call: Call, of: Ragged) -> list[Ragged] | None:
    """A function of rows as columns."""
    if call.name == "Transpose" and call.attributes["axes"] in (None, (1, 0)):
        return [Ragged(of.values, of.layout)]
    if call.name in RUNNING and call.attributes["axis"] in (1, -1):
        rows = Ragged(of.values, of.layout)
        made = _over_rows(_changed(call, axis=0), rows, [0])
        return [dataclasses.replace(v, rows=TURNED) for v in made or []] or None
    return None


def _item(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    """x[first, ...]: rows are taken, then the rest of each."""
    slices = [*call.attributes["slices"]]
    if Ellipsis in [s for s in slices if not isinstance(s, np.ndarray | list)]:
        at = next(k for k, s in enumerate(slices) if s is Ellipsis)
        known = sum(s is not None and s is not Ellipsis for s in slices)
        slices[at : at + 1] = [slice(None)] * (of.rank - known)
    if of.rows == BARE:
        return _applied(_changed(call, slices=(slice(None), *slices)), of, [of], site)
    first, rest = (slices[0], slices[1:]) if slices else (slice(None), [])
    made = cut(of, first, site.layouts, site.needs)
    if made is None or not any(s != slice(None) for s in rest if not isinstance(s, np.ndarray)):
        return [made] if made is not None else None
    # Of one row, its axes are those behind that of the sequences.
    return _applied(_changed(call, slices=(slice(None), *rest)), made, [made], site)


def _shaped(call: Call, of: Ragged, target: Layout, site: Site) -> list[Ragged] | None:
    """F.reshape or F.broadcast_to."""
    name = SHAPES[call.name]
    shape = tuple(call.attributes[name])
    spreads = call.name == "BroadcastTo"
    if of.rows == MANY and shape[0] is LENGTH and of.layout is target:
        return _applied(_changed(call, **{name: (target.total, *shape[1:])}), of, [of], site)
    if of.rows == MANY and shape[0] == -1 and not spreads:
        rest, own = shape[1:], of.values.shape[1:]
        if int(np.prod(rest)) == int(np.prod(own)):  # type: ignore[arg-type]
            return _applied(_changed(call, shape=(of.layout.total, *rest)), of, [of], site)
        return None
    if of.rows == MANY:
        single = of.rank == 1 or (of.rank == 2 and of.values.shape[1] == 1)
        turns = not spreads and len(shape) == 2 and shape[0] == 1 and single
        column = common.reshape(of.values, (of.layout.total, 1)) if turns else of.values
        return [Ragged(column, of.layout, TURNED)] if turns else None
    if shape[0] is LENGTH and spreads:
        row = _with_rows(of, Ragged(of.values, target, MANY), len(shape))
        if row is None:
            return None
        return _applied(_changed(call, **{name: (target.total, *shape[1:])}), row, [row], site)
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
    made = site.apply(_changed(call, **{name: whole}), values)
    return [Ragged(made[0], of.layout, ONE if one else BARE)]


def _expanded(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    """F.expand_dims."""
    axis = normalise_axis(int(call.attributes["axis"]), of.rank + 1)
    if axis == 0:
        return [Ragged(of.values, of.layout, ONE)] if of.rows == BARE else None
    return _applied(_changed(call, axis=axis + (of.rows == BARE)), of, [of], site)


def _transposed(call: Call, of: Ragged, site: Site) -> list[Ragged] | None:
    axes = call.attributes["axes"] or tuple(range(of.rank))[::-1]
    axes = tuple(normalise_axis(a, of.rank) for a in axes)
    if of.rows == BARE:
        return _applied(_changed(call, axes=(0, *(a + 1 for a in axes))), of, [of], site)
    if axes == (1, 0) and of.rows == MANY:
        return [Ragged(of.values, of.layout, TURNED)]
    return _applied(_changed(call, axes=axes), of, [of], site) if axes[0] == 0 else None


RULES: Mapping[str, Callable[[Call, Ragged, Site], list[Ragged] | None]] = {
    "GetItem": _item,
    "ExpandDims": _expanded,
    "Transpose": _transposed,
}


def _axes(call: Call, rank: int) -> list[int]:
    """The axes that a call is along."""
    axis = call.attributes.get("axis")
    if axis is None:
        return [*range(rank)]
    new = rank + (call.name == "Stack")
    return [
        normalise_axis(int(a), new) for a in (axis if isinstance(axis, tuple | list) else [axis])
    ]


def _along(call: Call, given: Given, site: Site) -> list[Ragged] | None:
    """A function along axes; that of the rows is another thing."""
    lists = [v for v in given if isinstance(v, Ragged)]
    if len(lists) != len(given):
        return None
    if len({v.rank for v in lists}) > 1:
        return None
    of = alike(lists)
    if of is None:
        return None
    first = of[0]
    axes = _axes(call, first.rank)
    keeps = isinstance(call.attributes.get("axis"), tuple | list)
    if first.rows == BARE:
        shifted = tuple(a + 1 for a in axes)
        own = _changed(call, axis=shifted if keeps or len(axes) > 1 else shifted[0])
        return _applied(own, first, of, site)
    if 0 not in axes:
        own = _changed(call, axis=tuple(axes) if keeps else axes[0])
        return _applied(own, first, of, site)
    return _over_rows(call, first, axes) if len(of) == 1 else None


def _over_rows(call: Call, of: Ragged, axes: Sequence[int]) -> list[Ragged] | None:
    """What is along the rows of each sequence."""
    at = call.attributes
    if of.rows == ONE:
        squeezes = call.name == "Squeeze" and axes == [0]
        return [Ragged(of.values, of.layout, BARE)] if squeezes else None
    if call.name == "Flip" and axes == [0]:
        return [Ragged(flipped(of.values, of.layout), of.layout)]
    if not of.values.type.dtype.is_float:
        return None
    if call.name in POOLED:
        y = _pooled(call.name, of, axes, bool(at["keepdims"]))
        return [Ragged(y, of.layout, ONE if at["keepdims"] else BARE)]
    if call.name in ("ArgMax", "ArgMin") and axes == [0] and at["axis"] is not None:
        op = ops.ArgMax(1) if call.name == "ArgMax" else ops.ArgMin(1)
        padding = -np.inf if call.name == "ArgMax" else np.inf
        return [Ragged(op(filled(of.values, of.layout, padding)[0]), of.layout, BARE)]
    if call.name in RUNNING and axes == [0] and at["axis"] is not None:
        kind, padding = RUNNING[call.name]
        return [
            Ragged(packed(kind(1)(filled(of.values, of.layout, padding)[0]), of.layout), of.layout)
        ]
    return None


def _pooled(name: str, of: Ragged, axes: Sequence[int], keepdims: bool) -> Value:
    """The sum, mean or an extreme over each sequence: `[B, ...]`."""
    op, padding = POOLED[name]
    own = tuple(a + 1 for a in axes)
    y: Value = op(own, keepdims)(filled(of.values, of.layout, padding)[0])
    y = common.squeeze(y, 1) if keepdims else y
    if name != "Mean":
        return y
    lengths = common.cast(of.layout.lengths, y.type.dtype)
    others: Any = [of.values.shape[a] for a in axes if a]
    if others:
        lengths = ops.Mul()(lengths, common.scalar(float(np.prod(others)), lengths))
    count = of_count(lengths, of.layout)
    made: Value = ops.Div()(y, common.reshape(count, (of.layout.count, *[1] * (y.type.rank - 1))))
    return made
