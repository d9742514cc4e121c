"""Statements as WGSL: a table of primitives, and a printer that keeps expressions together.

A value that is used once, in the block that computes it, becomes part of its reader; all others are
`let`s. Every operand of a shader is a runtime value where WGSL would otherwise evaluate it while it
compiles: a constant expression that overflows, divides by zero or is not finite is an error there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from webconv.backends.functions import FUNCTIONS
from webconv.backends.linearise import (
    Access,
    For,
    Let,
    Literal,
    LoadTo,
    Operand,
    Ref,
    Statement,
    StoreFrom,
)
from webconv.backends.webgpu.threads import Share
from webconv.ir.errors import GraphError

# How tightly an expression binds. WGSL wants parentheses around most operands of operands.
PRIMARY, UNARY, PRODUCT, SUM, SHIFT, RELATION, BITS = range(7, 0, -1)
# Longer expressions are not put into others.
LONGEST = 70
VECTORS = {"f32": "vec4f", "i32": "vec4i", "u32": "vec4u", "bool": "vec4<bool>"}
INDENT = "  "

# (operator, its level, the level its left and its right operand need)
INFIX: dict[str, tuple[str, int, int, int]] = {
    "add": ("+", SUM, SUM, PRODUCT),
    "sub": ("-", SUM, SUM, PRODUCT),
    "mul": ("*", PRODUCT, PRODUCT, UNARY),
    "div": ("/", PRODUCT, PRODUCT, UNARY),
    "rem": ("%", PRODUCT, PRODUCT, UNARY),
    "and": ("&", BITS, UNARY, UNARY),
    "or": ("|", BITS, UNARY, UNARY),
    "xor": ("^", BITS, UNARY, UNARY),
    "eq": ("==", RELATION, SUM, SUM),
    "ne": ("!=", RELATION, SUM, SUM),
    "lt": ("<", RELATION, SUM, SUM),
    "le": ("<=", RELATION, SUM, SUM),
    "gt": (">", RELATION, SUM, SUM),
    "ge": (">=", RELATION, SUM, SUM),
}
# These take a scalar and a vector; others need both alike.
MIXED = ("add", "sub", "mul", "div", "rem")
BUILTINS = ("abs", "min", "max", "fma", "floor", "ceil", "trunc", "round", "sqrt")

# Written once per shader, where it is used.
HELPERS = {
    "floordiv": """\
