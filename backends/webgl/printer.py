"""Prints statements as GLSL, and keeps expressions together.

A value that is used once, in the block that computes it, becomes part of its reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from webconv.backends.functions import FUNCTIONS
from webconv.backends.linearise import (
    Emitter,
    For,
    Layout,
    Let,
    Literal,
    LoadTo,
    Operand,
    Ref,
    Statement,
    StoreFrom,
)
from webconv.backends.webgl.glsl import (
    BUILTINS,
    CHOICE,
    COMPARISONS,
    INDENT,
    INFIX,
    LOGIC,
    LOGICAL,
    LONGEST,
    PRIMARY,
    PRODUCT,
    RELATION,
    SHIFT,
    SUM,
    UNARY,
    VECTORS,
    Text,
    literal,
    type_name,
)
from webconv.ir.errors import GraphError


class Uses:
    """How often the values of a function are read, and which are read in another block."""

    def __init__(self, statements: Sequence[Statement], results: Iterable[Operand]) -> None:
        self.count: Counter[str] = Counter()
        self.strays: set[str] = set()
        self._home: dict[str, int] = {}
        self._blocks = 0
        self._block(statements, results)

    def once(self, name: str) -> bool:
        """True if a value is read once, in the block that computes it."""
        return self.count[name] == 1 and name not in self.strays

    def _block(self, statements: Sequence[Statement], results: Iterable[Operand]) -> None:
        self._blocks += 1
        block = self._blocks
        for s in statements:
            match s:
                case Let(target=target, args=args):
                    self._read(args, block)
                    self._home[target.name] = block
                case LoadTo(target=target, access=access):
                    self._read(_operands(access), block)
                    self._home[target.name] = block
                case For():
                    self._read((s.start, s.stop, *(init for _, init, _ in s.carries)), block)
                    self._block(s.body, [after for _, _, after in s.carries])
        self._read(results, block)

    def _read(self, args: Iterable[Operand | None], block: int) -> None:
        for a in args:
            if isinstance(a, Ref):
                name = base_name(a)
                self.count[name] += 1
                if self._home.get(name) != block or name != a.name:
                    self.strays.add(name)


def base_name(ref: Ref) -> str:
    """The value of which `ref` is a component, or itself."""
    return ref.name.partition(".")[0]


def _operands(access: object) -> tuple[Operand, ...]:
    found = (getattr(access, name, None) for name in ("address", "guard", "ring", "origin"))
    return tuple(o for o in found if o is not None)


class Printer:
    """Prints function bodies; collects the HELPERS and FUNCTIONS (name, lanes) that they call."""

    def __init__(
        self,
        load: Callable[[Printer, Ref, LoadTo], Text] | None = None,
        size: Callable[[str], str] | None = None,
    ) -> None:
        self.load = load
        self.size = size
        self.helpers: dict[str, None] = {}
        self.functions: dict[tuple[str, int], None] = {}
        self._pending: dict[str, Text] = {}
        self._lines: list[str] = []
        self._depth = 1
        self._fresh = 0

    def body(
        self, statements: Sequence[Statement], results: Sequence[Operand]
    ) -> tuple[list[str], list[Text]]:
        """The lines of a function's body, and the expressions of its results."""
        self._uses = Uses(statements, results)
        self._pending, self._lines, self._depth, self._fresh = {}, [], 1, 0
        for s in statements:
            self._statement(s)
        texts = [self.operand(r) for r in results]
        return self._lines, texts

    # -- statements ------------------------------------------------------------------------------

    def _emit(self, line: str) -> None:
        self._lines.append(INDENT * self._depth + line)

    def _statement(self, s: Statement) -> None:
        match s:
            case Let(function="leave", args=(texel, end)):
                self._emit(f"if ({self.operand(texel).code} >= {self.operand(end).code}) return;")
            case Let(target=target):
                self._value(target, self._let(s))
            case LoadTo(target=target):
                assert self.load is not None
                self._value(target, self.load(self, target, s))
            case For():
                self._for(s)
            case StoreFrom():
                raise GraphError("a fragment stores only its results")

    def _value(self, target: Ref, text: Text) -> None:
        if self._uses.count[target.name] == 0:
            return
        if self._uses.once(target.name) and len(text.code) <= LONGEST:
            self._pending[target.name] = text
        else:
            self._declare(target.name, text)

    def _declare(self, name: str, text: Text) -> None:
        self._emit(f"{type_name(text.type, text.lanes)} {name} = {text.code};")

    def named(self, text: Text) -> str:
        """A name for an expression that is read several times."""
        if text.code.isidentifier():
            return text.code
        self._fresh += 1
        name = f"t{self._fresh}"
        self._declare(name, text)
        return name

    def _for(self, s: For) -> None:
        for accumulator, init, _ in s.carries:
            self._declare(accumulator.name, self.splat(self.operand(init), accumulator.lanes))
        i, start, stop = s.counter.name, self.operand(s.start).code, self.operand(s.stop).at(SHIFT)
        advance = f"{i}++" if s.step == 1 else f"{i} += {s.step}"
        self._emit(f"for (int {i} = {start}; {i} < {stop}; {advance}) {{")
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
        accumulators = {a.name for a, _, _ in s.carries}
        nexts = [(a, self.operand(after)) for a, _, after in s.carries]
        if any(t.names & accumulators - {a.name} for a, t in nexts):
            nexts = [(a, replace(t, code=self.named(t), level=PRIMARY)) for a, t in nexts]
        for a, t in nexts:
            if t.code != a.name:
                self._emit(f"{a.name} = {self.splat(t, a.lanes).code};")

    # -- expressions -----------------------------------------------------------------------------

    def operand(self, o: Operand) -> Text:
        """An operand in print; a pending value is used up."""
        if isinstance(o, Literal):
            return literal(o.value, o.type)
        if o.name in self._pending:
            return self._pending.pop(o.name)
        return Text(o.name, PRIMARY, o.type, o.lanes, frozenset([base_name(o)]))

    def splat(self, t: Text, lanes: int) -> Text:
        """A scalar in four lanes, if four are needed."""
        if t.lanes >= lanes:
            return t
        return replace(t, code=f"{VECTORS[t.type]}({t.code})", level=PRIMARY, lanes=lanes)

    def _let(self, s: Let) -> Text:
        if s.function == "iota":
            return Text("ivec4(0, 1, 2, 3)", PRIMARY, "i32", 4)
        if s.function == "texel":
            origin = "".join(f" - {self.operand(a).at(PRODUCT)}" for a in s.args)
            return Text(f"texel(ivec2(gl_FragCoord.xy){origin})", PRIMARY, "i32")
        if s.function == "size":
            assert self.size is not None
            return Text(self.size(s.args[0].type), PRIMARY, "i32")
        args = [self.operand(a) for a in s.args]
        lanes = max(a.lanes for a in args)
        if s.function == "from_bits" and isinstance(s.args[0], Literal):
            # A compiler must not see that it is no number.
            args[0] = replace(args[0], code=f"{args[0].at(SUM)} + zero", level=SUM)
        code, level = self._apply(s.function, args, lanes)
        names = frozenset[str]().union(*(a.names for a in args))
        return Text(code, level, s.target.type, lanes, names)

    def _apply(self, function: str, args: list[Text], lanes: int) -> tuple[str, int]:
        """The code of a function's call, and how tightly it binds."""
        type = args[-1].type
        if function in FUNCTIONS:
            self.functions[function, lanes] = None
            return self._call(f"{function}_", args, lanes)
        if function in ("f32", "i32", "u32"):
            return f"{type_name(function, lanes)}({args[0].code})", PRIMARY
        if function == "fma":
            a, b, c = args
            return f"{a.at(PRODUCT)} * {b.at(UNARY)} + {c.at(PRODUCT)}", SUM
        if function == "rem":
            return self._rem(args)
        if function == "select":
            return self._select(args, lanes)
        if function == "neg":
            return f"-{args[0].at(PRIMARY)}", UNARY
        if function == "not":
            return self._not(args[0])
        if function in COMPARISONS:
            return self._compare(function, args, lanes)
        if type == "bool":
            return self._logical(function, args, lanes)
        if function in BUILTINS:
            return self._call(BUILTINS[function], args, lanes)
        if function == "at_row":
            return f"ivec2({args[0].code}, 0)", PRIMARY
        if function == "floordiv":
            self.helpers[function] = None
            return self._call(function, args, lanes)
        return self._infix(function, args, lanes)

    def _call(self, name: str, args: list[Text], lanes: int) -> tuple[str, int]:
        return f"{name}({', '.join(self.splat(a, lanes).code for a in args)})", PRIMARY

    def _infix(self, function: str, args: list[Text], lanes: int) -> tuple[str, int]:
        symbol, level = INFIX[function]
        a, b = args
        if symbol in ("<<", ">>"):
            a = self.splat(a, lanes)
        if function == "add" and b.code.startswith("-") and b.level == UNARY:
            return f"{a.at(SUM)} - {b.code[1:]}", level
        if level <= SHIFT:
            return f"{a.at(UNARY)} {symbol} {b.at(UNARY)}", level
        return f"{a.at(level)} {symbol} {b.at(level + 1)}", level

    def _rem(self, args: list[Text]) -> tuple[str, int]:
        a, b = (replace(t, code=self.named(t), level=PRIMARY) for t in args)
        return f"{a.code} - {a.code} / {b.code} * {b.code}", SUM

    def _compare(self, function: str, args: list[Text], lanes: int) -> tuple[str, int]:
        symbol, name = COMPARISONS[function]
        if lanes > 1:
            return self._call(name, args, lanes)
        a, b = args
        return f"{a.at(SHIFT)} {symbol} {b.at(SHIFT)}", RELATION

    def _logical(self, function: str, args: list[Text], lanes: int) -> tuple[str, int]:
        if function == "xor":
            return self._compare("ne", args, lanes)
        symbol, name = LOGICAL[function]
        if lanes > 1:
            self.helpers[name] = None
            return self._call(name, args, lanes)
        a, b = args
        return f"{a.at(RELATION)} {symbol} {b.at(RELATION)}", LOGIC

    def _not(self, a: Text) -> tuple[str, int]:
        if a.type != "bool":
            return f"~{a.at(PRIMARY)}", UNARY
        return (f"not({a.code})", PRIMARY) if a.lanes > 1 else (f"!{a.at(PRIMARY)}", UNARY)

    def _select(self, args: list[Text], lanes: int) -> tuple[str, int]:
        condition = args[0]
        if condition.lanes == 1:
            yes, no = (self.splat(x, lanes) for x in args[1:])
            return f"{condition.at(LOGIC)} ? {yes.at(LOGIC)} : {no.at(LOGIC)}", CHOICE
        yes, no = (self.splat(x, 4) for x in args[1:])
        if yes.type == "f32":
            return f"mix({no.code}, {yes.code}, {condition.code})", PRIMARY
        self.helpers["pick"] = None
        return f"pick({condition.code}, {yes.code}, {no.code})", PRIMARY


