"""Times of a bundle on its backends, in one browser session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webconv.api import Bundle
from webconv.verify.browser import Browser
from webconv.verify.data import complete
from webconv.verify.errors import ScriptError
from webconv.verify.machines import pairs

BLANK = {"blank.html": b"<!doctype html><title>webconv bench</title>"}

# Loads, runs once, and then for about a second; counts are those of the runs that are timed.
MEASURE = """async ({ url, backend, entry, inputs }) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  try {
    const given = Object.fromEntries(inputs);
    const run = () => runner.entry(entry).run(given);
    let runs = 0;
    // A sample is of a millisecond at least, since a run may be shorter than the clock's step.
    const sample = async () => {
      const start = performance.now();
      let n = 0;
      do await run(), n++;
      while (performance.now() < start + 1);
      runs += n;
      return (performance.now() - start) / n;
    };
    const start = performance.now();
    await run();
    const first = performance.now() - start;
    await sample();
    const before = runner.stats;
    runs = 0;
    const times = [];
    for (const end = performance.now() + 1000; performance.now() < end || times.length < 5; ) {
      times.push(await sample());
    }
    const { stats, report } = runner;
    const perRun = ([key, n]) => [key, (n - (before[key] ?? 0)) / runs];
    const counts = Object.entries(stats).map(perRun);
    return { report, first, runs, times, counts: Object.fromEntries(counts) };
  } finally {
    await runner.dispose();
  }
}"""


def bench(
    bundle: Bundle, backends: Sequence[str], on_step: Callable[[str], None] = lambda _: None
) -> list[dict[str, Any]]:
    """A record for each backend, on random inputs of the first entry."""
    program = bundle.program
    entry = next(iter(program.entries))
    vocabularies = {(e, n): size for e, n, size in bundle.manifest["vocabularies"]}
    inputs = complete(program, entry, {}, vocabularies, np.random.default_rng(0), batch=1)
    order = {"entry": entry, "inputs": pairs(inputs)}
    results = []
    with Browser() as browser:
        for backend in backends:
            on_step(f"timing {backend}")
            # An isolated page has a clock of 5 microseconds instead of 100.
            url = browser.mount(BLANK, bundle.path, isolated=True)
            with browser.page(url + "blank.html") as page:
                try:
                    mine = {**order, "url": url + "index.js", "backend": backend}
                    found = page.evaluate(MEASURE, mine)
                    results.append(_record(found))
                except ScriptError as error:
                    failure = {"code": error.code or error.name, "message": error.text}
                    results.append({"backend": backend, "error": failure})
    return results


def _record(found: dict[str, Any]) -> dict[str, Any]:
    report = found["report"]
    return {
        "backend": report["backend"],
        "variant": report["variant"],
        "adapter": report["adapter"],
        "error": None,
        "load_ms": report["loadMs"],
        "first_run_ms": found["first"],
        "run_ms": float(np.median(found["times"])),
        "runs": found["runs"],
        "per_run": found["counts"],
    }
