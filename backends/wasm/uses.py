"""How often each value of a function is read, and from where: what may be folded into its use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

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
from webconv.backends.wasm.instructions import REPEATS, SCALAR, SHIFTS, VECTOR


@dataclass
class Uses:
    """Reads of values as scalars and as vectors, the blocks they are in, and definitions."""

    scalar: Counter[Ref] = field(default_factory=Counter)
    vector: Counter[Ref] = field(default_factory=Counter)
    # Those whose text would be printed more than once.
    repeated: set[Ref] = field(default_factory=set)
    blocks: dict[Ref, set[int]] = field(default_factory=dict)
    home: dict[Ref, int] = field(default_factory=dict)
    lets: dict[Ref, Let] = field(default_factory=dict)
    # Counters and what loops carry.
    loops: set[Ref] = field(default_factory=set)

    def folds(self, ref: Ref) -> bool:
        """True if the value is used once, in the block that computes it."""
        once = self.scalar[ref] + self.vector[ref] == 1
        here = ref in self.home and self.blocks.get(ref) == {self.home[ref]}
        return once and here and ref not in self.repeated

    def count(self, statements: Iterable[Statement]) -> None:
        """Count the uses of every value in `statements`."""
        self._block(tuple(statements))

    def _block(self, statements: tuple[Statement, ...]) -> None:
        block = id(statements)
        for s in statements:
            match s:
                case Let():
                    self._let(s, block)
                case LoadTo():
                    self.home[s.target] = block
                    self._access(s.access, block)
                case StoreFrom():
                    self.read(s.value, block, s.access.kind != "uniform")
                    self._access(s.access, block)
                case For():
                    self._loop(s, block)

    def _let(self, s: Let, block: int) -> None:
        self.home[s.target] = block
        self.lets[s.target] = s
        shift = (s.function, s.args[0].type) in SHIFTS if s.args else False
        for k, a in enumerate(s.args):
            vector = s.target.lanes > 1 and not (shift and k == 1 and a.lanes == 1)
            self.read(a, block, vector)
            if isinstance(a, Ref) and _repeats(s):
                self.repeated.add(a)

    def _loop(self, s: For, block: int) -> None:
        self.read(s.start, block, False)
        # Read again after every iteration: it needs a local.
        self.read(s.stop, id(s.body), False)
        self.loops |= {s.counter, *(a for a, _, _ in s.carries)}
        self._block(s.body)
        for accumulator, init, after in s.carries:
            self.read(init, block, accumulator.lanes > 1)
            self.read(after, id(s.body), accumulator.lanes > 1)

    def _access(self, access: Access, block: int) -> None:
        self.read(access.address, block, access.kind == "each")
        lanes = access.guard is not None and access.guard.lanes > 1
        self.read(access.guard, block, lanes)
        if lanes or access.kind == "each":
            self.repeated |= {o for o in (access.address, access.guard) if isinstance(o, Ref)}

    def read(self, operand: Operand | None, block: int, vector: bool) -> None:
        """Count one use."""
        if isinstance(operand, Ref):
            (self.vector if vector else self.scalar)[operand] += 1
            self.blocks.setdefault(operand, set()).add(block)


def _repeats(s: Let) -> bool:
    """True if the text of `s` names its arguments more than once."""
    return s.function in REPEATS or (s.target.lanes > 1 and not _has_vector_form(s))


def _has_vector_form(s: Let) -> bool:
    """True if there is one vector instruction, or a function of ours."""
    if s.function in ("iota", "select"):
        return True
    kind = s.args[0].type
    if s.function in VECTOR.get(kind, {}):
        return True
    if (s.function, kind) in SHIFTS:
        return s.args[1].lanes == 1
    return s.function not in SCALAR[kind]
