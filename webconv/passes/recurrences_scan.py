"""A cell in the body of a Scan, taken out of it as a recurrent operator.

What the body does before the cell becomes a Scan of its own in front of the operator, and what it
does after it one behind; often nothing is left of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from webconv.ir import graph as graphs
from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Graph, Node, Value
from webconv.ir.op import TensorType
from webconv.passes.driver import Refusal, expect
from webconv.passes.recurrences_cells import Cell, Cells
from webconv.passes.recurrences_layers import Layer, initial_state
from webconv.passes.recurrences_steps import reshaped
from webconv.passes.substitute import substitute


@dataclass(frozen=True)
class Steps:
    """A Scan node, its parts by name."""

    node: Node
    op: ops.Scan

    @property
    def inputs(self) -> list[Value]:
        """The inputs of the body."""
        return [*self.op.body.inputs.values()]

    @property
    def results(self) -> list[Value]:
        """The outputs of the body."""
        return [*self.op.body.outputs.values()]

    @property
    def ends(self) -> tuple[int, int]:
        """Where among the inputs the carries end, and where the sequences."""
        return self.op.carries, self.op.carries + self.op.sequences

    def outer(self, inner: Value) -> Value:
        """What an input of the body is given: a whole sequence, if it is a step of one."""
        value = self.node.inputs[self.inputs.index(inner)]
        assert value is not None
        return value

    def carry(self, before: Value | None, after: Value | None) -> Carry | None:
        """The carry that enters as `before` and leaves as `after`, at least where a mask holds."""
        for k in range(self.op.carries):
            if self.inputs[k] is not before:
                continue
            if self.results[k] is after:
                return Carry(k, None)
            match self.results[k]:
                case Value(Node(ops.Where(), [Value() as m, a, b])) if {a, b} == {before, after}:
                    return Carry(k, Mask(m, a is after))
        return None


@dataclass(frozen=True)
class Mask:
    """The steps that count are those where the bool `value` is `holds`."""

    value: Value
    holds: bool

    def shows(self, node: Node, value: Value) -> bool:
        """True if `node` reads `value` only where the mask holds."""
        match node:
            case Node(ops.Where(), [m, a, b]):
                read, other = (a, b) if self.holds else (b, a)
                return m is self.value and read is value and other is not value
        return False

    def sequence(self, steps: Steps, batch: Dim) -> Value:
        """The mask of all steps, `[T, B]`."""
        per_row = self.value.type.rank == 0 or self.value.shape[1:] == (1,)
        expect(per_row, "a step is masked unit by unit")
        (whole,) = Cut(steps, {}).sequences([self.value])
        rows = 1 if self.value.type.rank == 0 else self.value.shape[0]
        mask: Value = reshaped(whole, (whole.shape[0], rows))
        mask = mask if rows == batch else ops.Expand((whole.shape[0], batch))(mask)
        made: Value = mask if self.holds else ops.Not()(mask)
        return made


@dataclass(frozen=True)
class Carry:
    """A carry by its number; where the mask does not hold, it is kept."""

    k: int
    mask: Mask | None


def scan_layer(
    node: Node, cells: Cells, read: Callable[[Value], bool], refused: dict[str, str]
) -> Taken | None:
    """The first cell of a Scan's body that can be taken out of it; `read` tells of its outputs."""
    assert isinstance(node.op, ops.Scan)
    steps = Steps(node, node.op)
    for cell in cells.of(node.op.body, refused):
        try:
            taken = _taken(steps, cell, read)
        except Refusal as refusal:
            refused.setdefault(cell.name, str(refusal))
            continue
        if taken is not None:
            return taken
    return None


@dataclass(frozen=True)
class Taken:
    """What stands in the place of a Scan's outputs, and the cell that was taken out."""

    cell: Cell
    changes: Mapping[Value, Value]


def _taken(steps: Steps, cell: Cell, read: Callable[[Value], bool]) -> Taken | None:
    """The outputs of the Scan without `cell`; None if it is no cell of the Scan's carries."""
    h = next((k for v in cell.roles if (k := steps.carry(v, cell.h)) is not None), None)
    c = None if cell.c is None else steps.carry(cell.old_c, cell.c)
    if h is None or (c is None) != (cell.c is None):
        expect(cell.op is ops.RNN, "the Scan does not carry what the cell gives as its next state")
        return None
    expect(c is None or c.mask == h.mask, "h and c are masked in different ways")
    states = [carry.k for carry in (h, c) if carry is not None]
    layer = Layer([cell], cell.roles[steps.inputs[h.k]])
    own = {steps.inputs[k] for k in states} | {v for v in (cell.h, cell.c) if v is not None}
    entering = [*layer.inputs(), *([h.mask.value] if h.mask else [])]
    before = reached(_needed(steps, [], entering, ()), ())
    expect(not before & own, "what enters a step depends on the step before it")
    kept = [k for k in range(steps.op.carries) if k not in states and read(steps.node.outputs[k])]
    shown = [k for k in range(steps.op.carries, len(steps.results)) if read(steps.node.outputs[k])]
    ends = _outputs(steps, cell, h)
    behind = reached(_needed(steps, kept, [steps.results[k] for k in shown], ends), ends)
    expect(not (behind - {*ends}) & own, "its states are read by more than the cell")

    y, *finals = layer.apply(
        Cut(steps, {}).sequences(layer.inputs()),
        [initial_state(steps.outer(steps.inputs[k]), cell.h) for k in states],
        "reverse" if steps.op.reverse else "forward",
        None if h.mask is None else h.mask.sequence(steps, cell.h.shape[0]),
    )
    rest = Cut(steps, dict.fromkeys(ends, y))
    changes = dict(zip((steps.node.outputs[k] for k in states), finals, strict=True))
    stacked = rest.sequences([steps.results[k] for k in shown], kept)
    changes |= zip((steps.node.outputs[k] for k in shown), stacked, strict=True)
    changes |= {steps.node.outputs[k]: rest.finals[k] for k in kept}
    return Taken(cell, changes)


