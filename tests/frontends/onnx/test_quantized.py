"""Quantised operators against onnxruntime, with random integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model, wanted
from webconv.frontends.onnx.convert import convert
from webconv.ir import ops
from webconv.ir.errors import UnsupportedError

Array = Any
f32 = np.float32
MICROSOFT = "com.microsoft"

EIGHT = pytest.mark.parametrize("dtype", [np.uint8, np.int8])


def whole(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> Array:
    """Random integers of the whole range."""
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(seed + sum(shape))
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> Array:
    """Random floats."""
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(f32)


def scales(*shape: int) -> Array:
    """Random scales."""
    return np.random.default_rng(5).uniform(0.001, 0.02, shape).astype(f32)


def check(operator: str, inputs: dict[str, Array | None], **options: Any) -> None:
    """Integers must be exactly onnxruntime's; all inputs but a, b, x are initialisers."""
    weights = [n for n, a in inputs.items() if n not in ("a", "x", "b") and a is not None]
    options.setdefault("weights", weights)
    agree(operator, inputs, **options)


def nearly(operator: str, inputs: dict[str, Array], **options: Any) -> None:
    """Integers may differ by one where the exact result lies halfway between two."""
    weights = [n for n in inputs if n not in ("a", "x", "b")]
    made = model(operator, inputs, weights, domain=MICROSOFT, **options)
    feeds = {n: a for n, a in inputs.items() if n not in weights}
    (want,) = wanted(made, feeds)
    program = convert(made, Path(), {}, {})
    for run in (program.run(feeds), run_program(program, feeds)):
        (got,) = run.values()
        difference = np.abs(np.asarray(got).astype(int) - want.astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("constant", [True, False])
def test_quantize(dtype: Any, constant: bool) -> None:
    x = normal(3, 4, 50, scale=40)
    for scale, zero in (
        (np.array(0.37, f32), np.array(7, dtype)),
        (scales(4) * 20, whole(4, dtype=dtype)),
    ):
        inputs = {"x": x, "s": scale, "z": zero}
        check("QuantizeLinear", inputs, **({} if constant else {"weights": []}))
        inputs["x"] = whole(3, 4, 50, dtype=dtype)
        check("DequantizeLinear", inputs, rtol=1e-6, **({} if constant else {"weights": []}))


def test_quantize_ties_and_ends() -> None:
    x = np.array([-1e9, -300, -2.5, -1.5, -0.5, -0.0, 0.5, 1.5, 2.5, 300, 1e9], f32)
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        for scale in (0.5, 1.0, 2.0, 0.1):
            check("QuantizeLinear", {"x": x, "s": f32(scale), "z": np.array(3, dtype)})


@pytest.mark.parametrize("block_size", [2, 3])
def test_quantize_blocks(block_size: int) -> None:
    blocks = -(-6 // block_size)
    inputs = {"x": normal(2, 6, 5, scale=9), "s": scales(2, blocks, 5) * 9}
    inputs["z"] = whole(2, blocks, 5, dtype=np.int8)
    check("QuantizeLinear", inputs, axis=1, block_size=block_size)
    inputs["x"] = whole(2, 6, 5, dtype=np.int8)
    check("DequantizeLinear", inputs, axis=-2, block_size=block_size)


def test_dequantize_half() -> None:
    x = whole(4, 6, dtype=np.int8)
    check("DequantizeLinear", {"x": x, "s": np.array(0.25, np.float16), "z": np.int8(3)})


def test_dequantized_weights_are_constants() -> None:
    made = model("DequantizeLinear", {"w": whole(4, 6, dtype=np.int8), "s": f32(0.1)}, ["w", "s"])
    program = convert(made, Path(), {}, {})
    assert next(iter(program.main.outputs.values())).constant is not None


def test_dynamic_quantize() -> None:
    for x in (normal(4, 30), np.abs(normal(4, 30)) + 1, -np.abs(normal(4, 30)), normal(2, 3) * 0):
        check("DynamicQuantizeLinear", {"x": x}, outputs=3)


@EIGHT
def test_integer_products(dtype: Any) -> None:
    b, zeros = whole(700, 24, dtype=dtype), whole(24, dtype=dtype, seed=1)
    zero = np.array(100, np.uint8)
    check("MatMulInteger", {"a": whole(6, 700), "w": b, "z": zero, "wz": zeros})
    check("MatMulInteger", {"a": whole(2, 6, 700), "b": b}, weights=[])
    scale = {"a": whole(6, 700), "s": f32(0.03), "z": zero, "w": b, "ws": f32(0.02)}
    rest = {"wz": np.array(3, dtype), "ys": f32(9.1), "yz": np.array(100, np.uint8)}
    check("QLinearMatMul", scale | rest)


@EIGHT
@pytest.mark.parametrize("group", [1, 2])
def test_integer_convolutions(dtype: Any, group: int) -> None:
    x, w = whole(2, 6, 9, 9), whole(8, 6 // group, 3, 3, dtype=dtype)
    window = {"group": group, "pads": [1, 1, 1, 1], "strides": [2, 2]}
    zero = np.array(10, np.uint8)
    check("ConvInteger", {"x": x, "w": w, "z": zero, "wz": np.array(3, dtype)}, **window)
    inputs = {"x": x, "s": f32(0.03), "z": zero, "w": w, "ws": scales(8)}
    inputs |= {"wz": np.zeros(8, dtype), "ys": f32(0.9), "yz": zero}
    inputs["bias"] = whole(8, dtype=np.int16).astype(np.int32)
    check("QLinearConv", inputs, **window)


def test_convolution_of_signed_integers() -> None:
    zero = np.array(10, np.int8)
    inputs = {"x": whole(2, 6, 9, dtype=np.int8), "s": f32(0.03), "z": zero}
    inputs |= {"w": whole(8, 6, 3, dtype=np.int8), "ws": f32(0.02), "wz": np.zeros((), np.int8)}
    check("QLinearConv", inputs | {"ys": f32(0.9), "yz": zero})


@EIGHT
def test_tables(dtype: Any) -> None:
    x, z = whole(3, 40, 50, dtype=dtype), np.array(5, dtype)
    inputs = {"x": x, "s": f32(0.07), "z": z, "ys": f32(1 / 256), "yz": np.array(3, dtype)}
    check("QLinearSigmoid", inputs, domain=MICROSOFT)
    inputs["ys"] = f32(0.05)
    check("QLinearLeakyRelu", inputs, domain=MICROSOFT, alpha=0.1)
    other = {"b": whole(3, 40, 9, dtype=dtype), "bs": f32(0.03), "bz": np.array(9, dtype)}
    joined = {"ys": f32(0.08), "yz": z, "x": x, "s": f32(0.07), "z": z} | other
    check("QLinearConcat", joined, domain=MICROSOFT, axis=2)


@EIGHT
def test_arithmetic(dtype: Any) -> None:
    inputs = {"a": whole(3, 40, 50, dtype=dtype), "s": f32(0.0713), "z": np.array(5, dtype)}
    inputs |= {"b": whole(50, dtype=dtype), "bs": f32(0.0331), "bz": np.array(9, dtype)}
    inputs |= {"ys": f32(0.0817), "yz": np.array(7, dtype)}
    nearly("QLinearAdd", inputs)
    nearly("QLinearMul", inputs)


@EIGHT
@pytest.mark.parametrize("channels_last", [0, 1])
def test_pooling(dtype: Any, channels_last: int) -> None:
    x = whole(2, 9, 9, 5, dtype=dtype) if channels_last else whole(2, 5, 9, 9, dtype=dtype)
    inputs = {"x": x, "s": f32(0.0713), "z": np.array(5, dtype)}
    inputs |= {"ys": f32(0.0311), "yz": np.array(9, dtype)}
    nearly("QLinearGlobalAveragePool", inputs, channels_last=channels_last)
    options = {"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "strides": [2, 1]}
    nearly("QLinearAveragePool", inputs, channels_last=channels_last, **options)


@EIGHT
@pytest.mark.parametrize("kind", [9, 13])
def test_softmax(dtype: Any, kind: int) -> None:
    inputs = {"x": whole(3, 4, 10, dtype=dtype), "s": f32(0.0713), "z": np.array(5, dtype)}
    inputs |= {"ys": f32(1 / 256), "yz": np.array(np.iinfo(dtype).min, dtype)}
    for axis in (1, -1):
        made = model("QLinearSoftmax", inputs, [*inputs][1:], domain=MICROSOFT, axis=axis)
        made.graph.node[0].attribute.append(onnx.helper.make_attribute("opset", kind))
        (want,) = wanted(made, {"x": inputs["x"]})
        program = convert(made, Path(), {}, {})
        for run in (program.run(inputs), run_program(program, inputs)):
            difference = np.abs(np.asarray(run["y0"]).astype(int) - want.astype(int))
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.02


@EIGHT
def test_products_to_floats(dtype: Any) -> None:
    w, zeros = whole(40, 24, dtype=dtype), whole(24, dtype=dtype, seed=1)
    options = {"domain": MICROSOFT, "rtol": 2e-6}
    inputs = {"a": normal(2, 6, 40), "w": w, "ws": scales(24), "wz": zeros, "bias": normal(24)}
    check("DynamicQuantizeMatMul", inputs, **options)
    inputs = {"a": whole(2, 6, 40), "w": w, "s": f32(0.03), "ws": scales(24)}
    inputs |= {"z": np.array(100, np.uint8), "wz": zeros, "bias": normal(24)}
    check("MatMulIntegerToFloat", inputs, atol=2e-5, **options)
    inputs = {"a": whole(6, 40), "s": f32(0.03), "z": np.array(100, np.uint8)}
    inputs |= {"w": np.ascontiguousarray(w.T), "ws": scales(24), "wz": np.full(24, 3, dtype)}
    inputs["c"] = whole(24, dtype=np.int16).astype(np.int32)
    check("QGemm", inputs, transB=1, alpha=1.5, domain=MICROSOFT, rtol=1e-5, atol=1e-4)
    inputs |= {"wz": np.array(3, dtype), "ws": f32(0.02)}
    inputs |= {"ys": f32(0.9), "yz": np.array(100, np.uint8)}
    check("QGemm", inputs, transB=1, domain=MICROSOFT)


@pytest.mark.parametrize(("bits", "block_size", "k"), [(4, 16, 40), (4, 32, 64), (8, 32, 64)])
def test_packed_weights(bits: int, block_size: int, k: int) -> None:
    n, blocks, packed = 24, -(-k // block_size), 8 // bits
    options = {"K": k, "N": n, "bits": bits, "block_size": block_size, "domain": MICROSOFT}
    inputs = {"a": normal(2, 6, k), "w": whole(n, blocks, block_size // packed)}
    inputs["s"] = scales(n * blocks)
    check("MatMulNBits", inputs, **options)
    zeros = whole(n * -(-blocks // packed), seed=3)
    check("MatMulNBits", inputs | {"z": zeros}, **options)
    check("MatMulNBits", inputs | {"z": None, "g": None, "bias": normal(n)}, **options)


def test_packed_weights_of_odd_bits() -> None:
    inputs = {"a": normal(2, 32), "w": whole(8, 1, 12), "s": scales(8)}
    made = model(
        "MatMulNBits", inputs, ["w", "s"], domain=MICROSOFT, K=32, N=8, bits=3, block_size=32
    )
    with pytest.raises(UnsupportedError, match="3 bits are not supported"):
        convert(made, Path(), {}, {})


def test_attention() -> None:
    inputs = {"x": whole(2, 5, 16), "w": whole(16, 48, dtype=np.int8), "b": normal(48)}
    inputs |= {"s": f32(0.02), "ws": scales(48), "m": np.array([3, 5], np.int32)}
    inputs |= {"z": np.array(120, np.uint8), "wz": np.zeros(48, np.int8)}
    names = [n for n in inputs if n != "x"]
    check("QAttention", inputs, weights=names, num_heads=4, domain=MICROSOFT, unidirectional=1)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_dynamic_lstm(direction: str) -> None:
    """Ours is at least as near to the model before quantisation as onnxruntime is."""
    d, inner, hidden = 1 + (direction == "bidirectional"), 12, 9
    x, b = normal(5, 3, inner, scale=3), normal(d, 8 * hidden, scale=0.2, seed=1)
    w, r = (normal(d, k, 4 * hidden, scale=0.4, seed=k) for k in (inner, hidden))
    steps = [np.abs(m).max((1, 2)).astype(f32) / f32(127) for m in (w, r)]
    whole_w, whole_r = (
        np.rint(m / s[:, None, None]).astype(np.int8) for m, s in zip((w, r), steps, strict=True)
    )
    options: Any = {"outputs": 3, "direction": direction, "hidden_size": hidden}
    inputs = {"x": x, "w": whole_w, "r": whole_r, "b": b}
    inputs |= dict.fromkeys(("lengths", "h", "c", "p"))
    for name, step in zip("wr", steps, strict=True):
        inputs |= {f"{name}s": step, f"{name}z": np.zeros(d, np.int8)}
    weights = [n for n, a in inputs.items() if n != "x" and a is not None]
    made = model("DynamicQuantizeLSTM", inputs, weights, domain=MICROSOFT, **options)
    turned = {n: np.ascontiguousarray(np.swapaxes(m, 1, 2)) for n, m in (("w", w), ("r", r))}
    plain = model("LSTM", {"x": x, **turned, "b": b}, ["w", "r", "b"], **options)
    exact, theirs = wanted(plain, {"x": x}), wanted(made, {"x": x})
    program = convert(made, Path(), {}, {})
    for run in (program.run({"x": x}), run_program(program, {"x": x})):
        for ours, other, want in zip(run.values(), theirs, exact, strict=True):
            assert np.abs(ours - want).mean() < np.abs(other - want).mean()


QDQ = """<ir_version: 10, opset_import: ["" : 13]>
g (float[n, 3, 8, 8] x) => (float[n, 4, 8, 8] y)
<int8[4, 3, 3, 3] w, float[4] ws = {0.01, 0.02, 0.015, 0.03}, int8[4] wz = {0, 0, 0, 0},
 float s = {0.021}, uint8 z = {128}, float t = {0.043}, uint8 u = {120},
 int32[4] b = {100, -2000, 0, 900}, float[4] bs = {0.00021, 0.00042, 0.000315, 0.00063}>
{
    a = QuantizeLinear(x, s, z)
    c = DequantizeLinear(a, s, z)
    f = DequantizeLinear<axis: int = 0>(w, ws, wz)
    d = DequantizeLinear<axis: int = 0>(b, bs)
    e = Conv<pads: ints = [1, 1, 1, 1]>(c, f, d)
    h = QuantizeLinear(e, t, u)
    y = DequantizeLinear(h, t, u)
}"""


def test_graph_of_an_exporter() -> None:
    """Fake quantisation around a convolution, weights and biases as integers."""
    made = onnx.parser.parse_model(QDQ)
    weights = whole(4, 3, 3, 3, dtype=np.int8)
    made.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    del made.graph.value_info[:]
    x = normal(2, 3, 8, 8)
    (want,) = wanted(made, {"x": x})
    program = convert(made, Path(), {}, {})
    kinds = [type(n.op) for n in program.main.nodes]
    assert kinds.count(ops.Quantize) == 2
    for run in (program.run({"x": x}), run_program(program, {"x": x})):
        difference = np.abs(run["y"] - want)
        # onnxruntime multiplies integers, which moves what lies halfway to the other step.
        assert difference.max() <= 0.043 * 1.001
        assert (difference > 1e-5).mean() < 0.005
