"""The example that decodes dates, driven as a visitor would; and states that stay on the device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import webconv
from tests.browser.test_examples import EXAMPLES, POLICY, SCREENSHOTS, finish, wait
from tests.bundle.programs import beside_states
from webconv.edits import Edits
from webconv.ir import dims
from webconv.verify.browser import Browser
from webconv.verify.page import Page

FOLDER = EXAMPLES / "seq2seq"
BACKENDS = ("wasm", "webgpu", "webgl")
H_AND_C = ["encoder.1", "encoder.2"]
LSTM = Edits(
    entries={
        "encoder": (["text"], H_AND_C),
        "decoder": (["previous", *H_AND_C], ["letter", "decoder.1", "decoder.2"]),
    },
    states={"encoder.1": "decoder.1", "encoder.2": "decoder.2"},
    names={"encoder.1": "h", "encoder.2": "c"},
)
DATE_BYTES = 12 * 4
"""What one step of the decoder reads back: a probability for each of 12 characters."""


@pytest.fixture(scope="module")
def address(browser: Browser) -> str:
    """The address of the page, its bundles converted."""
    for name, edits in (("date_lstm", LSTM), ("date_repeat", Edits())):
        model = FOLDER / f"{name}.keras"
        webconv.convert(model, FOLDER / f"{name}_web", force=True, edits=edits)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return f"{browser.mount(EXAMPLES, csp=POLICY)}seq2seq/index.html?software=1"


def date(page: Page) -> str:
    """What stands in the cells."""
    found = page.evaluate(
        "() => [...document.querySelectorAll('#date b')].map((b) => b.textContent).join('')"
    )
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", ["decoder", "repeat"])
def test_page(address: str, browser: Browser, model: str, backend: str) -> None:
    """A date as it stands there first, one chosen, one typed over it, one deleted."""
    with browser.page(f"{address}&backend={backend}&model={model}") as page:
        wait(page, "ready")
        assert date(page) == "1998-05-03"
        page.call(lambda p: p.get_by_text("twenty-first of December").click())
        wait(page, "ready")
        assert date(page) == "2012-12-21"
        page.call(lambda p: p.fill("#text", ""))
        page.call(lambda p: p.type("#text", "Sept. 9th, 09"))
        wait(page, "ready")
        assert date(page) == "2009-09-09"
        assert page.text("#status").startswith(backend)
        assert page.text("#status").endswith("ms a character")
        finish(page, f"seq2seq_{model}_{backend}")
        page.call(lambda p: p.fill("#text", "?"))
        wait(page, "ready")
        assert date(page) == ""


@pytest.mark.parametrize("model", ["decoder", "repeat"])
def test_accuracy(address: str, browser: Browser, model: str) -> None:
    """Of a thousand dates that were held out 99 % right in every character, by the page's code."""
    with browser.page(f"{address}&backend=wasm&model={model}") as page:
        wait(page, "ready")
        page.call(lambda p: p.click("#measure"))
        wait(page, "done")
        share, of, *_ = page.text("#accuracy").split(" % of ")
        print(f"{model}: {share} %")
        assert float(share) >= 99
        assert of.startswith("1000 right")
        finish(page, f"seq2seq_{model}_measured")


DECODE = """async (url, backend, texts) => {
  const { load } = await import(new URL('date_lstm_web/index.js', url).href);
  const { decode } = await import(new URL('dates.js', url).href);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const found = [];
  for (const text of texts) {
    let date = '';
    const before = runner.stats.bytesRead;
    for await (const { character } of decode(runner, text)) date += character;
    found.push([date, runner.stats.bytesRead - before]);
  }
  await runner.dispose();
  return found;
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_stay_on_the_device(address: str, browser: Browser, backend: str) -> None:
    """Right on every backend; a date reads back ten rows of scores, and of h and c nothing."""
    pairs = json.loads((FOLDER / "heldout.json").read_text())[:20]
    with browser.page(address) as page:
        found = page.evaluate(DECODE, address, backend, [text for text, _ in pairs])
    assert [text for text, _ in found] == [iso for _, iso in pairs]
    if backend == "webgpu":
        assert {count for _, count in found} == {10 * DATE_BYTES}


# -- stepping --------------------------------------------------------------------------------------

CHARACTERS = EXAMPLES / "text_generation" / "char_lstm.h5"
TEXT = "to be, or not to"
SCORES = 36 * 4
OPEN: dict[str, Any] = {
    "input_shapes": {"input_layer": (dims.symbol("batch"), dims.symbol("time"), 36)}
}

# Windows of the model as it is, and the same characters one by one, from a reset state.
STEP = """async (url, backend, windows) => {
  const open = async (name) => {
    const { load } = await import(new URL(`${name}/index.js`, url).href);
    return load({ backendOrder: backend, allowSoftware: true });
  };
  const [whole, stepping] = [await open('windowed'), await open('stepping')];
  const scores = async (runner, data, steps) => {
    const out = await runner.run({ input_layer: { data, shape: [1, steps, 36] } });
    return Object.values(out)[0].data;
  };
  const found = { windows: [], steps: [], together: [], read: [] };
  for (const window of windows) {
    const steps = window.length / 36;
    found.windows.push(await scores(whole, window, steps));
    await stepping.states.reset();
    found.together.push(await scores(stepping, window, steps));
    await stepping.states.reset();
    let last;
    for (let k = 0; k < steps; k++) {
      const before = stepping.stats.bytesRead;
      last = await scores(stepping, window.slice(36 * k, 36 * (k + 1)), 1);
      found.read.push(stepping.stats.bytesRead - before);
    }
    found.steps.push(last);
  }
  await Promise.all([whole.dispose(), stepping.dispose()]);
  return found;
}"""

# What comes after a saved state: once it was run on, restored, chosen twice, and reset.
STATES = """async (url, backend, [first, second, third]) => {
  const { load } = await import(new URL('stepping/index.js', url).href);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const step = async (...rows) => {
    const data = rows.flatMap((row) => [...row]);
    const out = await runner.run({ input_layer: { data, shape: [rows.length, 1, 36] } });
    return Object.values(out)[0].data;
  };
  await step(first, second);
  const saved = await runner.states.save();
  const shapes = Object.entries(saved).map(([name, { shape }]) => [name, shape]);
  const straight = await step(third, third);
  await runner.states.restore(saved);
  const again = await step(third, third);
  await runner.states.restore(saved);
  await runner.states.select([1, 0, 0]);
  const selected = await step(third, third, third);
  await runner.states.reset();
  const fresh = await step(third);
  await runner.dispose();
  return { shapes, straight, again, selected, fresh };
}"""


@pytest.fixture(scope="module")
def stepping(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the character model, on windows and with carried states."""
    folder = tmp_path_factory.mktemp("characters")
    webconv.convert(CHARACTERS, folder / "windowed", **OPEN)
    webconv.convert(CHARACTERS, folder / "stepping", edits=Edits(stateful=("lstm",)), **OPEN)
    return browser.mount({"blank.html": b"<!doctype html>"}, folder)


