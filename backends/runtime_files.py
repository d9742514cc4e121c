"""Which files of the runner a bundle holds. They are copied as they are, without comments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

SHARED = (
    *("entry.js", "errors.js", "files.js", "runner.js", "shape.js", "states.js", "tensor.js"),
    *("adapter.js", "argmax.js", "availability.js", "page.js", "page.css", "types.d.ts"),
)
# What a session consists of beside `session-<backend>.js`.
PARTS = {"webgl": ("textures-webgl.js",)}

# A JSDoc block or whole-line comment with its line end; a type cast within a line.
_COMMENT = re.compile(
    r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL
)
_CAST = re.compile(r"/\*\* @type \{[^\n]*?\} \*/ ?")


def without_comments(source: str) -> str:
    """JavaScript of ours without JSDoc and comments of whole lines; the file's header stays."""
    header = re.match(r"(?://[^\n]*\n)*", source)
    assert header is not None
    body = _CAST.sub("", _COMMENT.sub("", source[header.end() :]))
    return header[0] + re.sub(r"\n{3,}", "\n\n", body)


def runtime_files(backends: Iterable[str]) -> dict[str, bytes]:
    """The contents of `runtime/` by path, with the sessions of `backends`."""
    folder = resources.files("webconv.runtime_js") / "src"
    names = [*SHARED, *(f for b in backends for f in (f"session-{b}.js", *PARTS.get(b, ())))]
    out = {}
    for name in names:
        text = (folder / name).read_text("utf-8")
        out[f"runtime/{name}"] = (without_comments(text) if name.endswith(".js") else text).encode()
    return out
