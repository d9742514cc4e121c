"""Tests of ONNX's suite as what a page needs: modules and files of a bundle, and the inputs."""

from __future__ import annotations

import multiprocessing
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.onnx_nodes.suite import KINDS, Test, load
from webconv.api import compile_program
from webconv.backends.pages import local_code
from webconv.ir.errors import WebconvError


@dataclass(frozen=True)
class Built:
    """A test as a bundle: `constants` are the inputs that had to be given when converting.

    `modules` are JavaScript expressions of an object with the bundle's model, section and files,
    by backend, for which `imports` are needed; `files` are what these fetch, by name; `feeds` are
    the inputs of each run.
    """

    name: str
    constants: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    modules: dict[str, str] | None = None
    files: dict[str, dict[str, bytes]] | None = None
    feeds: tuple[dict[str, Any], ...] = ()
    refusal: str = ""


def all_tests() -> dict[str, Test]:
    """All tests of all kinds, by name."""
    return {name: test for kind in KINDS for name, test in load(kind).items()}


def build_all(names: Iterable[str]) -> Iterator[Built]:
    """The tests of these names in order, by as many processes as there are processors."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count(), _quiet) as pool:
        yield from pool.imap(build, names, chunksize=8)


def _quiet() -> None:
    # Weights of the tests overflow on purpose, and its models are of deprecated opsets.
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


def build(name: str) -> Built:
    """One test, or why there is no bundle of it."""
    test = all_tests()[name]
    if not test.data:
        return Built(name, refusal="its inputs and outputs are no tensors")
    try:
        program, constants = test.program()
        contents = compile_program(program, name, "0" * 64)
    except WebconvError as error:
        return Built(name, refusal=_line(error))
    except Exception as error:
        return Built(name, refusal=f"it crashed: {type(error).__name__} {_line(error)}")
    modules, files = {}, {}
    for backend, entry in contents.manifest["backends"].items():
        modules[backend] = _module(contents.files, contents.manifest["model"], entry["section"])
        used = [*contents.manifest["weights"], *entry["files"].values()]
        files[backend] = {file: contents.files[file] for file in used}
    runs = range(len(test.data))
    feeds = tuple(_given(test.feeds(run, program)) for run in runs)
    imports = _imports(contents.files[contents.manifest["model"]])
    return Built(name, tuple(constants), imports, modules, files, feeds)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _imports(module: bytes) -> tuple[str, ...]:
    return tuple(re.findall(r"^import .*", module.decode(), re.MULTILINE))


def _module(files: dict[str, bytes], model: str, section: str) -> str:
    code = "\n".join(local_code(files[name].decode()) for name in (model, section))
    return f"(() => {{\n{code}\nreturn {{ model, section, files }};\n}})()"


def _given(feeds: dict[str, Any]) -> dict[str, Any]:
    return {n: {"data": np.ravel(a), "shape": list(np.shape(a))} for n, a in feeds.items()}


def batch_module(built: Sequence[Built], backend: str, base: str) -> str:
    """The module of many tests: `models`, in order. The runner's modules lie at `base`."""
    parts: list[str] = []
    imports: dict[str, None] = {}
    for one in built:
        assert one.modules is not None
        imports |= dict.fromkeys(one.imports)
        parts.append(f"// {one.name}\n{one.modules[backend]},")
    heads = [line.replace("'./", f"'{base}") for line in imports]
    return "\n".join([*heads, "export const models = [", *parts, "];", ""])
