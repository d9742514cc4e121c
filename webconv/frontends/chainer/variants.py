"""The same chain called with other lists, or with its arguments read in another way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from webconv.frontends.chainer.example import Dim as NamedSize
from webconv.frontends.chainer.example import example, resized
from webconv.frontends.chainer.ragged import is_ragged
from webconv.frontends.chainer.traced import Sizes, Traced, signature
from webconv.ir.op import Array


def with_star(traced: Traced) -> Traced | None:
    """The same with the arrays of `*xs` as a list, if they are two or more that can be one.

    Names of their own, or of their sizes, say that they are inputs of their own.
    """
    parameters = [*signature(traced.method or traced.chain).parameters.values()]
    star = next((k for k, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL), None)
    if star is None or traced.names:
        return None
    before, own = traced.arguments[:star], traced.arguments[star:]
    arrays = [array for argument in own for array in argument.arrays]
    plain = not any(a.listed or any(a.axes[0]) or a.label in traced.input_shapes for a in own)
    if len(own) < 2 or not plain or not is_ragged(arrays):
        return None
    label = parameters[star].name
    return dataclasses.replace(
        traced,
        examples=[*traced.examples[:star], arrays],
        names=[*(a.label for a in before), label],
        starred=label,
    )


def with_other_lists(traced: Traced, least: Sizes) -> Traced:
    """The same with one sequence more in each list, and with other lengths.

    By its name, a list has `least` rows or more in each sequence.
    """
    lists = [[len(v) for v in a.arrays] for a in traced.arguments if a.is_list]
    for last in range(4, 4 + 3 * len(lists)):
        made = _with_lengths(traced, (2, 3, last), None, least)
        others = [[len(v) for v in a.arrays] for a in made.arguments if a.is_list]
        pairs = zip(lists, others, strict=True)
        if all(max(a) != max(b) and sum(a) != sum(b) for a, b in pairs):
            break
    return made


def with_lists(traced: Traced, lengths: Sequence[int], least: Sizes, apart: int = 0) -> Traced:
    """The same with lists of sequences of these lengths; they are longer if `least` says so.

    The sequences of each next argument are `apart` longer.
    """
    return _with_lengths(traced, lengths, len(lengths), least, apart)


def _with_lengths(
    traced: Traced, lengths: Sequence[int], count: int | None, least: Sizes, apart: int = 0
) -> Traced:
    """The same with `count` sequences in each list, or one more; a list has other lengths
    than the list before it."""
    more = {n: (c + 1 if count is None else count) for n, c in traced.counts.items()}
    places = {a.label: place for place, a in enumerate(traced.arguments)}
    examples: list[Any] = []
    for argument in traced.arguments:
        arrays = argument.arrays
        place = places[traced.beside.get(argument.label, argument.label)]
        if argument.is_list:
            made = []
            for k in range(more[f"{argument.label}_count"]):
                array = arrays[k % len(arrays)]
                n = lengths[(k + place) % len(lengths)] + least.get(argument.label, 1) - 1
                n += apart * place
                made.append(resized(array, (n, *array.shape[1:])))
            examples.append(made)
        else:
            pairs = zip(arrays, argument.axes, strict=True)
            own = [_with_counts(a, axes, more) for a, axes in pairs]
            examples.append(own if argument.listed else own[0])
    labels = [a.label for a in traced.arguments]
    return dataclasses.replace(traced, examples=examples, names=labels)


def with_apart(traced: Traced) -> Traced | None:
    """The same with sequences that all have lengths of their own, of two rows or more.

    None if they have, or if sizes are named. A list whose sequences have one row, or as many as
    those of another list, does not show what belongs to what.
    """
    own = [a for a in traced.arguments if a.is_list and a.label not in traced.beside]
    lengths = [len(v) for a in own for v in a.arrays]
    if traced.sizes or traced.input_shapes or (len({1, *lengths}) > len(lengths)):
        return None
    examples: list[Any] = []
    sizes: dict[str, list[int]] = {}
    done = 0
    for argument in own:
        least = min(map(len, argument.arrays))
        sizes[argument.label] = [least + 1 + ((done + k) ^ 1) for k in range(len(argument.arrays))]
        done += len(argument.arrays)
    for argument in traced.arguments:
        arrays = argument.arrays
        if argument.is_list:
            rows = sizes[traced.beside.get(argument.label, argument.label)]
            made = [resized(v, (n, *v.shape[1:])) for v, n in zip(arrays, rows, strict=True)]
            examples.append(made)
        else:
            examples.append(arrays if argument.listed else arrays[0])
    labels = [a.label for a in traced.arguments]
    return dataclasses.replace(traced, examples=examples, names=labels)


def with_beside(traced: Traced, first: str, second: str) -> Traced:
    """The same with lists whose sequences are as long as those of each other."""
    order = [a.label for a in traced.arguments]
    same = {traced.beside.get(name, name) for name in (first, second)}
    root = min(same, key=order.index)
    both = {a: root if b in same else b for a, b in traced.beside.items()}
    return dataclasses.replace(traced, beside=both | dict.fromkeys(same - {root}, root))


def with_alike(traced: Traced) -> Traced | None:
    """The same with the lists that are as long in the example beside each other.

    None if there are none. A chain may take such lists only, if it joins each of them as a whole.
    """
    first: dict[tuple[int, ...], str] = {}
    beside = dict(traced.beside)
    for argument in traced.arguments:
        if argument.is_list:
            root = first.setdefault(tuple(map(len, argument.arrays)), argument.label)
            if root != argument.label:
                beside[argument.label] = root
    return dataclasses.replace(traced, beside=beside) if beside != traced.beside else None


def with_counted(traced: Traced) -> Traced | None:
    """The same with first axes of other inputs named by the list that has as many sequences.

    None if there are none. Who has named sizes has said which are open.
    """
    if traced.sizes or traced.input_shapes or not traced.counts:
        return None
    name, count = next(iter(traced.counts.items()))
    examples: list[Any] = []
    for argument in traced.arguments:
        own = []
        for array in argument.arrays:
            fits = not argument.is_list and array.ndim > 0 and array.shape[0] == count
            sizes = [NamedSize(name, count), *array.shape[1:]] if fits else array.shape
            own.append(example(sizes, array.dtype, array))
        examples.append(own if argument.listed else own[0])
    labels = [a.label for a in traced.arguments]
    made = dataclasses.replace(traced, examples=examples, names=labels)
    return made if any(made.counted()) else None


def _with_counts(array: Array, axes: Sequence[NamedSize | None], counts: Sizes) -> Array:
    """An example array with as many rows as lists have sequences."""
    sizes: list[int] = []
    for n, axis in zip(array.shape, axes, strict=True):
        sizes.append(n if axis is None else NamedSize(axis.name, counts.get(axis.name, n)))
    return example(sizes, array.dtype, resized(array, sizes))
