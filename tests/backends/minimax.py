"""Minimax fits on a grid, by which the coefficients in `webconv.backends.functions` were found.

Lawson's algorithm (1961): least squares, reweighted by the error until the error levels out. A
rational fit linearises p/q with the q before (Sanathanan and Koerner, 1963).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.ir.op import Array


def polynomial(x: Array, target: Array, weight: Array, powers: Sequence[int]) -> list[float]:
    """f32 coefficients c of sum(c x**power) with the least max |weight * error|.

    They are rounded one after the other, lowest power first, and what is left is fitted again.
    """
    basis = np.stack([x**p for p in powers], axis=1)
    found: list[float] = []
    rest = target
    for i in range(len(powers)):
        c = float(np.float32(_lawson(basis[:, i:], rest, weight)[0]))
        found.append(c)
        rest = rest - c * basis[:, i]
    return found


def rational(
    y: Array, target: Array, weight: Array, degrees: tuple[int, int]
) -> tuple[list[float], list[float]]:
    """f32 coefficients of p and q, q(0) = 1, with the least max |weight * (target - p(y)/q(y))|."""
    top = np.stack([y**k for k in range(degrees[0] + 1)], axis=1)
    bottom = np.stack([y**k for k in range(1, degrees[1] + 1)], axis=1)
    basis = np.concatenate([top, -target[:, None] * bottom], axis=1)
    q = np.ones_like(y)
    lawson = np.ones_like(y)
    best, least = np.zeros(basis.shape[1]), np.inf
    for _ in range(300):
        c = _least_squares(basis, target, np.sqrt(lawson) * weight / q)
        q = 1 + bottom @ c[top.shape[1] :]
        error = np.abs(weight * (target - top @ c[: top.shape[1]] / q))
        if error.max() < least:
            best, least = c, error.max()
        lawson = _reweight(lawson, error)
    p, q = best[: top.shape[1]], np.concatenate([[1.0], best[top.shape[1] :]])
    return [float(np.float32(v)) for v in p], [float(np.float32(v)) for v in q]


def _lawson(basis: Array, target: Array, weight: Array) -> Array:
    lawson = np.ones_like(target)
    best, least = np.zeros(basis.shape[1]), np.inf
    for _ in range(100):
        c = _least_squares(basis, target, np.sqrt(lawson) * weight)
        error = np.abs(weight * (target - basis @ c))
        if error.max() < least:
            best, least = c, error.max()
        lawson = _reweight(lawson, error)
    return best


def _reweight(lawson: Array, error: Array) -> Array:
    new = lawson * (error + 1e-3 * error.max())
    return np.asarray(new / new.mean())


def _least_squares(basis: Array, target: Array, weight: Array) -> Array:
    rows = basis * weight[:, None]
    scale = np.abs(rows).max(axis=0)
    return np.asarray(np.linalg.lstsq(rows / scale, target * weight, rcond=None)[0] / scale)
