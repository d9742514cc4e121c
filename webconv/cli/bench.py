"""`webconv bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from webconv.api import Bundle
from webconv.cli.console import Console, write_json
from webconv.cli.options import about, backend_option, json_option, not_yet


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@backend_option
@not_yet("--profile")
@json_option
def command(folder: Path, backends: list[str] | None, json_path: str | None) -> int:
    """Time loading and running on every backend, in a headless browser."""
    from webconv.verify.bench import bench

    console = Console.beside(json_path)
    with console.steps() as on_step, about(folder):
        bundle = Bundle.open(folder)
        results = bench(bundle, backends or list(bundle.backends), on_step)
    headers = ("backend", "variant", "load ms", "first run ms", "median run ms", "runs", "per run")
    console.table(headers, [_row(r) for r in results if r["error"] is None])
    for r in results:
        if r["error"]:
            message = f"{r['backend']}: {r['error']['code']}: {r['error']['message']}"
            click.echo(f"webconv: error: {message}", err=True)
    write_json(json_path, {"results": results})
    return 3 if any(r["error"] for r in results) else 0


def _row(r: dict[str, Any]) -> tuple[object, ...]:
    counts = ", ".join(f"{n:g} {what}" for what, n in r["per_run"].items() if n and what != "runs")
    figures = (r["load_ms"], r["first_run_ms"], r["run_ms"], r["runs"])
    return (r["backend"], r["variant"], *figures, counts)
