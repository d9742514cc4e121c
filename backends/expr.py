"""Scalar expressions: the bodies of kernels.

An expression has one of the types f32, i32, u32, i64, u64 and bool. Index arithmetic is not
written in it but in the algebra of `webconv.ir.dims`, whose loop variables are symbols with a
bound: so an address is a canonical polynomial, and strides, alignment and what a loop does not
change can be read off it. `Index` turns such a Dim into a value, `as_index` a value into a Dim.

Expressions are immutable and compared by structure; the printers compute equal ones once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from webconv.ir import dims
from webconv.ir.dims import Atom, Dim, Shape, Symbol

if TYPE_CHECKING:
    from webconv.backends.kernel import Buffer

Number = int | float | bool


class Expr:
    """Base of all expressions; `type` is one of f32, i32, u32, i64, u64, bool."""

    type: str

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Expr)
            and type(self) is type(other)
            and self._hash == other._hash
            and self._key == other._key
        )

    @property
    def operands(self) -> tuple[Expr, ...]:
        """The expressions that it is computed from, those inside of index expressions included."""
        return ()

    @property
    def index_dims(self) -> tuple[Dim, ...]:
        """The index expressions that it holds."""
        return ()

    @cached_property
    def free(self) -> frozenset[str]:
        """The names of symbols and variables that its value depends on."""
        names = set(dims.symbols(*self.index_dims))
        for x in self.operands:
            names |= x.free
        return frozenset(names)

    @cached_property
    def text(self) -> str:
        """A digest of the structure, to name and order opaque indices by."""
        return "e" + hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    def __add__(self, other: Expr | Number) -> Expr:
        return call("add", self, other)

    def __radd__(self, other: Number) -> Expr:
        return call("add", other, self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return call("sub", self, other)

    def __rsub__(self, other: Number) -> Expr:
        return call("sub", other, self)

    def __mul__(self, other: Expr | Number) -> Expr:
        return call("mul", self, other)

    def __rmul__(self, other: Number) -> Expr:
        return call("mul", other, self)

    def __truediv__(self, other: Expr | Number) -> Expr:
        return call("div", self, other)

    def __rtruediv__(self, other: Number) -> Expr:
        return call("div", other, self)

    def __neg__(self) -> Expr:
        return call("neg", self)

    def __lt__(self, other: Expr | Number) -> Expr:
        return call("lt", self, other)

    def __le__(self, other: Expr | Number) -> Expr:
        return call("le", self, other)

    def __gt__(self, other: Expr | Number) -> Expr:
        return call("gt", self, other)

    def __ge__(self, other: Expr | Number) -> Expr:
        return call("ge", self, other)

    def __and__(self, other: Expr | Number) -> Expr:
        return call("and", self, other)

    def __or__(self, other: Expr | Number) -> Expr:
        return call("or", self, other)

    def __xor__(self, other: Expr | Number) -> Expr:
        return call("xor", self, other)

    def __invert__(self) -> Expr:
        return call("not", self)


@dataclass(frozen=True, eq=False)
class Const(Expr):
    """A literal; f32 literals are finite, others are made of their bits."""

    value: Number
    type: str

    @property
    def _key(self) -> tuple[object, ...]:
        # repr tells 0.0 from -0.0 and makes NaN equal to itself.
        return repr(self.value), self.type


@dataclass(frozen=True, eq=False)
class Var(Expr):
    """A value with a name: a function's parameter or the accumulator of a Fold."""

    name: str
    type: str

    @property
    def _key(self) -> tuple[object, ...]:
        return self.name, self.type

    @cached_property
    def free(self) -> frozenset[str]:
        return frozenset([self.name])


@dataclass(frozen=True, eq=False)
class Index(Expr):
    """The i32 value of an index expression."""

    dim: Dim
    type: str = "i32"

    @property
    def _key(self) -> tuple[object, ...]:
        return self.dim, self.type

    @property
    def operands(self) -> tuple[Expr, ...]:
        return tuple(opaque(self.dim))

    @property
    def index_dims(self) -> tuple[Dim, ...]:
        return (self.dim,)


