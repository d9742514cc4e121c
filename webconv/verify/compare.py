"""The pass rule: when an output counts as equal to what was expected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from webconv.ir.dtypes import DType, from_numpy
from webconv.ir.op import Array


@dataclass(frozen=True)
class Tolerance:
    """`|got - want| <= absolute + relative * |want|`."""

    absolute: float
    relative: float


DEFAULT = Tolerance(1e-5, 1e-4)
HALF = Tolerance(1e-3, 2e-3)

# Of a reference of our own: how far the absolute tolerance may grow, relative to the largest value.
MOST_SLACK = 1e-3


def tolerance(
    dtype: DType, absolute: float | None = None, relative: float | None = None
) -> Tolerance:
    """The default for `dtype`, with the parts that are given."""
    default = HALF if dtype.name == "f16" else DEFAULT
    return Tolerance(
        default.absolute if absolute is None else absolute,
        default.relative if relative is None else relative,
    )


@dataclass(frozen=True)
class Expected:
    """What an output should be; `slack` is what NumPy's own rounding adds to the tolerance."""

    name: str
    array: Array
    slack: float = 0.0


@dataclass(frozen=True)
class OutputResult:
    """How an output compares. `needed_slack` counts the elements that passed only by slack."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    max_abs_err: float | None
    max_rel_err: float | None
    needed_slack: int
    ok: bool
    reason: str = ""

    def merged(self, later: OutputResult) -> OutputResult:
        """The worse of two runs."""
        return replace(
            later,
            max_abs_err=_worse(self.max_abs_err, later.max_abs_err),
            max_rel_err=_worse(self.max_rel_err, later.max_rel_err),
            needed_slack=self.needed_slack + later.needed_slack,
            ok=self.ok and later.ok,
            reason=self.reason or later.reason,
        )


def _worse(a: float | None, b: float | None) -> float | None:
    return max((x for x in (a, b) if x is not None), default=None)


def own_slack(want32: Array, want64: Array) -> float:
    """What a NumPy reference in f64 adds to the absolute tolerance: twice NumPy's own f32 error."""
    both = np.isfinite(want32) & np.isfinite(want64)
    if want64.dtype.kind != "f" or not both.any():
        return 0.0
    error = np.abs(want32[both].astype(np.float64) - want64[both]).max()
    return float(min(2 * error, MOST_SLACK * np.abs(want64[both]).max()))


def compare(got: Array, dtype: DType, want: Expected, allowed: Tolerance) -> OutputResult:
    """Whether `got`, an output of `dtype`, is what was wanted by the pass rule."""

    def result(ok: bool, reason: str = "", **found: Any) -> OutputResult:
        figures = {"max_abs_err": None, "max_rel_err": None, "needed_slack": 0} | found
        return OutputResult(want.name, got.shape, dtype.name, ok=ok, reason=reason, **figures)

    if got.shape != want.array.shape:
        return result(False, f"the shape is {list(got.shape)}, not {list(want.array.shape)}")
    wanted = from_numpy(want.array.dtype)
    if (wanted.kind == "f") != dtype.is_float or (wanted.kind == "b") != (dtype.kind == "b"):
        return result(False, f"the dtype is {dtype}, not {wanted}")
    if not dtype.is_float:
        return _exact(got, want.array, result)
    return _close(got, want, allowed, result)


def _exact(got: Array, want: Array, result: Any) -> OutputResult:
    wrong = got != want
    if not wrong.any():
        return result(True, max_abs_err=0.0, max_rel_err=0.0)
    error = np.abs(got.astype(np.float64) - want.astype(np.float64)).max()
    reason = f"{int(wrong.sum())} of {wrong.size} elements differ"
    return result(False, reason, max_abs_err=float(error))


def _close(got: Array, want: Expected, allowed: Tolerance, result: Any) -> OutputResult:
    # What is too large for f32 is expected as the infinity that it becomes there.
    with np.errstate(over="ignore"):
        infinite = np.isinf(want.array.astype(np.float32))
    expected, actual = want.array.astype(np.float64), got.astype(np.float64)
    special = infinite | np.isnan(expected) | ~np.isfinite(actual)
    signs = np.where(infinite, np.sign(expected), 0)
    same = np.isnan(expected) & np.isnan(actual) | infinite & np.isinf(actual) & (
        np.sign(actual) == signs
    )
    error = np.abs(np.where(special, 0, actual) - np.where(special, 0, expected))
    size = np.abs(np.where(special, 0, expected))
    bare = error <= allowed.absolute + allowed.relative * size
    slack = error <= allowed.absolute + want.slack + allowed.relative * size
    ok = np.where(special, same, slack)
    reason = "" if ok.all() else f"{int((~ok).sum())} of {ok.size} elements differ"
    unequal = special & ~same
    relative = error[size > 0] / size[size > 0]
    return result(
        bool(ok.all()),
        reason,
        max_abs_err=None if unequal.any() else float(error.max(initial=0.0)),
        max_rel_err=None if unequal.any() else float(relative.max(initial=0.0)),
        needed_slack=int((ok & ~bare & ~special).sum()),
    )
