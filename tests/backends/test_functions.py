"""Error bounds of our mathematics, over all exponents and densely where it matters.

Every function runs as plain IEEE arithmetic with and without fused `fma`, and hostile, as the
WGSL specification allows. References are NumPy and SciPy in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special

from webconv.backends.arithmetic import Arithmetic, Hostile
from webconv.backends.expr import Call, Const, Var, walk
from webconv.backends.functions import (
    FUNCTIONS,
    apply,
)
from webconv.backends.interpret import evaluate_expr
from webconv.ir.errors import GraphError
from webconv.ir.op import Array
from webconv.ir.ops import elementwise

Reference = Callable[..., Any]
TINY = 2.0**-126
EDGES = np.array(
    [0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.5, 1e-45, -1e-45, TINY, -TINY, 1e-20, 16777216,
     3.4028235e38, -3.4028235e38, np.inf, -np.inf, np.nan],
    np.float32,
)  # fmt: skip


def every_exponent(mantissas: int) -> Array:
    """Numbers of every sign and exponent, zeros, infinities and NaN among them."""
    random = np.random.default_rng(0)
    low = random.integers(0, 2**23, (512, mantissas), np.uint32)
    low[:, 0] = 0
    return (
        np.asarray((np.arange(512, dtype=np.uint32)[:, None] << 23) + low).view(np.float32).ravel()
    )


def arithmetics() -> list[Any]:
    """What functions run under."""
    return [
        pytest.param(Arithmetic(), id="plain"),
        pytest.param(Arithmetic(fused=True), id="fused"),
        pytest.param(Hostile(np.random.default_rng(1)), id="hostile"),
    ]


@dataclass(frozen=True)
class Row:
    """`ulp` bounds the error of IEEE arithmetic, `hostile` that of any other.

    `floor(x, result)` is an absolute error that both may make. Numbers are dense in each of
    `ranges`; `domain` limits all.
    """

    name: str
    reference: Reference
    ulp: float
    hostile: float
    ranges: Sequence[tuple[float, float]]
    domain: tuple[float, float] = (-math.inf, math.inf)
    floor: Reference = lambda x, result: 0.0


def wave(x: Array, result: Array) -> Array:
    """What is left of the angle x, near zeros."""
    return 2.0**-53 * np.abs(x)


def pole(x: Array, result: Array) -> Array:
    """The same for the tangent, whose slope is 1 + result**2."""
    return wave(x, result) * (1 + result**2)


def gaussian(x: Array) -> Array:
    """x * Phi(x)."""
    return np.asarray(x * scipy.special.ndtr(x))


def gaussian_tanh(x: Array) -> Array:
    """Its approximation."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(x * scipy.special.expit(2 * u))


def tail(x: Array, result: Array) -> Array:
    """What is lost where an activation vanishes."""
    return np.where(x > -1, 0, 1e-7)


ANGLES = (-1e6, 1e6)
# Products of x: what infinity gives is up to the target.
FINITE = (-1e30, 1e30)

ROWS = [
    Row("exp", np.exp, 1.2, 2.5, [(-1, 1), (-90, 90), (88.7, 88.75)]),
    Row("expm1", np.expm1, 2, 5, [(-1, 1), (-20, 90), (88.7, 88.75)]),
    Row("sigmoid", scipy.special.expit, 2.5, 8, [(-1, 1), (-20, 20), (-90, 90)]),
    Row("tanh", np.tanh, 2.75, 10, [(-1, 1), (-10, 10), (8.9, 9.1)]),
    Row("log", np.log, 1, 2, [(0.5, 2), (0, 1000)]),
    Row("log1p", np.log1p, 1.75, 3, [(-1, 1), (-0.3, 0.5), (0, 1000)]),
    Row("softplus", lambda x: np.logaddexp(x, 0), 2, 4, [(-1, 1), (-90, 90)]),
    Row("erf", scipy.special.erf, 3, 8, [(-0.1, 0.1), (-1, 1), (-4.1, 4.1)]),
    Row("sin", np.sin, 4, 8, [(-1, 1), (-10, 10), (-1e6, 1e6)], ANGLES, wave),
    Row("cos", np.cos, 4, 8, [(-1, 1), (-10, 10), (-1e6, 1e6)], ANGLES, wave),
    Row("tan", np.tan, 5.5, 13, [(-1, 1), (-10, 10), (-1e6, 1e6)], ANGLES, pole),
    Row("gelu", gaussian, 3.5, 10, [(-1, 10), (-10, 0)], FINITE, tail),
    Row("gelu_tanh", gaussian_tanh, 3.5, 10, [(-1, 10), (-10, 0)], FINITE, tail),
    Row("softsign", lambda x: np.sign(x) / (1 / np.abs(x) + 1), 1.5, 6, [(-1, 1), (-10, 10)]),
    Row("asin", np.arcsin, 2.5, 8, [(-1, 1), (0.49, 0.51), (0.99, 1)]),
    Row("acos", np.arccos, 1.5, 7, [(-1, 1), (0.49, 0.51), (0.99, 1)]),
    Row("atan", np.arctan, 1.5, 6, [(-1, 1), (-10, 10)]),
    Row("sinh", np.sinh, 2, 6, [(-1.1, 1.1), (-90, 90), (89.4, 89.45)]),
    Row("cosh", np.cosh, 2, 4, [(-1, 1), (-90, 90), (89.4, 89.45)]),
    Row("asinh", np.arcsinh, 2, 6, [(-1, 1), (-10, 10), (16000, 17000)]),
    Row("acosh", np.arccosh, 2.5, 7, [(1, 1.1), (1, 10), (16000, 17000)]),
    Row("atanh", np.arctanh, 2.5, 9, [(-0.1, 0.1), (-1, 1), (0.99, 1)]),
]


