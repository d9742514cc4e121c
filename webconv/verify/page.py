"""One page of a running browser: call JavaScript in it, with arrays, and read what it logged."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webconv.ir.errors import BrowserError
from webconv.verify.errors import ScriptError
from webconv.verify.event_loop import EventLoop
from webconv.verify.server import Server
from webconv.verify.transfer import pack, unpack

if TYPE_CHECKING:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import ConsoleMessage, Error
    from playwright.async_api import Page as PlaywrightPage

T = TypeVar("T")

HARNESS = "_webconv/page"
"""Where every server of a browser has an empty page and `transfer.js`."""

# Larger packets go through the server. A request costs about 5 ms, this much base64 about 1 ms.
INLINE = 1 << 15

# Playwright gives up by its own clock a little earlier than we do: its messages say more.
GRACE = 2.0


@dataclass(frozen=True)
class Logged:
    """A console message: its kind (`log`, `warning`, `error`, ...), text and place."""

    kind: str
    text: str
    where: str


class Page:
    """A page with storage and cache of its own; made by `Browser.page`, closed by `close`.

    `console` is everything logged so far, `errors` the console errors and uncaught exceptions in
    it, failed requests included, as text.
    """

    def __init__(self, raw: PlaywrightPage, loop: EventLoop, server: Server, timeout: float):
        self.console: list[Logged] = []
        self.errors: list[str] = []
        self.timeout = timeout
        self._raw = raw
        self._loop = loop
        self._server = server
        self._closed = False

    @classmethod
    def open(
        cls, browser: PlaywrightBrowser, loop: EventLoop, server: Server, timeout: float
    ) -> Self:
        """Make an empty page that listens to its console and errors."""

        # Subscribing sends a message, so it is done in the loop: Playwright has no locks.
        async def opened() -> Self:
            page = cls(await browser.new_page(), loop, server, timeout)
            page._listen()
            return page

        return loop.run(_translated(opened()), timeout, "opening a page")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def evaluate(self, function: str, *args: object, timeout: float | None = None) -> Any:
        """Call a JavaScript function, async or not, with `args`; gives what it returns.

        Arguments are JSON values, NumPy arrays of any shape (which arrive as flat typed arrays)
        and `bytes`, nested as needed; typed arrays in the result come back as one-dimensional
        arrays. What the function throws is raised as ScriptError. `timeout` is in seconds.
        """
        order = self._order(pack(args))
        # Imported here, and not from a string in the page: that would need `unsafe-eval`.
        expression = f"async ([url, order]) => (await import(url)).call(order, ({function}\n))"
        module = f"{self._server.url}{HARNESS}/transfer.js"
        try:
            inline = self.call(lambda page: page.evaluate(expression, [module, order]), timeout)
        finally:
            self._server.take(order["inbox"])
            posted = self._server.take(order["outbox"])
        return _result(posted if inline is None else base64.b64decode(inline))

    def _order(self, packet: bytes) -> dict[str, Any]:
        """Make what `transfer.js` takes: a small packet itself, or the path of a large one."""
        small = len(packet) <= INLINE
        return {
            "packet": base64.b64encode(packet).decode() if small else None,
            "inbox": "" if small else self._server.offer(packet),
            "outbox": self._server.address(),
            "inline": INLINE,
        }

    def call(
        self, action: Callable[[PlaywrightPage], Awaitable[T]], timeout: float | None = None
    ) -> T:
        """Do anything that Playwright's async page can: `page.call(lambda p: p.click('#go'))`."""

        async def acted() -> T:
            return await action(self._raw)

        limit = self.timeout if timeout is None else timeout
        return self._loop.run(_translated(acted()), limit, "the page")

    def goto(self, url: str, timeout: float | None = None) -> None:
        """Open a URL, or a path of the server, and wait for its load event."""
        target = url if "://" in url else self._server.url + url.lstrip("/")
        limit = self.timeout if timeout is None else timeout
        self.call(lambda page: page.goto(target, timeout=1000 * limit), limit + GRACE)

    def wait_for(self, condition: str, timeout: float | None = None) -> None:
        """Wait until a JavaScript expression is true."""
        limit = self.timeout if timeout is None else timeout
        self.call(
            lambda page: page.wait_for_function(condition, timeout=1000 * limit), limit + GRACE
        )

    def text(self, selector: str) -> str:
        """Give the text of the one element that a CSS selector finds, as the page shows it."""
        return self.call(lambda page: page.locator(selector).inner_text())

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.call(lambda page: page.screenshot(path=path, full_page=True))

    def close(self) -> None:
        """Close the page; one that hangs is left to the end of the browser."""
        if self._closed:
            return
        self._closed = True
        # One that hangs or is gone already leaves nothing to close.
        with contextlib.suppress(BrowserError):
            self.call(lambda page: page.context.close(), 5.0)

    def _listen(self) -> None:
        self._raw.on("console", self._on_console)
        self._raw.on("pageerror", self._on_error)
        self._raw.on("crash", lambda _: self.errors.append("the page's process crashed"))

    def _on_console(self, message: ConsoleMessage) -> None:
        place = message.location
        where = f"{place['url']}:{place['lineNumber'] + 1}"
        self.console.append(Logged(message.type, message.text, where))
        if message.type == "error":
            self.errors.append(f"{message.text} ({where})")

    def _on_error(self, error: Error) -> None:
        self.errors.append(error.stack or error.message)


def harness_files() -> dict[str, bytes]:
    """Give the files to mount at HARNESS."""
    script = resources.files("webconv.verify").joinpath("transfer.js").read_bytes()
    blank = b"<!doctype html><html lang=en><meta charset=utf-8><title>webconv</title></html>\n"
    return {"index.html": blank, "transfer.js": script}


async def _translated(action: Awaitable[T]) -> T:
    """Await Playwright, whose errors become BrowserError with the same text."""
    from playwright.async_api import Error

    try:
        return await action
    except Error as error:
        raise BrowserError(f"the page: {error.message}") from error


def _result(packet: bytes | None) -> Any:
    """Unpack what `transfer.js` posted: a value, or an error to raise."""
    if packet is None:
        raise BrowserError("the page: it did not send its result")
    reply = unpack(packet)
    if "error" in reply:
        raise ScriptError(**reply["error"])
    return reply["value"]