@pytest.fixture
def page(stepping: str, browser: Browser) -> Iterator[Page]:
    with browser.page(f"{stepping}blank.html") as page:
        yield page


def one_hot(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(time, 36)"""
    alphabet = json.loads((CHARACTERS.parent / "alphabet.json").read_text())
    return np.eye(36, dtype=np.float32)[[alphabet.index(c) for c in text]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_character_at_a_time(stepping: str, page: Page, backend: str) -> None:
    """From the window's beginning on, steps end at the window's distribution."""
    windows = [one_hot(text) for text in (TEXT, "macbeth.\nthe nig", "x" * 16)]
    found = page.evaluate(STEP, stepping, backend, [w.ravel() for w in windows])
    reference = webconv.load(CHARACTERS)
    for k, window in enumerate(windows):
        (want,) = reference.run({"input_layer": window[None]}).values()
        for way in ("windows", "steps", "together"):
            np.testing.assert_allclose(found[way][k], want[0], rtol=1e-4, atol=1e-5)
    if backend == "webgpu":
        assert set(found["read"]) == {SCORES}


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_of_steps(stepping: str, page: Page, backend: str) -> None:
    """Saved, restored, reordered and reset, a batch of two."""
    letters = [*one_hot("abc")]
    found = page.evaluate(STATES, stepping, backend, letters)
    assert found["shapes"] == [["lstm/h", [2, 128]], ["lstm/c", [2, 128]]]
    straight = np.reshape(found["straight"], (2, 36))
    np.testing.assert_array_equal(np.reshape(found["again"], (2, 36)), straight)
    selected = np.reshape(found["selected"], (3, 36))
    np.testing.assert_allclose(selected, straight[[1, 0, 0]], rtol=1e-5, atol=1e-7)
    (want,) = webconv.load(CHARACTERS, **OPEN).run({"input_layer": letters[2][None, None]}).values()
    np.testing.assert_allclose(found["fresh"], want[0], rtol=1e-4, atol=1e-5)


BESIDE = """async (url, backend) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const found = [];
  const data = Float32Array.from({ length: 20 }, (_, k) => k);
  for (let k = 0; k < 3; k++) {
    const { doubled, tripled } = await runner.run({ x: { data, shape: [5, 4] } });
    for (const n of [1, 9]) {
      const wide = { data: new Float32Array(64 * n).fill(1), shape: [n, 64] };
      await runner.entry('other').run({ wide });
    }
    const { h, g } = await runner.states.save();
    found.push([doubled, tripled, h, g].map((tensor) => tensor.data));
  }
  await runner.dispose();
  return found;
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_entries_leave_states_alone(
    browser: Browser, backend: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """States of a batch of 5 stay, while another entry runs at batches of 1 and 9."""
    bundle = webconv.convert(beside_states(), tmp_path_factory.mktemp("beside") / "bundle")
    url = browser.mount({"blank.html": b"<!doctype html>"}, bundle.path)
    with browser.page(f"{url}blank.html") as page:
        found = page.evaluate(BESIDE, f"{url}index.js", backend)
    x = np.arange(20)
    for k, got in enumerate(found, 1):
        for array, want in zip(got, (1 + 2 * k * x, 3 * k * x, 0.5 + k * x, k * x), strict=True):
            np.testing.assert_allclose(array, want)


def test_models_are_small() -> None:
    """What is committed stays small."""
    for name in ("date_lstm", "date_repeat"):
        assert (FOLDER / f"{name}.keras").stat().st_size < 600_000
