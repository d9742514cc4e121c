"""WGSL as text: golden files, and what a compiler of WGSL would refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from webconv.backends import webgpu
from webconv.backends.compiled import gather_weights
from webconv.backends.functions import FUNCTIONS
from webconv.backends.linearise import For, Let, Literal, Ref
from webconv.backends.lower import lower
from webconv.backends.webgpu.support import comment, print_function
from webconv.backends.webgpu.text import literal
from webconv.backends.webgpu.wgsl import Printer
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import f32
from webconv.ir.graph import Graph, Program, Value, constant
from webconv.ir.op import TensorType
from webconv.verify.browser import Browser

GOLDEN = Path(__file__).parent / "golden"
BATCH = symbol("batch")


def ramp(*shape: int) -> Value:
    """A constant."""
    n = int(np.prod(shape))
    return constant((np.arange(n) / n).astype(np.float32).reshape(shape))


def recurrent() -> Program:
    x = graph.input("x", TensorType(f32, (5, BATCH, 3)))
    h = ops.LSTM()(x, ramp(1, 3, 4, 64), ramp(1, 64, 4, 64), ramp(1, 4, 64), name="lstm")[1]
    z = ops.MatMul()(ops.Reshape((BATCH, 64))(h), ramp(64, 6), name="dense")
    return Program({"main": Graph({"x": x}, {"y": ops.Softmax()(z, name="softmax")})})


def pooled() -> Program:
    h, w = symbol("h"), symbol("w")
    x = graph.input("x", TensorType(f32, (1, h, w, 3)))
    y = ops.MaxPool((2, 2), (1, 1), ((0, 0), (0, 1)), kernel=(2, 2))(x, name="pool")
    return Program({"main": Graph({"x": x}, {"y": y})})


def product() -> Program:
    x = graph.input("x", TensorType(f32, (256, 20)))
    y = ops.Relu()(ops.MatMul()(x, ramp(20, 32), name="dense"), name="relu")
    return Program({"main": Graph({"x": x}, {"y": y})})


def integers() -> Program:
    x = graph.input("x", TensorType(dtypes.u8, (BATCH, 6)))
    y = ops.Mul()(x, constant(np.array([3], np.uint8)), name="wrap")
    flags = ops.Greater()(y, x, name="larger")
    return Program({"main": Graph({"x": x}, {"y": y, "flags": flags})})


def best() -> Program:
    x = graph.input("x", TensorType(f32, (BATCH, 40)))
    values, indices = ops.TopK(3)(x, name="best")
    return Program({"main": Graph({"x": x}, {"values": values, "indices": indices})})


PROGRAMS = {f.__name__: f for f in (recurrent, pooled, product, integers, best)}


def shaders(program: Program) -> str:
    """All shaders of a program, with what they bind."""
    entries = {name: lower(program, name) for name in program.entries}
    compiled = webgpu.compile(program, entries, gather_weights(entries.values()))
    return "\n".join(f"// binds: {s['binds']}\n{s['code']}" for s in compiled.descriptor["shaders"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    """The text stays as it is until someone looks at the difference: `pytest --golden`."""
    path = GOLDEN / f"webgpu_{name}.wgsl"
    text = shaders(PROGRAMS[name]())
    if request.config.getoption("--golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


class TestLiterals:
    """Numbers that WGSL takes, and rounds to the same f32."""

    @pytest.mark.parametrize(
        "value",
        [0.0, -0.0, 1.0, 0.1, -3.5, 1e-5, 1e10, 2.0**30, 3.4028234663852886e38, 1.1754944e-38],
    )
    def test_floats_are_exact(self, value: float) -> None:
        code = literal(value, "f32").code
        assert np.float32(code) == np.float32(value)
        assert np.signbit(np.float32(code)) == np.signbit(np.float32(value))
        assert abs(float(code)) <= np.finfo(np.float32).max
        assert set(code) & set(".e")

    def test_denormals_are_made_of_bits(self) -> None:
        assert literal(1e-45, "f32").code == "bitcast<f32>(runtime_i32(1))"

    def test_integers_wrap(self) -> None:
        assert literal(-(2**31), "i32").code == "-2147483648"
        assert literal(2**31, "i32").code == "-2147483648"
        assert literal(-1, "u32").code == "4294967295u"


def printed(*lets: Let) -> str:
    """A function of these values, which returns the last."""
    return "\n".join(Printer().body(lets, lets[-1].target))


class TestConstantExpressions:
    """What WGSL would evaluate while it compiles, and refuse, is hidden from it."""

    @pytest.mark.parametrize(
        ("function", "args", "type"),
        [
            ("div", (1, 0), "i32"),
            ("add", (2**31 - 1, 1), "i32"),
            ("shl", (3, 31), "i32"),
            ("div", (1.0, 0.0), "f32"),
            ("mul", (3e38, 3e38), "f32"),
            ("sqrt", (-1.0,), "f32"),
        ],
    )
    def test_literals_alone(self, function: str, args: tuple[float, ...], type: str) -> None:
        let = Let(Ref("v", type), function, tuple(Literal(a, type) for a in args))
        assert f"runtime_{type}(" in printed(let)

    def test_infinities(self) -> None:
        let = Let(Ref("v", "f32"), "from_bits", (Literal(0x7F800000, "i32"),))
        assert printed(let) == "  return bitcast<f32>(runtime_i32(2139095040));"

    def test_division_by_a_literal_zero(self) -> None:
        let = Let(Ref("v", "i32"), "rem", (Ref("x", "i32"), Literal(0, "i32")))
        assert printed(let) == "  return x % runtime_i32(0);"


class TestPrinter:
    """Precedence, reuse and order."""

    def test_only_what_is_used_once_is_put_into_its_reader(self) -> None:
        x, a, b = Ref("x", "f32"), Ref("a", "f32"), Ref("b", "f32")
        text = printed(
            Let(a, "mul", (x, Literal(2.0, "f32"))),
            Let(b, "sub", (x, Literal(1.0, "f32"))),
            Let(Ref("c", "f32"), "mul", (a, b)),
            Let(Ref("d", "f32"), "sub", (b, Ref("c", "f32"))),
        )
        assert text == "  let b = x - 1.0;\n  return b - x * 2.0 * b;"

    def test_accumulators_advance_together(self) -> None:
        """The Fibonacci numbers: each accumulator's next value is made of the old ones."""
        a, b, c = Ref("a", "i32"), Ref("b", "i32"), Ref("c", "i32")
        loop = For(
            Ref("k", "i32"),
            Literal(0, "i32"),
            Literal(9, "i32"),
            1,
            ((a, Literal(0, "i32"), b), (b, Literal(1, "i32"), c)),
            (Let(c, "add", (a, b)),),
        )
        lines = [line.strip() for line in Printer().body([loop], a)]
        assert lines[-5:] == ["let t1 = a + b;", "a = b;", "b = t1;", "}", "return a;"]

    def test_comments_hold_nothing_of_a_hostile_name(self) -> None:
        assert comment("*/ alert(1)\n// \u2028 é") == "_/ alert_1_// _ _"


@pytest.mark.browser
def test_every_function_compiles_for_one_value_and_for_four(browser: Browser) -> None:
    """Those of 64 bits exist on wasm alone."""
    names = [
        n
        for n, f in FUNCTIONS.items()
        if not {"i64", "u64"} & {f.body.type, *(p.type for p in f.parameters)}
    ]
    code = {}
    for lanes in (1, 4):
        for name in names:
            printer = Printer()
            code[name, lanes] = print_function(printer, name, lanes)
    text = "\n".join(
        [
            *(f"fn runtime_{t}(x: {t}) -> {t} {{ return x; }}" for t in ("f32", "i32", "u32")),
            *code.values(),
        ]
    )
    with browser.page() as page:
        messages = page.evaluate(
            """async (code) => {
              const device = await (await navigator.gpu.requestAdapter()).requestDevice();
              const info = await device.createShaderModule({ code }).getCompilationInfo();
              return info.messages.map((m) => `${m.type} ${m.lineNum}: ${m.message}`);
            }""",
            text,
        )
    assert messages == []
