"""An asyncio loop in a thread, whose coroutines plain code runs one at a time with a time limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from webconv.verify.errors import BrowserTimeoutError

T = TypeVar("T")


class EventLoop:
    """Runs coroutines in a daemon thread; any thread may call it, inside asyncio too."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="webconv-browser", daemon=True
        )
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], limit: float, what: str) -> T:
        """Wait for a coroutine; after `limit` seconds cancel it and raise BrowserTimeoutError."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(limit)
        except (FutureTimeoutError, CancelledError):
            future.cancel()
            raise BrowserTimeoutError(f"{what} took longer than {limit:g} s") from None
        except BaseException:
            # Ctrl-C, for one: nothing waits for the coroutine any more.
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    """Cancel every other task of the running loop and let each of them end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
