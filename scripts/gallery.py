"""Makes the pictures of `examples/index.html`: crops of the example pages while they are used.

    python -m scripts.gallery [example...]

Each page is driven in the browser as a visitor would, in light and in dark, and what the table says
is kept as `examples/gallery/<example>.webp` and `<example>_dark.webp`: 800 x 500 pixels, for cards
of up to 400. The bundles must be there; `examples/README.md` has the commands that make them.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webconv.verify.browser import Browser
from webconv.verify.page import Page

if TYPE_CHECKING:
    from playwright.async_api import Page as PlaywrightPage

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
GALLERY = EXAMPLES / "gallery"
WIDTH, HEIGHT = 800, 500
QUALITY = 82
SCHEMES = {"light": "", "dark": "_dark"}
LIMIT = 40_000
"""Bytes of a picture: a page of them must not be heavier than the models."""


@dataclass(frozen=True)
class Picture:
    """What to do on a page, and what of it to show.

    The window is `across` CSS pixels wide, and all of its width is shown from `above` the element
    `shows` on. Each step is a selector to click, or a selector and a text to fill in; then `until`
    must be true.
    """

    shows: str
    across: int = 480
    steps: Sequence[str | tuple[str, str]] = ()
    until: str = "document.body.dataset.state === 'done'"
    above: int = 16


READY = "['ready', 'done'].includes(document.body.dataset.state)"
NOTE = """Lunch with Florence on Tuesday at noon.
Two seats to Florence on 3 May for $340.
Did May Jordan pay you the 45 euros?
Will Mark move from Austin in March?
Call Dr. Lindqvist at 17:45 for 12 copies."""

PICTURES = {
    "captioning": Picture(
        "figure", 656, until="document.querySelector('#caption').dataset.verdict === 'true'"
    ),
    "hello_rnn": Picture("section.columns", 600),
    "sentiment": Picture("#form .wide", until=READY),
    "text_generation": Picture("#text", steps=[("#length", "300"), "[value=steps]", "#generate"]),
    "seq2seq": Picture(
        "#form",
        steps=[("#text", "twenty-first of December 2012")],
        until="document.querySelector('#date li:last-child b').textContent === '1'",
    ),
    "from_pytorch": Picture(
        ".note", 500, [("#note", NOTE)], "document.querySelector('#number mark')", above=40
    ),
    "story": Picture(
        "#story", steps=[("#pace", "60"), ("#length", "40"), "#any", "#continue"], above=50
    ),
}


def main(names: Sequence[str]) -> None:
    """Make the pictures of some examples, or of all."""
    GALLERY.mkdir(exist_ok=True)
    with Browser() as browser:
        url = browser.mount(EXAMPLES)
        for name in names or PICTURES:
            for scheme, suffix in SCHEMES.items():
                file = GALLERY / f"{name}{suffix}.webp"
                with browser.page() as page:
                    prefer(page, scheme)
                    drive(page, f"{url}{name}/index.html?seed=7", PICTURES[name])
                    file.write_bytes(page.call(lambda p, n=name: crop(p, PICTURES[n])))
                    size, errors = file.stat().st_size, page.errors
                print(f"{file.relative_to(EXAMPLES)}: {size} bytes")
                if errors or size > LIMIT:
                    sys.exit(f"{file.name}: {errors or f'more than {LIMIT} bytes'}")


def prefer(page: Page, scheme: str) -> None:
    """Be a visitor who likes it light or dark, and without motion: a bar is where it will be."""
    page.call(lambda p: p.emulate_media(color_scheme=scheme, reduced_motion="reduce"))


def drive(page: Page, url: str, picture: Picture) -> None:
    """Do what a visitor does, until there is something to see."""
    page.call(lambda p: p.set_viewport_size({"width": picture.across, "height": 2400}))
    page.goto(url)
    page.wait_for(f"() => {READY}")
    for step in picture.steps:
        if isinstance(step, str):
            page.call(lambda p, selector=step: p.click(selector))
        else:
            page.call(lambda p, field=step: p.fill(*field))
    page.wait_for(f"() => {picture.until}")
    # What was last clicked is not what the picture is about.
    page.call(lambda p: p.evaluate("document.activeElement.blur()"))


async def crop(page: PlaywrightPage, picture: Picture) -> bytes:
    """A WebP image, in twice the resolution of a card."""
    box: dict[str, Any] | None = await page.locator(picture.shows).bounding_box()
    assert box
    clip = {
        "x": 0,
        "y": box["y"] - picture.above,
        "width": picture.across,
        "height": picture.across * HEIGHT / WIDTH,
        "scale": WIDTH / picture.across,
    }
    session = await page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": QUALITY, "clip": clip}
    shot = await session.send("Page.captureScreenshot", options)
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main(sys.argv[1:])
