"""One step of an LSTM, a GRU or an RNN, found in the operators that it is written in.

B batch, H hidden size, G gates. A cell is found from its new h backwards, in any order of operands.
Its gates are sums (`recurrences_sums`), so how they were computed does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Constant, Graph, Node, Value
from webconv.ir.op import Array, Op
from webconv.ir.ops import Unary
from webconv.passes.driver import Refusal, expect
from webconv.passes.recurrences_sums import Block, Factor, Part, Range, Row, Sum, Sums

# The gate of a GRU whose terms are multiplied by r, besides z, r and n.
INNER = 3

# Where a value enters a cell: gates and factors.
Role: TypeAlias = frozenset[tuple[int, Factor]]


@dataclass(frozen=True, eq=False)
class Cell:
    """One step.

    `gates` are in the order of the operator; of a GRU there is one more, `INNER`. `known_h` is the
    h before if the pattern tells it, else it is one of the sources.
    """

    op: type[Any]
    h: Value
    c: Value | None
    old_c: Value | None
    known_h: Value | None
    gates: tuple[Sum, ...]
    activations: tuple[Op, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    peepholes: tuple[Row | Block | None, ...] = ()

    @property
    def name(self) -> str:
        """The scope that it is in, by its name."""
        return scope(self.h)

    @property
    def hidden(self) -> int:
        """The number of units."""
        size = self.h.shape[-1]
        assert isinstance(size, int)
        return size

    @cached_property
    def roles(self) -> dict[Value, Role]:
        """What each value that enters is multiplied with."""
        found: dict[Value, set[tuple[int, Factor]]] = {}
        for g, gate in enumerate(self.gates):
            for source, factor in gate.products:
                found.setdefault(source, set()).add((g, factor))
        return {source: frozenset(role) for source, role in found.items()}

    @cached_property
    def kind(self) -> tuple[object, ...]:
        """What is the same for all steps of a layer."""
        rows = tuple(frozenset((r, gate.rows.count(r)) for r in gate.rows) for gate in self.gates)
        return (
            *(self.op, self.activations, tuple(self.attributes.items()), self.peepholes),
            *(frozenset(self.roles.values()), rows),
        )

    def source(self, role: Role) -> Value | None:
        """The value in a role."""
        return next((v for v, r in self.roles.items() if r == role), None)

    def inputs(self, h_role: Role | None) -> list[Role]:
        """The roles of what enters besides h."""
        return [r for r in self.roles.values() if r != h_role]

    def bias(self, gate: int) -> Array:
        """The sum of a gate's constants, `[H]`."""
        return sum(
            (r.array.astype(np.float64) for r in self.gates[gate].rows), np.zeros(self.hidden)
        )

    def weights(self, role: Role, gate: int, width: int) -> Array:
        """What the value in a role is multiplied with for a gate, `[width, H]`."""
        total = np.zeros((width, self.hidden))
        for g, factor in role:
            if g == gate:
                total += factor.array
        return total


@dataclass(frozen=True)
class Gate:
    """An activation of a sum."""

    activation: Op
    sum: Sum


class Cells:
    """Finds the cells of graphs, and why what looks like one is none; remembers what it saw."""

    def __init__(self) -> None:
        self.sums = Sums()
        self._cells: dict[Value, Cell | str | None] = {}
        self._gates: dict[Value, Gate | None] = {}

    def of(self, graph: Graph, refused: dict[str, str]) -> list[Cell]:
        """All cells, in topological order. Those of an RNN are cells only if they are linked.

        `refused` takes the reasons by name.
        """
        found = []
        for node in graph.nodes:
            for value in node.outputs:
                if value not in self._cells:
                    self._cells[value] = self._at(value)
                cell = self._cells[value]
                if isinstance(cell, str):
                    refused[scope(value)] = cell
                elif cell is not None:
                    found.append(cell)
        return found

    def _at(self, value: Value) -> Cell | str | None:
        """The cell whose new h is `value`, or why it is none although it looks like one."""
        if value.type.rank != 2 or not isinstance(value.shape[-1], int):
            return None
        if not value.type.dtype.is_float:
            return None
        reason = None
        for find in (self.lstm, self.gru, self.rnn):
            try:
                for cell in find(value):
                    return cell
            except Refusal as refusal:
                reason = str(refusal)
        return reason

    def gate(self, value: Value) -> Gate | None:
        """`value` as an activation of a sum with weights."""
        if value not in self._gates:
            self._gates[value] = self._gate(value)
        return self._gates[value]

    def _gate(self, value: Value) -> Gate | None:
        columns: Range | None = None
        match value:
            case Value(Node(ops.Slice(starts, sizes, _), [Value(Node(Unary())) as inner])):
                whole = sizes[:-1] == inner.shape[:-1]
                if not whole or not all(isinstance(n, int) for n in (starts[-1], sizes[-1])):
                    return None
                columns = (starts[-1], starts[-1] + sizes[-1])  # type: ignore[assignment]
                value = inner
        match value:
            case Value(Node(Unary() as op, [Value() as x])):
                found = self.sums.of(x, columns)
                return Gate(op, found) if found is not None and found.has_weights else None
        return None

    def lstm(self, h: Value) -> Iterator[Cell]:
        """h = o * tanh(c), c = f * c' + i * g"""
        for output, shown in _orders(h, ops.Mul):
            match shown:
                case Value(Node(Unary() as activation, [Value(Node(ops.Add())) as c])):
                    o = self.gate(output)
                    for forgotten, added in _orders(c, ops.Add):
                        for kept, old in _orders(forgotten, ops.Mul):
                            f = self.gate(kept)
                            i, g = self._input_gates(added)
                            if o and f and i and g:
                                yield _lstm_cell(h, c, old, (i, f, g, o), activation)

    def _input_gates(self, added: Value) -> tuple[Gate | None, Gate | None]:
        """i and g of a product; i is the one like a sigmoid."""
        for a, b in _orders(added, ops.Mul):
            i, g = self.gate(a), self.gate(b)
            if i and g:
                swap = isinstance(g.activation, ops.Sigmoid) > isinstance(i.activation, ops.Sigmoid)
                return (g, i) if swap else (i, g)
        return None, None

    def gru(self, h: Value) -> Iterator[Cell]:
        """h = z * h' + (1 - z) * n, with n = tanh(x + (r * h') w) or tanh(x + r * (h' w))"""
        for update, a, b in mixes(h):
            for old, new, mixes_new in ((a, b, False), (b, a, True)):
                z, n = self.gate(update), self.gate(new)
                if z and n:
                    for r, rest, inner, after in self._resets(n.sum, old):
                        yield Cell(
                            ops.GRU,
                            *(h, None, None, old),
                            (z.sum, r.sum, rest, inner),
                            (_one_activation("z and r", z, r), n.activation),
                            {"reset_after": after, "update_mixes_new": mixes_new},
                        )

    def _resets(self, n: Sum, old: Value) -> Iterator[tuple[Gate, Sum, Sum, bool]]:
        """The reset gate in the sum of n, the terms that it leaves alone, those that it multiplies.

        At the end, whether it multiplies h' after its weights.
        """
        for term in n.products:
            source, factor = term
            rest = Sum([p for p in n.products if p is not term], n.scaled, n.rows)
            for reset, value in _orders(source, ops.Mul):
                r = self.gate(reset)
                if r and value is old and isinstance(factor, Block):
                    yield r, rest, Sum([(old, factor)]), False
                elif r and isinstance(factor, Part) and factor.columns == (0, factor.width):
                    inner = self.sums.of(value)
                    if inner and inner.products and all(s is old for s, _ in inner.products):
                        yield r, rest, inner, True
        for scaled in n.scaled:
            r = self.gate(scaled[0])
            if r:  # What was h' w is folded: h' is constant.
                rest = Sum(n.products, [t for t in n.scaled if t is not scaled], n.rows)
                yield r, rest, Sum(rows=[scaled[1]]), True

    def rnn(self, h: Value) -> Iterator[Cell]:
        """h = tanh(x w + h' r + b)"""
        gate = self.gate(h)
        if gate and not gate.sum.scaled and len({s for s, _ in gate.sum.products}) > 1:
            yield Cell(ops.RNN, h, None, None, None, (gate.sum,), (gate.activation,))


