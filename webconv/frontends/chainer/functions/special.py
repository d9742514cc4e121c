"""Special functions of chainer.functions.math, from operators that we have."""

from __future__ import annotations

import math

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.formula import Formula, polynomial, where
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.fourier import fourier
from webconv.frontends.matrices import determinant, inverse
from webconv.ir import ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Value

# log(erfc(z) exp(z^2) / t) as a polynomial in t = 1 / (1 + z / 2), for z >= 0, to 1.2e-7 (Numerical
# Recipes, 6.2).
ERFC = (
    *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
    *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
)

# The normal quantile to 7 digits, in the middle, in the tails, and far out (Wichura 1988, AS 241).
MIDDLE = (
    (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
    (1.0, 17.895169469, 78.757757664, 67.187563600),
)
TAIL = (
    (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
    (1.0, 0.73700164250, 0.12021131975),
)
FAR = (
    (6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997),
    (1.0, 0.24197894225, 0.012258202635),
)

# Bernoulli numbers B2, B4, ...
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66)

# From here on, asymptotic series are good to f32.
FAR_ENOUGH = 8


def _scaled_erfc(z: Formula) -> tuple[Formula, Formula]:
    """t and log(erfc(z) exp(z^2) / t), for z >= 0."""
    t = 1 / (1 + z * 0.5)
    return t, polynomial(t, ERFC)


def _erfc(x: Formula) -> Formula:
    z = x.map(ops.Abs())
    t, series = _scaled_erfc(z)
    upper = t * (series - z * z).map(ops.Exp())
    return where(x < 0, 2 - upper, upper)


@function("Erfc")
def erfc(call: Applied, x: Value) -> Value:
    """1 - erf(x), exact for large x too."""
    return _erfc(Formula(x)).value


@function("Erfcx")
def erfcx(call: Applied, x: Value) -> Value:
    """erfc(x) * exp(x * x)."""
    f = Formula(x)
    z = f.map(ops.Abs())
    t, series = _scaled_erfc(z)
    upper = t * series.map(ops.Exp())
    return where(f < 0, (z * z).map(ops.Exp()) * 2 - upper, upper).value


@function("Ndtr")
def ndtr(call: Applied, x: Value) -> Value:
    """The normal distribution's function."""
    return (_erfc(Formula(x) * -math.sqrt(0.5)) * 0.5).value


@function("LogNdtr")
def log_ndtr(call: Applied, x: Value) -> Value:
    """Its logarithm."""
    z = Formula(x) * -math.sqrt(0.5)
    positive = z.most(0)
    t, series = _scaled_erfc(positive)
    low = t.map(ops.Log()) + series - positive * positive - math.log(2)
    high = (_erfc((-z).most(0)) * -0.5).map(ops.Log1p())
    return where(z > 0, low, high).value


def _quantile(q: Formula, tail: Formula) -> Formula:
    """The normal quantile of 0.5 + q, where `tail` is 0.5 - |q|."""
    square = 0.180625 - q * q
    middle = q * polynomial(square, MIDDLE[0]) / polynomial(square, MIDDLE[1])
    r = (-(tail.map(ops.Log()))).most(0).map(ops.Sqrt())
    near, far = r - 1.6, r - 5
    out = where(
        r <= 5,
        polynomial(near, TAIL[0]) / polynomial(near, TAIL[1]),
        polynomial(far, FAR[0]) / polynomial(far, FAR[1]),
    )
    # At the ends of the range the tail is 0.
    out = where(tail <= 0, 1 / (tail * 0), out)
    inside = q.map(ops.Abs()) <= 0.425
    found = where(inside, middle, where(q < 0, -out, out))
    return where(tail < 0, found * math.nan, found)


@function("Ndtri")
def ndtri(call: Applied, x: Value) -> Value:
    """The inverse of the normal distribution's function."""
    p = Formula(x)
    return _quantile(p - 0.5, p.least(1 - p)).value


@function("ErfInv")
def erfinv(call: Applied, x: Value) -> Value:
    """The inverse of erf."""
    y = Formula(x)
    return (_quantile(y * 0.5, 0.5 - y.map(ops.Abs()) * 0.5) * math.sqrt(0.5)).value


@function("ErfcInv")
def erfcinv(call: Applied, x: Value) -> Value:
    """The inverse of erfc."""
    p = Formula(x) * 0.5
    return (_quantile(p - 0.5, p.least(1 - p)) * -math.sqrt(0.5)).value


def _fraction(x: Formula) -> Formula:
    """x less the nearest integer, so that pi times it is exact enough."""
    return x - x.map(ops.Round())


def _log_gamma(x: Formula) -> Formula:
    """log(gamma(x)) for x >= 0.5, by Stirling's series from x + 8 on."""
    product = x * 0 + 1
    for k in range(FAR_ENOUGH):
        product = product * (x + k)
    z = x + FAR_ENOUGH
    inverse = 1 / z
    square = inverse * inverse
    terms = [b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(BERNOULLI[:4])]
    series = inverse * polynomial(square, terms)
    main = (z - 0.5) * z.map(ops.Log()) - z + 0.5 * math.log(2 * math.pi)
    return main + series - product.map(ops.Log())


@function("LGamma")
def lgamma(call: Applied, x: Value) -> Value:
    """log |gamma(x)|."""
    f = Formula(x)
    reflects = f < 0.5
    right = _log_gamma(where(reflects, 1 - f, f).least(1e4))
    # Beyond 1e4 the product above would overflow, and the series needs no shift.
    large = f.most(1e3)
    stirling = (large - 0.5) * large.map(ops.Log()) - large + 0.5 * math.log(2 * math.pi)
    sine = (_fraction(f) * math.pi).map(ops.Sin()).map(ops.Abs())
    mirrored = math.log(math.pi) - sine.map(ops.Log()) - right
    return where(f > 1e3, stirling + 1 / (large * 12), where(reflects, mirrored, right)).value


@function("DiGamma")
def digamma(call: Applied, x: Value) -> Value:
    """The derivative of log(gamma(x))."""
    f = Formula(x)
    reflects = f < 0.5
    right = where(reflects, 1 - f, f)
    recurrence = right * 0
    for k in range(FAR_ENOUGH):
        recurrence = recurrence + 1 / (right + k)
    z = right + FAR_ENOUGH
    inverse = 1 / z
    square = inverse * inverse
    terms = [b / (2 * k + 2) for k, b in enumerate(BERNOULLI[:4])]
    value = z.map(ops.Log()) - inverse * 0.5 - square * polynomial(square, terms) - recurrence
    angle = _fraction(f) * math.pi
    return where(reflects, value - math.pi / angle.map(ops.Tan()), value).value


def _hurwitz(s: float, q: Formula) -> Formula:
    """The sum of (q + k)^-s over k, by the formula of Euler and Maclaurin from q + 8 on."""
    total = q * 0
    for k in range(FAR_ENOUGH):
        total = total + (q + k) ** -s
    z = q + FAR_ENOUGH
    total = total + z ** (1 - s) / (s - 1) + z**-s * 0.5
    rising, factorial = s, 2.0
    for k, b in enumerate(BERNOULLI):
        total = total + z ** -(s + 2 * k + 1) * (b * rising / factorial)
        rising *= (s + 2 * k + 1) * (s + 2 * k + 2)
        factorial *= (2 * k + 3) * (2 * k + 4)
    return total


def _one_number(array: object, what: str) -> float:
    values = np.unique(np.asarray(array, np.float64))
    if values.size != 1:
        raise UnsupportedError(f"{what} must be one number, the same for all elements")
    return float(values[0])


@function("Zeta")
def zeta(call: Applied, q: Value) -> Value:
    """The zeta function of Hurwitz, for q > 0 and one x > 1."""
    x = _one_number(call._x, "x")
    if x <= 1:
        raise UnsupportedError(f"x must be above 1, but it is {x}")
    return _hurwitz(x, Formula(q)).value


@function("PolyGamma")
def polygamma(call: Applied, n: Value, x: Value) -> Value:
    """The n-th derivative of digamma, for x > 0."""
    if n.constant is None:
        raise UnsupportedError("n must be known when the chain is made")
    order = int(_one_number(n.constant, "n"))
    if order == 0:
        return digamma(call, x)
    sign = -1 if order % 2 == 0 else 1
    return (_hurwitz(order + 1.0, Formula(x)) * (sign * math.factorial(order))).value


def _square(x: Value) -> int:
    n = x.shape[-1]
    if not isinstance(n, int) or x.shape[-2] != n:
        raise ShapeError(f"matrices must be square and of a known size, but they are {x.type}")
    return n


@function("BatchDet")
def batch_det(call: Applied, x: Value) -> Value:
    """Determinants."""
    return determinant(x, _square(x))


@function("Inv", "BatchInv")
def inv(call: Applied, x: Value) -> Value:
    """Inverse matrices."""
    _square(x)
    return inverse(x)


@function("TriangularInv")
def triangular_inv(call: Applied, x: Value) -> Value:
    """Inverse matrices of triangles; what is on the other side is not looked at."""
    place = ops.Iota(_square(x))()
    down, across = common.expand_dims(place, 1), common.expand_dims(place, 0)
    other = ops.Less()(down, across) if call._lower else ops.Less()(across, down)
    return inverse(ops.Where()(other, common.scalar(0, x), x))


@function("Cholesky")
def cholesky(call: Applied, x: Value) -> Value:
    """The lower triangle whose product with its transpose is x, column by column."""
    n = _square(x)
    columns: list[Value] = []
    for k in range(n):
        column = common.slice_axis(common.slice_axis(x, -1, k, k + 1), -2, k)
        if columns:
            left = common.concat([common.slice_axis(c, -2, k) for c in columns], -1)
            row = common.swap_axes(common.slice_axis(left, -2, 0, 1), -1, -2)
            column = ops.Sub()(column, ops.MatMul()(left, row))
        root = ops.Sqrt()(common.slice_axis(column, -2, 0, 1))
        below = ops.Div()(column, root)
        zeros = (0,) * (x.type.rank - 2)
        columns.append(ops.Pad((*zeros, k, 0), (*zeros, 0, 0))(below))
    return common.concat(columns, -1)


@function("FFT")
def fft(call: Applied, real: Value, imaginary: Value) -> tuple[Value, Value]:
    """The discrete Fourier transform of the last axis, or its inverse."""
    backwards = call._method == "ifft"
    both = common.stack([real, imaginary], -1)
    y = fourier(both, backwards)
    if backwards:
        y = ops.Div()(y, common.cast(common.size_value(real.shape[-1]), y.type.dtype))
    return common.at(y, -1, 0), common.at(y, -1, 1)
