"""The command line: `webconv COMMAND`. Commands are imported when they are called.

Exit codes: 0 done, 1 conversion or parity failed, 2 wrong usage, 3 no browser or a backend could
not start. Errors are one line, `webconv: error: <file>: <op or layer>: <rule>, <values>`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence

import click

import webconv

COMMANDS = {
    "convert": "compile a model into a folder that a web page imports",
    "inspect": "show layers, types, memory and support of a model or bundle",
    "verify": "compare every backend with NumPy in a real browser",
    "bench": "time a bundle on every backend",
    "serve": "serve a bundle to a browser on this machine",
    "ops": "list the operators and what supports them",
    "doctor": "say what this machine has and lacks",
}


class Commands(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"webconv.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The default imports every command for its help.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of errors.")
@click.version_option(webconv.__version__, prog_name="webconv", message="%(prog)s %(version)s")
def commands(debug: bool) -> None:
    """Compile trained models to WebGPU, WebGL2 and WebAssembly."""


def run(arguments: Sequence[str]) -> int:
    """Run a command; gives the exit code."""
    from webconv.ir.errors import BrowserError, WebconvError

    debug = "--debug" in arguments
    # An option of the whole program, wherever it stands.
    arguments = [a for a in arguments if a != "--debug"]
    try:
        result = commands.main(arguments or ["--help"], prog_name="webconv", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        _complain(error.format_message(), debug)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"see: {error.ctx.command_path} --help", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrowserError as error:
        _complain(str(error), debug)
        return 3
    except WebconvError as error:
        _complain(str(error), debug)
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror or error}", debug)
        return 1


def _complain(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    click.echo(f"webconv: error: {printable(message)}", err=True)


def printable(text: str) -> str:
    """`text` without what could move a terminal's cursor or forge lines; our own lists stay."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def main() -> None:
    """The script `webconv`."""
    sys.exit(run(sys.argv[1:]))
