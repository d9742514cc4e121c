"""Example inputs of a chain, and names for their sizes.

    from webconv import Dim, example
    x = example((Dim("batch", 2), Dim("time", 12)), "int32")

`x` is an array like any other, which remembers the names of its axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webconv.ir import dims
from webconv.ir.errors import ShapeError
from webconv.ir.op import Array

# Other values for an array.
Change = Callable[[Array], Array]


class Dim(int):
    """A size with a name: it stays open when the chain is compiled; `size` is the example's."""

    name: str

    def __new__(cls, name: str, size: int) -> Dim:
        made = super().__new__(cls, size)
        parsed = dims.parse(name)
        if not isinstance(parsed, dims.Expr) or str(parsed) != name or not name.isidentifier():
            raise ShapeError(f"the name of a size must be a plain name, but it is {name!r}")
        if size < 1:
            raise ShapeError(f"the example size of {name} must be at least 1, but it is {size}")
        made.name = name
        return made

    def __repr__(self) -> str:
        return f"Dim({self.name!r}, {int(self)})"


class Example(np.ndarray):
    """An array whose axes may have names."""

    axes: tuple[Dim | None, ...]

    def __array_finalize__(self, source: Any) -> None:
        # What is computed of an example has axes of its own.
        self.axes = (None,) * self.ndim


def example(shape: Sequence[int], dtype: Any = "float32", values: Any = None) -> Example:
    """An example input of `shape`, whose sizes may be `Dim`s; of `values`, or made up.

    Made-up floats lie around 0, integers are 0 and 1 (a vocabulary has at least two words).
    """
    sizes = tuple(int(n) for n in shape)
    array = made_up(sizes, np.dtype(dtype)) if values is None else np.asarray(values, dtype)
    if array.shape != sizes:
        raise ShapeError(f"the values' shape is {list(array.shape)}, not {list(sizes)}")
    made = array.view(Example)
    made.axes = tuple(n if isinstance(n, Dim) else None for n in shape)
    return made


def made_up(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Values that are all alike in no axis."""
    count = int(np.prod(shape))
    if dtype.kind == "f":
        return np.sin(1.0 + 2.39996 * np.arange(count)).reshape(shape).astype(dtype)
    return (np.arange(count) * 7 % 5 % 2).reshape(shape).astype(dtype)


def is_numbers(value: Any) -> bool:
    """True for Python's numbers and nested lists of them, which stand for one array."""
    if isinstance(value, list | tuple):
        return bool(value) and all(map(is_numbers, value))
    return isinstance(value, bool | int | float)


def array_of(value: Any) -> Array:
    """An array of the types that Chainer's links and `F.embed_id` take."""
    array = np.asarray(value)
    if is_numbers(value) and array.dtype.kind in "if":
        return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    return array


def names_of(array: Array) -> tuple[Dim | None, ...]:
    """The names of an array's axes, None where a size is fixed."""
    return array.axes if isinstance(array, Example) else (None,) * array.ndim


def resized(array: Array, shape: Sequence[int]) -> Array:
    """`array` with other sizes, its elements repeated or cut off."""
    out = np.asarray(array)
    for axis, n in enumerate(shape):
        if n != out.shape[axis]:
            out = np.take(out, np.arange(n) % out.shape[axis], axis)
    return np.array(out, order="C")


def disturbed(array: Array) -> Array:
    """`array` with other values that are as valid.

    Floats of both signs get the other sign and are larger, those of one (sizes, probabilities) are
    moved a little; others are mixed up, and of equal ones some get a value near.
    """
    flat = np.asarray(array).reshape(-1)
    if flat.dtype.kind == "f":
        scale = flat.dtype.type(-2.5 if flat.min(initial=0) < 0 else 1)
        moved = scale * flat + (0.5 + 0.25 * np.sin(np.arange(flat.size))).astype(flat.dtype)
    else:
        # Moved by one, those of an array that repeats itself would repeat themselves again.
        moved = np.random.RandomState(1).permutation(flat)
        if np.array_equal(moved, flat):
            moved = np.roll(flat, 1)
        if flat.size and np.all(flat == flat[0]):
            moved[::2] = flat[0] - 1 if flat[0] > 0 else 1
    return np.array(moved.reshape(array.shape), array.dtype, order="C")


def contrary(array: Array) -> Array:
    """`array` with values that others seldom have: 0, 1, 2, ..., of floats the other sign.

    What a chain makes of arrays with NumPy (`mask[x.array > 0] = 1`) may be the same for all that
    are like the example, and not for these.
    """
    flat = np.asarray(array).reshape(-1)
    places = np.arange(flat.size)
    if flat.dtype.kind == "f":
        moved = np.where(places % 3 == 2, 0, np.where(flat == 0, 1, -flat))
    elif flat.dtype.kind == "b":
        moved = ~flat
    else:
        moved = places % max(2, int(flat.max(initial=0)) + 1)
    return np.array(moved.reshape(array.shape), array.dtype, order="C")


def emptied(array: Array) -> Array:
    """`contrary`, with 0 for all integers, which mostly stands for no word."""
    return contrary(array) if array.dtype.kind not in "iu" else np.zeros_like(array, order="C")


def padded(array: Array) -> Array:
    """`contrary`, with -1 for all integers, which stands for no word at all."""
    made = emptied(array)
    return made - 1 if array.dtype.kind == "i" else made
