"""Measures two runtimes in one browser: times in turns, first results, and bytes over the wire."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks import BenchmarkError
from benchmarks.models import Array
from webconv.verify.browser import Browser

PAGE = Path(__file__).parent / "page"

# onnxruntime's own bundles: the smallest that has the execution provider.
ONNXRUNTIME_CODE = {"wasm": "ort.wasm.bundle.min.mjs", "webgpu": "ort.webgpu.bundle.min.mjs"}

# Backends on which onnxruntime-web has the LSTM operator.
ONNXRUNTIME_BACKENDS = tuple(ONNXRUNTIME_CODE)

WEIGHT_FILES = re.compile(r"(\.onnx|weights-[^/]*\.bin)$")

# A slow software adapter takes seconds for a run of the largest model.
LIMIT = 1800.0


@dataclass(frozen=True)
class Choice:
    """One side of a comparison, as `page/sides.js` takes it."""

    runtime: str
    backend: str
    code: str
    model: str


@dataclass(frozen=True)
class Timing:
    """How long to time: `rounds` samples a side, each of about `sample_ms`, after `warm_ms`."""

    rounds: int
    sample_ms: float = 50.0
    warm_ms: float = 1000.0


@dataclass(frozen=True)
class FirstResult:
    """From importing the runtime to the first result: milliseconds of each page, and gzip bytes.

    `files` has what a page fetched besides the benchmark's own script and the weights.
    """

    milliseconds: list[float]
    files: dict[str, int]
    output: Array

    @property
    def gzip_bytes(self) -> int:
        """Give the bytes over the wire besides the weights."""
        return sum(self.files.values())


class Session:
    """A browser with the benchmark's page, the peers and the models mounted."""

    def __init__(self, browser: Browser, modules: Path, models: Path, bundles: Path) -> None:
        self.browser = browser
        self._page = browser.mount(PAGE, prefix="benchmark")
        self._peer = browser.mount(modules / "onnxruntime-web" / "dist", prefix="onnxruntime")
        self._models = browser.mount(models, prefix="models")
        self._bundles = browser.mount(bundles, prefix="bundles")

    def onnxruntime(self, name: str, backend: str) -> Choice:
        """Choose onnxruntime-web for a model."""
        code = self._peer + ONNXRUNTIME_CODE[backend]
        return Choice("onnxruntime", backend, code, f"{self._models}{name}.onnx")

    def webconv(self, name: str, backend: str) -> Choice:
        """Choose the bundle of a model, by its entry for the backend: the peer's are so too."""
        bundle = f"{self._bundles}{name}_web/"
        return Choice("webconv", backend, f"{bundle}{backend}.js", bundle)

    def compare(self, name: str, choices: list[Choice], timing: Timing) -> list[dict[str, Any]]:
        """Time the sides in turns in one page; gives what `page/measure.js` measured of each."""
        plan = {
            "choices": [asdict(choice) for choice in choices],
            "inputs": self._inputs(name),
            "rounds": timing.rounds,
            "sampleMs": timing.sample_ms,
            "warmMs": timing.warm_ms,
        }
        script = f"async (plan) => (await import('{self._page}measure.js')).measure(plan)"
        with self.browser.page() as page:
            measured: list[dict[str, Any]] = page.evaluate(script, plan, timeout=LIMIT)
        return measured

    def first_results(self, name: str, choices: list[Choice], rounds: int) -> list[FirstResult]:
        """Load each side in fresh pages, in turns, with nothing cached."""
        # Not timed: the disk's cache is to be as warm for the first page as for the last.
        seen = [self._first(name, choice) for choice in choices]
        times = [[self._first(name, choice)[0] for choice in choices] for _ in range(rounds)]
        return [
            FirstResult([each[index] for each in times], files, output)
            for index, (_, output, files) in enumerate(seen)
        ]

    def _first(self, name: str, choice: Choice) -> tuple[float, Array, dict[str, int]]:
        """Open a page that loads one side; gives its time, output and files fetched."""
        order = json.dumps({"choice": asdict(choice), "inputs": self._inputs(name)})
        start = len(self.browser.server.visits)
        with self.browser.page(f"{self._page}first.html#{quote(order)}") as page:
            page.wait_for("globalThis.first", timeout=LIMIT)
            first = page.evaluate("() => globalThis.first")
        if "error" in first:
            raise BenchmarkError(f"{choice.runtime} on {choice.backend}, {name}: {first['error']}")
        paths = {visit.path for visit in self.browser.server.visits[start:]}
        files = {path: self._gzip_size(path) for path in sorted(paths) if _counts(path)}
        return first["milliseconds"], np.array(first["output"], np.float32), files

    def _inputs(self, name: str) -> str:
        """Give where the inputs of a model lie."""
        return f"{self._models}{name}.inputs.json"

    def _gzip_size(self, path: str) -> int:
        """Give the size of a served file as gzip -9 packs it."""
        body = self.browser.server.reply(path).body
        return len(gzip.compress(body.read_bytes() if isinstance(body, Path) else body, 9))


def _counts(path: str) -> bool:
    """Tell whether a fetched path belongs to the runtime: not weights, not our measuring."""
    ours = path.startswith(("/benchmark/", "/_webconv/", "/favicon"))
    return not (ours or path.endswith(".inputs.json")) and WEIGHT_FILES.search(path) is None
