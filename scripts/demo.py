"""`make demo`: convert the text model, check it on every backend, write a text, print the parity.

With no browser it does the same on wasm in this process, and says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import webconv
from webconv.cli.console import Console
from webconv.cli.verify import show
from webconv.edits import Edits
from webconv.ir import dims
from webconv.ir.errors import BrowserError
from webconv.verify.browser import Browser
from webconv.verify.machines import instantiate

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "text_generation"
TIMEOUT = 120
LENGTH, TEMPERATURE = 400, 0.5
ALPHABET = json.loads((EXAMPLE / "alphabet.json").read_text())
SHAPE = (dims.symbol("batch"), dims.symbol("time"), len(ALPHABET))


def main() -> None:
    """Run the demo; exit 1 if a backend computes something else than NumPy."""
    console = Console()
    console.say("Converting examples/text_generation/char_lstm.h5")
    bundle = webconv.convert(
        EXAMPLE / "char_lstm.h5",
        EXAMPLE / "char_lstm_web",
        force=True,
        input_shapes={"input_layer": SHAPE},
        edits=Edits(stateful=("lstm",)),
    )
    try:
        with Browser() as browser:
            console.say(f"Checking every backend in {browser.version}")
            report = bundle.verify(browser=browser)
            console.say("Writing a text in the page")
            text = write_in_page(browser)
    except BrowserError as reason:
        console.say(f"No browser, so the same on wasm, in this process. ({reason})")
        report = bundle.verify(backends=["wasm"], browser="none")
        text = write_in_process(bundle)
    console.say(f"\n{text}\n")
    show(report, console)
    if not report.ok:
        sys.exit(1)
    console.say("To play with it:  .venv/bin/webconv serve examples")


def write_in_page(browser: Browser) -> str:
    """Do what a visitor does; the text that the page shows."""
    url = browser.mount(ROOT / "examples")
    with browser.page(f"{url}text_generation/index.html?seed=7&software=1") as page:
        page.wait_for("() => document.body.dataset.state === 'ready'", timeout=TIMEOUT)
        page.call(lambda p: p.click("#generate"))
        page.wait_for("() => document.body.dataset.state === 'done'", timeout=TIMEOUT)
        return page.text("#output")


def write_in_process(bundle: webconv.Bundle) -> str:
    """A text by the bundle's wasm module, a character at a time, at the page's temperature."""
    seed = json.loads((EXAMPLE / "seeds.json").read_text())[0]
    instance, rng = instantiate(bundle), np.random.default_rng(7)
    (name,), (result,) = bundle.program.main.inputs, bundle.program.main.outputs
    text = unread = seed
    for _ in range(LENGTH):
        indices = [ALPHABET.index(character) for character in unread]
        characters = np.eye(len(ALPHABET), dtype=np.float32)[None, indices]
        chances = instance.run({name: characters})[result][0].astype(np.float64)
        chances **= 1 / TEMPERATURE
        unread = ALPHABET[rng.choice(len(ALPHABET), p=chances / chances.sum())]
        text += unread
    return text[len(seed) :]


if __name__ == "__main__":
    main()
