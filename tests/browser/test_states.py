"""States at run time: random calls of a runner, against the same calls in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import webconv
from webconv.edits import Edits
from webconv.frontends.onnx.convert import convert as convert_onnx
from webconv.ir import dims, ops
from webconv.ir.dtypes import bool_, f32, i32
from webconv.ir.graph import Graph, Program, State, constant, input
from webconv.ir.op import TensorType
from webconv.passes.stages import stage
from webconv.verify.browser import Browser
from webconv.verify.page import Page

BACKENDS = ("wasm", "webgpu", "webgl")
B, T = dims.symbol("batch"), dims.symbol("time")

STATES = (
    State("memory", TensorType(f32, (B, T, 3))),
    State("h", TensorType(f32, (B, 3)), np.array([[0.5, -1, 2]], np.float32)),
    State("count", TensorType(i32, (2, B))),
    State("seen", TensorType(bool_, (B, 3))),
)


def attending() -> Program:
    """`read` writes what `step` reads only; `step` carries three states, one of them an output.

    `skip` has no outputs. `peek` writes nothing.
    """
    x, y = input("x", TensorType(f32, (B, T, 3))), input("y", TensorType(f32, (B, 3)))
    memory, h, count, seen = (input(s.name, s.type) for s in STATES)
    doubled = ops.Mul()(x, constant(np.float32(2)))
    start = ops.ReduceMean((1,))(x)
    read = Graph({"x": x}, {}, {}, {"memory": doubled, "h": start})
    new = ops.Add()(ops.Mul()(h, constant(np.float32(0.5))), y)
    out = ops.Add()(new, ops.ReduceSum((1,))(memory))
    counted = ops.Add()(count, constant(np.int32(1)))
    likes = ops.Greater()(y, constant(np.float32(0)))
    after = {"h": new, "count": counted, "seen": ops.Or()(seen, likes)}
    reads = {"h": h, "count": count, "seen": seen}
    outputs = {"out": out, "h_next": new, "before": count}
    step = Graph({"y": y}, outputs, {**reads, "memory": memory}, after)
    skip = Graph({"y": y}, {}, {"h": h}, {"h": new})
    total = ops.ReduceSum((1,))(memory)
    peek = Graph({"y": y}, {"total": ops.Add()(total, y)}, {"memory": memory}, {})
    entries = {"read": read, "step": step, "skip": skip, "peek": peek}
    return Program(entries, STATES, "attending")


# Does a list of calls, none of which waits for the one before it but a `restore` for its `save`.
# A call that fails gives its code.
PERFORM = """async (url, backend, calls) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const plain = (found) => Object.entries(found).map(([name, tensor]) =>
    [name, tensor && [[...tensor.data].map(Number), tensor.shape]]);
  const saved = [];
  const found = [];
  for (const [what, ...given] of calls) {
    let result;
    if (what === 'run') {
      const [entry, name, data, shape] = given;
      result = runner.entry(entry).run({ [name]: { data, shape } }).then(plain);
    } else if (what === 'save') {
      saved.push(runner.states.save());
      result = saved.at(-1).then(plain);
    } else if (what === 'restore') {
      const states = await saved[given[0]];
      const chosen = given[1].filter((name) => name in states).map((name) => [name, states[name]]);
      result = runner.states.restore(Object.fromEntries(chosen)).then(() => null);
    } else {
      result = runner.states[what](...given).then(() => null);
    }
    found.push(result.catch(({ code, message }) => ({ code, message })));
  }
  const results = await Promise.all(found);
  await runner.dispose();
  return results;
}"""

Held = dict[str, Any]
Call = tuple[Any, ...]


def axis(name: str) -> int:
    return 1 if name == "count" else 0


class Simulated:
    """The same calls in NumPy: a call's result, or the code of its error."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.held: Held = {}
        self.saved: list[Held] = []

    def perform(self, call: Call) -> Any:
        what, *given = call
        result: Any = getattr(self, what)(*given)
        return result

    def run(self, entry: str, name: str, data: Any, shape: Any) -> Any:
        graph = self.program.entries[entry]
        batches = {self.held[n].shape[axis(n)] for n in graph.reads if n in self.held}
        if batches - {shape[0]} or ("memory" in graph.reads and "memory" not in self.held):
            return "shape"
        # A state that is only written is not in the reference's way.
        return self.program.run({name: np.reshape(data, shape)}, entry, self.held)

    def save(self) -> Any:
        names = [s.name for s in self.program.states]
        self.saved.append({n: self.held.get(n) for n in names})
        return self.saved[-1]

    def restore(self, position: int, names: list[str]) -> None:
        for name in names:
            value = self.saved[position][name]
            if value is None:
                self.held.pop(name, None)
            else:
                self.held[name] = value

    def reset(self) -> None:
        self.held.clear()

    def select(self, rows: list[Any]) -> Any:
        if any(not isinstance(row, int) or row < 0 for row in rows):
            return "range"
        if any(row >= a.shape[axis(n)] for n, a in self.held.items() for row in rows):
            return "range"
        self.held |= {n: np.take(a, rows, axis(n)) for n, a in self.held.items()}
        return None


