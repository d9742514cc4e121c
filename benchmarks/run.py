"""Compares webconv with onnxruntime-web in one browser: `python -m benchmarks.run`.

Models are made from a seed or are real files, the peer comes from npm at a pinned version, both
run with one thread.
The sides take turns in one page for the times, and in fresh pages for the first results. Tables go
to the terminal, all samples to build/bench.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import BenchmarkError
from benchmarks.files import FILES, SHARED, copy_files, present
from benchmarks.models import MODELS, write_models
from benchmarks.peers import install_peers, pinned
from benchmarks.report import (
    disagreements,
    first_row,
    missed_bars,
    print_tables,
    time_row,
)
from benchmarks.session import ONNXRUNTIME_BACKENDS, Choice, Session, Timing
from webconv.ir.errors import WebconvError
from webconv.verify.browser import Browser

BACKENDS = ("wasm", "webgpu", "webgl")

# A run on a software GPU adapter takes up to seconds.
DEFAULT_ROUNDS = {"wasm": 15, "webgpu": 5, "webgl": 5}


def convert(names: list[str], models: Path, bundles: Path) -> None:
    """Make the bundles with the command line, as a user would."""
    bundles.mkdir(parents=True, exist_ok=True)
    for name in names:
        out = bundles / f"{name}_web"
        made = name in MODELS
        command = [sys.executable, "-m", "webconv", "convert"]
        command += [str(models / f"{name}.{'h5' if made else 'onnx'}")]
        command += ["-o", str(out), "--force", "--quiet"]
        for key, value in {} if made else FILES[name].constants.items():
            command += ["--const", f"{key}={value}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise BenchmarkError(f"converting {name}: {lines[-1]}")


def choose(session: Session, name: str, backend: str, *, control: bool) -> list[Choice]:
    """Give the sides for a model: ours and the peer, where the peer has the operators."""
    peer = [session.onnxruntime(name, backend)] if backend in ONNXRUNTIME_BACKENDS else []
    return peer * 2 if control else [session.webconv(name, backend), *peer]


def measure_all(
    session: Session, names: list[str], backends: list[str], rounds: int | None, *, control: bool
) -> dict[str, Any]:
    """Measure every model on every backend; gives the JSON values of the report."""
    times, firsts = [], []
    for backend in backends:
        count = rounds or DEFAULT_ROUNDS[backend]
        for name in names:
            click.echo(f"{name} on {backend}, {count} rounds", err=True)
            choices = choose(session, name, backend, control=control)
            times.append(time_row(name, choices, session.compare(name, choices, Timing(count))))
            opened = session.first_results(name, choices, max(3, count // 2))
            firsts.append(first_row(name, choices, opened))
    working = session.browser.attempts[-1]
    return {
        "browser": working.version,
        "webgpu_adapter": working.webgpu,
        "peers": pinned(),
        "control": control,
        "times": times,
        "first_results": firsts,
    }


def benchmark(
    build: Path,
    names: list[str],
    backends: list[str],
    rounds: int | None,
    *,
    peers: Path | None,
    shared: Path,
    control: bool,
) -> dict[str, Any]:
    """Prepare files below `build` and measure."""
    modules = peers or install_peers(build / "peers")
    models, bundles = build / "bench" / "models", build / "bench" / "bundles"
    write_models([name for name in names if name in MODELS], models)
    copy_files([name for name in names if name in FILES], shared, models)
    if not control:
        convert(names, models, bundles)
    with Browser() as browser:
        session = Session(browser, modules, models, bundles)
        return measure_all(session, names, backends, rounds, control=control)


def split(choice: tuple[str, ...]) -> Any:
    """Make a click callback that reads a comma-separated choice, `all` included."""

    def read(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
        names = list(choice) if value == "all" else value.split(",")
        unknown = [name for name in names if name not in choice]
        if unknown:
            raise click.BadParameter(f"{unknown[0]} is none of {', '.join(choice)}")
        return names

    return read


@click.command()
@click.option(
    "--models", "names", default="all", callback=split((*MODELS, *FILES)), show_default=True
)
@click.option("--backend", "backends", default="wasm,webgpu,webgl", callback=split(BACKENDS))
@click.option("--rounds", type=click.IntRange(1), help="Samples a side; fewer on GPU adapters.")
@click.option("--build", type=click.Path(path_type=Path), default=Path("build"))
@click.option(
    "--peers",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A node_modules folder that has the peers, instead of installing them.",
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path, file_okay=False),
    default=SHARED,
    help="The folder of real models, beside the checkout.",
)
@click.option("--bars", is_flag=True, help="Fail if wasm is slower than is asked for.")
@click.option("--control", is_flag=True, help="The peer against itself: how far 1.00 is noise.")
def main(
    names: list[str],
    backends: list[str],
    rounds: int | None,
    build: Path,
    peers: Path | None,
    shared: Path,
    bars: bool,
    control: bool,
) -> None:
    """Compare webconv with onnxruntime-web in one browser."""
    if control:
        backends = [backend for backend in backends if backend in ONNXRUNTIME_BACKENDS]
    if set(names) == {*MODELS, *FILES} and (absent := FILES.keys() - set(present(shared))):
        click.echo(f"not in {shared}: {', '.join(sorted(absent))}", err=True)
        names = [name for name in names if name not in absent]
    try:
        results = benchmark(
            build, names, backends, rounds, peers=peers, shared=shared, control=control
        )
    except (BenchmarkError, WebconvError) as error:
        raise click.ClickException(str(error)) from error
    build.mkdir(parents=True, exist_ok=True)
    target = build / ("bench-control.json" if control else "bench.json")
    target.write_text(json.dumps(results, indent=1) + "\n")
    print_tables(Console(width=None if sys.stdout.isatty() else 140), results)
    click.echo(f"{results['browser']}, {results['webgpu_adapter']}; samples in {target}")
    wrong = disagreements(results["times"] + results["first_results"])
    for line in wrong + (missed_bars(results) if bars else []):
        click.echo(f"error: {line}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