def function_texts(wanted: Iterable[tuple[str, int]]) -> tuple[list[str], Printer]:
    """FUNCTIONS as GLSL, those that they call before them; the printer tells what they need."""
    printer = Printer()
    done: dict[tuple[str, int], str] = {}

    def write(name: str, lanes: int) -> None:
        if (name, lanes) in done:
            return
        done[name, lanes] = ""
        own = Printer()
        text = _function(own, name, lanes)
        for callee in own.functions:
            write(*callee)
        printer.helpers |= own.helpers
        del done[name, lanes]
        done[name, lanes] = text

    for name, lanes in wanted:
        write(name, lanes)
    return list(done.values()), printer


def _function(printer: Printer, name: str, lanes: int) -> str:
    function = FUNCTIONS[name]
    em = Emitter(Layout())
    for p in function.parameters:
        ref = Ref(p.name, p.type, lanes)
        em.depths[ref] = 0
        em.scopes[0].names[p.name] = ref
    result = em.expr(function.body)
    lines, (value,) = printer.body(em.scopes[0].statements, [result])
    value = printer.splat(value, lanes)
    parameters = ", ".join(f"{type_name(p.type, lanes)} {p.name}" for p in function.parameters)
    head = f"{type_name(function.body.type, lanes)} {name}_({parameters}) {{"
    summary = function.doc.split(":")[0].rstrip(".")
    doc = [f"// {summary}."] if summary else []
    return "\n".join([*doc, head, *lines, f"{INDENT}return {value.code};", "}"])
