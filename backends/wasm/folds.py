"""Folds on wasm: two that run over one stretch of memory become one, and dot products run in lanes.

Where a kernel has one output column, or its outputs lie far apart in what they read, the terms of a
sum lie side by side. Then four partial sums run in the lanes, and are added at the end.
"""

from __future__ import annotations

import dataclasses

from webconv.backends.expr import (
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Var,
    substitute,
    walk,
)
from webconv.backends.kernel import Kernel
from webconv.backends.linearise import LANE, LANES
from webconv.backends.wasm.padding import swapped
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

# Shorter sums gain nothing from lanes.
SHORTEST = 8
# What combines the lanes, by what combines the terms.
HORIZONTAL = {"fma": "hsum", "add": "hsum", "max": "hmax", "min": "hmin"}


def join_nested(kernel: Kernel) -> Kernel:
    """The kernel with nested folds as one where all indices run on from one to the next."""
    while True:
        folds = (e for e in kernel.exprs if isinstance(e, Fold))
        pair = next(((f, new) for f in folds if (new := _joined(f)) is not None), None)
        if pair is None:
            return kernel
        kernel = swapped(kernel, *pair)


def _joined(outer: Fold) -> Fold | None:
    """fold(k1 < n1, fold(k2 < n2, f(n2 * k1 + k2))) -> fold(k < n1 * n2, f(k))"""
    inner = outer.next
    if not isinstance(inner, Fold) or inner.init != outer.accumulator:
        return None
    if not isinstance(inner.extent, int) or outer.symbol.name in dims.symbols(inner.extent):
        return None
    first, second = outer.symbol.name, inner.symbol.name
    count = outer.extent * inner.extent
    both = inner.extent * dims.atom(outer.symbol) + dims.atom(inner.symbol)
    for e in walk(inner.next):
        for d in e.index_dims:
            if dims.bind(dims.bind(d, {first: 0}), {second: both}) != d:
                return None
    symbol = Symbol(second, count)
    body = substitute(inner.next, {first: 0, second: dims.atom(symbol)})
    return dataclasses.replace(inner, symbol=symbol, extent=count, init=outer.init, next=body)


def prefers_lanes(kernel: Kernel) -> bool:
    """True if the terms of all sums lie side by side, but those of neighbouring outputs do not."""
    folds = _outermost(kernel)
    fit = bool(folds) and all(_lies_in_lanes(f) for f in folds)
    return fit and any(_scattered(f, kernel) for f in folds)


def in_lanes(kernel: Kernel) -> Kernel:
    """The kernel with its sums in lanes where their terms lie side by side."""
    for f in _outermost(kernel):
        if _lies_in_lanes(f):
            kernel = swapped(kernel, f, _sum_in_lanes(f))
    return kernel


def _outermost(kernel: Kernel) -> list[Fold]:
    inner = {x for e in kernel.exprs if isinstance(e, Fold) for x in walk(e.init, e.next)}
    return [e for e in kernel.exprs if isinstance(e, Fold) and e not in inner]


def _innermost(fold: Fold) -> Fold:
    while isinstance(fold.next, Fold):
        fold = fold.next
    return fold


def _lies_in_lanes(fold: Fold) -> bool:
    """True for nested sums or extrema whose innermost terms lie side by side in memory."""
    if fold.type != "f32":
        return False
    first = fold.init
    while isinstance(fold.next, Fold):
        if fold.next.init != fold.accumulator:
            return False
        fold = fold.next
    long = not isinstance(fold.extent, int) or fold.extent >= SHORTEST
    match fold.next:
        case Call("fma" | "add") if first != Const(0.0, "f32"):
            return False
        case Call("fma", (*terms, Var() as c)) | Call("add" | "max" | "min", (Var() as c, *terms)):
            steps = {_step(e, fold.symbol) for e in walk(*terms)}
            return long and c == fold.accumulator and steps <= {0, 1} and 1 in steps
    return False


def _step(e: Expr, symbol: Symbol) -> int | None:
    """What a load's place grows by with a loop variable: 0, 1, or None for what lanes cannot do."""
    if isinstance(e, Fold):
        return None
    if isinstance(e, Load):
        if e.type != "f32" or (e.guard is not None and symbol.name in e.guard.free):
            return None
        step = dims.bind(e.offset, {symbol.name: 1}) - dims.bind(e.offset, {symbol.name: 0})
        linear = symbol.name not in dims.symbols(e.offset - dims.atom(symbol) * step)
        return step if linear and isinstance(step, int) else None
    return None if isinstance(e, Index) and symbol.name in e.free else 0


def _scattered(fold: Fold, kernel: Kernel) -> bool:
    """True if the terms of outputs side by side do not lie side by side."""
    if not kernel.axes:
        return True
    axis = kernel.axes[-1]
    if isinstance(axis.extent, int) and axis.extent < LANES:
        return True
    loads = (e for e in walk(_innermost(fold).next) if isinstance(e, Load))
    return any(_step(e, axis.symbol) not in (0, 1) for e in loads)


def _sum_in_lanes(fold: Fold) -> Expr:
    """Four sums (or extrema) in the lanes, then their sum, then the terms that are left."""
    inner = _innermost(fold)
    assert isinstance(inner.next, Call)
    extent = inner.extent
    count = dims.floordiv(extent, LANES)
    combine = HORIZONTAL[inner.next.function]
    total: Expr = Call(combine, (_part(fold, "v", fold.init, 0, count, lanes=True),), "f32")
    if (rest := dims.mod(extent, LANES)) != 0:
        total = _part(fold, "r", total, LANES * count, rest)
    return total


def _part(
    fold: Fold, suffix: str, init: Expr, start: Dim, count: Dim, *, lanes: bool = False
) -> Fold:
    """The nest over `count` of its innermost terms from `start` on, or that many times four.

    Its names are its own: one nest starts with what another gives, so they cannot share loops.
    """
    nested = isinstance(fold.next, Fold)
    extent = fold.extent if nested else count
    symbol = Symbol(fold.symbol.name + suffix, extent)
    accumulator = Var(fold.accumulator.name + suffix, fold.type)
    index: Dim = dims.atom(symbol)
    if not nested:
        index = start + (LANES * index + dims.atom(LANE) if lanes else index)
    rename = {fold.accumulator.name: accumulator.name}
    body = substitute(fold.next, {fold.symbol.name: index}, rename)
    if nested:
        assert isinstance(body, Fold)
        body = _part(body, suffix, accumulator, start, count, lanes=lanes)
    return dataclasses.replace(
        fold, symbol=symbol, extent=extent, accumulator=accumulator, init=init, next=body
    )
