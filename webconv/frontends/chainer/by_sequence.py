"""What a function of one sequence of a list is on all of them at once.

A rule takes a call and what it is applied to, lists or plain values, and gives the lists that it
makes, None where it knows no way. Attributes are those of a call on one sequence, whose length
stands in shapes as LENGTH. B sequences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from webconv.frontends import common
from webconv.frontends.chainer import grids
from webconv.frontends.chainer.along import ALONG, along_axes, of_turned
from webconv.frontends.chainer.items import BARE, GRID, MANY, ONE, TURNED, Ragged
from webconv.frontends.chainer.packing import (
    Layout,
)
from webconv.frontends.chainer.shaped import SHAPES, expanded, item, shaped, transposed
from webconv.frontends.chainer.sites import Given, Length, Site, alike, applied, changed, meet
from webconv.frontends.chainer.tape import Call
from webconv.ir import ops
from webconv.ir.graph import Value

# Functions of each element.
ELEMENTWISE = frozenset(
    (
        *("Sigmoid", "Tanh", "ReLU", "ClippedReLU", "ELU", "HardSigmoid", "LeakyReLU", "Softplus"),
        *("Neg", "Absolute", "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Square", "Sin", "Cos", "Erf"),
        *("AddConstant", "SubFromConstant", "MulConstant", "DivFromConstant", "PowVarConst"),
        *("PowConstVar", "PowVarVar", "MultiAdd", "LinearInterpolate", "WhereVariable", "RReLU"),
        "Broadcast",
        *("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "Clip", "Cast", "Identity", "Copy"),
        *("Floor", "Ceil", "Fix", "Sign", "Tan", "Sinh", "Cosh", "Arcsin", "Arccos", "Arctan"),
        "NumPyFunction",
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


# A number beside a sequence that is its length, or the reciprocal of that.
BESIDE: Mapping[str, Callable[[Value, Value], Value]] = {
    "AddConstant": lambda x, n: ops.Add()(x, n),
    "SubFromConstant": lambda x, n: ops.Sub()(n, x),
    "MulConstant": lambda x, n: ops.Mul()(x, n),
    "DivFromConstant": lambda x, n: ops.Div()(n, x),
}


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
        return _of_grid(call, first) if first.rows == GRID else of_turned(call, first)
    if call.name in BY_ROW:
        others = [v for v in given[1:] if isinstance(v, Value)]
        if len(others) < len(given) - 1:
            return None
        if first.rows == BARE:
            return _of_rows(call, [first], others, site)
        return applied(call, first, given, site)
    if call.name in TOGETHER:
        return _together(call, given, site)
    if call.name in SHAPES and target is not None:
        return shaped(call, first, target, site)
    rule = RULES.get(call.name)
    if rule is not None:
        return rule(call, first, site)
    if call.name == "Hstack":
        axis = 0 if first.rank == 1 else 1
        fits = axis == 1 or first.rows == BARE
        return along_axes(changed(call, axis=axis), given, site) if fits else None
    if call.name == "Concat" and call.attributes["axis"] == 0 and first.rows != BARE:
        return None
    return along_axes(call, given, site) if call.name in ALONG else None


def _of_rows(
    call: Call, of: Sequence[Ragged], others: Sequence[Value], site: Site
) -> list[Ragged] | None:
    """A function of each row of arrays that are as long in all sequences."""
    first = of[0]
    if any(v.rank == 0 for v in of):
        return None
    count, rows, *_ = first.values.shape
    merged = [common.reshape(v.values, (count * rows, *v.values.shape[2:])) for v in of]
    (y,) = site.apply(call, *merged, *others)
    return [dataclasses.replace(first, values=common.reshape(y, (count, rows, *y.shape[1:])))]


def _together(call: Call, given: Given, site: Site) -> list[Ragged] | None:
    """A function of each row of several lists."""
    of = [v for v in given if isinstance(v, Ragged)]
    first = of[0]
    for other in of[1:]:
        meet(first, other)
    same = all((v.rows, v.layout) == (first.rows, first.layout) for v in of)
    if len(of) < len(given) or not same or first.rows not in (MANY, ONE, BARE):
        return None
    return _of_rows(call, of, [], site) if first.rows == BARE else applied(call, first, of, site)


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
    return applied(call, top, own, site)


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


def _of_grid(call: Call, of: Ragged) -> list[Ragged] | None:
    made = None
    if call.name in ("Softmax", "LogSoftmax"):
        made = grids.softmax(call, of)
    if call.name in grids.REDUCED:
        made = grids.reduced(call, of)
    if call.name == "Transpose" and call.attributes["axes"] in (None, (1, 0)):
        made = grids.turned(of)
    return [made] if made is not None else None


RULES: Mapping[str, Callable[[Call, Ragged, Site], list[Ragged] | None]] = {
    "GetItem": item,
    "ExpandDims": expanded,
    "Transpose": transposed,
}
