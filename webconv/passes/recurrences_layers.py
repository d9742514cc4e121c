"""Cells that follow each other as one recurrent operator.

T steps, B batch, I input size, G gates, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from webconv.ir import ops
from webconv.ir.graph import Constant, Node, Value, constant
from webconv.ir.op import Array
from webconv.passes.driver import expect
from webconv.passes.recurrences_cells import INNER, Cell, Role
from webconv.passes.recurrences_steps import reshaped, stacked
from webconv.passes.recurrences_sums import Block, Part, Row


@dataclass(frozen=True)
class Layer:
    """Steps of one kind; `role` is that of h. Weights are read from the last step.

    `zero_start` tells that the first step's states are zero and are folded into its constants.
    """

    cells: Sequence[Cell]
    role: Role
    zero_start: bool = False

    @property
    def last(self) -> Cell:
        """The last step."""
        return self.cells[-1]

    @property
    def input_roles(self) -> list[Role]:
        """The roles of what enters, which is one after another the input."""
        roles = self.last.inputs(self.role)
        expect(roles, "nothing enters but its own state")
        return roles

    def sequences(self) -> list[Value]:
        """For each role the values of all steps, `[T, B, K]`."""
        return [
            stacked([_required(cell.source(r)) for cell in self.cells]) for r in self.input_roles
        ]

    def inputs(self) -> list[Value]:
        """All values that enter."""
        return [_required(cell.source(r)) for r in self.input_roles for cell in self.cells]

    def initial(self) -> list[Value | None]:
        """The initial states `[1, B, H]`, None for zeros."""
        first = self.cells[0]
        states = [first.known_h or first.source(self.role), first.old_c][: self.last.op.states]
        if self.zero_start:
            return [None] * len(states)
        return [initial_state(_required(s), first.h) for s in states]

    def apply(
        self,
        sequences: Sequence[Value],
        states: Sequence[Value | None],
        direction: str = "forward",
        mask: Value | None = None,
    ) -> list[Value]:
        """y `[T, B, H]`, then the final states `[B, H]`."""
        cell = self.last
        x, w = self._input(sequences)
        gates = cell.op.gates
        r = np.stack([cell.weights(self.role, g, cell.hidden) for g in self._recurrent_gates()], 1)
        bias = np.stack([cell.bias(g) for g in range(gates)])
        extras: list[Value | None] = []
        if cell.op is ops.GRU:
            extras = [
                self._weight(cell.bias(INNER)[None]) if cell.attributes["reset_after"] else None
            ]
        if cell.op is ops.LSTM:
            extras = [self._peepholes()]
        weights = [None if w is None else self._weight(w[None]), self._weight(r[None])]
        made = cell.op(direction, cell.activations, **cell.attributes)
        inputs = (x, *weights, self._weight(bias[None]), *extras, *states, mask)
        y, *finals = made(*inputs, name=cell.name)
        t, b, _, h = y.shape
        return [reshaped(y, (t, b, h)), *(reshaped(f, (b, h)) for f in finals)]

    def _recurrent_gates(self) -> list[int]:
        """The gates of r; a GRU's n has them apart."""
        if self.last.op is not ops.GRU:
            return list(range(self.last.op.gates))
        expect(all(g != 2 for g, _ in self.role), "h enters n past the reset gate")
        return [0, 1, INNER]

    def _input(self, sequences: Sequence[Value]) -> tuple[Value, Array | None]:
        """x, and its weights `[I, G, H]`; without them x has the gates' pre-activations."""
        gates = range(self.last.op.gates)
        roles = self.input_roles
        factors = {g: [f for role in roles for k, f in role if k == g] for g in gates}
        if len(roles) == 1 and all(
            len(f) == 1 and isinstance(f[0], Part) for f in factors.values()
        ):
            return _joined([_columns(sequences[0], *factors[g][0].columns) for g in gates]), None
        w = []
        for role, x in zip(roles, sequences, strict=True):
            width = x.shape[-1]
            assert isinstance(width, int)
            w.append(np.stack([self.last.weights(role, g, width) for g in gates], 1))
        return _joined(sequences), np.concatenate(w)

    def _peepholes(self) -> Value | None:
        rows = self.last.peepholes
        if not any(rows):
            return None
        size = self.last.hidden
        if any(isinstance(r, Block) for r in rows):
            expect(not any(isinstance(r, Row) for r in rows), "some peepholes are rows, others not")
            matrices = [np.zeros((size, size)) if r is None else r.array for r in rows]
            return self._weight(np.stack(matrices, 1)[None])
        zeros = np.zeros(size)
        return self._weight(np.stack([zeros if r is None else r.array for r in rows])[None])

    def _weight(self, array: Array) -> Value:
        return constant(array.astype(self.last.h.type.dtype.numpy), self.last.name)


