"""Activation functions by name, the layers that apply one, and `Activation` in a config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.reader import Dialect
from webconv.frontends.keras.schema import Config
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dtypes, ops
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis
from webconv.ir.ops import Unary

SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805  # Klambauer 2017


def relu(
    x: Value, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """x above the threshold, at most max_value; below it negative_slope * (x - threshold)."""
    if negative_slope and max_value is None and not threshold:
        return ops.LeakyRelu(negative_slope)(x)
    above = ops.ThresholdedRelu(threshold)(x) if threshold else x
    if max_value is not None:
        out = ops.Clip(0.0, max_value)(above)
    else:
        out = above if threshold else ops.Relu()(x)
    if negative_slope:
        below = ops.Relu()(ops.Sub()(scalar(threshold, x), x))
        out = ops.Sub()(out, ops.Mul()(scalar(negative_slope, x), below))
    return out


def softmax(x: Value, axis: int | tuple[int, ...] = -1) -> Value:
    """Softmax over one axis, or over several together."""
    return _over_axes(lambda v, a: ops.Softmax(a)(v), x, axis)


def _over_axes(
    function: Callable[[Value, int], Value], x: Value, axis: int | tuple[int, ...]
) -> Value:
    """`function` over several axes: as over one that they are flattened to."""
    axes = (axis,) if isinstance(axis, int) else axis
    if len(axes) == 1:
        return function(x, axes[0])
    rank = x.type.rank
    last = sorted(normalise_axis(a, rank) for a in axes)
    order = [a for a in range(rank) if a not in last] + last
    moved = common.transpose(x, order)
    flat = common.flatten(moved, rank - len(last))
    back = common.reshape(function(flat, -1), moved.shape)
    return common.transpose(back, np.argsort(order).tolist())


def log_softmax(x: Value, axis: int | tuple[int, ...] = -1) -> Value:
    """log(softmax(x))."""
    return _over_axes(lambda v, a: ops.LogSoftmax(a)(v), x, axis)


def mish(x: Value) -> Value:
    """x * tanh(softplus(x)) (Misra 2019)."""
    return ops.Mul()(x, ops.Tanh()(ops.Softplus()(x)))


def hard_silu(x: Value) -> Value:
    """x * relu6(x + 3) / 6 (Howard 2019)."""
    return ops.Mul()(x, ops.HardSigmoid(1 / 6, 0.5)(x))


def log_sigmoid(x: Value) -> Value:
    """-softplus(-x)."""
    return ops.Neg()(ops.Softplus()(ops.Neg()(x)))


def tanh_shrink(x: Value) -> Value:
    """x - tanh(x)."""
    return ops.Sub()(x, ops.Tanh()(x))


def hard_shrink(x: Value, threshold: float = 0.5) -> Value:
    """x where |x| > threshold, else 0."""
    keep = ops.Greater()(ops.Abs()(x), scalar(threshold, x))
    return ops.Where()(keep, x, scalar(0, x))


def soft_shrink(x: Value, threshold: float = 0.5) -> Value:
    """x moved towards 0 by threshold, and 0 within it."""
    return ops.Sub()(x, ops.Clip(-threshold, threshold)(x))


def threshold(x: Value, threshold: float = 0.0, default_value: float = 0.0) -> Value:
    """x where x > threshold, else default_value."""
    return ops.Where()(ops.Greater()(x, scalar(threshold, x)), x, scalar(default_value, x))


def squareplus(x: Value, b: float = 4.0) -> Value:
    """(x + sqrt(x^2 + b)) / 2 (Barron 2021)."""
    root = ops.Sqrt()(ops.Add()(ops.Mul()(x, x), scalar(b, x)))
    return ops.Affine(0.5)(ops.Add()(x, root))


def sparse_plus(x: Value) -> Value:
    """0 below -1, (x + 1)^2 / 4 up to 1, then x."""
    bend = ops.Affine(0.5, 0.5)(ops.Clip(-1.0, 1.0)(x))
    return ops.Add()(ops.Mul()(bend, bend), ops.Relu()(ops.Affine(1.0, -1.0)(x)))


def sparsemax(x: Value, axis: int = -1) -> Value:
    """The projection of x onto the simplex (Martins 2016), as Keras 3 has it.

    The paper subtracts (the sum of the k largest - 1) / k; Keras sums the running sums instead.
    """
    axis = normalise_axis(axis, x.type.rank)
    n = x.shape[axis]
    ordered, _ = ops.TopK(n, axis)(x)
    total = ops.CumSum(axis)(ordered)
    counts = ops.Affine(1.0, 1.0)(common.cast(ops.Iota(n)(), x.type.dtype))
    counts = common.reshape(counts, [-1, *[1] * (x.type.rank - 1 - axis)])
    inside = ops.Greater()(ops.Mul()(ordered, counts), ops.Affine(1.0, -1.0)(total))
    size = ops.ReduceSum((axis,), True)(common.cast(inside, x.type.dtype))
    kept = ops.ReduceSum((axis,), True)(ops.Where()(inside, total, scalar(0, x)))
    tau = ops.Div()(ops.Affine(1.0, -1.0)(kept), size)
    return ops.Relu()(ops.Sub()(x, tau))


def glu(x: Value, axis: int = -1) -> Value:
    """The first half times the sigmoid of the second (Dauphin 2016)."""
    half = x.shape[axis] // 2
    a, b = common.split(x, [half, x.shape[axis] - half], axis)
    return ops.Mul()(a, ops.Sigmoid()(b))


# Functions that are one operator, and may therefore be a gate of a fused recurrence.
UNARY: Mapping[str, Callable[..., Unary]] = {
    "linear": lambda: ops.Identity(),
    "relu6": lambda: ops.Clip(0.0, 6.0),
    "leaky_relu": lambda negative_slope=0.2: ops.LeakyRelu(negative_slope),
    "celu": lambda alpha=1.0: ops.Celu(alpha),
    "elu": lambda alpha=1.0: ops.Elu(alpha),
    "selu": lambda: ops.Elu(SELU_ALPHA, SELU_GAMMA),
    "softplus": lambda: ops.Softplus(),
    "softsign": lambda: ops.Softsign(),
    "silu": lambda: ops.Swish(),
    "gelu": lambda approximate=False: ops.Gelu(bool(approximate)),
    "tanh": lambda: ops.Tanh(),
    "sigmoid": lambda: ops.Sigmoid(),
    "sparse_sigmoid": lambda: ops.HardSigmoid(0.5, 0.5),
    "hard_sigmoid": lambda: ops.HardSigmoid(1 / 6, 0.5),
    "hard_sigmoid_1": lambda: ops.HardSigmoid(0.2, 0.5),  # as Keras 1 and 2 have it
    "hard_tanh": lambda: ops.Clip(-1.0, 1.0),
    "exponential": lambda: ops.Exp(),
}
COMPOSED: Mapping[str, Callable[..., Value]] = {
    "relu": relu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "mish": mish,
    "hard_silu": hard_silu,
    "log_sigmoid": log_sigmoid,
    "tanh_shrink": tanh_shrink,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "threshold": threshold,
    "squareplus": squareplus,
    "sparse_plus": sparse_plus,
    "sparsemax": sparsemax,
    "glu": glu,
}
ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "exp": "exponential", "identity": "linear"}
# Layers and operations that may stand where a function is asked for, by class.
CLASSES = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "Softmax": "softmax",
    "ThresholdedReLU": "threshold",
    "Mish": "mish",
}
NAMES = sorted({*UNARY, *COMPOSED, *ALIASES} - {"hard_sigmoid_1"})


@dataclass(frozen=True)
class Activation(Config):
    """An activation as a config names it; `apply` works once it is `resolved`."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def from_json(cls, value: object) -> Activation:
        """From a name, or from an object with `class_name` and `config`."""
        if value is None:
            return cls("linear")
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
            raise ValueError("the name of an activation")
        class_name, config = value["class_name"], value.get("config")
        if class_name == "function" and isinstance(config, str):
            return cls(config)
        if not isinstance(config, dict):
            return cls(class_name)
        kept = ("alpha", "negative_slope", "max_value", "threshold", "theta", "axis", "approximate")
        arguments = tuple((k, v) for k, v in config.items() if k in kept)
        named = config.get("activation", class_name)
        return cls(CLASSES.get(class_name) or str(named), arguments)

    def known_name(self, dialect: Dialect) -> str:
        """The name in our tables; raises UnsupportedError if it is in none."""
        name = ALIASES.get(self.name, self.name) if isinstance(self.name, str) else ""
        if name == "hard_sigmoid" and dialect.major < 3:
            name = "hard_sigmoid_1"
        if name not in UNARY and name not in COMPOSED:
            rule = f"activation {shown(self.name)} is not supported"
            raise UnsupportedError(f"{rule}; use one of {', '.join(NAMES)}")
        return name

    def operator(self, dialect: Dialect) -> Unary | None:
        """The one operator that it is, or None."""
        name = self.known_name(dialect)
        if name == "relu" and not self.arguments:
            return ops.Relu()
        return UNARY[name](**self._checked()) if name in UNARY else None

    def apply(self, layer: Layer, x: Value) -> Value:
        """The activation of `x`."""
        plugin = layer.plugin_function(self.name)
        if plugin:
            return plugin(layer, x)
        name = self.known_name(layer.dialect)
        return x if name == "linear" else by_name(name, x, self._checked())

    def _checked(self) -> dict[str, Any]:
        renamed = {"theta": "threshold"}
        out: dict[str, Any] = {}
        for key, value in self.arguments:
            number = isinstance(value, int | float) and value == value and abs(value) < 1e30
            if not (number or value is None):
                raise ModelFormatError(f"activation {self.name}: {key} must be a number")
            out[renamed.get(key, key)] = value
        return out


