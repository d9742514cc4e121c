"""Names by position, so that equal kernels of different layers have equal shaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from webconv.backends.expr import Expr, Fold, Index, Var, rewrite
from webconv.backends.kernel import Axis, Kernel, Loop, Step, Store
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol


def renamed(steps: Sequence[Step], depth: int = 0) -> tuple[Step, ...]:
    """Loops are named by their depth, a kernel's axes and folds by their order."""
    return tuple(_loop(s, depth) if isinstance(s, Loop) else _kernel(s) for s in steps)


def _loop(loop: Loop, depth: int) -> Loop:
    index = Symbol(f"%step{depth}", loop.index.bound)
    change = Names({loop.index.name: index})
    body = tuple(change.step(s) for s in loop.body)
    return replace(loop, index=index, body=renamed(body, depth + 1))


def _kernel(kernel: Kernel) -> Kernel:
    symbols = [a.symbol for a in kernel.axes]
    symbols += [e.symbol for e in kernel.exprs if isinstance(e, Fold)]
    made = Names({})
    for k, symbol in enumerate(dict.fromkeys(symbols)):
        made.add(symbol, f"%i{k}")
    accumulators = [e.accumulator.name for e in kernel.exprs if isinstance(e, Fold)]
    made.variables = {name: f"%a{k}" for k, name in enumerate(dict.fromkeys(accumulators))}
    return made.kernel(kernel)


class Names:
    """New symbols, and names of accumulators, for old names."""

    def __init__(self, symbols: Mapping[str, Symbol]) -> None:
        self.symbols: dict[str, Symbol] = dict(symbols)
        self.variables: dict[str, str] = {}

    def add(self, symbol: Symbol, name: str) -> None:
        """Give `symbol` another name; its bound may hold symbols named before."""
        bound = None if symbol.bound is None else self.dim(symbol.bound)
        self.symbols[symbol.name] = Symbol(name, bound)

    def dim(self, d: Dim) -> Dim:
        """`d` in new names."""
        return dims.bind(d, {n: dims.atom(s) for n, s in self.symbols.items()})

    def expr(self, e: Expr) -> Expr:
        """`e` in new names."""
        return rewrite(e, self._expr, self.dim)

    def _expr(self, e: Expr) -> Expr | None:
        match e:
            case Var(name=name) if name in self.variables:
                return Var(self.variables[name], e.type)
            case Fold():
                accumulator = Var(
                    self.variables.get(e.accumulator.name, e.accumulator.name), e.type
                )
                return replace(
                    e,
                    symbol=self.symbols.get(e.symbol.name, e.symbol),
                    extent=self.dim(e.extent),
                    accumulator=accumulator,
                    init=self.expr(e.init),
                    next=self.expr(e.next),
                )
        return None

    def step(self, step: Step) -> Step:
        """A step in new names."""
        if isinstance(step, Loop):
            body = tuple(map(self.step, step.body))
            return replace(step, count=self.dim(step.count), body=body)
        return self.kernel(step)

    def kernel(self, kernel: Kernel) -> Kernel:
        """A kernel in new names."""
        axes = tuple(
            Axis(self.symbols.get(a.symbol.name, a.symbol), self.dim(a.extent)) for a in kernel.axes
        )
        return replace(kernel, axes=axes, stores=tuple(map(self.store, kernel.stores)))

    def store(self, s: Store) -> Store:
        """A store in new names."""
        index = tuple(self._index(i) for i in s.index)
        guard = None if s.guard is None else self.expr(s.guard)
        ring = None if s.ring is None else self.dim(s.ring)
        shape = tuple(map(self.dim, s.shape))
        return Store(s.buffer, shape, index, self.expr(s.value), guard, ring)

    def _index(self, d: Dim) -> Dim:
        made = self.expr(Index(d))
        assert isinstance(made, Index)
        return made.dim
