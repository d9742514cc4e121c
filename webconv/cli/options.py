"""Options that several commands take, and how their values are read."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from webconv.ir.errors import BrowserError, ShapeError, WebconvError

if TYPE_CHECKING:
    from webconv.edits import Edits
    from webconv.ir.dims import Dim
    from webconv.ir.graph import Program

BACKENDS = ("wasm", "webgpu", "webgl")

# The colon of an entry, if that of `x:0` is not one.
ENDS = re.compile(r":(?!\d+(?:[,:]|$))")

F = TypeVar("F", bound=Callable[..., Any])


def read_backends(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[str] | None:
    """`webgpu,wasm` or `all`."""
    if value is None:
        return None
    names = list(BACKENDS) if value == "all" else [n.strip() for n in value.split(",")]
    if wrong := [n for n in names if n not in BACKENDS]:
        raise click.BadParameter(f"{wrong[0]!r} is none of {', '.join(BACKENDS)}, all")
    return names


def read_pairs(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """`NAME=VALUE` options; a name may hold `=`, a value not."""
    pairs: dict[str, str] = {}
    for text in value:
        name, equals, rest = text.rpartition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
        if name in pairs:
            raise click.BadParameter(f"{name!r} is given twice: {pairs[name]} and {rest}")
        pairs[name] = rest
    return pairs


def _not_yet(option: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            raise click.UsageError(f"{option} is not available yet", ctx)

    return refuse


def not_yet(option: str, metavar: str | None = None, multiple: bool = False) -> Callable[[F], F]:
    """An option of the contract that a later version implements."""
    kind: dict[str, Any] = {"metavar": metavar, "multiple": multiple}
    if metavar is None:
        kind = {"is_flag": True}
    return click.option(
        option, **kind, expose_value=False, callback=_not_yet(option), help="Not available yet."
    )


MODEL_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--input-shape",
        "input_shapes",
        multiple=True,
        metavar="NAME=batch,time,36",
        callback=read_pairs,
        help="The shape of an input: numbers, and names for sizes that stay open.",
    ),
    click.option(
        "--const",
        "constants",
        multiple=True,
        metavar="NAME=VALUE",
        callback=read_pairs,
        help="Make an input a constant.",
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        metavar="IN=OUT",
        callback=read_pairs,
        help="Make an input a state, whose next value is an output.",
    ),
    click.option(
        "--stateful",
        "stateful",
        multiple=True,
        metavar="LAYER",
        help="Carry the states of a recurrent layer from run to run.",
    ),
    click.option(
        "--rename",
        "names",
        multiple=True,
        metavar="OLD=NEW",
        callback=read_pairs,
        help="Give an input, output or state another name.",
    ),
    click.option(
        "--entry",
        "entries",
        multiple=True,
        metavar="NAME=in1,in2:out1,out2",
        callback=read_pairs,
        help="A function that computes some inputs, outputs or layers from others.",
    ),
    click.option(
        "--head",
        "heads",
        multiple=True,
        metavar="OUT=argmax|topk:K",
        callback=read_pairs,
        help="Give the largest elements of an output instead of all; several: topk:5,argmax.",
    ),
    click.option(
        "--frontend",
        type=click.Choice(["keras", "onnx", "chainer"]),
        help="What reads the model; by default its content decides.",
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="The weights of a model file without.",
    ),
    click.option(
        "--plugin",
        "plugins",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE.py",
        help="A Python file with functions for layers of your own.",
    ),
    not_yet("--quantize", "f16|int8|int4"),
    not_yet("--calibrate", "X.npz"),
    not_yet("--with", "text,image"),
    not_yet("--vocab", "INPUT=FILE", multiple=True),
    not_yet("--labels", "OUTPUT=FILE", multiple=True),
)


def model_options(function: F) -> F:
    """Everything that says how a model is to be read and changed."""
    for option in reversed(MODEL_OPTIONS):
        function = option(function)
    return function


def backend_option(function: F) -> F:
    """`--backend`."""
    return click.option(
        "--backend",
        "backends",
        metavar="webgpu,webgl,wasm | all",
        callback=read_backends,
        help="Which backends; by default all.",
    )(function)


def json_option(function: F) -> F:
    """`--json FILE`, or `-` for the standard output, which then holds nothing else."""
    return click.option(
        "--json", "json_path", metavar="FILE|-", help="Write the result as JSON too."
    )(function)


@dataclass(frozen=True)
class ModelOptions:
    """The values of MODEL_OPTIONS."""

    input_shapes: dict[str, str]
    constants: dict[str, str]
    states: dict[str, str]
    stateful: tuple[str, ...]
    names: dict[str, str]
    entries: dict[str, str]
    heads: dict[str, str]
    frontend: str | None
    weights: Path | None
    plugins: tuple[Path, ...]

    def load(self, path: Path) -> Program:
        """The model at `path`; errors name the file."""
        import webconv

        with about(path):
            program: Program = webconv.load(path, **self.arguments())
        return program

    def arguments(self) -> dict[str, Any]:
        """The options of `webconv.load`."""
        return {
            "frontend": self.frontend,
            "weights": self.weights,
            "input_shapes": {name: read_shape(name, v) for name, v in self.input_shapes.items()},
            "plugins": self.plugins,
            "edits": self.edits(),
        }

    def edits(self) -> Edits:
        """What changes after the model is read."""
        from webconv.edits import Edits

        return Edits(
            {name: read_value(name, v) for name, v in self.constants.items()},
            self.states,
            {name: read_entry(name, v) for name, v in self.entries.items()},
            self.heads,
            self.names,
            self.stateful,
        )

    @property
    def any(self) -> bool:
        """True if one was given."""
        return any(bool(v) for v in vars(self).values())


def read_shape(name: str, text: str) -> tuple[Dim, ...]:
    """`batch,time,36`."""
    from webconv.ir import dims

    try:
        shape = tuple(dims.parse(part.strip()) for part in text.split(",")) if text else ()
    except ShapeError as error:
        raise click.UsageError(f"--input-shape {name}: {error}") from None
    if any(isinstance(d, int) and d < 0 for d in shape):
        raise click.UsageError(f"--input-shape {name}: sizes are at least 0, not {text}")
    return shape


def read_value(name: str, text: str) -> object:
    """A number, a boolean or a nested list, as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise click.UsageError(f"--const {name}: {text!r} is not a number or list") from None


def read_entry(name: str, text: str) -> tuple[list[str], list[str]]:
    """`in1,in2:out1,out2`; a name may end like TensorFlow's, `x:0`."""
    parts = ENDS.split(text, 1)
    inputs, colon, outputs = (parts[0], ":", parts[1]) if len(parts) > 1 else text.rpartition(":")
    sides = [part.strip() for part in inputs.split(",")], [p.strip() for p in outputs.split(",")]
    if not colon or not all(sides[0]) or not all(sides[1]):
        raise click.UsageError(f"--entry {name}: {text!r} is not of the form in1,in2:out1,out2")
    return sides


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Put the file's name before the message of an error."""
    try:
        yield
    except BrowserError:
        raise
    except WebconvError as error:
        if str(error).startswith(f"{path}:"):
            raise
        error.args = (f"{path}: {error}",)
        raise
