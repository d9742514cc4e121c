"""A small web server for bundles, test pages and the arrays that travel to and from a page.

It listens on one port, by default an ephemeral one of 127.0.0.1. Folders, in-memory files and
functions are mounted under URL prefixes, each with headers of its own, so that one server carries a
whole test session. `webconv serve` uses it too.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit

# Browsers refuse a module script or a streamed wasm module of another type, and the operating
# system's table (module `mimetypes`) differs between machines.
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

CROSS_ORIGIN_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# A stalled connection gives its thread back after this many seconds.
CONNECTION_TIMEOUT = 120.0

PARCELS = "_webconv/parcel"


@dataclass(frozen=True)
class Reply:
    """What one URL answers: bytes or a file, a status, and headers that override the mount's."""

    body: bytes | Path
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Source = Path | Mapping[str, bytes] | Callable[[str], Reply | None]
"""A folder, files by their path below the mount, or a function from that path to a reply."""


@dataclass(frozen=True)
class Mount:
    """The sources below one URL prefix, asked in order, and the headers of all their replies."""

    sources: tuple[Source, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Visit:
    """One answered GET or HEAD request, as `Server.visits` lists them."""

    path: str
    status: int
    size: int


class Server:
    """Serves mounted sources from a daemon thread; close it or use it as a context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.visits: list[Visit] = []
        self._mounts: dict[str, Mount] = {}
        self._parcels: dict[str, bytes] = {}
        self._numbers = count(1)
        self._http = _HttpServer((host, port), self)
        self.url = f"http://{host}:{self._http.server_port}/"
        # The default poll of half a second would be the time that closing takes.
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="webconv-server", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def mount(
        self,
        prefix: str | None,
        *sources: Source,
        csp: str | None = None,
        isolated: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve `sources` below `prefix`, or below a new one if it is None; gives the URL.

        The first source that has a path answers it; a mount of the same prefix is replaced. `csp`
        is a Content-Security-Policy, `isolated` adds the headers that make a page cross-origin
        isolated. Nothing is cached by the browser unless `headers` says so.
        """
        name = f"mount-{next(self._numbers)}" if prefix is None else prefix.strip("/")
        named: dict[str, str] = {"Cache-Control": "no-store"}
        if csp is not None:
            named["Content-Security-Policy"] = csp
        if isolated:
            named |= CROSS_ORIGIN_ISOLATION
        self._mounts[name] = Mount(sources, named | dict(headers or {}))
        return self.url + (quote(name) + "/" if name else "")

    def unmount(self, url: str) -> None:
        """Stop serving what `mount` gave this URL for."""
        del self._mounts[unquote(url.removeprefix(self.url)).strip("/")]

    def offer(self, body: bytes) -> str:
        """Hold bytes for one GET by a page; gives their path on this server."""
        path = self.address()
        self._parcels[path] = body
        return path

    def address(self) -> str:
        """Give a fresh path to which a page may POST bytes, and from which `take` has them."""
        return f"/{PARCELS}/{next(self._numbers)}"

    def take(self, path: str) -> bytes | None:
        """Give and forget the bytes at `path`, None if nothing came."""
        return self._parcels.pop(path, None)

    def receive(self, path: str, body: bytes) -> None:
        """Keep what a page posted to `path` until `take` asks for it."""
        self._parcels[path] = body

    def reply(self, path: str) -> Reply:
        """Answer a decoded URL path such as `/demo/index.js`."""
        parcel = self.take(path)
        if parcel is not None:
            return Reply(parcel)
        for prefix, mount in self._matching(path):
            inner = path[len(prefix) + 1 :].lstrip("/") if prefix else path[1:]
            for source in mount.sources:
                found = lookup(source, inner)
                if found is not None:
                    return Reply(found.body, found.status, {**mount.headers, **found.headers})
        if path == "/favicon.ico":
            # Asked for by the browser itself; a 404 would stand among the page's console errors.
            return Reply(b"", 204)
        return Reply(b"not found\n", 404, {"Content-Type": CONTENT_TYPES[".txt"]})

    def _matching(self, path: str) -> list[tuple[str, Mount]]:
        """Mounts whose prefix the path lies below, the longest first."""
        found = [
            (prefix, mount)
            for prefix, mount in list(self._mounts.items())
            if not prefix or path.startswith(f"/{prefix}/")
        ]
        return sorted(found, key=lambda item: -len(item[0]))


def lookup(source: Source, path: str) -> Reply | None:
    """Find a path below a source: a folder's own files only, `index.html` for a folder."""
    if callable(source):
        found = source(path)
        if found is None:
            return None
        return Reply(found.body, found.status, {**content_type(path), **found.headers})
    name = path + "index.html" if path == "" or path.endswith("/") else path
    if isinstance(source, Path):
        root = source.resolve()
        file = (root / name).resolve()
        inside = file.is_relative_to(root) and file.is_file()
        return Reply(file, headers=content_type(name)) if inside else None
    body = source.get(name)
    return None if body is None else Reply(body, headers=content_type(name))


def content_type(path: str) -> dict[str, str]:
    """Give the Content-Type header for a file name, application/octet-stream if unknown."""
    name = path + "index.html" if path == "" or path.endswith("/") else path
    suffix = PurePosixPath(name).suffix.lower()
    return {"Content-Type": CONTENT_TYPES.get(suffix, "application/octet-stream")}


class _HttpServer(ThreadingHTTPServer):
    """One thread a connection, none of which holds up the end of the program."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: Server) -> None:
        super().__init__(address, _Handler)
        self.owner = owner

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that break off: a browser does that whenever a page closes."""


class _Handler(BaseHTTPRequestHandler):
    """Translates between HTTP and `Server.reply` / `Server.receive`."""

    protocol_version = "HTTP/1.1"
    timeout = CONNECTION_TIMEOUT
    # Headers and body are two writes; Nagle's algorithm would hold the second for 40 ms.
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_GET(self) -> None:
        """Answer with headers and body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with headers alone."""
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Keep a posted parcel."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        known = self.path.startswith(f"/{PARCELS}/")
        if known:
            self.server.owner.receive(self.path, body)
        self.send_response(204 if known else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        reply = self.server.owner.reply(path)
        size = reply.body.stat().st_size if isinstance(reply.body, Path) else len(reply.body)
        self.server.owner.visits.append(Visit(path, reply.status, size))
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(size), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body and isinstance(reply.body, Path):
            with reply.body.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)
        elif with_body and isinstance(reply.body, bytes):
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `Server.visits` is the log."""
