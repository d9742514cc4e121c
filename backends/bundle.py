"""Writes the folder that a page imports: it appears whole or not at all, with the same bytes
for the same model.

`webconv.json` is for the tools (verify, bench, inspect, serve) and marks the folder as ours; no
page fetches it, nor `graph.txt` and `graph.bin`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from webconv.backends.compiled import Compiled, Weights, gather_weights
from webconv.backends.descriptor import (
    FORMAT,
    Vocabularies,
    default_order,
    describe_entries,
    describe_states,
    ordered_entries,
)
from webconv.backends.dims_js import Code, js_literal, string
from webconv.backends.graph_file import join_arrays, print_graph
from webconv.backends.kernel import Entry
from webconv.backends.lower import lower
from webconv.backends.pages import render_entries
from webconv.backends.runtime_files import model_classes, runtime_files
from webconv.ir.errors import WebconvError
from webconv.ir.graph import Program

BACKENDS = ("wasm", "webgpu", "webgl")
MANIFEST = "webconv.json"

# How the module with a backend's section is called: `kernels-<hash>.<...>`.
SECTIONS = {"wasm": "wasm.js", "webgpu": "wgsl.js", "webgl": "glsl.js"}

# Called with what is being done.
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What a bundle is made from: `imported` as the frontend read it, `optimised` by the passes.

    `name` is the model's, `digest` that of its file, `vocabularies` are by entry and input,
    `version` is webconv's.
    """

    imported: Program
    optimised: Program
    name: str
    digest: str
    version: str
    vocabularies: Vocabularies = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """A bundle's files and its manifest."""

    files: dict[str, bytes]
    manifest: dict[str, Any]


def make(source: Source, backends: Sequence[str], on_step: OnStep = lambda _: None) -> Contents:
    """Compile for `backends`; raises UnsupportedError with all that has no kernels."""
    program = source.optimised
    on_step("lowering")
    names = ordered_entries(program.entries)
    entries = {name: lower(program, name) for name in names}
    weights = gather_weights(entries.values())
    compiled = []
    for backend in backends:
        on_step(f"compiling for {backend}")
        module = import_module(f"webconv.backends.{backend}")
        compiled.append(module.compile(program, entries, weights))
    on_step("writing")
    return assemble(source, entries, weights, compiled)