def _required(value: Value | None) -> Value:
    assert value is not None
    return value


def _columns(x: Value, start: int, end: int) -> Value:
    if (start, end) == (0, x.shape[-1]):
        return x
    starts = (*[0] * (x.type.rank - 1), start)
    cut: Value = ops.Slice(starts, (*x.shape[:-1], end - start), (1,) * x.type.rank)(x)
    return cut


def _joined(values: Sequence[Value]) -> Value:
    made: Value = values[0] if len(values) == 1 else ops.Concat(-1)(*values)
    return made


def initial_state(value: Value, like: Value) -> Value | None:
    """A state `[B, H]` as `[1, B, H]`, or None for zeros."""
    if is_zero(value):
        return None
    wide = value if value.shape == like.shape else ops.Expand(like.shape)(value)
    return reshaped(wide, (1, *like.shape))


def is_zero(value: Value) -> bool:
    """True for zeros, broadcast or not."""
    match value:
        case Value(Node(Constant(array))):
            return not np.any(array)
        case Value(Node(ops.Expand() | ops.Reshape(), [Value() as x])):
            return is_zero(x)
    return False


def layers(cells: Iterable[Cell]) -> list[Layer]:
    """The cells as layers, in the order of their first steps."""
    cells = list(cells)
    next_of, linked = _links(cells)
    found = []
    for cell in cells:
        if cell in linked:
            continue
        steps, role = [cell], _own_role(cell)
        while (after := next_of.get(steps[-1])) is not None and (
            len(steps) == 1 or after[1] == role
        ):
            steps.append(after[0])
            role = after[1]
        if role is not None and (cell.op is not ops.RNN or len(steps) > 1):
            found.append(_with_first(Layer(steps, role), cells))
    taken = {layer.cells[0] for layer in found if layer.zero_start}
    return [layer for layer in found if layer.zero_start or layer.cells[0] not in taken]


def _links(cells: Sequence[Cell]) -> tuple[dict[Cell, tuple[Cell, Role]], set[Cell]]:
    """The step after each, with the role that h has in it, and all that follow one."""
    by_state = {(c.op, c.h if c.c is None else c.c): c for c in cells}
    next_of: dict[Cell, tuple[Cell, Role]] = {}
    linked = set()
    for cell in cells:
        states = [cell.old_c or cell.known_h] if cell.op is not ops.RNN else [*cell.roles]
        for state in states:
            before = by_state.get((cell.op, state)) if state is not None else None
            if before is None or before in next_of or before.kind != cell.kind:
                continue
            role = cell.roles.get(before.h)
            if role is not None:
                next_of[before] = (cell, role)
                linked.add(cell)
                break
    return next_of, linked


def _own_role(cell: Cell) -> Role | None:
    """The role of h in a cell that follows none; of several that fit, the last: it may be any."""
    if cell.known_h is not None:
        return cell.roles.get(cell.known_h)
    gates = set(range(cell.op.gates))
    fitting = [
        role
        for source, role in cell.roles.items()
        if source.shape[-1] == cell.hidden
        and {g for g, _ in role} == gates
        and all(isinstance(f, Block) for _, f in role)
    ]
    return fitting[-1] if fitting else None


def _with_first(layer: Layer, cells: Sequence[Cell]) -> Layer:
    """The layer with the step before it, whose zero states were folded into constants."""
    first = layer.cells[0]
    h = first.known_h or first.source(layer.role)
    for cell in cells:
        if cell.op is first.op and cell.h is h and cell.c is first.old_c and _starts(cell, layer):
            return replace(layer, cells=[cell, *layer.cells], zero_start=True)
    return layer


def _starts(cell: Cell, layer: Layer) -> bool:
    """True if `cell` is a step of the layer from states of zero."""
    like = layer.last
    h = cell.source(layer.role)
    states = [s for s in (cell.old_c, cell.known_h, h) if s is not None]
    peepholes = zip(cell.peepholes, like.peepholes, strict=True)
    return (
        (cell.op, cell.activations, cell.attributes) == (like.op, like.activations, like.attributes)
        and all(map(is_zero, states))
        and all(a is None or a == b for a, b in peepholes)
        and {*cell.roles.values()} - {layer.role} == {*layer.input_roles}
        and all(np.array_equal(cell.bias(g), like.bias(g)) for g in range(len(like.gates)))
    )
