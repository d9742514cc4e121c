"""WebGL2 sessions: draws, sizes, states, the road without float targets, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.backends.gpu_page import Opened, Workbench
from tests.cases import CASES, Case, check, expected
from webconv.backends import webgl
from webconv.backends.lowering import recurrent
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim, symbol
from webconv.ir.dtypes import f32, i32
from webconv.ir.graph import Graph, Program, State, Value, constant
from webconv.ir.op import Array, Op, TensorType
from webconv.verify.browser import Browser
from webconv.verify.errors import ScriptError

pytestmark = pytest.mark.browser

BATCH, TIME = symbol("batch"), symbol("time")

# One case of each kind of shader runs without float targets too.
WITHOUT_FLOATS = (
    *("Add_row", "Add_u8", "Tanh", "Pow", "isinf", "where", "cast_f32_u8", "cast_f32_f16"),
    *("transpose_5d", "slice_negative", "concat_20", "pad_reflect", "gather_nd", "scatter_add"),
    *("cumsum_11", "topk_symbolic", "reduce_Max_2", "ArgMax_nan", "reduce_sum_million"),
    *("LogSoftmax_symbolic", "normalize", "matmul_9_33_12", "conv2d_strides", "convT2d_groups"),
    *("maxpool_symbolic", "avgpool_pads", "LSTM_bidirectional_masked", "GRU_after"),
    *("GRU_reverse_initial", "RNN_forward_symbolic", "LSTM_masked_zero"),
)


@pytest.fixture(scope="module")
def bench(browser: Browser) -> Iterator[Workbench]:
    """A page for all programs."""
    with Workbench(browser, "session-webgl.js", webgl.compile) as made:
        yield made


def single(inputs: dict[str, Value], output: Value) -> Program:
    """A program of one output."""
    return Program({"main": Graph(inputs, {"y": output})})


def draw(*shape: int, scale: float = 1.0, seed: int = 0) -> Array:
    """Normal f32 numbers."""
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def classifier(
    time: Dim, width: int, units: tuple[int, ...], classes: int, ids: int = 0
) -> Program:
    """Embedding (of `ids` rows) or dense input, LSTMs, Dense and softmax: batch first."""
    kind = TensorType(i32, (BATCH, time)) if ids else TensorType(f32, (BATCH, time, width))
    x = graph.input("x", kind)
    h = ops.Gather(0)(constant(draw(ids, width)), x, name="embedding") if ids else x
    h = ops.Transpose((1, 0, 2))(h)
    for k, n in enumerate(units):
        w, r = draw(1, width, 4, n, scale=width**-0.5), draw(1, n, 4, n, scale=n**-0.5, seed=1)
        outputs = ops.LSTM()(h, *map(constant, (w, r, draw(1, 4, n))), name=f"lstm_{k}")
        h, width = ops.Reshape((time, BATCH, n))(outputs[0]), n
    h = ops.Reshape((BATCH, width))(outputs[1])
    z = ops.MatMul()(h, constant(draw(width, classes, scale=width**-0.5)), name="dense")
    return single({"x": x}, ops.Softmax()(z, name="softmax"))


def recurrent_layer(cell: type[Op], gates: int, hidden: int, direction: str) -> Program:
    """All outputs of one layer of 6 inputs."""
    x = graph.input("x", TensorType(f32, (TIME, BATCH, 6)))
    d = 2 if direction == "bidirectional" else 1
    weights = (
        draw(d, 6, gates, hidden, scale=0.4),
        draw(d, hidden, gates, hidden, scale=hidden**-0.5),
        draw(d, gates, hidden),
    )
    outputs = cell(direction=direction)(x, *map(constant, weights), name="layer")  # type: ignore[call-arg]
    return Program({"main": Graph({"x": x}, {f"y{k}": v for k, v in enumerate(outputs)})})


def assert_close(opened: Opened, inputs: dict[str, Array], atol: float = 1e-5) -> None:
    """The session's outputs are the reference's."""
    want = opened.program.run(inputs)
    for name, got in opened.run(inputs).items():
        np.testing.assert_allclose(got, want[name], rtol=1e-4, atol=atol, err_msg=name)


class TestDraws:
    """What a run costs: at most T + 4 draws per recurrent layer."""

    @pytest.mark.parametrize(
        ("width", "units", "ids"),
        [(36, (128,), 0), (128, (128,), 500), (128, (64, 64), 500)],
        ids=["char", "sent", "stack"],
    )
    @pytest.mark.parametrize("time", [16, TIME], ids=["fixed", "symbolic"])
    def test_recurrent_models(
        self, bench: Workbench, width: int, units: tuple[int, ...], ids: int, time: Dim
    ) -> None:
        opened = bench.open(classifier(time, width, units, 36, ids))
        for batch in (1, 3):
            rng = np.random.default_rng(batch)
            x = rng.integers(0, ids, (batch, 16)) if ids else draw(batch, 16, width)
            assert_close(opened, {"x": x.astype(np.int32) if ids else x})
            # Beside the layers: the product of the Dense layer, and two draws of softmax.
            assert opened.stats["draws"] <= len(units) * (16 + 4) + 3

    def test_nothing_is_made_for_sizes_already_run(self, bench: Workbench) -> None:
        opened = bench.open(classifier(TIME, 5, (8,), 4))
        for time in (3, 7, 3, 7):
            opened.run({"x": draw(1, time, 5)})
        assert opened.stats["textures"] == 0
        assert opened.stats["frames"] == 0

    def test_programs_of_equal_layers_are_shared(self, bench: Workbench) -> None:
        counts = [
            len(bench.open(classifier(TIME, 8, (8,) * n, 4)).compiled.descriptor["programs"])
            for n in (3, 5)
        ]
        assert counts[0] == counts[1]


class TestSizes:
    """One session, many sizes."""

    def test_sizes_alternate(self, bench: Workbench) -> None:
        opened = bench.open(classifier(TIME, 5, (10,), 4))
        for batch, time in ((1, 3), (4, 9), (1, 3), (2, 1), (3, 0), (4, 9)):
            assert_close(opened, {"x": draw(batch, time, 5)})

    @pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
    @pytest.mark.parametrize(("cell", "gates"), [(ops.LSTM, 4), (ops.GRU, 3)])
    def test_chunks_of_time(
        self,
        bench: Workbench,
        monkeypatch: pytest.MonkeyPatch,
        cell: type[Op],
        gates: int,
        direction: str,
    ) -> None:
        """More steps than pre-activations fit in a chunk."""
        monkeypatch.setattr(recurrent, "CHUNK_BYTES", 1)
        opened = bench.open(recurrent_layer(cell, gates, 12, direction))
        for time in (39, 16, 5):
            assert_close(opened, {"x": draw(time, 2, 6)})

    def test_blocks_in_several_rows(self, bench: Workbench) -> None:
        """A step of 4,096 states takes half a row of the states' history."""
        opened = bench.open(recurrent_layer(ops.RNN, 1, 64, "forward"))
        assert_close(opened, {"x": draw(40, 64, 6)})

    def test_map_over_more_than_a_band(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (symbol("n"),)))
        opened = bench.open(single({"x": x}, ops.Affine(2.0, 1.0)(x)))
        for n in (32767, 32768, 32769, 6_500_001):
            assert_close(opened, {"x": draw(n)})

    def test_empty(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (symbol("n"), 3)))
        program = Program(
            {"main": Graph({"x": x}, {"y": ops.Relu()(x), "s": ops.ReduceSum((0,))(x)})}
        )
        opened = bench.open(program)
        for n in (0, 2, 0):
            assert_close(opened, {"x": draw(n, 3)})

    def test_long_reductions(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (1_000_003,)))
        results = {
            "sum": ops.ReduceSum()(x),
            "max": ops.ReduceMax()(x),
            "min": ops.ReduceMin()(x),
            "at": ops.ArgMax(0)(x),
        }
        opened = bench.open(Program({"main": Graph({"x": x}, results)}))
        assert_close(opened, {"x": draw(1_000_003)}, atol=1e-2)
        assert opened.stats["draws"] == 7

    def test_product_of_large_odd_sizes(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (symbol("m"), 33)))
        opened = bench.open(single({"x": x}, ops.MatMul()(x, constant(draw(33, 131)))))
        assert_close(opened, {"x": draw(301, 33)}, atol=1e-4)


