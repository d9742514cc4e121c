"""What commands print: rich in a terminal, plain text elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from webconv.cli import printable


def write_json(path: str | None, value: Any) -> None:
    """Write `value` to a file, or to the standard output for `-`."""
    if path is None:
        return
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    if path == "-":
        click.echo(text, nl=False)
    else:
        Path(path).write_text(text, "utf-8")


class Console:
    """The standard output, or nothing if `quiet`."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @classmethod
    def beside(cls, json_path: str | None, quiet: bool = False) -> Console:
        """One that stays silent where JSON goes to the standard output."""
        return cls(quiet or json_path == "-")

    def say(self, text: str = "") -> None:
        """Print a line."""
        if not self.quiet:
            click.echo(printable(text))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows below headers; numbers stand to the right."""
        if self.quiet or not rows:
            return
        cells = [[_cell(c) for c in row] for row in rows]
        right = [all(isinstance(row[k], int | float) for row in rows) for k in range(len(headers))]
        if sys.stdout.isatty():
            _rich_table(headers, cells, right)
            return
        widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        for row in (list(headers), *cells):
            columns = zip(row, widths, right, strict=True)
            line = "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in columns)
            click.echo(line.rstrip())

    @contextlib.contextmanager
    def steps(self) -> Iterator[Callable[[str], None]]:
        """A spinner in a terminal, that says what is being done; nothing elsewhere."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _: None
            return
        import rich.console

        with rich.console.Console(stderr=True).status("") as status:
            yield status.update


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(str(value)).replace("\n", "\\n")


def _rich_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    import rich.box
    import rich.console
    import rich.table
    import rich.text

    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for header, r in zip(headers, right, strict=True):
        table.add_column(header, justify="right" if r else "left", overflow="fold")
    for row in rows:
        table.add_row(*(rich.text.Text(c) for c in row))
    rich.console.Console().print(table)
