"""Normalisations that are written out as means, squares and roots become one operator."""

from __future__ import annotations

from typing import NamedTuple

from webconv.ir import ops
from webconv.ir.graph import Node, Value
from webconv.passes.driver import Rule, Uses
from webconv.passes.recognise_activations import scalar

Axes = tuple[int, ...]


class Scale(NamedTuple):
    """1 / sqrt(mean(x^2) + epsilon) over axes, which are kept."""

    x: Value
    axes: Axes
    epsilon: float


def mean_of(value: Value | None) -> tuple[Value, Axes] | None:
    """What `value` is the mean of, and over which axes; they must be kept."""
    match value:
        case Value(Node(ops.ReduceMean(keepdims=True) as op, [Value() as x])):
            return x, op.normal_axes(x.type.rank)
    return None


def _squared(value: Value) -> Value | None:
    match value.node:
        case Node(ops.Mul(), [Value() as x, y]) if x is y:
            return x
        case Node(ops.Pow(), [Value() as x, n]) if scalar(n) == 2:
            return x
    return None


def _deviation(value: Value | None) -> Scale | None:
    """sqrt(mean(x^2) + epsilon)"""
    match value:
        case Value(Node(ops.Sqrt(), [Value() as inner])):
            return _mean_square(inner)
        case Value(Node(ops.Pow(), [Value() as inner, n])) if scalar(n) == 0.5:
            return _mean_square(inner)
    return None


def _mean_square(value: Value) -> Scale | None:
    match value.node:
        case Node(ops.Add(), [Value() as mean, e]):
            epsilon, found = scalar(e), mean_of(mean)
            x = None if found is None else _squared(found[0])
            if epsilon is not None and found is not None and x is not None:
                return Scale(x, found[1], epsilon)
    return None


def _inverse(value: Value | None) -> Scale | None:
    """1 / sqrt(mean(x^2) + epsilon)"""
    match value:
        case Value(Node(ops.Reciprocal(), [root])):
            return _deviation(root)
        case Value(Node(ops.Div(), [one, root])) if scalar(one) == 1:
            return _deviation(root)
        case Value(Node(ops.Pow(), [Value() as inner, n])) if scalar(n) == -0.5:
            return _mean_square(inner)
    return None


def _gamma(value: Value) -> tuple[Scale, Value | None] | None:
    """A scale alone or times something else."""
    if (scale := _inverse(value)) is not None:
        return scale, None
    match value.node:
        case Node(ops.Mul(), [Value() as a, Value() as b]):
            for one, other in ((a, b), (b, a)):
                if (scale := _inverse(one)) is not None:
                    return scale, other
    return None


def recognise_rms_norm(node: Node, uses: Uses) -> Value | None:
    """x / sqrt(mean(x * x) + e) -> normalize(x) without centring"""
    y: Value | None = None
    match node:
        case Node(ops.Div(), [Value() as x, root]):
            scale = _deviation(root)
            if scale is not None and scale.x is x:
                y = ops.Normalize(scale.axes, scale.epsilon, False)(x)
        case Node(ops.Mul(), [Value() as a, Value() as b]):
            for x, factor in ((a, b), (b, a)):
                found = _gamma(factor)
                if found is not None and found[0].x is x:
                    y = ops.Normalize(found[0].axes, found[0].epsilon, False)(x)
                    y = y if found[1] is None else ops.Mul()(y, found[1])
                    break
    return y if y is not None and y.type == node.outputs[0].type else None


def recognise_layer_norm(node: Node, uses: Uses) -> Value | None:
    """normalize(x - mean(x)) without centring -> normalize(x)"""
    match node:
        case Node(
            ops.Normalize(axes, epsilon, center=False),
            [Value(Node(ops.Sub(), [Value() as x, mean]))],
        ):
            axes = tuple(sorted(a % x.type.rank for a in axes))
            return ops.Normalize(axes, epsilon)(x) if mean_of(mean) == (x, axes) else None
    return None


def recognise_shifted_layer_norm(node: Node, uses: Uses) -> Value | None:
    """x * s + (b - mean(x) * s) -> normalize(x) * gamma + b, for s = gamma / deviation"""
    match node:
        case Node(
            ops.Add(),
            [
                Value(Node(ops.Mul(), [Value() as x, Value() as s])),
                Value(Node(ops.Sub(), [Value() as b, Value(Node(ops.Mul(), [mean, t]))])),
            ],
        ):
            pass
        case _:
            return None
    for y in (
        _shifted(x_, s_, mean_, t_, b)
        for x_, s_ in ((x, s), (s, x))
        for mean_, t_ in ((mean, t), (t, mean))
    ):
        if y is not None and y.type == node.outputs[0].type:
            return y
    return None


def _shifted(x: Value, s: Value, mean: Value | None, t: Value | None, b: Value) -> Value | None:
    """normalize(x) * gamma + b, if s and t are gamma / deviation and `mean` is the mean of x."""
    found = _gamma(s)
    if s is not t or found is None:
        return None
    scale, gamma = found
    if mean_of(mean) != (x, scale.axes) or not _is_centred(scale.x, x, mean):
        return None
    y = ops.Normalize(scale.axes, scale.epsilon)(x)
    y = y if gamma is None else ops.Mul()(y, gamma)
    return ops.Add()(y, b)


def _is_centred(value: Value, x: Value, mean: Value | None) -> bool:
    """True for x - mean, in either order: it is squared."""
    match value.node:
        case Node(ops.Sub(), [a, b]):
            return (a is x and b is mean) or (a is mean and b is x)
    return False


RECOGNISE_NORMALISATION: tuple[Rule, ...] = (
    recognise_rms_norm,
    recognise_layer_norm,
    recognise_shifted_layer_norm,
)
