"""The word story: what TensorFlow computed, on every backend, and its page as a visitor uses it."""

from __future__ import annotations

import re

import onnx
import pytest

import webconv
from tests.browser.test_examples import EXAMPLES, POLICY, SCREENSHOTS, finish, wait
from webconv.api import Bundle
from webconv.cli import run
from webconv.verify.browser import Browser
from webconv.verify.page import Page

FOLDER = EXAMPLES / "story"
MODELS = ("story", "story_two_layers")
WORDS = (FOLDER / "belling_the_cat.txt").read_text(encoding="utf-8").split()


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    """The two models, converted for every backend next to the page."""
    return {
        name: webconv.convert(FOLDER / f"{name}.onnx", FOLDER / f"{name}_web", force=True)
        for name in MODELS
    }


@pytest.fixture(scope="module")
def address(bundles: dict[str, Bundle], browser: Browser) -> str:
    """The address of the page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return f"{browser.mount(EXAMPLES, csp=POLICY)}story/index.html?software=1&seed=1"


def click(page: Page, selector: str) -> None:
    """Click as a visitor does: where it can be seen."""
    page.call(lambda p: p.click(selector))


def click_words(page: Page, words: str) -> None:
    """Click a place in the fable for each word."""
    for word in words.split():
        click(page, f"#fable button:nth-child({WORDS.index(word) + 1})")


def told(page: Page) -> str:
    """What the page tells, in one line."""
    return re.sub(r"\s+", " ", page.text("#story")).strip()


@pytest.mark.parametrize(("name", "layers"), [("story", 1), ("story_two_layers", 2)])
def test_inspect_shows_lstm(name: str, layers: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The file has no LSTM, only what its cells compute; a layer of three cells is found as one."""
    written_out = onnx.load(FOLDER / f"{name}.onnx")
    assert not {"LSTM", "Scan", "Loop"} & {node.op_type for node in written_out.graph.node}
    assert run(["inspect", str(FOLDER / f"{name}.onnx")]) == 0
    found = re.findall(r"^LSTM +\S+ +(\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert found == ["3"] * layers


@pytest.mark.parametrize("name", MODELS)
def test_parity(bundles: dict[str, Bundle], browser: Browser, name: str) -> None:
    """Every backend computes what TensorFlow computed."""
    report = bundles[name].verify(
        browser=browser,
        inputs=[FOLDER / "windows.npz"],
        expect=[FOLDER / f"{name}_expect.npz"],
    )
    assert report.ok, report.failures()
    assert {result.backend for result in report.results} == {"wasm", "webgpu", "webgl"}


@pytest.mark.parametrize("backend", ["wasm", "webgpu", "webgl"])
@pytest.mark.parametrize("model", MODELS)
def test_page(address: str, browser: Browser, model: str, backend: str) -> None:
    """Three words begin the end of the fable; of all its words 199 are said right, which is all
    that can be."""
    with browser.page(f"{address}&backend={backend}&model={model}") as page:
        wait(page, "ready")
        click_words(page, "then the old")
        page.call(lambda p: p.fill("#pace", "60"))
        page.call(lambda p: p.fill("#length", "9"))
        click(page, "#continue")
        wait(page, "done")
        assert told(page) == "then the old mouse said it is easy to propose impossible remedies"
        assert page.text("#status").startswith(backend)
        click(page, "#measure")
        page.wait_for("() => document.querySelector('#accuracy').textContent.includes('%')")
        assert float(page.text("#accuracy").removesuffix("%").strip()) >= 90
        assert page.text("#status").startswith("199 of 201 right")
        finish(page, f"story_{model}_{backend}")


def test_any_three_words(address: str, browser: Browser) -> None:
    """Words that never stood together begin a story too; it stops when asked, and another word
    clicked ends it."""
    with browser.page(address) as page:
        wait(page, "ready")
        click_words(page, "bell young ribbon")
        assert told(page) == "bell young ribbon"
        page.call(lambda p: p.fill("#length", "40"))
        page.call(lambda p: p.fill("#pace", "60"))
        click(page, "#continue")
        wait(page, "done")
        words = re.sub(r"([.,?])", r" \1", told(page)).split()
        assert len(words) == 43
        assert set(words) <= set(WORDS)
        assert "40 words" in page.text("#status")
        page.screenshot(SCREENSHOTS / "story_any_three_words.png")
        page.call(lambda p: p.fill("#length", "1000"))
        click(page, "#continue")
        wait(page, "running")
        click_words(page, "mice")
        wait(page, "done")
        assert told(page) == "young ribbon mice"
        click(page, "#any")
        page.call(lambda p: p.check("[value=story_two_layers]"))
        wait(page, "ready")
        click(page, "#continue")
        wait(page, "running")
        click(page, "#stop")
        wait(page, "done")
        assert page.errors == []


def test_by_keyboard(address: str, browser: Browser) -> None:
    """The fable is one stop of the Tab key; arrow keys go from word to word, Enter chooses one."""
    with browser.page(address) as page:
        wait(page, "ready")
        page.call(lambda p: p.focus("nav a"))
        for key in ("Tab", *["ArrowRight"] * 4, "ArrowLeft", "Enter", "Tab", "ArrowRight"):
            page.call(lambda p, k=key: p.keyboard.press(k))
        wait(page, "ready")
        assert told(page) == "ago, the"
        assert page.evaluate("() => document.activeElement.value") == "story_two_layers"
        chosen = "#fable [aria-pressed=true]"
        count = page.evaluate("(s) => document.querySelectorAll(s).length", chosen)
        assert count == 3
