"""Long folds with few results: partial results first, so that more than a few fragments work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from webconv.backends.expr import (
    Call,
    Expr,
    Fold,
    Index,
    Load,
    call,
    rewrite,
    substitute,
    walk,
)
from webconv.backends.kernel import Axis, Buffer, Kernel, Step, Store
from webconv.backends.plan import hinted
from webconv.backends.tensor import guarded
from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim, Symbol

# A fold of at least this many terms, in a kernel of at most that many points, is split ...
LONG = 8192
FEW = 4096
# ... into parts of so many terms, if it is not in parts already.
PART = 1024
TYPES = {"f32": dtypes.f32, "i32": dtypes.i32, "u32": dtypes.u32}


def split_folds(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, with kernels for partial results before those that need them."""
    for step in steps:
        if isinstance(step, Kernel):
            yield from _split(step)
        else:
            yield step


def _split(kernel: Kernel) -> Iterator[Kernel]:
    own = {a.symbol.name for a in kernel.axes}
    if hinted(kernel.size) > FEW:
        yield kernel
        return
    stores = list(kernel.stores)
    for k, store in enumerate(stores):
        for fold in _outermost(store.value):
            inner = {e.symbol.name for e in walk(store.value) if isinstance(e, Fold)}
            if fold.free & inner - own or length(fold) < LONG or fold.type not in TYPES:
                continue
            term = _term(fold)
            if fold.associative is None or term is None:
                continue
            partial, whole = _parts(kernel, fold, term)
            yield partial
            value = rewrite(stores[k].value, lambda e, f=fold, w=whole: w if e == f else None)  # type: ignore[misc]
            stores[k] = replace(stores[k], value=value)
    yield replace(kernel, stores=tuple(stores))


def _outermost(e: Expr) -> list[Fold]:
    if isinstance(e, Fold):
        return [e]
    found = [f for x in e.operands for f in _outermost(x)]
    return list(dict.fromkeys(found))


def length(fold: Fold) -> int:
    """The number of innermost iterations, as far as extents are known or hinted."""
    inner = [length(f) for f in _outermost(fold.next)]
    ends = (hinted(_at_end(fold.extent, first)) for first in (True, False))
    return max(1, *ends) * max(inner, default=1)


def _at_end(extent: Dim, first: bool) -> Dim:
    """An extent in the first or last iteration of the loops around it."""

    def end(a: dims.Atom) -> Dim | None:
        if not isinstance(a, Symbol) or a.bound is None:
            return None
        return 0 if first else a.bound - 1

    return dims.substitute(extent, end)


def _term(fold: Fold) -> Expr | None:
    """What is combined with the accumulator, if `next` is that simple."""
    if not isinstance(fold.next, Call):
        return None
    match fold.next.function, fold.next.args:
        case "fma", (a, b, c) if c == fold.accumulator:
            term: Expr = Call("mul", (a, b), fold.type)
        case _, (a, b) if fold.accumulator in (a, b):
            term = b if a == fold.accumulator else a
        case _:
            return None
    return None if fold.accumulator.name in term.free else term


def _parts(kernel: Kernel, fold: Fold, term: Expr) -> tuple[Kernel, Expr]:
    """(the kernel that stores a result for each part, the fold over these)."""
    if _outermost(term):
        part, count = fold.symbol, fold.extent
        value = rewrite(term, lambda e: _level(e, part) if isinstance(e, Fold) else None)
    else:
        count = dims.ceildiv(fold.extent, PART)
        part = Symbol(f"{fold.symbol.name}.part", count)
        value = _level(_piece(fold, dims.atom(part) * PART), part)
    axes = (Axis(part, count), *kernel.axes)
    shape = tuple(a.extent for a in axes)
    index = tuple(a.index for a in axes)
    buffer = Buffer(f"{kernel.name}.parts", TYPES[fold.type], shape)
    load = Load(buffer, shape, index, None, None, fold.type)
    assert isinstance(fold.next, Call)
    combine = "add" if fold.associative == "sum" else fold.next.function
    after = Call(combine, (fold.accumulator, load), fold.type)
    whole = Fold(part, count, fold.accumulator, fold.init, after, fold.associative, fold.type)
    store = Store(buffer, shape, index, value)
    return Kernel(f"{kernel.name}.parts", axes, (store,), kernel.computes), whole


def _piece(fold: Fold, start: Dim) -> Fold:
    """The terms from `start` on, at most PART."""
    symbol = Symbol(f"{fold.symbol.name}.in", PART)
    body = substitute(fold.next, {fold.symbol.name: start + dims.atom(symbol)})
    extent = dims.minimum(PART, fold.extent - start)
    return replace(fold, symbol=symbol, extent=extent, next=body)


def _level(fold: Fold, part: Symbol) -> Fold:
    """`fold` with as many iterations in every part: those beyond its end change nothing."""
    if part.name not in dims.symbols(fold.extent):
        return fold
    most = max(_bound(_at_end(fold.extent, first)) for first in (True, False))
    inside = call("lt", Index(dims.atom(fold.symbol)), Index(fold.extent))
    after = guarded(fold.next, inside, fold.accumulator)
    return replace(fold, extent=most, next=after, associative=None)


def _bound(d: Dim) -> int:
    high = dims.bounds(d)[1]
    return PART if high == float("inf") else int(high)
