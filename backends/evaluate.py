"""Values of kernel expressions in NumPy, for all points of an index space at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from webconv.backends.arithmetic import Arithmetic, check_types
from webconv.backends.expr import (
    PRIMITIVES,
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Opaque,
    Var,
    opaque,
)
from webconv.backends.functions import FUNCTIONS
from webconv.ir.dims import Apply, Atom, Dim, Symbol
from webconv.ir.errors import GraphError
from webconv.ir.op import Array

# Elements of one array: small enough for the cache, large enough to hide Python.
CHUNK = 1 << 17

_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}
_DIMS: dict[str, Callable[..., Any]] = {
    "floordiv": np.floor_divide,
    "min": np.minimum,
    "max": np.maximum,
}


@dataclass
class Scope:
    """Names with their values, and what was computed from them.

    `shape` is the shape that values broadcast to. A fold opens a scope inside of another; what
    does not depend on the names it binds is computed outside, once.
    """

    names: dict[str, Any]
    shape: tuple[int, ...] = ()
    outer: Scope | None = None
    memo: dict[Expr, Array] = field(default_factory=dict)

    def home(self, free: frozenset[str]) -> Scope:
        """The outermost scope that binds all of `free`."""
        scope = self
        while scope.outer is not None and free.isdisjoint(scope.names):
            scope = scope.outer
        return scope

    def lookup(self, name: str) -> Any:
        """The value of a name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        raise GraphError(f"{name} has no value here")


class Evaluator:
    """Evaluates expressions; `read(load, offset, guard, copy)` gives what a Load finds."""

    def __init__(
        self, arithmetic: Arithmetic, read: Callable[[Load, Scope, Evaluator], Array] | None = None
    ) -> None:
        self.arithmetic = arithmetic
        self.read = read

    def value(self, root: Expr, scope: Scope) -> Array:
        """The value of `root`, which broadcasts to the scope's shape."""
        stack = [root]
        while stack:
            e = stack[-1]
            home = scope.home(e.free)
            missing = [] if e in home.memo else self._missing(e, scope)
            if missing:
                stack += missing
                continue
            if e not in home.memo:
                home.memo[e] = self._compute(e, home)
            stack.pop()
        return scope.home(root.free).memo[root]

    def _missing(self, e: Expr, scope: Scope) -> list[Expr]:
        needs = (e.init, *opaque(e.extent)) if isinstance(e, Fold) else e.operands
        return [x for x in needs if x not in scope.home(x.free).memo]

    def _compute(self, e: Expr, scope: Scope) -> Array:
        match e:
            case Const():
                return np.asarray(e.value, self.arithmetic.types[e.type])
            case Var():
                return np.asarray(scope.lookup(e.name))
            case Index():
                return np.asarray(self.dim(e.dim, scope)).astype(np.int32)
            case Call():
                return self._call(e, scope)
            case Fold():
                return self._fold(e, scope)
            case Load() if self.read is not None:
                return self.read(e, scope, self)
        raise GraphError(f"{e!r} cannot be evaluated")

    def dim(self, d: Dim, scope: Scope) -> Any:
        """The value of an index expression: an int, or an array of int64."""
        if isinstance(d, int):
            return d
        total: Any = 0
        for monomial, c in d.terms:
            term: Any = c
            for a in monomial:
                term = term * self._atom(a, scope)
            total = total + term
        return total

    def _atom(self, a: Atom, scope: Scope) -> Any:
        match a:
            case Symbol():
                return scope.lookup(a.name)
            case Apply():
                return _DIMS[a.function](self.dim(a.a, scope), self.dim(a.b, scope))
            case Opaque():
                return self.value(a.expr, scope).astype(np.int64)
        raise GraphError(f"{a!r} is not an index")

    def _call(self, e: Call, scope: Scope) -> Array:
        args = tuple(self.value(a, scope) for a in e.args)
        if e.function in PRIMITIVES:
            check_types(e.function, tuple(a.type for a in e.args), e.type)
            return self.arithmetic.apply(e.function, args, e.type)
        function = FUNCTIONS.get(e.function)
        if function is None:
            raise GraphError(f"there is no function {e.function}")
        names = {p.name: a for p, a in zip(function.parameters, args, strict=True)}
        return self.value(function.body, Scope(names))

    def _fold(self, e: Fold, scope: Scope) -> Array:
        extent = self.dim(e.extent, scope)
        start = self.value(e.init, scope)
        term = _term(e)
        if term is not None and np.ndim(extent) == 0:
            return self._reduce(e, term, int(extent), start, scope)
        return self._iterate(e, extent, start, scope)

    def _iterate(self, e: Fold, extent: Any, start: Array, scope: Scope) -> Array:
        accumulator = start
        for i in range(int(np.max(extent, initial=0))):
            names = {e.symbol.name: i, e.accumulator.name: accumulator}
            new = self.value(e.next, Scope(names, scope.shape, scope))
            accumulator = new if np.ndim(extent) == 0 else np.where(i < extent, new, accumulator)
        return accumulator

    def _reduce(self, e: Fold, term: Expr, extent: int, start: Array, scope: Scope) -> Array:
        """The fold in parts of the loop, each part as one array with a leading axis."""
        combine = _COMBINE[str(e.associative)]
        step = max(1, CHUNK // max(1, int(np.prod(scope.shape, dtype=np.int64))))
        accumulator = start
        for i in range(0, extent, step):
            part = np.arange(i, min(i + step, extent), dtype=np.int64)
            symbol = part.reshape(-1, *(1 for _ in scope.shape))
            inner = Scope({e.symbol.name: symbol}, (len(part), *scope.shape), scope)
            values = self.value(term, inner)
            if values.ndim <= len(scope.shape):
                values = values[None]
            values = np.broadcast_to(values, (len(part), *values.shape[1:]))
            total = self._tree(combine, values, e.type)
            accumulator = self.arithmetic.apply(combine, (accumulator, total), e.type)
        return accumulator

    def _tree(self, combine: str, values: Array, type: str) -> Array:
        while len(values) > 1:
            half = len(values) // 2
            paired = self.arithmetic.apply(combine, (values[:half], values[half : 2 * half]), type)
            values = np.concatenate([paired, values[2 * half :]]) if len(values) % 2 else paired
        return values[0]


def _term(e: Fold) -> Expr | None:
    """The term of an associative fold, if `next` is written as `accumulator (op) term`."""
    if e.associative is None or not isinstance(e.next, Call):
        return None
    name = e.accumulator.name
    match e.next.function, e.next.args:
        case "fma", (a, b, c) if e.associative == "sum" and c == e.accumulator:
            term: Expr = Call("mul", (a, b), e.type)
        case function, (a, b) if function == _COMBINE[e.associative] and e.accumulator in (a, b):
            term = b if a == e.accumulator else a
        case _:
            return None
    return None if name in term.free else term


def evaluate_expr(
    expr: Expr, env: Mapping[str, Any], arithmetic: Arithmetic | None = None
) -> Array:
    """The value of an expression without loads, given its variables and symbols as arrays."""
    names = {name: np.asarray(v) for name, v in env.items()}
    shape = np.broadcast_shapes(*(v.shape for v in names.values())) if names else ()
    with np.errstate(all="ignore"):
        return Evaluator(arithmetic or Arithmetic()).value(expr, Scope(names, shape))
