"""States at run time: random calls of a runner, against the same calls in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import webconv
from webconv.ir import dims, ops
from webconv.ir.dtypes import bool_, f32, i32
from webconv.ir.graph import Graph, Program, State, constant, input
from webconv.ir.op import TensorType
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
