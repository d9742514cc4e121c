"""Finds a Chromium on this machine, starts it headless, and opens pages in it.

Playwright drives it, from an event loop in a thread of its own. Its synchronous interface would be
shorter, but it has no time limit on `evaluate`, cannot be started twice in a thread (a test session
that holds a browser could not call `webconv verify`), and does not run inside asyncio or notebooks.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from webconv.ir.errors import BrowserError
from webconv.verify.errors import BrowserTimeoutError, NoBrowserError, ScriptError
from webconv.verify.event_loop import EventLoop
from webconv.verify.page import HARNESS, Page, harness_files
from webconv.verify.server import Server, Source

if TYPE_CHECKING:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import Playwright

__all__ = [
    "Attempt",
    "Browser",
    "BrowserError",
    "BrowserTimeoutError",
    "Candidate",
    "NoBrowserError",
    "ScriptError",
    "candidates",
    "find_browser",
]

FLAGS = (
    "--headless=new",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page or the browser itself asks for, nothing but this machine is reached.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)

ENVIRONMENT_VARIABLE = "WEBCONV_CHROMIUM"

PATH_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

MISSING_PLAYWRIGHT = (
    "driving a browser needs Playwright, which is not installed; run: pip install 'webconv[verify]'"
)

START_LIMIT = 60.0

# What a browser must be able to do here before it counts, and what reports say of it.
CAPABILITIES = """async () => {
  const adapter = await navigator.gpu?.requestAdapter();
  const { vendor, architecture, description } = adapter?.info ?? {};
  const gl = document.createElement('canvas').getContext('webgl2');
  const name = gl?.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL;
  return {
    webgpu: adapter ? [vendor, architecture, description].filter(Boolean).join(' ') : null,
    features: adapter ? [...adapter.features].sort() : [],
    webgl2: gl ? String(gl.getParameter(name ?? gl.RENDERER)) : null,
  };
}"""


@dataclass(frozen=True)
class Candidate:
    """A browser that may be on this machine: a channel of Playwright, or a program."""

    name: str
    channel: str | None = None
    program: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What came of starting a candidate: `reason` says why it does not do, None if it does.

    `webgpu` and `webgl2` name the adapters, `features` are those of the WebGPU adapter.
    """

    candidate: Candidate
    version: str | None = None
    webgpu: str | None = None
    webgl2: str | None = None
    features: tuple[str, ...] = ()
    reason: str | None = None


def candidates(environ: Mapping[str, str] = os.environ) -> tuple[Candidate, ...]:
    """List the browsers to try, in order.

    $WEBCONV_CHROMIUM, if set, is the only one: whoever names a browser is not to be given another
    in silence.
    """
    named = environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return (Candidate(f"${ENVIRONMENT_VARIABLE} {named}", program=named),)
    programs = ["/usr/bin/chromium", *(shutil.which(name) for name in PATH_NAMES)]
    found = dict.fromkeys(path for path in programs if path and Path(path).exists())
    return (
        Candidate("Playwright's chromium", channel="chromium"),
        *(Candidate(path, program=path) for path in found),
        # Playwright knows where Chrome's installer puts it on macOS and Windows.
        Candidate("Google Chrome", channel="chrome"),
    )


def find_browser(environ: Mapping[str, str] = os.environ) -> tuple[Attempt, ...]:
    """Start candidates until one works: the last attempt is that one, unless it has a reason too.

    Raises BrowserError only where Playwright itself is missing or does not start.
    """
    try:
        with Browser(environ=environ) as browser:
            return browser.attempts
    except NoBrowserError as error:
        return error.attempts


