"""Dims: non-negative sizes that may contain symbols, in a canonical form.

A `Dim` is an `int` or an `Expr`: a polynomial with integer coefficients over atoms. Atoms are named
symbols (`batch`, `time`), and `floordiv`, `min` and `max` of Dims. `ceildiv` and `mod` are written
with `floordiv`, so that equal expressions have equal forms. The kernel IR uses the same algebra for
index expressions; its loop variables are symbols that carry their (exclusive) upper bound.

The order of atoms and terms is by text, so printing is deterministic.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from webconv.ir.errors import ShapeError


class Atom:
    """What a monomial multiplies; `text` orders and prints it."""

    text: str

    def bounds(self) -> tuple[float, float]:
        """A lower and an upper bound of its value, possibly infinite."""
        return -math.inf, math.inf

    def children(self) -> tuple[Dim, ...]:
        """The Dims that it is made of."""
        return ()


# What begins the name of a symbol that an input's element binds; it may be negative.
SIGNED = "value_"


@dataclass(frozen=True)
class Symbol(Atom):
    """A named size, at least 0 unless its name begins with `value_`: an integer input's element.

    `bound` is an exclusive upper bound where one is known.
    """

    name: str
    bound: Dim | None = None
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.name)

    def bounds(self) -> tuple[float, float]:
        low = -math.inf if self.name.startswith(SIGNED) else 0
        return low, math.inf if self.bound is None else max(0, bounds(self.bound)[1] - 1)


@dataclass(frozen=True)
class Apply(Atom):
    """`floordiv(a, b)`, `min(a, b)` or `max(a, b)` that does not simplify."""

    function: str
    a: Dim
    b: Dim
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.function}({self.a}, {self.b})")

    def bounds(self) -> tuple[float, float]:
        (alo, ahi), (blo, bhi) = bounds(self.a), bounds(self.b)
        if self.function == "min":
            return min(alo, blo), min(ahi, bhi)
        if self.function == "max":
            return max(alo, blo), max(ahi, bhi)
        if isinstance(self.b, int) and self.b > 0:
            return _floor(alo / self.b), _floor(ahi / self.b)
        return (0 if alo >= 0 and blo >= 0 else -math.inf), math.inf

    def children(self) -> tuple[Dim, ...]:
        return self.a, self.b


def _floor(x: float) -> float:
    return x if math.isinf(x) else math.floor(x)


Monomial: TypeAlias = tuple[Atom, ...]


@dataclass(frozen=True, eq=False)
class Expr:
    """A polynomial with at least one atom: `terms` maps monomials to coefficients, in order."""

    terms: tuple[tuple[Monomial, int], ...]
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.terms))

    @functools.cached_property
    def text(self) -> str:
        """How it prints, which `parse` reads."""
        return _format(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self._hash == other._hash and self.terms == other.terms

    def __repr__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return True

    def __add__(self, other: Dim) -> Dim:
        return _polynomial([*self.terms, *_terms(other)])

    def __mul__(self, other: Dim) -> Dim:
        return _polynomial(
            (tuple(sorted((*m, *n), key=_text)), c * d)
            for m, c in self.terms
            for n, d in _terms(other)
        )

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return other + -1 * self

    def __neg__(self) -> Dim:
        return self * -1

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)

    __radd__ = __add__
    __rmul__ = __mul__


Dim: TypeAlias = int | Expr
Shape: TypeAlias = tuple[Dim, ...]


def _text(atom: Atom) -> str:
    return atom.text


def _terms(d: Dim) -> Iterable[tuple[Monomial, int]]:
    return d.terms if isinstance(d, Expr) else (((), int(d)),)


def _polynomial(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    sums: dict[Monomial, int] = {}
    for monomial, c in terms:
        sums[monomial] = sums.get(monomial, 0) + c
    kept = [(m, c) for m, c in sums.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    # Products first, the constant last: `2*batch*time + time + 1`.
    kept.sort(key=lambda term: (-len(term[0]), [a.text for a in term[0]]))
    return Expr(tuple(kept))


def _format(terms: Iterable[tuple[Monomial, int]]) -> str:
    out = ""
    for monomial, c in terms:
        factors = [a.text for a in monomial]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("-" if not out else " - ") if c < 0 else ("" if not out else " + ")
        out += sign + "*".join(factors)
    return out


def symbol(name: str, bound: Dim | None = None) -> Expr:
    """The Dim that is the bare symbol `name`."""
    return atom(Symbol(name, bound))


def atom(a: Atom) -> Expr:
    """The Dim that is the bare atom `a`."""
    return Expr((((a,), 1),))


def bare_atom(d: Dim) -> Atom | None:
    """The atom that `d` is, or None if it is more than one bare atom."""
    if isinstance(d, Expr) and len(d.terms) == 1:
        (monomial, c), *_ = d.terms
        if c == 1 and len(monomial) == 1:
            return monomial[0]
    return None


@functools.lru_cache(maxsize=1 << 16)
def bounds(d: Dim) -> tuple[float, float]:
    """A lower and an upper bound of `d`, given that symbols are at least 0."""
    if isinstance(d, int):
        return d, d
    low = high = 0.0
    for monomial, c in d.terms:
        lo, hi = 1.0, 1.0
        for a in monomial:
            alo, ahi = a.bounds()
            corners = [_times(x, y) for x in (lo, hi) for y in (alo, ahi)]
            lo, hi = min(corners), max(corners)
        low += _times(c, lo if c > 0 else hi)
        high += _times(c, hi if c > 0 else lo)
    return low, high


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def floordiv(a: Dim, b: Dim) -> Dim:
    """`a // b`, rounding down; `b` must be positive wherever it is evaluated."""
    if isinstance(b, int):
        if b <= 0:
            raise ShapeError(f"floordiv: the divisor must be positive, but it is {b}")
        if isinstance(a, int):
            return a // b
        return _floordiv_constant(a, b)
    if isinstance(a, int) and a == 0:
        return 0
    if a == b:
        return 1
    if isinstance(a, Expr):
        whole, rest = _divide_by_monomial(a, b)
        if _is_below(rest, b):
            return whole
        return whole + (rest if rest == 0 else atom(Apply("floordiv", rest, b)))
    return atom(Apply("floordiv", a, b))


def _is_below(a: Dim, b: Dim) -> bool:
    """True if `0 <= a < b` is provable: loop variables are at most their bounds less one."""
    if a == 0:
        return True
    low, _ = bounds(a)
    if low < 0:
        return False

    def top(x: Atom) -> Dim | None:
        return x.bound - 1 if isinstance(x, Symbol) and x.bound is not None else None

    # `a` grows with its loop variables only if they enter with positive coefficients.
    if any(c < 0 and any(top(x) is not None for x in m) for m, c in _terms(a)):
        return False
    return bounds(b - substitute(a, top))[0] > 0


def _divide_by_monomial(a: Expr, b: Dim) -> tuple[Dim, Dim]:
    """(whole, rest) with `a == whole * b + rest`: terms that the monomial `b` divides leave."""
    if not isinstance(b, Expr) or len(b.terms) != 1:
        return 0, a
    (divisor, d), *_ = b.terms
    whole: list[tuple[Monomial, int]] = []
    rest: list[tuple[Monomial, int]] = []
    for monomial, c in a.terms:
        left = list(monomial)
        for x in divisor:
            if x in left:
                left.remove(x)
        if len(left) == len(monomial) - len(divisor) and c % d == 0:
            whole.append((tuple(left), c // d))
        else:
            rest.append((monomial, c))
    return _polynomial(whole), _polynomial(rest)


def _floordiv_constant(a: Expr, b: int) -> Dim:
    """Whole multiples of `b` leave the division: `(8*p + j) // 8` is `p` for `0 <= j < 8`."""
    if b == 1:
        return a
    whole = _polynomial((m, c // b) for m, c in a.terms if c % b == 0 or m == ())
    rest = _polynomial((m, c % b if m == () else c) for m, c in a.terms if c % b or m == ())
    low, high = bounds(rest)
    if low >= 0 and high < b:
        return whole
    if isinstance(rest, int):
        return whole + rest // b
    if (common := _common_factor(rest, b)) > 1:
        # (8*p + j) // 16 with 0 <= j < 8 is p // 2.
        high_part = _polynomial((m, c // common) for m, c in rest.terms if c % common == 0)
        return whole + floordiv(high_part, b // common)
    found = bare_atom(rest)
    if isinstance(found, Apply) and found.function == "floordiv" and isinstance(found.b, int):
        return whole + floordiv(found.a, found.b * b)
    return whole + atom(Apply("floordiv", rest, b))


def _common_factor(a: Expr, b: int) -> int:
    """The largest divisor of `b` below which all terms that it does not divide stay; else 1."""
    for g in sorted({math.gcd(c, b) for _, c in a.terms}, reverse=True):
        low, high = bounds(_polynomial((m, c) for m, c in a.terms if c % g))
        if 1 < g < b and low >= 0 and high < g:
            return g
    return 1


def mod(a: Dim, b: Dim) -> Dim:
    """`a mod b` with the sign of `b`."""
    return a - b * floordiv(a, b)


def ceildiv(a: Dim, b: Dim) -> Dim:
    """`a // b`, rounding up."""
    return floordiv(a + b - 1, b)


def _extremum(function: str, a: Dim, b: Dim) -> Dim:
    pick: Callable[[int, int], int] = min if function == "min" else max
    if isinstance(a, int) and isinstance(b, int):
        return pick(a, b)
    low, high = bounds(a - b)
    if low >= 0:
        return b if function == "min" else a
    if high <= 0:
        return a if function == "min" else b
    return atom(Apply(function, *sorted((a, b), key=str)))


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of two Dims."""
    return _extremum("min", a, b)


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger of two Dims."""
    return _extremum("max", a, b)


FUNCTIONS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "floordiv": floordiv,
    "ceildiv": ceildiv,
    "mod": mod,
    "min": minimum,
    "max": maximum,
}


def never_negative(d: Dim) -> bool:
    """True if `d` is shown to be at least 0; what `bounds` sees apart is looked at together."""
    if bounds(d)[0] >= 0:
        return True
    for monomial, c in _terms(d):
        if len(monomial) != 1 or not isinstance(found := monomial[0], Apply):
            continue
        rest = d - atom(found) * c
        if found.function == "floordiv":
            if isinstance(b := found.b, int) and b > 0 and c % b == 0:
                least = found.a if c < 0 else found.a - (b - 1)
                return never_negative(rest + least * (c // b))
            continue
        # Of the two, -min and max are at least each, min and -max at least one.
        enough = any if (found.function == "min") == (c < 0) else all
        return enough(never_negative(rest + x * c) for x in (found.a, found.b))
    return False


def product(dims: Iterable[Dim]) -> Dim:
    """The product of Dims; 1 for none."""
    return functools.reduce(operator.mul, dims, 1)


def substitute(d: Dim, replace: Callable[[Atom], Dim | None]) -> Dim:
    """`d` with every atom for which `replace` gives a Dim replaced by it."""
    if isinstance(d, int):
        return d
    terms: list[tuple[Monomial, int]] = []
    changed = False
    for monomial, c in d.terms:
        found = [(a, _replaced(a, replace)) for a in monomial]
        kept = tuple(a for a, new in found if new is None)
        if len(kept) == len(monomial):
            terms.append((monomial, c))
            continue
        changed = True
        rest: Dim = Expr(((kept, c),)) if kept else c
        terms += _terms(product([rest, *(new for _, new in found if new is not None)]))
    return _polynomial(terms) if changed else d


def _replaced(a: Atom, replace: Callable[[Atom], Dim | None]) -> Dim | None:
    """What stands in the place of an atom, None for itself."""
    new = replace(a)
    if new is None and isinstance(a, Apply):
        x, y = substitute(a.a, replace), substitute(a.b, replace)
        if x is not a.a or y is not a.b:
            return FUNCTIONS[a.function](x, y)
    return new


def bind(d: Dim, values: Mapping[str, Dim]) -> Dim:
    """`d` with symbols replaced by name."""
    return substitute(d, lambda a: values.get(a.name) if isinstance(a, Symbol) else None)


def evaluate(d: Dim, values: Mapping[str, int]) -> int:
    """The value of `d`; raises ShapeError if a symbol has none."""
    bound = bind(d, values)
    if isinstance(bound, Expr):
        missing = ", ".join(sorted(symbols(bound)))
        raise ShapeError(f"size {d}: no value is known for {missing}")
    return bound


def atoms(d: Dim) -> Iterator[Atom]:
    """Every atom in `d`, those inside of others included."""
    for monomial, _ in _terms(d):
        for a in monomial:
            yield a
            for child in a.children():
                yield from atoms(child)


def symbols(*dims: Dim) -> set[str]:
    """The names of all symbols in `dims`."""
    return {a.name for d in dims for a in atoms(d) if isinstance(a, Symbol)}


_OPERATORS: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
}


def parse(text: str) -> Dim:
    """The Dim that `text` denotes; the inverse of `str`, and what the command line takes."""
    try:
        return _parse(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, KeyError):
        raise ShapeError(
            f"dim {text!r}: expected integers and names with + - * // % min max"
        ) from None


def _parse(node: ast.expr) -> Dim:
    match node:
        case ast.Constant(value=int(value)) if not isinstance(node.value, bool):
            return value
        case ast.Name(id=name):
            return symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -1 * _parse(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_parse(left), _parse(right))
        case ast.Call(func=ast.Name(id=name), args=[a, b], keywords=[]):
            return FUNCTIONS[name](_parse(a), _parse(b))
    raise KeyError(ast.dump(node))
