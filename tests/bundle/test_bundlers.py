"""Vite and webpack take a bundle as it is: what they build runs in a page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import webconv
from tests.bundle.programs import dense, listed, paired
from webconv.verify.browser import Browser

MODULES = Path(__file__).resolve().parents[2] / "node_modules"
BACKENDS = ("wasm", "webgpu", "webgl")

MAIN = """
import { load } from '../model_web/index.js';

const backendOrder = new URLSearchParams(location.search).get('backend');
const runner = await load({ allowSoftware: true, backendOrder });
const { probs } = await runner.run({ x: [[1, 1, 1, 1, 1]] });
globalThis.found = { backend: runner.report.backend, probs: probs.data };
"""
PAGE = '<!doctype html><title>x</title><script type="module" src="{}"></script>'
VITE = "export default { base: './', build: { target: 'esnext' } };"
WEBPACK = """module.exports = {
  mode: 'production',
  entry: './src/main.js',
  output: { path: __dirname + '/dist' },
};"""

pytestmark = pytest.mark.browser


@pytest.fixture
def project(tmp_path: Path) -> Path:
    if not MODULES.is_dir():
        pytest.skip("node_modules is absent: `make build/.node` installs vite and webpack")
    webconv.convert(dense(), tmp_path / "model_web")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.js").write_text(MAIN)
    (tmp_path / "node_modules").symlink_to(MODULES)
    return tmp_path


def build(node: str, project: Path, *command: str) -> None:
    script = MODULES / command[0]
    done = subprocess.run(
        [node, str(script), *command[1:]], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check(browser: Browser, folder: Path) -> None:
    url = browser.mount(folder)
    want = dense().run({"x": np.ones((1, 5))})["probs"].ravel()
    for backend in BACKENDS:
        with browser.page(f"{url}?backend={backend}") as page:
            page.wait_for("globalThis.found")
            found = page.evaluate("() => globalThis.found")
            assert found["backend"] == backend
            assert abs(found["probs"] - want).max() < 1e-5
            assert page.errors == []


def test_vite(project: Path, node: str, browser: Browser) -> None:
    (project / "index.html").write_text(PAGE.format("./src/main.js"))
    (project / "vite.config.mjs").write_text(VITE)
    build(node, project, "vite/bin/vite.js", "build")
    check(browser, project / "dist")


def test_webpack(project: Path, node: str, browser: Browser) -> None:
    (project / "webpack.config.cjs").write_text(WEBPACK)
    build(node, project, "webpack/bin/webpack.js", "--config", "webpack.config.cjs")
    (project / "dist" / "index.html").write_text(PAGE.format("./main.js"))
    assert list((project / "dist").glob("*.wasm"))
    check(browser, project / "dist")


def test_a_page_typed_against_the_bundle(project: Path, node: str) -> None:
    """index.d.ts knows names, dtypes and entries, and refuses others."""
    (project / "src" / "typed.mts").write_text("""
import { argmax, getBackendAvailability, load, WebconvError } from '../model_web/index.js';

const runner = await load({ backendOrder: ['wasm', 'webgpu'], onProgress: ({ phase }) => phase });
const { probs } = await runner.run({ x: [[1, 2, 3, 4, 5]] }, { fetch: ['probs'] });
const data: Float32Array = probs.data;
const dtype: 'f32' = probs.dtype;
const best: number[] = argmax(data, 3);
runner.inputs[0].set(data, [1, 5]);
await runner.entry('main').run();
// @ts-expect-error there is no such input
await runner.run({ y: [1] });
// @ts-expect-error there is no such output
await runner.run({ x: [1] }, { fetch: ['nope'] });
// @ts-expect-error it was not fetched
(await runner.run({ x: [1] }, { fetch: [] })).probs;
// @ts-expect-error there is no such entry
runner.entry('step');
const { defaultOrder } = getBackendAvailability();
export { best, defaultOrder, dtype, WebconvError };
""")
    webconv.convert(listed(), project / "listed_web", backends=["wasm"])
    webconv.convert(paired(), project / "paired_web", backends=["wasm"])
    (project / "src" / "lists.mts").write_text("""
import { load } from '../listed_web/index.js';
import { load as paired } from '../paired_web/index.js';

const runner = await load();
const { rows, ends } = await runner.run({ words: [[1, 2, 3], new Int32Array(2)], scale: [1] });
const parts: Float32Array[] = rows.map(({ data }) => data);
const counts: Int32Array = ends.data;
await runner.run({ words: { data: [1, 2] }, words_lengths: [1, 1], scale: [1] });
const both = await (await paired()).run({ words: [[1], [2, 3]], shares: [[1], [2, 3]] });
runner.inputs[0].set([[1], [2, 3]]);
const actual = runner.outputs[0].toActual<Float32Array[]>();
// @ts-expect-error a list of outputs has no data of its own
rows.data;
export { actual, both, counts, parts };
""")
    flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"]
    libraries = ["--lib", "esnext,dom"]
    build(node, project, "typescript/bin/tsc", *flags, *libraries, "src/typed.mts", "src/lists.mts")