// a / b rounded down.
fn floordiv(a: i32, b: i32) -> i32 {
  let q = a / b;
  return select(q, q - 1, a != q * b && (a < 0) != (b < 0));
}""",
    **{
        f"runtime_{t}": f"// x, unknown to the compiler.\nfn runtime_{t}(x: {t}) -> {t} {{\n"
        "  return x;\n}"
        for t in ("f32", "i32", "u32")
    },
}


@dataclass(frozen=True)
class Text:
    """An expression in print; `reads` tells whether it loads, `names` what it refers to."""

    code: str
    level: int
    lanes: int = 1
    reads: bool = False
    names: frozenset[str] = frozenset()

    def at(self, level: int) -> str:
        """The code where `level` is needed."""
        return self.code if self.level >= level else f"({self.code})"


def type_name(type: str, lanes: int) -> str:
    """A scalar's or a vector's type."""
    return VECTORS[type] if lanes > 1 else type


def literal(value: int | float | bool, type: str) -> Text:
    """A number; f32s that are not normal are made from their bits at run time."""
    if type == "bool":
        return Text(str(bool(value)).lower(), PRIMARY)
    if type == "f32":
        return _float(np.float32(value))
    if type == "u32":
        return Text(f"{int(value) & 0xFFFFFFFF}u", PRIMARY)
    wrapped = (int(value) + 2**31) % 2**32 - 2**31
    return Text(str(wrapped), PRIMARY if wrapped >= 0 else UNARY)


def _float(x: np.float32) -> Text:
    if not np.isfinite(x):
        raise GraphError(f"{x} is no literal of a shader: make it from its bits")
    if x != 0 and abs(x) < np.finfo(np.float32).tiny:
        return Text(f"bitcast<f32>(runtime_i32({x.view(np.int32)}))", PRIMARY)
    if abs(x) == np.finfo(np.float32).max:
        # Shorter forms lie beyond the largest f32, which is an error.
        return Text(repr(float(x)), PRIMARY if x >= 0 else UNARY)
    code = np.format_float_positional(x, unique=True, trim="0")
    if len(code) > 14:
        code = np.format_float_scientific(x, unique=True, trim="-", exp_digits=1)
    if not any(c in code for c in ".e"):
        code += ".0"
    return Text(code, PRIMARY if x >= 0 and not np.signbit(x) else UNARY)


@dataclass(frozen=True)
class Slot:
    """How a shader sees a buffer: part of a binding that holds `element`s, in fours if `vector`.

    `load` and `store` are the buffer's compute type where that is not the element type.
    """

    name: str
    element: str
    vector: bool = False


@dataclass
class Uses:
    """Where the values of a function are used."""

    count: Counter[str] = field(default_factory=Counter)
    home: dict[str, int] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    _blocks: int = 0

    @classmethod
    def of(cls, statements: Sequence[Statement], results: Iterable[Operand] = ()) -> Uses:
        """Walks a function's body; `results` are read at its end."""
        uses = cls()
        uses._block(statements, results)
        return uses

    def _block(self, statements: Sequence[Statement], results: Iterable[Operand]) -> None:
        self._blocks += 1
        block = self._blocks
        for s in statements:
            match s:
                case Let(target=target, args=args):
                    self._read(args, block)
                    self.home[target.name] = block
                case LoadTo(target=target, access=access):
                    self._read(operands(access), block)
                    self.home[target.name] = block
                case StoreFrom(access=access, value=value):
                    self._read((*operands(access), value), block)
                case For():
                    self._read((s.start, s.stop, *(init for _, init, _ in s.carries)), block)
                    self._block(s.body, [after for _, _, after in s.carries])
        self._read(results, block)

    def _read(self, args: Iterable[Operand | None], block: int) -> None:
        for a in args:
            if isinstance(a, Ref):
                self.count[a.name] += 1
                if self.home.get(a.name) != block:
                    self.strays.add(a.name)

    def once(self, name: str) -> bool:
        """True if a value is read once, in the block that computes it."""
        return self.count[name] == 1 and name not in self.strays


def operands(access: Access) -> tuple[Operand, ...]:
    """What an access reads."""
    return tuple(o for o in (access.address, access.guard, access.ring) if o is not None)