def drawn(rng: np.random.Generator, simulated: Simulated, count: int) -> Iterator[tuple[Call, Any]]:
    """Random calls, most of which fit what is held, with their results."""
    yield ("run", "peek", "y", [0.5] * 3, [1, 3]), "shape"
    for _ in range(count):
        batches = [a.shape[axis(n)] for n, a in simulated.held.items()]
        batch = int(rng.choice(batches)) if batches else 2
        if rng.random() < 0.1:
            batch = int(rng.integers(0, 5))
        call: Call
        match rng.integers(0, 12):
            case 0 | 1:
                shape = [batch if rng.random() < 0.5 else int(rng.integers(0, 5))]
                shape += [int(rng.integers(1, 4)), 3]
                data = rng.integers(-8, 8, np.prod(shape)).astype(float)
                call = ("run", "read", "x", data.tolist(), shape)
            case 2 | 3 | 4 | 5 | 6:
                entry = str(rng.choice(["step", "step", "step", "skip", "peek"]))
                data = rng.integers(-8, 8, batch * 3).astype(float)
                call = ("run", entry, "y", data.tolist(), [batch, 3])
            case 7:
                call = ("save",)
            case 8 if simulated.saved:
                names = [s.name for s in STATES if rng.random() < 0.8]
                call = ("restore", int(rng.integers(len(simulated.saved))), names)
            case 9 if rng.random() < 0.3:
                call = ("reset",)
            case _:
                least = min(batches, default=2)
                rows = rng.integers(0, least or 1, rng.integers(0, 5)).tolist()
                if rng.random() < 0.2:
                    rows.append(rng.choice([-1, 0.5, 99]).item())
                rows = [int(row) if row == int(row) else row for row in rows]
                call = ("select", rows)
        yield call, simulated.perform(call)


@pytest.fixture(scope="module")
def mounted(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    bundle = webconv.convert(attending(), tmp_path_factory.mktemp("states") / "bundle")
    return browser.mount({"blank.html": b"<!doctype html>"}, bundle.path)


@pytest.fixture(scope="module")
def page(mounted: str, browser: Browser) -> Iterator[Page]:
    with browser.page(f"{mounted}blank.html") as page:
        yield page


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(2))
def test_random_calls(mounted: str, page: Page, backend: str, seed: int) -> None:
    """Whatever is called in whatever order, states are what NumPy says; errors change nothing."""
    pairs = list(drawn(np.random.default_rng(seed), Simulated(attending()), 150))
    found = page.evaluate(PERFORM, f"{mounted}index.js", backend, [call for call, _ in pairs])
    failures = 0
    for k, ((call, want), got) in enumerate(zip(pairs, found, strict=True)):
        what = f"call {k} {call}"
        if want is None or isinstance(want, str):
            assert (got and got["code"]) == want, f"{what}: {got}"
            failures += isinstance(want, str)
            continue
        assert isinstance(got, list), f"{what}: {got}"
        assert [name for name, _ in got] == list(want), what
        for name, tensor in got:
            if want[name] is None:
                assert tensor is None, f"{what}: {name}"
                continue
            assert tensor[1] == list(want[name].shape), f"{what}: {name}"
            values = np.reshape(tensor[0], tensor[1])
            np.testing.assert_allclose(values, want[name], rtol=1e-5, atol=1e-5, err_msg=what)
    assert 0 < failures < 90


# -- where states are ------------------------------------------------------------------------------

