"""Times of a bundle on its backends, in one browser session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webconv.api import Bundle
from webconv.verify.browser import Browser
from webconv.verify.data import complete
from webconv.verify.errors import ScriptError

# Loads, runs once, and then for about a second; counts are those of the runs that are timed.
MEASURE = """async ({ url, backend, entry, inputs }) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  try {
    const given = Object.fromEntries(inputs);
    const run = async () => {
      const start = performance.now();
      await runner.entry(entry).run(given);
      return performance.now() - start;
    };
    const first = await run();
    await run();
    const before = runner.stats;
    const times = [];
    for (const end = performance.now() + 1000; performance.now() < end || times.length < 5; ) {
      times.push(await run());
    }
    const { stats, report } = runner;
    const perRun = ([key, n]) => [key, (n - (before[key] ?? 0)) / times.length];
    const counts = Object.entries(stats).map(perRun);
    return { report, first, times, counts: Object.fromEntries(counts) };
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
    pairs = [[n, {"data": a.reshape(-1), "shape": list(a.shape)}] for n, a in inputs.items()]
    order = {"entry": entry, "inputs": pairs}
    results = []
    with Browser() as browser:
        for backend in backends:
            on_step(f"timing {backend}")
            url = browser.mount(bundle.path) + "index.js"
            with browser.page() as page:
                try:
                    found = page.evaluate(MEASURE, {**order, "url": url, "backend": backend})
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
        "runs": len(found["times"]),
        "per_run": found["counts"],
    }
