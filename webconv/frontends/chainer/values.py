"""Notices where the code of a chain looks at numbers, or changes arrays in place.

While a chain is traced, `.array` and `.data` of its Variables give arrays that remember where they
are from. To take a number or a truth value out of one is to decide by data, which no graph shows.
Chainer's own code is given the plain arrays, and so is what asks for parameters.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import chainer
import chainer.functions as F
import numpy as np

from webconv.frontends.chainer import masks
from webconv.frontends.chainer.lines import is_users
from webconv.frontends.chainer.taken import CHANGES, LOOKS, Note, Taken, holds_taken, taken


@contextlib.contextmanager
def noticing(note: Note) -> Iterator[None]:
    """While it lasts, `note` is told what the chain's code does with numbers.

    Those of parameters, and of Variables that the chain makes of arrays of its own, depend on no
    input.
    """
    kept = {name: vars(chainer.Variable)[name] for name in ("array", "data")}
    item, as_array, new = chainer.Variable.item, chainer.as_array, chainer.Variable.__init__
    compared = {name: vars(chainer.Variable)[name] for name in COMPARISONS}
    makers = {name: getattr(np, name) for name in ("array", "asarray", "ascontiguousarray")}

    @functools.wraps(new)
    def made_of(variable: Any, data: Any = None, *args: Any, **options: Any) -> None:
        new(variable, data, *args, **options)
        users = is_users(sys._getframe(1).f_code.co_filename)
        variable.is_own = users and data is not None and not isinstance(data, Taken)

    def seen(own: property) -> property:
        def read(variable: Any) -> Any:
            array = own.fget(variable)  # type: ignore[misc]
            users = is_users(sys._getframe(1).f_code.co_filename)
            if users and isinstance(array, np.ndarray) and _is_open(variable):
                return taken(array, note, variable)
            return array

        def write(variable: Any, array: Any) -> None:
            if is_users(sys._getframe(1).f_code.co_filename) and _is_open(variable):
                note(CHANGES)
            own.fset(variable, array)  # type: ignore[misc]

        return property(read, write, doc=own.__doc__)

    def number(variable: Any) -> Any:
        if is_users(sys._getframe(1).f_code.co_filename) and _is_open(variable):
            note(LOOKS)
        return item(variable)

    def out_of(variable: Any) -> Any:
        made = as_array(variable)
        if is_users(sys._getframe(1).f_code.co_filename) and _is_open(variable):
            made = taken(made, note, variable)
        return made

    def remembered(own: Callable[..., Any]) -> Callable[..., Any]:
        # NumPy makes a plain array of one that remembers, and asks nobody.
        def maker(*args: Any, **options: Any) -> Any:
            made = own(*args, **options)
            source = args[0] if args else None
            if not is_users(sys._getframe(1).f_code.co_filename) or not holds_taken(source):
                return made
            if not isinstance(source, Taken):
                return taken(made, note)
            if source.note is None:
                return made
            # A copy that is changed later is told then.
            alike = made.shape == source.shape
            if alike and made.dtype == source.dtype:
                again = taken(made, source.note, source.variable)
                again.counted = source.counted
            else:
                cast = masks.moved(F.cast, source, made.dtype) if alike else None
                again = taken(made, source.note, cast)
                again.counted = cast is not None
            return again

        return maker

    try:
        for name, maker in makers.items():
            setattr(np, name, remembered(maker))
        chainer.as_array = out_of
        for name, own in kept.items():
            setattr(chainer.Variable, name, seen(own))
        for name, own in compared.items():
            setattr(chainer.Variable, name, _compared(own, name, note))
        chainer.Variable.item = number
        chainer.Variable.__init__ = made_of
        yield
    finally:
        for name, maker in makers.items():
            setattr(np, name, maker)
        chainer.as_array = as_array
        chainer.Variable.item = item
        for name, own in compared.items():
            setattr(chainer.Variable, name, own)
        chainer.Variable.__init__ = new
        for name, own in kept.items():
            setattr(chainer.Variable, name, own)


# Arrays can be compared, and a chain that people call with arrays does so with words.
COMPARISONS = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")


def _compared(own: Callable[..., Any], name: str, note: Note) -> Callable[..., Any]:
    """A comparison of Variables, which is one of arrays where they are integers."""

    @functools.wraps(own)
    def compare(variable: Any, other: Any) -> Any:
        if not is_users(sys._getframe(1).f_code.co_filename) or variable.dtype.kind not in "iub":
            return own(variable, other)
        sides = [
            taken(v._data[0], note, v) if isinstance(v, chainer.Variable) else v
            for v in (variable, other)
        ]
        return getattr(sides[0], name)(sides[1])

    return compare


def _is_open(variable: Any) -> bool:
    """True if other inputs may give other numbers."""
    if not isinstance(variable, chainer.Variable) or isinstance(variable, chainer.Parameter):
        return False
    return not getattr(variable, "is_own", False)
