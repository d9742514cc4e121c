"""The Python interface: `load`, `convert` and `Bundle`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError, WebconvError
from webconv.ir.graph import Program

if TYPE_CHECKING:
    from webconv.backends.bundle import Contents
    from webconv.edits import Edits
    from webconv.verify.report import Report

BACKENDS = ("wasm", "webgpu", "webgl")


def load(
    path: str | Path,
    *,
    frontend: str | None = None,
    weights: str | Path | None = None,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    plugins: Sequence[str | Path] = (),
    edits: Edits | None = None,
) -> Program:
    """The model at `path`; for a bundle, the program that it was made from.

    `input_shapes` replaces shapes by input name, `weights` is a weights file for an architecture
    without, `plugins` are Python files that teach the frontend layers. Raises ModelFormatError,
    UnsupportedError (with all that is missing) or ShapeError.
    """
    from webconv import frontends
    from webconv.edits import edit

    path = Path(path)
    if path.is_dir():
        from webconv.backends.bundle import MANIFEST

        frontends.refuse_folder(path)
        if not (path / MANIFEST).exists():
            rule = f"it is a folder, and no bundle ({MANIFEST} is missing); give a model file"
            raise ModelFormatError(f"{path}: {rule}")
        if frontend or weights or input_shapes or plugins:
            raise WebconvError(f"{path} is a bundle: of these options it takes edits only")
        return _edited(Bundle.open(path).program, edits)
    try:
        program = frontends.load(
            path,
            frontend=frontend,
            weights=None if weights is None else Path(weights),
            input_shapes=input_shapes,
            constants=edits.constants if edits else None,
            plugins=[Path(p) for p in plugins],
        )
    except ShapeError as error:
        if input_shapes:
            given = (f"{n}={','.join(map(str, shape))}" for n, shape in input_shapes.items())
            error.args = (f"{error}; --input-shape gave {' '.join(given)}",)
        raise
    # The frontend has made the constants: an axis must be one before its operator is read.
    return edit(program, replace(edits, constants={})) if edits else program


@dataclass(frozen=True)
class Bundle:
    """A folder that a page imports; `manifest` is its `webconv.json`."""

    path: Path
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in a folder; raises ModelFormatError if there is none."""
        from webconv.backends.bundle import MANIFEST, read_manifest
        from webconv.backends.descriptor import FORMAT

        folder = Path(path)
        manifest = read_manifest(folder)
        if manifest is None and folder.is_file():
            rule = "it is a file, not a bundle; webconv convert makes one of a model"
            raise ModelFormatError(f"{folder}: {rule}")
        if manifest is None:
            raise ModelFormatError(f"{folder}: it is not a bundle, {MANIFEST} is missing")
        if manifest["format"] != FORMAT:
            rule = f"it is a bundle of format {manifest['format']}, not {FORMAT}; convert it again"
            raise ModelFormatError(f"{folder}: {rule}")
        return cls(folder, manifest)

    @cached_property
    def program(self) -> Program:
        """The program as it was imported, with the weights as stored."""
        from webconv.backends.graph_file import read_graph

        return read_graph(self.path, self.manifest["weights"])

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that it was made for."""
        return tuple(self.manifest["backends"])

    def verify(self, **options: Any) -> Report:
        """Compare every backend with NumPy; takes the options of `webconv.verify.verify`."""
        from webconv.verify import verify

        return verify(self, **options)


def convert(
    model: str | Path | Program,
    out: str | Path | None = None,
    *,
    backends: Sequence[str] = BACKENDS,
    force: bool = False,
    name: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Bundle:
    """Compile a model file or a program into the folder `out`, `<model stem>_web` by default.

    `options` are those of `load`; a program takes `edits` only. Raises what `load` raises; then
    nothing is written.
    """
    from webconv.backends.bundle import check_target, write
    from webconv.frontends import check_there

    unknown = [b for b in backends if b not in BACKENDS]
    if unknown or not backends:
        raise WebconvError(
            f"backends are {', '.join(BACKENDS)}, not {', '.join(unknown) or 'none'}"
        )
    path = None if isinstance(model, Program) else Path(model)
    stem = name or (path.stem if path else model.name if isinstance(model, Program) else "model")
    target = Path(out) if out is not None else Path(f"{stem}_web")
    if path is not None:
        check_there(path)
    check_target(target, force)
    contents = _compile(model, stem, backends, on_step, options)
    write(contents, target, force)
    return Bundle(target, contents.manifest)


def _compile(
    model: str | Path | Program,
    name: str,
    backends: Sequence[str],
    on_step: Callable[[str], None],
    options: Mapping[str, Any],
) -> Contents:
    on_step("reading")
    if isinstance(model, Program):
        if unknown := [name for name in options if name != "edits"]:
            raise WebconvError(f"a program takes the option edits only, not {', '.join(unknown)}")
        program, digest = _edited(model, options.get("edits")), _program_digest(model)
    else:
        program, digest = load(model, **options), _file_digest(Path(model))
    contents = compile_program(program, name, digest, backends, on_step)
    notes = {"notes": [*program.notes]} if program.notes else {}
    return replace(contents, manifest={**contents.manifest, **notes})


def compile_program(
    program: Program,
    name: str,
    digest: str,
    backends: Sequence[str] = BACKENDS,
    on_step: Callable[[str], None] = lambda _: None,
) -> Contents:
    """The files of a bundle of `program`; `digest` says what it was made from."""
    import webconv
    from webconv.backends.bundle import Source, make
    from webconv.passes import optimise
    from webconv.passes.stages import stage
    from webconv.passes.vocabulary import retype_lookups

    on_step("optimising")
    retyped, vocabularies = retype_lookups(program)
    optimised = optimise(stage(retyped))
    source = Source(program, optimised, name, digest, webconv.__version__, vocabularies)
    order = [b for b in BACKENDS if b in backends]
    return make(source, order, on_step)


def _edited(program: Program, edits: Edits | None) -> Program:
    from webconv.edits import edit

    return edit(program, edits) if edits else program


def _program_digest(program: Program) -> str:
    from webconv.ir.graph import Constant
    from webconv.ir.text import print_program

    text = print_program(program, lambda array: (Constant(array).digest,))
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    from webconv.frontends import model_file

    with model_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
