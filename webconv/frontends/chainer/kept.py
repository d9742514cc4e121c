"""Compares what two calls of a chain do that begin with other things kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import numpy as np

from webconv.frontends.chainer.taken import Taken
from webconv.ir.op import Array


@dataclass(frozen=True, eq=False)
class Done:
    """The functions that a call's results need, and the arrays of its results."""

    functions: Mapping[str, Any]
    arrays: Mapping[str, Array]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Done):
            return NotImplemented
        if self.functions != other.functions or [*self.arrays] != [*other.arrays]:
            return False
        pairs = zip(self.arrays.values(), other.arrays.values(), strict=True)
        return all(_alike(a, b) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def _alike(a: Array, b: Array) -> bool:
    # The same call may round otherwise where its arrays lie elsewhere.
    return a.shape == b.shape and np.allclose(a, b, 1e-5, 1e-6, equal_nan=True)


def done(results: Any) -> Done:
    """What made `results`: nested Mappings and lists of Variables."""
    leaves = dict(_leaves("", results))
    arrays = {name: np.array(getattr(v, "array", v)) for name, v in leaves.items()}
    return Done({name: _functions(v) for name, v in leaves.items()}, arrays)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}/{key}", inner)
    elif isinstance(value, tuple | list):
        for k, inner in enumerate(value):
            yield from _leaves(f"{name}/{k}", inner)
    elif isinstance(value, chainer.Variable | np.ndarray):
        yield name, value


def _functions(value: Any) -> list[str]:
    """Names of the functions behind a Variable, in the order of a walk."""
    node = getattr(value, "node", None)
    walk, known, names = [getattr(node, "creator_node", None)], set(), []
    while walk:
        function = walk.pop()
        if function is not None and id(function) not in known:
            known.add(id(function))
            names.append(function.label)
            walk += [n.creator_node for n in function.inputs]
    return names


def moved(value: Any) -> Any:
    """`value` with other numbers in Variables, and in arrays that were computed of one.

    Two calls of one input would else do the same where the next compares it with the last.
    """
    if type(value) in (list, tuple):
        return type(value)(map(moved, value))
    if type(value) is dict:
        return {key: moved(inner) for key, inner in value.items()}
    if isinstance(value, Taken) and value.dtype.kind == "f":
        return value + value.dtype.type(1)
    if isinstance(value, chainer.Variable) and not isinstance(value, chainer.Parameter):
        array = np.asarray(value.array)
        return chainer.Variable(array + array.dtype.type(1) if array.dtype.kind == "f" else array)
    return value
