"""Which files of the runner a bundle holds: modules joined by use, without comments.

A browser learns of a module's imports only when it has the module, so every level of imports costs
a round trip. The runner's modules go into one file, each session's into another; the entry of a
single backend holds all that it needs. Joining is text only, for our own sources: local imports
leave, and top-level names must differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from webconv.ir.errors import GraphError

RUNNER = (
    *("errors.js", "shape.js", "tensor.js", "files.js", "entry.js", "argmax.js"),
    *("availability.js", "runner.js"),
)
SESSIONS = {
    "wasm": ("session-wasm.js",),
    "webgpu": (
        *("adapter.js", "device-webgpu.js", "shaders-webgpu.js", "plan-webgpu.js"),
        "session-webgpu.js",
    ),
    "webgl": ("adapter.js", "textures-webgl.js", "programs-webgl.js", "session-webgl.js"),
}
COPIED = ("page.css", "types.d.ts")

# A JSDoc block or whole-line comment with its line end; a type cast within a line.
_COMMENT = re.compile(
    r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL
)
_CAST = re.compile(r"/\*\* @type \{[^\n]*?\} \*/ ?")
_HEADER = re.compile(r"(?://[^\n]*\n)*")
_IMPORT = re.compile(r"^import \{([^}]*)\} from '\./([^']*)';\n", re.MULTILINE)
_DEFINED = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)


def without_comments(source: str) -> str:
    """JavaScript of ours without JSDoc and comments of whole lines; the file's header stays."""
    header = _HEADER.match(source)
    assert header is not None
    body = _CAST.sub("", _COMMENT.sub("", source[header.end() :]))
    return header[0] + re.sub(r"\n{3,}", "\n\n", body)


def join_modules(names: Sequence[str], homes: Mapping[str, str]) -> str:
    """One module of several that export as before; `homes` says which file holds another module.

    The header is the last module's. Raises GraphError if two modules define one name.
    """
    imported: dict[str, set[str]] = {}
    defined: dict[str, str] = {}
    bodies = []
    header = ""
    for name in names:
        source = _code(name)
        header = _match(_HEADER, source)
        for found, module in _IMPORT.findall(source):
            if module not in names:
                wanted = {n.strip() for n in found.split(",") if n.strip()}
                imported.setdefault(homes.get(module, module), set()).update(wanted)
        body = _IMPORT.sub("", source[len(header) :])
        for top in _DEFINED.findall(body):
            if top in defined:
                raise GraphError(f"{name} and {defined[top]} both define {top}")
            defined[top] = name
        bodies.append(body.strip("\n"))
    heads = [f"import {{ {', '.join(sorted(n))} }} from './{m}';" for m, n in imported.items()]
    return (
        "\n\n".join([header.rstrip("\n"), *(["\n".join(heads)] if heads else []), *bodies]) + "\n"
    )


def model_classes(model: Mapping[str, Any]) -> dict[str, str]:
    """Classes that only some models need, and the modules that export them."""
    scheduled = any("schedule" in entry for entry in model["entries"])
    listed = any("lengths" in t for e in model["entries"] for t in (*e["inputs"], *e["outputs"]))
    rows = (
        ("States", "states.js", model["states"]),
        ("ScheduledEntry", "schedule.js", scheduled),
        ("ListEntry", "lists.js", listed),
    )
    return {name: module for name, module, needed in rows if needed}


def whole_entry(backend: str, model: Mapping[str, Any], generated: str) -> str:
    """The runner and a session of `backend` in one module, before `generated`, which exports."""
    names = (*RUNNER, *model_classes(model).values(), *SESSIONS[backend])
    joined = re.sub("^export ", "", join_modules(names, {}), flags=re.MULTILINE)
    code = joined[len(_match(_HEADER, joined)) :].strip("\n")
    header = _match(_HEADER, generated)
    return f"{header}\n{code}\n\n{generated[len(header) :].lstrip()}"


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return found[0] if found else ""


@cache
def _code(name: str) -> str:
    return without_comments(_source(name))


@cache
def _source(name: str) -> str:
    return (resources.files("webconv.runtime_js") / "src" / name).read_text("utf-8")


def runtime_files(backends: Iterable[str]) -> dict[str, bytes]:
    """The contents of `runtime/` by path, with the sessions of `backends`."""
    homes = dict.fromkeys(RUNNER, "runner.js")
    own = ("states.js", "schedule.js", "lists.js", "page.js")
    groups = {"runner.js": RUNNER, **{name: (name,) for name in own}}
    groups |= {f"session-{b}.js": SESSIONS[b] for b in backends}
    texts = {name: join_modules(group, homes) for name, group in groups.items()}
    texts |= {name: _source(name) for name in COPIED}
    return {f"runtime/{name}": text.encode() for name, text in texts.items()}
