"""Elementwise operators, beside onnxruntime: dtypes, broadcasting, the limits of attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.onnx.convert import convert
from webconv.ir import dtypes, graph, ops
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.op import TensorType

Array = Any
X = np.array([[-3.5, -1, -0.4, -0.0, 0.0, 0.5], [0.6, 1, 1.5, 2.5, 4, 30]], np.float32)
RNG = np.random.default_rng(3)

UNARY: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("Abs", "Ceil", "Erf", "Exp", "Floor", "Neg", "Reciprocal", "Relu")),
    *((name, {}) for name in ("Round", "Sigmoid", "Sign", "Softplus", "Softsign", "Tanh", "Atan")),
    *((name, {}) for name in ("Asinh", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Mish", "HardSwish")),
    ("IsNaN", {}),
    ("IsInf", {"detect_negative": 0}),
    ("Elu", {"alpha": 2.5}),
    ("Celu", {"alpha": 0.5}),
    ("Selu", {"alpha": 1.5, "gamma": 0.75}),
    ("LeakyRelu", {"alpha": 0.3}),
    ("ThresholdedRelu", {"alpha": 0.55}),
    ("HardSigmoid", {"alpha": 0.25, "beta": 0.4}),
    ("Shrink", {"lambd": 0.55, "bias": 0.25}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
]


@pytest.mark.parametrize(("name", "attributes"), UNARY)
def test_of_one_input(name: str, attributes: dict[str, Any]) -> None:
    agree(name, {"x": X}, shapes={"x": ["n", "m"]}, atol=2e-6, **attributes)


INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def ends(dtype: str) -> Array:
    """The ends of an integer dtype and what lies around 0."""
    d = np.iinfo(dtype)
    return np.array([d.min, d.min + 1, d.max, d.max // 2 + 1, 0, 1, 7, 100], dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_by_numpy(dtype: str) -> None:
    """onnxruntime has these for few dtypes, and traps on what wraps here."""
    x = ends(dtype)
    a, b = (v.ravel() for v in np.meshgrid(x, x))
    with np.errstate(all="ignore"):
        for name, function in {
            "Add": np.add,
            "Sub": np.subtract,
            "Mul": np.multiply,
            "Max": np.maximum,
            "Min": np.minimum,
            "BitwiseAnd": np.bitwise_and,
            "BitwiseOr": np.bitwise_or,
            "BitwiseXor": np.bitwise_xor,
            "Equal": np.equal,
            "Less": np.less,
            "LessOrEqual": np.less_equal,
            "Greater": np.greater,
            "GreaterOrEqual": np.greater_equal,
        }.items():
            assert_wasm(name, {"a": a, "b": b}, function(a, b))
        some = b != 0
        a, b = a[some], b[some]
        signs = np.where((a < 0) != (b < 0), -1, 1)
        size = np.abs(a.astype(object)) // np.abs(b.astype(object)) * signs
        width = 1 << np.iinfo(dtype).bits
        low = int(np.iinfo(dtype).min)
        assert_wasm("Div", {"a": a, "b": b}, ((size - low) % width + low).astype(dtype))
        assert_wasm("Mod", {"a": a, "b": b}, np.mod(a, b))
        assert_wasm("Mod", {"a": a, "b": b}, np.fmod(a, b), fmod=1)
        assert_wasm("BitwiseNot", {"a": a}, np.invert(a))
        assert_wasm("Abs", {"a": a}, np.abs(a))
        assert_wasm("Sign", {"a": a}, np.sign(a))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_shifts_are_those_of_numpy(dtype: str, direction: str) -> None:
    """Past the width and, of signed dtypes, by less than 0 too."""
    x = ends(dtype)
    amounts = np.array([0, 1, 7, 8, 31, 32, 63, 64, 100], dtype)
    if dtype[0] == "i":
        amounts = np.append(amounts, np.array([-1, -9, np.iinfo(dtype).min], dtype))
    a, b = (v.ravel() for v in np.meshgrid(x, amounts))
    function = np.left_shift if direction == "LEFT" else np.right_shift
    assert_wasm("BitShift", {"a": a, "b": b}, function(a, b), direction=direction, opset=28)


def assert_wasm(name: str, inputs: dict[str, Array], want: Array, **options: Any) -> None:
    """The reference and the kernels give exactly `want`."""
    program = convert(model(name, inputs, **options), Path(), {}, {})
    for got in (program.run(inputs)["y0"], run_program(program, inputs)["y0"]):
        assert got.dtype == want.dtype or got.dtype == np.float64
        np.testing.assert_array_equal(got, want, f"{name} {want.dtype}")


@pytest.mark.parametrize("source", [*INTEGERS, "float16", "float32", "float64", "bool"])
def test_casts_are_those_of_numpy(source: str) -> None:
    """Of floats, those that an integer of 32 bits can hold: the others are not defined."""
    floats = np.array([0, -0.0, 1.75, -1.75, 300.5, 65504, 1e-7, -2], "f8")
    x = floats if source[0] == "f" else ends(source) if source != "bool" else [False, True]
    x = np.asarray(x).astype(source)
    code = {np.dtype(v): k for k, v in CODES.items()}
    for target in (*INTEGERS, "float16", "float32", "bool"):
        some = x
        if target.startswith("uint") and source[0] == "f":
            some = x[x >= 0]
        with np.errstate(all="ignore"):
            want = some.astype(np.float32 if source == "float64" else source).astype(target)
        to = int(code[np.dtype(target)])
        got = run_program(convert(model("Cast", {"x": some}, to=to), Path(), {}, {}), {"x": some})
        assert got["y0"].dtype == want.dtype
        np.testing.assert_array_equal(got["y0"], want, f"{source} to {target}")


CODES: dict[int, Any] = {
    TensorProto.FLOAT16: np.float16,
    TensorProto.FLOAT: np.float32,
    TensorProto.BOOL: np.bool_,
    **{getattr(TensorProto, name.upper()): np.dtype(name) for name in INTEGERS},
}


def test_halves_are_rounded_to_nearest_even() -> None:
    bits = np.arange(0x7C00, dtype=np.uint16)[::37]
    x = bits.view(np.float16).astype(np.float32)
    between = (x[:-1] + x[1:]) / 2
    odd = np.nextafter(between, np.float32(np.inf))
    values = np.concatenate([x, between, odd, -x, [65519, 65520, 1e6, np.inf, -np.inf, np.nan]])
    values = values.astype(np.float32)
    with np.errstate(all="ignore"):
        want = values.astype(np.float16)
    program = convert(model("Cast", {"x": values}, to=int(TensorProto.FLOAT16)), Path(), {}, {})
    np.testing.assert_array_equal(run_program(program, {"x": values})["y0"], want)


@pytest.mark.parametrize(
    ("base", "exponent"),
    [("float32", "int64"), ("float32", "float64"), ("int32", "float32"), ("int64", "int32"),
     ("int32", "int64"), ("float32", "int32")],
)  # fmt: skip
def test_powers_of_unlike_dtypes(base: str, exponent: str) -> None:
    x, y = np.array([1, 2, 3, 4, 5], base), np.array([0, 1, 2, 3, 4], exponent)
    agree("Pow", {"x": x, "y": y}, rtol=1e-6)


@pytest.mark.parametrize("name", ["Max", "Min", "Sum", "Mean"])
def test_any_number_of_inputs(name: str) -> None:
    arrays = [RNG.normal(size=s).astype(np.float32) for s in ((2, 1, 4), (3, 1), (4,), ())]
    agree(name, dict(zip("abcd", arrays, strict=True)))
    agree(name, {"a": arrays[0]})


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_of_floats(fmod: int) -> None:
    x, y = RNG.normal(size=(2, 40)).astype(np.float32) * 9
    want = np.fmod(x, y) if fmod else np.mod(x, y)
    if fmod:
        agree("Mod", {"x": x, "y": y}, fmod=1)
    else:  # onnxruntime refuses it
        program = convert(model("Mod", {"x": x, "y": y}), Path(), {}, {})
        np.testing.assert_allclose(run_program(program, {"x": x, "y": y})["y0"], want, 1e-5)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "int32", "int64", "uint8", "uint64"]
)
@pytest.mark.parametrize("weights", [("low", "high"), ()])
def test_clip(dtype: str, weights: tuple[str, ...]) -> None:
    x = X[0].astype(dtype) if dtype[0] == "f" else ends(dtype)
    low, high = np.array(1, dtype), np.array(50, dtype)
    agree("Clip", {"x": x, "low": low, "high": high}, weights, opset=13)
    agree("Clip", {"x": x, "low": low}, weights[:1], opset=13)
    agree("Clip", {"x": x, "low": None, "high": high}, weights[1:], opset=13)


def test_clip_of_infinite_limits_changes_nothing() -> None:
    x = np.array([-np.inf, -1, 2, np.inf], np.float32)
    low, high = np.array(-np.inf, np.float32), np.array(np.inf, np.float32)
    agree("Clip", {"x": x, "low": low, "high": high}, ("low", "high"))
    agree("Clip", {"x": x}, opset=7)
    agree("Clip", {"x": x}, opset=7, min=-0.5, max=1.0)


@pytest.mark.parametrize("shape", [(6,), (2, 1), (1,)])
def test_prelu_broadcasts(shape: tuple[int, ...]) -> None:
    agree("PRelu", {"x": X, "slope": RNG.normal(size=shape).astype(np.float32)})


def test_shrink_of_integers() -> None:
    x = np.arange(-4, 5, dtype=np.int32)
    agree("Shrink", {"x": x}, lambd=1.5, bias=1.0)


def test_bits_of_another_dtype() -> None:
    x = np.array([0, 1.5, -2, np.inf, 1e-40], np.float32)
    for array, target in (
        (x, np.int32),
        (x, np.uint32),
        (x.view(np.uint32), np.float32),
        (x[:4].astype(np.float16), np.uint16),
        (np.arange(0, 0x7C00, 99).astype(np.uint16), np.float16),
        (np.array([-1, 127, -128], np.int8), np.uint8),
        (np.array([-1, 5], np.int64), np.uint64),
    ):
        code = next(k for k, v in CODES.items() if np.dtype(v) == np.dtype(target))
        assert_wasm("BitCast", {"x": array}, array.view(target), to=int(code), opset=26)
    with pytest.raises(ShapeError, match="f64 has no bits of its own"):
        convert(model("BitCast", {"x": np.zeros(3)}, to=7, opset=26), Path(), {}, {})


@pytest.mark.parametrize(("opset", "dtype"), [(7, np.float32), (10, bool), (13, bool)])
def test_dropout_gives_a_mask_of_ones(opset: int, dtype: Any) -> None:
    program = convert(model("Dropout", {"x": X}, opset=opset, outputs=2), Path(), {}, {})
    got = run_program(program, {"x": X})
    np.testing.assert_array_equal(got["y0"], X)
    np.testing.assert_array_equal(got["y1"], np.ones(X.shape, dtype))
    assert got["y1"].dtype == dtype


def test_dropout_in_training_is_refused() -> None:
    inputs = {"x": X, "ratio": np.float32(0.5), "mode": np.array(True)}
    made = model("Dropout", inputs, ("ratio", "mode"))
    with pytest.raises(UnsupportedError, match="export the model for inference"):
        convert(made, Path(), {}, {})


def test_angles_are_of_floats() -> None:
    x = graph.input("x", TensorType(dtypes.i32, (3,)))
    with pytest.raises(ShapeError, match="must be floating-point, but they are i32"):
        ops.Atan2()(x, x)
