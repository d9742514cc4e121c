"""What the links of a chain are called, and what they give: the layers of a program.

A link is known by its path (`encoder/lstm`). Links that one of Chainer's own links holds are parts
of it and have no name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import chainer

from webconv.frontends.chainer.tape import Tape
from webconv.ir.graph import Graph, Program, Value


def paths(chain: Any) -> dict[int, str]:
    """The path of each link by its id, for links that the user's own chains hold."""
    parts = ""
    found = {}
    for path, link in sorted(chain.namedlinks(), key=lambda pair: pair[0]):
        if parts and path.startswith(parts):
            continue
        own = type(link).__module__.startswith("chainer.") and not _only_joins(link)
        parts = f"{path}/" if own and path != "/" else ""
        found[id(link)] = path.strip("/")
    return found


def _only_joins(link: Any) -> bool:
    return isinstance(link, chainer.Sequential | chainer.ChainList) or type(link) is chainer.Chain


class Calls(chainer.LinkHook):  # type: ignore[misc]
    """Notes what links are called, and which of them a function is called in."""

    name = "webconv"

    def __init__(self, chain: Any) -> None:
        self._paths = paths(chain)
        self._open: list[str] = []
        self._classes = {type(link) for _, link in chain.namedlinks()}
        self.results: list[tuple[str, Any]] = []

    @property
    def path(self) -> str:
        """The path of the link that runs, empty outside of links with a name."""
        return self._open[-1] if self._open else ""

    def forward_preprocess(self, args: Any) -> None:
        """Called by Chainer before a link computes."""
        self._open.append(self._paths.get(id(args.link), self.path))

    def forward_postprocess(self, args: Any) -> None:
        """Called by Chainer after it."""
        self._open.pop()
        path = self._paths.get(id(args.link))
        if path and chainer.config.enable_backprop:
            self.results.append((path, args.out))

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """While it lasts, calls are noted, also those of links that have a `__call__`."""
        kept = [(cls, vars(cls)["__call__"]) for cls in self._classes if "__call__" in vars(cls)]
        try:
            for cls, call in kept:
                if cls.__module__.split(".")[0] != "chainer":
                    cls.__call__ = _hooked(call, self)
            with self:
                yield
        finally:
            for cls, call in kept:
                cls.__call__ = call


def _hooked(call: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    """A `__call__` as people wrote it before Chainer had `forward`."""

    @functools.wraps(call)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = chainer.link_hook._ForwardPreprocessCallbackArgs(self, "__call__", args, kwargs)
        calls.forward_preprocess(given)
        out = call(self, *args, **kwargs)
        after = chainer.link_hook._ForwardPostprocessCallbackArgs(
            self, "__call__", args, kwargs, out
        )
        calls.forward_postprocess(after)
        return out

    return hooked


def variables(out: Any) -> Iterator[Any]:
    """The Variables that a call gave, in order."""
    if isinstance(out, chainer.Variable):
        yield out
    elif isinstance(out, Mapping):
        for inner in out.values():
            yield from variables(inner)
    elif isinstance(out, tuple | list):
        for inner in out:
            yield from variables(inner)


def numbered(
    results: Sequence[tuple[str, Any]], numbers: Mapping[int, int]
) -> dict[str, list[list[int]]]:
    """The results that are on the tape; `numbers` has values by the ids of their nodes."""
    found: dict[str, list[list[int]]] = {}
    for path, out in results:
        own = [id(v.node) for v in variables(out)]
        if own and all(n in numbers for n in own):
            found.setdefault(path, []).append([numbers[n] for n in own])
    return found


def with_common_layers(tapes: Sequence[Tape]) -> list[Tape]:
    """The tapes with layers that all have, the last call where some have more of them."""
    names = [n for n in tapes[0].layers if all(n in t.layers for t in tapes)]
    found: list[dict[str, Sequence[Sequence[int]]]] = [{} for _ in tapes]
    for name in names:
        calls = [t.layers[name] for t in tapes]
        kept = calls if len({len(c) for c in calls}) == 1 else [c[-1:] for c in calls]
        if len({tuple(len(call) for call in c) for c in kept}) == 1:
            for own, c in zip(found, kept, strict=True):
                own[name] = c
    pairs = zip(tapes, found, strict=True)
    return [dataclasses.replace(t, layers=layers) for t, layers in pairs]


def changed(program: Program, change: Callable[[Program], Program]) -> Program:
    """`change(program)` with the layers of the program, which passes drop."""
    return stripped(change(shown(program)), program)


def shown(program: Program) -> Program:
    """`program` with its layers as outputs."""
    graph = program.main
    added = {_key(n, k): v for n, vs in program.layers.items() for k, v in enumerate(vs)}
    return _with_outputs(program, {**graph.outputs, **added})


def stripped(program: Program, like: Program) -> Program:
    """`program` with the layers of `like`, which are outputs, as layers again."""
    outputs = dict(program.main.outputs)
    layers = {
        name: tuple(outputs.pop(_key(name, k)) for k in range(len(values)))
        for name, values in like.layers.items()
    }
    return dataclasses.replace(_with_outputs(program, outputs), layers=layers)


def _key(name: str, k: int) -> str:
    return f"layer {name} {k}"


def _with_outputs(program: Program, outputs: Mapping[str, Value]) -> Program:
    main: Graph = dataclasses.replace(program.main, outputs=outputs)
    return dataclasses.replace(program, entries={**program.entries, "main": main})
