"""From kernels to statements: what all printers print.

Expressions become `Let`s, each placed in the outermost loop in which its operands are known (so
what a loop does not change is computed before it), equal ones once. Folds over the same symbol
share one `For`. Index expressions become sums whose parts are hoisted in the same way.

With `lanes` 4 the innermost index runs in vectors of four: a value that depends on it has four
lanes, all others are scalars that the printer splats where they meet. Nothing here knows a target;
`Layout` tells how addresses are formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from webconv.backends.expr import (
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Opaque,
    Var,
    substitute,
    walk,
)
from webconv.backends.kernel import Buffer, Kernel, Store
from webconv.ir import dims
from webconv.ir.dims import Apply, Atom, Dim, Symbol
from webconv.ir.errors import GraphError

LANES = 4


@dataclass(frozen=True)
class Ref:
    """A named value of `lanes` 1 or 4."""

    name: str
    type: str
    lanes: int = 1


@dataclass(frozen=True)
class Literal:
    """A number."""

    value: int | float | bool
    type: str

    @property
    def lanes(self) -> int:
        """Literals are scalars."""
        return 1


Operand = Ref | Literal


@dataclass(frozen=True)
class Let:
    """`target = function(args)`.

    Functions are the primitives of `webconv.backends.expr`, our own `FUNCTIONS`, and for indices
    `udiv` (both non-negative), `floordiv`, `size` (the symbol that the literal has as its type)
    and `iota` (0, 1, 2, 3). `hsum`, `hmax` and `hmin` combine four lanes.
    """

    target: Ref
    function: str
    args: tuple[Operand, ...]


@dataclass(frozen=True)
class Access:
    """Where a load or store goes: element (or byte, as Layout says) `address + constant`.

    `kind` is uniform (one element), unit (four in a row from a scalar address) or each (the address
    has four lanes). `ring` is given where Layout keeps rings apart.
    """

    buffer: Buffer
    kind: str
    address: Operand
    constant: int
    guard: Operand | None
    ring: Operand | None


@dataclass(frozen=True)
class LoadTo:
    """`target` = the element(s), or 0 where the guard is false."""

    target: Ref
    access: Access


@dataclass(frozen=True)
class StoreFrom:
    """The element(s) = `value`, where the guard holds."""

    access: Access
    value: Operand


@dataclass(frozen=True)
class For:
    """`counter` = start, start + step, ... while below `stop`.

    `carries` are (accumulator, initial value, value after an iteration); after the loop the
    accumulators hold the final values.
    """

    counter: Ref
    start: Operand
    stop: Operand
    step: int
    carries: tuple[tuple[Ref, Operand, Operand], ...]
    body: tuple[Statement, ...]


Statement = Let | LoadTo | StoreFrom | For


@dataclass(frozen=True)
class Layout:
    """How a target addresses buffers.

    `address` maps a buffer and a flat index to what its loads take. With `aligned_vectors` four
    elements can only be read in one go from a multiple of four. With `separate_rings` the two
    copies of a ring are different resources, else the second copy follows the first.
    """

    address: Callable[[Buffer, Dim], Dim] = lambda buffer, offset: offset
    unit: Callable[[Buffer], int] = lambda buffer: 1
    aligned_vectors: bool = False
    separate_rings: bool = False


@dataclass
class Scope:
    """A loop body (or the function's) while it is filled."""

    statements: list[Statement] = field(default_factory=list)
    lets: dict[object, Operand] = field(default_factory=dict)
    exprs: dict[Expr, Operand] = field(default_factory=dict)
    names: dict[str, Operand] = field(default_factory=dict)
    may_be_empty: bool = False


class Emitter:
    """Builds nested statements; `scopes[0]` is the function's body."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.scopes = [Scope()]
        self.depths: dict[Ref, int] = {}
        self.folds: list[Fold] = []
        self._count = 0

    # -- names and scopes ------------------------------------------------------------------------

    def ref(self, prefix: str, type: str, lanes: int, depth: int) -> Ref:
        """A new name in the scope at `depth`."""
        self._count += 1
        made = Ref(f"{prefix}{self._count}", type, lanes)
        self.depths[made] = depth
        return made

    def depth_of(self, operands: Iterable[Operand | None]) -> int:
        """The innermost scope that the operands need."""
        return max((self.depths[o] for o in operands if isinstance(o, Ref)), default=0)

    def lookup(self, name: str) -> Operand:
        """The operand that a loop variable, accumulator or size stands for."""
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name]
        found = self.let("size", (Literal(0, name),), "i32")
        self.scopes[0].names[name] = found
        return found

    def name_depth(self, name: str) -> int:
        """The scope that binds `name`; sizes are known everywhere."""
        for depth in range(len(self.scopes) - 1, -1, -1):
            if name in self.scopes[depth].names:
                return self.depth_of([self.scopes[depth].names[name]])
        return 0

    def let(self, function: str, args: tuple[Operand, ...], type: str) -> Operand:
        """The value of a function, computed once per scope."""
        depth = self.depth_of(args)
        scope = self.scopes[depth]
        key = (function, args, type)
        if key not in scope.lets:
            lanes = max((a.lanes for a in args), default=1)
            lanes = {"iota": LANES, "hsum": 1, "hmax": 1, "hmin": 1}.get(function, lanes)
            target = self.ref("v", type, lanes, depth)
            scope.statements.append(Let(target, function, args))
            scope.lets[key] = target
        return scope.lets[key]

    def lane_index(self) -> Operand:
        """0, 1, 2, 3."""
        return self.let("iota", (), "i32")

    # -- index expressions -----------------------------------------------------------------------

    def dim(self, d: Dim) -> Operand:
        """The i32 value of an index expression, its invariant parts hoisted."""
        if isinstance(d, int):
            return Literal(d, "i32")
        parts = [self._term(monomial, c) for monomial, c in d.terms]
        # Outer parts first, so that their sum is hoisted; the constant last.
        parts.sort(key=lambda o: (isinstance(o, Literal), self.depth_of([o]), o.lanes))
        total = parts[0]
        for part in parts[1:]:
            total = self.let("add", (total, part), "i32")
        return total

    def _term(self, monomial: Sequence[Atom], c: int) -> Operand:
        atoms = sorted((self._atom(a) for a in monomial), key=lambda o: self.depth_of([o]))
        if not atoms:
            return Literal(c, "i32")
        total = atoms[0]
        if c != 1:
            total = self.let("mul", (total, Literal(c, "i32")), "i32")
        for a in atoms[1:]:
            total = self.let("mul", (total, a), "i32")
        return total

    def _atom(self, a: Atom) -> Operand:
        if isinstance(a, Symbol):
            return self.lookup(a.name)
        if isinstance(a, Opaque):
            return self.expr(a.expr)
        assert isinstance(a, Apply)
        x, y = self.dim(a.a), self.dim(a.b)
        function = a.function
        if function == "floordiv" and dims.bounds(a.a)[0] >= 0:
            function = "udiv"
        return self.let(function, (x, y), "i32")

    # -- expressions -----------------------------------------------------------------------------

    def expr(self, e: Expr) -> Operand:
        """The value of an expression."""
        depth = max((self.name_depth(n) for n in e.free), default=0)
        for scope in self.scopes[depth:]:
            if e in scope.exprs:
                return scope.exprs[e]
        found = self._expr(e)
        # It may lie further in than its names: a load within a loop that may not run.
        self.scopes[max(depth, self.depth_of([found]))].exprs[e] = found
        return found

    def _expr(self, e: Expr) -> Operand:
        match e:
            case Const():
                return Literal(e.value, e.type)
            case Var():
                return self.lookup(e.name)
            case Index():
                return self.dim(e.dim)
            case Call():
                return self.let(e.function, tuple(self.expr(a) for a in e.args), e.type)
            case Load():
                return self._load(e)
            case Fold():
                self._fold(e)
                return self.scopes[self._fold_depth(e)].exprs[e]
        raise GraphError(f"no statement for {type(e).__name__}")

    def _load(self, e: Load) -> Operand:
        access = self.access(e.buffer, e.offset, e.ring, e.guard)
        depth = self.depth_of([access.address, access.guard, access.ring])
        if e.buffer.data is None or depth:
            # A loop that may not run at all must not have its loads run before it.
            depth = max([depth, *(i for i, s in enumerate(self.scopes) if s.may_be_empty)])
        scope = self.scopes[depth]
        if access not in scope.lets:
            lanes = 1 if access.kind == "uniform" else LANES
            if isinstance(access.guard, Ref):
                lanes = max(lanes, access.guard.lanes)
            target = self.ref("x", e.type, lanes, depth)
            scope.statements.append(LoadTo(target, access))
            scope.lets[access] = target
        return scope.lets[access]

    def access(self, buffer: Buffer, offset: Dim, ring: Dim | None, guard: Expr | None) -> Access:
        """How `offset` of `buffer` is reached."""
        ringed = None
        if ring is not None and buffer.ring > 1:
            parity = dims.mod(ring, 2)
            if self.layout.separate_rings:
                ringed = self.dim(parity)
            else:
                offset = offset + parity * buffer.size
        condition = None if guard is None else self.expr(guard)
        kind, base = self._kind(buffer, offset)
        address = self.layout.address(buffer, base)
        constant = constant_term(address)
        if constant < 0 or dims.bounds(address - constant)[0] < 0:
            constant = 0
        operand = self.dim(address - constant)
        return Access(buffer, kind, operand, constant, condition, ringed)

    def _kind(self, buffer: Buffer, offset: Dim) -> tuple[str, Dim]:
        """The kind of an access, and its address without the lane for unit stride."""
        lane = self.scopes[0].names.get(LANE.name)
        if lane is None or not self._varies(offset):
            return "uniform", offset
        base = dims.bind(offset, {LANE.name: 0})
        unit = offset - base == dims.atom(LANE) and not self._varies(base)
        if unit and self.layout.aligned_vectors and not is_multiple(base, LANES):
            unit = False
        return ("unit", base) if unit else ("each", offset)

    def _varies(self, d: Dim) -> bool:
        for a in dims.atoms(d):
            if isinstance(a, Symbol):
                operand = self.lookup(a.name)
            elif isinstance(a, Opaque):
                operand = self.expr(a.expr)
            else:
                continue
            if operand.lanes > 1:
                return True
        return False

    # -- folds -----------------------------------------------------------------------------------

    def _fold_depth(self, f: Fold) -> int:
        return max((self.name_depth(n) for n in f.free), default=0)

    def _fold(self, first: Fold) -> None:
        """Emit a For for `first` and all ready folds over the same symbol."""
        depth = self._fold_depth(first)
        group = [first] + [f for f in self.folds if self._joins(f, first, depth)]
        saved, self.scopes = self.scopes, self.scopes[: depth + 1]
        stop = self.dim(first.extent)
        inits = [self.expr(f.init) for f in group]
        inner = len(self.scopes)
        counter = self.ref("k", "i32", 1, inner)
        scope = Scope(may_be_empty=dims.bounds(first.extent)[0] < 1)
        scope.names[first.symbol.name] = counter
        accumulators = []
        for f, init in zip(group, inits, strict=True):
            lanes = LANES if self._lanes(f, init) else 1
            accumulator = self.ref("a", f.type, lanes, inner)
            scope.names[f.accumulator.name] = accumulator
            accumulators.append(accumulator)
        self.scopes.append(scope)
        nexts = [self.expr(f.next) for f in group]
        self.scopes.pop()
        carries = tuple(zip(accumulators, inits, nexts, strict=True))
        body = tuple(scope.statements)
        loop = For(counter, Literal(0, "i32"), stop, 1, carries, body)
        self.scopes[depth].statements.append(loop)
        for f, accumulator in zip(group, accumulators, strict=True):
            self.depths[accumulator] = depth
            self.scopes[depth].exprs[f] = accumulator
        self.scopes = saved

    def _joins(self, f: Fold, first: Fold, depth: int) -> bool:
        if f == first or f.symbol != first.symbol or f.extent != first.extent:
            return False
        if self._fold_depth(f) != depth or f in self.scopes[depth].exprs:
            return False
        bound = {n for s in self.scopes[: depth + 1] for n in s.names}
        own = {g.accumulator.name for g in self.folds} | {g.symbol.name for g in self.folds}
        ready = all(n in bound for n in f.free & own)
        return ready and f not in set(walk(first)) and first not in set(walk(f))

    def _lanes(self, f: Fold, init: Operand) -> bool:
        if init.lanes > 1:
            return True
        names = f.next.free - {f.symbol.name, f.accumulator.name}
        return any(self._name_lanes(n, f) for n in names)

    def _name_lanes(self, name: str, f: Fold) -> bool:
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name].lanes > 1
        return False

    # -- kernels ---------------------------------------------------------------------------------

    def stores(self, stores: Iterable[Store]) -> None:
        """Emit the stores in the innermost scope; their folds may share loops."""
        stores = list(stores)
        roots = [x for s in stores for x in (*s.exprs, *_opaque(s.offset))]
        self.folds = [e for e in walk(*roots) if isinstance(e, Fold)]
        values = [self.expr(s.value) for s in stores]
        for s, value in zip(stores, values, strict=True):
            access = self.access(s.buffer, s.offset, s.ring, s.guard)
            self.scopes[-1].statements.append(StoreFrom(access, value))

    def loop(
        self, symbol: str, start: Operand, stop: Operand, step: int, body: Callable[[], None]
    ) -> Ref:
        """A For over an axis, around what `body` emits."""
        depth = len(self.scopes)
        counter = self.ref("i", "i32", 1, depth)
        scope = Scope()
        scope.names[symbol] = counter
        self.scopes.append(scope)
        body()
        self.scopes.pop()
        made = For(counter, start, stop, step, (), tuple(scope.statements))
        self.scopes[-1].statements.append(made)
        return counter


LANE = Symbol("%lane", LANES)


def _opaque(d: Dim) -> list[Expr]:
    from webconv.backends.expr import opaque

    return list(opaque(d))


def constant_term(d: Dim) -> int:
    """The part of an index that is a number."""
    if isinstance(d, int):
        return d
    return next((c for monomial, c in d.terms if monomial == ()), 0)


def is_multiple(d: Dim, n: int) -> bool:
    """True if every coefficient of `d` is a multiple of `n`."""
    if isinstance(d, int):
        return d % n == 0
    return all(c % n == 0 for _, c in d.terms)


def unrolled(kernel: Kernel, copies: Sequence[dict[str, Dim]]) -> list[Store]:
    """The stores of `kernel`, once per copy with its axes replaced.

    Folds that a copy changes get accumulators of their own; the others are shared.
    """
    roots = [x for s in kernel.stores for x in (*s.exprs, *_opaque(s.offset))]
    folds = [e for e in walk(*roots) if isinstance(e, Fold)]
    out = []
    for k, copy in enumerate(copies):
        rename = {name: f"{name}.{k}" for name in _changed_accumulators(folds, set(copy))}
        for s in kernel.stores:
            index = tuple(_substitute_dim(i, copy, rename) for i in s.index)
            guard = None if s.guard is None else substitute(s.guard, copy, rename)
            value = substitute(s.value, copy, rename)
            out.append(Store(s.buffer, s.shape, index, value, guard, s.ring))
    return out


def _changed_accumulators(folds: Sequence[Fold], names: set[str]) -> set[str]:
    """The accumulators of folds that depend on `names`, also by way of other accumulators."""
    changed: set[str] = set()
    while True:
        found = {f.accumulator.name for f in folds if f.free & (names | changed)}
        if found <= changed:
            return changed
        changed |= found


def _substitute_dim(d: Dim, values: dict[str, Dim], rename: dict[str, str]) -> Dim:
    result = substitute(Index(d), values, rename)
    assert isinstance(result, Index)
    return result.dim
