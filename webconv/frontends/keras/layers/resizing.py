"""Resizing along axes by a kernel: nearest, bilinear, bicubic and Lanczos, as Keras computes them.

Output element i of m lies at (i + 1/2) n / m - 1/2 of an input of n elements (half-pixel centres);
TensorFlow 1 has it at i n / m (asymmetric) or i (n - 1) / (m - 1) (aligned corners). Its value is
the mean of the elements around, weighted by the kernel of their distance; what lies
outside counts for nothing, and the weights are divided by their sum. Compare `jax.image.resize`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.ir import dims, dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value

# Indices and weights of more elements than this are computed where the model runs.
FOLDED_SIZE = 1 << 16
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
Coordinates = Literal["half_pixel", "asymmetric", "align_corners"]


def _triangle(x: Value) -> Value:
    return ops.Relu()(ops.Affine(-1.0, 1.0)(x))


def _polynomial(x: Value, *coefficients: float) -> Value:
    """The polynomial of x, highest power first (Horner)."""
    total = scalar(coefficients[0], x)
    for c in coefficients[1:]:
        total = ops.Affine(1.0, c)(ops.Mul()(total, x))
    return total


def _cubic(x: Value) -> Value:
    """The kernel of Keys (1981) with a = -1/2."""
    near = _polynomial(x, 1.5, -2.5, 0.0, 1.0)
    far = _polynomial(x, -0.5, 2.5, -4.0, 2.0)
    out = ops.Where()(ops.Less()(x, scalar(1, x)), near, far)
    return ops.Where()(ops.Less()(x, scalar(2, x)), out, scalar(0, x))


def _lanczos(radius: int) -> Callable[[Value], Value]:
    def kernel(x: Value) -> Value:
        """sinc(x) sinc(x / radius) within the radius."""
        away = ops.Max()(x, scalar(1e-3, x))
        waves = ops.Mul()(
            ops.Sin()(ops.Affine(math.pi)(away)), ops.Sin()(ops.Affine(math.pi / radius)(away))
        )
        squares = ops.Affine(math.pi**2 / radius)(ops.Mul()(away, away))
        out = ops.Where()(
            ops.Greater()(x, scalar(1e-3, x)), ops.Div()(waves, squares), scalar(1, x)
        )
        return ops.Where()(ops.Greater()(x, scalar(radius, x)), scalar(0, x), out)

    return kernel


KERNELS: Mapping[str, tuple[Callable[[Value], Value], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
}


def resize(
    x: Value,
    sizes: Mapping[int, Dim],
    interpolation: str,
    antialias: bool = False,
    coordinates: Coordinates = "half_pixel",
    parts: int | None = None,
) -> Value:
    """x with some axes resized to `sizes`; places are rounded to so many parts of an element."""
    for axis, size in sizes.items():
        if x.shape[axis] == size:
            continue
        if interpolation == "nearest":
            x = _nearest(x, axis, size, coordinates)
        else:
            x = _resize_axis(x, axis, size, KERNELS[interpolation], antialias, coordinates, parts)
    return x


def _nearest(x: Value, axis: int, size: Dim, coordinates: Coordinates) -> Value:
    """Element floor((i + 1/2) n / m), floor(i n / m) or floor(i (n - 1) / (m - 1) + 1/2), computed
    in integers."""
    n, odd, last = x.shape[axis], int(coordinates == "half_pixel"), coordinates == "align_corners"
    n, size_or_last = (n - 1, dims.maximum(size - 1, 1)) if last else (n, size)
    twice = ops.Mul()(_whole(size, 2, odd), common.size_value(n))
    if last:
        twice = ops.Add()(twice, common.size_value(size_or_last))
    index = ops.Div()(twice, common.size_value(2 * size_or_last))
    return ops.Gather(axis)(x, common.folded(index, FOLDED_SIZE))


def _whole(size: Dim, factor: int, offset: int) -> Value:
    """factor * i + offset for i below `size`, as i32."""
    i = ops.Iota(size)()
    return ops.Add()(ops.Mul()(i, scalar(factor, i)), scalar(offset, i))


def _resize_axis(
    x: Value,
    axis: int,
    size: Dim,
    kernel: tuple[Callable[[Value], Value], int],
    antialias: bool,
    coordinates: Coordinates,
    parts: int | None,
) -> Value:
    n = x.shape[axis]
    corners = coordinates == "align_corners"
    scale = _ratio(n - 1, dims.maximum(size - 1, 1)) if corners else _ratio(n, size)
    wide = 1.0
    if antialias:
        if not isinstance(n, int) or not isinstance(size, int):
            raise UnsupportedError("antialias needs sizes that are known when converting")
        wide = max(n / size, 1.0)
    i = common.cast(ops.Iota(size)(), dtypes.f32)
    if coordinates == "half_pixel":
        at = ops.Affine(1.0, -0.5)(ops.Mul()(ops.Affine(1.0, 0.5)(i), scale))
    else:
        at = ops.Mul()(i, scale)
    function, radius = kernel
    whole = ops.Floor()(at)
    if parts is not None:
        rest = ops.Round()(ops.Affine(float(parts))(ops.Sub()(at, whole)))
        at = ops.Add()(whole, ops.Affine(1 / parts)(rest))
    reach = math.ceil(radius * wide)
    if reach > 1024:
        raise ShapeError(f"resizing an axis of {n} to {size} needs too wide a kernel")
    first = common.cast(whole, dtypes.i32)
    last = ops.Sub()(common.size_value(n), scalar(1, first))
    taps = []
    for k in range(1 - reach, reach + 1):
        index = ops.Add()(first, scalar(k, first))
        away = ops.Abs()(ops.Sub()(at, common.cast(index, dtypes.f32)))
        weight = function(ops.Affine(1 / wide)(away))
        inside = ops.And()(
            ops.GreaterOrEqual()(index, scalar(0, index)), ops.LessOrEqual()(index, last)
        )
        kept = ops.Where()(inside, weight, scalar(0, weight))
        near = ops.Min()(ops.Max()(index, scalar(0, index)), last)
        taps.append((near, kept))
    return _weighted(x, axis, taps)


def _ratio(n: Dim, size: Dim) -> Value:
    """n / size as f32."""
    if isinstance(n, int) and isinstance(size, int):
        ratio = n / size
    else:
        # A size that is a multiple, as UpSampling has it, needs no value at run time.
        quotient = size // n if not isinstance(n, int) else None
        if not isinstance(quotient, int) or quotient < 1:
            a, b = (common.cast(common.size_value(d), dtypes.f32) for d in (n, size))
            return ops.Div()(a, b)
        ratio = 1 / quotient
    return common.float_constant(ratio)


def _weighted(x: Value, axis: int, taps: list[tuple[Value, Value]]) -> Value:
    """The sum of x[index] * weight over the taps, by the sum of weights."""
    total = taps[0][1]
    for _, weight in taps[1:]:
        total = ops.Add()(total, weight)
    out = None
    rank = x.type.rank
    for index, weight in taps:
        share = common.folded(ops.Div()(weight, total), FOLDED_SIZE)
        if share.constant is not None and not np.any(share.constant):
            continue
        share = common.cast(share, x.type.dtype)
        share = common.expand_dims(share, *range(1, rank - axis))
        part = ops.Mul()(ops.Gather(axis)(x, common.folded(index, FOLDED_SIZE)), share)
        out = part if out is None else ops.Add()(out, part)
    assert out is not None
    return out
