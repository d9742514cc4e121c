"""What a call of a chain did, without Chainer's objects: leaves, and calls of functions on them.

Values are numbered from 0 in the order in which a walk from the outputs finishes them, so two
tapes of the same chain number equal parts alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webconv.frontends.chainer.patterns import Pattern
from webconv.ir.dims import Dim
from webconv.ir.op import Array


@dataclass(frozen=True)
class Leaf:
    """A value that no function made.

    `kind` is input, state, parameter or constant; `value` is the number it has. `shape` has the
    symbols of an input, or of a constant that is made of sizes: kind `made`, as `pattern` says.
    """

    kind: str
    name: str
    array: Array
    value: int
    shape: tuple[Dim, ...] | None = None
    pattern: Pattern | None = None


@dataclass(frozen=True)
class Call:
    """A function on values `inputs`; it made `outputs`, None where nothing reads one.

    `name` is the class of the function, `attributes` what it was made with, `where` the line of
    the user's that called it, `link` the path of the link that did.
    """

    name: str
    attributes: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int | None, ...]
    where: str
    link: str = ""

    @property
    def label(self) -> str:
        """What its node is called."""
        return f"{self.link}/{self.name}" if self.link else self.name


@dataclass(frozen=True)
class Tape:
    """Leaves and calls in an order in which they can be computed; outputs and writes by name.

    `results` are the arrays that the chain gave, `written` the states after it, `inputs` the names
    of its inputs in order, `lists` those that are sequences of one list, by its name, and `beside`
    the lists whose sequences are as long as those of another. `layers` has the values that links
    gave in each call, by the link's path. `counted` are axes of inputs whose size is a list's
    number of sequences.
    """

    leaves: Sequence[Leaf]
    calls: Sequence[Call]
    outputs: Mapping[str, int]
    writes: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Array] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    written: Mapping[str, Array] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    counted: Mapping[str, Mapping[int, Dim]] = field(default_factory=dict)
