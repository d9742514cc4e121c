"""Resize and Upsample: each axis reads a few weighted elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.resize_tables import Sampling, require_known
from webconv.frontends.onnx.operators.resize_taps import (
    MOST_TERMS,
    Axis,
    Taps,
    fraction_of,
    taps_of,
)
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import known, sizes
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def resized(x: Value, axes: Sequence[Axis], how: Sampling) -> Value:
    """`x` with some axes resized."""
    require_known(how)
    cropped = how.coordinates == "tf_crop_and_resize"
    live = [a for a in axes if cropped or not (a.n == a.size and a.scale in (None, 1))]
    if not live:
        return x
    if how.mode == "nearest":
        return _resized(x, live, how)
    wide = x.shape[1:2] and isinstance(x.shape[1], int) and x.shape[1] >= 4
    last = wide and all(a.axis >= 2 for a in live)
    if last:  # So that neighbours in memory are weighted alike.
        live = [a._replace(axis=a.axis - 1) for a in live]
    y = common.channels_last(x) if last else x
    y = common.cast(y, dtypes.f32) if not x.type.dtype.is_float else y
    y = _as_before(_resized(y, live, how), x, how)
    return common.channels_first(y) if last else y


# What is whole in exact arithmetic may be less by rounding, in f32.
SLACK = 1 / 1024


def _as_before(y: Value, x: Value, how: Sampling) -> Value:
    """`y` in the dtype of `x`; of integers the fraction goes, or rounds if antialiased."""
    if not x.type.dtype.is_integer:
        return common.cast(y, x.type.dtype)
    if how.antialias:
        low, high = np.iinfo(x.type.dtype.numpy).min, np.iinfo(x.type.dtype.numpy).max
        return common.cast(ops.Clip(float(low), float(high))(ops.Round()(y)), x.type.dtype)
    away = ops.Mul()(ops.Sign()(y), common.scalar(SLACK, y))
    return common.cast(ops.Add()(y, away), x.type.dtype)


def _resized(x: Value, axes: Sequence[Axis], how: Sampling) -> Value:
    found = [taps_of(a, how) for a in sorted(axes, key=_growth)]
    few = [t for t in found if not t.are_many]
    for taps in found:
        x = _summed(x, taps) if taps.are_many else x
    at_once = math.prod(t.terms for t in few) <= MOST_TERMS
    for group in [few] if at_once else [[t] for t in few]:
        x = _combined(x, group)
    for taps in found:
        if taps.inside is not None:
            shown = _along(taps.inside, x.type.rank, taps.axis)
            x = ops.Where()(shown, x, common.scalar(how.extrapolation, x))
    return x


def _growth(a: Axis) -> float:
    """Axes that shrink come first, so that the others have less to do."""
    if isinstance(a.n, int) and isinstance(a.size, int):
        return a.size / max(a.n, 1)
    return a.scale if isinstance(a.scale, float) else 1.0


def _along(v: Value, rank: int, axis: int) -> Value:
    """A vector as a tensor of `rank` axes that it varies along one of."""
    return common.reshape(v, [v.shape[0] if a == axis else 1 for a in range(rank)])


def _combined(x: Value, axes: Sequence[Taps]) -> Value:
    """The weighted sum over the taps of all axes, as one expression."""
    if not axes:
        return x
    first, rest = axes[0], axes[1:]
    total: Value | None = None
    for k, read in enumerate(first.read(x)):
        part = _combined(read, rest)
        if first.weights:
            weight = common.cast(first.weights[k], x.type.dtype)
            part = ops.Mul()(part, _along(weight, x.type.rank, first.axis))
        total = part if total is None else ops.Add()(total, part)
    assert total is not None
    return total


def _summed(x: Value, taps: Taps) -> Value:
    """The same for many taps, as a sum over an axis of them."""
    (indices,), (weights,) = taps.indices, taps.weights
    parts = ops.Gather(taps.axis)(x, indices)
    shape: list[Dim] = [1] * parts.type.rank
    shape[taps.axis : taps.axis + 2] = weights.shape
    spread = common.reshape(common.cast(weights, x.type.dtype), shape)
    out: Value = ops.ReduceSum((taps.axis + 1,))(ops.Mul()(parts, spread))
    return out


# -- sizes and scales -----------------------------------------------------------------------------


def _given(x: Value | None) -> Value | None:
    """An optional input; an empty tensor also means that it is absent."""
    return None if x is None or x.shape == (0,) else x


def _of_each(v: Value, axes: Sequence[int], what: str, per_axis: int = 1) -> None:
    if v.shape != (per_axis * len(axes),):
        raise ShapeError(f"{what} must hold {per_axis * len(axes)} numbers, but it is {v.type}")


def scaled_size(n: Dim, scale: float) -> Dim | None:
    """The size of an axis after scaling, rounded down; None if no integers can tell it."""
    if scale <= 0:
        raise ShapeError(f"scales must be positive, but one is {scale}")
    if isinstance(n, int):
        return int(np.floor(np.float32(n) * np.float32(scale)))
    f = fraction_of(scale)
    return None if f is None else dims.floordiv(n * f.numerator, f.denominator)


def by_scales(call: Any, x: Value, scales: Value, axes: Sequence[int]) -> tuple[Value, list[Axis]]:
    """The axes scaled; where the new sizes are data, `x` is one that waits for them."""
    _of_each(scales, axes, "scales")
    if scales.constant is not None:
        numbers = [float(s) for s in scales.constant]
        after = [scaled_size(x.shape[a], s) for a, s in zip(axes, numbers, strict=True)]
        if None not in after:
            plan = zip(axes, after, numbers, strict=True)
            return x, [Axis(a, x.shape[a], d, s) for a, d, s in plan]  # type: ignore[arg-type]
    shape = _sizes_of(x, axes)
    factors = common.cast(scales, dtypes.f32)
    x, found = _measured(call, x, ops.Floor()(ops.Mul()(shape, factors)))
    each = [common.at(factors, 0, k) for k in range(len(axes))]
    return x, [Axis(a, x.shape[a], d, s) for a, d, s in zip(axes, found, each, strict=True)]


def _sizes_of(x: Value, axes: Sequence[int]) -> Value:
    shape = ops.Sizes(tuple(x.shape[a] for a in axes), dtypes.i64)()
    return common.cast(shape, dtypes.f32)


def _measured(call: Any, x: Value, target: Value) -> tuple[Value, list[Dim]]:
    """`x` after symbols were bound to what whole f32 numbers give when the model runs."""
    whole = common.cast(target, dtypes.i64)
    bound = call.converter.measured(x, whole)
    found = known(bound[whole])
    assert found is not None
    return bound[x], [dims.maximum(d, 0) for d in found.flat]


def by_sizes(
    call: Any, x: Value, target: Value, axes: Sequence[int], policy: str
) -> tuple[Value, list[Axis]]:
    """The axes resized to sizes, which `policy` may make the ends of one scale for all."""
    _of_each(target, axes, "sizes")
    wanted = sizes(target, "sizes")
    pairs = [(a, x.shape[a], d) for a, d in zip(axes, wanted, strict=True)]
    if policy == "stretch":
        return x, [Axis(a, n, d, None) for a, n, d in pairs]
    if policy not in ("not_larger", "not_smaller"):
        raise ModelFormatError(f"keep_aspect_ratio_policy {policy!r} is unknown")
    if all(isinstance(n, int) and isinstance(d, int) for _, n, d in pairs):
        pick = min if policy == "not_larger" else max
        one = float(pick(np.float32(d) / np.float32(n) for _, n, d in pairs))  # type: ignore[arg-type]
        return x, [Axis(a, n, math.floor(one * n + 0.5), one) for a, n, _ in pairs]  # type: ignore[operator]
    before = _sizes_of(x, axes)
    ratios = ops.Div()(common.cast(target, dtypes.f32), before)
    reduce = ops.ReduceMin if policy == "not_larger" else ops.ReduceMax
    scale = reduce((0,))(ratios)
    half = common.float_constant(0.5)
    x, found = _measured(call, x, ops.Floor()(ops.Add()(ops.Mul()(before, scale), half)))
    return x, [Axis(a, x.shape[a], d, scale) for a, d in zip(axes, found, strict=True)]


def _regions(roi: Value | None, axes: list[Axis]) -> list[Axis]:
    """The axes with their part of roi [starts, ends]."""
    if roi is None:
        raise ModelFormatError("tf_crop_and_resize needs the input roi")
    _of_each(roi, [a.axis for a in axes], "roi", 2)
    whole = common.cast(roi, dtypes.f32)
    if roi.constant is not None:
        ends: list[float | Value] = [float(v) for v in roi.constant]
    else:
        ends = [common.at(whole, 0, k) for k in range(2 * len(axes))]
    return [a._replace(roi=(ends[k], ends[k + len(axes)])) for k, a in enumerate(axes)]


# -- the operators --------------------------------------------------------------------------------


@operator("Resize", since=11, context=True)
def resize_11(
    call: Any,
    x: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    target: Value | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Value:
    """Resampled to sizes or by scales."""
    rank = x.type.rank
    where = list(range(rank)) if axes is None else [normalise_axis(a, rank) for a in axes]
    scales, target = _given(scales), _given(target)
    if scales is not None and target is None:
        x, plan = by_scales(call, x, scales, where)
    elif target is not None and scales is None:
        x, plan = by_sizes(call, x, target, where, keep_aspect_ratio_policy)
    else:
        raise ModelFormatError("one of scales and sizes must be given")
    if coordinate_transformation_mode == "tf_crop_and_resize":
        plan = _regions(_given(roi), plan)
    filtered = mode != "nearest"
    how = Sampling(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside) and filtered,
        bool(antialias) and filtered,
        extrapolation_value,
    )
    return resized(x, plan, how)


@operator("Resize", since=10, context=True)
def resize_10(call: Any, x: Value, scales: Value, *, mode: str = "nearest") -> Value:
    """Scaled, as of opset 10: index / scale, rounded up where elements are left out."""
    how = _by_index(mode)
    x, plan = by_scales(call, x, scales, range(x.type.rank))
    if mode != "nearest":
        return resized(x, plan, how)
    for a in plan:
        shrinks = isinstance(a.scale, float) and a.scale < 1
        x = resized(x, [a], how._replace(nearest="ceil" if shrinks else "floor"))
    return x


def _by_index(mode: str) -> Sampling:
    return Sampling("linear" if mode == "bilinear" else mode, "asymmetric", "floor")


@operator("Upsample", since=9, context=True)
def upsample_9(call: Any, x: Value, scales: Value, *, mode: str = "nearest") -> Value:
    """Scaled: index / scale, rounded down."""
    x, plan = by_scales(call, x, scales, range(x.type.rank))
    return resized(x, plan, _by_index(mode))


@operator("Upsample", since=7, context=True)
def upsample_7(call: Any, x: Value, *, scales: Sequence[float], mode: str = "nearest") -> Value:
    """Scaled, the scales as an attribute (opset 7)."""
    return upsample_9(call, x, graph.constant(np.array(scales, np.float32)), mode=mode)


@operator("Upsample", context=True)
def upsample_1(
    call: Any, x: Value, *, height_scale: float, width_scale: float, mode: str = "nearest"
) -> Value:
    """Height and width scaled (opset 1)."""
    return upsample_7(call, x, scales=(1.0, 1.0, height_scale, width_scale), mode=mode)