class Printer:
    """Prints function bodies; collects the helpers and FUNCTIONS (name, lanes) that they call."""

    def __init__(
        self,
        slots: Callable[[Access], Slot] | None = None,
        size: Callable[[str], str] | None = None,
    ) -> None:
        self.slots = slots
        self.size = size
        self.helpers: dict[str, None] = {}
        self.functions: dict[tuple[str, int], None] = {}
        self._uses = Uses()
        self._pending: dict[str, Text] = {}
        self._lines: list[str] = []
        self._depth = 0
        self._fresh = 0

    def body(self, statements: Sequence[Statement], result: Operand | None = None) -> list[str]:
        """The lines of a function's body, which returns `result`."""
        results = () if result is None else (result,)
        self._uses = Uses.of(statements, results)
        self._pending, self._lines, self._depth, self._fresh = {}, [], 1, 0
        for s in statements:
            self._statement(s)
        if result is not None:
            self._emit(f"return {self._operand(result).code};")
        return self._lines

    # -- statements ------------------------------------------------------------------------------

    def _emit(self, line: str) -> None:
        self._lines.append(INDENT * self._depth + line)

    def _statement(self, s: Statement) -> None:
        match s:
            case Let(target=target):
                self._value(target, self._let(s))
            case LoadTo(target=target, access=access):
                self._value(target, self._load(target, access))
            case StoreFrom(access=access, value=value):
                self._store(access, value)
            case For():
                self._for(s)

    def _value(self, target: Ref, text: Text) -> None:
        if self._uses.count[target.name] == 0:
            return
        if self._uses.once(target.name) and len(text.code) <= LONGEST:
            self._pending[target.name] = text
        else:
            self._emit(f"let {target.name} = {text.code};")

    def _flush(self, which: Callable[[Text], bool]) -> None:
        """Writes pending values down."""
        for name in [n for n, t in self._pending.items() if which(t)]:
            self._emit(f"let {name} = {self._pending.pop(name).code};")

    def _named(self, text: Text) -> str:
        """A name for a value that is read several times."""
        if text.code.isidentifier():
            return text.code
        self._fresh += 1
        name = f"t{self._fresh}"
        self._emit(f"let {name} = {text.code};")
        return name

    def _for(self, s: For) -> None:
        for accumulator, init, _ in s.carries:
            start = self._splat(self._operand(init), accumulator.type, accumulator.lanes)
            self._emit(f"var {accumulator.name} = {start.code};")
        start, stop = self._operand(s.start).code, self._operand(s.stop).at(SUM)
        step = "stride" if isinstance(s, Share) else str(s.step)
        self._flush(lambda text: text.reads and _stores(s.body))
        i = s.counter.name
        advance = f"{i}++" if step == "1" else f"{i} += {step}"
        self._emit(f"for (var {i} = {start}; {i} < {stop}; {advance}) {{")
        outer, self._pending = self._pending, {}
        self._depth += 1
        for inner in s.body:
            self._statement(inner)
        self._advance(s)
        self._depth -= 1
        self._pending = outer
        self._emit("}")

    def _advance(self, s: For) -> None:
        """The accumulators' next values, all computed from the old ones."""
        names = {a.name for a, _, _ in s.carries}
        nexts = [(a, self._operand(after)) for a, _, after in s.carries]
        crossed = any(t.names & names - {a.name} for a, t in nexts)
        if crossed:
            nexts = [(a, replace(t, code=self._named(t), level=PRIMARY)) for a, t in nexts]
        for a, t in nexts:
            if t.code != a.name:
                self._emit(f"{a.name} = {self._splat(t, a.type, a.lanes).code};")

    # -- expressions -----------------------------------------------------------------------------

    def _operand(self, o: Operand) -> Text:
        if isinstance(o, Literal):
            text = literal(o.value, o.type)
            if "runtime_i32" in text.code:
                self.helpers["runtime_i32"] = None
            return text
        if o.name in self._pending:
            return self._pending.pop(o.name)
        return Text(o.name, PRIMARY, o.lanes, names=frozenset([o.name]))

    def _splat(self, t: Text, type: str, lanes: int) -> Text:
        if t.lanes >= lanes:
            return t
        return replace(t, code=f"{VECTORS[type]}({t.code})", level=PRIMARY, lanes=lanes)

    def _let(self, s: Let) -> Text:
        function = s.function
        if function == "iota":
            return Text("vec4i(0, 1, 2, 3)", PRIMARY, 4)
        if function == "size":
            assert self.size is not None
            return Text(self.size(s.args[0].type), PRIMARY)
        args = [self._operand(a) for a in s.args]
        if all(isinstance(a, Literal) for a in s.args) and function not in FUNCTIONS:
            args[0] = self._runtime(args[0], s.args[0].type)
        types = [a.type for a in s.args]
        code, level = self._apply(function, args, types, s)
        lanes = max(s.target.lanes, 1)
        return Text(
            code,
            level,
            lanes,
            any(a.reads for a in args),
            frozenset().union(*(a.names for a in args)),
        )

    def _runtime(self, t: Text, type: str) -> Text:
        if type == "bool":
            return t
        self.helpers[f"runtime_{type}"] = None
        return Text(f"runtime_{type}({t.code})", PRIMARY)

    def _apply(self, function: str, args: list[Text], types: list[str], s: Let) -> tuple[str, int]:
        """The code of a function's call, and how tightly it binds."""
        type, lanes = types[-1], max(a.lanes for a in args)
        if function in FUNCTIONS:
            self.functions[function, lanes] = None
            parameters = FUNCTIONS[function].parameters
            given = [self._splat(a, p.type, lanes) for a, p in zip(args, parameters, strict=True)]
            return f"{function}_{lanes}({', '.join(a.code for a in given)})", PRIMARY
        if function in ("f32", "i32", "u32"):
            return f"{type_name(function, lanes)}({args[0].code})", PRIMARY
        if function in ("bits", "from_bits"):
            result = type_name("i32" if function == "bits" else "f32", lanes)
            return f"bitcast<{result}>({args[0].code})", PRIMARY
        if function in ("udiv", "floordiv"):
            return self._divide(function, args, s.args[1], lanes)
        if function in ("shl", "shr"):
            return self._shift("<<" if function == "shl" else ">>", args, s.args[1], type, lanes)
        if function in ("div", "rem") and isinstance(s.args[1], Literal) and not s.args[1].value:
            args[1] = self._runtime(args[1], type)
        if function == "select":
            return self._select(args, type, lanes)
        if function == "neg":
            return f"-{args[0].at(PRIMARY)}", UNARY
        if function == "not":
            return f"{'!' if type == 'bool' else '~'}{args[0].at(PRIMARY)}", UNARY
        if function in BUILTINS:
            given = [self._splat(a, type, lanes) for a in args]
            return f"{function}({', '.join(a.code for a in given)})", PRIMARY
        return self._infix(function, args, type, lanes)

    def _infix(self, function: str, args: list[Text], type: str, lanes: int) -> tuple[str, int]:
        if function == "xor" and type == "bool":
            function = "ne"
        symbol, level, left, right = INFIX[function]
        a, b = args
        if function not in MIXED:
            a, b = (self._splat(x, type, lanes) for x in args)
        if function == "add" and b.code.startswith("-") and b.level == UNARY:
            return f"{a.at(left)} - {b.code[1:]}", level
        return f"{a.at(left)} {symbol} {b.at(right)}", level

    def _select(self, args: list[Text], type: str, lanes: int) -> tuple[str, int]:
        condition, chosen, other = args
        if condition.lanes == 1:
            lanes = max(chosen.lanes, other.lanes)
        yes, no = (self._splat(x, type, lanes).code for x in (chosen, other))
        return f"select({no}, {yes}, {condition.code})", PRIMARY

    def _shift(
        self, symbol: str, args: list[Text], amount: Operand, type: str, lanes: int
    ) -> tuple[str, int]:
        if isinstance(amount, Literal):
            by = Text(f"{int(amount.value) & 31}u", PRIMARY)
        elif type == "u32":
            by = args[1]
        else:
            by = replace(args[1], code=f"{type_name('u32', args[1].lanes)}({args[1].code})", level=PRIMARY)
        value = self._splat(args[0], type, lanes)
        return f"{value.at(UNARY)} {symbol} {self._splat(by, 'u32', lanes).at(UNARY)}", SHIFT

    def _divide(
        self, function: str, args: list[Text], by: Operand, lanes: int
    ) -> tuple[str, int]:
        """Index division, rounding down: by a power of two it is a shift."""
        a, b = args
        if isinstance(by, Literal) and by.value > 0 and int(by.value) & (int(by.value) - 1) == 0:
            amount = Text(f"{int(by.value).bit_length() - 1}u", PRIMARY)
            return f"{a.at(UNARY)} >> {self._splat(amount, 'u32', a.lanes).code}", SHIFT
        if function == "udiv":
            return f"{a.at(PRODUCT)} / {b.at(UNARY)}", PRODUCT
        self.helpers["floordiv"] = None
        if lanes == 1:
            return f"floordiv({a.code}, {b.code})", PRIMARY
        left, right = (self._lanes(x) for x in (a, b))
        calls = (f"floordiv({x}, {y})" for x, y in zip(left, right, strict=True))
        return f"vec4i({', '.join(calls)})", PRIMARY

    def _lanes(self, t: Text) -> list[str]:
        """The four lanes of a value."""
        if t.lanes == 1:
            return [t.code] * 4
        name = self._named(t)
        return [f"{name}.{c}" for c in "xyzw"]

    # -- memory ----------------------------------------------------------------------------------

    def _slot(self, access: Access) -> Slot:
        assert self.slots is not None
        return self.slots(access)

    def _index(self, access: Access, lane: int | None = None) -> Text:
        """The element that an access, or one of its lanes, reaches."""
        base = self._operand(access.address)
        if lane is not None:
            if access.kind == "each":
                base = Text(f"{base.code}.{'xyzw'[lane]}", PRIMARY)
                lane = 0
        offset = access.constant + (lane or 0)
        if base.code.isdecimal():
            return Text(str(int(base.code) + offset), PRIMARY)
        if not offset:
            return base
        return replace(base, code=f"{base.at(SUM)} + {offset}", level=SUM)

    def _element(self, slot: Slot, index: Text) -> str:
        """One element; of a binding in fours, a component."""
        if not slot.vector:
            return f"{slot.name}[{index.code}]"
        if index.code.isdecimal():
            return f"{slot.name}[{int(index.code) // 4}].{'xyzw'[int(index.code) % 4]}"
        name = self._named(index)
        return f"{slot.name}[{name} >> 2u][{name} & 3]"

    def _load(self, target: Ref, access: Access) -> Text:
        slot = self._slot(access)
        names = self._access_names(access)
        if access.kind == "vector":
            loaded = Text(f"{slot.name}[{self._index(access).code}]", PRIMARY, 4)
        elif access.kind == "uniform":
            loaded = Text(self._element(slot, self._index(access)), PRIMARY, 1)
        else:
            self._name_address(access)
            elements = [self._element(slot, self._index(access, k)) for k in range(4)]
            loaded = Text(f"{type_name(slot.element, 4)}({', '.join(elements)})", PRIMARY, 4)
        value = self._loaded(loaded, slot.element, target.type)
        if access.guard is not None:
            value = self._guarded(value, self._operand(access.guard), target)
        return replace(value, reads=True, names=names)

    def _access_names(self, access: Access) -> frozenset[str]:
        return frozenset().union(
            *(
                self._pending[o.name].names if o.name in self._pending else {o.name}
                for o in operands(access)
                if isinstance(o, Ref)
            )
        )

    def _name_address(self, access: Access) -> None:
        """An address that is read four times is written down."""
        if isinstance(access.address, Ref) and access.address.name in self._pending:
            name = access.address.name
            self._emit(f"let {name} = {self._pending.pop(name).code};")

    def _loaded(self, t: Text, element: str, type: str) -> Text:
        """An element as a value of the compute type."""
        if type == "bool":
            zero = self._splat(Text("0" if element == "i32" else "0u", PRIMARY), element, t.lanes)
            if element == "f32":
                t = replace(t, code=f"bitcast<{type_name('i32', t.lanes)}>({t.code})")
            return replace(t, code=f"{t.code} != {zero.code}", level=RELATION)
        if type != element:
            return replace(t, code=f"bitcast<{type_name(type, t.lanes)}>({t.code})")
        return t

    def _guarded(self, value: Text, guard: Text, target: Ref) -> Text:
        lanes = max(value.lanes, guard.lanes)
        value = self._splat(value, target.type, lanes)
        if target.type == "bool":
            guard = self._splat(guard, "bool", lanes)
            return Text(f"{value.at(UNARY)} & {guard.at(UNARY)}", BITS, lanes)
        zero = self._splat(literal(0, target.type), target.type, lanes)
        return Text(f"select({zero.code}, {value.code}, {guard.code})", PRIMARY, lanes)

    def _stored(self, t: Text, type: str, slot: Slot, lanes: int) -> Text:
        """A value as it lies in memory."""
        if type == "bool":
            return Text(f"{type_name(slot.element, lanes)}({t.code})", PRIMARY, t.lanes)
        if type != slot.element:
            return Text(f"bitcast<{type_name(slot.element, t.lanes)}>({t.code})", PRIMARY, t.lanes)
        return t

    def _store(self, access: Access, value: Operand) -> None:
        slot = self._slot(access)
        type = "i32" if value.type == "i64" else value.type
        stored = self._stored(self._operand(value), type, slot, value.lanes)
        lanes = 1 if access.kind == "uniform" else 4
        stored = self._splat(stored, slot.element, lanes)
        guard = None if access.guard is None else self._operand(access.guard)
        if access.kind in ("unit", "each"):
            self._store_lanes(access, slot, stored, guard)
            return
        target = f"{slot.name}[{self._index(access).code}]"
        self._flush(lambda text: text.reads)
        if guard is not None and guard.lanes > 1:
            for k, c in enumerate("xyzw"):
                assert k >= 0
                raise GraphError(f"a guard in lanes {c} of an aligned store")
        self._guarded_line(f"{target} = {stored.code};", None if guard is None else guard.code)

    def _store_lanes(
        self, access: Access, slot: Slot, stored: Text, guard: Text | None
    ) -> None:
        self._name_address(access)
        value = self._named(stored)
        condition = None if guard is None else self._named(guard)
        self._flush(lambda text: text.reads)
        for k, c in enumerate("xyzw"):
            target = self._element(slot, self._index(access, k))
            lane = condition if guard is None or guard.lanes == 1 else f"{condition}.{c}"
            self._guarded_line(f"{target} = {value}.{c};", lane)

    def _guarded_line(self, line: str, guard: str | None) -> None:
        self._emit(line if guard is None else f"if ({guard}) {{ {line} }}")


def _stores(statements: Sequence[Statement]) -> bool:
    return any(
        isinstance(s, StoreFrom) or (isinstance(s, For) and _stores(s.body)) for s in statements
    )
