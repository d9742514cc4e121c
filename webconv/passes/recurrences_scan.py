"""A cell in the body of a Scan, taken out of it as a recurrent operator.

What the body does before the cell becomes a Scan of its own in front of the operator, and what it
does after it one behind; often nothing is left of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from webconv.ir import graph as graphs
from webconv.ir import ops
from webconv.ir.graph import Graph, Node, Value
from webconv.ir.op import TensorType
from webconv.passes.driver import Refusal, Uses, expect
from webconv.passes.recurrences_cells import Cell, Cells
from webconv.passes.recurrences_layers import Layer, initial_state
from webconv.passes.substitute import rewire, substitute


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

    def carry(self, before: Value | None, after: Value | None) -> int | None:
        """The carry that enters as `before` and leaves as `after`."""
        for k in range(self.op.carries):
            if self.inputs[k] is before and self.results[k] is after:
                return k
        return None


def scan_layers(node: Node, read: Callable[[Value], bool], refused: dict[str, str]) -> Taken | None:
    """The first cell of a Scan's body that can be taken out of it."""
    assert isinstance(node.op, ops.Scan)
    steps = Steps(node, node.op)
    cells = Cells()
    for cell in cells.of(node.op.body):
        try:
            taken = _taken(steps, cell, read)
        except Refusal as refusal:
            cells.refused[cell.name] = str(refusal)
            continue
        if taken is not None:
            return taken
    refused |= cells.refused
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
    states = [k for k in (h, c) if k is not None]
    if cell.op is ops.RNN and len(cell.roles) < 2:
        return None
    layer = Layer([cell], cell.roles[steps.inputs[h]])
    own = {steps.inputs[k] for k in states} | {v for v in (cell.h, cell.c) if v is not None}
    entering = layer.inputs()
    before = reached(_needed(steps, [], entering, ()), ())
    expect(not before & own, "what enters a step depends on the step before it")
    others = [k for k in range(steps.op.carries) if k not in states]
    kept = [k for k in others if read(steps.node.outputs[k])]
    shown = [k for k in range(steps.op.carries, len(steps.results)) if read(steps.node.outputs[k])]
    behind = reached(_needed(steps, kept, [steps.results[k] for k in shown], [cell.h]), [cell.h])
    expect(not behind & (own - {cell.h}), "its states are read by more than the cell")

    x = Cut(steps, {}).sequences(entering)
    start = [initial_state(steps.outer(steps.inputs[k]), cell.h) for k in states]
    y, *finals = layer.apply(x, start, "reverse" if steps.op.reverse else "forward")
    rest = Cut(steps, {cell.h: y})
    changes = dict(zip((steps.node.outputs[k] for k in states), finals, strict=True))
    stacked = rest.sequences([steps.results[k] for k in shown], kept)
    changes |= zip((steps.node.outputs[k] for k in shown), stacked, strict=True)
    changes |= {steps.node.outputs[k]: rest.finals[k] for k in kept}
    return Taken(cell, changes)


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
            v: graphs.input(f"given_{k}", TensorType(v.type.dtype, v.shape))
            for k, v in enumerate(self.given)
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


def take_constants(node: Node, uses: Uses) -> tuple[Value, ...] | None:
    """scan(..., constant) -> scan(...), with the constant in the body"""
    if not isinstance(node.op, ops.Scan):
        return None
    end = node.op.carries + node.op.sequences
    names = list(node.op.body.inputs)
    moved = {
        names[k]: v for k, v in enumerate(node.inputs) if k >= end and v and v.constant is not None
    }
    if not moved:
        return None
    inputs = node.op.body.inputs
    body = rewire(
        node.op.body,
        {inputs[name]: v for name, v in moved.items()},
        {name: v for name, v in inputs.items() if name not in moved},
    )
    op = ops.Scan(body, node.op.carries, node.op.sequences, node.op.reverse)
    rest = [v for name, v in zip(names, node.inputs, strict=True) if name not in moved]
    return Node(op, rest, node.name).outputs
