"""Gather form: which point of a kernel's index space an element of its output comes from.

A fragment shader is given a place in its output and computes what belongs there, so the affine map
from a kernel's axes to the flat index of a store has to be turned around. Two ways:

- `ordered`: the flat index is a mixed-radix number whose digits are the axes, in some order;
- `invert`: each index of the store is one in digits of its own (`8 * p + j`), perhaps shifted,
  reversed, or with a sign that depends on another axis (the second direction of a bidirectional
  layer). Elements to which nothing is stored are told by `conditions`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from webconv.backends.expr import Expr, Index, call, opaque
from webconv.backends.kernel import Axis, Store
from webconv.ir import dims
from webconv.ir.dims import Apply, Atom, Dim, Symbol


def ordered(offset: Dim, axes: Sequence[Axis]) -> tuple[Axis, ...] | None:
    """`axes` by falling stride, if `offset` numbers the points 0, 1, 2, ..., else None."""
    found = linear(offset, {a.symbol.name for a in axes})
    if found is None or found[1] != 0:
        return None
    strides = dict(found[0])
    left = {a.symbol.name: a for a in axes}
    order: list[Axis] = []
    stride: Dim = 1
    while left:
        name = next((n for n in left if strides.get(n) == stride), None)
        if name is None:
            return None
        order.insert(0, left.pop(name))
        stride = stride * order[0].extent
    return tuple(order)


def terms(d: Dim) -> tuple[tuple[dims.Monomial, int], ...]:
    """The monomials of `d` with their coefficients."""
    return d.terms if isinstance(d, dims.Expr) else (((), d),)


def constant_term(d: Dim) -> int:
    """The constant that `d` adds."""
    return next((c for monomial, c in terms(d) if monomial == ()), 0)


def map_coefficients(d: Dim, change: Callable[[int], int]) -> Dim:
    """`d` with other coefficients."""
    parts = (dims.product([change(c), *map(dims.atom, monomial)]) for monomial, c in terms(d))
    return sum(parts, 0)


def linear(d: Dim, names: Collection[str]) -> tuple[dict[str, Dim], Dim] | None:
    """({name: coefficient}, rest) where `d` is linear in the symbols `names`, else None."""
    coefficients: dict[str, Dim] = {}
    rest: Dim = 0
    for monomial, c in terms(d):
        own = [a for a in monomial if isinstance(a, Symbol) and a.name in names]
        others = [a for a in monomial if a not in own]
        if len(own) > 1 or any(_depends(a, names) for a in others):
            return None
        term = dims.product([c, *map(dims.atom, others)])
        if own:
            coefficients[own[0].name] = coefficients.get(own[0].name, 0) + term
        else:
            rest = rest + term
    return coefficients, rest


def _depends(a: Atom, names: Collection[str]) -> bool:
    if isinstance(a, Symbol):
        return a.name in names
    if isinstance(a, Apply):
        return any(_depends(x, names) for d in a.children() for x in dims.atoms(d))
    return any(bool(e.free & set(names)) for e in opaque(dims.atom(a)))


@dataclass
class Inverse:
    """`solution` gives each axis in terms of coordinates; the point exists where `conditions` hold.

    `coordinates` are axes over the store's shape. A solution may refer to axes solved before it.
    """

    coordinates: tuple[Axis, ...]
    solution: dict[str, Dim] = field(default_factory=dict)
    conditions: list[Expr] = field(default_factory=list)

    def resolve(self, d: Dim) -> Dim:
        """`d` in terms of coordinates only."""
        for name in reversed(self.solution):
            d = dims.bind(d, {name: self.solution[name]})
        return d


def coordinates(store: Store, prefix: str = "x") -> tuple[Axis, ...]:
    """New axes over the shape that a store sees its buffer under."""
    return tuple(Axis(Symbol(f"{prefix}{k}", n), n) for k, n in enumerate(store.shape))


def invert(store: Store, axes: Mapping[str, Dim], coords: tuple[Axis, ...]) -> Inverse | None:
    """The values of `axes` (extents by name) at which `store` reaches `coords`; None if unknown."""
    result = Inverse(coords)
    open_indices = [
        (i, 0 if c.extent == 1 else c.index) for i, c in zip(store.index, coords, strict=True)
    ]
    unsolved = dict(axes)
    while unsolved:
        for pair in open_indices:
            if _solve(*pair, unsolved, result):
                open_indices.remove(pair)
                break
        else:
            return None
    for i, x in open_indices:
        if i != x:
            result.conditions.append(call("eq", Index(i), Index(x)))
    return result


def _solve(i: Dim, x: Dim, unsolved: dict[str, Dim], result: Inverse) -> bool:
    """Solve `i == x` for the unsolved axes in `i`; they leave `unsolved`."""
    found = linear(i, unsolved)
    if found is None or not found[0]:
        return False
    coefficients, rest = found
    sign = _common_sign(coefficients)
    if sign is None:
        return False
    steps = {n: _quotient(c, sign) for n, c in coefficients.items()}
    digits = _digits({n: s for n, s in steps.items() if s is not None}, unsolved)
    if digits is None or len(digits) != len(steps):
        return False
    value = (x - rest) * sign
    _peel(value, digits, result, exact=rest == 0 and sign == 1)
    for name, _, _ in digits:
        del unsolved[name]
    return True


def _common_sign(coefficients: Mapping[str, Dim]) -> Dim | None:
    """The factor with value 1 or -1 that all coefficients share."""
    values = list(coefficients.values())
    if all(isinstance(c, int) for c in values):
        signs = {c > 0 for c in values if isinstance(c, int)}
        return None if len(signs) > 1 else 1 if True in signs else -1
    if all(dims.bounds(c)[0] > 0 for c in values):
        return 1
    candidates = [c for c in values if not isinstance(c, int) and _is_sign(c)]
    return candidates[0] if candidates else 1


def _is_sign(c: Dim) -> bool:
    """True if `c` is 1 or -1 for every value of its symbols, all of which are 0 or 1."""
    atoms = set(dims.atoms(c))
    flags = [a for a in atoms if isinstance(a, Symbol) and a.bound == 2]
    if len(flags) != len(atoms):
        return False
    cases = itertools.product((0, 1), repeat=len(flags))
    return all(
        abs(dims.evaluate(c, {a.name: v for a, v in zip(flags, case, strict=True)})) == 1
        for case in cases
    )


def _quotient(c: Dim, sign: Dim) -> Dim | None:
    """`c / sign`, where `c` is a positive multiple of it."""
    if isinstance(sign, int):
        return c * sign
    if isinstance(c, int):
        return None
    factor = c.terms[0][1] // sign.terms[0][1]
    return factor if factor > 0 and sign * factor == c else None


Digit = tuple[str, Dim, Dim]


def _digits(steps: Mapping[str, Dim], extents: Mapping[str, Dim]) -> list[Digit] | None:
    """(axis, step, extent), the largest step first, if no two digits reach into each other."""
    order: list[Digit] = []
    left = dict(steps)
    while left:
        name = next((n for n in left if _is_largest(left[n], left, n, extents)), None)
        if name is None:
            return None
        order.append((name, left.pop(name), extents[name]))
    for (_, step, _), (_, below, extent) in itertools.pairwise(order):
        if dims.bounds(step - below * extent)[0] < 0 or dims.mod(step, below) != 0:
            return None
    return order


def _is_largest(step: Dim, steps: Mapping[str, Dim], own: str, extents: Mapping[str, Dim]) -> bool:
    if dims.bounds(step)[0] < 1:
        return False
    others = [(s, extents[n]) for n, s in steps.items() if n != own]
    return all(dims.bounds(step - s * e)[0] >= 0 for s, e in others)


def _peel(value: Dim, digits: Sequence[Digit], result: Inverse, exact: bool) -> None:
    """Take `value` apart; one that is outside of the digits' range is no point."""
    rest, above = value, digits[0][1] * digits[0][2]
    if not exact:
        result.conditions.append(call("ge", Index(value), Index(0)))
    if dims.bounds(above - value)[0] < 1:
        result.conditions.append(call("lt", Index(value), Index(above)))
    for name, step, extent in digits:
        digit = dims.floordiv(rest, step)
        result.solution[name] = digit
        rest = rest - step * digit
        if above != step * extent:
            result.conditions.append(call("lt", Index(digit), Index(extent)))
        above = step
    if rest != 0:
        result.conditions.append(call("eq", Index(rest), Index(0)))


def holds(conditions: Sequence[Expr]) -> Expr | None:
    """All conditions at once; None if there are none."""
    total: Expr | None = None
    for c in conditions:
        total = c if total is None else total & c
    return total


def names(axes: Sequence[Axis]) -> Iterator[tuple[str, Dim]]:
    """Axes as `invert` takes them."""
    return ((a.symbol.name, a.extent) for a in axes)
