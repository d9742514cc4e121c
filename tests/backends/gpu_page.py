"""Runs programs on a session in a page, without a bundle: what tests of the GPU backends share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from webconv import runtime_js
from webconv.backends.compiled import Compiled, Weights, gather_weights
from webconv.backends.dims_js import js_literal
from webconv.backends.kernel import Entry
from webconv.backends.lower import lower
from webconv.ir import dims
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import Array
from webconv.verify.browser import Browser, Page

Compile = Callable[[Program, Mapping[str, Entry], Weights], Compiled]

OPEN = """async (sessionUrl, moduleUrl, weights, options) => {
  globalThis.opened?.session.dispose();
  if (options.share) {
    const adapter = await navigator.gpu.requestAdapter();
    options.device = globalThis.device ??= await adapter.requestDevice();
  }
  const { createSession } = await import(sessionUrl);
  const { model, section } = await import(moduleUrl);
  const session = await createSession({
    model, section, options: { allowSoftware: true, ...options },
    weights: {
      bytes: weights.reduce((sum, w) => sum + w.length, 0),
      async load(place) {
        let offset = 0;
        for (const bytes of weights) {
          place(offset, bytes.length).set(bytes);
          offset += bytes.length;
        }
      },
    },
    progress() {},
  });
  globalThis.opened = { session, plans: new Map(), model };
}"""

RUN = """async (entry, sizes, inputs, fetch, states) => {
  const { session, plans, model } = globalThis.opened;
  for (const [k, { shape, data }] of states) await session.setState(k, shape, data);
  const key = JSON.stringify([entry, sizes]);
  if (!plans.has(key)) plans.set(key, await session.bind(entry, sizes));
  const before = { ...session.stats };
  const start = performance.now();
  const outputs = await session.run(plans.get(key), inputs, fetch);
  const ms = performance.now() - start;
  const stats = {};
  for (const name in before) stats[name] = session.stats[name] - before[name];
  return { outputs, ms, stats };
}"""


@dataclass
class Opened:
    """A program in the page."""

    page: Page
    program: Program
    compiled: Compiled
    lowered: dict[str, Entry]
    ms: float = 0.0
    stats: dict[str, int] = field(default_factory=dict)

    def run(
        self,
        inputs: Mapping[str, Array],
        entry: str = "main",
        states: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """The outputs by name."""
        graph = self.program.entries[entry]
        sizes = bind_sizes(graph, inputs)
        names = list(graph.outputs)
        given = [_storage(np.asarray(inputs[n])) for n in graph.inputs]
        positions = {s.name: k for k, s in enumerate(self.program.states)}
        set_states = [
            [positions[n], {"shape": list(a.shape), "data": _storage(a)}]
            for n, a in (states or {}).items()
        ]
        order = list(self.program.entries)
        reply = self.page.evaluate(
            RUN, order.index(entry), sizes, given, list(range(len(names))), set_states
        )
        self.ms, self.stats = reply["ms"], reply["stats"]
        out = {}
        for name, data in zip(names, reply["outputs"], strict=True):
            v = graph.outputs[name]
            shape = tuple(dims.evaluate(d, sizes) for d in v.shape)
            out[name] = np.asarray(data).reshape(shape).astype(v.type.dtype.numpy)
        return out

    def close(self) -> None:
        """Gives the session back."""
        self.page.evaluate("() => globalThis.opened.session.dispose()")


def bind_sizes(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The symbols' values."""
    sizes: dict[str, int] = {}
    for name, v in graph.inputs.items():
        for d, n in zip(v.shape, np.shape(inputs[name]), strict=True):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol):
                sizes[found.name] = n
    return sizes


def _storage(a: Array) -> Array:
    kinds = {"f": np.float32, "u": np.uint32 if a.dtype.itemsize >= 4 else np.int32}
    return np.ascontiguousarray(a).astype(kinds.get(a.dtype.kind, np.int32)).ravel()


class Workbench:
    """A page into which programs are put one after another."""

    def __init__(self, browser: Browser, session: str, compile: Compile) -> None:
        self.browser = browser
        self.compile = compile
        self.files: dict[str, bytes] = {}
        self.runtime = browser.mount(Path(runtime_js.__file__).parent / "src")
        self.base = browser.mount(self.files)
        self.session = f"{self.runtime}{session}"
        self.page = browser.page()
        self._count = itertools.count()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def open(self, program: Program, **options: Any) -> Opened:
        """Compiles a program and starts a session for it."""
        lowered = {name: lower(program, name) for name in program.entries}
        weights = gather_weights(lowered.values())
        compiled = self.compile(program, lowered, weights)
        name = f"m{next(self._count)}.js"
        text = (
            f"export const model = {js_literal(describe(program))};\n"
            f"export const section = {js_literal(compiled.descriptor)};\n"
        )
        self.files[name] = text.encode()
        shards = [np.frombuffer(b, np.uint8) for b in weights.shards()]
        self.page.evaluate(OPEN, self.session, self.base + name, shards, options)
        return Opened(self.page, program, compiled, lowered)


def describe(program: Program) -> dict[str, Any]:
    """As much of `Model` as sessions read."""
    order = [s.name for s in program.states]

    def tensor(name: str, v: Value) -> dict[str, Any]:
        return {"name": name, "dtype": v.type.dtype.name, "shape": list(v.shape)}

    return {
        "entries": [
            {
                "name": name,
                "symbols": list(g.symbols),
                "inputs": [tensor(n, v) for n, v in g.inputs.items()],
                "outputs": [tensor(n, v) for n, v in g.outputs.items()],
                "reads": [order.index(n) for n in g.reads],
                "writes": [order.index(n) for n in g.writes],
            }
            for name, g in program.entries.items()
        ],
        "states": [
            {"name": s.name, "dtype": s.type.dtype.name, "shape": list(s.type.shape)}
            for s in program.states
        ],
    }
