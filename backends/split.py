"""Long folds with few results in two stages: partial results by many threads, then their fold.

A sum of a million terms is else one thread's loop. Only associative folds are split, in pieces of
consecutive terms, which is also how a long sum keeps its error small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from webconv.backends.expr import Call, Const, Expr, Fold, Load, Var, call, rewrite, substitute
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store
from webconv.backends.plan import hinted
from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim, Symbol

# A fold is split if it has so many terms, and its kernel not more points than that.
LONG = 4096
FEW = 2048
# Terms of a piece, unless each term is a long sum itself.
PIECE = 256

COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}
DTYPES = {"f32": dtypes.f32, "i32": dtypes.i32, "u32": dtypes.u32, "bool": dtypes.bool_}


def split_folds(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Every kernel with long folds becomes two."""
    return tuple(new for step in steps for new in _split_step(step))


def _split_step(step: Step) -> Iterator[Step]:
    if isinstance(step, Loop):
        yield replace(step, body=split_folds(step.body))
        return
    parts: dict[Expr, Expr] = {}
    few = hinted(step.size) <= FEW
    for k, fold in enumerate(_long_folds(step) if few else ()):
        partial, parts[fold] = _partial(step, fold, f"{step.name}.part{k or ''}")
        yield partial
    yield _replaced(step, parts) if parts else step


def _long_folds(kernel: Kernel) -> Iterator[Fold]:
    """Folds that stand in no other fold."""
    inner = {x for e in kernel.exprs if isinstance(e, Fold) for x in _inside(e)}
    for e in kernel.exprs:
        if isinstance(e, Fold) and e not in inner and _terms(e) >= LONG and term(e) is not None:
            yield e


def _inside(fold: Fold) -> Iterator[Expr]:
    seen = {fold.next}
    stack: list[Expr] = [fold.next]
    while stack:
        e = stack.pop()
        yield e
        stack += [x for x in e.operands if x not in seen]
        seen.update(e.operands)


def _terms(fold: Fold) -> float:
    """How many terms a fold has at least, those of folds that are its terms included."""
    if not isinstance(fold.extent, int):
        return 0
    inner = [_terms(e) or 1 for e in _inside(fold) if isinstance(e, Fold)]
    sizes = [s for s in (_bound(e) for e in _inside(fold) if isinstance(e, Fold)) if s]
    return fold.extent * max([*inner, *sizes], default=1)


def _bound(fold: Fold) -> int:
    high = dims.bounds(fold.extent)[1]
    return int(high) if high != float("inf") else 0


def term(fold: Fold) -> Expr | None:
    """What is combined with the accumulator, if the fold is written in that way."""
    if fold.associative not in COMBINE or not isinstance(fold.next, Call):
        return None
    accumulator = fold.accumulator
    match fold.next.function, fold.next.args:
        case "fma", (a, b, c) if fold.associative == "sum" and c == accumulator:
            found: Expr = call("mul", a, b)
        case function, (a, b) if function == COMBINE[fold.associative] and accumulator in (a, b):
            found = b if a == accumulator else a
        case _:
            return None
    return None if accumulator.name in found.free else found


def _partial(kernel: Kernel, fold: Fold, name: str) -> tuple[Kernel, Expr]:
    """The kernel of the pieces, and the fold over what it stores."""
    found = term(fold)
    assert found is not None
    assert fold.associative is not None
    nested = any(isinstance(e, Fold) for e in _inside(fold))
    piece = 1 if nested else PIECE
    count = dims.ceildiv(fold.extent, piece)
    axes = tuple(a for a in kernel.axes if a.symbol.name in fold.free)
    part = Axis(Symbol(f"{fold.symbol.name}p", count), count)
    # The last axis stays the lane axis.
    shape = (count, *(a.extent for a in axes))
    buffer = Buffer(name, DTYPES[fold.type], shape)
    index = tuple(a.index for a in axes)
    value = _piece(fold, found, part.index, piece)
    store = Store(buffer, shape, (part.index, *index), value)
    first = Kernel(name, (part, *axes), (store,), kernel.computes)
    over = Symbol(f"{fold.symbol.name}q", count)
    load = Load(buffer, shape, (dims.atom(over), *index), None, None, fold.type)
    total = call(COMBINE[fold.associative], fold.accumulator, load)
    return first, Fold(over, count, fold.accumulator, fold.init, total, fold.associative, fold.type)


def _piece(fold: Fold, found: Expr, part: Dim, piece: int) -> Expr:
    """What one thread combines: `piece` terms from `part * piece` on."""
    name = fold.symbol.name
    if piece == 1:
        return substitute(found, {name: part})
    k = Symbol(f"{name}k", piece)
    accumulator = Var(f"{fold.accumulator.name}k", fold.type)
    start: Expr = _identity(fold)
    shifted = substitute(fold.next, {name: part * piece + dims.atom(k)})
    step = rewrite(shifted, lambda e: accumulator if e == fold.accumulator else None)
    extent = dims.minimum(piece, fold.extent - part * piece)
    return Fold(k, extent, accumulator, start, step, fold.associative, fold.type)


def _identity(fold: Fold) -> Expr:
    """What a piece starts with: a sum's or product's neutral element, an extremum's own start."""
    if fold.associative in ("max", "min"):
        return fold.init
    value = 0 if fold.associative == "sum" else 1
    return Const(float(value) if fold.type == "f32" else value, fold.type)


def _replaced(kernel: Kernel, parts: dict[Expr, Expr]) -> Kernel:
    def store(s: Store) -> Store:
        guard = None if s.guard is None else rewrite(s.guard, parts.get)
        return replace(s, value=rewrite(s.value, parts.get), guard=guard)

    return replace(kernel, stores=tuple(map(store, kernel.stores)))
