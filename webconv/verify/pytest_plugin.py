"""The pytest fixture `webconv_browser`: one headless browser for a whole test session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from webconv.verify.browser import Browser


@pytest.fixture(scope="session")
def webconv_browser() -> Iterator[Browser]:
    """A running browser for `assert_parity`; tests that ask for it are skipped where none is."""
    from webconv.verify.browser import Browser, BrowserError

    browser = Browser()
    try:
        browser.__enter__()
    except BrowserError as error:
        pytest.skip(f"no browser: {error}")
    try:
        yield browser
    finally:
        browser.close()