def assemble(
    source: Source, entries: Mapping[str, Entry], weights: Weights, compiled: Sequence[Compiled]
) -> Contents:
    """All files of the bundle."""
    files: dict[str, bytes] = {}
    shards = _weight_files(weights)
    files |= shards
    model = _model(source, entries, shards, [c.backend for c in compiled])
    model_file = _add_model(files, model)
    sections = {c.backend: _add_section(files, c) for c in compiled}
    text, arrays = print_graph(source.imported, weights)
    files["graph.txt"] = text.encode()
    if arrays:
        files["graph.bin"] = join_arrays(arrays)
    files |= render_entries(model, model_file, sections, source.optimised, files)
    files |= runtime_files(sections)
    manifest = _manifest(source, model, model_file, sections, compiled, files)
    files[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    return Contents(files, manifest)


def _weight_files(weights: Weights) -> dict[str, bytes]:
    shards = weights.shards()
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(shard)
    return {f"weights-{digest.hexdigest()[:10]}-{k}.bin": s for k, s in enumerate(shards)}


def _model(
    source: Source,
    entries: Mapping[str, Entry],
    shards: Mapping[str, bytes],
    backends: Sequence[str],
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": source.name,
        "source": source.digest,
        "entries": describe_entries(source.optimised, entries, source.vocabularies),
        "states": describe_states(source.optimised),
        "weights": [_file(name, data) for name, data in shards.items()],
        "backends": default_order(entries, backends),
    }


def _file(name: str, data: bytes) -> dict[str, Any]:
    """A `BundleFile`; bundlers find its URL by this very form."""
    return {
        "file": name,
        "url": Code(f"new URL({string('./' + name)}, import.meta.url)"),
        "bytes": len(data),
        "digest": hashlib.sha256(data).hexdigest(),
    }


def _add_model(files: dict[str, bytes], model: Mapping[str, Any]) -> str:
    """Add the module of the common descriptor; code that it does not need is not fetched."""
    heads, shown = "", dict(model)
    for name, module in model_classes(model).items():
        heads += f"import {{ {name} }} from './runtime/{module}';\n"
        shown[name] = Code(name)
    head = heads and f"{heads}\n"
    text = f"{head}export const model = {js_literal(shown)};\n"
    name = f"model-{hashlib.sha256(text.encode()).hexdigest()[:10]}.js"
    files[name] = text.encode()
    return name


def _add_section(files: dict[str, bytes], compiled: Compiled) -> str:
    """Add a backend's files and the module that describes them; gives the module's name."""
    digest = hashlib.sha256(js_literal(compiled.descriptor).encode())
    for data in compiled.files.values():
        digest.update(data)
    stem = f"kernels-{digest.hexdigest()[:10]}"
    own = {f"{stem}.{suffix}": data for suffix, data in compiled.files.items()}
    files |= own
    described = {
        suffix: _file(name, data)
        for (name, data), suffix in zip(own.items(), compiled.files, strict=True)
    }
    name = f"{stem}.{SECTIONS[compiled.backend]}"
    text = f"export const files = {js_literal(described)};\n\n"
    text += f"export const section = {js_literal(compiled.descriptor)};\n"
    files[name] = text.encode()
    return name


def _manifest(
    source: Source,
    model: Mapping[str, Any],
    model_file: str,
    sections: Mapping[str, str],
    compiled: Sequence[Compiled],
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """What the tools know of the bundle; the wasm section is for `verify` without a browser."""
    wasm = next((c.descriptor for c in compiled if c.backend == "wasm"), None)
    return {
        "format": FORMAT,
        "webconv": source.version,
        "name": source.name,
        "source": source.digest,
        "parameters": source.imported.parameters,
        "nodes": [_node_count(source.imported), _node_count(source.optimised)],
        "model": model_file,
        "weights": [w["file"] for w in model["weights"]],
        "backends": {
            c.backend: {
                "section": sections[c.backend],
                "files": _names(sections[c.backend], c),
                "stats": c.stats,
            }
            for c in compiled
        },
        "vocabularies": [[*key, n] for key, n in source.vocabularies.items()],
        "order": model["backends"],
        "wasm": wasm,
        "files": {name: len(data) for name, data in sorted(files.items())},
    }


def _node_count(program: Program) -> int:
    return sum(len(g.nodes) for g in program.entries.values())


def _names(section: str, compiled: Compiled) -> dict[str, str]:
    stem = section.split(".")[0]
    return {suffix: f"{stem}.{suffix}" for suffix in compiled.files}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a bundle, or None if `folder` does not hold one of ours."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "format" in found and "webconv" in found else None


def check_target(out: Path, force: bool) -> None:
    """Raise WebconvError unless a bundle may be written to `out`."""
    if out.is_symlink():
        raise WebconvError(f"{out}: it is a symbolic link; choose another folder")
    if not out.exists():
        return
    if not out.is_dir():
        raise WebconvError(f"{out}: it is a file; choose another folder")
    if read_manifest(out) is not None:
        if not force:
            raise WebconvError(f"{out}: it is an older bundle; --force replaces it")
    elif any(out.iterdir()):
        raise WebconvError(f"{out}: it holds other files than a bundle; choose another folder")


def write(contents: Contents, out: Path, force: bool = False) -> None:
    """Write the folder `out` at once, from a folder of another name beside it."""
    check_target(out, force)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    made, old = (out.with_name(f".{out.name}.{os.getpid()}.{kind}") for kind in ("new", "old"))
    try:
        for name, data in contents.files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if out.exists():
            out.rename(old)
        made.rename(out)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        for path in (made, old):
            shutil.rmtree(path, ignore_errors=True)
