"""What runs a bundle to be verified: pages of a browser, or wasmtime in this process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from webconv.api import Bundle
from webconv.ir.dtypes import DTYPES, DType
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph
from webconv.ir.lists import members
from webconv.ir.op import Array
from webconv.ir.reference import bind_sizes
from webconv.verify.runs import Run

if TYPE_CHECKING:
    from webconv.verify.browser import Browser

Typed = tuple[Array, DType]

# Each backend's forms; every one is verified.
VARIANTS: dict[str, tuple[str | None, ...]] = {
    "wasm": ("simd", "relaxed"),
    "webgpu": (None,),
    "webgl": (None,),
}


@dataclass(frozen=True)
class Performance:
    """What came of runs: outputs and states after each, by name, and how long things took."""

    variant: str | None
    outputs: list[dict[str, Typed]]
    states: list[dict[str, Typed]]
    load_ms: float
    run_ms: float


class Machine(Protocol):
    """Runs bundles. `name` is the browser's, or `none`."""

    name: str

    def perform(
        self, bundle: Bundle, backend: str, variant: str | None, runs: Sequence[Run]
    ) -> Performance:
        """Do all runs, states carried from each to the next; raises ScriptError with a code."""


# Loads a bundle and does the runs. Names go as pairs: as keys some would not survive.
PERFORM = """async ({ url, backend, variant, runs, withStates }) => {
  const { load } = await import(url);
  const options = { backendOrder: backend, allowSoftware: true };
  const runner = await load(variant ? { ...options, variant } : options);
  const results = [];
  try {
    for (const { entry, inputs, states } of runs) {
      if (states.length) await runner.states.restore(Object.fromEntries(states));
      const start = performance.now();
      const outputs = await runner.entry(entry).run(Object.fromEntries(inputs));
      const milliseconds = performance.now() - start;
      const saved = withStates ? await runner.states.save() : {};
      const pairs = [outputs, saved].map((x) => Object.entries(x).filter(([, value]) => value));
      results.push([...pairs, milliseconds]);
    }
    return { report: runner.report, results };
  } finally {
    await runner.dispose();
  }
}"""


class BrowserMachine:
    """One page of a running browser for all runs; a context manager that closes it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page = browser.page()
        self.name = browser.version

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.close()

    def perform(
        self, bundle: Bundle, backend: str, variant: str | None, runs: Sequence[Run]
    ) -> Performance:
        url = self._browser.mount(bundle.path)
        order = {
            "url": f"{url}index.js",
            "backend": backend,
            "variant": variant,
            "runs": [_order(run) for run in runs],
            "withStates": bool(bundle.program.states),
        }
        found = self._page.evaluate(PERFORM, order, timeout=600)
        results = found["results"]
        return Performance(
            found["report"]["variant"],
            [_arrays(outputs) for outputs, _, _ in results],
            [_arrays(states) for _, states, _ in results],
            found["report"]["loadMs"],
            results[-1][2],
        )


def _order(run: Run) -> dict[str, Any]:
    return {"entry": run.entry, "inputs": pairs(run.inputs), "states": pairs(run.states)}


def pairs(inputs: Mapping[str, Any]) -> list[Any]:
    """Inputs as a page has them, in pairs with their names."""

    def tensor(value: Any) -> Any:
        if isinstance(value, list):
            return [tensor(a) for a in value]
        return {"data": value.reshape(-1), "shape": list(value.shape)}

    return [[name, tensor(value)] for name, value in inputs.items()]


def _arrays(given: list[Any]) -> dict[str, Typed]:
    """Each tensor of a page as (array, dtype); those of a list one by one."""
    return {
        name: (np.asarray(t["data"]).reshape(t["shape"]), DTYPES[t["dtype"]])
        for name, t in members(dict(given))
    }


class WasmtimeMachine:
    """Runs the bundle's own wasm modules and weights in this process."""

    name = "none"

    def perform(
        self, bundle: Bundle, backend: str, variant: str | None, runs: Sequence[Run]
    ) -> Performance:
        start = time.perf_counter()
        instance = instantiate(bundle, variant or "simd")
        load_ms = 1000 * (time.perf_counter() - start)
        outputs: list[dict[str, Typed]] = []
        states: list[dict[str, Typed]] = []
        for run in runs:
            start = time.perf_counter()
            results = instance.run(run.inputs, run.entry, run.states)
            run_ms = 1000 * (time.perf_counter() - start)
            graph = bundle.program.entries[run.entry]
            outputs.append(_typed(graph, results))
            types = {n: v.type for n, v in graph.inputs.items()}
            packed = graph.lists.pack(run.inputs, types)
            sizes = bind_sizes({n: (v, packed[n].shape) for n, v in graph.inputs.items()})
            dtypes = {s.name: s.type.dtype for s in bundle.program.states}
            names = [want.name for want in run.expected_states]
            states.append({n: (instance.read_state(n, sizes), dtypes[n]) for n in names})
        return Performance(variant, outputs, states, load_ms, run_ms)


def _typed(graph: Graph, results: Mapping[str, Any]) -> dict[str, Typed]:
    dtypes = {name: v.type.dtype for name, v in graph.outputs.items()}
    return {
        key: (array, dtypes[name])
        for name, value in results.items()
        for key, array in members({name: value})
    }


def instantiate(bundle: Bundle, variant: str = "simd") -> Any:
    """The bundle's wasm module in this process, a `webconv.backends.wasm.host.Instance`."""
    from webconv.backends.compiled import Segment, Weights
    from webconv.backends.descriptor import ordered_entries
    from webconv.backends.kernel import Buffer, Entry
    from webconv.backends.wasm.host import Instance
    from webconv.passes.stages import stage
    from webconv.passes.vocabulary import retype_lookups

    program = stage(retype_lookups(bundle.program)[0])
    entries = {
        name: Entry(name, _symbols(program.entries[name]), {}, {}, {}, {}, ())
        for name in ordered_entries(program.entries)
    }
    segments: dict[Buffer, Segment] = {}
    offset = 0
    for name in bundle.manifest["weights"]:
        data = np.frombuffer((bundle.path / name).read_bytes(), np.uint8)
        segment = Segment(name, offset, data.nbytes, data)
        segments[Buffer(name, DTYPES["u8"], data.shape, "weight")] = segment
        offset += data.nbytes
    _check_weights(bundle, [s.array for s in segments.values()])
    file = bundle.manifest["backends"]["wasm"]["files"][f"{variant}.wasm"]
    module = (bundle.path / file).read_bytes()
    return Instance(module, program, entries, Weights(segments), bundle.manifest["wasm"])


def _symbols(graph: Graph) -> tuple[str, ...]:
    return (*graph.symbols, *graph.free_symbols)


def _check_weights(bundle: Bundle, shards: Sequence[Array]) -> None:
    """The files' names hold the digest of all of them."""
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(shard.tobytes())
    names = bundle.manifest["weights"]
    if names and names[0].split("-")[1] != digest.hexdigest()[:10]:
        raise ModelFormatError(f"{bundle.path}: {', '.join(names)} was cut short or altered")
