"""The example that captions scenes: two models of Chainer, driven as a visitor would."""

from __future__ import annotations

import importlib
import json
from typing import Any

import numpy as np
import pytest

from tests.browser.test_examples import EXAMPLES, POLICY, SCREENSHOTS, finish, wait
from tests.chainer_fixtures import Run
from webconv.verify.browser import Browser
from webconv.verify.page import Page

FOLDER = EXAMPLES / "captioning"
BACKENDS = ("wasm", "webgpu", "webgl")
MODELS = {"encoder": (), "decoder": ("--head", "scores=topk:5,argmax")}
WIDTH = 5
INDEX, CANDIDATES = 4, 5 * (4 + 4)
"""Bytes that a step reads back: the likeliest word, or five scores and words of each beam."""
FEATURE = 128 * 4


@pytest.fixture(scope="module")
def address(browser: Browser, chainer_python: Run) -> str:
    """The address of the page, its bundles converted as README.md has it."""
    for name, options in MODELS.items():
        done = chainer_python(
            *("-m", "webconv", "convert", f"net.py:make_{name}", "--weights", f"{name}.npz"),
            *("-o", f"{name}_web", "--force", "--quiet", *options),
            cwd=FOLDER,
        )
        assert done.returncode == 0, done.stderr
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return f"{browser.mount(EXAMPLES, csp=POLICY)}captioning/index.html?software=1"


@pytest.fixture(scope="module")
def held_out() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "heldout.json").read_text())
    return found


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What Chainer said of the first scenes."""
    found: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
    return found


def said(page: Page) -> str:
    """The caption, once it is there."""
    wait(page, "ready")
    return page.text("#caption").strip()


@pytest.mark.parametrize("backend", BACKENDS)
def test_page(address: str, browser: Browser, backend: str, expected: dict[str, Any]) -> None:
    """A scene, another one, and that with five beams."""
    with browser.page(f"{address}&backend={backend}&seed=3") as page:
        assert said(page) == expected["greedy"][3]
        page.call(lambda p: p.click("#another"))
        assert said(page) == expected["greedy"][4]
        assert page.text("#status").startswith(backend)
        assert page.text("#status").endswith("ms a word")
        page.call(lambda p: p.check("input[name='width'][value='5']"))
        assert said(page) == expected["beams"][4][0][0]
        lines = page.text("#beams").split("%")
        for line, (caption, sure) in zip(lines, expected["beams"][4], strict=False):
            assert caption in line
            assert float(line.split()[-1]) == pytest.approx(100 * np.exp(sure), abs=0.1)
        finish(page, "captioning" if backend == "webgpu" else f"captioning_{backend}")


def test_a_scene_of_ones_own(address: str, browser: Browser) -> None:
    """Digits that are taken out, put in, made larger, dragged, and moved by keys."""
    with browser.page(f"{address}&backend=wasm&seed=0") as page:
        said(page)
        press(page, "#remove", 3)
        assert said(page) == ""
        press(page, "#digits button:nth-child(4)")
        press(page, "#smaller", 2)
        press(page, "#digits button:nth-child(8)")
        press(page, "#larger", 4)
        drag(page, 0.8, 0.5)
        assert said(page) == "a large seven right of a small three"
        for _ in range(7):
            page.call(lambda p: p.press("#scene", "-"))
        assert said(page) == "a small three left of a small seven"
        drag(page, 0.45, 0.85)
        assert said(page) == "a small three above a small seven"
        finish(page, "captioning_own")


def press(page: Page, selector: str, times: int = 1) -> None:
    for _ in range(times):
        page.call(lambda p: p.click(selector))


PLACES = """() => ['#board i', '#scene'].map((selector) => {
  const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
  return [x, y, width, height];
})"""


def drag(page: Page, right: float, down: float) -> None:
    """Drag the chosen digit's middle to a place, given in shares of the scene."""
    (x, y, width, height), (left, top, across, high) = page.evaluate(PLACES)
    page.call(lambda p: p.mouse.move(x + width / 2, y + height / 2))
    page.call(lambda p: p.mouse.down())
    page.call(lambda p: p.mouse.move(left + right * across, top + down * high, steps=4))
    page.call(lambda p: p.mouse.up())


def test_accuracy(address: str, browser: Browser) -> None:
    """Of a thousand held-out scenes 90 % in every word, by the page's code."""
    with browser.page(f"{address}&backend=wasm") as page:
        wait(page, "ready")
        page.call(lambda p: p.click("#measure"))
        wait(page, "done")
        share, of, *_ = page.text("#accuracy").split(" % of ")
        print(f"{share} %")
        assert float(share) >= 90
        assert of.startswith("1000 captions")
        finish(page, "captioning_measured")


