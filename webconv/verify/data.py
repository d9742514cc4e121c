"""Inputs and expected values: from npz files, or random ones that suit a program."""

from __future__ import annotations

import itertools
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Program
from webconv.ir.op import Array, TensorType
from webconv.verify.names import by_name

# Arrays by name or position; lists of sequences as lists of arrays.
Arrays = Mapping[str, Any]

# The sizes that open symbols are given, the first that the model can take.
SIZES = (7, 16, 32, 64, 128, 256)

# Where a graph or a run refuses those, as a window does that fits no axis, larger ones are tried.
LARGER = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

# How much the sizes of a try may come to when multiplied.
MOST = 1 << 18

# The lengths of the sequences of a random list.
LENGTHS = (5, 2, 7)


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file; raises ModelFormatError for anything else, pickles included."""
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                raise ModelFormatError(f"{path.name}: it is not an npz file")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        reason = error.strerror or "it is not an npz file"
        raise ModelFormatError(f"{path.name}: {reason}") from None
    except ValueError:
        # NumPy's words are about unsafe ways to load it.
        raise ModelFormatError(f"{path.name}: it is not an npz file of numbers") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelFormatError(f"{path.name}: it is not an npz file: {error}") from None


def split_states(program: Program, arrays: Arrays) -> tuple[dict[str, Any], dict[str, Array]]:
    """Arrays that are not of states, and those that are."""
    states = {s.name for s in program.states}
    return (
        {k: v for k, v in arrays.items() if k not in states},
        {k: np.asarray(v) for k, v in arrays.items() if k in states},
    )


def cast(name: str, array: Array, t: TensorType) -> Array:
    """`array` in the dtype of an input; raises ShapeError where that changes a value."""
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"input {name!r} is {t}, which dtype {array.dtype} does not fit")
    if array.dtype == t.dtype.numpy or (t.dtype.is_float and array.dtype.kind == "f"):
        return array.astype(t.dtype.numpy, copy=False)
    with np.errstate(invalid="ignore"):
        result = array.astype(t.dtype.numpy)
    if not np.array_equal(result, array):
        raise ShapeError(f"input {name!r} is {t}, but some values of {array.dtype} are not")
    return result


def _check_ids(name: str, array: Array, vocabulary: int | None) -> None:
    """Raise ShapeError for what the runner refuses to look up."""
    if vocabulary is None:
        return
    wrong = array[(array != np.floor(array)) | (array < 0) | (array >= vocabulary)]
    if wrong.size:
        rule = f"ids must be integers in [0, {vocabulary})"
        raise ShapeError(f"input {name!r}: {rule}, but one is {wrong[0]}")


def complete(
    program: Program,
    entry: str,
    given: Arrays,
    vocabularies: Mapping[tuple[str, str], int],
    rng: np.random.Generator,
    batch: int = 2,
    sizes: Sequence[int] = SIZES,
) -> dict[str, Any]:
    """The inputs of a run: `given` ones by name or position, cast; the others are random.

    `sizes` are tried in order for the symbols that stay open. Raises ShapeError for given ids out
    of a vocabulary, and where no sizes fit.
    """
    graph = program.entries[entry]
    types = {name: v.type for name, v in graph.inputs.items()}
    inputs = _given(graph, given, types)
    for name, value in inputs.items():
        for array in value if isinstance(value, list) else [value]:
            _check_ids(name, array, vocabularies.get((entry, name)))
    packed = graph.lists.pack(inputs, types)
    for k, name in enumerate(n for n in graph.lists.inputs if n not in inputs):
        row = tuple(dims.evaluate(d, {}) for d in types[name].shape[1:])
        limit = vocabularies.get((entry, name))
        longer = graph.lists.least.get(name, 1) - 1
        lengths = [n + longer for n in (*LENGTHS[k % 3 :], *LENGTHS[: k % 3])]
        shared = packed.get(graph.lists.inputs[name], lengths)
        inputs[name] = [random_array(types[name], (n, *row), limit, rng) for n in shared]
        packed = graph.lists.pack(inputs, types)
    if len(packed) == len(graph.inputs):
        return inputs
    chosen = _choose_sizes(program, graph, packed, batch, sizes)
    for name, value in graph.inputs.items():
        if name not in packed:
            shape = tuple(dims.evaluate(d, chosen) for d in value.shape)
            limit = vocabularies.get((entry, name))
            inputs[name] = random_array(value.type, shape, limit, rng)
    return inputs


def _given(graph: Graph, given: Arrays, types: Mapping[str, TensorType]) -> dict[str, Any]:
    """The inputs that are given, cast; those of a list one by one."""
    lists = graph.lists
    packed = {name: given[name] for name in lists.lengths if name in given}
    rest = {name: value for name, value in given.items() if name not in packed}
    seen = [name for name in graph.inputs if name not in lists.lengths]
    named = by_name(rest, seen, "input", lists.inputs) | packed
    return {
        name: [cast(f"{name}/{k}", np.asarray(a), types[name]) for k, a in enumerate(value)]
        if isinstance(value, list)
        else cast(name, np.asarray(value), types[name])
        for name, value in named.items()
    }


def random_array(
    t: TensorType, shape: tuple[int, ...], vocabulary: int | None, rng: np.random.Generator
) -> Array:
    """Values that suit a dtype: normal, booleans, small integers, or ids of a vocabulary."""
    if vocabulary is not None:
        return rng.integers(0, vocabulary, shape).astype(t.dtype.numpy)
    if t.dtype.is_float:
        return rng.standard_normal(shape).astype(t.dtype.numpy)
    high = 2 if t.dtype == dtypes.bool_ else 10
    return rng.integers(0, high, shape).astype(t.dtype.numpy)


def _choose_sizes(
    program: Program, graph: Graph, given: Arrays, batch: int, tried: Sequence[int]
) -> dict[str, int]:
    """Values for all symbols: `batch`, and sizes that no guard and no output refuses."""
    fixed: dict[str, int] = {}
    for name, array in given.items():
        for d, n in zip(graph.inputs[name].shape, array.shape, strict=False):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol):
                fixed[found.name] = n
    open_symbols = [s for s in graph.symbols if s not in fixed]
    usual = _candidates(open_symbols, batch, tried)
    for sizes in itertools.chain(usual, _candidates(open_symbols, batch, LARGER)):
        if _fits(graph, fixed | sizes):
            return fixed | sizes
    rule = f"no sizes were found for {', '.join(open_symbols)}; give inputs (--inputs FILE.npz)"
    raise ShapeError(f"{program.name}: {rule}")


def _candidates(
    symbols: Sequence[str], batch: int, tried: Sequence[int]
) -> Iterator[dict[str, int]]:
    choices = [(batch, 1) if s == "batch" else tried for s in symbols]
    for sizes in itertools.islice(itertools.product(*choices), 10_000):
        if math.prod(sizes) <= MOST:
            yield dict(zip(symbols, sizes, strict=True))


def _fits(graph: Graph, sizes: Mapping[str, int]) -> bool:
    """True if no guard and no shape refuses sizes; what only a run tells is not looked at."""

    def known(*own: Dim) -> bool:
        return dims.symbols(*own) <= sizes.keys()

    guards = [pair for pair in graph.guards if known(*pair)]
    if any(dims.evaluate(a, sizes) != dims.evaluate(b, sizes) for a, b in guards):
        return False
    shapes = {d for v in graph.values for d in v.shape if known(d)}
    return all(dims.evaluate(d, sizes) > 0 for d in shapes)
