"""Bundles in a page: every backend, under a strict policy, with bad files, and their own page."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from tests.bundle.programs import (
    HOSTILE,
    counter,
    dense,
    hostile,
    listed,
    lookup,
    paired,
    two_entries,
)
from webconv.api import Bundle
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.graph import Program
from webconv.ir.op import TensorType
from webconv.verify.browser import Browser
from webconv.verify.errors import ScriptError
from webconv.verify.page import Page

BACKENDS = ("wasm", "webgpu", "webgl")
BUILD = Path(__file__).resolve().parents[2] / "build" / "screenshots"
BLANK = {"blank.html": b"<!doctype html><title>x</title>"}
STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "worker-src 'self'"
)

pytestmark = pytest.mark.browser

# Runs a bundle once, or as often as there are inputs.
RUN = """async (url, options, runs) => {
  const { load } = await import(url);
  const runner = await load({ allowSoftware: true, ...options });
  try {
    const results = [];
    for (const inputs of runs) {
      const outputs = await runner.run(Object.fromEntries(inputs));
      results.push(Object.entries(outputs).map(([name, t]) => [name, t.data]));
    }
    return { report: runner.report, results };
  } finally {
    await runner.dispose();
  }
}"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    programs = (dense(), lookup(), counter(), two_entries(), listed(), paired())
    made = {p.name: webconv.convert(p, folder / p.name) for p in programs}
    return made | {"hostile": webconv.convert(hostile(), folder / "hostile")}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.page() as page:
        yield page


def serve(browser: Browser, bundle: Bundle, **changes: bytes) -> str:
    """The URL of the bundle's index.js, with some files replaced."""
    files = {name.replace("__", "-"): data for name, data in changes.items()}
    return browser.mount(files, bundle.path) + "index.js"


def until(page: Page, condition: str) -> None:
    """Wait for a condition; Playwright's own way evaluates a string, which a policy forbids."""
    page.evaluate(
        f"async () => {{ while (!({condition})) await new Promise((r) => setTimeout(r)); }}"
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["dense", "lookup", "counter", "two", "listed", "hostile"])
def test_every_backend_agrees_with_numpy(
    bundles: dict[str, Bundle], browser: Browser, name: str, backend: str
) -> None:
    report = bundles[name].verify(browser=browser, backends=[backend])
    assert report.ok, report.failures()
    assert all(r.browser == browser.version for r in report.results)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_strict_policy_is_enough(
    bundles: dict[str, Bundle], browser: Browser, backend: str
) -> None:
    policy = STRICT if backend == "wasm" else STRICT.replace(" 'wasm-unsafe-eval'", "")
    url = browser.mount(BLANK, bundles["dense"].path, csp=policy)
    with browser.page(url + "blank.html") as page:
        x = np.ones((1, 5), np.float32)
        inputs = [[["x", {"data": x.ravel(), "shape": [1, 5]}]]]
        found = page.evaluate(RUN, url + "index.js", {"backendOrder": backend}, inputs)
        ((_, probs),) = found["results"][0]
        np.testing.assert_allclose(probs, dense().run({"x": x})["probs"].ravel(), rtol=1e-4)
        assert found["report"]["backend"] == backend
        assert page.errors == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_entry_of_one_backend_needs_no_other(
    bundles: dict[str, Bundle], browser: Browser, page: Page, backend: str
) -> None:
    url = browser.mount(bundles["dense"].path)
    before = len(browser.server.visits)
    inputs = [[["x", {"data": np.ones(5, np.float32), "shape": [1, 5]}]]]
    page.evaluate(RUN, f"{url}{backend}.js", {}, inputs)
    visits = {v.path.rsplit("/", 1)[1] for v in browser.server.visits[before:]}
    # All code is in the entry: what else is fetched is weights and, for wasm, the module.
    assert {v for v in visits if v.endswith(".js")} == {f"{backend}.js", "transfer.js"}
    assert not visits & {"graph.txt", "graph.bin", "webconv.json"}


