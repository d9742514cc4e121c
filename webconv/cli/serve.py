"""`webconv serve`."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from webconv.cli.options import not_yet


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="By default 8000.")
@not_yet("--lan")
def command(folder: Path, port: int) -> None:
    """Serve DIR to browsers on this machine until Ctrl-C."""
    from webconv.ir.errors import WebconvError
    from webconv.verify.server import Server

    if not folder.is_dir():
        raise WebconvError(f"{folder}: there is no such folder")
    if not (folder / "index.html").is_file():
        click.echo(f"webconv: warning: {folder} holds no bundle and no index.html", err=True)
    try:
        server = Server(port=port)
    except OSError as error:
        raise WebconvError(f"port {port}: {error.strerror}; choose another with --port") from None
    with server:
        click.echo(f"{folder}: {server.mount('', folder)} (Ctrl-C ends it)")
        threading.Event().wait()
