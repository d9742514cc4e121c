"""Statements to WebAssembly text, scalar and SIMD.

A value used once is folded into its use; others get a local. A scalar that only vectors use is
splatted once, where it is computed (a load becomes `v128.load32_splat`). Bools are 0 or 1 as
scalars and all-ones masks as lanes; memory holds 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
from webconv.backends.wasm.instructions import (
    RELAXED,
    SCALAR,
    SHAPES,
    SHIFTS,
    VECTOR,
    WASM,
    Row,
    identifier,
    literal,
    splat,
    splat_literal,
)
from webconv.backends.wasm.uses import Uses

INDENT = "  "


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
        if o in self.uses.loops:
            return splat(f"(local.get ${o.name})", o.type)
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
        splatted = ref.lanes == 1 and self.uses.vector[ref] > 0
        only = splatted and not self.uses.scalar[ref]
        shown = splat(text, ref.type) if only else text
        if self.uses.folds(ref):
            self.inlined[ref, only] = shown
            return
        pad = INDENT * depth
        if only:
            self.set_local(f"{ref.name}v", "v128", shown, out, pad)
            return
        kind = "v128" if ref.lanes > 1 else WASM[ref.type]
        self.set_local(ref.name, kind, text, out, pad)
        if splatted:
            again = splat(f"(local.get ${ref.name})", ref.type)
            self.set_local(f"{ref.name}v", "v128", again, out, pad)

    def set_local(self, name: str, kind: str, text: str, out: list[str], pad: str) -> None:
        """`local.set`, declaring the local."""
        self.locals[name] = kind
        out.append(f"{pad}(local.set ${name} {text})")

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
        test = self.uses.lets.get(condition) if isinstance(condition, Ref) else None
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