def run(name: str, *args: Array, under: Arithmetic | None = None) -> Array:
    """The value of a function."""
    f = FUNCTIONS[name]
    names = [p.name for p in f.parameters]
    return evaluate_expr(f.body, dict(zip(names, args, strict=True)), under)


def compare(got: Array, want: Array, ulp: float, floor: Array | float, inputs: str) -> None:
    """Raises unless NaN and infinities are where they belong and the error is within bounds."""
    with np.errstate(all="ignore"):
        rounded = want.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want), inputs)
        edge = np.isinf(rounded) | np.isinf(got)
        # At the end of the range a result may still be finite, or not any more.
        at_end = np.abs(want) > 3.4028e38
        wrong = edge & (got != rounded) & ~(at_end & np.isfinite(want))
        assert not wrong.any(), (inputs, got[wrong][:5], rounded[wrong][:5])
        spacing = np.spacing(np.minimum(np.abs(rounded), np.float32(3.4e38))).astype(np.float64)
        error = np.where(edge | np.isnan(want), 0, np.abs(got.astype(np.float64) - want) - floor)
    # Results below 2**-126 may be 0.
    error = np.where(np.abs(want) < TINY, error - TINY, error)
    excess = np.nan_to_num(error / spacing)
    worst = int(np.argmax(excess))
    assert excess[worst] <= ulp, f"{inputs}: {excess[worst]} ulp, {got[worst]} for {want[worst]}"


def samples(row: Row, dense: int) -> Array:
    """Numbers of every exponent, dense ranges and edges."""
    ranges = [np.linspace(a, b, dense).astype(np.float32) for a, b in row.ranges]
    x = np.concatenate([every_exponent(40), *ranges, EDGES])
    return x[~((x < row.domain[0]) | (x > row.domain[1]))]


@pytest.mark.parametrize("under", arithmetics())
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_error_is_bounded(row: Row, under: Arithmetic) -> None:
    x = samples(row, 20000 if isinstance(under, Hostile) else 50000)
    ulp: float = row.ulp
    floor: Any = 0.0
    if isinstance(under, Hostile):
        # NaN may become anything, and what is denormal on the way 0.
        x = x[~np.isnan(x) & ((np.abs(x) >= TINY) | (x == 0))]
        ulp, floor = row.hostile, 4 * TINY
    with np.errstate(all="ignore"):
        want = row.reference(x.astype(np.float64))
        floor = floor + np.nan_to_num(row.floor(x.astype(np.float64), want))
    compare(run(row.name, x, under=under), want, ulp, floor, row.name)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_stay_within_one_for_any_angle(name: str) -> None:
    x = every_exponent(100)
    got = run(name, x)
    assert np.nanmax(np.abs(got)) <= 1
    np.testing.assert_array_equal(np.isnan(got), ~np.isfinite(x))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("name", "lowest"), [("tanh", -1), ("erf", -1), ("sigmoid", 0)])
def test_saturating_functions_stay_in_their_range(name: str, lowest: int, fused: bool) -> None:
    x = np.concatenate([np.linspace(0, 25, 300001), [30, 1e10, np.inf]]).astype(np.float32)
    high = run(name, x, under=Arithmetic(fused=fused))
    low = run(name, -x, under=Arithmetic(fused=fused))
    assert high.max() == 1
    assert (high[-3:] == 1).all()
    assert low.min() == lowest
    assert (low[-2:] == lowest).all()


