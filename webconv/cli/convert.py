"""`webconv convert`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webconv.api import Bundle
from webconv.cli.console import Console, write_json
from webconv.cli.figures import HEADERS, figures
from webconv.cli.options import (
    BACKENDS,
    ModelOptions,
    about,
    backend_option,
    json_option,
    model_options,
)
from webconv.cli.proposals import propose_states, state_hint
from webconv.ir.errors import WebconvError

if TYPE_CHECKING:
    from webconv.ir.graph import Program

# Words of JavaScript that no variable can be called.
RESERVED = re.compile(
    "arguments|await|break|case|catch|class|const|continue|debugger|default|delete|do|else|enum|"
    "eval|export|extends|false|finally|for|function|if|implements|import|in|instanceof|interface|"
    "let|new|null|package|private|protected|public|return|static|super|switch|this|throw|true|try|"
    "typeof|var|void|while|with|yield|__proto__"
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder to write; by default <model>_web.",
)
@backend_option
@model_options
@click.option("--force", is_flag=True, help="Replace an older bundle.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
def command(
    model: Path,
    out: Path | None,
    backends: list[str] | None,
    force: bool,
    quiet: bool,
    json_path: str | None,
    **options: Any,
) -> None:
    """Compile MODEL into a folder that a web page imports."""
    console = Console.beside(json_path, quiet)
    bundle = convert(model, out, backends, ModelOptions(**options), force, console)
    describe(bundle, console)
    write_json(json_path, {"path": str(bundle.path), **bundle.manifest})


def convert(
    model: Path,
    out: Path | None,
    backends: list[str] | None,
    options: ModelOptions,
    force: bool,
    console: Console,
) -> Bundle:
    """Convert with a spinner; errors name the model's file."""
    import webconv
    from webconv.backends.bundle import check_target
    from webconv.frontends import check_there

    target = out or Path(f"{model.stem}_web")
    arguments = options.arguments()
    with about(model):
        check_there(model)
    try:
        check_target(target, force)
    except WebconvError as error:
        raise click.UsageError(str(error)) from None
    with console.steps() as on_step, about(model):
        bundle: Bundle = webconv.convert(
            model,
            target,
            backends=backends or BACKENDS,
            force=force,
            on_step=on_step,
            **arguments,
        )
    return bundle


def describe(bundle: Bundle, console: Console) -> None:
    """What was done: nodes, parameters, kernels, memory, files, and the lines for a page."""
    m = bundle.manifest
    before, after = m["nodes"]
    console.say(f"{m['name']}: {m['parameters']:,} parameters, {before} nodes, {after} compiled")
    for note in m.get("notes", ()):
        console.say(note)
    for graph in bundle.program.entries.values():
        for pair in propose_states(graph):
            console.say(state_hint(*pair))
    console.say()
    stats = {backend: part["stats"] for backend, part in m["backends"].items()}
    console.table(HEADERS, figures(stats))
    console.say()
    console.table(("file", "bytes"), _files(m["files"]))
    console.say()
    console.say("In a page:")
    console.say()
    console.say(f"  import {{ load }} from './{bundle.path.name}/index.js';")
    console.say("  const runner = await load();")
    for line in _calls(bundle.program):
        console.say(f"  {line}")
    console.say()
    console.say(f"To try it: webconv serve {bundle.path}")


def _files(sizes: dict[str, int]) -> list[tuple[str, int]]:
    """The files with their bytes, the runner's as one."""
    own = [(name, n) for name, n in sizes.items() if "/" not in name]
    return [*own, ("runtime/", sum(n for name, n in sizes.items() if "/" in name))]


def _calls(program: Program) -> list[str]:
    """A line of JavaScript for each entry that runs it."""
    several = len(program.entries) > 1
    lines = []
    for name, graph in program.entries.items():
        seen = [n for n in graph.inputs if n not in graph.lists.lengths]
        inputs, outputs = ", ".join(map(_given, seen)), ", ".join(map(_key, graph.outputs))
        entry = f".entry({json.dumps(name)})" if several else ""
        result, comment = ("const outputs = ", f"  // {outputs}") if outputs else ("", "")
        call = f"await runner{entry}.run({{ {inputs} }});"
        lines.append(f"{'' if several else result}{call}{comment}")
    return lines


def _key(name: str) -> str:
    """The name as a key in JavaScript."""
    return name if name.isidentifier() else json.dumps(name)


def _given(name: str) -> str:
    """An input as a property in JavaScript, its value a variable that is called alike."""
    if _is_variable(name):
        return name
    variable = re.sub(r"\W+", "_", name).strip("_")
    return f"{_key(name)}: {variable if _is_variable(variable) else f'input_{variable}'}"


def _is_variable(name: str) -> bool:
    return name.isidentifier() and not RESERVED.fullmatch(name)