def by_name(name: str, x: Value, arguments: Mapping[str, Any]) -> Value:
    """The activation that our tables call `name`, of x."""
    function: Callable[..., Any] = COMPOSED.get(name) or UNARY[name]
    takes = inspect.signature(function).parameters
    if not arguments.keys() <= takes.keys():
        wrong = ", ".join(sorted(arguments.keys() - takes.keys()))
        raise ModelFormatError(f"activation {name} takes no {wrong}")
    return function(x, **arguments) if name in COMPOSED else function(**arguments)(x)


LINEAR = Activation("linear")


def activation(layer: Layer, x: Value, *, activation: Activation = LINEAR) -> Value:
    """Any activation."""
    return activation.apply(layer, x)


def relu_layer(
    layer: Layer,
    x: Value,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> Value:
    """ReLU with its three arguments."""
    return relu(x, negative_slope, max_value, threshold)


def leaky_relu(layer: Layer, x: Value, *, negative_slope: float = 0.3) -> Value:
    """x where x >= 0, else negative_slope * x."""
    return ops.LeakyRelu(negative_slope)(x)


def prelu(layer: Layer, x: Value, *, shared_axes: tuple[int, ...] | int | None = None) -> Value:
    """x where x > 0, else alpha * x, with a learnt alpha for each element."""
    alpha = layer.weight("alpha", *[None] * (x.type.rank - 1))
    return ops.Add()(ops.Relu()(x), ops.Mul()(alpha, ops.Min()(x, scalar(0, x))))


def elu(layer: Layer, x: Value, *, alpha: float = 1.0) -> Value:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return ops.Elu(alpha)(x)


def thresholded_relu(layer: Layer, x: Value, *, theta: float = 1.0) -> Value:
    """x where x > theta, else 0."""
    return ops.ThresholdedRelu(theta)(x)


def softmax_layer(
    layer: Layer, x: Value, *, axis: int | tuple[int, ...] = -1, mask: Value | None = None
) -> Value:
    """Softmax; masked elements count as if they were not there (Keras 2: almost)."""
    if mask is None:
        return softmax(x, axis)
    if layer.dialect.major < 3:
        hidden = common.cast(ops.Not()(mask), x.type.dtype)
        return softmax(ops.Add()(x, ops.Affine(lowest(x))(hidden)), axis)
    y = softmax(ops.Where()(mask, x, scalar(lowest(x), x)), axis)
    return ops.Where()(mask, y, scalar(0, x))


def lowest(x: Value) -> float:
    """The large negative number that Keras hides elements with before a softmax."""
    return -3e4 if x.type.dtype == dtypes.f16 else -1e9


RULES: Mapping[str, Rule] = {
    "Activation": Rule(activation, keeps_mask=True),
    "ReLU": Rule(relu_layer, keeps_mask=True),
    "LeakyReLU": Rule(leaky_relu, keeps_mask=True),
    "PReLU": Rule(prelu, "alpha", keeps_mask=True),
    "ELU": Rule(elu, keeps_mask=True),
    "ThresholdedReLU": Rule(thresholded_relu, keeps_mask=True),
    "Softmax": Rule(softmax_layer, keeps_mask=True),
}