# (name, reference, ulp, hostile, (range of x, range of y)).
PAIRS: list[tuple[str, Reference, float, float, Sequence[tuple[float, float]]]] = [
    ("pow", np.power, 2, 4, [(0, 3), (-30, 30)]),
    ("pow", np.power, 2, 4, [(0.99, 1.01), (-9000, 9000)]),
    ("pow", np.power, 2, 4, [(0, 3e38), (-1.1, 1.1)]),
    ("pow", np.power, 2, 4, [(0, 1e-40), (-1.1, 1.1)]),
    ("pow", np.power, 7, 20, [(1.40, 1.42), (-250, 250)]),
    ("atan2", np.arctan2, 2, 7, [(-2, 2), (-2, 2)]),
    ("atan2", np.arctan2, 2, 7, [(-1e-30, 1e-30), (-1e-31, 1e-31)]),
    ("atan2", np.arctan2, 2, 7, [(-1e38, 1e38), (-3e38, 3e38)]),
]


@pytest.mark.parametrize("under", arithmetics())
@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case[0])
def test_error_of_pairs_is_bounded(case: Any, under: Arithmetic) -> None:
    name, reference, ulp, hostile, ranges = case
    random = np.random.default_rng(2)
    x, y = (random.uniform(a, b, 50000).astype(np.float32) for a, b in ranges)
    if isinstance(under, Hostile):
        normal = (np.abs(x) >= TINY) & (np.abs(y) >= TINY)
        x, y, ulp = x[normal], y[normal], hostile
        if not x.size:
            return
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64), y.astype(np.float64))
    compare(run(name, x, y, under=under), want, ulp, 0.0, name)