DECODE = """async (address, backend, count, width) => {
  const from = (file) => import(new URL(file, address).href);
  const [{ beams, captionOf }, scenes] = [await from('captions.js'), await from('scenes.js')];
  const heldOut = scenes.readHeldOut(await (await fetch(new URL('heldout.json', address))).json());
  const adapter = backend === 'webgpu' ? await navigator.gpu.requestAdapter() : undefined;
  const device = await adapter?.requestDevice();
  const open = async (name) => {
    const { load } = await from(`${name}_web/index.js`);
    return load({ backendOrder: backend, allowSoftware: true, device });
  };
  const runners = [await open('encoder'), await open('decoder')];
  const captioner = { ...heldOut, encoder: runners[0], decoder: runners[1] };
  const found = [];
  for (const scene of heldOut.scenes.slice(0, count)) {
    const picture = scenes.draw(scene, heldOut);
    const before = runners.map(({ stats }) => stats.bytesRead);
    const steps = [];
    if (width > 1) for await (const step of beams(captioner, picture, width)) steps.push(step);
    const captions = width > 1 ? steps.at(-1) : await captionOf(captioner, picture, 1);
    const live = steps.map((step) => step.filter(({ done }) => !done).length);
    const read = runners.map(({ stats }, k) => stats.bytesRead - before[k]);
    found.push({ captions, live, read });
  }
  await Promise.all(runners.map((runner) => runner.dispose()));
  return found;
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_greedy_captions_are_those_of_chainer(
    address: str, browser: Browser, backend: str, expected: dict[str, Any]
) -> None:
    """Word for word; a step reads back the index of a word, and of the states nothing."""
    count = 100 if backend == "wasm" else 20
    with browser.page(address) as page:
        found = page.evaluate(DECODE, address, backend, count, 1)
    assert [row["captions"] for row in found] == expected["greedy"][:count]
    if backend == "webgpu":
        for row in found:
            words = len(row["captions"].split()) + 1
            assert row["read"] == [FEATURE, words * INDEX]


@pytest.mark.parametrize("backend", BACKENDS)
def test_beams_are_those_of_chainer(
    address: str, browser: Browser, backend: str, expected: dict[str, Any]
) -> None:
    """The same captions and probabilities; beams are reordered on the device."""
    count = 40 if backend == "wasm" else 8
    with browser.page(address) as page:
        found = page.evaluate(DECODE, address, backend, count, WIDTH)
    for row, beams in zip(found, expected["beams"], strict=False):
        assert [beam["caption"] for beam in row["captions"]] == [text for text, _ in beams]
        got = [beam["probability"] for beam in row["captions"]]
        np.testing.assert_allclose(got, np.exp([sure for _, sure in beams]), 1e-3, 1e-6)
        if backend == "webgpu":
            batches = [1, *row["live"][:-1]]
            assert row["read"] == [FEATURE, sum(batches) * CANDIDATES]


DRAW = """async (address, count) => {
  const { draw, readHeldOut } = await import(new URL('scenes.js', address).href);
  const heldOut = readHeldOut(await (await fetch(new URL('heldout.json', address))).json());
  return heldOut.scenes.slice(0, count).map((scene) => draw(scene, heldOut));
}"""


def test_scenes_are_drawn_as_in_training(
    address: str, browser: Browser, held_out: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's pictures are those of scenes.py, and all scenes show what their captions say."""
    monkeypatch.syspath_prepend(FOLDER)
    scenes = importlib.import_module("scenes")
    assert held_out["words"] == list(scenes.VOCABULARY)
    pixels = [[int(c, 17) for c in row] for _, row in held_out["digits"]]
    images = np.array(pixels, np.float32).reshape(-1, 8, 8)
    made = []
    for digits, brightness, seed, caption in held_out["scenes"]:
        own = tuple(scenes.Digit(d[0], held_out["digits"][d[0]][0], *d[1:]) for d in digits)
        assert scenes.caption(own) == caption
        made.append(scenes.Scene(own, brightness, seed, caption))
    with browser.page(address) as page:
        found = page.evaluate(DRAW, address, 20)
    np.testing.assert_allclose(
        np.array(found).reshape(20, 1, 40, 48), scenes.draw(made[:20], images), 0, 1e-6
    )


def test_files_are_small() -> None:
    """What is committed stays small."""
    names = ("encoder.npz", "decoder.npz", "heldout.json", "expected.json")
    assert sum((FOLDER / name).stat().st_size for name in names) < 2_000_000
