"""The bundle's entries for pages, bundlers and type checkers, and its own page: from templates.

Every string out of a model passes a filter: `js` for JavaScript and TypeScript, HTML's own
escaping, and `plain` where only a comment is left to end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from webconv.backends.dims_js import string
from webconv.backends.runtime_files import model_classes, whole_entry
from webconv.ir.dims import Dim
from webconv.ir.graph import Program

# The typed array that a page gets, by dtype: as in tensor.js.
ARRAYS = {
    **dict.fromkeys(("f32", "f16", "f64"), "Float32Array"),
    **{"i8": "Int8Array", "u8": "Uint8Array", "i16": "Int16Array", "u16": "Uint16Array"},
    **dict.fromkeys(("i32", "i64"), "Int32Array"),
    **dict.fromkeys(("u32", "u64"), "Uint32Array"),
    "bool": "Uint8Array",
}


def plain(text: object) -> str:
    """What is left of a string where nothing but a name is expected."""
    return re.sub(r"[^\w./:-]+", "_", str(text), flags=re.ASCII)


def shape_text(shape: Iterable[Dim | str]) -> str:
    """`[batch, 16]`."""
    return plain_dims(", ".join(map(str, shape)))


def type_text(tensor: Mapping[str, Any]) -> str:
    """`f32[batch, 16]`, or `list of f32[length, 4], length >= 2, each as long as in xs`."""
    if "lengths" not in tensor:
        return tensor["dtype"] + shape_text(tensor["shape"])
    least = f", length >= {tensor['least']}" if "least" in tensor else ""
    shared = f", each as long as in {plain(tensor['beside'])}" if "beside" in tensor else ""
    return f"list of {tensor['dtype']}{shape_text(['length', *tensor['shape'][1:]])}{least}{shared}"


def seen_inputs(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs that pages see: lengths come with lists, which have the name of a list `beside`
    if that has the same."""
    lists = [t for t in entry["inputs"] if "lengths" in t]
    first = {t["lengths"]: t["name"] for t in reversed(lists)}
    seen = []
    for k, t in enumerate(entry["inputs"]):
        owner = first.get(t.get("lengths"), t["name"])
        if k not in first:
            seen.append(t if owner == t["name"] else t | {"beside": owner})
    return seen


def plain_dims(text: str) -> str:
    """Dims for people, without what could end a comment."""
    return "[" + re.sub(r"[^\w\s,()+*-]|\*/", "_", text, flags=re.ASCII) + "]"


@cache
def _environment(html: bool) -> Environment:
    env = Environment(
        loader=PackageLoader("webconv.backends", "templates"),
        undefined=StrictUndefined,
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {"js": string, "plain": plain, "type": type_text, "seen": seen_inputs}
    env.globals |= {"arrays": ARRAYS}
    return env


def render_entries(
    model: Mapping[str, Any],
    model_file: str,
    sections: Mapping[str, str],
    program: Program,
    modules: Mapping[str, bytes],
) -> dict[str, bytes]:
    """`index.js`, a module per backend, types, `package.json` and `index.html`.

    `modules` has the generated modules, `model_file` and those of `sections`.
    """
    entries = visible_entries(model)
    context = {
        "model": {**model, "entries": entries},
        "type_names": type_names(entry["name"] for entry in entries),
        "lists": "ListEntry" in model_classes(model),
        "model_file": model_file,
        "sections": sections,
        "parameters": program.parameters,
        "weights_bytes": sum(w["bytes"] for w in model["weights"]),
    }
    code, page = _environment(html=False), _environment(html=True)

    def render(env: Environment, template: str, **more: object) -> bytes:
        return env.get_template(template).render(**context, **more).encode()

    def whole(backend: str) -> bytes:
        own = {"model_code": model_file, "section_code": sections[backend]}
        texts = {k: local_code(modules[name].decode()) for k, name in own.items()}
        generated = render(code, "bundle_backend.js.j2", backend=backend, **texts).decode()
        return whole_entry(backend, model, generated).encode()

    files = {
        "index.js": render(code, "bundle_index.js.j2"),
        "index.d.ts": render(code, "bundle_index.d.ts.j2"),
        "index.html": render(page, "bundle_index.html.j2"),
        "package.json": _package(model["name"], list(sections)),
    }
    for backend in sections:
        files[f"{backend}.js"] = whole(backend)
        files[f"{backend}.d.ts"] = b"export * from './index.js';\n"
    return files


def visible_entries(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries that pages see, `main` first; stages are hidden."""
    shown = [entry for entry in model["entries"] if not entry.get("hidden")]
    return sorted(shown, key=lambda entry: entry["name"] != "main")


def type_names(entries: Iterable[str]) -> list[str]:
    """What the types of each entry begin with: nothing for the first, `NextWord` for next_word."""
    names: list[str] = []
    for k, entry in enumerate(entries):
        words = re.findall(r"[A-Za-z0-9]+", entry)
        name = "".join(word[0].upper() + word[1:] for word in words) if k else ""
        if k and not name[:1].isalpha():
            name = f"Entry{k + 1}{name}"
        while name in names:
            name += "_"
        names.append(name)
    return names


def local_code(module: str) -> str:
    """A generated module's code for use within another: nothing imported, nothing exported."""
    return re.sub(r"^(import [^\n]*\n+|export (?=const ))", "", module, flags=re.MULTILINE)


def _package(name: str, backends: list[str]) -> bytes:
    entries = {f"./{b}": _export(b) for b in backends}
    package = {
        "name": re.sub(r"[^a-z0-9._~-]+", "-", name.lower()).strip("-._") or "model",
        "version": "1.0.0",
        "type": "module",
        "main": "./index.js",
        "types": "./index.d.ts",
        "exports": {".": _export("index"), **entries, "./package.json": "./package.json"},
        "sideEffects": False,
    }
    return (json.dumps(package, indent=2) + "\n").encode()


def _export(stem: str) -> dict[str, str]:
    return {"types": f"./{stem}.d.ts", "default": f"./{stem}.js"}
