"""Short reductions melt into the kernel that reads them: a draw costs more than 64 terms.

So a softmax over few classes takes two draws instead of four.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from webconv.backends.expr import Expr, Fold, Load, substitute, walk
from webconv.backends.kernel import Buffer, Kernel, Loop, Step, Store, kernels
from webconv.backends.legalise import map_exprs
from webconv.backends.tensor import guarded
from webconv.ir import dims
from webconv.ir.dims import Dim

# Terms and operations per term that each reader may compute for itself.
MOST_TERMS = 64
MOST_NODES = 8


def fused(steps: Sequence[Step], kept: Collection[Buffer]) -> tuple[Step, ...]:
    """The steps outside of loops, short reductions with one reader melted; `kept` are outputs."""
    out = list(steps)
    for kernel in [s for s in steps if isinstance(s, Kernel)]:
        if not any(s is kernel for s in out):
            continue  # something has melted into it
        reader = _only_reader(kernel, out, kept)
        if reader is None:
            continue
        (store,) = kernel.stores
        changed = map_exprs(reader, lambda e, s=store: _value(e, s))  # type: ignore[misc]
        out = [changed if s is reader else s for s in out if s is not kernel]
    return tuple(out)


def _only_reader(kernel: Kernel, steps: Sequence[Step], kept: Collection[Buffer]) -> Kernel | None:
    """The kernel that `kernel` may melt into."""
    if len(kernel.stores) != 1 or not _is_short(kernel.stores[0]):
        return None
    (store,) = kernel.stores
    buffer = store.buffer
    if buffer.ring != 1 or buffer.kind != "temp" or buffer in kept:
        return None
    touching = [k for k in kernels(tuple(steps)) if buffer in (*k.reads, *k.writes)]
    inside = {k for s in steps if isinstance(s, Loop) for k in kernels((s,))}
    others = [k for k in touching if k is not kernel]
    if len(others) != 1 or buffer in others[0].writes or others[0] in inside:
        return None
    (reader,) = others
    bound = {e.symbol.name for e in reader.exprs if isinstance(e, Fold)}
    loads = [e for e in reader.exprs if isinstance(e, Load) and e.buffer is buffer]
    fits = all(e.shape == store.shape and not bound & dims.symbols(*e.index) for e in loads)
    return reader if fits and _axes_of(store, kernel) else None


def _is_short(store: Store) -> bool:
    folds = [e for e in walk(store.value) if isinstance(e, Fold)]
    if len(folds) != 1 or store.guard is not None:
        return False
    (fold,) = folds
    short = isinstance(fold.extent, int) and fold.extent <= MOST_TERMS
    return short and len(list(walk(store.value))) <= MOST_NODES


def _axes_of(store: Store, kernel: Kernel) -> bool:
    """True if every index is an axis of its own, or 0."""
    axes = [a.index for a in kernel.axes]
    found = [i for i in store.index if i != 0]
    return len(found) == len(axes) and all(i in axes for i in found)


def _value(e: Expr, store: Store) -> Expr | None:
    """What a load of the melted buffer is."""
    if not isinstance(e, Load) or e.buffer is not store.buffer:
        return None
    swap: dict[str, Dim] = {}
    for there, here in zip(store.index, e.index, strict=True):
        axis = dims.bare_atom(there)
        if isinstance(axis, dims.Symbol):
            swap[axis.name] = here
    value = substitute(store.value, swap)
    return value if e.guard is None else guarded(value, e.guard)
