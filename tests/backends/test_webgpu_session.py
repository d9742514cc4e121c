"""WebGPU sessions: sizes, states, sharing of dispatches, limits, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.backends.gpu_page import Opened, Workbench
from webconv.backends import webgpu
from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import Dim, symbol
from webconv.ir.dtypes import f32, i32
from webconv.ir.graph import Graph, Program, State, Value, constant
from webconv.ir.op import Array, TensorType
from webconv.verify.browser import Browser
from webconv.verify.errors import ScriptError

pytestmark = pytest.mark.browser

BATCH, TIME = symbol("batch"), symbol("time")


@pytest.fixture(scope="module")
def bench(browser: Browser) -> Iterator[Workbench]:
    """A page with one device for all programs."""
    with Workbench(browser, "session-webgpu.js", webgpu.compile) as made:
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


def assert_close(opened: Opened, inputs: dict[str, Array], atol: float = 1e-5) -> None:
    """The session's outputs are the reference's."""
    want = opened.program.run(inputs)
    for name, got in opened.run(inputs).items():
        np.testing.assert_allclose(got, want[name], rtol=1e-4, atol=atol, err_msg=name)


class TestDispatches:
    """What a run costs: the figures of the issue."""

    @pytest.mark.parametrize(
        ("width", "units", "ids", "most"),
        [(36, (128,), 0, 3), (128, (128,), 500, 3), (128, (64, 64), 500, 5)],
        ids=["char", "sent", "stack"],
    )
    @pytest.mark.parametrize("time", [16, TIME], ids=["fixed", "symbolic"])
    def test_recurrent_models(
        self, bench: Workbench, width: int, units: tuple[int, ...], ids: int, most: int, time: Dim
    ) -> None:
        opened = bench.open(classifier(time, width, units, 36, ids), share=True)
        for batch in (1, 3):
            rng = np.random.default_rng(batch)
            x = rng.integers(0, ids, (batch, 16)) if ids else draw(batch, 16, width)
            assert_close(opened, {"x": x.astype(np.int32) if ids else x})
            assert opened.stats["dispatches"] <= most
            assert opened.stats["submits"] == 1

    def test_wide_recurrence_takes_a_dispatch_per_step(self, bench: Workbench) -> None:
        opened = bench.open(classifier(5, 16, (512,), 4), share=True)
        assert_close(opened, {"x": draw(1, 5, 16)})
        assert opened.stats["dispatches"] >= 6


class TestSizes:
    """One session, many sizes."""

    def test_sizes_alternate(self, bench: Workbench) -> None:
        opened = bench.open(classifier(TIME, 5, (8,), 4), share=True)
        for batch, time in ((1, 3), (4, 9), (1, 3), (2, 1), (3, 0), (4, 9)):
            assert_close(opened, {"x": draw(batch, time, 5)})

    def test_chunks_of_time(self, bench: Workbench) -> None:
        """More steps than pre-activations fit in a chunk."""
        x = graph.input("x", TensorType(f32, (TIME, 1, 3)))
        weights = (draw(1, 3, 1, 512), draw(1, 512, 1, 512, scale=0.03), draw(1, 1, 512))
        h = ops.RNN()(x, *map(constant, weights), name="rnn")[1]
        opened = bench.open(single({"x": x}, h), share=True)
        assert_close(opened, {"x": draw(5000, 1, 3)})

    def test_nothing_is_made_for_sizes_already_run(self, bench: Workbench) -> None:
        opened = bench.open(classifier(TIME, 5, (8,), 4), share=True)
        for time in (3, 7):
            opened.run({"x": draw(1, time, 5)})
        bench.page.evaluate(
            """() => {
              globalThis.made = 0;
              const calls = ['createBuffer', 'createBindGroup', 'createComputePipelineAsync'];
              for (const name of calls) {
                const original = device[name].bind(device);
                device[name] = (...args) => { made++; return original(...args); };
              }
            }"""
        )
        for time in (3, 7):
            opened.run({"x": draw(1, time, 5)})
        assert bench.page.evaluate("() => made") == 0

    def test_empty_batch(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (BATCH, 4)))
        opened = bench.open(single({"x": x}, ops.Relu()(x)), share=True)
        for batch in (0, 2, 0):
            assert_close(opened, {"x": draw(batch, 4)})


class TestScale:
    """More work than one dispatch, or one thread, is for."""

    def test_more_than_65535_workgroups(self, bench: Workbench) -> None:
        n = 100_000 * 64
        x = graph.input("x", TensorType(f32, (BATCH,)))
        opened = bench.open(single({"x": x}, ops.Affine(2.0, 1.0)(x)), share=True)
        data = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(opened.run({"x": data})["y"], data * 2 + 1)

    def test_sum_of_a_million_terms(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (1_000_000,)))
        opened = bench.open(single({"x": x}, ops.ReduceSum()(x)), share=True)
        data = draw(1_000_000) + 1
        got = opened.run({"x": data})["y"]
        np.testing.assert_allclose(got, data.astype(np.float64).sum(), rtol=1e-6)
        assert opened.stats["dispatches"] == 2

    def test_a_batch_beyond_the_workgroups(self, bench: Workbench) -> None:
        """A group has a workgroup per batch row, and takes in turns what is more than 65,535."""
        x = graph.input("x", TensorType(f32, (BATCH, 3)))
        opened = bench.open(single({"x": x}, ops.CumSum(1)(x)), share=True)
        assert_close(opened, {"x": draw(70_000, 3)})


def counter() -> Program:
    """Two entries over a state: `main` adds its input, `peek` only reads."""
    kind = TensorType(f32, (BATCH, 3))
    x, s, t = graph.input("x", kind), graph.input("total", kind), graph.input("total", kind)
    z = graph.input("z", kind)
    after = ops.Add()(s, x, name="add")
    return Program(
        {
            "main": Graph({"x": x}, {"y": ops.Relu()(after)}, {"total": s}, {"total": after}),
            "peek": Graph({"z": z}, {"y": ops.Add()(t, z)}, {"total": t}),
        },
        (State("total", kind),),
    )


class TestStates:
    """States are double-buffered, and change only when a run ends well."""

    def test_runs_accumulate(self, bench: Workbench) -> None:
        opened = bench.open(counter(), share=True)
        states: dict[str, Array] = {"total": np.zeros((2, 3), np.float32)}
        given: dict[str, Array] | None = dict(states)
        for k in range(5):
            x = draw(2, 3, seed=k)
            want = opened.program.run({"x": x}, states=states)["y"]
            np.testing.assert_allclose(opened.run({"x": x}, states=given)["y"], want, rtol=1e-6)
            given = None
        zero = np.zeros((2, 3), np.float32)
        np.testing.assert_allclose(opened.run({"z": zero}, "peek")["y"], states["total"], rtol=1e-6)
        np.testing.assert_allclose(read_state(bench), states["total"].ravel(), rtol=1e-6)

    def test_rows_are_selected_on_the_device(self, bench: Workbench) -> None:
        opened = bench.open(counter(), share=True)
        start = draw(3, 3)
        opened.run({"x": np.zeros((3, 3), np.float32)}, states={"total": start})
        for rows in ([2, 0, 0], [1, 1], [0, 1, 0, 1]):
            script = "(shape, rows) => opened.session.selectState(0, shape, 0, rows)"
            bench.page.evaluate(script, list(start.shape), rows)
            start = start[rows]
            np.testing.assert_array_equal(read_state(bench), start.ravel())
        x = draw(4, 3, seed=9)
        got = opened.run({"x": x})["y"]
        np.testing.assert_allclose(got, np.maximum(start + x, 0), rtol=1e-6)

    def test_a_new_batch_size(self, bench: Workbench) -> None:
        opened = bench.open(counter(), share=True)
        for batch in (1, 4, 2):
            start = draw(batch, 3, seed=batch)
            x = draw(batch, 3)
            got = opened.run({"x": x}, states={"total": start})["y"]
            np.testing.assert_allclose(got, np.maximum(start + x, 0), rtol=1e-6)


def read_state(bench: Workbench) -> Any:
    """What the first state holds."""
    return bench.page.evaluate("() => opened.session.getState(0)")


class TestTypes:
    """What is not f32."""

    def test_integers_and_bools_share_a_group(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(dtypes.u8, (BATCH, 6)))
        y = ops.Add()(x, constant(np.array([250], np.uint8)))
        total = ops.ReduceSum((1,), True)(ops.Cast(i32)(y))
        flags = ops.Greater()(ops.Cast(i32)(y), total)
        opened = bench.open(
            Program({"main": Graph({"x": x}, {"y": y, "t": total, "f": flags})}), share=True
        )
        data = np.arange(12, dtype=np.uint8).reshape(2, 6)
        want = opened.program.run({"x": data})
        for name, got in opened.run({"x": data}).items():
            np.testing.assert_array_equal(got, want[name])

    def test_i64_weights_are_read_by_their_low_halves(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (BATCH, 9)))
        ids = constant(np.array([7, -1, 3, 0], np.int64))
        assert_close(
            bench.open(single({"x": x}, ops.Gather(1)(x, ids)), share=True), {"x": draw(2, 9)}
        )


class TestFailures:
    """What WebGPU reports becomes an error with a code."""

    def test_a_shader_that_does_not_compile(self, bench: Workbench) -> None:
        def broken(*args: Any) -> Any:
            compiled = webgpu.compile(*args)
            compiled.descriptor["shaders"][0]["code"] += "nonsense"
            return compiled

        x = graph.input("x", TensorType(f32, (BATCH,)))
        with Workbench(bench.browser, "session-webgpu.js", broken) as other:
            with pytest.raises(ScriptError, match="WebGPU reports an error") as caught:
                other.open(single({"x": x}, ops.Relu()(x)), share=True)
            assert caught.value.code == "no-backend"

    def test_software_adapters_are_refused(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (BATCH,)))
        with pytest.raises(ScriptError, match="software") as caught:
            bench.open(single({"x": x}, ops.Relu()(x)), allowSoftware=False)
        assert caught.value.code == "no-backend"

    def test_a_lost_device(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (BATCH,)))
        with Workbench(bench.browser, "session-webgpu.js", webgpu.compile) as other:
            opened = other.open(single({"x": x}, ops.Relu()(x)))
            opened.run({"x": draw(3)})
            other.page.evaluate("() => opened.session.gpu.destroy()")
            with pytest.raises(ScriptError, match="lost") as caught:
                opened.run({"x": draw(3)})
            assert caught.value.code == "device-lost"

    def test_too_much_memory(self, bench: Workbench) -> None:
        x = graph.input("x", TensorType(f32, (BATCH, 1)))
        opened = bench.open(single({"x": x}, ops.Expand((BATCH, 1 << 20))(x)), share=True)
        with pytest.raises(ScriptError) as caught:
            opened.run({"x": draw(300, 1)})
        assert caught.value.code == "out-of-memory"
        np.testing.assert_array_equal(opened.run({"x": draw(1, 1)})["y"][0, :2], draw(1, 1)[0, 0])

    def test_hostile_names(self, bench: Workbench) -> None:
        name = "*/ alert(1) // \n</script>\u2028`${x}`"
        x = graph.input(name, TensorType(f32, (symbol("var"), symbol("a b"))))
        y = ops.Softmax()(ops.Tanh()(x, name=name), name="__proto__")
        program = Program({"main": Graph({name: x}, {"main": y})})
        assert_close(bench.open(program, share=True), {name: draw(2, 5)})
