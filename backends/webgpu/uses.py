"""Where the values of a function are used: what is used once is printed in its reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
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
from webconv.backends.webgpu.threads import Once


@dataclass
class Uses:
    """Where the values of a function are used."""

    count: Counter[str] = field(default_factory=Counter)
    home: dict[str, int] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    _blocks: int = 0

    @classmethod
    def of(cls, statements: Sequence[Statement | Once], results: Iterable[Operand] = ()) -> Uses:
        """Walks a function's body; `results` are read at its end."""
        uses = cls()
        uses._block(statements, results)
        return uses

    def _block(self, statements: Sequence[Statement | Once], results: Iterable[Operand]) -> None:
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
                case Once():
                    self._block(s.body, ())
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
