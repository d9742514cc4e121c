"""Prints the value of a statement: primitives by table, our functions by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from webconv.backends.functions import FUNCTIONS
from webconv.backends.linearise import Let, Literal, Operand
from webconv.backends.webgpu.text import (
    BUILTINS,
    INDENT,
    INFIX,
    MIXED,
    PRIMARY,
    PRODUCT,
    SHIFT,
    UNARY,
    VECTORS,
    Text,
    literal,
    type_name,
)
from webconv.backends.webgpu.uses import Uses


class ExpressionPrinter:
    """Expressions, and the lines they need before them.

    It collects the helpers and FUNCTIONS (name, lanes) that are called.
    """

    def __init__(self, size: Callable[[str], str] | None = None) -> None:
        self.size = size
        self.helpers: dict[str, None] = {}
        self.functions: dict[tuple[str, int], None] = {}
        self._uses = Uses()
        self._pending: dict[str, Text] = {}
        self._lines: list[str] = []
        self._depth = 0
        self._fresh = 0

    def _emit(self, line: str) -> None:
        self._lines.append(INDENT * self._depth + line)

    def _named(self, text: Text) -> str:
        """A name for a value that is read several times."""
        if text.code.isidentifier():
            return text.code
        self._fresh += 1
        name = f"t{self._fresh}"
        self._emit(f"let {name} = {text.code};")
        return name

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
            code = f"{type_name('u32', args[1].lanes)}({args[1].code})"
            by = replace(args[1], code=code, level=PRIMARY)
        value = self._splat(args[0], type, lanes)
        return f"{value.at(UNARY)} {symbol} {self._splat(by, 'u32', lanes).at(UNARY)}", SHIFT

    def _divide(self, function: str, args: list[Text], by: Operand, lanes: int) -> tuple[str, int]:
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
