"""The one tree of exceptions.

A message reads `<op or layer>: <rule in words>, <values>`; the command line puts the file's name in
front. `GraphError` is a bug of ours, all others are about the user's model or arguments.
"""

from __future__ import annotations


class WebconvError(Exception):
    """Base of everything that webconv raises on purpose."""


class UnsupportedError(WebconvError):
    """The model uses something that has no road to the browser; the message lists all of it."""


class ModelFormatError(WebconvError):
    """The file is not a model, is damaged, or contradicts itself."""


class ShapeError(WebconvError):
    """Shapes, dtypes or sizes do not fit."""


class ParityError(WebconvError):
    """A backend computed something else than the reference."""


class BrowserError(WebconvError):
    """No browser could be started, or a backend could not start in it."""


class GraphError(WebconvError):
    """An invariant of the IR is broken: a bug in webconv."""