@pytest.mark.parametrize("name", ["pow", "atan2", "fmod", "mod", "max_nan", "min_nan"])
def test_edges_of_pairs_are_those_of_numpy(name: str) -> None:
    reference: dict[str, Reference] = {
        "pow": np.power, "atan2": np.arctan2, "fmod": np.fmod, "mod": np.mod,
        "max_nan": np.maximum, "min_nan": np.minimum,
    }  # fmt: skip
    finite = EDGES[(np.abs(EDGES) < 1e30) & (np.abs(EDGES) > 1e-9) | (EDGES == 0)]
    edges = finite if name in ("fmod", "mod") else EDGES
    edges = np.concatenate([edges, np.array([np.inf, -np.inf, np.nan], np.float32)])
    x, y = (a.ravel() for a in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        want = reference[name](x.astype(np.float64), y.astype(np.float64))
        got = run(name, x, y)
        compare(got, want, 3 if name == "pow" else 2, 2.0**-126, name)
        signed = (np.abs(want) > TINY) | ((want == 0) & (name in ("pow", "atan2")))
        np.testing.assert_array_equal(np.signbit(got)[signed], np.signbit(want)[signed])


@pytest.mark.parametrize("under", arithmetics())
@pytest.mark.parametrize("name", ["fmod", "mod"])
def test_remainders_are_exact(name: str, under: Arithmetic) -> None:
    random = np.random.default_rng(3)
    y = np.exp(random.uniform(-30, 30, 20000)).astype(np.float32)
    y *= random.choice(np.array([-1, 1], np.float32), y.shape)
    x = (y * -np.exp(random.uniform(-5, 28, y.shape))).astype(np.float32)
    x[::2] *= -1
    want = {"fmod": np.fmod, "mod": np.mod}[name](x, y)
    got = run(name, x, y, under=under)
    ulp = 1 if isinstance(under, Hostile) and name == "mod" else 0
    assert (np.abs(got - want) <= ulp * np.spacing(np.abs(want))).all()


@pytest.mark.parametrize("under", arithmetics())
def test_round_f16_is_the_cast_of_numpy(under: Arithmetic) -> None:
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (halves[1:] + halves[:-1]) / 2
    near = [np.nextafter(middle, np.float32(to)) for to in (np.inf, -np.inf)]
    ends = np.array([65504, 65519.996, 65520, 65536, 1e38, np.inf, np.nan], np.float32)
    x = np.concatenate([halves, middle, *near, ends, every_exponent(30)])
    x = np.concatenate([x, -x])
    with np.errstate(over="ignore"):
        want = x.astype(np.float16).astype(np.float32)
    got = run("round_f16", x, under=under)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("under", arithmetics())
def test_nan_and_infinity_are_known_by_their_bits(under: Arithmetic) -> None:
    x = np.concatenate([every_exponent(20), EDGES])
    np.testing.assert_array_equal(run("is_nan", x, under=under), np.isnan(x))
    np.testing.assert_array_equal(run("is_inf", x, under=under), np.isinf(x))
    y = np.roll(x, 1)
    nan = np.isnan(x) | np.isnan(y)
    np.testing.assert_array_equal(np.isnan(run("max_nan", x, y, under=under)), nan)
    np.testing.assert_array_equal(np.isnan(run("min_nan", x, y, under=under)), nan)


def test_sign_of_floats() -> None:
    np.testing.assert_array_equal(run("sign_f32", EDGES), np.sign(EDGES))


INTEGERS = {
    "safe_div": "Div", "safe_mod": "Mod", "safe_rem": "Fmod", "ipow": "Pow",
    "safe_shl": "ShiftLeft", "safe_shr": "ShiftRight",
}  # fmt: skip
NUMPY = {"i32": np.int32, "u32": np.uint32, "i64": np.int64, "u64": np.uint64}


@pytest.mark.parametrize("kind", NUMPY)
@pytest.mark.parametrize("name", INTEGERS)
def test_integer_edges_are_those_of_the_reference(name: str, kind: str) -> None:
    limits = np.iinfo(NUMPY[kind])
    random = np.random.default_rng(4)
    some = random.integers(limits.min, limits.max, 30, NUMPY[kind], endpoint=True)
    small = np.arange(0 if kind[0] == "u" else -70, 70).astype(NUMPY[kind])
    edges = np.array([limits.min, limits.min + 1, limits.max, limits.max - 1], NUMPY[kind])
    values = np.concatenate([some, small, edges])
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = elementwise.ELEMENTWISE[INTEGERS[name]]().eval(x, y)[0]
    got = run(f"{name}_{kind}", x, y)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", NUMPY)
def test_sign_of_integers(kind: str) -> None:
    x = np.array([0, 1, 5, np.iinfo(NUMPY[kind]).max, np.iinfo(NUMPY[kind]).min], NUMPY[kind])
    np.testing.assert_array_equal(run(f"sign_{kind}", x), np.sign(x))


@pytest.mark.parametrize("under", arithmetics())
@pytest.mark.parametrize("kind", NUMPY)
def test_floats_saturate_to_integers(kind: str, under: Arithmetic) -> None:
    limits = np.iinfo(NUMPY[kind])
    x = np.concatenate([every_exponent(20), EDGES, np.linspace(-10, 10, 41, dtype=np.float32)])
    want = [
        0 if math.isnan(v) else limits.min if v <= limits.min
        else limits.max if v >= limits.max else int(v)
        for v in x.tolist()
    ]  # fmt: skip
    np.testing.assert_array_equal(
        run(f"saturate_{kind}", x, under=under), np.array(want, NUMPY[kind])
    )


@pytest.mark.parametrize("to", [np.int8, np.int16, np.uint8, np.uint16])
def test_narrow_integers_wrap(to: Any) -> None:
    x = np.concatenate([np.arange(-70000, 70000, 7), [2**31 - 1, -(2**31)]]).astype(np.int32)
    name = np.dtype(to).kind + str(np.dtype(to).itemsize * 8)
    np.testing.assert_array_equal(run(f"wrap_{name}", x), x.astype(to))


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=lambda f: f.name)
def test_bodies_are_elementwise_and_hold_no_literal_that_is_not_finite(f: Any) -> None:
    assert f.doc
    for e in walk(f.body):
        assert isinstance(e, Call | Const | Var)
        if isinstance(e, Const) and e.type == "f32":
            assert math.isfinite(e.value)
            assert float(np.float32(e.value)) == e.value
        if isinstance(e, Call) and e.function == "from_bits":
            assert not isinstance(e.args[0], Const)
        if isinstance(e, Call) and e.function in ("shl", "shr") and not f.name.startswith("safe"):
            assert isinstance(e.args[1], Const)
    assert f.body.free == {p.name for p in f.parameters}


def test_apply_finds_the_function_of_its_arguments() -> None:
    i, x = Var("i", "i32"), Var("x", "f32")
    assert apply("ipow", i, 3) == Call("ipow_i32", (i, Const(3, "i32")), "i32")
    assert apply("pow", 2, x) == Call("pow", (Const(2.0, "f32"), x), "f32")
    assert apply("is_nan", x).type == "bool"
    with pytest.raises(GraphError, match="no function exp2 of f32"):
        apply("exp2", x)
    with pytest.raises(GraphError, match="exp: x must be f32, but it is i32"):
        apply("exp", i)
