"""What is written out as arithmetic is recognised; what only looks alike is left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.passes import rules
from tests.passes.programs import given, op_counts, program, weight
from tests.passes.rules import Fires, Stays
from webconv.backends.lower import lower
from webconv.frontends.common import scalar
from webconv.ir import dtypes, ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Value, constant
from webconv.passes import optimise
from webconv.passes import recognise_activations as a
from webconv.passes import recognise_normalisation as n

N = symbol("n")
x, other = given("x", N, 5, 8), given("other", N, 5, 8)
Add, Sub, Mul, Div, Pow = ops.Add(), ops.Sub(), ops.Mul(), ops.Div(), ops.Pow()
Erf, Tanh, Sigmoid, Sqrt = ops.Erf(), ops.Tanh(), ops.Sigmoid(), ops.Sqrt()


def c(number: float) -> Value:
    return scalar(number, x)


# -- activations ----------------------------------------------------------------------------------


def erf_gate(v: Value, divisor: float = math.sqrt(2)) -> Value:
    return Add(Erf(Div(v, c(divisor))), c(1))


def gelu_torch(v: Value, half: float = 0.5) -> Value:
    return Mul(Mul(v, erf_gate(v)), c(half))


def gelu_tf(v: Value) -> Value:
    gate = Add(Erf(Mul(v, c(math.sqrt(0.5)))), c(1))
    return Mul(Mul(v, c(0.5)), gate)


def gelu_gate_halved(v: Value) -> Value:
    return Mul(v, Mul(erf_gate(v), c(0.5)))


def tanh_gate(v: Value, cube: Value, weight: float = 0.044715) -> Value:
    inner = Mul(Add(v, Mul(cube, c(weight))), c(math.sqrt(2 / math.pi)))
    return Add(Tanh(inner), c(1))


def gelu_tanh_torch(v: Value) -> Value:
    return Mul(Mul(v, c(0.5)), tanh_gate(v, Pow(v, c(3))))


def gelu_tanh_factored(v: Value) -> Value:
    square = Mul(Mul(v, v), c(0.044715))
    inner = Mul(Mul(v, c(0.7978845608)), Add(square, c(1)))
    return Mul(Mul(v, Add(Tanh(inner), c(1))), c(0.5))


def hard_swish(v: Value, divisor: float = 6) -> Value:
    return Div(Mul(v, ops.Clip(0.0, 6.0)(Add(v, c(3)))), c(divisor))


mish = Mul(x, Tanh(ops.Softplus()(x)))
gate = Sigmoid(x)

ACTIVATIONS = [
    Fires(a.recognise_gelu, gelu_torch(x), "Gelu", exact=False),
    Fires(a.recognise_gelu, gelu_tf(x), "Gelu", exact=False),
    Fires(a.recognise_gelu, gelu_gate_halved(x), "Gelu", exact=False),
    Fires(a.recognise_gelu, gelu_torch(Add(x, other)), "Add Gelu", exact=False),
    Fires(a.recognise_gelu, gelu_tanh_torch(x), "Gelu", exact=False),
    Fires(a.recognise_gelu, gelu_tanh_factored(x), "Gelu", exact=False),
    Stays(a.recognise_gelu, gelu_torch(x, half=1.0)),
    Stays(a.recognise_gelu, gelu_torch(x, half=0.0)),
    Stays(a.recognise_gelu, Mul(Mul(x, erf_gate(other)), c(0.5))),
    Stays(a.recognise_gelu, Mul(Mul(x, erf_gate(x, 2.0)), c(0.5))),
    Stays(a.recognise_gelu, Mul(Mul(x, tanh_gate(x, Pow(x, c(3)), 0.05)), c(0.5))),
    Stays(a.recognise_gelu, Mul(Mul(x, tanh_gate(x, Pow(x, c(2)))), c(0.5))),
    Fires(a.recognise_swish, Mul(x, Sigmoid(x)), "Swish", exact=False),
    Fires(a.recognise_swish, Mul(Sigmoid(Mul(x, c(1.702))), x), "Swish", exact=False),
    Stays(a.recognise_swish, Mul(other, Sigmoid(x))),
    Stays(a.recognise_swish, Mul(x, Sigmoid(Add(x, c(1))))),
    Stays(a.recognise_swish, Mul(x, Sigmoid(Mul(x, weight(8))))),
    Fires(a.recognise_hard_swish, hard_swish(x), "HardSwish", exact=False),
    Fires(a.recognise_hard_swish, Mul(x, ops.HardSigmoid(1 / 6, 0.5)(x)), "HardSwish"),
    Stays(a.recognise_hard_swish, hard_swish(x, divisor=3)),
    Stays(a.recognise_hard_swish, Mul(x, ops.HardSigmoid(0.2, 0.5)(x))),
    Stays(a.recognise_hard_swish, Mul(other, ops.HardSigmoid(1 / 6, 0.5)(x))),
    Fires(a.recognise_mish, mish, "Mish", exact=False),
    Stays(a.recognise_mish, Mul(other, Tanh(ops.Softplus()(x)))),
]

# -- normalisations -------------------------------------------------------------------------------

gamma, beta = weight(8), weight(8, seed=1)


def mean(v: Value, axes: tuple[int, ...] = (-1,), keepdims: bool = True) -> Value:
    return ops.ReduceMean(axes, keepdims)(v)


def root(v: Value, axes: tuple[int, ...] = (-1,)) -> Value:
    return Sqrt(Add(mean(Mul(v, v), axes), c(1e-5)))


def layer_norm_torch(v: Value, axes: tuple[int, ...] = (-1,)) -> Value:
    centred = Sub(v, mean(v, axes))
    deviation = Sqrt(Add(mean(Pow(centred, c(2)), axes), c(1e-5)))
    return Add(Mul(Div(centred, deviation), gamma), beta)


def layer_norm_tf(v: Value) -> Value:
    average = mean(v)
    inverse = Mul(ops.Reciprocal()(root(Sub(v, average))), gamma)
    return Add(Mul(v, inverse), Sub(beta, Mul(average, inverse)))


def rms_norm_llama(v: Value) -> Value:
    return Mul(Mul(v, Div(c(1), Sqrt(Add(mean(Pow(v, c(2))), c(1e-6))))), gamma)


centred = Sub(x, mean(x))

NORMALISATIONS = [
    Fires(n.recognise_rms_norm, Div(x, root(x)), "Normalize", exact=False),
    Fires(n.recognise_rms_norm, rms_norm_llama(x), "Mul Normalize", exact=False),
    Fires(
        n.recognise_rms_norm,
        Mul(Pow(Add(mean(Mul(x, x)), c(1e-6)), c(-0.5)), x),
        "Normalize",
        exact=False,
    ),
    Fires(
        n.recognise_rms_norm,
        Mul(x, Mul(ops.Reciprocal()(root(x)), gamma)),
        "Mul Normalize",
        exact=False,
    ),
    Fires(n.recognise_rms_norm, Div(x, root(x, (1, 2))), "Normalize", exact=False),
    Stays(n.recognise_rms_norm, Div(other, root(x))),
    Stays(n.recognise_rms_norm, Div(x, Sqrt(mean(Mul(x, x))))),
    Stays(n.recognise_rms_norm, Div(x, Sqrt(Add(mean(Mul(x, other)), c(1e-5))))),
    Stays(n.recognise_rms_norm, Div(x, Sqrt(Add(mean(Mul(x, x)), weight(8))))),
    Stays(n.recognise_rms_norm, Mul(x, root(x))),
    Fires(
        n.recognise_layer_norm, ops.Normalize((-1,), 1e-3, False)(centred), "Normalize", exact=False
    ),
    Stays(n.recognise_layer_norm, ops.Normalize((1,), 1e-3, False)(centred)),
    Stays(n.recognise_layer_norm, ops.Normalize((-1,), 1e-3, False)(Sub(x, mean(other)))),
    Stays(n.recognise_layer_norm, ops.Normalize((-1,), 1e-3)(centred)),
    Fires(n.recognise_shifted_layer_norm, layer_norm_tf(x), "Add Mul Normalize", exact=False),
    Stays(n.recognise_shifted_layer_norm, layer_norm_torch(x)),
]


@pytest.mark.parametrize("case", [*ACTIVATIONS, *NORMALISATIONS], ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)


@pytest.mark.parametrize(
    "written",
    [
        layer_norm_torch,
        layer_norm_tf,
        rms_norm_llama,
        gelu_torch,
        gelu_tf,
        gelu_tanh_torch,
        gelu_tanh_factored,
        hard_swish,
    ],
)
def test_with_all_passes(written: Any) -> None:
    """Others rewrite the parts of a pattern on the way: it is still found."""
    before = program(written(x))
    after = optimise(before)
    assert set(op_counts(after)) <= {"Normalize", "Add", "Mul", "Gelu", "HardSwish", "Affine"}
    feeds = rules.feeds(before, 3)
    np.testing.assert_allclose(after.run(feeds)["y0"], before.run(feeds)["y0"], 1e-6, 1e-6)


def kernels(value: Value) -> int:
    return len(lower(optimise(program(value))).steps)


def test_written_out_costs_what_the_operators_cost() -> None:
    norm = Add(Mul(ops.Normalize((-1,), 1e-5)(x), gamma), beta)
    assert kernels(layer_norm_torch(x)) == kernels(layer_norm_tf(x)) == kernels(norm)
    projected = ops.MatMul()(x, weight(8, 8))
    for written in (gelu_torch, gelu_tanh_torch, hard_swish):
        assert kernels(written(projected)) == 1


def test_half_precision_constants() -> None:
    h = given("h", N, 8, dtype=dtypes.f16)

    def half(number: float) -> Value:
        return constant(np.float16(number))

    written = Mul(Mul(h, Add(Erf(Div(h, half(math.sqrt(2)))), half(1))), half(0.5))
    assert op_counts(optimise(program(written))) == {"Gelu": 1}
