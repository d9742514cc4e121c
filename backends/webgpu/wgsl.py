"""Statements as WGSL: a value that is used once, in the block that computes it, becomes part of its
reader; all others are `let`s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from webconv.backends.linearise import (
    Access,
    For,
    Let,
    LoadTo,
    Operand,
    Ref,
    Statement,
    StoreFrom,
)
from webconv.backends.webgpu.expressions import ExpressionPrinter
from webconv.backends.webgpu.text import (
    BITS,
    LONGEST,
    PRIMARY,
    RELATION,
    SUM,
    UNARY,
    Text,
    literal,
    type_name,
)
from webconv.backends.webgpu.threads import Once, Share
from webconv.backends.webgpu.uses import Uses, operands
from webconv.ir.errors import GraphError


@dataclass(frozen=True)
class Slot:
    """How a shader sees a buffer: part of a binding that holds `element`s, in fours if `vector`.

    `load` and `store` are the buffer's compute type where that is not the element type.
    """

    name: str
    element: str
    vector: bool = False


class Printer(ExpressionPrinter):
    """Prints function bodies; `slots` tells how a buffer is seen, `size` where a size is found."""

    def __init__(
        self,
        slots: Callable[[Access], Slot] | None = None,
        size: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(size)
        self.slots = slots

    def body(
        self, statements: Sequence[Statement | Once], result: Operand | None = None
    ) -> list[str]:
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

    def _statement(self, s: Statement | Once) -> None:
        match s:
            case Let(target=target):
                self._value(target, self._let(s))
            case LoadTo(target=target, access=access):
                self._value(target, self._load(target, access))
            case StoreFrom(access=access, value=value):
                self._store(access, value)
            case For():
                self._for(s)
            case Once():
                self._emit("if (thread == 0) {")
                self._depth += 1
                for inner in s.body:
                    self._statement(inner)
                self._depth -= 1
                self._emit("}")

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

    def _for(self, s: For) -> None:
        for accumulator, init, _ in s.carries:
            start = self._splat(self._operand(init), accumulator.type, accumulator.lanes)
            self._emit(f"var {accumulator.name} = {start.code};")
        first, stop = self._operand(s.start).code, self._operand(s.stop).at(SUM)
        step = "stride" if isinstance(s, Share) else str(s.step)
        self._flush(lambda text: text.reads and _stores(s.body))
        i = s.counter.name
        advance = f"{i}++" if step == "1" else f"{i} += {step}"
        self._emit(f"for (var {i} = {first}; {i} < {stop}; {advance}) {{")
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

    # -- memory ----------------------------------------------------------------------------------

    def _slot(self, access: Access) -> Slot:
        assert self.slots is not None
        return self.slots(access)

    def _index(self, access: Access, lane: int | None = None) -> Text:
        """The element that an access, or one of its lanes, reaches."""
        base = self._operand(access.address)
        if lane is not None and access.kind == "each":
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
        stored = self._stored(self._operand(value), value.type, slot, value.lanes)
        lanes = 1 if access.kind == "uniform" else 4
        stored = self._splat(stored, slot.element, lanes)
        guard = None if access.guard is None else self._operand(access.guard)
        if access.kind in ("unit", "each"):
            self._store_lanes(access, slot, stored, guard)
            return
        target = f"{slot.name}[{self._index(access).code}]"
        self._flush(lambda text: text.reads)
        if guard is not None and guard.lanes > 1:
            raise GraphError(f"{slot.name}: an aligned store is done as a whole or not")
        self._guarded_line(f"{target} = {stored.code};", None if guard is None else guard.code)

    def _store_lanes(self, access: Access, slot: Slot, stored: Text, guard: Text | None) -> None:
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


def _stores(statements: Sequence[Statement | Once]) -> bool:
    return any(
        isinstance(s, StoreFrom) or (isinstance(s, For) and _stores(s.body)) for s in statements
    )
