"""Comparisons of indices that hold by where a loop runs: what padding costs, taken out of it.

A window over a padded axis compares `position + offset` with the axis's ends. In the interior of
the axis, where no window reaches padding, the comparisons are true and go. A fold over the offsets
whose terms are padding's zeros is shortened instead, where one position decides its range.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from webconv.backends.expr import (
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Var,
    rewrite,
    substitute,
    walk,
)
from webconv.backends.kernel import Axis, Kernel, Store
from webconv.ir import dims
from webconv.ir.dims import Apply, Dim, Symbol

COMPARISONS: dict[str, Callable[[Dim], Dim]] = {
    "ge": lambda difference: difference,
    "gt": lambda difference: difference - 1,
    "le": lambda difference: -1 * difference,
    "lt": lambda difference: -1 * difference - 1,
}


def comparisons(kernel: Kernel) -> Iterator[tuple[Expr, Dim]]:
    """Comparisons of indices in a kernel, each with the Dim that is at least 0 where it holds."""
    for e in kernel.exprs:
        match e:
            case Call(function, (Index(dim=a), Index(dim=b))) if function in COMPARISONS:
                yield e, COMPARISONS[function](a - b)


def slope(d: Dim, name: str) -> int | None:
    """The number that `d` grows by with the symbol, or None if it is not linear in it."""
    step = dims.bind(d, {name: 1}) - dims.bind(d, {name: 0})
    if not isinstance(step, int):
        return None
    rest = d - step * dims.symbol(name, _bound(d, name))
    return step if name not in dims.symbols(rest) else None


def _bound(d: Dim, name: str) -> Dim | None:
    return next(a.bound for a in dims.atoms(d) if isinstance(a, Symbol) and a.name == name)


def smallest(d: Dim) -> Dim | None:
    """The least value of `d` over all loop variables in it, or None if it is not linear in them."""
    for a in list(dims.atoms(d)):
        if isinstance(a, Apply) and any(s.startswith("%") for s in dims.symbols(a.a, a.b)):
            return None
        if isinstance(a, Symbol) and a.name in dims.symbols(d) and a.name.startswith("%"):
            step = slope(d, a.name)
            if step is None or a.bound is None:
                return None
            d = dims.bind(d, {a.name: 0 if step > 0 else a.bound - 1})
    return None if any(s.startswith("%") for s in dims.symbols(d)) else d


def interior(kernel: Kernel, axis: Axis, factor: int, stop: Dim) -> tuple[Dim, Dim, Kernel] | None:
    """(first, end, kernel) of where comparisons along an axis hold, by multiples of `factor`.

    The kernel given is without them. None if there are none, or no such range.
    """
    name = axis.symbol.name
    low: Dim = 0
    high: Dim = stop
    true: set[Expr] = set()
    for e, least in comparisons(kernel):
        if name not in dims.symbols(least):
            continue
        step = slope(least, name)
        rest = smallest(dims.bind(least, {name: 0})) if step else None
        if not step or rest is None:
            continue
        true.add(e)
        if step > 0:
            low = dims.maximum(low, dims.ceildiv(-1 * rest, step))
        else:
            high = dims.minimum(high, dims.floordiv(rest, -step) + 1)
    low = dims.minimum(dims.ceildiv(low, factor) * factor, stop)
    high = dims.maximum(dims.floordiv(dims.maximum(high, 0), factor) * factor, low)
    return (low, high, without(kernel, true)) if true and low != high else None


def without(kernel: Kernel, true: set[Expr]) -> Kernel:
    """The kernel with comparisons that are known to hold taken out."""
    known = Const(True, "bool")

    def simplified(e: Expr) -> Expr:
        return _unguarded(rewrite(e, lambda x: known if x in true else None))

    return _mapped(kernel, simplified)


def _unguarded(e: Expr) -> Expr:
    def replace(x: Expr) -> Expr | None:
        match x:
            case Load(guard=Const(value=True)):
                return dataclasses.replace(x, guard=None)
            case Load(guard=Const(value=False)):
                return Const(0.0 if x.type == "f32" else 0, x.type)
        return None

    return rewrite(e, replace)


def _mapped(kernel: Kernel, function: Callable[[Expr], Expr]) -> Kernel:
    def store(s: Store) -> Store:
        guard = None if s.guard is None else function(s.guard)
        guard = None if isinstance(guard, Const) and guard.value else guard
        return dataclasses.replace(s, value=function(s.value), guard=guard)

    return dataclasses.replace(kernel, stores=tuple(map(store, kernel.stores)))


def shorten(kernel: Kernel, shared: frozenset[str]) -> Kernel:
    """The kernel with folds limited to the terms that are not padding's.

    A fold's range may depend on all axes but `shared`: unrolled copies along those have one loop.
    """
    free = {a.symbol.name for a in kernel.axes} - shared
    while True:
        found = next((f for f in kernel.exprs if isinstance(f, Fold) and _ends(f, free)), None)
        if found is None:
            return kernel
        kernel = swapped(kernel, found, _shortened(found, _ends(found, free)))


def swapped(kernel: Kernel, old: Expr, new: Expr) -> Kernel:
    """The kernel with an expression in place of another."""
    return _mapped(kernel, lambda e: rewrite(e, lambda x: new if x == old else None))


def _ends(fold: Fold, free: set[str]) -> list[tuple[Expr, Dim]]:
    """The comparisons that shorten a fold, with what is at least 0 where they hold."""
    found: list[tuple[Expr, Dim]] = []
    for e in walk(fold.next):
        match e:
            case Call(function, (Index(dim=a), Index(dim=b))) if function in COMPARISONS:
                least = COMPARISONS[function](a - b)
                others = {s for s in dims.symbols(least) if s.startswith("%")} - {fold.symbol.name}
                if fold.symbol.name not in dims.symbols(least) or not others or others - free:
                    continue
                if slope(least, fold.symbol.name) and _keeps(fold, e):
                    found.append((e, least))
    return found


def _shortened(fold: Fold, ends: list[tuple[Expr, Dim]]) -> Fold:
    name = fold.symbol.name
    start: Dim = 0
    stop = fold.extent
    for _, least in ends:
        step, rest = slope(least, name), dims.bind(least, {name: 0})
        assert step
        if step > 0:
            start = dims.maximum(start, dims.ceildiv(-1 * rest, step))
        else:
            stop = dims.minimum(stop, dims.floordiv(rest, -step) + 1)
    extent = dims.maximum(stop - start, 0)
    symbol = Symbol(name, extent)
    known = Const(True, "bool")
    inside = {e for e, _ in ends}
    body = _unguarded(rewrite(fold.next, lambda e: known if e in inside else None))
    body = substitute(body, {name: start + dims.atom(symbol)})
    return dataclasses.replace(fold, symbol=symbol, extent=extent, next=body)


def _keeps(fold: Fold, condition: Expr) -> bool:
    """True if a step leaves the accumulator alone where the condition does not hold."""
    false = Const(False, "bool")
    body = _unguarded(rewrite(fold.next, lambda e: false if e == condition else None))
    return _unchanged(body, fold.accumulator, fold.init)


def _unchanged(e: Expr, accumulator: Var, init: Expr) -> bool:
    match e:
        case Var():
            return e == accumulator
        case Fold(init=first):
            same = _unchanged(first, accumulator, init)
            return same and _unchanged(e.next, e.accumulator, init)
        case Call("fma", (a, b, c)):
            return (_zero(a) or _zero(b)) and _unchanged(c, accumulator, init)
        case Call("add", (a, b)):
            return _zero(b) and _unchanged(a, accumulator, init)
        case Call("max", (a, b)):
            # The accumulator starts at this value, so it is never below it.
            return b == init and _unchanged(a, accumulator, init)
    return False


def _zero(e: Expr) -> bool:
    match e:
        case Const(value=value):
            return value == 0
        case Call("mul", (a, b)):
            return _zero(a) or _zero(b)
    return False
