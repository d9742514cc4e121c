"""`make demo`: convert the text model, check it on every backend, write a text, print the parity.

With no browser it does the same on wasm in this process, and says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

import webconv
from webconv.ir.errors import BrowserError
from webconv.verify.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "text_generation"
TIMEOUT = 120


def main() -> None:
    """Run the demo; exit 1 if a backend computes something else than NumPy."""
    console = Console()
    console.print("[bold]Converting examples/text_generation/char_lstm.h5")
    bundle = webconv.convert(EXAMPLE / "char_lstm.h5", EXAMPLE / "char_lstm_web", force=True)
    try:
        with Browser() as browser:
            console.print(f"[bold]Checking every backend in Chromium {browser.version}")
            report = bundle.verify(browser=browser)
            console.print("[bold]Writing a text in the page")
            text = write_in_page(browser)
    except BrowserError as reason:
        console.print(f"[yellow]No browser ({reason}): the same on wasm, in this process")
        report = bundle.verify(backends=["wasm"], browser=None)
        text = write_in_process(bundle)
    console.print(text, style="italic", markup=False)
    console.print(report.table())
    if not report.ok:
        sys.exit(1)
    console.print("To play with it:  .venv/bin/webconv serve examples", highlight=False)


def write_in_page(browser: Browser) -> str:
    """Do what a visitor does; the text that the page shows."""
    url = browser.mount(ROOT / "examples")
    with browser.page(f"{url}text_generation/index.html?seed=7&software=1") as page:
        page.wait_for("() => document.body.dataset.state === 'ready'", timeout=TIMEOUT)
        page.call(lambda p: p.click("#generate"))
        page.wait_for("() => document.body.dataset.state === 'done'", timeout=TIMEOUT)
        return page.text("#output")


def write_in_process(bundle: webconv.Bundle) -> str:
    """The same text, the model stepped by wasmtime."""
    raise NotImplementedError


if __name__ == "__main__":
    main()
