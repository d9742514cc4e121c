"""What each output of a resized axis reads: from tables, or computed where the model runs."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from webconv.frontends import arithmetic, common
from webconv.frontends.arithmetic import Number
from webconv.frontends.onnx.operators.resize_tables import (
    COORDINATES,
    NEAREST,
    Measures,
    Sampling,
    table,
    weight,
)
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value

# More weighted elements than this are summed by a loop instead of in one expression.
MOST_TERMS = 8
# Scales whose denominator is at most this are computed with integers, so that no tie is missed.
MOST_PARTS = 1 << 10


class Axis(NamedTuple):
    """What is to be done to one axis; no scale means that the size was given."""

    axis: int
    n: Dim
    size: Dim
    scale: float | Value | None
    roi: tuple[float | Value, float | Value] = (0.0, 1.0)

    @property
    def is_known(self) -> bool:
        """True if all is known when converting."""
        sizes = (self.n, self.size)
        numbers = (self.scale, *self.roi)
        return all(isinstance(d, int) for d in sizes) and not any(
            isinstance(v, Value) for v in numbers
        )


class Taps(NamedTuple):
    """Indices [size] and weights [size] (none: 1) of what each output of an axis reads.

    Indices may be in one table [size, taps]; of many taps, the weights are too.
    """

    axis: int
    indices: list[Value]
    weights: list[Value]
    inside: Value | None = None

    @property
    def terms(self) -> int:
        """How many elements each output reads in one expression."""
        return max(len(self.weights), 1)

    @property
    def are_many(self) -> bool:
        """True if they are summed by a loop."""
        return bool(self.weights) and self.weights[0].type.rank > 1

    def read(self, x: Value) -> list[Value]:
        """The elements of x that each tap gives."""
        if self.indices[0].type.rank == 1:
            return [ops.Gather(self.axis)(x, index) for index in self.indices]
        all_taps = ops.Gather(self.axis)(x, self.indices[0])
        return [common.at(all_taps, self.axis + 1, k) for k in range(self.terms)]


def taps_of(a: Axis, how: Sampling) -> Taps:
    """What each output of an axis reads."""
    if a.is_known:
        return _from_table(a, how)
    fraction = None if isinstance(a.scale, Value) else _ratio(a)
    if fraction is None or how.antialias or how.coordinates == "tf_crop_and_resize":
        return _rounded(a, how)
    return _exact(a, how, *fraction)


def _from_table(a: Axis, how: Sampling) -> Taps:
    assert isinstance(a.n, int)
    assert isinstance(a.size, int)
    assert not isinstance(a.scale, Value)
    length = a.size if a.scale is None else float(np.float32(a.scale)) * a.n
    scale = a.size / max(a.n, 1) if a.scale is None else a.scale
    t = table(how, Measures(a.n, a.size, length, scale, a.roi))
    inside = None if t.inside.all() else graph.constant(t.inside)
    if how.mode == "nearest":
        return Taps(a.axis, [graph.constant(t.indices[:, 0])], [], inside)
    # One table: kernels can read but few buffers.
    indices = [graph.constant(t.indices)]
    if t.indices.shape[1] > MOST_TERMS:
        return Taps(a.axis, indices, [graph.constant(t.weights)], inside)
    weights = [graph.constant(np.ascontiguousarray(column)) for column in t.weights.T]
    return Taps(a.axis, indices, weights, inside)


# -- in fractions of integers ---------------------------------------------------------------------


def fraction_of(scale: float) -> Fraction | None:
    """The fraction that an f32 stands for, if it has few parts."""
    f = Fraction(scale).limit_denominator(MOST_PARTS)
    return f if np.float32(float(f)) == np.float32(scale) else None


def _ratio(a: Axis) -> tuple[Dim, Dim] | None:
    """The scale as a fraction of Dims."""
    if a.scale is not None:
        assert not isinstance(a.scale, Value)
        f = fraction_of(a.scale)
        return None if f is None else (f.numerator, f.denominator)
    for up, down in ((a.size, a.n), (a.n, a.size)):
        whole = 0 if down == 0 else dims.floordiv(up, down)
        if isinstance(whole, int) and whole > 0 and whole * down == up:
            return (whole, 1) if up == a.size else (1, whole)
    return a.size, a.n


class Position(NamedTuple):
    """Positions in the input as fractions: integers [size] over one number, at least -1."""

    numerator: Value
    denominator: Dim


def _position(a: Axis, coordinates: str, up: Dim, down: Dim) -> Position:
    index = ops.Iota(a.size)()

    def linear(factor: Dim, offset: Dim, denominator: Dim) -> Position:
        scaled = index if factor == 1 else ops.Mul()(index, common.size_value(factor))
        return Position(_shifted(scaled, offset), denominator)

    match coordinates:
        case "asymmetric":
            return linear(down, 0, up)
        case "align_corners":
            return linear(a.n - 1, 0, dims.maximum(a.size - 1, 1))
        case "tf_half_pixel_for_nn":
            return linear(2 * down, down, 2 * up)
        case "half_pixel_symmetric":
            return linear(2 * down, a.n * up - a.size * down + down - up, 2 * up)
        case "pytorch_half_pixel":
            more = dims.minimum(a.size - 1, 1)
            return linear(2 * down * more, (down - up) * more, 2 * up)
    return linear(2 * down, down - up, 2 * up)


def _shifted(x: Value, offset: Dim) -> Value:
    """x + offset; a size cannot be negative, so that an offset of either sign has two parts."""
    if offset == 0:
        return x
    up, down = dims.maximum(offset, 0), dims.maximum(-1 * offset, 0)
    raised = x if up == 0 else ops.Add()(x, common.size_value(up))
    return raised if down == 0 else ops.Sub()(raised, common.size_value(down))


def _floor_divided(numerator: Value, denominator: Dim) -> Value:
    """Rounded down, of numerators from -denominator on."""
    lifted = ops.Add()(numerator, common.size_value(denominator))
    whole = ops.Div()(lifted, common.size_value(denominator))
    return _shifted(whole, -1)


def _limited(index: Value, n: Dim) -> Value:
    return ops.Min()(ops.Clip(low=0)(index), common.size_value(n - 1))


def _exact(a: Axis, how: Sampling, up: Dim, down: Dim) -> Taps:
    """With positions that are exact."""
    at = _position(a, how.coordinates, up, down)
    if how.mode == "nearest":
        return Taps(a.axis, [_limited(_nearest(at, how.nearest), a.n)], [])
    below = _floor_divided(at.numerator, at.denominator)
    size = common.size_value(at.denominator)
    rest = ops.Sub()(at.numerator, ops.Mul()(below, size))
    part = Number(ops.Div()(common.cast(rest, dtypes.f32), common.cast(size, dtypes.f32)))
    offsets = range(1 - how.reach, how.reach + 1)
    taps = [_shifted(below, k) for k in offsets]
    weights = [weight(arithmetic, how, k - part) for k in offsets]
    if how.exclude_outside:
        weights = _inside_only([Number(t) for t in taps], weights, common.size_value(a.n))
    return Taps(a.axis, [_limited(t, a.n) for t in taps], [w.value for w in weights])


def _nearest(at: Position, mode: str) -> Value:
    double: Value = ops.Mul()(at.numerator, graph.constant(np.int32(2)))
    match mode:
        case "floor":
            return _floor_divided(at.numerator, at.denominator)
        case "ceil":
            return _floor_divided(_shifted(at.numerator, at.denominator - 1), at.denominator)
        case "round_prefer_ceil":
            return _floor_divided(_shifted(double, at.denominator), 2 * at.denominator)
    return _floor_divided(_shifted(double, at.denominator - 1), 2 * at.denominator)


def _inside_only(taps: list[Number], weights: list[Number], n: Value) -> list[Number]:
    """Weights without what lies outside, of sum 1 again."""
    kept = [
        arithmetic.where((t >= 0) & (t < Number(n)), w, 0)
        for t, w in zip(taps, weights, strict=True)
    ]
    total = kept[0]
    for w in kept[1:]:
        total = total + w
    return [w / total for w in kept]


# -- in floats ------------------------------------------------------------------------------------


def _rounded(a: Axis, how: Sampling) -> Taps:
    """With positions in f32, by the formulas as they stand."""
    n, size = arithmetic.size(a.n), arithmetic.size(a.size)
    scale = size / n if a.scale is None else _number(a.scale)
    length = size if a.scale is None else scale * n
    first, last = (_number(e) for e in a.roi)
    s = Measures(n, size, length, scale, (first, last))
    x = COORDINATES[how.coordinates](arithmetic, arithmetic.iota(a.size), s)
    inside = None
    if how.coordinates == "tf_crop_and_resize":
        inside = ((x >= 0) & (x <= n - 1)).value
    if how.antialias:
        return _weighted_widely(a, how, x, s)._replace(inside=inside)
    if how.mode == "nearest":
        return Taps(a.axis, [_index(NEAREST[how.nearest](arithmetic, x), n)], [], inside)
    below = arithmetic.floor(x)
    taps = [below + k for k in range(1 - how.reach, how.reach + 1)]
    weights = [weight(arithmetic, how, t - x) for t in taps]
    if how.exclude_outside:
        weights = _inside_only(taps, weights, n.value)
    return Taps(a.axis, [_index(t, n) for t in taps], [w.value for w in weights], inside)


def _weighted_widely(a: Axis, how: Sampling, x: Number, s: Measures) -> Taps:
    """Every element that the filter could reach at any scale has a weight, mostly 0."""
    shrink = arithmetic.minimum(s.scale, 1.0)
    # A scale is at least 1 / n, so that the filter reaches at most reach * n elements.
    margin = how.reach * a.n + 1
    taps = arithmetic.iota(2 * margin + a.n) - arithmetic.size(margin)
    column = Number(common.expand_dims(x.value, 1))
    weights = weight(arithmetic, how, (taps - column) * shrink)
    if how.exclude_outside:
        weights = arithmetic.where((taps >= 0) & (taps < s.n), weights, 0)
    weights = weights / Number(ops.ReduceSum((1,), True)(weights.value))
    indices = common.broadcast_to(common.expand_dims(_index(taps, s.n), 0), weights.value.shape)
    return Taps(a.axis, [indices], [weights.value])


def _number(v: float | Value) -> Number:
    return Number(v if isinstance(v, Value) else common.float_constant(v))


def _index(tap: Number, n: Number) -> Value:
    inside = arithmetic.minimum(arithmetic.maximum(tap, 0), n - 1)
    return common.cast(inside.value, dtypes.i32)
