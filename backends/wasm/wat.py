"""Statements to WebAssembly text, scalar and SIMD.

A value used once is folded into its use; others get a local. A scalar that only vectors use is
splatted once, where it is computed (a load becomes `v128.load32_splat`). Bools are 0 or 1 as
scalars and all-ones masks as lanes; memory holds 0 or 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

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

INDENT = "  "
WASM = {"f32": "f32", "i32": "i32", "u32": "i32", "bool": "i32", "i64": "i64", "u64": "i64"}
SHAPES = {"f32": "f32x4", "i32": "i32x4", "u32": "i32x4", "bool": "i32x4"}

Args = tuple[str, ...]
Row = Callable[..., str]


def _op(name: str) -> Row:
    return lambda *args: f"({name} {' '.join(args)})"


def _int_min_max(compare: str) -> Row:
    return lambda a, b: f"(select {a} {b} ({compare} {a} {b}))"


def _arithmetic(t: str) -> dict[str, Row]:
    return {name: _op(f"{t}.{name}") for name in ("add", "sub", "mul")}


# Scalar instructions by type of the first argument (for select: of the second).
SCALAR: dict[str, dict[str, Row]] = {
    "f32": {
        **_arithmetic("f32"),
        **{
            n: _op(f"f32.{n}")
            for n in (
                "div",
                "neg",
                "abs",
                "min",
                "max",
                "sqrt",
                "floor",
                "ceil",
                "trunc",
                "eq",
                "ne",
                "lt",
                "le",
                "gt",
                "ge",
            )
        },
        "round": _op("f32.nearest"),
        "fma": lambda a, b, c: f"(f32.add (f32.mul {a} {b}) {c})",
        "i32": _op("i32.trunc_sat_f32_s"),
        "u32": _op("i32.trunc_sat_f32_u"),
        "i64": _op("i64.trunc_sat_f32_s"),
        "u64": _op("i64.trunc_sat_f32_u"),
        "bits": _op("i32.reinterpret_f32"),
    },
    "i32": {
        **_arithmetic("i32"),
        **{n: _op(f"i32.{n}") for n in ("and", "or", "xor", "shl", "eq", "ne")},
        **{n: _op(f"i32.{n}_s") for n in ("lt", "le", "gt", "ge")},
        "div": _op("i32.div_s"),
        "rem": _op("i32.rem_s"),
        "shr": _op("i32.shr_s"),
        "udiv": _op("i32.div_u"),
        "floordiv": lambda a, b: f"(call $floordiv {a} {b})",
        "neg": lambda a: f"(i32.sub (i32.const 0) {a})",
        "not": lambda a: f"(i32.xor {a} (i32.const -1))",
        "abs": lambda a: f"(select {a} (i32.sub (i32.const 0) {a}) (i32.ge_s {a} (i32.const 0)))",
        "min": _int_min_max("i32.lt_s"),
        "max": _int_min_max("i32.gt_s"),
        "f32": _op("f32.convert_i32_s"),
        "i64": _op("i64.extend_i32_s"),
        "u64": _op("i64.extend_i32_s"),
        "u32": lambda a: a,
        "i32": lambda a: a,
        "from_bits": _op("f32.reinterpret_i32"),
    },
    "u32": {
        **_arithmetic("i32"),
        **{n: _op(f"i32.{n}") for n in ("and", "or", "xor", "shl", "eq", "ne")},
        **{n: _op(f"i32.{n}_u") for n in ("lt", "le", "gt", "ge")},
        "div": _op("i32.div_u"),
        "rem": _op("i32.rem_u"),
        "shr": _op("i32.shr_u"),
        "neg": lambda a: f"(i32.sub (i32.const 0) {a})",
        "not": lambda a: f"(i32.xor {a} (i32.const -1))",
        "abs": lambda a: a,
        "min": _int_min_max("i32.lt_u"),
        "max": _int_min_max("i32.gt_u"),
        "f32": _op("f32.convert_i32_u"),
        "i64": _op("i64.extend_i32_u"),
        "u64": _op("i64.extend_i32_u"),
        "u32": lambda a: a,
        "i32": lambda a: a,
        "from_bits": _op("f32.reinterpret_i32"),
    },
    "i64": {
        **_arithmetic("i64"),
        **{n: _op(f"i64.{n}") for n in ("and", "or", "xor", "shl", "eq", "ne")},
        **{n: _op(f"i64.{n}_s") for n in ("lt", "le", "gt", "ge")},
        "div": _op("i64.div_s"),
        "rem": _op("i64.rem_s"),
        "shr": _op("i64.shr_s"),
        "neg": lambda a: f"(i64.sub (i64.const 0) {a})",
        "not": lambda a: f"(i64.xor {a} (i64.const -1))",
        "abs": lambda a: f"(select {a} (i64.sub (i64.const 0) {a}) (i64.ge_s {a} (i64.const 0)))",
        "min": _int_min_max("i64.lt_s"),
        "max": _int_min_max("i64.gt_s"),
        "f32": _op("f32.convert_i64_s"),
        "i32": _op("i32.wrap_i64"),
        "u32": _op("i32.wrap_i64"),
        "i64": lambda a: a,
        "u64": lambda a: a,
    },
    "u64": {
        **_arithmetic("i64"),
        **{n: _op(f"i64.{n}") for n in ("and", "or", "xor", "shl", "eq", "ne")},
        **{n: _op(f"i64.{n}_u") for n in ("lt", "le", "gt", "ge")},
        "div": _op("i64.div_u"),
        "rem": _op("i64.rem_u"),
        "shr": _op("i64.shr_u"),
        "neg": lambda a: f"(i64.sub (i64.const 0) {a})",
        "not": lambda a: f"(i64.xor {a} (i64.const -1))",
        "abs": lambda a: a,
        "min": _int_min_max("i64.lt_u"),
        "max": _int_min_max("i64.gt_u"),
        "f32": _op("f32.convert_i64_u"),
        "i32": _op("i32.wrap_i64"),
        "u32": _op("i32.wrap_i64"),
        "i64": lambda a: a,
        "u64": lambda a: a,
    },
    "bool": {
        **{n: _op(f"i32.{n}") for n in ("and", "or", "xor", "eq", "ne")},
        "lt": _op("i32.lt_u"),
        "le": _op("i32.le_u"),
        "gt": _op("i32.gt_u"),
        "ge": _op("i32.ge_u"),
        "not": _op("i32.eqz"),
        "max": _op("i32.or"),
        "min": _op("i32.and"),
        "f32": _op("f32.convert_i32_u"),
        "i32": lambda a: a,
        "u32": lambda a: a,
        "i64": _op("i64.extend_i32_u"),
        "u64": _op("i64.extend_i32_u"),
    },
}

# Vector instructions; what is missing is done lane by lane.
VECTOR: dict[str, dict[str, Row]] = {
    "f32": {
        **_arithmetic("f32x4"),
        **{
            n: _op(f"f32x4.{n}")
            for n in (
                "div",
                "neg",
                "abs",
                "min",
                "max",
                "sqrt",
                "floor",
                "ceil",
                "trunc",
                "eq",
                "ne",
                "lt",
                "le",
                "gt",
                "ge",
            )
        },
        "round": _op("f32x4.nearest"),
        "fma": lambda a, b, c: f"(f32x4.add (f32x4.mul {a} {b}) {c})",
        "i32": _op("i32x4.trunc_sat_f32x4_s"),
        "u32": _op("i32x4.trunc_sat_f32x4_u"),
        "bits": lambda a: a,
    },
    "i32": {
        **_arithmetic("i32x4"),
        **{n: _op(f"v128.{n}") for n in ("and", "or", "xor")},
        **{n: _op(f"i32x4.{n}") for n in ("eq", "ne", "neg", "abs")},
        **{n: _op(f"i32x4.{n}_s") for n in ("lt", "le", "gt", "ge", "min", "max")},
        "not": _op("v128.not"),
        "f32": _op("f32x4.convert_i32x4_s"),
        "u32": lambda a: a,
        "i32": lambda a: a,
        "from_bits": lambda a: a,
    },
    "u32": {
        **_arithmetic("i32x4"),
        **{n: _op(f"v128.{n}") for n in ("and", "or", "xor")},
        **{n: _op(f"i32x4.{n}") for n in ("eq", "ne", "neg")},
        **{n: _op(f"i32x4.{n}_u") for n in ("lt", "le", "gt", "ge", "min", "max")},
        "not": _op("v128.not"),
        "f32": _op("f32x4.convert_i32x4_u"),
        "u32": lambda a: a,
        "i32": lambda a: a,
        "abs": lambda a: a,
        "from_bits": lambda a: a,
    },
    "bool": {
        **{n: _op(f"v128.{n}") for n in ("and", "or", "xor")},
        **{n: _op(f"i32x4.{n}") for n in ("eq", "ne")},
        "not": _op("v128.not"),
        "max": _op("v128.or"),
        "min": _op("v128.and"),
        "i32": _op("i32x4.neg"),
        "u32": _op("i32x4.neg"),
        "f32": lambda a: f"(v128.and {a} (v128.const f32x4 1 1 1 1))",
    },
}

SHIFTS = {
    ("shl", "i32"): "i32x4.shl",
    ("shl", "u32"): "i32x4.shl",
    ("shr", "i32"): "i32x4.shr_s",
    ("shr", "u32"): "i32x4.shr_u",
}

RELAXED = {"fma": _op("f32x4.relaxed_madd")}

# Rows that name an argument twice need it in a local.
REPEATS = {"min", "max", "abs"}


def literal(value: float | bool, type: str) -> str:
    """A constant instruction."""
    if type == "f32":
        return f"(f32.const {_float(value)})"
    return f"({WASM[type]}.const {int(value)})"


def _float(value: float) -> str:
    return f"{float(np.float32(value)):.9g}"


def splat_literal(value: float | bool, type: str) -> str:
    """Four times a constant."""
    if type == "bool":
        value = -1 if value else 0
    text = _float(value) if type == "f32" else str(int(value))
    return f"(v128.const {SHAPES[type]} {' '.join([text] * 4)})"


def identifier(name: str) -> str:
    """`name` with what WAT identifiers do not allow replaced."""
    return "$" + re.sub(r"[^\w./:]", "_", name, flags=re.ASCII)


@dataclass
class Uses:
    """How often each value is read, as a scalar and as a vector, and from which blocks."""

    scalar: Counter[Ref] = field(default_factory=Counter)
    vector: Counter[Ref] = field(default_factory=Counter)
    repeated: set[Ref] = field(default_factory=set)
    blocks: dict[Ref, set[int]] = field(default_factory=dict)

    def read(self, operand: Operand | None, block: int, vector: bool) -> None:
        """Count one use."""
        if isinstance(operand, Ref):
            (self.vector if vector else self.scalar)[operand] += 1
            self.blocks.setdefault(operand, set()).add(block)


class Printer:
    """Prints the body of one function; `size` gives the text of a size or address by name."""

    def __init__(
        self,
        relaxed: bool,
        size: Callable[[str], str],
        functions: set[tuple[str, int]],
    ) -> None:
        self.vector_rows = {t: dict(rows) for t, rows in VECTOR.items()}
        if relaxed:
            self.vector_rows["f32"] |= RELAXED
        self.size = size
        self.functions = functions
        self.locals: dict[str, str] = {}
        self.inlined: dict[tuple[Ref, bool], str] = {}
        self.uses = Uses()
        self.home: dict[Ref, int] = {}
        self.loops: set[Ref] = set()
        self.lets: dict[Ref, Let] = {}

    # -- analysis --------------------------------------------------------------------------------

    def analyse(self, statements: Iterable[Statement]) -> None:
        """Count the uses of every value."""
        self._analyse(tuple(statements))

    def _analyse(self, statements: tuple[Statement, ...]) -> None:
        block = id(statements)
        for s in statements:
            match s:
                case Let():
                    self.home[s.target] = block
                    self.lets[s.target] = s
                    shift = (s.function, s.args[0].type) in SHIFTS if s.args else False
                    for k, a in enumerate(s.args):
                        vector = s.target.lanes > 1 and not (shift and k == 1 and a.lanes == 1)
                        self.uses.read(a, block, vector)
                        if isinstance(a, Ref) and self.repeats(s):
                            self.uses.repeated.add(a)
                case LoadTo():
                    self.home[s.target] = block
                    self._analyse_access(s.access, block)
                case StoreFrom():
                    self.uses.read(s.value, block, s.access.kind != "uniform")
                    self._analyse_access(s.access, block)
                case For():
                    self.uses.read(s.start, block, False)
                    # Read again after every iteration: it needs a local.
                    self.uses.read(s.stop, id(s.body), False)
                    self.loops |= {s.counter, *(a for a, _, _ in s.carries)}
                    self._analyse(s.body)
                    for accumulator, init, after in s.carries:
                        self.uses.read(init, block, accumulator.lanes > 1)
                        self.uses.read(after, id(s.body), accumulator.lanes > 1)

    def _analyse_access(self, access: Access, block: int) -> None:
        self.uses.read(access.address, block, access.kind == "each")
        lanes = access.guard is not None and access.guard.lanes > 1
        self.uses.read(access.guard, block, lanes)
        if lanes or access.kind == "each":
            for o in (access.address, access.guard):
                if isinstance(o, Ref):
                    self.uses.repeated.add(o)

    def repeats(self, s: Let) -> bool:
        """True if the text of `s` names its arguments more than once."""
        return s.function in REPEATS or (s.target.lanes > 1 and not self.has_vector_form(s))

    def has_vector_form(self, s: Let) -> bool:
        """True if there is one vector instruction, or a function of ours."""
        if s.function in ("iota", "select"):
            return True
        kind = s.args[0].type
        if s.function in self.vector_rows.get(kind, {}):
            return True
        if (s.function, kind) in SHIFTS:
            return s.args[1].lanes == 1
        return s.function not in SCALAR[kind]

    def folds(self, ref: Ref) -> bool:
        """True if the value is used once, in the block that computes it."""
        once = self.uses.scalar[ref] + self.uses.vector[ref] == 1
        here = ref in self.home and self.uses.blocks.get(ref) == {self.home[ref]}
        return once and here and ref not in self.uses.repeated

    # -- operands --------------------------------------------------------------------------------

    def scalar(self, o: Operand) -> str:
        """The text of a scalar."""
        if isinstance(o, Literal):
            return literal(o.value, o.type)
        return self.inlined.get((o, False)) or f"(local.get ${o.name})"

    def vector(self, o: Operand) -> str:
        """The text of a vector; scalars are splatted."""
        if isinstance(o, Literal):
            return splat_literal(o.value, o.type)
        if o.lanes > 1:
            return self.inlined.get((o, False)) or f"(local.get ${o.name})"
        if o in self.loops:
            return self.splat(f"(local.get ${o.name})", o.type)
        return self.inlined.get((o, True)) or f"(local.get ${o.name}v)"

    def text(self, o: Operand, vector: bool) -> str:
        """A scalar or a vector."""
        return self.vector(o) if vector else self.scalar(o)

    def lane(self, o: Operand, k: int) -> str:
        """Lane `k` of a vector that has a local, or a scalar."""
        if o.lanes == 1:
            return self.scalar(o)
        extract = f"({SHAPES[o.type]}.extract_lane {k} {self.vector(o)})"
        return f"(i32.and {extract} (i32.const 1))" if o.type == "bool" else extract

    # -- statements ------------------------------------------------------------------------------

    def block(self, statements: Iterable[Statement], depth: int) -> list[str]:
        """The lines of some statements."""
        out: list[str] = []
        for s in statements:
            match s:
                case Let():
                    self.define(s.target, self.value(s), out, depth)
                case LoadTo():
                    self.load(s, out, depth)
                case StoreFrom():
                    out += [INDENT * depth + line for line in self.store(s)]
                case For():
                    out += self.loop(s, depth)
        return out

    def define(self, ref: Ref, text: str, out: list[str], depth: int) -> None:
        """Bind a value: folded into its one use, or set as a local."""
        used = self.uses.scalar[ref] + self.uses.vector[ref]
        if not used:
            return
        splat = ref.lanes == 1 and self.uses.vector[ref] > 0
        only = splat and not self.uses.scalar[ref]
        shown = self.splat(text, ref.type) if only else text
        if self.folds(ref):
            self.inlined[ref, only] = shown
            return
        pad = INDENT * depth
        if only:
            self.set_local(f"{ref.name}v", "v128", shown, out, pad)
            return
        kind = "v128" if ref.lanes > 1 else WASM[ref.type]
        self.set_local(ref.name, kind, text, out, pad)
        if splat:
            again = self.splat(f"(local.get ${ref.name})", ref.type)
            self.set_local(f"{ref.name}v", "v128", again, out, pad)

    def set_local(self, name: str, kind: str, text: str, out: list[str], pad: str) -> None:
        """`local.set`, declaring the local."""
        self.locals[name] = kind
        out.append(f"{pad}(local.set ${name} {text})")

    def splat(self, text: str, type: str) -> str:
        """Four times a scalar."""
        match = re.fullmatch(r"\((?:f32|i32)\.load( offset=\d+)? (.*)\)", text)
        if match and type != "bool" and _balanced(match[2]):
            return f"(v128.load32_splat{match[1] or ''} {match[2]})"
        if type == "bool":
            return f"(i32x4.splat (i32.sub (i32.const 0) {text}))"
        return f"({SHAPES[type]}.splat {text})"

    def value(self, s: Let) -> str:
        """The text of a Let's right side."""
        if s.function == "size":
            return self.size(s.args[0].type)
        if s.function in ("hsum", "hmax", "hmin"):
            self.functions.add((s.function, 1))
            return f"(call ${s.function} {self.vector(s.args[0])})"
        if s.function == "iota":
            return "(v128.const i32x4 0 1 2 3)"
        vector = s.target.lanes > 1
        args = s.args
        if s.function == "select":
            c, a, b = args
            if vector:
                if quick := self.clamp(c, a, b):
                    return quick
                return f"(v128.bitselect {self.vector(a)} {self.vector(b)} {self.vector(c)})"
            return f"(select {self.scalar(a)} {self.scalar(b)} {self.scalar(c)})"
        kind = args[0].type
        rows = self.vector_rows.get(kind, {}) if vector else SCALAR[kind]
        if vector and (shift := SHIFTS.get((s.function, kind))) and args[1].lanes == 1:
            return f"({shift} {self.vector(args[0])} {self.scalar(args[1])})"
        if vector and s.function in ("min", "max") and kind == "f32":
            quick = self.quick_extremum(s)
            if quick:
                return quick
        if s.function in rows:
            row = self.reduced(s) or rows[s.function]
            return row(*(self.text(a, vector) for a in args))
        if s.function in SCALAR[kind]:
            return self.by_lane(s)
        self.functions.add((s.function, s.target.lanes))
        name = identifier(s.function + ("_v" if vector else ""))
        return f"(call {name} {' '.join(self.text(a, vector) for a in args)})"

    def clamp(self, condition: Operand, a: Operand, b: Operand) -> str | None:
        """select(a < b, a, b) is pmin(b, a) and select(b < a, a, b) is pmax(b, a), NaN and all."""
        test = self.lets.get(condition) if isinstance(condition, Ref) else None
        if test is None or test.function != "lt" or a.type != "f32":
            return None
        orders: dict[tuple[Operand, ...], str] = {(a, b): "pmin", (b, a): "pmax"}
        name = orders.get(test.args)
        return name and f"(f32x4.{name} {self.vector(b)} {self.vector(a)})"

    def quick_extremum(self, s: Let) -> str | None:
        """pmin and pmax are one instruction; with the constant second a NaN still passes."""
        a, b = s.args
        if isinstance(a, Literal):
            a, b = b, a
        if not isinstance(b, Literal):
            return None
        return f"(f32x4.p{s.function} {self.vector(a)} {self.vector(b)})"

    def reduced(self, s: Let) -> Row | None:
        """Multiplications and divisions by powers of two as shifts."""
        if s.target.lanes > 1 or s.args[0].type not in ("i32", "u32") or len(s.args) != 2:
            return None
        b = s.args[1]
        if not isinstance(b, Literal) or b.value <= 0 or int(b.value) & (int(b.value) - 1):
            return None
        shift = {"mul": "i32.shl", "udiv": "i32.shr_u", "floordiv": "i32.shr_s"}.get(s.function)
        if shift is None:
            return None
        amount = int(b.value).bit_length() - 1
        return lambda a, _: f"({shift} {a} (i32.const {amount}))"

    def by_lane(self, s: Let) -> str:
        """Four scalar instructions."""
        kind = s.args[0].type
        shape = SHAPES[s.target.type]
        text = "(v128.const i32x4 0 0 0 0)"
        for k in range(4):
            value = SCALAR[kind][s.function](*(self._lane_text(a, k) for a in s.args))
            if s.target.type == "bool":
                value = f"(i32.sub (i32.const 0) {value})"
            text = f"({shape}.replace_lane {k} {text} {value})"
        return text

    def _lane_text(self, o: Operand, k: int) -> str:
        if isinstance(o, Ref) and o.lanes == 1:
            source = self.vector(o)
            return f"({SHAPES[o.type]}.extract_lane {k} {source})"
        return self.lane(o, k)

    # -- memory ----------------------------------------------------------------------------------

    def load(self, s: LoadTo, out: list[str], depth: int) -> None:
        """Load into a value."""
        access = s.access
        text = self.load_text(access, s.target)
        lanes = isinstance(access.guard, Ref) and access.guard.lanes > 1
        if access.guard is not None and not lanes:
            kind = "v128" if s.target.lanes > 1 else WASM[s.target.type]
            zero = splat_literal(0, "i32") if kind == "v128" else literal(0, s.target.type)
            guard = self.scalar(access.guard)
            text = f"(if (result {kind}) {guard} (then {text}) (else {zero}))"
        self.define(s.target, text, out, depth)

    def load_text(self, access: Access, target: Ref) -> str:
        """The instruction(s), without a scalar guard."""
        type = target.type
        at = f" offset={access.constant}" if access.constant else ""
        if access.kind == "uniform" and target.lanes == 1:
            return f"({WASM[type]}.load{at} {self.scalar(access.address)})"
        lanes = isinstance(access.guard, Ref) and access.guard.lanes > 1
        if access.kind == "unit" and not lanes:
            text = f"(v128.load{at} {self.scalar(access.address)})"
        else:
            text = self.load_lanes(access, lanes)
        return f"(i32x4.ne {text} (v128.const i32x4 0 0 0 0))" if type == "bool" else text

    def load_lanes(self, access: Access, guarded: bool) -> str:
        """Four loads, each under its own guard."""
        text = "(v128.const i32x4 0 0 0 0)"
        at = f" offset={access.constant}" if access.constant else ""
        for k in range(4):
            address = self.lane_address(access, k)
            if guarded:
                assert access.guard is not None
                guard = self.lane(access.guard, k)
                value = f"(if (result i32) {guard} (then (i32.load{at} {address}))"
                text = f"(i32x4.replace_lane {k} {text} {value} (else (i32.const 0))))"
            else:
                text = f"(v128.load32_lane{at} {k} {address} {text})"
        return text

    def lane_address(self, access: Access, k: int) -> str:
        """Lane `k`'s address; added up, since an offset may not lift a negative one over 0."""
        address = self.lane(access.address, k)
        if access.kind == "unit" and k:
            return f"(i32.add {address} (i32.const {4 * k}))"
        return address

    def store(self, s: StoreFrom) -> list[str]:
        """Store a value, under its guard."""
        access = s.access
        if access.kind == "uniform":
            kind = WASM[s.value.type]
            at = f" offset={access.constant}" if access.constant else ""
            return self.guarded(
                access, f"({kind}.store{at} {self.scalar(access.address)} {self.scalar(s.value)})"
            )
        value = self.vector(s.value)
        if s.value.type == "bool":
            value = f"(v128.and {value} (v128.const i32x4 1 1 1 1))"
        lanes = access.guard is not None and access.guard.lanes > 1
        if access.kind == "unit" and not lanes:
            at = f" offset={access.constant}" if access.constant else ""
            return self.guarded(access, f"(v128.store{at} {self.scalar(access.address)} {value})")
        return self.store_lanes(access, value)

    def store_lanes(self, access: Access, value: str) -> list[str]:
        """Four stores, each under its own guard; one if all of a unit store's guards hold."""
        self.locals["stored"] = "v128"
        lines = [f"(local.set $stored {value})"]
        at = f" offset={access.constant}" if access.constant else ""
        for k in range(4):
            store = (
                f"(v128.store32_lane{at} {k} {self.lane_address(access, k)} (local.get $stored))"
            )
            if access.guard is not None:
                store = f"(if {self.lane(access.guard, k)} (then {store}))"
            lines.append(store)
        if access.kind == "unit" and access.guard is not None:
            at = f" offset={access.constant}" if access.constant else ""
            whole = f"(v128.store{at} {self.scalar(access.address)} (local.get $stored))"
            test = f"(i32x4.all_true {self.vector(access.guard)})"
            inner = " ".join(lines[1:])
            return [lines[0], f"(if {test} (then {whole}) (else {inner}))"]
        return lines

    def guarded(self, access: Access, text: str) -> list[str]:
        """A store under a scalar guard."""
        if access.guard is None:
            return [text]
        return [f"(if {self.scalar(access.guard)} (then {text}))"]

    # -- loops -----------------------------------------------------------------------------------

    def loop(self, s: For, depth: int) -> list[str]:
        """A loop that is skipped if it has no iteration."""
        pad = INDENT * depth
        self.locals[s.counter.name] = "i32"
        out: list[str] = []
        for accumulator, init, _ in s.carries:
            vector = accumulator.lanes > 1
            self.locals[accumulator.name] = "v128" if vector else WASM[accumulator.type]
            out.append(f"{pad}(local.set ${accumulator.name} {self.text(init, vector)})")
        counter = f"(local.get ${s.counter.name})"
        out.append(f"{pad}(local.set ${s.counter.name} {self.scalar(s.start)})")
        stop = self.scalar(s.stop)
        label = f"${s.counter.name}"
        body = self.block(s.body, depth + 2) + self.advance(s, INDENT * (depth + 2))
        step = f"(local.tee ${s.counter.name} (i32.add {counter} (i32.const {s.step})))"
        again = f"(br_if {label} (i32.lt_s {step} {stop}))"
        loop = [f"{pad}{INDENT}(loop {label}", *body, f"{pad}{INDENT * 2}{again})"]
        runs = (
            isinstance(s.stop, Literal)
            and isinstance(s.start, Literal)
            and s.stop.value > s.start.value
        )
        if runs:
            out += [
                line.replace(INDENT, "", 1) if line.startswith(pad + INDENT) else line
                for line in loop
            ]
        else:
            out += [f"{pad}(if (i32.lt_s {counter} {stop}) (then", *loop[:-1], loop[-1] + "))"]
        return out

    def advance(self, s: For, pad: str) -> list[str]:
        """Give the accumulators their next values; through temporaries if they read each other."""
        live = [(a, n) for a, _, n in s.carries if a != n]
        names = {a for a, _ in live}
        crossed = any(isinstance(n, Ref) and n in names for _, n in live) or len(live) > 1
        texts = [(a, self.text(n, a.lanes > 1)) for a, n in live]
        if not crossed or all(f"${b.name})" not in t for a, t in texts for b in names - {a}):
            return [f"{pad}(local.set ${a.name} {t})" for a, t in texts]
        out = []
        for a, t in texts:
            self.locals[f"{a.name}n"] = self.locals[a.name]
            out.append(f"{pad}(local.set ${a.name}n {t})")
        return out + [f"{pad}(local.set ${a.name} (local.get ${a.name}n))" for a, _ in texts]


def _balanced(text: str) -> bool:
    """True if `text` is one parenthesised expression."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and k < len(text) - 1:
            return False
    return depth == 0
