"""Chainer: a chain is called once, and what it computed becomes a Program.

    from webconv.frontends.chainer import trace
    program = trace(net, x)

On the command line, `webconv convert net.py:make_net --frontend chainer --weights snapshot.npz`,
where `make_net()` gives the chain and its example inputs. Chainer is imported when one of these is
called, and runs in the caller's process.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webconv.frontends.chainer.registry import FUNCTIONS, function
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Program

if TYPE_CHECKING:
    from webconv.frontends.chainer.entries import Entries
    from webconv.frontends.chainer.registry import Convert

__all__ = ["FUNCTIONS", "function", "load", "trace"]


def trace(
    chain: Any,
    *examples: Any,
    entries: Entries | None = None,
    names: Sequence[str] | None = None,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    plugins: Mapping[str, Convert] | None = None,
    name: str | None = None,
) -> Program:
    """The program of `chain(*examples)`, or of several `entries` over its parameters and states.

    `entries` are methods of the chain or of its links, each with examples, by name:
    {"start": (chain.start, feature), "step": (chain.step, word)}.
    `names` are those of the inputs, by default of the parameters of the chain's forward.
    `input_shapes` names sizes by input: {"x": ("batch", "time")}, like `webconv.Dim`s in examples.
    Raises UnsupportedError with all functions that are missing, ModelFormatError if the chain
    depends on its data.
    """
    _require_chainer()
    _require_model(chain)
    from webconv.frontends.chainer.chains import program_of
    from webconv.frontends.chainer.traced import Traced

    name = name or type(chain).__name__
    if entries is not None:
        from webconv.frontends.chainer.entries import program_of_entries

        if examples or names:
            raise ModelFormatError("entries have examples and names of inputs of their own")
        return program_of_entries(chain, entries, input_shapes or {}, name, plugins or {})
    traced = Traced(chain, examples, names, input_shapes or {})
    return program_of(traced, name, plugins or {})


def load(
    path: Path,
    *,
    weights: Path | None = None,
    input_shapes: Mapping[str, tuple[Dim, ...]] | None = None,
    plugins: Sequence[Path] = (),
) -> Program:
    """The program of `net.py:make_net`, with the parameters of an npz file."""
    _require_chainer()
    from webconv.frontends.chainer.plugins import load_plugins
    from webconv.frontends.chainer.source import make, neighbours
    from webconv.frontends.chainer.weights import load_weights

    # What the user's code prints is no part of what the command line gives.
    with neighbours(path), contextlib.redirect_stdout(sys.stderr):
        chain, examples, entries = make(path)
        table = load_plugins(plugins)
        if weights is not None:
            called = [(m, e) for m, *e in entries.values()] if entries else [(chain, examples)]
            load_weights(chain, weights, called)
        return trace(
            chain,
            *examples,
            entries=entries,
            input_shapes=input_shapes,
            plugins=table,
            name=path.stem,
        )


def _require_chainer() -> None:
    try:
        import chainer  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            f"Chainer cannot be imported ({error}); webconv must be installed beside Chainer 7 "
            "and NumPy below 2, in Python 3.11 or older (docs/chainer.md has the lines)"
        ) from None


def _require_model(chain: Any) -> None:
    """Raises UnsupportedError for what computes a loss, or is no link."""
    import chainer

    classifier = chainer.links.Classifier
    if isinstance(chain, classifier) and type(chain).forward is classifier.forward:
        raise UnsupportedError(
            "an L.Classifier computes a loss from labels; convert its predictor "
            "(classifier.predictor), which reads the same snapshots"
        )
    if not isinstance(chain, chainer.Link):
        raise UnsupportedError(
            f"the model must be a chainer.Link, such as a Chain, but it is {type(chain).__name__}; "
            "a method of a chain can be an entry: trace(chain, entries={'main': (method, x)})"
        )
