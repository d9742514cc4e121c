"""The primitives of kernel expressions in NumPy: as wasm computes them, and as a GPU may.

`Arithmetic` is IEEE 754 in f32 with wrapping integers. `Hostile` takes every freedom that the
WGSL specification (section 15.7) leaves: NaN and infinity arithmetic gives anything, denormals are
flushed or not, `+ - *` round either way, `/` and `sqrt` are some ulp off, `fma` is fused or not.
Nothing here is shared with the printers, so it can check them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from webconv.backends.expr import PRIMITIVES, Number
from webconv.ir.errors import GraphError
from webconv.ir.op import Array

Numeric = np.dtype[Any]

TYPES: dict[str, Numeric] = {
    "f32": np.dtype(np.float32),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
    "i64": np.dtype(np.int64),
    "u64": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
}

_FLOAT_ONLY = ("floor", "ceil", "trunc", "round", "sqrt", "fma")
_INTEGER_ONLY = ("shl", "shr", "rem")
_LOGICAL = ("and", "or", "xor", "not")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def check_types(function: str, types: tuple[str, ...], result: str) -> None:
    """Raises GraphError unless a primitive may take and give these types."""
    same = types[1:] if function == "select" else types
    expected = PRIMITIVES[function]
    conversion = expected != "T" and function not in _COMPARISONS
    right = (
        result == (same[0] if expected == "T" else expected)
        and (conversion or len(set(same)) == 1)
        and (function != "select" or types[0] == "bool")
        and (function not in _FLOAT_ONLY or same[0] == "f32")
        and (function not in _INTEGER_ONLY or same[0] in ("i32", "u32", "i64", "u64"))
        and (function not in _LOGICAL or same[0] != "f32")
        and (function != "bits" or same[0] == "f32")
        and (function != "from_bits" or same[0] == "i32")
    )
    if not right:
        raise GraphError(f"{function}({', '.join(types)}) -> {result} is not a primitive")


class Arithmetic:
    """IEEE arithmetic; on a GPU i64 is computed as i32, u64 as u32. `fused` rounds `fma` once."""

    def __init__(self, gpu: bool = False, fused: bool = False) -> None:
        self.gpu = gpu
        self.fused = fused
        self.types = TYPES | ({"i64": TYPES["i32"], "u64": TYPES["u32"]} if gpu else {})

    def literal(self, value: Number, type: str) -> Array:
        """A literal; the ends of i64 become those of i32 where it is computed as that."""
        if type == "i64" and self.gpu:
            ends = {2**63 - 1: 2**31 - 1, -(2**63): -(2**31)}
            value = ends.get(int(value), (int(value) + 2**31) % 2**32 - 2**31)
        if type == "u64" and self.gpu:
            value = int(value) % 2**32
        return np.asarray(value, self.types[type])

    def apply(self, function: str, args: tuple[Array, ...], type: str) -> Array:
        """The value of a primitive, of its result type."""
        if function in ("f32", "i32", "u32", "i64", "u64"):
            return self.convert(args[0], self.types[type])
        if function == "fma" and self.fused:
            return _fused(*args).astype(np.float32)
        return np.asarray(_FUNCTIONS[function](*args))

    def convert(self, x: Array, to: Numeric) -> Array:
        """A conversion between types; f32 to an integer saturates, as wasm does."""
        if x.dtype.kind != "f" or to.kind == "f":
            return x.astype(to)
        low, high = float(np.iinfo(to).min), float(np.iinfo(to).max) + 1
        inside = np.where((x > low) & (x < high), x, 0).astype(np.float64).astype(to)
        edge = np.where(x >= high, np.iinfo(to).max, np.where(x <= low, np.iinfo(to).min, 0))
        return np.where((x > low) & (x < high), inside, edge.astype(to))

    def moved(self, x: Array) -> Array:
        """A value as it comes out of, or goes into, memory."""
        return x


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.asarray(np.divide(x, y))
    if np.any(y == 0) or (x.dtype.kind == "i" and np.any((y == -1) & (x == np.iinfo(x.dtype).min))):
        raise GraphError("div: x / 0 or INT_MIN / -1, which traps on wasm")
    return np.asarray((x - np.fmod(x, y)) // y)


def _remainder(x: Array, y: Array) -> Array:
    if np.any(y == 0):
        raise GraphError("rem: x rem 0, which traps on wasm")
    return np.asarray(np.fmod(x, np.where(y == -1, 1, y)) if x.dtype.kind == "i" else np.fmod(x, y))


def _fused(a: Array, b: Array, c: Array) -> Array:
    """a * b + c in f64, where the product of f32 is exact."""
    return np.asarray(a.astype(np.float64) * b + c)


def _shift(function: Callable[..., Any]) -> Callable[[Array, Array], Array]:
    def shift(x: Array, y: Array) -> Array:
        if np.any(y < 0) or np.any(y >= x.dtype.itemsize * 8):
            raise GraphError("a shift must be at least 0 and below the width")
        return np.asarray(function(x, y))

    return shift


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "neg": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "fma": lambda a, b, c: a * b + c,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "sqrt": np.sqrt,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "shl": _shift(np.left_shift),
    "shr": _shift(np.right_shift),
    "rem": _remainder,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "select": np.where,
    "bits": lambda x: np.asarray(x).view(np.int32),
    "from_bits": lambda x: np.asarray(x).view(np.float32),
}

# Errors in ulp that WGSL allows; 0 means rounded either way.
_ULP = {"add": 0.0, "sub": 0.0, "mul": 0.0, "div": 2.5, "sqrt": 2.5}
_FREE_ON_NAN = (*_COMPARISONS, "min", "max")
_ARITHMETIC = (*_ULP, "fma", "neg", "abs", "floor", "ceil", "trunc", "round")


class Hostile(Arithmetic):
    """What the specification allows, chosen at random."""

    def __init__(self, random: np.random.Generator, gpu: bool = False) -> None:
        super().__init__(gpu)
        self.random = random

    def apply(self, function: str, args: tuple[Array, ...], type: str) -> Array:
        floats = [a for a in args if a.dtype == np.float32]
        if not floats or function in ("select", "bits", "from_bits"):
            return super().apply(function, args, type)
        args = tuple(self.moved(a) for a in args)
        floats = [a for a in args if a.dtype == np.float32]
        if function == "fma":
            return self._fma(*args)
        value = super().apply(function, args, type)
        if function in _ULP:
            value = self._off(function, args, value)
        if function in _ARITHMETIC:
            return self.moved(self._junk_unless_finite(floats, value))
        if function in _FREE_ON_NAN:
            return self._free_on_nan(floats, value)
        return value

    def convert(self, x: Array, to: Numeric) -> Array:
        value = super().convert(x, to)
        if x.dtype.kind != "f" or to.kind == "f":
            return value
        limits = np.iinfo(to)
        inside = (x >= float(limits.min)) & (x < float(limits.max) + 1)
        junk = self.random.integers(limits.min, limits.max, np.shape(x), to, endpoint=True)
        return np.where(inside, value, junk)

    def moved(self, x: Array) -> Array:
        """Denormals flushed at random."""
        if x.dtype != np.float32:
            return x
        denormal = (np.abs(x) < 2.0**-126) & (x != 0)
        if not np.any(denormal):
            return x
        return np.where(denormal & self._coin(x), np.float32(0), x)

    def junk(self, shape: tuple[int, ...]) -> Array:
        """Any f32: NaN, infinities and huge values among them."""
        pattern = self.random.integers(-(2**31), 2**31, shape, np.int64).astype(np.int32)
        special = self.random.choice(
            np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 0, 1], np.float32), shape
        )
        return np.where(self.random.random(shape) < 0.5, special, pattern.view(np.float32))

    def _coin(self, x: Array) -> Array:
        return self.random.random(np.shape(x)) < 0.5

    def _fma(self, a: Array, b: Array, c: Array) -> Array:
        fused = self.random.random() < 0.5
        if not fused:
            return self.apply("add", (self.apply("mul", (a, b), "f32"), c), "f32")
        exact = _fused(a, b, c)
        value = _either_way(exact, exact.astype(np.float32), self.random)
        return self.moved(self._junk_unless_finite([a, b, c], value))

    def _off(self, function: str, args: tuple[Array, ...], value: Array) -> Array:
        exact = _FUNCTIONS[function](*(a.astype(np.float64) for a in args))
        if not _ULP[function]:
            return _either_way(exact, value, self.random)
        error = self.random.uniform(-_ULP[function], _ULP[function], np.shape(value))
        # Quotients and roots that are representable come out of no target as something else.
        kept = exact == value.astype(np.float64)
        moved = (exact + error * np.spacing(np.abs(value)).astype(np.float64)).astype(np.float32)
        value = np.where(kept & self._coin(value), value, moved)
        if function == "div":
            size = np.abs(args[1])
            defined = (size >= 2.0**-126) & (size <= 2.0**126)
            value = np.where(defined, value, self.junk(np.shape(value)))
        return value

    def _junk_unless_finite(self, args: list[Array], value: Array) -> Array:
        finite = np.isfinite(value)
        for a in args:
            finite = finite & np.isfinite(a)
        if np.all(finite):
            return value
        keep = finite | self._coin(value)
        return np.where(keep, value, self.junk(np.shape(value)))

    def _free_on_nan(self, args: list[Array], value: Array) -> Array:
        nan = np.isnan(args[0]) | np.isnan(args[1])
        if not np.any(nan):
            return value
        if value.dtype == np.bool_:
            other = np.zeros_like(value)
        else:
            other = np.where(self._coin(value), *np.broadcast_arrays(args[0], args[1]))
        return np.where(nan & self._coin(value), other, value)


def _either_way(exact: Array, value: Array, random: np.random.Generator) -> Array:
    """`exact` rounded up or down at random; `value` is it rounded to nearest."""
    nearest = value.astype(np.float64)
    towards = np.where(exact > nearest, np.float32(np.inf), np.float32(-np.inf))
    other = np.nextafter(value, towards)
    inexact = (exact != nearest) & np.isfinite(value) & np.isfinite(other)
    return np.where(inexact & (random.random(np.shape(value)) < 0.5), other, value)
