"""Values of kernel expressions in NumPy, for all points of an index space at once."""

from __future__ import annotations

import math
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
    call,
    opaque,
    walk,
)
from webconv.backends.functions import FUNCTIONS
from webconv.ir import dims
from webconv.ir.dims import Apply, Atom, Dim, Symbol
from webconv.ir.errors import GraphError
from webconv.ir.op import Array

# Elements of one array: small enough for the cache, large enough to hide Python.
CHUNK = 1 << 17

_COMBINE = {"sum": ("add",), "prod": ("mul",), "max": ("max", "or"), "min": ("min", "and")}
_DIMS: dict[str, Callable[..., Any]] = {
    "floordiv": np.floor_divide,
    "min": np.minimum,
    "max": np.maximum,
}


@dataclass
class Scope:
    """Names with their values, and what was computed from them.

    Values broadcast to `shape`, the shape of an index space whose points are numbered by `points`;
    only `active` ones may load. A fold opens a scope inside of another; what does not depend on the
    names that it binds is computed outside, once.
    """

    names: dict[str, Any]
    shape: tuple[int, ...] = ()
    points: Array = field(default_factory=lambda: np.zeros((), np.int64))
    active: Array = field(default_factory=lambda: np.ones((), np.bool_))
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
    """Evaluates expressions; `read` gives what a Load finds."""

    def __init__(
        self, arithmetic: Arithmetic, read: Callable[[Load, Scope], Array] | None = None
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
                return self.arithmetic.literal(e.value, e.type)
            case Var():
                return np.asarray(scope.lookup(e.name))
            case Index():
                return np.asarray(self.dim(e.dim, scope)).astype(np.int32)
            case Call():
                return self._call(e, scope)
            case Fold():
                return self._fold(e, scope)
            case Load() if self.read is not None:
                return self.read(e, scope)
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
        name = e.function
        if self.arithmetic.gpu and name.endswith(("_i64", "_u64")):
            name = f"{name[:-2]}32"
        function = FUNCTIONS.get(name)
        if function is None:
            raise GraphError(f"there is no function {e.function}")
        names = {p.name: a for p, a in zip(function.parameters, args, strict=True)}
        return self.value(function.body, Scope(names))

    def _fold(self, e: Fold, scope: Scope) -> Array:
        extent = self.dim(e.extent, scope)
        start = self.value(e.init, scope)
        split = _split(e)
        if split is not None and np.ndim(extent) == 0:
            return self._reduce(e, *split, int(extent), start, scope)
        return self._iterate(e, extent, start, scope)

    def _iterate(self, e: Fold, extent: Any, start: Array, scope: Scope) -> Array:
        """The fold as a loop; points whose extent is reached keep their value."""
        value = start
        for i in range(int(np.max(extent))):
            names = {e.symbol.name: i, e.accumulator.name: value}
            active = scope.active & (i < extent)
            new = self.value(e.next, Scope(names, scope.shape, scope.points, active, scope))
            value = new if np.ndim(extent) == 0 else np.where(active, new, value)
        return value

    def _reduce(
        self, e: Fold, combine: str, term: Expr, extent: int, start: Array, scope: Scope
    ) -> Array:
        """The fold in parts of its loop, each part one array with a leading axis."""
        step = max(1, CHUNK // max(1, math.prod(scope.shape)))
        value = start
        for i in range(0, extent, step):
            n = min(step, extent - i)
            symbol = np.arange(i, i + n, dtype=np.int64).reshape(-1, *(1 for _ in scope.shape))
            shape = (n, *scope.shape)
            inner = Scope({e.symbol.name: symbol}, shape, scope.points, scope.active, scope)
            terms = self.value(term, inner)
            terms = terms if terms.ndim > len(scope.shape) else terms[None]
            terms = np.broadcast_to(terms, (n, *terms.shape[1:]))
            value = self.arithmetic.apply(combine, (value, self._tree(combine, terms, e)), e.type)
        return value

    def _tree(self, combine: str, terms: Array, e: Fold) -> Array:
        while len(terms) > 1:
            half = len(terms) // 2
            pairs = self.arithmetic.apply(combine, (terms[:half], terms[half : 2 * half]), e.type)
            terms = np.concatenate([pairs, terms[2 * half :]])
        return np.asarray(terms[0])


def _split(e: Fold) -> tuple[str, Expr] | None:
    """(primitive, term) of an associative fold whose `next` is `accumulator (op) term`.

    Not if the extent of a fold inside depends on the loop: it is better taken step by step.
    """
    match e.next:
        case Call(function="fma", args=(a, b, c)) if e.associative == "sum" and c == e.accumulator:
            combine, term = "add", call("mul", a, b)
        case Call(function=combine, args=(a, b)) if combine in _COMBINE.get(
            e.associative or "", ()
        ):
            term = b if a == e.accumulator else a
        case _:
            return None
    inner = (x for x in walk(term) if isinstance(x, Fold))
    if e.accumulator.name in term.free or any(
        e.symbol.name in dims.symbols(x.extent) for x in inner
    ):
        return None
    return combine, term


def evaluate_expr(
    expr: Expr, env: Mapping[str, Any], arithmetic: Arithmetic | None = None
) -> Array:
    """The value of an expression without loads, given its variables and symbols as arrays."""
    names = {name: np.asarray(v) for name, v in env.items()}
    shape = np.broadcast_shapes(*(v.shape for v in names.values())) if names else ()
    with np.errstate(all="ignore"):
        return Evaluator(arithmetic or Arithmetic()).value(expr, Scope(names, shape))
