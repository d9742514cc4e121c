"""Runs ONNX's whole suite in Chromium, and keeps the lists of what must pass.

`python -m tests.onnx_nodes.sweep` says what passes and what does not; `--update` writes that into
the lists and the table of what is absent. `--backend B` sweeps one backend only, a pattern as
argument only the tests whose names it finds.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tests.onnx_nodes import lists
from tests.onnx_nodes.build import Built, all_tests, batch_module, build_all
from tests.onnx_nodes.suite import Test
from webconv.backends.bundle import BACKENDS
from webconv.backends.runtime_files import runtime_files
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import BrowserError
from webconv.verify.browser import Browser
from webconv.verify.errors import ScriptError

# Models of a page's call.
BATCH = 48
# Seconds that a call may take; a hanging model is found by halving its batch.
LIMIT = 120.0

SWEEP = """async (base, ...order) => {
  const { sweep } = await import(`${base}page.js`);
  return sweep(...order);
}"""


class Sweep:
    """A page of a backend; a context manager."""

    def __init__(self, browser: Browser, backend: str) -> None:
        self.browser, self.backend = browser, backend
        here = Path(__file__).parent
        scripts = {f: (here / f).read_bytes() for f in ("page.js", "sharing.js")}
        self.base = browser.mount({**scripts, **runtime_files(BACKENDS)})
        self.page = browser.page()

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def reasons(self, built: Iterable[Built]) -> Iterator[tuple[str, str]]:
        """The name of each test and why it fails, or nothing."""
        tests = all_tests()
        compiled = (b for b in built if not b.refusal)
        while batch := list(islice(compiled, BATCH)):
            for one, result in zip(batch, self.results(batch), strict=True):
                yield one.name, judge(tests[one.name], result)

    def results(self, batch: Sequence[Built]) -> list[dict[str, Any]]:
        """For each test its outputs, or an error."""
        files = {}
        for one in batch:
            assert one.files is not None
            files.update(one.files[self.backend])
        module = batch_module(batch, self.backend, self.base).encode()
        url = self.browser.mount({"batch.js": module}) + "batch.js"
        feeds = [list(one.feeds) for one in batch]
        try:
            order = (self.backend, url, files, feeds)
            return self.page.evaluate(SWEEP, self.base, *order, timeout=LIMIT)
        except (BrowserError, ScriptError) as error:
            self.page.close()
            self.page = self.browser.page()
            if len(batch) == 1:
                return [{"error": f"the page fails: {error}"}]
            half = len(batch) // 2
            return self.results(batch[:half]) + self.results(batch[half:])


def judge(test: Test, result: Mapping[str, Any]) -> str:
    """Why a test fails, or nothing."""
    if "error" in result:
        return lists.line(result["error"])
    if len(result["value"]) != len(test.data):
        return f"{len(result['value'])} of {len(test.data)} runs"
    for run, outputs in enumerate(result["value"]):
        try:
            check(test, run, {name: found for name, *found in outputs})
        except AssertionError as error:
            return lists.line(f"wrong: {error}")
    return ""


def check(test: Test, run: int, found: Mapping[str, Any]) -> None:
    """Raise AssertionError unless outputs are as the suite wants them, their dtypes too."""
    names = [o.name for o in test.model.graph.output]
    for name, want in zip(names, test.data[run][1], strict=True):
        dtype = found[name][0]
        wanted = from_numpy(np.asarray(want).dtype).name
        assert dtype == wanted, f"{name}: dtype {dtype}, not {wanted}"
    test.check(run, {n: np.reshape(data, shape) for n, (_, shape, data) in found.items()})


def sweep(backends: Sequence[str], names: Iterable[str]) -> lists.Outcome:
    """Build and run tests on backends, in a browser of its own."""
    start = time.perf_counter()
    built = list(build_all(names))
    report(f"building {len(built)} tests", start)
    ran = {}
    with Browser() as browser:
        for backend in backends:
            start = time.perf_counter()
            with Sweep(browser, backend) as page:
                ran[backend] = dict(page.reasons(built))
            report(backend, start)
    return lists.gather(built, ran)


def report(what: str, start: float) -> None:
    """Say how long something took."""
    print(f"{what}: {time.perf_counter() - start:.0f} s", file=sys.stderr)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--update", action="store_true", help="write what was seen into the lists")
    options = parser.parse_args()
    backends = options.backend or BACKENDS
    tests = all_tests()
    names = [name for name in tests if re.search(options.pattern, name)]
    outcome = sweep(backends, names)
    for backend in backends:
        for name, reason in outcome.reasons[backend].items():
            if reason:
                print(f"{backend} {name}: {reason}")
    for backend in backends:
        passed = outcome.passed(backend)
        kinds = Counter(tests[name].kind for name in passed)
        const = sum(name in outcome.constants and tests[name].kind == "node" for name in passed)
        print(f"{backend}: {dict(kinds)}, of the node tests {const} by constants")
    if options.update:
        lists.update(outcome, tests)


if __name__ == "__main__":
    main()