class TestStates:
    """Tensors that outlive a run."""

    def counter(self) -> Program:
        """`step` adds its input to the state and gives the sum; `peek` reads twice the state."""
        kind = TensorType(f32, (BATCH, 3))
        x, before, held = (graph.input(n, kind) for n in ("x", "total", "total"))
        total = ops.Add()(before, x)
        return Program(
            {
                "step": Graph({"x": x}, {"y": total}, {"total": before}, {"total": total}),
                "peek": Graph({}, {"y": ops.Affine(2.0, 0.0)(held)}, {"total": held}),
            },
            (State("total", kind),),
        )

    def test_written_at_the_end_of_a_run(self, bench: Workbench) -> None:
        opened = bench.open(self.counter())
        x = draw(2, 3)
        first = opened.run({"x": x}, "step", {"total": np.zeros((2, 3), np.float32)})["y"]
        np.testing.assert_allclose(first, x)
        np.testing.assert_allclose(opened.run({"x": x}, "step")["y"], 2 * x)
        np.testing.assert_allclose(opened.run({"x": x}, "step")["y"], 3 * x, rtol=1e-6)
        held = bench.page.evaluate("() => globalThis.opened.session.getState(0)")
        np.testing.assert_allclose(held, 3 * x.ravel(), rtol=1e-6)

    def test_a_run_that_fails_changes_nothing(self, bench: Workbench) -> None:
        opened = bench.open(self.counter())
        x = draw(2, 3)
        opened.run({"x": x}, "step", {"total": x})
        bench.page.evaluate(
            """() => {
              const { session } = globalThis.opened;
              const { readBack } = session.textures;
              session.textures.readBack = () => {
                session.textures.readBack = readBack;
                throw new Error('no');
              };
            }"""
        )
        with pytest.raises(ScriptError, match="no"):
            opened.run({"x": x}, "step")
        np.testing.assert_allclose(opened.run({"x": x}, "step")["y"], 3 * x, rtol=1e-6)

    def test_of_another_size(self, bench: Workbench) -> None:
        opened = bench.open(self.counter())
        for batch in (1, 5000):
            x = draw(batch, 3)
            got = opened.run({"x": x}, "step", {"total": x})["y"]
            np.testing.assert_allclose(got, 2 * x)

    def test_several_written_by_one_kernel(self, bench: Workbench) -> None:
        """States that differ in size are not drawn to together."""
        x = graph.input("x", TensorType(f32, (1, BATCH, 4)))
        kind = TensorType(f32, (1, BATCH, 5))
        h, c = (graph.input(n, kind) for n in "hc")
        weights = (draw(1, 4, 4, 5), draw(1, 5, 4, 5), draw(1, 4, 5))
        _, h1, c1 = ops.LSTM()(x, *map(constant, weights), None, h, c, name="lstm")
        graphs = {"main": Graph({"x": x}, {"y": h1}, {"h": h, "c": c}, {"h": h1, "c": c1})}
        program = Program(graphs, (State("h", kind), State("c", kind)))
        opened = bench.open(program)
        states = {n: np.zeros((1, 2, 5), np.float32) for n in "hc"}
        first: Any = {n: a.copy() for n, a in states.items()}
        for k in range(4):
            given = {"x": draw(1, 2, 4, seed=k)}
            want = program.run(given, states=states)["y"]
            got = opened.run(given, states=first if k == 0 else None)["y"]
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