@dataclass(frozen=True, eq=False)
class Load(Expr):
    """Element `index` of `buffer` seen under `shape` (row-major); 0 where `guard` is false.

    An index that is out of bounds where the guard holds is a bug: targets may give anything.
    `ring` picks the copy of a double-buffered buffer: copy `ring mod 2`.
    """

    buffer: Buffer
    shape: Shape
    index: tuple[Dim, ...]
    guard: Expr | None
    ring: Dim | None
    type: str

    @property
    def _key(self) -> tuple[object, ...]:
        return self.buffer, self.shape, self.index, self.guard, self.ring

    @property
    def operands(self) -> tuple[Expr, ...]:
        found = [x for d in self.index_dims for x in opaque(d)]
        return (*found, *([self.guard] if self.guard is not None else []))

    @property
    def index_dims(self) -> tuple[Dim, ...]:
        return (self.offset,) if self.ring is None else (self.offset, self.ring)

    @cached_property
    def offset(self) -> Dim:
        """The flat index."""
        return flatten(self.index, self.shape)


@dataclass(frozen=True, eq=False)
class Call(Expr):
    """A primitive of `PRIMITIVES`, or a function of `webconv.backends.functions`."""

    function: str
    args: tuple[Expr, ...]
    type: str

    @property
    def _key(self) -> tuple[object, ...]:
        return self.function, self.args, self.type

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.args


@dataclass(frozen=True, eq=False)
class Fold(Expr):
    """A loop: `accumulator` starts as `init` and becomes `next` for each value of `symbol`.

    `associative` names the combination (sum, max, min, prod) where `next` is
    `accumulator (op) term`, which a target may then compute in parts. Folds over the same symbol
    become one loop.
    """

    symbol: Symbol
    extent: Dim
    accumulator: Var
    init: Expr
    next: Expr
    associative: str | None
    type: str

    @property
    def _key(self) -> tuple[object, ...]:
        return self.symbol, self.extent, self.accumulator, self.init, self.next

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.init, self.next

    @property
    def index_dims(self) -> tuple[Dim, ...]:
        return (self.extent,)

    @cached_property
    def free(self) -> frozenset[str]:
        inner = self.next.free - {self.symbol.name, self.accumulator.name}
        return inner | self.init.free | frozenset(dims.symbols(self.extent))


@dataclass(frozen=True)
class Opaque(Atom):
    """An index that is computed: the value of an i32 expression in [0, bound)."""

    expr: Expr
    bound: Dim
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.expr.text)

    def bounds(self) -> tuple[float, float]:
        return 0, max(0, dims.bounds(self.bound)[1] - 1)


def as_index(expr: Expr, bound: Dim) -> Dim:
    """An i32 value in [0, bound) as an index."""
    if isinstance(expr, Index):
        return expr.dim
    return dims.atom(Opaque(expr, bound))


def opaque(d: Dim) -> Iterator[Expr]:
    """The expressions inside of an index expression."""
    for a in dims.atoms(d):
        if isinstance(a, Opaque):
            yield a.expr


def flatten(index: tuple[Dim, ...], shape: Shape) -> Dim:
    """The row-major position of `index` in `shape`."""
    flat: Dim = 0
    for i, n in zip(index, shape, strict=True):
        flat = flat * n + i
    return flat


# Result type of each primitive: "T" is the type of the arguments.
PRIMITIVES: dict[str, str] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "neg", "abs", "min", "max", "fma"), "T"),
    **dict.fromkeys(("floor", "ceil", "trunc", "round", "sqrt"), "T"),
    **dict.fromkeys(("and", "or", "xor", "not", "shl", "shr", "rem"), "T"),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), "bool"),
    "select": "T",  # condition, value if true, value if false
    "f32": "f32",  # from an integer (rounding to nearest) or bool
    "i32": "i32",  # from f32 (an integral value inside of the range), an integer or bool
    "u32": "u32",
    "i64": "i64",
    "u64": "u64",
    "bits": "i32",  # the bits of an f32
    "from_bits": "f32",  # the f32 of these bits
}


def wrap(value: Expr | Number, type: str) -> Expr:
    """`value` as an expression: a number becomes a literal of `type`."""
    if isinstance(value, Expr):
        return value
    cast = {"f32": float, "bool": bool}.get(type, int)
    return Const(cast(value), type)


def call(function: str, *args: Expr | Number) -> Expr:
    """A primitive applied; numbers take the type of the other arguments; constants fold."""
    typed = next(a.type for a in reversed(args) if isinstance(a, Expr))
    exprs = tuple(wrap(a, typed) for a in args)
    result = PRIMITIVES[function]
    whole = Call(function, exprs, typed if result == "T" else result)
    return _simplify(whole) or whole


