"""`webconv doctor`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

import webconv
from webconv.cli.console import Console

PACKAGES = ("numpy", "h5py", "onnx", "jinja2", "wasmtime", "click", "rich", "playwright")


@click.command()
def command() -> int:
    """Say what this machine has: Python, packages, browsers and their adapters."""
    from webconv.ir.errors import BrowserError
    from webconv.verify.browser import find_browser

    console = Console()
    versions = [(name, _version(name)) for name in PACKAGES]
    console.say(f"webconv {webconv.__version__}, Python {platform.python_version()}")
    console.say(f"{platform.system()} {platform.release()} {platform.machine()}")
    console.table(("package", "version"), versions)
    try:
        attempts = find_browser()
    except BrowserError as error:
        console.say(f"browser: {error}")
        return 3
    rows = [
        (a.candidate.name, a.version or "", a.webgpu or "", a.webgl2 or "", a.reason or "works")
        for a in attempts
    ]
    console.table(("browser", "version", "webgpu", "webgl2", ""), rows)
    works = bool(attempts) and attempts[-1].reason is None
    if not works:
        console.say("verify needs a browser; --browser none checks wasm without one")
    return 0 if works else 3


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
