"""`webconv verify`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webconv.api import Bundle
from webconv.cli.console import Console, write_json
from webconv.cli.options import ModelOptions, about, backend_option, json_option, model_options
from webconv.ir.errors import ModelFormatError

if TYPE_CHECKING:
    from webconv.ir.op import Array
    from webconv.verify.report import Report


@click.command()
@click.argument("path", metavar="MODEL|DIR", type=click.Path(path_type=Path))
@backend_option
@click.option(
    "--browser",
    type=click.Choice(["chromium", "none"]),
    default="chromium",
    help="A headless browser, or wasm in this process.",
)
@click.option(
    "--inputs",
    multiple=True,
    metavar="X.npz",
    type=click.Path(path_type=Path),
    help="The inputs of a run by name or position; several are runs one after another.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="Y.npz",
    type=click.Path(path_type=Path),
    help="The outputs of a run; without, NumPy says what they are.",
)
@click.option(
    "--model",
    "other",
    metavar="MODEL",
    type=click.Path(path_type=Path),
    help="Report the distance to this model too.",
)
@click.option("--rtol", type=float, help="Relative tolerance.")
@click.option("--atol", type=float, help="Absolute tolerance.")
@model_options
@json_option
def command(
    path: Path,
    backends: list[str] | None,
    browser: str,
    inputs: tuple[Path, ...],
    expect: tuple[Path, ...],
    other: Path | None,
    rtol: float | None,
    atol: float | None,
    json_path: str | None,
    **options: Any,
) -> int:
    """Compare every backend of a bundle (or of a model, converted for it) with NumPy."""
    if expect and len(expect) != len(inputs):
        raise click.UsageError(
            f"--expect needs an --inputs for each; there are {len(expect)} and {len(inputs)}"
        )
    if browser == "none" and backends and backends != ["wasm"]:
        raise click.UsageError("--browser none runs wasm alone")
    chosen = ModelOptions(**options)
    console = Console.beside(json_path)
    with tempfile.TemporaryDirectory(prefix="webconv-") as folder:
        bundle = open_or_convert(path, Path(folder), backends, browser, chosen, console)
        reference = None if other is None else ModelOptions.load(chosen, other)
        with console.steps() as on_step, about(path):
            on_step("verifying")
            constants = chosen.edits().constants
            given = [without_constants(file, constants) for file in inputs]
            report = bundle.verify(
                backends=backends,
                browser=browser,
                inputs=given,
                expect=expect,
                model=reference,
                rtol=rtol,
                atol=atol,
            )
    show(report, console)
    write_json(json_path, report.json())
    return 0 if report.ok else 1 if report.started else 3


def without_constants(file: Path, constants: Mapping[str, object]) -> Path | dict[str, Array]:
    """The inputs in a file but those that `--const` fixed, which must have the same value there."""
    import numpy as np

    from webconv.verify.runs import arrays_of

    if not constants:
        return file
    arrays = arrays_of(file)
    for name, value in constants.items():
        if name in arrays and not np.all(np.asarray(value) == arrays[name]):
            given = np.array2string(arrays[name], threshold=8)
            rule = f"{name!r} is {value} by --const, but {given} in {file}"
            raise ModelFormatError(rule)
    return {name: a for name, a in arrays.items() if name not in constants}


def open_or_convert(
    path: Path,
    folder: Path,
    backends: list[str] | None,
    browser: str,
    options: ModelOptions,
    console: Console,
) -> Bundle:
    """The bundle at `path`, or one that is made in `folder` from the model there."""
    from webconv.cli.convert import convert

    if path.is_dir():
        if options.any:
            raise click.UsageError(f"{path} is a bundle; options of convert go with a model")
        return Bundle.open(path)
    only = ["wasm"] if browser == "none" else backends
    return convert(path, folder / "bundle", only, options, False, console)


def show(report: Report, console: Console) -> None:
    """The parity table, and what is wrong."""
    rows = [
        (
            r.backend,
            r.variant or "",
            o.name,
            "x".join(map(str, o.shape)) or "scalar",
            o.dtype,
            "" if o.max_abs_err is None else f"{o.max_abs_err:.2e}",
            "" if o.max_rel_err is None else f"{o.max_rel_err:.2e}",
            o.needed_slack,
            "ok" if o.ok else "WRONG",
        )
        for r in report.results
        for o in r.outputs
    ]
    headers = ("backend", "variant", "output", "shape", "dtype", "abs err", "rel err", "slack", "")
    console.table(headers, rows)
    for r in report.results:
        if r.load_ms is not None and r.run_ms is not None:
            where = f"{r.backend} {r.variant or ''}".strip()
            console.say(f"{where}: loaded in {r.load_ms:.0f} ms, ran in {r.run_ms:.2f} ms")
    for name, figure in report.extra.get("model_distance", {}).items():
        console.say(f"output {name!r} is at most {figure:.3g} from the model's")
    for line in report.failures():
        click.echo(f"webconv: error: {line}", err=True)
    if any(r.error and r.error["code"] == "no-browser" for r in report.results):
        click.echo("see: --browser none, which checks wasm in this process", err=True)
    if report.ok:
        browsers = {r.browser for r in report.results}
        place = "in this process" if browsers == {"none"} else f"in {', '.join(browsers)}"
        console.say(f"all outputs agree, {place}")
