"""The example from PyTorch: what PyTorch itself computed, on every backend, and its page."""

from __future__ import annotations

import json

import numpy as np
import pytest

import webconv
from tests.browser.test_examples import EXAMPLES, POLICY, SCREENSHOTS, finish, wait
from webconv.api import Bundle
from webconv.passes.stages import stage
from webconv.verify.browser import Browser
from webconv.verify.page import Page

FOLDER = EXAMPLES / "from_pytorch"
MODELS = ("tagger", "encoder")
SIZES = ("short", "long")
# The same words are a name and a place, a time and a number, a name and a verb.
NOTE = """Ask Florence to be in Florence at 5.
Dr. Okafor paid 5 euros for 5 books on 5 May.

Did Mark mark the date?"""
FOUND = {
    "name": ["Florence", "Dr. Okafor", "Mark"],
    "place": ["Florence"],
    "date": ["5 May"],
    "time": ["5"],
    "number": ["5"],
    "money": ["5 euros"],
}


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
    return f"{browser.mount(EXAMPLES, csp=POLICY)}from_pytorch/index.html?software=1"


@pytest.mark.parametrize("name", MODELS)
def test_parity(bundles: dict[str, Bundle], browser: Browser, name: str) -> None:
    """Every backend computes what PyTorch computed, at two lengths and batches."""
    report = bundles[name].verify(
        browser=browser,
        inputs=[FOLDER / f"inputs_{size}.npz" for size in SIZES],
        expect=[FOLDER / f"{name}_expect_{size}.npz" for size in SIZES],
    )
    assert report.ok, report.failures()
    assert {result.backend for result in report.results} == {"wasm", "webgpu", "webgl"}


@pytest.mark.parametrize("name", MODELS)
def test_all_shapes_fold(name: str) -> None:
    """Batch and time stay open, and yet nothing is decided between kernels."""
    program = webconv.load(FOLDER / f"{name}.onnx")
    assert program.entries["main"].symbols == ("batch", "time")
    assert not any(schedule.names for schedule in stage(program).schedules.values())


def test_encoding(address: str, browser: Browser) -> None:
    """The page makes of a note what train.py makes of it."""
    alphabet = json.loads((FOLDER / "alphabet.json").read_text(encoding="utf-8"))
    expected = dict(np.load(FOLDER / "inputs_long.npz"))
    lines = [
        "".join(alphabet["characters"][i - alphabet["first"]] for i in row[:length])
        for row, length in zip(expected["characters"], expected["lengths"], strict=True)
    ]
    assert lines[-1] == "ok"
    script = """async (lines, alphabet) => {
        const { encode } = await import(new URL('tags.js', location.href).href);
        const { characters, lengths } = encode(lines.map((line) => [...line]), alphabet);
        const other = encode([['é', '€', '𝄞']], alphabet).characters;
        return [characters.data, lengths.data, characters.shape, [...other.data]];
    }"""
    with browser.page(address) as page:
        wait(page, "ready")
        data, lengths, shape, other = page.evaluate(script, lines, alphabet)
    np.testing.assert_array_equal(data.reshape(shape), expected["characters"])
    np.testing.assert_array_equal(lengths, expected["lengths"])
    assert other == [1, alphabet["characters"].index("€") + alphabet["first"], 1]


def found(page: Page) -> dict[str, list[str]]:
    """What the page lists under each tag."""
    script = "(tag) => [...document.getElementById(tag).children].map((m) => m.textContent)"
    return {tag: page.evaluate(script, tag) for tag in FOUND}


def test_typing(address: str, browser: Browser) -> None:
    """The tags follow each key: a word changes its tag with what comes after it."""
    with browser.page(address) as page:
        wait(page, "ready")
        page.call(lambda p: p.fill("#note", ""))
        page.call(lambda p: p.type("#note", "Meet me in Florence"))
        wait(page, "ready")
        assert found(page)["place"] == ["Florence"]
        page.call(lambda p: p.keyboard.type(" at 7"))
        wait(page, "ready")
        assert (found(page)["time"], found(page)["money"]) == (["7"], [])
        for _ in "at 7":
            page.call(lambda p: p.keyboard.press("Backspace"))
        page.call(lambda p: p.keyboard.type("for 7 euros"))
        wait(page, "ready")
        assert (found(page)["time"], found(page)["money"]) == ([], ["7 euros"])
        assert page.text("#marked").strip() == "Meet me in Florence for 7 euros"
        page.call(lambda p: p.get_by_text("mr tanaka").click())
        wait(page, "ready")
        assert found(page)["name"] == ["mr tanaka"]
        assert page.errors == []


@pytest.mark.parametrize("backend", ["wasm", "webgpu", "webgl"])
@pytest.mark.parametrize("model", MODELS)
def test_page(address: str, browser: Browser, model: str, backend: str) -> None:
    """Lines of different lengths, one of them empty, are one batch."""
    with browser.page(f"{address}&backend={backend}&model={model}") as page:
        wait(page, "ready")
        page.screenshot(SCREENSHOTS / f"from_pytorch_{model}_{backend}_first.png")
        page.call(lambda p: p.fill("#note", NOTE))
        wait(page, "ready")
        assert found(page) == FOUND
        assert page.text("#status").startswith(backend)
        finish(page, f"from_pytorch_{model}_{backend}")
