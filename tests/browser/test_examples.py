"""The examples' pages, driven as a visitor would; a screenshot of each stays under `build/`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import webconv
from webconv.verify.browser import Browser
from webconv.verify.page import Page

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCREENSHOTS = ROOT / "build" / "screenshots"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'"
)
MODELS = (
    "hello_rnn/hello_rnn",
    "sentiment/sentiment",
    "sentiment/sentiment_stacked",
    "text_generation/char_lstm",
)
# The reviews are other people's, so they are not committed: the package has them.
HELD_OUT = """
import json
from train import FOLDER, choose_vocabulary, read_reviews, split, write_page_data
training, held_out = split(read_reviews())
words = choose_vocabulary(training["text"])
assert words == json.loads((FOLDER / "vocabulary.json").read_text())
write_page_data(held_out, words, {word: number for number, word in enumerate(words)})
"""


@pytest.fixture(scope="module")
def examples(browser: Browser) -> str:
    """The address of the examples, their bundles converted."""
    for model in MODELS:
        webconv.convert(EXAMPLES / f"{model}.h5", EXAMPLES / f"{model}_web", force=True)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return browser.mount(EXAMPLES, csp=POLICY)


@pytest.fixture(scope="module")
def held_out() -> list[dict[str, object]]:
    """The thousand reviews that the sentiment page measures itself with."""
    file = EXAMPLES / "sentiment" / "heldout.json"
    if not file.exists():
        environment = {**os.environ, "KERAS_BACKEND": "jax"}
        command = [sys.executable, "-c", HELD_OUT]
        subprocess.run(command, cwd=file.parent, env=environment, check=True)
    found: list[dict[str, object]] = json.loads(file.read_text())
    return found


def wait(page: Page, state: str) -> None:
    """Until the page is in `state`."""
    page.wait_for(f"() => document.body.dataset.state === '{state}'", timeout=120)


def finish(page: Page, name: str) -> None:
    """Keep a picture; nothing may have gone wrong."""
    page.screenshot(SCREENSHOTS / f"{name}.png")
    assert page.errors == []


def test_hello(examples: str, browser: Browser) -> None:
    with browser.page(f"{examples}hello_rnn/index.html") as page:
        page.wait_for("() => document.body.textContent.includes('0.3905')", timeout=60)
        finish(page, "hello_rnn")


@pytest.mark.parametrize("backend", ["wasm", "webgpu", "webgl"])
def test_text_generation(examples: str, browser: Browser, backend: str) -> None:
    """The same seed writes the same beginning on every backend."""
    address = f"{examples}text_generation/index.html?seed=7&software=1&backend={backend}"
    with browser.page(address) as page:
        wait(page, "ready")
        page.call(lambda p: p.fill("#length", "40"))
        page.call(lambda p: p.click("#generate"))
        wait(page, "done")
        assert page.text("#output").startswith("make upon a daughter with me")
        assert backend in page.text("#status")
        finish(page, f"text_generation_{backend}")


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
