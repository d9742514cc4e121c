"""The pass rule, both ways."""

from __future__ import annotations

import numpy as np
import pytest

from webconv.ir.dtypes import DTYPES
from webconv.verify.compare import (
    DEFAULT,
    Expected,
    OutputResult,
    compare,
    own_slack,
    tolerance,
)

inf, nan = float("inf"), float("nan")


def check(
    got: object, want: object, dtype: str = "f32", slack: float = 0.0, kind: type = np.float32
) -> OutputResult:
    expected = Expected("y", np.array(want, kind), slack)
    t = DTYPES[dtype]
    return compare(np.array(got, t.numpy), t, expected, tolerance(t))


@pytest.mark.parametrize(
    ("got", "want"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0001], [1.0]),
        ([9e-6], [0.0]),
        ([inf, -inf, nan], [inf, -inf, nan]),
        ([], []),
        (5.0, 5.0),
    ],
)
def test_equal_floats_pass(got: object, want: object) -> None:
    assert check(got, want).ok


@pytest.mark.parametrize(
    ("got", "want"),
    [
        ([1.0002], [1.0]),
        ([2e-5], [0.0]),
        ([inf], [1.0]),
        ([1.0], [inf]),
        ([-inf], [inf]),
        ([nan], [1.0]),
        ([1.0], [nan]),
        ([nan], [inf]),
        ([inf], [nan]),
        ([3.4e38], [inf]),
        ([1.0], [[1.0]]),
        ([1.0, 1.0], [1.0]),
    ],
)
def test_unequal_floats_fail(got: object, want: object) -> None:
    result = check(got, want)
    assert not result.ok
    assert result.reason


def test_what_f32_cannot_hold_is_expected_as_infinity() -> None:
    assert check([inf, -inf], [1e300, -1e300], kind=np.float64).ok
    assert not check([3.4028235e38], [1e300], kind=np.float64).ok


def test_half_floats_have_a_tolerance_of_their_own() -> None:
    assert check([1.002], [1.0], "f16").ok
    assert not check([1.01], [1.0], "f16").ok
    assert not check([1.002], [1.0], "f32").ok


def test_integers_and_booleans_are_exact() -> None:
    assert check([1, 2], [1, 2], "i32", kind=np.int64).ok
    result = check([1, 2], [1, 3], "i32", kind=np.int64)
    assert not result.ok
    assert result.max_abs_err == 1
    assert check([True], [True], "bool", kind=np.bool_).ok
    assert not check([True], [False], "bool", kind=np.bool_).ok
    big = 2**53
    assert not check([big], [big + 1], "i64", kind=np.int64).ok


def test_kinds_of_dtypes_must_be_equal() -> None:
    for dtype, kind in (
        ("i32", np.float32),
        ("f32", np.int32),
        ("bool", np.int32),
        ("i32", np.bool_),
    ):
        result = check([1], [1], dtype, kind=kind)
        assert not result.ok
        assert "the dtype is" in result.reason


def test_slack_is_counted() -> None:
    result = check([1.0, 5e-5, 2e-5], [1.0, 0.0, 0.0], slack=1e-4)
    assert result.ok
    assert result.needed_slack == 2
    assert not check([1.0, 2e-4], [1.0, 0.0], slack=1e-4).ok


def test_slack_is_twice_the_error_of_numpy_with_a_limit() -> None:
    wide = np.array([100.0, 1.0, np.inf])
    assert own_slack(np.array([100.0, 1.00001, np.inf], np.float32), wide) == pytest.approx(
        2e-5, rel=0.1
    )
    assert own_slack(np.array([150.0, 1.0, np.inf], np.float32), wide) == pytest.approx(0.1)
    assert own_slack(np.array([1]), np.array([2])) == 0
    assert own_slack(np.array([np.nan], np.float32), np.array([np.nan])) == 0


def test_figures() -> None:
    result = check([1.0, 2.0, 0.0], [1.0, 4.0, 0.0])
    assert (result.max_abs_err, result.max_rel_err) == (2.0, 0.5)
    assert check([nan], [1.0]).max_abs_err is None
    assert check([nan, 1.0], [nan, 1.0]).max_abs_err == 0
    assert check([], []).max_abs_err == 0


def test_given_tolerances_replace_the_defaults() -> None:
    t = DTYPES["f32"]
    assert tolerance(t) == DEFAULT
    assert tolerance(t, 1.0) == type(DEFAULT)(1.0, DEFAULT.relative)
    assert tolerance(t, None, 0.5) == type(DEFAULT)(DEFAULT.absolute, 0.5)
