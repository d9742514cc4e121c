"""chainer.distributions: what their means, logarithms and entropies compute."""

from __future__ import annotations

import math

from webconv.frontends.chainer.functions.formula import Formula, where
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import scalar
from webconv.ir import ops
from webconv.ir.graph import Value


@function("ModifiedXLogX")
def x_log_x(call: Applied, x: Value) -> Value:
    """x * log(x), 0 for 0."""
    f = Formula(x)
    return where(f <= 0, f * 0, f * f.map(ops.Log())).value


@function("BernoulliLogProb")
def bernoulli_log_prob(call: Applied, logit: Value, x: Value) -> Value:
    """How likely x is, 0 or 1, by the logit of 1."""
    f, given = Formula(logit), Formula(x)
    y = f * (given - 1) - (-f).map(ops.Softplus())
    if not call.binary_check:
        return y.value
    whole = Formula(ops.Equal()((given * (given - 1)).value, scalar(0, x)))
    return where(whole, y, -math.inf).value


@function("LaplaceCDF")
def laplace_cdf(call: Applied, x: Value) -> Value:
    """The distribution's function."""
    f = Formula(x)
    tail = (-f.map(ops.Abs())).map(ops.Expm1())
    return (0.5 - f.map(ops.Sign()) * tail * 0.5).value


@function("LaplaceICDF")
def laplace_quantile(call: Applied, x: Value) -> Value:
    """Its inverse."""
    h = 1 - Formula(x) * 2
    return (h.map(ops.Sign()) * (-h.map(ops.Abs())).map(ops.Log1p())).value
