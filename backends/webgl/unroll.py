"""Folds unrolled by four, so that four consecutive elements of an operand are one texel fetch."""

from __future__ import annotations

from webconv.backends.expr import Expr, Fold, Load, rewrite, substitute, walk
from webconv.backends.linearise import LANES
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

# Longer bodies are not repeated.
LONGEST = 40


def unrolled(e: Expr) -> Expr:
    """`e` with its innermost folds unrolled where that saves fetches."""

    def replace(x: Expr) -> Expr | None:
        return _unroll(x) if isinstance(x, Fold) and _pays(x) else None

    return rewrite(e, replace)


def _pays(f: Fold) -> bool:
    if not isinstance(f.extent, int) or f.extent < LANES:
        return False
    body = list(walk(f.next))
    if len(body) > LONGEST or any(isinstance(x, Fold) for x in body):
        return False
    return any(isinstance(x, Load) and _step(x.offset, f.symbol) == 1 for x in body)


def _step(offset: Dim, symbol: Symbol) -> Dim:
    """How far the next iteration's element lies from this one's."""
    return dims.bind(offset, {symbol.name: dims.atom(symbol) + 1}) - offset


def _unroll(f: Fold) -> Expr:
    assert isinstance(f.extent, int)
    rounds, rest = divmod(f.extent, LANES)
    symbol = Symbol(f"{f.symbol.name}.q", rounds)
    body: Expr = f.accumulator
    for k in range(LANES):
        body = _advance(f, body, dims.atom(symbol) * LANES + k)
    whole: Expr = Fold(symbol, rounds, f.accumulator, f.init, body, f.associative, f.type)
    if rounds == 1:
        whole = f.init
        rest = f.extent
    for k in range(f.extent - rest, f.extent):
        whole = _advance(f, whole, k)
    return whole


def _advance(f: Fold, accumulator: Expr, k: Dim) -> Expr:
    """The accumulator after iteration `k`."""
    body = substitute(f.next, {f.symbol.name: k})
    return rewrite(body, lambda e: accumulator if e == f.accumulator else None)
