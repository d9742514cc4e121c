"""webconv compiles trained models to folders that a web page imports."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# PEP 562: `import webconv.ir` and `webconv --version` must not pay for frontends and backends.
_LAZY = {
    "load": "webconv.api",
    "convert": "webconv.api",
    "Bundle": "webconv.api",
    "Program": "webconv.ir.graph",
    "Dim": "webconv.frontends.chainer.example",
    "example": "webconv.frontends.chainer.example",
    "WebconvError": "webconv.ir.errors",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'webconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