def test_it_runs_in_a_worker(bundles: dict[str, Bundle], browser: Browser, page: Page) -> None:
    """Importing touches neither window nor document."""
    worker = b"""
      import { load } from './index.js';
      onmessage = async ({ data }) => {
        try {
          const runner = await load({ backendOrder: data, allowSoftware: true });
          const { probs } = await runner.run({ x: [[1, 1, 1, 1, 1]] });
          postMessage({ probs: [...probs.data], backend: runner.report.backend });
        } catch (error) { postMessage({ error: String(error) }); }
      };"""
    url = browser.mount({"worker.js": worker, **BLANK}, bundles["dense"].path)
    page.goto(url + "blank.html")
    want = dense().run({"x": np.ones((1, 5))})["probs"].ravel()
    for backend in BACKENDS:
        found = page.evaluate(
            """(url, backend) => new Promise((resolve, reject) => {
              const worker = new Worker(url, { type: 'module' });
              worker.onmessage = ({ data }) => { worker.terminate(); resolve(data); };
              worker.onerror = (event) => reject(new Error(event.message));
              worker.postMessage(backend);
            })""",
            url + "worker.js",
            backend,
        )
        assert found.get("backend") == backend, found
        np.testing.assert_allclose(found["probs"], want, rtol=1e-4)


def test_bad_weights_are_refused_and_the_page_lives(
    bundles: dict[str, Bundle], browser: Browser, page: Page
) -> None:
    bundle = bundles["dense"]
    (name,) = bundle.manifest["weights"]
    data = (bundle.path / name).read_bytes()
    altered = bytes([data[0] ^ 1]) + data[1:]
    for backend in BACKENDS:
        for wrong, rule in ((data[:-1], "must have"), (altered, "was altered")):
            url = browser.mount({name: wrong}, bundle.path) + "index.js"
            with pytest.raises(ScriptError) as caught:
                page.evaluate(RUN, url, {"backendOrder": backend}, [])
            assert caught.value.code == "integrity"
            assert rule in caught.value.text
            assert name in caught.value.text
    assert page.evaluate(RUN, serve(browser, bundle), {}, [])["report"]["tried"] == []


@pytest.mark.parametrize("rows", [2_100, 4_200])
def test_more_memory_than_there_is(rows: int, browser: Browser, page: Page, tmp_path: Path) -> None:
    x = graph.input("x", TensorType(dtypes.f32, (dims.symbol("n"), 1)))
    wide = ops.CumSum(1)(ops.Expand((dims.symbol("n"), 1 << 18))(x))
    program = Program({"main": graph.Graph({"x": x}, {"y": ops.ReduceSum((1,))(wide)})})
    url = serve(browser, webconv.convert(program, tmp_path / "wide", backends=["wasm"]))
    with pytest.raises(ScriptError, match="the model needs") as caught:
        page.evaluate(RUN, url, {}, [[["x", [1.0] * rows]]])
    assert caught.value.code == "out-of-memory"


def test_a_missing_file_is_a_network_error(
    bundles: dict[str, Bundle], browser: Browser, page: Page
) -> None:
    bundle = bundles["dense"]
    (name,) = bundle.manifest["weights"]
    files = {p.name: p.read_bytes() for p in bundle.path.glob("*") if p.is_file()}
    files |= {f"runtime/{p.name}": p.read_bytes() for p in (bundle.path / "runtime").iterdir()}
    del files[name]
    with pytest.raises(ScriptError) as caught:
        page.evaluate(RUN, browser.mount(files) + "index.js", {}, [])
    assert caught.value.code == "network"
    assert "HTTP 404" in caught.value.text


