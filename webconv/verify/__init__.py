"""Parity checks: a bundle on every backend, in a real browser or in wasmtime, against NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from webconv.ir.errors import BrowserError, ParityError, WebconvError

if TYPE_CHECKING:
    from webconv.api import Bundle
    from webconv.ir.graph import Program
    from webconv.verify.browser import Browser
    from webconv.verify.compare import OutputResult
    from webconv.verify.data import Arrays
    from webconv.verify.machines import BrowserMachine, Machine, Performance
    from webconv.verify.report import Report, Result
    from webconv.verify.runs import Given, Run

SEED = 0


def verify(
    bundle: Bundle,
    *,
    backends: Sequence[str] | None = None,
    browser: Browser | BrowserMachine | str = "chromium",
    inputs: Sequence[Given] = (),
    expect: Sequence[Given] = (),
    entry: str | None = None,
    model: Program | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> Report:
    """Run `bundle` on its backends and compare each output with what is expected.

    `browser` is a running one, a page of one that several bundles share, `chromium` to start one,
    or `none` for wasm in this process. `inputs` and `expect` are npz files or arrays by name or
    position, one for each run; without `inputs` they are random, without `expect` NumPy says what
    is expected. `model` is another program whose distance is reported. Raises ModelFormatError or
    ShapeError if what is given does not fit; what a backend does wrong is in the report.
    """
    import numpy as np

    from webconv.verify.report import Report
    from webconv.verify.runs import distance, make_runs

    chosen = list(backends or bundle.backends)
    if missing := [b for b in chosen if b not in bundle.backends]:
        there = ", ".join(bundle.backends)
        raise WebconvError(f"the bundle was made for {there}, not for {', '.join(missing)}")
    if browser == "none" and backends and list(backends) != ["wasm"]:
        raise WebconvError(f"without a browser only wasm runs, not {', '.join(backends)}")
    vocabularies = {(e, n): size for e, n, size in bundle.manifest["vocabularies"]}
    rng = np.random.default_rng(SEED)
    runs = make_runs(bundle.program, vocabularies, inputs, expect, entry, rng)
    extra = {} if model is None else {"model_distance": distance(model, runs)}
    results = _results(bundle, chosen, browser, runs, (atol, rtol))
    return Report(tuple(results), extra)


Limits = tuple[float | None, float | None]


def _results(
    bundle: Bundle,
    backends: Sequence[str],
    browser: Browser | BrowserMachine | str,
    runs: Sequence[Run],
    limits: Limits,
) -> list[Result]:
    from webconv.verify.machines import VARIANTS, BrowserMachine, WasmtimeMachine
    from webconv.verify.report import Result

    if browser == "none":
        forms = [("wasm", v) for v in VARIANTS["wasm"]] if "wasm" in backends else []
        return [_judge(WasmtimeMachine(), bundle, *form, runs, limits) for form in forms]
    forms = [(b, v) for b in backends for v in VARIANTS[b]]
    if isinstance(browser, BrowserMachine):
        return [_judge(browser, bundle, *form, runs, limits) for form in forms]
    if not isinstance(browser, str):
        with BrowserMachine(browser) as machine:
            return [_judge(machine, bundle, *form, runs, limits) for form in forms]
    from webconv.verify.browser import Browser

    try:
        with Browser() as started, BrowserMachine(started) as machine:
            return [_judge(machine, bundle, *form, runs, limits) for form in forms]
    except BrowserError as error:
        failure = {"code": "no-browser", "message": str(error)}
        return [Result(b, v, browser, error=failure) for b, v in forms]


def _judge(
    machine: Machine,
    bundle: Bundle,
    backend: str,
    variant: str | None,
    runs: Sequence[Run],
    limits: Limits,
) -> Result:
    from webconv.verify.errors import BrowserTimeoutError, ScriptError
    from webconv.verify.report import Result

    try:
        performance = machine.perform(bundle, backend, variant, runs)
    except ScriptError as error:
        failure = {"code": error.code or error.name, "message": error.text}
        return Result(backend, variant, machine.name, error=failure)
    except BrowserTimeoutError as error:
        return Result(
            backend, variant, machine.name, error={"code": "timeout", "message": str(error)}
        )
    outputs = _outputs(performance, runs, limits)
    times = (performance.load_ms, performance.run_ms)
    return Result(backend, performance.variant, machine.name, outputs, None, *times)


def _outputs(
    performance: Performance, runs: Sequence[Run], limits: Limits
) -> tuple[OutputResult, ...]:
    """The worst of all runs, by entry and output."""
    from webconv.verify.compare import compare, tolerance

    several = len({run.entry for run in runs}) > 1
    found: dict[str, OutputResult] = {}
    rows = zip(runs, performance.outputs, performance.states, strict=True)
    for run, outputs, states in rows:
        wanted = [(w, outputs) for w in run.outputs] + [(w, states) for w in run.expected_states]
        for want, got in wanted:
            array, dtype = got[want.name]
            key = f"{run.entry}/{want.name}" if several else want.name
            result = compare(array, dtype, want, tolerance(dtype, *limits))
            result = replace(result, name=key)
            found[key] = found[key].merged(result) if key in found else result
    return tuple(found.values())


def assert_parity(
    bundle: Bundle,
    inputs: Arrays,
    expected: Arrays | None = None,
    *,
    backends: Sequence[str] | None = None,
    browser: Browser | str = "chromium",
    rtol: float | None = None,
    atol: float | None = None,
) -> Report:
    """Raise ParityError with every difference unless `bundle` gives `expected` for `inputs`.

    For tests: hand in the fixture `webconv_browser` as `browser`.
    """
    report = verify(
        bundle,
        backends=backends,
        browser=browser,
        inputs=[inputs],
        expect=[] if expected is None else [expected],
        rtol=rtol,
        atol=atol,
    )
    if not report.ok:
        raise ParityError("; ".join(report.failures()))
    return report