class TestWithoutFloatTargets:
    """The same shaders where floats cannot be drawn: their bits are."""

    @pytest.mark.parametrize(
        "case", [c for c in CASES if c.name in WITHOUT_FLOATS], ids=lambda c: c.name
    )
    def test_case(self, bench: Workbench, case: Case) -> None:
        opened = bench.open(case.program(), bits=True)
        check(case, opened.run(case.feeds()), expected(case))

    def test_names(self) -> None:
        assert set(WITHOUT_FLOATS) <= {c.name for c in CASES}

    def test_nan_and_infinity_pass(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (5,)))
        for bits in (False, True):
            opened = bench.open(single({"x": x}, ops.Transpose((0,))(x)), bits=bits)
            given = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-30], np.float32)
            np.testing.assert_array_equal(opened.run({"x": given})["y"], given)


class TestTypes:
    """Integers are exact."""

    @pytest.mark.parametrize("name", ["i32", "u32", "i64", "u8"])
    def test_integers(self, bench: Workbench, name: str) -> None:
        kind = dtypes.DTYPES[name]
        x = graph.input("x", TensorType(kind, (symbol("n"),)))
        opened = bench.open(single({"x": x}, ops.Mul()(x, constant(np.array(3, kind.numpy)))))
        given = np.array([0, 1, 100, 255 if name == "u8" else 16_777_217, 7], kind.numpy)
        np.testing.assert_array_equal(opened.run({"x": given})["y"], given * kind.numpy.type(3))


class TestFailures:
    """What goes wrong has a code."""

    def test_too_many_elements(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (symbol("n"),)))
        y = ops.Expand((5000, symbol("n")))(ops.Reshape((1, symbol("n")))(x))
        opened = bench.open(single({"x": x}, y))
        assert_close(opened, {"x": draw(3)})
        with pytest.raises(ScriptError, match="too many") as caught:
            opened.run({"x": draw(20_000)})
        assert caught.value.code == "unsupported"
        assert_close(opened, {"x": draw(3)})

    def test_lost_context(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (3,)))
        opened = bench.open(single({"x": x}, ops.Relu()(x)))
        bench.page.evaluate(
            "() => globalThis.opened.session.gl.getExtension('WEBGL_lose_context').loseContext()"
        )
        with pytest.raises(ScriptError) as caught:
            opened.run({"x": draw(3)})
        assert caught.value.code == "context-lost"

    def test_software_adapter(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (3,)))
        with pytest.raises(ScriptError, match="allowSoftware") as caught:
            bench.open(single({"x": x}, ops.Relu()(x)), allowSoftware=False)
        assert caught.value.code == "no-backend"

    def test_memory_is_given_back(self, bench: Workbench) -> None:
        opened = bench.open(classifier(TIME, 5, (8,), 4))
        left = bench.page.evaluate(
            """async (sizes) => {
              const { session } = globalThis.opened;
              const before = session.stats.bytes;
              const plan = session.bind(0, sizes);
              await session.run(plan, [new Float32Array(35)], [0]);
              session.release(plan);
              return [before, session.stats.bytes, session.stats.frames];
            }""",
            {"batch": 1, "time": 7},
        )
        assert left[0] == left[1]
        assert left[2] == 0
        assert_close(opened, {"x": draw(1, 7, 5)})
