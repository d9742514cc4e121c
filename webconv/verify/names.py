"""Which input or output a key of an npz file means: a name, a position, or a place in a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.ir.errors import ModelFormatError


def by_name(
    given: Mapping[str, Any], names: Sequence[str], kind: str, lists: Collection[str] = ()
) -> dict[str, Any]:
    """What is given by name; `names` are all of a kind, in order, and `lists` those of them that
    are lists of sequences.

    Keys are names, `xs/0`, `xs/1`, ... for the sequences of a list, or positions; an exact name
    wins. A list takes as many positions as the others leave: those before it have the first ones,
    those behind it the last. Raises ModelFormatError for keys that mean nothing.
    """
    found: dict[str, Any] = {}
    places: dict[str, dict[int, Any]] = {}
    positions: dict[int, Any] = {}
    for key, value in given.items():
        name, _, place = key.rpartition("/")
        if key in names:
            is_list = key in lists and isinstance(value, list | tuple)
            found[key] = [np.asarray(a) for a in value] if is_list else np.asarray(value)
        elif name in lists and place.isdecimal():
            places.setdefault(name, {})[int(place)] = np.asarray(value)
        elif key.isdecimal():
            positions[int(key)] = np.asarray(value)
        else:
            raise _unknown(key, names, kind)
    open_lists = [n for n in names if n in lists and n not in found and n not in places]
    for position, value in positions.items():
        name, k = _at(position, max(positions) + 1, names, found, open_lists, kind)
        if name in open_lists:
            places.setdefault(name, {})[k] = value
        else:
            found.setdefault(name, value)
    found |= {name: _in_order(name, kind, rows) for name, rows in places.items()}
    return {name: found[name] for name in names if name in found}


def _at(
    position: int,
    count: int,
    names: Sequence[str],
    found: Mapping[str, Any],
    lists: Sequence[str],
    kind: str,
) -> tuple[str, int]:
    """The name at one of `count` positions, and the place in it if it is a list."""
    first = names.index(lists[0]) if lists else len(names)
    if position < first:
        return names[position], 0
    if not lists:
        raise _unknown(str(position), names, kind)
    if len(lists) > 1:
        keys = ", ".join(f"{name}/0" for name in lists)
        rule = f"several {kind}s are lists, so position {position} says too little"
        raise ModelFormatError(f"{rule}; name them {keys}, ...")
    behind = [n for n in names[first + 1 :] if n not in found]
    length = count - first - len(behind)
    if length < 1:
        rule = f"{count} positions leave none for the list {lists[0]!r}"
        raise ModelFormatError(f"{rule}: {', '.join(names)} are {kind}s")
    if position < first + length:
        return lists[0], position - first
    return behind[position - first - length], 0


def _in_order(name: str, kind: str, rows: Mapping[int, Any]) -> list[Any]:
    for k in range(len(rows)):
        if k not in rows:
            raise ModelFormatError(f"{kind} {name!r} is a list, whose array {k} is missing")
    return [rows[k] for k in range(len(rows))]


def _unknown(key: str, names: Sequence[str], kind: str) -> ModelFormatError:
    there = ", ".join(names) or "none"
    return ModelFormatError(f"there is no {kind} {key!r}; there are {there}")
