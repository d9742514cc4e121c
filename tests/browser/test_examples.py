"""The examples' pages, driven as a visitor would; a screenshot of each stays under `build/`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import webconv
from webconv.edits import Edits
from webconv.ir import dims
from webconv.verify.browser import Browser
from webconv.verify.page import Page
from webconv.verify.server import Reply

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCREENSHOTS = ROOT / "build" / "screenshots"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'"
)
MODELS: dict[str, dict[str, Any]] = {
    "hello_rnn/hello_rnn": {},
    "sentiment/sentiment": {},
    "sentiment/sentiment_stacked": {},
    "text_generation/char_lstm": {
        "edits": Edits(stateful=("lstm",)),
        "input_shapes": {"input_layer": (dims.symbol("batch"), dims.symbol("time"), 36)},
    },
}
BACKENDS = ("wasm", "webgpu", "webgl")


@pytest.fixture(scope="module")
def examples(browser: Browser) -> str:
    """The address of the examples, their bundles converted."""
    for model, options in MODELS.items():
        out = EXAMPLES / f"{model}_web"
        webconv.convert(EXAMPLES / f"{model}.h5", out, force=True, **options)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return browser.mount(EXAMPLES, csp=POLICY)


@pytest.fixture(scope="module")
def held_out() -> list[dict[str, object]]:
    """The thousand reviews that the sentiment page measures itself with. They are other people's,
    so they are not committed: the package has them."""
    file, vocabulary = (EXAMPLES / "sentiment" / f"{n}.json" for n in ("heldout", "vocabulary"))
    if not file.exists():
        before = vocabulary.read_bytes()
        environment = {**os.environ, "KERAS_BACKEND": "jax"}
        command = [sys.executable, "train.py", "--page-data"]
        subprocess.run(command, cwd=file.parent, env=environment, check=True)
        assert vocabulary.read_bytes() == before
    found: list[dict[str, object]] = json.loads(file.read_text())
    return found


def wait(page: Page, state: str) -> None:
    """Until the page is in `state`."""
    page.wait_for(f"() => document.body.dataset.state === '{state}'", timeout=120)


def finish(page: Page, name: str) -> None:
    """Keep a picture, and one of a phone in the dark, on which nothing may stand out at the side;
    nothing may have gone wrong."""
    page.screenshot(SCREENSHOTS / f"{name}.png")
    page.call(lambda p: p.set_viewport_size({"width": 390, "height": 844}))
    page.call(lambda p: p.emulate_media(color_scheme="dark"))
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(SCREENSHOTS / f"{name}_phone.png")
    assert page.errors == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_hello(examples: str, browser: Browser, backend: str) -> None:
    """The numbers of make.py; a field that is half typed changes nothing."""
    address = f"{examples}hello_rnn/index.html?software=1&backend={backend}"
    with browser.page(address) as page:
        wait(page, "done")
        assert re.findall(r"-?\d\.\d{4}", page.text("#output")) == FIRST_SHOWN
        page.call(lambda p: p.fill("#inputs input", ""))
        page.call(lambda p: p.fill("#inputs input", "1"))
        wait(page, "done")
        assert re.findall(r"-?\d\.\d{4}", page.text("#output")) == FIRST_SHOWN
        assert page.text("#status").startswith(backend)
        finish(page, f"hello_rnn_{backend}")


FIRST_SHOWN = ["0.3905", "-0.2439", "-0.2640", "-0.6631"]
WRITTEN = {
    "window": "make upon a daughter with me to her and ",
    "steps": "make the part of the world and a head, a",
}
"""What the page writes with seed 7, at temperature 0.5."""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reads", ["window", "steps"])
def test_text_generation(examples: str, browser: Browser, backend: str, reads: str) -> None:
    """The same seed writes the same beginning on every backend."""
    address = f"{examples}text_generation/index.html?seed=7&software=1&backend={backend}"
    with browser.page(address) as page:
        wait(page, "ready")
        page.call(lambda p: p.check(f"[value={reads}]"))
        page.call(lambda p: p.fill("#length", "40"))
        page.call(lambda p: p.click("#generate"))
        wait(page, "done")
        assert (
            page.evaluate("() => document.querySelector('#output').textContent") == (WRITTEN[reads])
        )
        assert re.fullmatch(r"\d+\.\d\d ms", page.text(f"#{reads}-time"))
        assert page.text("#status").startswith(backend)
        finish(page, f"text_generation_{reads}_{backend}")


def test_another_beginning(examples: str, browser: Browser) -> None:
    """It stops when asked; a new beginning starts from nothing, whatever was read before."""
    # On WebGL in software, since on wasm it could be done before it is stopped.
    address = f"{examples}text_generation/index.html?seed=7&reads=steps&backend=webgl&software=1"
    with browser.page(address) as page:
        wait(page, "ready")
        page.call(lambda p: p.fill("#length", "10000"))
        page.call(lambda p: p.click("#generate"))
        page.wait_for("() => document.querySelector('#output').textContent.length > 40")
        page.call(lambda p: p.click("#stop"))
        wait(page, "done")
        text = page.evaluate("() => document.querySelector('#output').textContent")
        assert text.startswith(WRITTEN["steps"])
        assert len(text) < 10000
        page.call(lambda p: p.fill("#length", "60"))
        found = []
        for beginning in ("prospero. my lord", "macbeth. the night", "prospero. my lord"):
            page.call(lambda p, t=beginning: p.get_by_text(t).click())
            page.call(lambda p: p.click("#generate"))
            wait(page, "done")
            found.append(page.text("#text"))
        assert found[0].startswith("prospero.\nmy lord, the sea ")
        assert found[0] == found[2] != found[1]
        finish(page, "text_generation_beginnings")


# What both ways of writing say of the next character when the text goes on as `text`, the steps
# twice; and what one run over the beginning says, beside a run for each character of it.
FOLLOW = """async (backend, begin, text) => {
  const { load } = await import(new URL('char_lstm_web/index.js', location.href).href);
  const { read, write } = await import(new URL('generate.js', location.href).href);
  const alphabet = await (await fetch('alphabet.json')).json();
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const follow = async (way) => {
    const found = [];
    const choose = (probabilities) => {
      found.push(probabilities);
      return alphabet.indexOf(text[found.length - 1]);
    };
    for await (const _ of write(runner, begin, alphabet, way, choose)) {
      if (found.length === text.length) return found;
    }
  };
  const windows = await follow('window');
  const steps = [await follow('steps'), await follow('steps')];
  await runner.states.reset();
  let last;
  for (const character of begin) last = await read(runner, character, alphabet);
  await runner.dispose();
  return { windows, steps, last };
}"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_equal_windows(examples: str, browser: Browser, backend: str) -> None:
    """A step says what one run over all of the text would, from a new beginning each time; sixteen
    steps, so, end at what the window says."""
    begin, text = "\n\nmacbeth.\nto-ni", "ght we sleep no more"
    assert len(begin) == 16
    model = EXAMPLES / "text_generation" / "char_lstm.h5"
    whole = webconv.load(model, **{**MODELS["text_generation/char_lstm"], "edits": Edits()})

    def wanted(seen: str) -> np.ndarray[Any, Any]:
        (found,) = whole.run({"input_layer": one_hot(seen)}).values()
        return found[0]

    with browser.page(f"{examples}text_generation/index.html") as page:
        found = page.evaluate(FOLLOW, backend, begin, text)
    seen = [begin + text[:k] for k in range(len(text))]
    windows, steps = np.array(found["windows"]), np.array(found["steps"])
    near = {"rtol": 0, "atol": 1e-5}
    np.testing.assert_array_equal(steps[0], steps[1])
    np.testing.assert_allclose(steps[0], [wanted(read) for read in seen], **near)
    np.testing.assert_allclose(windows, [wanted(read[-16:]) for read in seen], **near)
    np.testing.assert_allclose(found["last"], windows[0], **near)
    assert np.abs(steps[0] - windows).max() > 0.01