def scope(value: Value) -> str:
    """What a cell is called: the scope of its new h, by its name."""
    own = value.node.name
    return own.rpartition("/")[0] or own or "without a name"


def _orders(value: Value, kind: type[Any]) -> Iterator[tuple[Value, Value]]:
    """The operands of `value`, if it is of a kind, in either order."""
    if isinstance(value.node.op, kind):
        a, b = value.node.inputs
        assert a is not None
        assert b is not None
        yield a, b
        yield b, a


def mixes(value: Value) -> Iterator[tuple[Value, Value, Value]]:
    """z, a and b where `value` is z * a + (1 - z) * b."""
    for first, second in _orders(value, ops.Add):
        for rest, b in _orders(second, ops.Mul):
            match rest:
                case Value(Node(ops.Sub(), [Value(Node(Constant(one))), Value() as z])):
                    for z_again, a in _orders(first, ops.Mul):
                        if z_again is z and np.all(one == 1):
                            yield z, a, b
        for z, difference in _orders(second, ops.Mul):  # b + z * (a - b)
            match difference:
                case Value(Node(ops.Sub(), [Value() as a, Value() as b])) if b is first:
                    yield z, a, b
    match value:
        case Value(Node(ops.Sub(), [Value() as b, Value() as taken])):
            for z, difference in _orders(taken, ops.Mul):  # b - z * (b - a)
                match difference:
                    case Value(Node(ops.Sub(), [Value() as b_again, Value() as a])):
                        if b_again is b:
                            yield z, a, b


def _one_activation(what: str, *gates: Gate) -> Op:
    """The activation that gates share."""
    first = gates[0].activation
    expect(all(g.activation == first for g in gates), f"{what} have different activations")
    return first


def _lstm_cell(
    h: Value, c: Value, old: Value, gates: tuple[Gate, Gate, Gate, Gate], shown: Op
) -> Cell:
    """The cell of the gates i, f, g, o; what c' or c is multiplied with are peepholes.

    g has none, so what is multiplied for g too is h, also where h and c are the same zeros.
    """
    peepholes: list[Row | Block | None] = []
    sums = []
    entering = {value for value, _ in gates[2].sum.products}
    for name, gate, source in zip("ifgo", gates, (old, old, None, c), strict=True):
        found = [row for value, row in gate.sum.scaled if value is source]
        matrices = [
            factor
            for value, factor in gate.sum.products
            if value is source and value not in entering and isinstance(factor, Block)
        ]
        rule = f"a term of the gate {name} is neither a product with weights nor a peephole"
        expect(len(found) == len(gate.sum.scaled), rule)
        expect(len(found) + len(matrices) <= 1, f"the gate {name} has several peepholes")
        own: list[Row | Block] = [*found, *matrices]
        peepholes.append(own[0] if own else None)
        products = [p for p in gate.sum.products if p[0] is not source or p[1] not in matrices]
        sums.append(Sum(products, gate.sum.scaled, gate.sum.rows))
    i, f, _, o = peepholes
    activations = (*(g.activation for g in gates), shown)
    return Cell(ops.LSTM, h, c, old, None, tuple(sums), activations, peepholes=(i, f, o))
