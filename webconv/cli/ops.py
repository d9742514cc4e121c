"""`webconv ops`."""

from __future__ import annotations

from typing import Any

import click

from webconv.cli.console import Console, write_json
from webconv.cli.options import json_option


@click.command()
@json_option
def command(json_path: str | None) -> None:
    """List every operator, whether kernels exist for it, and what it does."""
    table = support()
    rows = [(r["op"], "yes" if r["kernels"] else "no", r["summary"]) for r in table]
    Console.beside(json_path).table(("op", "kernels", "what it does"), rows)
    write_json(json_path, table)


def support() -> list[dict[str, Any]]:
    """A row for each operator of the registry."""
    from webconv.backends.lowering import LOWERINGS
    from webconv.ir.graph import Constant, Input
    from webconv.ir.ops import OPS

    return [
        {
            "op": name,
            "kernels": op in LOWERINGS,
            "summary": (op.__doc__ or "").strip().splitlines()[0],
        }
        for name, op in sorted(OPS.items())
        if op not in (Constant, Input)
    ]
