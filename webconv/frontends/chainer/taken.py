"""Arrays that were taken out of Variables, and remember it through what NumPy computes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import chainer.functions as F
import numpy as np

from webconv.frontends.chainer import masks
from webconv.frontends.chainer.lines import is_users

# Adds the line that runs to what is known of it.
Note = Callable[[str], None]

LOOKS = "looks at numbers"
CHANGES = "changes an array in place"

# What they give has no number of what they are given.
LIKE = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)

# They give numbers that no array's numbers decide.
OF_SHAPES = (np.ndim, np.size, np.shape, np.shares_memory, np.may_share_memory)

# What they give has a shape that numbers decide.
SHAPED = (np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress)

# They change their first array.
CHANGING = (np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask)


class Taken(np.ndarray):
    """An array that was taken out of a Variable, or computed of one.

    `variable` is that whose array it is, and None if it was computed of floats: then no graph has
    it. `counted` tells that it was computed of integers.
    """

    note: Note | None
    variable: Any
    counted: bool

    def __array_finalize__(self, source: Any) -> None:
        self.note, self.variable, self.counted = getattr(source, "note", None), None, False

    @property
    def node(self) -> Any:
        """The node in Chainer's graph that has this array."""
        return None if self.variable is None else self.variable.node

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in CHANGING:
            self._tell(CHANGES)
        if function in masks.MOVING and args and not kwargs:
            variable = masks.moved(masks.MOVING[function], args[0], *args[1:])
            if variable is not None:
                return _computed(variable.array, self.note, variable)
        if function is np.where and len(args) == 3:
            variable = masks.chosen(*args)
            if variable is not None:
                return _computed(variable.array, self.note, variable)
        made = super().__array_function__(function, types, args, kwargs)
        if function in LIKE:
            return _plain(made)
        if isinstance(made, Taken) and made.variable is not None:
            return made
        shaped = function in SHAPED or (function is np.where and len(args) == 1)
        if shaped or (type(made) in (bool, int, float) and function not in OF_SHAPES):
            self._tell(LOOKS)
        if isinstance(made, tuple | list):
            own = (np.ndarray, np.generic)
            items = [taken(v, self.note) if isinstance(v, own) else v for v in made]
            return items if type(made) is list else tuple(items)
        return taken(made, self.note) if isinstance(made, np.ndarray | np.generic) else made

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(out is not None for out in options.get("out", ())):
            # An array of the chain's own does not remember what is put into it.
            self._tell(CHANGES)
            options["out"] = tuple(map(_plain, options["out"]))
        options = {name: _plain(option) for name, option in options.items()}
        made = getattr(ufunc, method)(*map(_plain, inputs), **options)
        if not isinstance(made, np.ndarray | np.generic):
            return made
        variable = masks.computed(ufunc, method, inputs, options, made)
        return _computed(made, self.note, variable)

    def __getitem__(self, key: Any) -> Any:
        variable = masks.moved(F.get_item, self, key) if _is_plain_key(key) else None
        if variable is None and any(map(_is_mask, key if isinstance(key, tuple) else (key,))):
            # How much is taken depends on numbers.
            self._tell(LOOKS)
        return _computed(self.view(np.ndarray)[_plain(key)], self.note, variable)

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """The elements in another type."""
        made = self.view(np.ndarray).astype(dtype, *args, **options)
        if made.dtype == self.dtype:
            again = taken(made, self.note, self.variable)
            again.counted = self.counted
            return again
        return _computed(made, self.note, masks.moved(F.cast, self, made.dtype))

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """The elements in another shape."""
        made = self.view(np.ndarray).reshape(*shape, **options)
        in_order = options.get("order", "C") == "C"
        variable = masks.moved(F.reshape, self, made.shape) if in_order else None
        return _computed(made, self.note, variable)

    def copy(self, *args: Any, **options: Any) -> Any:
        """The elements as they are now."""
        made = taken(self.view(np.ndarray).copy(), self.note, self.variable)
        made.counted = self.counted
        return made

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        made = self.view(np.ndarray).transpose(*axes)
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return _computed(made, self.note, masks.moved(F.transpose, self, order))

    @property
    def T(self) -> Any:
        """The axes turned around."""
        return self.transpose()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._tell(CHANGES)
        self.view(np.ndarray)[_plain(key)] = value

    def __bool__(self) -> bool:
        self._tell(LOOKS)
        return bool(self.view(np.ndarray))

    def __int__(self) -> int:
        self._tell(LOOKS)
        return int(self.view(np.ndarray))

    def __float__(self) -> float:
        self._tell(LOOKS)
        return float(self.view(np.ndarray))

    def __index__(self) -> int:
        self._tell(LOOKS)
        return self.view(np.ndarray).__index__()

    def __complex__(self) -> complex:
        self._tell(LOOKS)
        return complex(self.view(np.ndarray).item())

    @property
    def flat(self) -> Any:
        """The elements, as an array where the chain's code asks for them."""
        own = self.view(np.ndarray)
        if not is_users(sys._getframe(1).f_code.co_filename):
            return own.flat
        return taken(own.reshape(-1), self.note)

    @flat.setter
    def flat(self, value: Any) -> None:
        self._tell(CHANGES)
        self.view(np.ndarray).flat = value  # type: ignore[misc]

    def fill(self, value: Any) -> None:
        """Change all elements."""
        self._tell(CHANGES)
        self.view(np.ndarray).fill(value)

    def sort(self, *args: Any, **options: Any) -> None:
        """Change the order of the elements."""
        self._tell(CHANGES)
        self.view(np.ndarray).sort(*args, **options)

    def nonzero(self) -> Any:
        """The places of what is not zero."""
        self._tell(LOOKS)
        return tuple(taken(k, self.note) for k in self.view(np.ndarray).nonzero())

    def item(self, *key: Any) -> Any:
        """The number."""
        self._tell(LOOKS)
        return self.view(np.ndarray).item(*key)

    def tolist(self) -> Any:
        """The numbers."""
        self._tell(LOOKS)
        return self.view(np.ndarray).tolist()

    def argmax(self, *args: Any, **options: Any) -> Any:
        """The place of the largest."""
        return taken(self.view(np.ndarray).argmax(*args, **options), self.note)

    def argmin(self, *args: Any, **options: Any) -> Any:
        """The place of the smallest."""
        return taken(self.view(np.ndarray).argmin(*args, **options), self.note)

    def _tell(self, what: str) -> None:
        # What NumPy or Chainer do themselves, as to print an array, is not the chain's.
        if self.note is not None and is_users(sys._getframe(2).f_code.co_filename):
            self.note(what)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Taken) else value


def taken(value: Any, note: Note | None, variable: Any = None) -> Any:
    made = np.asarray(value).view(Taken)
    made.note, made.variable = note, variable
    return made


def _computed(value: Any, note: Note | None, variable: Any) -> Any:
    made = taken(value, note, variable)
    made.counted = variable is not None
    return made


def holds_taken(value: Any) -> bool:
    """True if an array that was taken out of a Variable is in an attribute of a function."""
    if isinstance(value, tuple | list):
        return any(map(holds_taken, value))
    return isinstance(value, Taken)


def _is_mask(key: Any) -> bool:
    return isinstance(key, np.ndarray) and key.dtype.kind == "b"


def _is_plain_key(key: Any) -> bool:
    """True for numbers, slices and new axes."""
    items = key if isinstance(key, tuple) else (key,)
    return all(k is None or k is Ellipsis or isinstance(k, int | slice) for k in items)