class Browser:
    """A headless Chromium with a web server, for as many pages and threads as need it.

    Entering starts it: NoBrowserError if there is none. `attempts` tells what was tried, the last
    one being this browser; `server` carries whatever `mount` is given. `timeout` in seconds is the
    limit of every later call that names no other.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        extra_flags: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.timeout = timeout
        self.attempts: tuple[Attempt, ...] = ()
        self.server: Server
        self._flags = (*FLAGS, *extra_flags)
        self._candidates = candidates(environ)
        self._loop: EventLoop
        self._playwright: Playwright
        self._browser: PlaywrightBrowser | None = None

    def __enter__(self) -> Self:
        try:
            from playwright.async_api import async_playwright
        except ImportError:
            raise BrowserError(MISSING_PLAYWRIGHT) from None
        self._loop, self.server = EventLoop(), Server()
        self.server.mount(HARNESS, harness_files())
        try:
            starting = async_playwright().start()
            self._playwright = self._loop.run(starting, START_LIMIT, "starting Playwright")
            self._start_first(self._candidates)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Name and version, such as `Chromium 156.0.8078.79`."""
        return self.attempts[-1].version or ""

    def mount(
        self,
        *sources: Source,
        prefix: str | None = None,
        csp: str | None = None,
        isolated: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve folders, dicts of bytes or functions under one URL; see `Server.mount`."""
        return self.server.mount(prefix, *sources, csp=csp, isolated=isolated, headers=headers)

    def page(self, url: str = f"{HARNESS}/", *, timeout: float | None = None) -> Page:
        """Open a URL or a path of the server, an empty page by default, with storage of its own."""
        limit = self.timeout if timeout is None else timeout
        page = self._open(limit)
        try:
            page.goto(url)
        except BrowserError:
            page.close()
            raise
        return page

    def close(self) -> None:
        """End the browser, its driver and the server; again is fine."""
        loop = self.__dict__.pop("_loop", None)
        if loop is None:
            return
        try:
            if self._browser is not None:
                loop.run(self._browser.close(), 10.0, "closing the browser")
        except BrowserTimeoutError:
            # The driver ends what it started when it goes.
            pass
        finally:
            if "_playwright" in self.__dict__:
                loop.run(self._playwright.stop(), 10.0, "stopping Playwright")
            loop.close()
            self.server.close()

    def _start_first(self, choice: Iterable[Candidate]) -> None:
        """Start the first candidate that counts, and keep it."""
        for candidate in choice:
            attempt = self._start(candidate)
            self.attempts = (*self.attempts, attempt)
            if attempt.reason is None:
                return
            self._discard()
        reasons = "; ".join(f"{tried.candidate.name}: {tried.reason}" for tried in self.attempts)
        raise NoBrowserError(
            f"no usable Chromium (install one, or set {ENVIRONMENT_VARIABLE} to its path): "
            f"{reasons}",
            self.attempts,
        )

    def _start(self, candidate: Candidate) -> Attempt:
        """Start one candidate, and say what it can do."""
        from playwright.async_api import Error

        launching = self._playwright.chromium.launch(
            channel=candidate.channel,
            executable_path=candidate.program,
            args=list(self._flags),
            timeout=1000 * START_LIMIT,
        )
        try:
            self._browser = self._loop.run(launching, START_LIMIT + 5, "starting the browser")
            with self._open(START_LIMIT) as page:
                page.goto(f"{HARNESS}/")
                facts = page.evaluate(CAPABILITIES)
        except (Error, BrowserError, ScriptError) as error:
            return Attempt(candidate, reason=_why(str(error)))
        return _judged(candidate, f"Chromium {self._browser.version}", facts)

    def _open(self, limit: float) -> Page:
        """Make a page, still without a URL."""
        if self._browser is None or not self._browser.is_connected():
            raise BrowserError("the browser is not running any more")
        return Page.open(self._browser, self._loop, self.server, limit)

    def _discard(self) -> None:
        """End a browser that started but does not count."""
        if self._browser is not None:
            self._loop.run(self._browser.close(), 10.0, "closing the browser")
            self._browser = None


def _judged(candidate: Candidate, version: str, facts: dict[str, Any]) -> Attempt:
    """Turn what CAPABILITIES found into an attempt: without a WebGPU adapter it does not count."""
    return Attempt(
        candidate,
        version=version,
        webgpu=facts["webgpu"],
        webgl2=facts["webgl2"],
        features=tuple(facts["features"]),
        reason=None if facts["webgpu"] else f"{version} starts, but has no WebGPU adapter",
    )


def _why(message: str) -> str:
    """Take the telling line out of Playwright's message, which has a page of log below it."""
    code = re.search(r"exitCode=(\w+)", message)
    if code:
        # It ended before it answered. Its own last words, a snap's for one, say why.
        words = re.findall(r"\[err\] (.*\S)", message)
        return f"it ended at once, exit code {code[1]}" + (f": {words[-1]}" if words else "")
    first = next(filter(None, message.splitlines()), "it does not start")
    return first.removeprefix("BrowserType.launch: ")
