"""Lists of sequences: people give and get arrays of several lengths, operators have them packed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from webconv.ir.errors import ShapeError
from webconv.ir.op import Array, TensorType


@dataclass(frozen=True)
class Lists:
    """The inputs and outputs of a graph that are lists.

    The sequences of one lie one after another, `[total, ...]`. By its name, the name of the input
    with their lengths, i32 `[count]`, which people do not see; several inputs with the same lengths
    are as long, sequence by sequence. An output has those of an input list, or each is `more` rows
    longer. No sequence is empty, nor shorter than `least` says.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    more: Mapping[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> frozenset[str]:
        """The inputs that come with lists."""
        return frozenset(self.inputs.values())

    def beside(self, name: str) -> str | None:
        """The first list whose lengths the list `name` has too; None if that is itself."""
        first = next(n for n, lengths in self.inputs.items() if lengths == self.inputs[name])
        return None if first == name else first

    def text(self, name: str, t: TensorType) -> str:
        """The input `name` for people."""
        if name not in self.inputs:
            return str(t)
        return list_text(t, self.least.get(name, 1), self.beside(name))

    def kept(self, inputs: Collection[str], outputs: Collection[str]) -> Lists:
        """The lists of a graph that has only these inputs and outputs."""
        left = {name: n for name, n in self.inputs.items() if name in inputs and n in inputs}
        lengths = left.values()
        cut = {name: n for name, n in self.outputs.items() if name in outputs and n in lengths}
        least = {name: n for name, n in self.least.items() if name in left}
        return Lists(left, cut, least, {name: n for name, n in self.more.items() if name in cut})

    def renamed(self, names: Mapping[str, str]) -> Lists:
        """The same lists under new names."""
        inputs, outputs = (
            {names.get(name, name): names.get(n, n) for name, n in lists.items()}
            for lists in (self.inputs, self.outputs)
        )
        least, more = (
            {names.get(name, name): n for name, n in numbers.items()}
            for numbers in (self.least, self.more)
        )
        return Lists(inputs, outputs, least, more)

    def pack(self, given: Mapping[str, Any], types: Mapping[str, TensorType]) -> dict[str, Any]:
        """Inputs with every list as its sequences one after another, and their lengths.

        A list may come packed. Raises ShapeError if one does not fit its type.
        """
        packed = dict(given)
        for name, lengths in self.inputs.items():
            if name not in given:
                continue
            least = self.least.get(name, 1)
            if lengths in given:
                _check_packed(name, given[name], np.asarray(given[lengths]), least)
                continue
            arrays = sequences(name, given[name], types[name], least)
            packed[name] = np.concatenate(arrays)
            own = np.array([len(a) for a in arrays], np.int32)
            if not np.array_equal(packed.setdefault(lengths, own), own):
                rule = (
                    f"the sequences of {name!r} must be as long as those of {self.beside(name)!r}"
                )
                raise ShapeError(
                    f"{rule}, {packed[lengths].tolist()}, but they have {own.tolist()} rows"
                )
        return packed

    def unpack(self, outputs: Mapping[str, Array], packed: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs with lists of arrays, cut as the packed inputs are."""
        found: dict[str, Any] = dict(outputs)
        for name, lengths in self.outputs.items():
            if name in outputs:
                own = np.asarray(packed[lengths]) + self.more.get(name, 0)
                found[name] = np.split(outputs[name], np.cumsum(own)[:-1])
        return found


NO_LISTS = Lists()


def sequences(name: str, given: Any, t: TensorType, least: int = 1) -> list[Array]:
    """The arrays of a list of packed type `t`, each of `least` rows or more; raises ShapeError if
    one does not fit it."""
    if not isinstance(given, list | tuple) or not given:
        found = (
            "it is empty" if isinstance(given, list | tuple) else f"it is a {type(given).__name__}"
        )
        raise ShapeError(f"input {name!r} must be a {list_text(t)} of one or more, but {found}")
    arrays = [np.asarray(a) for a in given]
    for k, array in enumerate(arrays):
        if array.ndim != t.rank or array.shape[1:] != t.shape[1:] or len(array) < least:
            rows = "a row" if least == 1 else f"{least} rows"
            rule = f"input '{name}/{k}' must have shape {shape_text(t)} and {rows} or more"
            raise ShapeError(f"{rule}, but it has {list(array.shape)}")
    return arrays


def _check_packed(name: str, given: Any, lengths: Array, least: int) -> None:
    try:
        values = np.asarray(given)
    except ValueError:
        rule = f"input {name!r} comes with its lengths, so it must be packed"
        raise ShapeError(f"{rule}: one sequence after another, in one array") from None
    if np.any(lengths < least) or lengths.sum() != len(values):
        rows = f"{least} or more and add up to its {len(values)} rows"
        rule = f"the lengths of {name!r} must be {rows}"
        raise ShapeError(f"{rule}, but they are {lengths.tolist()}")


def members(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Arrays by name, with those of lists one by one: `xs/0`, `xs/1`, ..."""
    for name, value in values.items():
        if isinstance(value, list | tuple):
            yield from ((f"{name}/{k}", a) for k, a in enumerate(value))
        else:
            yield name, value


def shape_text(t: TensorType) -> str:
    """The shape of a sequence of a list: `[length, 4]`."""
    return f"[{', '.join(['length', *map(str, t.shape[1:])])}]"


def list_text(t: TensorType, least: int = 1, beside: str | None = None) -> str:
    """A list for people: `list of f32[length, 4]`, with `, length >= 2` where 1 is too few, and
    `, each as long as in xs` where another list has its lengths."""
    longer = f", length >= {least}" if least > 1 else ""
    shared = f", each as long as in {beside}" if beside else ""
    return f"list of {t.dtype}{shape_text(t)}{longer}{shared}"
