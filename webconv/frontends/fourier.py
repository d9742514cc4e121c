"""The discrete Fourier transform; a last axis of 2 holds real and imaginary parts."""

from __future__ import annotations

import math

import numpy as np

from webconv.frontends import arithmetic as m
from webconv.frontends import common
from webconv.frontends.arithmetic import Number
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value
from webconv.ir.op import Array

# Longer transforms are made of shorter ones (Cooley and Tukey 1965), if the length has divisors.
LONGEST_DIRECT = 64


def fourier(x: Value, inverse: bool = False, bins: Dim | None = None) -> Value:
    """The transform [..., bins, 2] of x [..., n, 1 or 2], not scaled; `bins` is n by default."""
    n = x.shape[-2]
    bins = n if bins is None else bins
    sign = 1 if inverse else -1
    if not isinstance(n, int):
        return _bins(_computed(x, sign), bins)
    first = _divisor(n) if n > LONGEST_DIRECT else 1
    if first == 1:
        return _direct(x, sign, bins)
    return _bins(_in_two(x, first, n // first, inverse), bins)


def _divisor(n: int) -> int:
    """The largest divisor of n that is at most its root."""
    return next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)


def _bins(y: Value, bins: Dim) -> Value:
    return common.slice_axes(y, {-2: common.Span(0, bins, 1)})


def _roots(rows: int, columns: int, n: int, sign: int) -> Array:
    """exp(sign 2 pi i r c / n)."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % n / n
    roots: Array = np.exp(sign * 2j * np.pi * turns)
    return roots


def _direct(x: Value, sign: int, bins: Dim) -> Value:
    """One product with a matrix: rows are the parts of x, columns those of the result."""
    n, parts = x.shape[-2:]
    assert isinstance(n, int)
    assert isinstance(bins, int)
    roots = _roots(n, bins, n, sign)
    of_real = np.stack([roots.real, roots.imag], -1)
    of_imaginary = np.stack([-roots.imag, roots.real], -1)
    matrix = np.stack([of_real, of_imaginary], 1) if parts == 2 else of_real[:, None]
    weights = graph.constant(matrix.reshape(-1, 2 * bins).astype(x.type.dtype.numpy))
    lead = x.shape[:-2]
    rows = common.reshape(x, (*lead, n * matrix.shape[1]))
    if not lead:
        rows = common.expand_dims(rows, 0)
    return common.reshape(ops.MatMul()(rows, weights), (*lead, bins, 2))


def _in_two(x: Value, a: int, b: int, inverse: bool) -> Value:
    """Transforms of length a over every b-th element, turned, and of length b over the results."""
    *lead, n, parts = x.shape
    assert isinstance(n, int)
    strided = common.swap_axes(common.reshape(x, (*lead, a, b, parts)), -3, -2)
    y = fourier(strided, inverse)  # [..., b, a, 2]
    roots = _roots(b, a, n, 1 if inverse else -1)[..., None]
    along = np.concatenate([roots.real, roots.real], -1).astype(x.type.dtype.numpy)
    across = np.concatenate([-roots.imag, roots.imag], -1).astype(x.type.dtype.numpy)
    turned = ops.Add()(
        ops.Mul()(y, graph.constant(along)), ops.Mul()(common.flip(y, -1), graph.constant(across))
    )
    z = fourier(common.swap_axes(turned, -3, -2), inverse)  # [..., a, b, 2]
    return common.reshape(common.swap_axes(z, -3, -2), (*lead, n, 2))


def _computed(x: Value, sign: int) -> Value:
    """With a matrix that is computed where the model runs: the length is a symbol."""
    n, parts = x.shape[-2:]
    cos, sin = (common.cast(v.value, x.type.dtype) for v in _turned(n))
    sin = sin if sign > 0 else ops.Neg()(sin)
    product = ops.MatMul()
    rows = common.move_axis(x, -1, 0)
    real = common.expand_dims(common.at(rows, 0, 0), -2)
    along, across = product(real, cos), product(real, sin)
    if parts == 2:
        imaginary = common.expand_dims(common.at(rows, 0, 1), -2)
        along = ops.Sub()(along, product(imaginary, sin))
        across = ops.Add()(across, product(imaginary, cos))
    return common.stack([common.squeeze(v, -2) for v in (along, across)], -1)


def _turned(n: Dim) -> tuple[Number, Number]:
    """The cosine and sine [n, n] of r c / n turns, from what is left of the nearest quarter turn.

    So that whole quarters are exact: f32 cannot hold pi.
    """
    index, whole = ops.Iota(n)(), Number(common.size_value(n))
    part = Number(ops.Mod()(ops.Mul()(common.expand_dims(index, 1), index), whole.value))
    quarter = (part * 8 + whole) / (whole * 2)
    rest = Number(common.cast((part * 4 - quarter * whole).value, dtypes.f32)) / m.size(4 * n)
    angle = (rest * (2 * math.pi)).value
    cos, sin = Number(ops.Cos()(angle)), Number(ops.Sin()(angle))
    odd = m.equal(quarter, 1) | m.equal(quarter, 3)
    c, s = m.where(odd, sin, cos), m.where(odd, cos, sin)
    left = m.equal(quarter, 1) | m.equal(quarter, 2)
    low = m.equal(quarter, 2) | m.equal(quarter, 3)
    return m.where(left, -c, c), m.where(low, -s, s)
