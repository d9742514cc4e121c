"""chainer.functions.activation."""

from __future__ import annotations

import math

from webconv.frontends import common
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.common import scalar
from webconv.ir import ops
from webconv.ir.graph import Value


@function("Sigmoid")
def sigmoid(call: Applied, x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return ops.Sigmoid()(x)


@function("Tanh")
def tanh(call: Applied, x: Value) -> Value:
    """Hyperbolic tangent."""
    return ops.Tanh()(x)


@function("ReLU")
def relu(call: Applied, x: Value) -> Value:
    """max(x, 0)."""
    return ops.Relu()(x)


@function("ClippedReLU")
def clipped_relu(call: Applied, x: Value) -> Value:
    """x limited to [0, z]; relu6 is one."""
    return ops.Clip(0.0, float(call.cap))(x)


@function("CReLU")
def crelu(call: Applied, x: Value) -> Value:
    """relu(x) and relu(-x), joined along an axis."""
    return ops.Concat(call.axis)(ops.Relu()(x), ops.Relu()(ops.Neg()(x)))


@function("ELU")
def elu(call: Applied, x: Value) -> Value:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return ops.Elu(float(call.alpha))(x)


@function("HardSigmoid")
def hard_sigmoid(call: Applied, x: Value) -> Value:
    """0.2 * x + 0.5, limited to [0, 1]."""
    return ops.HardSigmoid(0.2, 0.5)(x)


@function("LeakyReLU")
def leaky_relu(call: Applied, x: Value) -> Value:
    """x where x >= 0, else slope * x."""
    return ops.LeakyRelu(float(call.slope))(x)


@function("RReLU")
def rrelu(call: Applied, x: Value) -> Value:
    """A leaky ReLU; when not training, its slope is the mean of the bounds."""
    return ops.LeakyRelu((call.lower + call.upper) / 2)(x)


def extended(w: Value, x: Value) -> Value:
    """`w` with axes added before and after, so that its first axis meets axis 1 of x."""
    return common.reshape(w, (1, *w.shape, *[1] * (x.type.rank - w.type.rank - 1)))


@function("PReLUFunction")
def prelu(call: Applied, x: Value, w: Value) -> Value:
    """x where x >= 0, else w * x."""
    positive = ops.GreaterOrEqual()(x, scalar(0, x))
    return ops.Where()(positive, x, ops.Mul()(x, extended(w, x)))


@function("Swish")
def swish(call: Applied, x: Value, beta: Value) -> Value:
    """x * sigmoid(beta * x)."""
    return ops.Mul()(x, ops.Sigmoid()(ops.Mul()(extended(beta, x), x)))


@function("Softmax")
def softmax(call: Applied, x: Value) -> Value:
    """Softmax along an axis, by default the second."""
    return ops.Softmax(call.axis)(x)


@function("LogSoftmax")
def log_softmax(call: Applied, x: Value) -> Value:
    """Its logarithm."""
    return ops.LogSoftmax(call.axis)(x)


@function("Softplus")
def softplus(call: Applied, x: Value) -> Value:
    """log(1 + exp(beta * x)) / beta."""
    beta = float(call.beta)
    if math.isclose(beta, 1.0):
        return ops.Softplus()(x)
    return ops.Mul()(ops.Softplus()(ops.Mul()(x, scalar(beta, x))), scalar(1 / beta, x))
