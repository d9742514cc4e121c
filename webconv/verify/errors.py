"""What can go wrong between this process and a page, below the tree of `webconv.ir.errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webconv.ir.errors import BrowserError, WebconvError

if TYPE_CHECKING:
    from webconv.verify.browser import Attempt


class NoBrowserError(BrowserError):
    """No browser on this machine does; `attempts` lists what was tried and why it does not."""

    def __init__(self, message: str, attempts: tuple[Attempt, ...]) -> None:
        super().__init__(message)
        self.attempts = attempts


class BrowserTimeoutError(BrowserError):
    """The browser did not finish within the time limit of the call."""


class ScriptError(WebconvError):
    """JavaScript threw: `name`, `text`, `stack` are the error's, `code` its code if it has one.

    `code` is a string for a `WebconvError` of the runner and None for most others.
    """

    def __init__(self, name: str, message: str, code: str | None, stack: str) -> None:
        super().__init__(f"{name}: {message}" if code is None else f"{name} {code}: {message}")
        self.name = name
        self.text = message
        self.code = code
        self.stack = stack