def _outputs(steps: Steps, cell: Cell, h: Carry) -> list[Value]:
    """What the body has that is the operator's y: the new h, as a mask leaves it."""
    if h.mask is None:
        return [cell.h]
    readers = [n for n in steps.op.body.nodes if cell.h in n.inputs]
    masked = all(h.mask.shows(n, cell.h) for n in readers) and cell.h not in steps.results
    expect(masked, "what a masked step gives is read")
    return [steps.results[h.k], cell.h]


def _needed(
    steps: Steps, carries: Iterable[int], values: Sequence[Value], ends: Sequence[Value]
) -> list[Value]:
    """`values`, and what the carries become that they or `carries` depend on."""
    wanted = set(carries)
    while True:
        roots = [*values, *(steps.results[k] for k in sorted(wanted))]
        found = reached(roots, ends)
        more = {k for k in range(steps.op.carries) if steps.inputs[k] in found} | wanted
        if more == wanted:
            return roots
        wanted = more


@dataclass
class Cut:
    """A part of a Scan as a Scan of its own; `given` are sequences for values of the body."""

    steps: Steps
    given: Mapping[Value, Value]

    def __post_init__(self) -> None:
        self.finals: dict[int, Value] = {}

    def sequences(self, values: Sequence[Value], carries: Sequence[int] = ()) -> list[Value]:
        """The values of all steps, `[T, ...]`; `finals` gets the final `carries`."""
        direct = [self._direct(v) for v in values]
        computed = [v for v, d in zip(values, direct, strict=True) if d is None]
        made = iter(self._scan(computed, carries) if computed or carries else [])
        return [next(made) if d is None else d for d in direct]

    def _direct(self, value: Value) -> Value | None:
        """The sequence that `value` is a step of, if it is there."""
        if value in self.given:
            return self.given[value]
        start, end = self.steps.ends
        inputs = self.steps.inputs
        return self.steps.outer(value) if value in inputs[start:end] else None

    def _scan(self, values: Sequence[Value], carries: Sequence[int]) -> list[Value]:
        steps, inputs = self.steps, self.steps.inputs
        found = reached(_needed(steps, carries, values, [*self.given]), [*self.given])
        start, end = steps.ends
        kept = sorted({k for k in range(start) if inputs[k] in found} | {*carries})
        own = {
            v: graphs.input(f"given_{k}", TensorType(v.type.dtype, given.shape[1:]))
            for k, (v, given) in enumerate(self.given.items())
            if v in found
        }
        sequences = [v for v in inputs[start:end] if v in found]
        if not sequences and not own:
            sequences = inputs[start : start + 1]
        captured = [v for v in inputs[end:] if v in found]
        entering = [*(inputs[k] for k in kept), *sequences, *own.values(), *captured]
        roots = dict(enumerate([*(steps.results[k] for k in kept), *values]))
        leaving = substitute(roots, own)
        body = Graph(
            {str(k): v for k, v in enumerate(entering)}, {str(k): v for k, v in leaving.items()}
        )
        op = ops.Scan(body, len(kept), len(sequences) + len(own), steps.op.reverse)
        outer = [
            *(steps.outer(inputs[k]) for k in kept),
            *(steps.outer(v) for v in sequences),
            *(self.given[v] for v in own),
            *(steps.outer(v) for v in captured),
        ]
        outputs = Node(op, outer, steps.node.name).outputs
        self.finals = dict(zip(kept, outputs, strict=False))
        return [*outputs[len(kept) :]]


def reached(roots: Iterable[Value], ends: Iterable[Value]) -> set[Value]:
    """All values that `roots` depend on, `ends` included but nothing behind them."""
    seen: set[Value] = set()
    stop, stack = set(ends), list(roots)
    while stack:
        value = stack.pop()
        if value not in seen:
            seen.add(value)
            stack += [v for v in value.node.inputs if v is not None and value not in stop]
    return seen