def _simplify(e: Call) -> Expr | None:
    """Identities that hold for every value, NaN and -0 included, and integer constants."""
    match e.function, e.args:
        case "select", (Const(value=c), a, b):
            return a if c else b
        case "select", (_, a, b) if a == b:
            return a
        case "and", (Const(value=bool(c)), x) | (x, Const(value=bool(c))):
            return x if c else Const(False, "bool")
        case "or", (Const(value=bool(c)), x) | (x, Const(value=bool(c))):
            return Const(True, "bool") if c else x
        case "mul", (Const(value=c), x) | (x, Const(value=c)) if c == 1:
            return x
        case "div", (x, Const(value=c)) if c == 1:
            return x
        case (("lt" | "le" | "gt" | "ge" | "eq" | "ne"), (Index(dim=a), Index(dim=b))):
            return _compare(e.function, a - b)
        case (("lt" | "le" | "gt" | "ge" | "eq" | "ne"), (Index(dim=a), Const(value=int(b)))):
            return _compare(e.function, a - b)
    return None


def _compare(function: str, difference: Dim) -> Expr | None:
    low, high = dims.bounds(difference)
    always = {
        "lt": high < 0,
        "le": high <= 0,
        "gt": low > 0,
        "ge": low >= 0,
        "eq": low == high == 0,
    }
    never = {"lt": low >= 0, "le": low > 0, "gt": high <= 0, "ge": high < 0}
    never["eq"] = low > 0 or high < 0
    if function == "ne":
        always["ne"], never["ne"] = never["eq"], always["eq"]
    if always[function]:
        return Const(True, "bool")
    return Const(False, "bool") if never[function] else None


def select(condition: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
    """`a` where the condition holds, else `b`; both are computed."""
    return call("select", condition, a, b)


def where(dim: Dim, bound: Dim) -> Expr:
    """The condition `0 <= dim < bound`."""
    return (Index(dim) >= Index(0)) & (Index(dim) < Index(bound))


def f32(x: float) -> Expr:
    """An f32 literal; one that is not finite is made from its bits."""
    import numpy as np

    value = np.float32(x)
    if np.isfinite(value):
        return Const(float(value), "f32")
    return Call("from_bits", (Const(int(value.view(np.int32)), "i32"),), "f32")


def rewrite(
    expr: Expr,
    replace: Callable[[Expr], Expr | None],
    on_dim: Callable[[Dim], Dim] | None = None,
    rename: Mapping[str, str] = MappingProxyType({}),
) -> Expr:
    """`expr` rebuilt bottom-up, or replaced where `replace` gives something.

    Dims go through `on_dim`; variables and accumulators in `rename` get another name.
    """
    memo: dict[Expr, Expr] = {}
    dim_memo: dict[Dim, Dim] = {}

    def dim(d: Dim) -> Dim:
        if d not in dim_memo:
            dim_memo[d] = dims.substitute(d if on_dim is None else on_dim(d), atom)
        return dim_memo[d]

    def atom(a: Atom) -> Dim | None:
        return as_index(go(a.expr), a.bound) if isinstance(a, Opaque) else None

    def go(e: Expr) -> Expr:
        if e not in memo:
            memo[e] = replace(e) or rebuild(e)
        return memo[e]

    def rebuild(e: Expr) -> Expr:
        match e:
            case Index(dim=d):
                return Index(dim(d))
            case Load():
                guard = None if e.guard is None else go(e.guard)
                ring = None if e.ring is None else dim(e.ring)
                index = tuple(dim(i) for i in e.index)
                return Load(e.buffer, e.shape, index, guard, ring, e.type)
            case Call():
                args = tuple(go(a) for a in e.args)
                new = Call(e.function, args, e.type)
                return _simplify(new) or new
            case Fold():
                name = e.accumulator.name
                return Fold(
                    e.symbol,
                    dim(e.extent),
                    Var(rename.get(name, name), e.type),
                    go(e.init),
                    go(e.next),
                    e.associative,
                    e.type,
                )
            case Var() if e.name in rename:
                return Var(rename[e.name], e.type)
        return e

    return go(expr)


def substitute(
    expr: Expr, values: Mapping[str, Dim], rename: Mapping[str, str] = MappingProxyType({})
) -> Expr:
    """`expr` with loop variables replaced by index expressions, and variables renamed."""
    changed = values.keys() | rename.keys()

    def keep(e: Expr) -> Expr | None:
        return None if e.free & changed else e

    return rewrite(expr, keep, lambda d: dims.bind(d, values), rename)


def walk(*exprs: Expr) -> Iterator[Expr]:
    """Every distinct expression in `exprs`, operands first."""
    seen: set[Expr] = set()
    stack = [(e, False) for e in reversed(exprs)]
    while stack:
        e, expanded = stack.pop()
        if e in seen:
            continue
        if expanded:
            seen.add(e)
            yield e
        else:
            stack.append((e, True))
            stack += [(x, False) for x in reversed(e.operands) if x not in seen]
