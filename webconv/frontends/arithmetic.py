"""Formulas over Values: one text computes with NumPy arrays, and in the model with Values.

A formula takes `m`, what it calls functions of: NumPy itself, or this module for `Number`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webconv.frontends import common
from webconv.ir import dtypes, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value


@dataclass(frozen=True, eq=False)
class Number:
    """A Value in a formula; plain numbers take its dtype."""

    value: Value

    def _with(self, op: Any, other: Any) -> Number:
        y = other.value if isinstance(other, Number) else common.scalar(other, self.value)
        return Number(op(self.value, y))

    def _after(self, op: Any, other: float) -> Number:
        return Number(op(common.scalar(other, self.value), self.value))

    def __add__(self, other: Any) -> Number:
        return self._with(ops.Add(), other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Number:
        return self._with(ops.Sub(), other)

    def __rsub__(self, other: float) -> Number:
        return self._after(ops.Sub(), other)

    def __mul__(self, other: Any) -> Number:
        return self._with(ops.Mul(), other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Number:
        return self._with(ops.Div(), other)

    def __rtruediv__(self, other: float) -> Number:
        return self._after(ops.Div(), other)

    def __neg__(self) -> Number:
        return Number(ops.Neg()(self.value))

    def __lt__(self, other: Any) -> Number:
        return self._with(ops.Less(), other)

    def __le__(self, other: Any) -> Number:
        return self._with(ops.LessOrEqual(), other)

    def __gt__(self, other: Any) -> Number:
        return self._with(ops.Greater(), other)

    def __ge__(self, other: Any) -> Number:
        return self._with(ops.GreaterOrEqual(), other)

    def __and__(self, other: Number) -> Number:
        return self._with(ops.And(), other)

    def __or__(self, other: Number) -> Number:
        return self._with(ops.Or(), other)


def equal(x: Number, y: Any) -> Number:
    """x == y."""
    return x._with(ops.Equal(), y)


def floor(x: Number) -> Number:
    """Rounded down."""
    return Number(ops.Floor()(x.value))


def ceil(x: Number) -> Number:
    """Rounded up."""
    return Number(ops.Ceil()(x.value))


def abs(x: Number) -> Number:
    """The magnitude."""
    return Number(ops.Abs()(x.value))


def sqrt(x: Number) -> Number:
    """The square root."""
    return Number(ops.Sqrt()(x.value))


def maximum(x: Number, y: Any) -> Number:
    """The larger."""
    return x._with(ops.Max(), y)


def minimum(x: Number, y: Any) -> Number:
    """The smaller."""
    return x._with(ops.Min(), y)


def where(condition: Number, x: Any, y: Any) -> Number:
    """x where the condition holds, else y; at least one is no plain number."""
    like = (x if isinstance(x, Number) else y).value
    a, b = (v.value if isinstance(v, Number) else common.scalar(v, like) for v in (x, y))
    return Number(ops.Where()(condition.value, a, b))


def size(n: Dim) -> Number:
    """A size as an f32."""
    return Number(common.cast(common.size_value(n), dtypes.f32))


def iota(n: Dim) -> Number:
    """0, 1, ... n - 1 as f32."""
    return Number(common.cast(ops.Iota(n)(), dtypes.f32))
