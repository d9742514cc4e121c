"""Where Resize reads and how much each element weighs: the operator's formulas.

They are written once, for NumPy arrays (sizes that are known become tables) and for Values in the
model: `m` is NumPy or `webconv.frontends.arithmetic`. `x` is the output's index, `n` the
input's size, and `length` the output's, which is not whole where a scale gives no whole size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from webconv.ir.errors import UnsupportedError
from webconv.ir.op import Array


class Sampling(NamedTuple):
    """The attributes of Resize that say how an axis is sampled."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation: float = 0.0

    @property
    def reach(self) -> int:
        """How far the filter reaches to both sides."""
        return 1 if self.mode == "linear" else 2


class Measures(NamedTuple):
    """An axis: its sizes before and after, the scale, and the region of tf_crop_and_resize."""

    n: Any
    size: Any
    length: Any
    scale: Any
    roi: tuple[Any, Any] = (0.0, 1.0)


class Table(NamedTuple):
    """For each output: input indices and weights [size, taps], and whether it is inside."""

    indices: Array
    weights: Array
    inside: Array


Formula = Callable[[Any, Any, Measures], Any]


def _step(m: Any, s: Measures) -> Any:
    """The distance of outputs if the first and the last meet those of the input."""
    one = m.equal(s.length, 1)
    return (s.n - 1) / m.where(one, 1, s.length - 1)


def _crop(m: Any, x: Any, s: Measures) -> Any:
    first, last = s.roi
    middle = (s.n - 1) * (first + last) * 0.5
    across = (s.n - 1) * first + x * _step(m, s) * (last - first)
    return m.where(m.equal(s.length, 1), x * 0 + middle, across)


def _half_pixel(m: Any, x: Any, s: Measures) -> Any:
    return (x + 0.5) / s.scale - 0.5


def _symmetric(m: Any, x: Any, s: Measures) -> Any:
    return s.n * 0.5 * (1 - s.size / s.length) + (x + 0.5) / s.scale - 0.5


COORDINATES: dict[str, Formula] = {
    "align_corners": lambda m, x, s: m.where(m.equal(s.length, 1), x * 0, x * _step(m, s)),
    "asymmetric": lambda m, x, s: x / s.scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda m, x, s: m.where(s.size > 1, _half_pixel(m, x, s), x * 0),
    "tf_crop_and_resize": _crop,
    "tf_half_pixel_for_nn": lambda m, x, s: (x + 0.5) / s.scale,
}

NEAREST: dict[str, Callable[[Any, Any], Any]] = {
    "round_prefer_floor": lambda m, x: m.ceil(x - 0.5),
    "round_prefer_ceil": lambda m, x: m.floor(x + 0.5),
    "floor": lambda m, x: m.floor(x),
    "ceil": lambda m, x: m.ceil(x),
}


def require_known(how: Sampling) -> None:
    """Raise UnsupportedError for a mode that does not exist."""
    for value, known in (
        (how.mode, ("nearest", "linear", "cubic")),
        (how.coordinates, tuple(COORDINATES)),
        (how.nearest, tuple(NEAREST)),
    ):
        if value not in known:
            raise UnsupportedError(f"mode {value!r} is not supported; use one of {list(known)}")


def weight(m: Any, how: Sampling, distance: Any) -> Any:
    """The filter: a triangle, or Keys' cubic convolution (IEEE ASSP 29, 1981)."""
    d = m.abs(distance)
    if how.mode == "linear":
        return m.maximum(1 - d, 0)
    a = how.cubic_a
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return m.where(d <= 1, near, m.where(d < 2, far, 0))


def table(how: Sampling, s: Measures) -> Table:
    """The table of an axis of known sizes."""
    # At ties the last bit decides the nearest element, and other runtimes compute in f32.
    size = s.size
    kind = np.float32 if how.mode == "nearest" else np.float64
    s = s._replace(size=kind(s.size), length=kind(s.length), scale=kind(np.float32(s.scale)))
    x = COORDINATES[how.coordinates](np, np.arange(size, dtype=kind), s)
    inside = np.ones(size, bool)
    if how.coordinates == "tf_crop_and_resize":
        inside = (x >= 0) & (x <= s.n - 1)
    if how.mode == "nearest":
        taps = NEAREST[how.nearest](np, x)[:, None]
        weights = np.ones(taps.shape)
    else:
        taps, weights = _filtered(how, s, x)
    indices = np.clip(taps, 0, max(s.n - 1, 0)).astype(np.int32)
    return Table(indices, weights.astype(np.float32), inside)


def _filtered(how: Sampling, s: Measures, x: Array) -> tuple[Array, Array]:
    """Taps around each position; antialiasing widens the filter by what is shrunk."""
    shrink = min(s.scale, 1.0) if how.antialias else 1.0
    first = int(np.floor(-how.reach / shrink)) + 1
    taps = np.floor(x)[:, None] + np.arange(first, 2 - first)
    weights = weight(np, how, (taps - x[:, None]) * shrink)
    if how.exclude_outside:
        weights = np.where((taps >= 0) & (taps < s.n), weights, 0)
    if how.exclude_outside or how.antialias:
        weights = weights / weights.sum(1, keepdims=True)
    return taps, weights
