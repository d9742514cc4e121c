"""`net.py:make_net`: the user's own file, which makes the chain and its example inputs."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import chainer

from webconv.frontends import chain_function
from webconv.frontends.chainer.example import is_numbers
from webconv.frontends.chainer.lines import LIBRARIES, failed_line, reason
from webconv.ir.errors import ModelFormatError, WebconvError


def make(path: Path) -> tuple[Any, tuple[Any, ...], Mapping[str, Any] | None]:
    """The chain and the example inputs or the entries that `make_net()` gives."""
    file, name = chain_function(path)
    if not file.is_file():
        raise ModelFormatError(f"there is no file {file}")
    function = getattr(imported(file), name, None)
    if not callable(function):
        raise ModelFormatError(f"{file.name} has no function {name}")
    made = _called(f"{name}()", function)
    if isinstance(made, chainer.Link):
        made = (made,)
    if not isinstance(made, tuple | list) or not made or not isinstance(made[0], chainer.Link):
        raise ModelFormatError(
            f"{name}() must return the chain and its example inputs: `return chain, x`, or its "
            "entries: `return chain, {'step': (chain.step, x)}`"
        )
    chain, *examples = made
    if not vars(chain).keys() >= ({"_children"} if isinstance(chain, chainer.Chain) else set()):
        kind = type(chain).__name__
        raise ModelFormatError(f"{kind}.__init__ must call super().__init__() before all else")
    if len(examples) == 1 and isinstance(examples[0], Mapping):
        return chain, (), examples[0]
    if len(examples) == 1 and isinstance(examples[0], tuple | list):
        whole = is_numbers(examples[0]) or _is_argument(chain, examples[0])
        examples = examples if whole else list(examples[0])
    if not examples:
        raise ModelFormatError(f"{name}() returns no example inputs: `return chain, x`")
    return chain, tuple(examples), None


@contextlib.contextmanager
def neighbours(file: Path) -> Iterator[None]:
    """While it lasts, the files beside `file` can be imported, also by what it calls later.

    At the end they are forgotten: files of other folders may have the same names.
    """
    folder = str(file.resolve().parent)
    known = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - known:
            own = getattr(sys.modules[name], "__file__", None) or ""
            if own.startswith(folder) and not own.startswith(LIBRARIES):
                del sys.modules[name]


def _is_argument(chain: Any, given: Collection[Any]) -> bool:
    """True for a list that the chain takes as one argument, and not as several."""
    signature = inspect.signature(getattr(chain, "forward", chain))
    try:
        signature.bind(*given)
    except TypeError:
        with contextlib.suppress(TypeError):
            return bool(given) and signature.bind(given) is not None
    return False


def imported(file: Path) -> Any:
    """The module that a file is; raises ModelFormatError with the line that fails."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Files of a model import their neighbours, and classes look for their module.
    before = sys.modules.get(file.stem)
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[file.stem] = module
    try:
        _called(f"importing {file.name}", lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    finally:
        sys.path.remove(folder)
        if before is not None:
            sys.modules[file.stem] = before
    return module


def _called(what: str, function: Callable[[], Any]) -> Any:
    """What the user's code gives; what it raises is told with its line."""
    try:
        return function()
    except WebconvError:
        raise
    except SyntaxError as error:
        place = f" at {Path(error.filename).name}:{error.lineno}" if error.filename else ""
        raise ModelFormatError(f"{what} fails{place}: SyntaxError: {error.msg}") from error
    except (Exception, SystemExit) as error:  # The user's code may raise anything.
        where = failed_line(error)
        place = f" at {where}" if where else ""
        raise ModelFormatError(f"{what} fails{place}: {reason(error)}") from error