def one_hot(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(1, time, 36)"""
    alphabet = json.loads((EXAMPLES / "text_generation" / "alphabet.json").read_text())
    return np.eye(36, dtype=np.float32)[[[alphabet.index(character) for character in text]]]


# What the pages' own modules make of the texts that the training scripts made something of.
ENCODE_CHARACTERS = """async (texts) => {
  const { lastWindow, normalise } = await import(new URL('generate.js', location.href).href);
  const alphabet = await (await fetch('alphabet.json')).json();
  return texts.map((text) =>
    [...lastWindow(normalise(text, alphabet))].map((character) => alphabet.indexOf(character)));
}"""
ENCODE_WORDS = """async (texts) => {
  const { encode, idsByWord } = await import(new URL('tokenise.js', location.href).href);
  const ids = idsByWord(await (await fetch('vocabulary.json')).json());
  return texts.map((text) => [...encode(text, ids)]);
}"""


@pytest.mark.parametrize(
    ("example", "file", "key", "script"),
    [
        ("text_generation", "encoded.json", "indices", ENCODE_CHARACTERS),
        ("sentiment", "tokens.json", "ids", ENCODE_WORDS),
    ],
)
def test_encoding(
    examples: str, browser: Browser, example: str, file: str, key: str, script: str
) -> None:
    """A page makes of a text what its train.py makes of it."""
    cases = json.loads((EXAMPLES / example / file).read_text(encoding="utf-8"))
    with browser.page(f"{examples}{example}/index.html") as page:
        assert page.evaluate(script, [case["text"] for case in cases]) == [c[key] for c in cases]


@pytest.mark.parametrize("model", ["sentiment", "sentiment_stacked"])
def test_sentiment(
    examples: str, browser: Browser, held_out: list[dict[str, object]], model: str
) -> None:
    """At least 82 % right on held-out reviews as typed, through the page's own code."""
    assert len(held_out) == 1000
    with browser.page(f"{examples}sentiment/index.html?model={model}") as page:
        page.wait_for("() => document.body.dataset.state !== 'running'", timeout=60)
        page.call(lambda p: p.get_by_text("Measure", exact=True).click())
        page.wait_for(
            "() => document.querySelector('#accuracy').textContent.includes('%')", timeout=120
        )
        wait(page, "done")
        assert float(page.text("#accuracy").removesuffix("%").strip()) >= 82
        finish(page, model)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sentiment_as_typed(examples: str, browser: Browser, backend: str) -> None:
    """The verdict follows the text; words that are not read are told apart."""
    address = f"{examples}sentiment/index.html?software=1&backend={backend}"
    with browser.page(address) as page:
        wait(page, "ready")
        assert page.text("#verdict") == "73 % positive"
        page.call(lambda p: p.click("#examples button"))
        wait(page, "ready")
        bad = int(page.text("#verdict").split()[0])
        page.call(lambda p: p.fill("#review", "Wonderful, a zyzzyva of a film, I loved it"))
        wait(page, "ready")
        good = int(page.text("#verdict").split()[0])
        assert bad < 10
        assert good > 90
        assert page.text("#words .unknown") == "zyzzyva"
        assert page.text("#status").startswith(backend)
        finish(page, f"sentiment_typed_{backend}")


def test_no_backend(examples: str, browser: Browser) -> None:
    """A page that cannot have the backend it was told to take says why, and what else there is."""
    with browser.page(f"{examples}hello_rnn/index.html?backend=webgpu") as page:
        wait(page, "error")
        assert re.match(r"no backend could start: webgpu: .*software", page.text("#status"))
        assert page.text("#status").endswith("with ?software=1 also a GPU in software.")
        page.screenshot(SCREENSHOTS / "no_backend.png")


def test_nothing_to_measure_with(browser: Browser, examples: str) -> None:
    """Where the held-out reviews are absent, the page says what writes them."""
    gone = {"sentiment/heldout.json": Reply(b"", 404)}
    url = browser.mount(gone.get, EXAMPLES, csp=POLICY)
    with browser.page(f"{url}sentiment/index.html") as page:
        wait(page, "ready")
        page.call(lambda p: p.click("#measure"))
        wait(page, "error")
        assert page.text("#status") == ("heldout.json is not there: README.md says what writes it.")
