"""One tape of several that were made with other sizes.

Where the numbers in them differ, they depend on the sizes: `fit` finds how. The samples are more
than a fit needs, so what does not follow from the sizes is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends.chainer import patterns
from webconv.frontends.chainer.tape import Call, Leaf, Tape
from webconv.ir import dims
from webconv.ir.dims import Dim

Sample = Mapping[str, int]


class Mismatch(Exception):
    """What differs between tapes or programs and does not follow from their sizes."""


def samples_of(
    sizes: Sample, fits: Callable[[Sample], bool] = lambda sample: True
) -> list[dict[str, int]]:
    """Sizes to try: near and far ones for each name, and all of them changed at once.

    `fits` tells which of them can be called: a table of a chain may hold no more than some number
    of steps. Smaller sizes are tried then.
    """
    base = dict(sizes)
    found = [base]
    near: list[dict[str, int]] = [{}, {}]
    for k, (name, n) in enumerate(sizes.items()):
        far = 2 * n + 3 + k
        tries = (n + 1, n + 2, far, n - 1, n - 2, (n + 1) // 2, *multiples(n))
        fitting = (m for m in dict.fromkeys(tries) if m != n and m >= 1 and fits({**base, name: m}))
        good = [*itertools.islice(fitting, 3)]
        # Of too few, what is too large is told by its call.
        good = good if len(good) > 1 else [n + 1, far]
        found += [{**base, name: m} for m in good]
        near[0][name], near[1][name] = good[0], good[-1]
    if len(sizes) > 1:
        apart = (
            {name: n + 2 + k for k, (name, n) in enumerate(sizes.items())},
            {name: 2 * n + 1 + 3 * k for k, (name, n) in enumerate(sizes.items())},
        )
        found += [s if fits(s) else other for s, other in zip(apart, near, strict=True)]
    return found


def multiples(n: int) -> Iterator[int]:
    """Sizes that a chain may take which halves its arrays and doubles them again."""
    for step in (2, 4, 8, 16, 32):
        if n % step == 0:
            yield from (n + step, n - step, n + 2 * step)


def fit(values: Sequence[int], samples: Sequence[Sample]) -> Dim:
    """The Dim that has these values; raises Mismatch if none is found."""
    if all(v == values[0] for v in values):
        return values[0]
    names = list(samples[0])
    for terms in _bases(names):
        table = np.array([[dims.evaluate(t, s) for t in terms] for s in samples], float)
        solution, *_ = np.linalg.lstsq(table, np.array(values, float), rcond=None)
        whole = [round(float(c)) for c in solution]
        total: Dim = 0
        for c, t in zip(whole, terms, strict=True):
            total = total + c * t
        if all(dims.evaluate(total, s) == v for s, v in zip(samples, values, strict=True)):
            return total
    raise Mismatch(f"numbers {short(values)} do not follow from the sizes")


@dataclass(frozen=True)
class Varying:
    """Numbers that do not follow from the sizes alone, but may from those of other arrays."""

    values: Sequence[int]
    samples: Sequence[Sample]

    def resolved(self, known: Iterable[Dim]) -> Dim:
        """The Dim in terms of one that is known; raises Mismatch if none fits."""
        for d in known:
            at = [dims.evaluate(d, s) for s in self.samples]
            table = np.array([[1.0, n] for n in at])
            solution, *_ = np.linalg.lstsq(table, np.array(self.values, float), rcond=None)
            b, a = (round(float(c)) for c in solution)
            if all(a * n + b == v for n, v in zip(at, self.values, strict=True)):
                return a * d + b
        raise Mismatch(f"numbers {short(self.values)} do not follow from the sizes")


@dataclass(frozen=True)
class Reciprocal:
    """1 / size: a mean that is written as a division by a size."""

    size: Dim | Varying


def resolved(value: Any, known: Sequence[Dim]) -> Any:
    """`value` with what varies in it as Dims."""
    match value:
        case Varying():
            return value.resolved(known)
        case Reciprocal(Varying() as size):
            return Reciprocal(size.resolved(known))
        case tuple() | list():
            return type(value)(resolved(v, known) for v in value)
        case slice():
            return slice(*resolved((value.start, value.stop, value.step), known))
    return value


def _bases(names: Sequence[str]) -> list[list[Dim]]:
    """Sets of terms to try: linear ones, products, and halves, thirds, ... rounded down."""
    symbols: list[Dim] = [dims.symbol(n) for n in names]
    linear: list[Dim] = [1, *symbols]
    products = [dims.product(p) for p in itertools.combinations(symbols, 2)]
    pairs = itertools.combinations(symbols, 2)
    bases = [linear, *([1, *pair, dims.product(pair)] for pair in pairs), [*linear, *products]]
    for s, d in itertools.product(symbols, range(2, 9)):
        bases += [[1, dims.floordiv(s + shift, d)] for shift in range(d)]
    return bases


def generalised(values: Sequence[Any], samples: Sequence[Sample]) -> Any:
    """The value that stands for all: numbers become Dims where they differ."""
    first = values[0]
    if all(v is first for v in values):
        return first
    if any(type(v) is not type(first) for v in values):
        kinds = {type(v).__name__ for v in values}
        raise Mismatch(f"{short(values)} are of several kinds ({', '.join(sorted(kinds))})")
    if isinstance(first, bool | str | bytes | type(None)):
        return _equal(values)
    if isinstance(first, int | np.integer):
        return _fitted([int(v) for v in values], samples)
    if isinstance(first, float | np.floating):
        return _number(values, samples)
    if isinstance(first, tuple | list):
        if len({len(v) for v in values}) != 1:
            raise Mismatch(f"{short(values)} differ in length")
        return type(first)(generalised(vs, samples) for vs in zip(*values, strict=True))
    if isinstance(first, slice):
        parts = [(v.start, v.stop, v.step) for v in values]
        return slice(*generalised(parts, samples))
    if isinstance(first, dict):
        return {k: generalised([v[k] for v in values], samples) for k in first}
    if isinstance(first, np.ndarray):
        return _same_array(values, samples)
    if isinstance(first, dims.Expr):
        return _equal(values)
    return _equal(values) if isinstance(first, np.dtype) else first


def _equal(values: Sequence[Any]) -> Any:
    first = values[0]
    for v in values:
        same = v == first
        if not (same if isinstance(same, bool) else np.all(same)):
            raise Mismatch(f"{short(values)} differ")
    return first


def _fitted(values: Sequence[int], samples: Sequence[Sample]) -> Dim | Varying:
    try:
        return fit(values, samples)
    except Mismatch:
        if all(s == samples[0] for s in samples):
            raise Mismatch(f"numbers {short(values)} differ") from None
        return Varying(values, samples)


def _number(values: Sequence[Any], samples: Sequence[Sample]) -> Any:
    """A float that is the same, or a size as a float."""
    first = values[0]
    if all(v == first or (v != v and first != first) for v in values):
        return first
    if all(float(v).is_integer() for v in values):
        return _fitted([int(v) for v in values], samples)
    inverse = [1 / float(v) for v in values if v]
    if len(inverse) == len(values) and np.allclose(inverse, np.round(inverse), 1e-6, 0):
        return Reciprocal(_fitted([round(v) for v in inverse], samples))
    raise Mismatch(f"numbers {short(values)} differ")


def _same_array(values: Sequence[Any], samples: Sequence[Sample]) -> Any:
    first = values[0]
    if all(np.array_equal(v, first) for v in values):
        return first
    if first.dtype.kind in "iu" and first.ndim == 1 and len({v.shape for v in values}) == 1:
        # Places to split at, sizes to repeat: a row of numbers.
        return [_fitted([int(v[k]) for v in values], samples) for k in range(first.size)]
    if first.dtype.kind in "iu" and first.ndim == 0:
        return _fitted([int(v) for v in values], samples)
    raise Mismatch(f"arrays {short(values)} differ")


def short(values: Sequence[Any]) -> str:
    """Some of the values, for a message."""
    texts = dict.fromkeys(_text(v) for v in values)
    return " and ".join([*texts][:3])


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"{value.dtype}{list(value.shape)}"
    return " ".join(repr(value).split())[:60]


def aligned(tapes: Sequence[Tape], samples: Sequence[Sample]) -> Tape:
    """The tape of all sizes; raises Mismatch with the line at which tapes differ."""
    first = tapes[0]
    if len(tapes) == 1:
        return first
    for k, group in enumerate(itertools.zip_longest(*(t.calls for t in tapes))):
        names = [None if c is None else c.name for c in group]
        if len(set(names)) > 1:
            call = next(c for c in group if c is not None)
            known = " and ".join(dict.fromkeys(n or "nothing" for n in names))
            raise Mismatch(f"at {call.where} it calls {known} (call {k + 1})")
    if any(t.outputs != first.outputs or t.writes != first.writes for t in tapes):
        raise Mismatch("its outputs come from other calls")
    calls = [_call(group, samples) for group in zip(*(t.calls for t in tapes), strict=True)]
    readers = {n: c for c in reversed(calls) for n in c.inputs}
    by_value = [{leaf.value: leaf for leaf in t.leaves} for t in tapes]
    if any(set(b) != set(by_value[0]) for b in by_value):
        raise Mismatch("its calls are joined in another way")
    leaves = [
        generalised_leaf([b[v] for b in by_value], samples, readers.get(v))
        for v in sorted(by_value[0])
    ]
    return dataclasses.replace(first, leaves=leaves, calls=calls)


def _call(calls: Sequence[Call], samples: Sequence[Sample]) -> Call:
    first = calls[0]
    for c in calls:
        if (c.inputs, len(c.outputs), c.where) != (first.inputs, len(first.outputs), first.where):
            raise Mismatch(f"at {first.where} it calls {first.name} on other values")
    attributes = {}
    for name in first.attributes:
        try:
            attributes[name] = generalised([c.attributes.get(name) for c in calls], samples)
        except Mismatch as mismatch:
            where = f"at {first.where}, {name} of {first.name}"
            raise Mismatch(f"{where}: {mismatch}") from None
    return dataclasses.replace(first, attributes=attributes)


def generalised_leaf(
    leaves: Sequence[Leaf], samples: Sequence[Sample], reader: Call | None
) -> Leaf:
    """The leaf that stands for those of all samples."""
    first = leaves[0]
    where = f" at {reader.where}" if reader else ""
    if len({(leaf.kind, leaf.name) for leaf in leaves}) > 1:
        raise Mismatch(f"{short([leaf.name or leaf.kind for leaf in leaves])} are read{where}")
    arrays = [leaf.array for leaf in leaves]
    if first.kind == "parameter":
        return first
    if len({a.ndim for a in arrays}) > 1:
        raise Mismatch(f"arrays have several numbers of axes{where}")
    shape = tuple(fit(list(ns), samples) for ns in zip(*(a.shape for a in arrays), strict=True))
    if first.kind in ("input", "state"):
        return dataclasses.replace(first, shape=shape)
    if all(np.array_equal(a, first.array, equal_nan=a.dtype.kind == "f") for a in arrays):
        return first
    pattern = None
    # What other values change, and not other sizes, is no pattern.
    if any(s != samples[0] for s in samples):
        with contextlib.suppress(Mismatch):
            pattern = patterns.found(arrays, shape, samples, fit)
    if pattern is None:
        advice = (
            "; make it with chainer.functions of np.arange, or keep a table of the longest in the "
            "chain and take its first rows"
        )
        open_ = any(isinstance(n, dims.Expr) for n in shape)
        raise Mismatch(f"an array that is no Variable differs{where}" + (advice if open_ else ""))
    return dataclasses.replace(first, kind="made", shape=shape, pattern=pattern)