def test_software_adapters_need_leave(
    bundles: dict[str, Bundle], browser: Browser, page: Page
) -> None:
    """The machine that tests run on has no other: both are refused and wasm is used."""
    order = ["webgpu", "webgl", "wasm"]
    options = {"backendOrder": order, "allowSoftware": False}
    report = page.evaluate(RUN, serve(browser, bundles["dense"]), options, [])["report"]
    assert report["backend"] == "wasm"
    assert [(t["backend"], t["code"]) for t in report["tried"]] == [
        ("webgpu", "no-backend"),
        ("webgl", "no-backend"),
    ]
    assert all("allowSoftware" in t["reason"] for t in report["tried"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_ids_outside_the_vocabulary_are_refused_and_the_runner_stays(
    bundles: dict[str, Bundle], browser: Browser, page: Page, backend: str
) -> None:
    found = page.evaluate(
        """async (url, backend) => {
          const { load } = await import(url);
          const runner = await load({ backendOrder: backend, allowSoftware: true });
          const codes = [];
          for (const ids of [[[50]], [[-1]], [[0.5]], 'x', { data: [1, 2], shape: [3] }]) {
            await runner.run({ ids }).catch((error) => codes.push(error.code));
          }
          const { total } = await runner.run({ ids: [[49]] });
          await runner.dispose();
          await runner.run({ ids: [[1]] }).catch((error) => codes.push(error.code));
          return { codes, total: total.data };
        }""",
        serve(browser, bundles["lookup"]),
        backend,
    )
    want = ["vocabulary", "vocabulary", "dtype", "dtype", "shape", "disposed"]
    assert found["codes"] == want
    row = lookup().run({"ids": np.array([[49]])})["total"].ravel()
    np.testing.assert_allclose(found["total"], row, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_live_on_every_backend(
    bundles: dict[str, Bundle], browser: Browser, page: Page, backend: str
) -> None:
    found: dict[str, Any] = page.evaluate(
        """async (url, backend) => {
          const { load } = await import(url);
          const runner = await load({ backendOrder: backend, allowSoftware: true });
          const run = async (rows) => (await runner.run({ x: rows })).doubled.data;
          const ones = [1, 1, 1, 1];
          const first = await run([ones, [2, 2, 2, 2], [3, 3, 3, 3]]);
          const saved = await runner.states.save();
          await runner.states.select([2, 0, 0, 1]);
          const selected = (await runner.states.save()).h;
          const four = await run([ones, ones, ones, ones]);
          await runner.states.restore(saved);
          const restored = await run([ones, ones, ones]);
          await runner.states.reset();
          const reset = await run([ones]);
          await runner.dispose();
          return { first, selected: selected.data, shape: selected.shape, four, restored, reset };
        }""",
        serve(browser, bundles["counter"]),
        backend,
    )
    rows = {
        k: np.asarray(v).reshape(-1, 4)[:, 0].tolist() for k, v in found.items() if k != "shape"
    }
    assert rows["first"] == [3, 5, 7]
    assert rows["selected"] == [3.5, 1.5, 1.5, 2.5]
    assert found["shape"] == [4, 4]
    assert rows["four"] == [9, 5, 5, 7]
    assert rows["restored"] == [5, 7, 9]
    assert rows["reset"] == [3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_sizes_change_from_run_to_run(
    bundles: dict[str, Bundle], browser: Browser, page: Page, backend: str
) -> None:
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 50, shape) for shape in ((1, 3), (4, 9), (1, 3), (2, 1), (4, 9))]
    runs = [[["ids", {"data": a.ravel(), "shape": list(a.shape)}]] for a in batches]
    options = {"backendOrder": backend}
    found = page.evaluate(RUN, serve(browser, bundles["lookup"]), options, runs)
    for ids, ((_, total),) in zip(batches, found["results"], strict=True):
        want = lookup().run({"ids": ids})["total"].ravel()
        np.testing.assert_allclose(total, want, rtol=1e-4, atol=1e-5)


def test_loading_is_aborted(bundles: dict[str, Bundle], browser: Browser, page: Page) -> None:
    code = page.evaluate(
        """async (url) => {
          const { load } = await import(url);
          const control = new AbortController();
          const loading = load({ signal: control.signal, onProgress: () => control.abort() });
          return loading.then(() => 'loaded', (error) => error.code);
        }""",
        serve(browser, bundles["dense"]),
    )
    assert code == "aborted"


@pytest.mark.parametrize("name", ["dense", "lookup", "counter", "two", "listed", "hostile"])
def test_the_page_runs_every_backend(
    bundles: dict[str, Bundle], browser: Browser, name: str
) -> None:
    """As a visitor would: open it, choose each backend, see outputs, timings and no error."""
    url = browser.mount(bundles[name].path)
    with browser.page(url) as page:
        for backend in BACKENDS:
            page.call(lambda p, b=backend: p.check(f"input[value={b}]"))
            until(page, f"document.querySelector('#timing-{backend}')")
            until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        assert "error" not in page.evaluate("() => document.querySelector('#status').className")
        shown = page.text("#outputs")
        assert all(o.split("\n")[0] in shown for o in bundles[name].program.main.outputs)
        assert page.evaluate("() => document.querySelector('#notice').hidden")
        assert page.evaluate("() => document.scripts.length") == 1
        page.screenshot(BUILD / f"bundle-{name}.png")
        assert page.errors == []


def test_the_page_shows_errors_of_the_visitor(bundles: dict[str, Bundle], browser: Browser) -> None:
    with browser.page(browser.mount(bundles["lookup"].path)) as page:
        until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        page.call(lambda p: p.fill("textarea", "99, 1"))
        page.call(lambda p: p.click("button[type=submit]"))
        until(page, "document.querySelector('#status').className === 'error'")
        assert page.text("#status").startswith("vocabulary: 'ids'")
        page.call(lambda p: p.fill("textarea", "9, 1"))
        page.call(lambda p: p.click("button[type=submit]"))
        until(page, "document.querySelector('#status').textContent.startsWith('shape')")


def test_the_page_starts_at_sizes_that_the_model_takes(browser: Browser, tmp_path: Path) -> None:
    """A batch of 1, and as many steps as the windows of the model need."""
    x = graph.input("x", TensorType(dtypes.f32, (dims.symbol("x_0"), dims.symbol("steps"))))
    part = ops.Slice((0, 50), (dims.symbol("x_0"), 40), (1, 1))(x)
    program = Program({"main": graph.Graph({"x": x}, {"y": ops.Tanh()(part)})})
    bundle = webconv.convert(program, tmp_path / "windows", backends=["wasm"])
    with browser.page(browser.mount(bundle.path)) as page:
        until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        assert "x: f32 [1, 128]" in page.text("#inputs")


def test_the_page_takes_and_shows_lists(bundles: dict[str, Bundle], browser: Browser) -> None:
    with browser.page(browser.mount(bundles["listed"].path)) as page:
        until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        assert "words: list of i32 [length], each in a line" in page.text("#inputs")
        assert page.text("#sizes") == ""
        page.call(lambda p: p.fill("textarea", "1, 2, 3\n\n4"))
        page.call(lambda p: p.click("button[type=submit]"))
        until(page, "document.querySelector('#outputs').textContent.includes('rows[1] f32 [1, 3]')")
        assert "rows[0] f32 [3, 3]" in page.text("#outputs")
        assert "rows[2]" not in page.text("#outputs")
        page.call(lambda p: p.fill("textarea", "1, 2\n99"))
        page.call(lambda p: p.click("button[type=submit]"))
        until(page, "document.querySelector('#status').className === 'error'")
        assert page.text("#status").startswith("vocabulary: 'words[1]'")


def test_the_page_takes_lists_that_share_their_lengths(
    bundles: dict[str, Bundle], browser: Browser
) -> None:
    with browser.page(browser.mount(bundles["paired"].path)) as page:
        until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        assert "[length, 1], each as long as in words, each in a line" in page.text("#inputs")
        page.call(lambda p: p.fill("textarea", "1, 2, 3\n4"))
        page.call(lambda p: p.click("button[type=submit]"))
        until(page, "document.querySelector('#status').className === 'error'")
        assert "must be as long as those of 'words', [3,1]" in page.text("#status")


def test_code_for_lists_comes_with_models_that_have_some(
    bundles: dict[str, Bundle], browser: Browser, page: Page
) -> None:
    for name in ("dense", "listed"):
        before = len(browser.server.visits)
        page.evaluate(RUN, serve(browser, bundles[name]), {"backendOrder": "wasm"}, [])
        visits = {v.path.rpartition("/")[2] for v in browser.server.visits[before:]}
        assert ("lists.js" in visits) == (name == "listed")
        assert ("class ListEntry" in (bundles[name].path / "wasm.js").read_text()) == (
            name == "listed"
        )


def test_hostile_names_run_nothing(bundles: dict[str, Bundle], browser: Browser) -> None:
    assert len(HOSTILE) == len(bundles["hostile"].program.main.inputs)
    with browser.page(browser.mount(bundles["hostile"].path)) as page:
        until(page, "document.querySelector('#status').textContent.endsWith('a run')")
        assert page.evaluate("() => document.querySelectorAll('script').length") == 1
        assert [m.text for m in page.console if m.kind == "error"] == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_that_a_page_fetches_but_weights(
    bundles: dict[str, Bundle], browser: Browser, page: Page, backend: str
) -> None:
    """A figure for a small model; the character model's is in the acceptance list."""
    bundle = bundles["dense"]
    before = len(browser.server.visits)
    url = serve(browser, bundle)
    page.evaluate(RUN, url, {"backendOrder": backend}, [])
    root = url.removesuffix("index.js").removeprefix(browser.server.url)
    paths = {v.path.lstrip("/").removeprefix(root) for v in browser.server.visits[before:]}
    own = [bundle.path / p for p in paths if not p.endswith(".bin")]
    sizes = {p.name: len(gzip.compress(p.read_bytes(), 9)) for p in own if p.is_file()}
    assert "runner.js" in sizes
    assert sum(sizes.values()) < 18_000, sizes
