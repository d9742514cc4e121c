"""The coefficients in `webconv.backends.functions`, derived again.

They are minimax fits on a grid by Lawson's algorithm (1961): least squares, reweighted by the error
until that levels out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special

from webconv.backends.functions import (
    error_function,
    exponential,
    hyperbolic,
    logarithm,
    power,
    trigonometric,
)
from webconv.backends.functions.core import split
from webconv.ir.op import Array

Scalar = Callable[[Array], Any]


def polynomial(x: Array, target: Array, weight: Array, powers: Sequence[int]) -> list[float]:
    """f32 coefficients c of sum(c x**power) with the least max |weight * error|.

    They are rounded one after the other, lowest power first, and what is left is fitted again.
    """
    basis = np.stack([x**p for p in powers], axis=1)
    found: list[float] = []
    rest = target
    for i in range(len(powers)):
        c = float(np.float32(lawson(basis[:, i:], rest, weight)[0]))
        found.append(c)
        rest = rest - c * basis[:, i]
    return found


def lawson(basis: Array, target: Array, weight: Array) -> Array:
    """The combination of the columns of `basis` with the least max |weight * error|."""
    level = np.ones_like(target)
    best, least = np.zeros(basis.shape[1]), np.inf
    for _ in range(100):
        rows = basis * (np.sqrt(level) * weight)[:, None]
        scale = np.abs(rows).max(axis=0)
        c = np.linalg.lstsq(rows / scale, target * weight * np.sqrt(level), rcond=None)[0] / scale
        error = np.abs(weight * (target - basis @ c))
        if error.max() < least:
            best, least = c, error.max()
        level *= error + 1e-3 * error.max()
        level /= level.mean()
    return best


def chebyshev(a: float, b: float) -> Array:
    """Points that are denser towards the ends."""
    return (a + b) / 2 + (b - a) / 2 * np.cos(np.pi * (np.arange(700) + 0.5) / 700)


@dataclass(frozen=True)
class Fit:
    """`function(x) = base(x) + sum(kept * x**powers)`; `ulp` bounds its error, in 2**-23.

    The error is relative to `function`, or times `weight` if that is given.
    """

    name: str
    kept: Sequence[float]
    ulp: float
    ends: tuple[float, float]
    function: Scalar
    base: Scalar
    powers: range
    weight: Scalar | None = None


def identity(x: Array) -> Array:
    """x."""
    return x


def cos_start(x: Array) -> Array:
    """1 - x**2 / 2."""
    return 1 - x * x / 2


def log2_of(s: Array) -> Array:
    """log2((1 + s) / (1 - s))."""
    return np.asarray(2 / math.log(2) * np.arctanh(s))


def erf_exponent(x: Array) -> Array:
    """q of erf(x) = 1 - exp(-q)."""
    return np.asarray(-np.log(scipy.special.erfc(x)))


def erf_weight(x: Array) -> Array:
    """The relative error of erf by the absolute error of q."""
    return np.asarray(scipy.special.erfc(x) / scipy.special.erf(x))


HALF_LN2 = math.log(2) / 2
ROOTS = math.sqrt(0.5) - 1, math.sqrt(2) - 1
FITS = [
    Fit("EXP", exponential.EXP, 0.03, (-HALF_LN2, HALF_LN2), np.exp, lambda x: 1 + x, range(2, 7)),
    Fit("EXPM1", exponential.EXPM1, 0.12, (-HALF_LN2, HALF_LN2), np.expm1, identity, range(2, 7)),
    Fit("EXP2", power.EXP2, 0.03, (-0.501, 0.501), np.exp2, np.ones_like, range(1, 7)),
    Fit("LOG", logarithm.LOG, 0.05, ROOTS, np.log1p, lambda x: x - x * x / 2, range(3, 11)),
    Fit(
        "LOG2", power.LOG2, 0.0002, (1e-3, 0.1716), log2_of, lambda x: 2 / math.log(2) * x,
        range(3, 10, 2),
    ),
    Fit("SIN", trigonometric.SIN, 0.12, (1e-9, 0.92), np.sin, identity, range(3, 8, 2)),
    Fit("COS", trigonometric.COS, 0.006, (0, 0.92), np.cos, cos_start, range(4, 9, 2)),
    Fit("ASIN", trigonometric.ASIN, 0.05, (1e-9, 0.5), np.arcsin, identity, range(3, 12, 2)),
    Fit("ATAN", trigonometric.ATAN, 0.03, (1e-9, 1), np.arctan, identity, range(3, 20, 2)),
    Fit("SINH", hyperbolic.SINH, 0.003, (1e-9, 1), np.sinh, identity, range(3, 10, 2)),
    Fit("ASINH", hyperbolic.ASINH, 0.02, (1e-9, 0.5), np.arcsinh, identity, range(3, 12, 2)),
    Fit(
        "ERF", error_function.ERF, 0.5, (1e-6, 4), erf_exponent, np.zeros_like, range(1, 9),
        erf_weight,
    ),
]  # fmt: skip


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_coefficients_are_minimax_fits(fit: Fit) -> None:
    x = chebyshev(*fit.ends)
    f = fit.function(x)
    weight = 1 / f if fit.weight is None else fit.weight(x)

    def error(coefficients: Sequence[float]) -> float:
        terms = (c * x**k for c, k in zip(coefficients, fit.powers, strict=True))
        return float(np.max(np.abs(weight * (fit.base(x) + sum(terms) - f))))

    again = polynomial(x, f - fit.base(x), weight, fit.powers)
    assert error(fit.kept) <= 1.1 * error(again) + 1e-12
    assert error(fit.kept) <= fit.ulp * 2.0**-23


@pytest.mark.parametrize("mantissa", [8, 12, 15, 24])
def test_split_parts_add_up(mantissa: int) -> None:
    high, low = split(math.pi, mantissa)
    assert high * 2.0 ** (mantissa - 2) % 1 == 0
    assert abs(high + low - math.pi) <= abs(low) * 2.0**-24
