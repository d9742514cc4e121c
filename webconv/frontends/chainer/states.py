"""Links that keep something from call to call: what they keep becomes states of the program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import chainer.links as L
import numpy as np

# The links, and what each keeps. All begin with None, which stands for zeros.
KEPT: dict[type, tuple[str, ...]] = {
    L.LSTM: ("c", "h"),
    L.StatefulPeepholeLSTM: ("c", "h"),
    L.StatefulZoneoutLSTM: ("c", "h"),
    L.StatefulMGU: ("h",),
    L.StatefulGRU: ("h",),
}


@dataclass(frozen=True)
class Carried:
    """States before a call as Variables by name, and how to read those after it."""

    before: Mapping[str, Any]
    after: Callable[[], Mapping[str, Any]]


class States:
    """The stateful links of a chain."""

    def __init__(self, chain: Any) -> None:
        self.places: dict[str, tuple[Any, str]] = {}
        for path, link in chain.namedlinks():
            for kind, names in KEPT.items():
                if isinstance(link, kind):
                    for name in names:
                        self.places[f"{path.strip('/')}/{name}".lstrip("/")] = (link, name)

    @contextlib.contextmanager
    def carried(self, call: Callable[[], Any]) -> Iterator[Carried]:
        """Zeros as states, whose shapes a first call tells; the links are as before at the end."""
        kept = {name: getattr(link, field) for name, (link, field) in self.places.items()}
        try:
            if self.places:
                self._clear()
                with chainer.no_backprop_mode():
                    call()
            before = {}
            for name, (link, field) in self.places.items():
                value = getattr(link, field)
                if value is not None:
                    zeros = chainer.Variable(np.zeros_like(value.array))
                    before[name] = zeros
                    setattr(link, field, zeros)
            yield Carried(before, lambda: self._after(before))
        finally:
            for name, (link, field) in self.places.items():
                setattr(link, field, kept[name])

    def _clear(self) -> None:
        for link, field in self.places.values():
            setattr(link, field, None)

    def _after(self, before: Mapping[str, Any]) -> dict[str, Any]:
        return {name: getattr(*self.places[name]) for name in before}
