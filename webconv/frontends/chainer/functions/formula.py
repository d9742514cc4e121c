"""Arithmetic on Values as it is written: `Formula(x) * 2 + 1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.ir import graph, ops
from webconv.ir.graph import Value


class Formula:
    """A Value of floats with operators; numbers and arrays beside it take its dtype."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def _other(self, other: Any) -> Value:
        if isinstance(other, Formula):
            return other.value
        return graph.constant(np.asarray(other).astype(self.value.type.dtype.numpy))

    def _with(self, op: Any, other: Any, turned: bool = False) -> Formula:
        a, b = self.value, self._other(other)
        return Formula(op()(b, a) if turned else op()(a, b))

    def __add__(self, other: Any) -> Formula:
        return self._with(ops.Add, other)

    def __sub__(self, other: Any) -> Formula:
        return self._with(ops.Sub, other)

    def __mul__(self, other: Any) -> Formula:
        return self._with(ops.Mul, other)

    def __truediv__(self, other: Any) -> Formula:
        return self._with(ops.Div, other)

    def __pow__(self, other: Any) -> Formula:
        return self._with(ops.Pow, other)

    def __rsub__(self, other: Any) -> Formula:
        return self._with(ops.Sub, other, True)

    def __rtruediv__(self, other: Any) -> Formula:
        return self._with(ops.Div, other, True)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Formula:
        return self.map(ops.Neg())

    def __lt__(self, other: Any) -> Formula:
        return self._with(ops.Less, other)

    def __le__(self, other: Any) -> Formula:
        return self._with(ops.LessOrEqual, other)

    def __gt__(self, other: Any) -> Formula:
        return self._with(ops.Greater, other)

    def __ge__(self, other: Any) -> Formula:
        return self._with(ops.GreaterOrEqual, other)

    def __and__(self, other: Formula) -> Formula:
        return Formula(ops.And()(self.value, other.value))

    def map(self, op: Any) -> Formula:
        """An operator on it."""
        return Formula(op(self.value))

    def least(self, other: Any) -> Formula:
        """The smaller of both."""
        return self._with(ops.Min, other)

    def most(self, other: Any) -> Formula:
        """The larger of both."""
        return self._with(ops.Max, other)


def where(condition: Formula, a: Formula, b: Any) -> Formula:
    """`a` where the condition holds, else `b`."""
    return Formula(ops.Where()(condition.value, a.value, a._other(b)))


def polynomial(x: Formula, coefficients: Sequence[float]) -> Formula:
    """c0 + c1 x + c2 x^2 + ..., from the highest down."""
    total = x * 0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total