# Steps and selections; what they read from the device, by the spy's count or the runner's.
DEVICE = """async (url, backend) => {
  const { load } = await import(url);
  const { prototype } = WebGL2RenderingContext;
  const { readPixels } = prototype;
  let reads = 0;
  prototype.readPixels = function (...given) {
    reads++;
    return readPixels.apply(this, given);
  };
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const ones = (...shape) => ({ data: new Array(shape.reduce((a, b) => a * b)).fill(1), shape });
  await runner.entry('read').run({ x: ones(2, 4, 3) });
  let batch = 2;
  for (const rows of [[1, 0, 1, 1, 0], [4, 0], [0, 1, 0, 1], [3]]) {
    for (let k = 0; k < 5; k++) {
      const found = await runner.entry('step').run({ y: ones(batch, 3) }, { fetch: [] });
      if (Object.keys(found).length) throw new Error('nothing was to be fetched');
    }
    await runner.states.select(rows);
    batch = rows.length;
  }
  const silent = [reads, runner.stats.bytesRead ?? 0];
  await runner.entry('step').run({ y: ones(1, 3) }, { fetch: ['out'] });
  const loud = [reads, runner.stats.bytesRead ?? 0];
  const { h, count } = await runner.states.save();
  await runner.dispose();
  prototype.readPixels = readPixels;
  return { silent, loud, h: [...h.data], count: [...count.data] };
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_stay_on_the_device(mounted: str, page: Page, backend: str) -> None:
    """Twenty steps and four selections read nothing back, one output what it holds."""
    found = page.evaluate(DEVICE, f"{mounted}index.js", backend)
    assert found["silent"] == [0, 0]
    assert found["loud"] == [int(backend == "webgl"), 12 if backend == "webgpu" else 0]
    assert list(found["count"]) == [21, 21]
    np.testing.assert_allclose(found["h"], [2 - 0.5**21] * 3, rtol=1e-6)


# Calls that fail, each between a save and another; what was saved first; and what fails at the end.
FAILING = """async (url, backend) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const ones = (...shape) => ({ data: new Array(shape.reduce((a, b) => a * b)).fill(1), shape });
  const [read, step] = ['read', 'step'].map((name) => runner.entry(name));
  const text = async () => JSON.stringify(await runner.states.save());
  const code = (promise) => promise.then(() => null, (error) => error.code ?? String(error));
  const gone = new AbortController();
  gone.abort();
  const late = new AbortController();
  await read.run({ x: ones(2, 4, 3) });
  await step.run({ y: ones(2, 3) });
  const saved = await runner.states.save();
  const before = await text();
  const failing = [
    () => step.run({ y: ones(3, 3) }),
    () => step.run({ y: ones(2, 4) }),
    () => step.run({ y: ['a', 'b'] }),
    () => step.run({}),
    () => step.run({ z: ones(2, 3) }),
    () => step.run({ y: ones(2, 3) }, { fetch: ['none'] }),
    () => step.run({ y: ones(2, 3) }, { signal: gone.signal }),
    () => {
      const run = read.run({ x: ones(5, 1, 3) }, { signal: late.signal });
      late.abort();
      return run;
    },
    () => read.run({ x: ones(2, 4, 2) }),
    () => runner.entry('none').run({}),
    () => runner.states.select([0, 2]),
    () => runner.states.restore({ h: ones(2, 2) }),
    () => runner.states.restore({ seen: [[7, 0, 0]] }),
    () => runner.states.restore({ h: ones(1, 3), none: ones(1) }),
  ];
  const codes = [];
  for (const call of failing) {
    codes.push(await code((async () => call())()));
    if ((await text()) !== before) throw new Error(`states changed: ${call}`);
  }
  await runner.states.restore({ h: ones(1, 3) });
  codes.push(await code(step.run({ y: ones(2, 3) })), await code(step.run({ y: ones(1, 3) })));
  await runner.states.restore(saved);
  const last = step.run({ y: ones(2, 3) });
  const disposed = runner.dispose();
  codes.push(await code(last), await code(runner.states.save()), await code(runner.states.reset()));
  await disposed;
  return { codes, saved };
}"""

CODES = [
    *("shape", "shape", "dtype", "input-name", "input-name", "input-name", "aborted", "aborted"),
    *("shape", "input-name", "range", "shape", "range", "input-name"),
    # One state of another batch than the rest, then the batch of that.
    *("shape", "shape"),
    # What is queued when the runner is disposed of, and what comes after.
    *("disposed", "disposed", "disposed"),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_that_fail(mounted: str, page: Page, backend: str) -> None:
    """Each leaves all states as they were, and the next call is sound."""
    found = page.evaluate(FAILING, f"{mounted}index.js", backend)
    assert found["codes"] == CODES


# What one backend saves every other goes on with; two runners on one device do not meet.
MOVED = """async (url, backends) => {
  const { load } = await import(url);
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const open = (backendOrder) => load({ backendOrder, allowSoftware: true, device });
  const runners = await Promise.all([...backends, 'webgpu'].map(open));
  const ramp = (...shape) => ({
    data: Array.from({ length: shape.reduce((a, b) => a * b) }, (_, k) => Math.sin(k)),
    shape,
  });
  const step = async (runner, n = 2) => {
    const { out, before } = await runner.entry('step').run({ y: ramp(n, 3) });
    return [...out.data, ...before.data];
  };
  const found = [];
  for (const runner of runners) {
    await runner.states.reset();
    await runner.entry('read').run({ x: ramp(2, 4, 3) });
    await step(runner);
    const saved = structuredClone(await runner.states.save());
    for (const other of runners) {
      await other.states.restore(saved);
      found.push(await step(other));
    }
  }
  // At once, on batches of their own.
  await Promise.all(runners.map(async (runner, k) => {
    runner.states.reset();
    runner.entry('read').run({ x: ramp(k + 1, 4, 3) });
    step(runner, k + 1);
    runner.states.select([k, 0]);
    found.push(await step(runner));
  }));
  const [first, , , last] = runners;
  await Promise.all([first.dispose(), runners[1].dispose()]);
  const alive = await step(last);
  await Promise.all(runners.map((runner) => runner.dispose()));
  device.destroy();
  return { found, alive: alive.length };
}"""


def test_states_from_one_backend_to_another(mounted: str, page: Page) -> None:
    found = page.evaluate(MOVED, f"{mounted}index.js", BACKENDS)
    assert found["alive"] == 10

    def ramp(*shape: int) -> Any:
        return np.sin(np.arange(np.prod(shape))).reshape(shape)

    def steps(batch: int, rows: list[int]) -> Any:
        simulated = Simulated(attending())
        simulated.run("read", "x", ramp(batch, 4, 3), (batch, 4, 3))
        simulated.run("step", "y", ramp(batch, 3), (batch, 3))
        simulated.select(rows)
        got = simulated.run("step", "y", ramp(2, 3), (2, 3))
        return [*got["out"].ravel(), *got["before"].ravel()]

    moved, apart = found["found"][:16], found["found"][16:]
    for got in moved:
        np.testing.assert_allclose(got, steps(2, [0, 1]), rtol=1e-5, atol=1e-5)
    # Runners end in any order: by their numbers of rows that were selected.
    for k in range(4):
        want = steps(k + 1, [k, 0])
        assert any(np.allclose(got, want, rtol=1e-5, atol=1e-5) for got in apart)


# -- states of entries that branch -----------------------------------------------------------------

BRANCHING = """<ir_version: 10, opset_import: ["" : 21]>
branching (float[batch, 2] x, float[batch, 2] h) => (float[batch, 2] y, float[batch, 2] h_next) {
  total = ReduceSum <keepdims = 0> (h)
  limit = Constant <value = float {10.0}> ()
  over = Greater(total, limit)
  h_next = If (over) <
    then_branch = less () => (float[batch, 2] fewer) { fewer = Sub(x, h) },
    else_branch = more () => (float[batch, 2] sum) { sum = Add(x, h) }
  >
  two = Constant <value = float {2.0}> ()
  y = Mul(h_next, two)
}
"""

BRANCHES = """async (url, backend, count) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const found = [];
  const rows = [[3, 1], [0.5, 2]];
  for (let k = 0; k < count; k++) {
    const { y } = await runner.run({ x: rows });
    found.push([...y.data]);
    if (k === 3) await runner.states.select([1, 0]);
  }
  await runner.dispose();
  return found;
}"""


def test_an_entry_that_branches_on_its_state(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = convert_onnx(onnx.parser.parse_model(BRANCHING), Path(), {}, {})
    out = tmp_path_factory.mktemp("branching") / "bundle"
    bundle = webconv.convert(program, out, edits=Edits(states={"h": "h_next"}))
    assert "main" in stage(bundle.program).schedules
    url = browser.mount({"blank.html": b"<!doctype html>"}, bundle.path)
    x, h, want = np.array([[3, 1], [0.5, 2]]), np.zeros((2, 2)), []
    for k in range(8):
        h = x - h if h.sum() > 10 else x + h
        want.append(2 * h.ravel())
        if k == 3:
            h = h[[1, 0]]
    with browser.page(f"{url}blank.html") as page:
        for backend in BACKENDS:
            found = page.evaluate(BRANCHES, f"{url}index.js", backend, 8)
            np.testing.assert_allclose(found, want, rtol=1e-6, err_msg=backend)
