"""The page that lists the examples, and what all of their pages have in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.test_examples import EXAMPLES, SCREENSHOTS, wait
from webconv.verify.browser import Browser
from webconv.verify.page import Page

PAGES = sorted(path.parent.name for path in EXAMPLES.glob("*/index.html"))
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'"
LIMIT = 40_000
"""Bytes of a picture."""

# Every card by its link, with the picture that this window, of this scheme, shows.
CARDS = """async () => {
  const found = [];
  for (const card of document.querySelectorAll('.cards li')) {
    const image = card.querySelector('img');
    image.scrollIntoView();
    await image.decode();
    const { naturalWidth, naturalHeight, currentSrc, alt, loading } = image;
    const size = [naturalWidth, naturalHeight, image.width, image.height];
    const wants = [image.getAttribute('width'), image.getAttribute('height')].map(Number);
    const link = card.querySelector('a').getAttribute('href');
    found.push({ link, file: currentSrc.split('/').pop(), size, wants, alt, loading });
  }
  scrollTo(0, 0);
  return found;
}"""


@pytest.fixture(scope="module")
def address(browser: Browser) -> str:
    """The address of the examples, as a server with the strictest policy would give the list."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return browser.mount(EXAMPLES, csp=POLICY)


def resize(page: Page, width: int, scheme: str) -> None:
    """A window of this width, of a visitor who likes it light or dark."""
    page.call(lambda p: p.set_viewport_size({"width": width, "height": 800}))
    page.call(lambda p: p.emulate_media(color_scheme=scheme))


def fits(page: Page) -> bool:
    """Whether nothing stands out at the side."""
    return bool(
        page.call(lambda p: p.evaluate("document.documentElement.scrollWidth <= innerWidth"))
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cards(address: str, browser: Browser, width: int, scheme: str) -> None:
    """Every example has a card, whose picture loads, sharp for displays of two pixels a point."""
    with browser.page() as page:
        resize(page, width, scheme)
        page.goto(f"{address}index.html")
        cards = page.call(lambda p: p.evaluate(CARDS))
        assert sorted(card["link"] for card in cards) == [f"{name}/index.html" for name in PAGES]
        for card in cards:
            name = Path(card["link"]).parent.name
            assert card["file"] == f"{name}{'_dark' if scheme == 'dark' else ''}.webp"
            assert card["size"][:2] == card["wants"] == [800, 500]
            assert card["size"][2] <= 400
            assert card["size"][2] / card["size"][3] == pytest.approx(1.6, abs=0.01)
            assert len(card["alt"]) > 20
            assert card["loading"] == "lazy"
        assert fits(page)
        assert page.errors == []
        page.screenshot(SCREENSHOTS / f"gallery_{width}_{scheme}.png")


def test_pictures_are_small_and_used() -> None:
    """No file is left of an example that went."""
    pictures = {path.name: path.stat().st_size for path in (EXAMPLES / "gallery").iterdir()}
    assert sorted(pictures) == sorted(f"{n}{s}.webp" for n in PAGES for s in ("", "_dark"))
    assert max(pictures.values()) < LIMIT


def test_links(address: str, browser: Browser) -> None:
    """A click anywhere on a card, or Enter where the keyboard stands, opens its page."""
    with browser.page(f"{address}index.html") as page:
        for name in PAGES:
            card = f".cards li:has([href^={name}])"
            page.call(lambda p, c=card: p.click(c, position={"x": 20, "y": 20}))
            page.wait_for("() => location.pathname.split('/').length > 3")
            assert page.call(lambda p: p.evaluate("location.pathname")).endswith(
                f"{name}/index.html"
            )
            page.call(lambda p: p.click("nav a"))
            page.wait_for("() => document.querySelector('.cards')")
        page.call(lambda p: p.keyboard.press("Tab"))
        page.call(lambda p: p.keyboard.press("Enter"))
        page.wait_for("() => document.querySelector('#status')")


@pytest.mark.parametrize("name", PAGES)
def test_frame(name: str) -> None:
    """Every page states its policy, has a way back, a status that is read out, and a title."""
    html = (EXAMPLES / name / "index.html").read_text(encoding="utf-8")
    assert "script-src 'self' 'wasm-unsafe-eval'" in html
    assert "unsafe-inline" not in html
    assert '<a href="../index.html">' in html
    assert '<p id="status" role="status">' in html
    title = re.search(r"<title>(.+)</title>", html)
    assert title
    assert f"<h1>{title[1]}</h1>" in html


@pytest.mark.parametrize("name", PAGES)
def test_not_converted(name: str, browser: Browser) -> None:
    """Without its bundle a page says what is to be done, and fits a phone."""
    files = {
        str(path.relative_to(EXAMPLES)): path.read_bytes()
        for path in [*EXAMPLES.glob("*.*"), *(EXAMPLES / name).glob("*.*")]
        if path.suffix in (".html", ".css", ".js", ".json", ".txt")
    }
    with browser.page() as page:
        resize(page, 390, "light")
        page.goto(f"{browser.mount(files)}{name}/index.html")
        wait(page, "error")
        assert page.text("#status").endswith("README.md of the examples has the command.")
        assert fits(page)
        page.screenshot(SCREENSHOTS / f"{name}_not_converted.png")
