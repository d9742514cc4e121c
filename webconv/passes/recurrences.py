"""LSTM, GRU and RNN layers that a model has written out in primitive operators.

Exporters unroll a recurrence (`static_rnn` of TensorFlow, cells in a Python loop) or put one step
into the body of a Scan (`dynamic_rnn`). Either becomes one recurrent operator: the weights are
gathered, the gates brought into order, what is added to a gate goes into its bias. Steps of another
form that are unrolled, or cells with a mask around them, become a Scan first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from webconv.ir import ops
from webconv.ir.graph import Graph, Program
from webconv.passes.algebra import add_negative, drop_cast, drop_identity
from webconv.passes.constants import fold_constants
from webconv.passes.driver import Explain, Refusal, expect, rewrite
from webconv.passes.movement import MOVEMENT
from webconv.passes.recurrences_bodies import step_by_counter, take_constants
from webconv.passes.recurrences_cells import Cell, Cells
from webconv.passes.recurrences_layers import Layer, layers
from webconv.passes.recurrences_loops import has_steps, rolled
from webconv.passes.recurrences_masks import (
    choose_by_mask,
    narrow_condition,
    reshape_before_expand,
    slice_before_expand,
)
from webconv.passes.recurrences_scan import reached, scan_layer
from webconv.passes.recurrences_stacks import stack_of_results, stack_of_shapes, steps_of_scan
from webconv.passes.recurrences_steps import last_of_steps, stack_of_steps, step, step_by_index
from webconv.passes.recurrences_totals import totals_of_steps
from webconv.passes.substitute import rewire

# What must be gone before cells are looked for; more would hide the first step's states.
PREPARE = (
    step_by_counter,
    take_constants,
    step_by_index,
    fold_constants,
    add_negative,
    drop_identity,
    drop_cast,
    choose_by_mask,
    narrow_condition,
    slice_before_expand,
    reshape_before_expand,
    *MOVEMENT,
)

# What is done to each step of a sequence is done to all of them.
TOGETHER = (*MOVEMENT, stack_of_steps, stack_of_shapes, stack_of_results, steps_of_scan)


@dataclass(frozen=True)
class Recognised:
    """A layer that was found: its operator, its name, and the number of cells it was."""

    op: str
    name: str
    cells: int


@dataclass
class Recognition:
    """What was found, and by name why other cells were left as they are."""

    layers: list[Recognised] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, last: Cell, cells: int) -> None:
        """A layer was found; `last` is its last cell."""
        self.layers.append(Recognised(last.op.__name__, last.name, cells))

    @property
    def cells(self) -> int:
        """The number of cells that became layers."""
        return sum(layer.cells for layer in self.layers)


def recognise_recurrences(program: Program, explain: Explain | None = None) -> Program:
    """`program` with written-out recurrences as recurrent operators."""
    program, found = recognise(program)
    for name, reason in found.refused.items():
        if explain is not None:
            explain(f"{name}: recognise_recurrences: {reason}")
    return program


def recognise(program: Program) -> tuple[Program, Recognition]:
    """The same, and what was found."""
    found = Recognition()
    if not any(_may_hold_cells(graph) for graph in program.entries.values()):
        return program, found
    prepared = made = rewrite(program, PREPARE)
    while True:
        made = _changed(made, lambda graph: _recognised(graph, found, 2))
        # What a loop's body does to the steps of another is one thing to all of them now.
        together = _together(made)
        count = len(found.layers)
        made = _changed(together, lambda graph: _with_scan(graph, found))
        if len(found.layers) == count:
            break
    # A single cell may be a step of a loop of another form, so those come last.
    made = _changed(made, lambda graph: _recognised(graph, found, 1))
    if not found.layers:
        return prepared, found
    # A stack is told by its last step, so that is not replaced before.
    return rewrite(_together(made), (*MOVEMENT, last_of_steps)), found


def _changed(program: Program, change: Callable[[Graph], Graph]) -> Program:
    """`program` with all entries changed."""
    return replace(program, entries={n: change(graph) for n, graph in program.entries.items()})


def _together(program: Program) -> Program:
    """`program` with what is done to each step done to all of them at once."""
    return rewrite(_changed(program, totals_of_steps), TOGETHER)


def _may_hold_cells(graph: Graph) -> bool:
    """True unless there is nothing that could be a cell."""
    held = (v for n in graph.nodes for v in vars(n.op).values() if isinstance(v, Graph))
    kinds = {type(n.op) for n in graph.nodes}
    return ops.MatMul in kinds or has_steps(graph) or any(_may_hold_cells(body) for body in held)


def _recognised(graph: Graph, found: Recognition, fewest: int) -> Graph:
    """`graph` with its layers of at least so many cells as operators, one after another."""
    cells = Cells()
    while True:
        refused: dict[str, str] = {}
        changed = _next_layer(graph, cells, found, refused, fewest)
        changed = changed or _next_scan(graph, cells, found, refused)
        changed = changed or _next_loop(graph, cells, found)
        if changed is None:
            found.refused = refused | found.refused
            return graph
        graph = changed


def _next_layer(
    graph: Graph, cells: Cells, found: Recognition, refused: dict[str, str], fewest: int
) -> Graph | None:
    """`graph` with its first layer of so many cells that is written out as an operator."""
    for layer in layers(cells.of(graph, refused)):
        if len(layer.cells) < fewest:
            continue
        try:
            changed = _replaced(graph, layer)
        except Refusal as refusal:
            refused[layer.last.name] = str(refusal)
            continue
        found.add(layer.last, len(layer.cells))
        return changed
    return None


def _next_scan(
    graph: Graph, cells: Cells, found: Recognition, refused: dict[str, str]
) -> Graph | None:
    """`graph` with the first cell in a Scan's body as an operator."""
    read = {v for node in graph.nodes for v in node.inputs}
    read |= {*graph.outputs.values(), *graph.writes.values()}
    for node in graph.nodes:
        if isinstance(node.op, ops.Scan):
            taken = scan_layer(node, cells, read.__contains__, refused)
            if taken is not None:
                found.add(taken.cell, 1)
                return rewire(graph, taken.changes)
    return None


def _next_loop(graph: Graph, cells: Cells, found: Recognition) -> Graph | None:
    """`graph` with a loop whose cell is an operator then."""
    for loop in rolled(graph, deep=True):
        taken = scan_layer(loop.scan, cells, loop.read.__contains__, {})
        if taken is not None:
            found.add(taken.cell, loop.count)
            return rewire(rewire(graph, loop.changes), taken.changes)
    return None


def _with_scan(graph: Graph, found: Recognition) -> Graph:
    """`graph` with a loop of any other form as a Scan, if there is one."""
    for loop in rolled(graph, deep=False):
        found.layers.append(Recognised("Scan", loop.scan.name, loop.count))
        return rewire(graph, loop.changes)
    return graph


def _replaced(graph: Graph, layer: Layer) -> Graph:
    """`graph` with one layer as an operator."""
    states = {v for cell in layer.cells for v in (cell.h, cell.c) if v is not None}
    inputs = layer.inputs()
    expect(not reached(inputs, ()) & states, "what enters a step depends on the step before it")
    hidden = [cell.h for cell in layer.cells]
    last = layer.last
    ends = [*hidden, *([last.c] if last.c is not None else [])]
    roots = [*graph.outputs.values(), *graph.writes.values()]
    still_read = reached(roots, ends)
    inside = [cell.c for cell in layer.cells[:-1] if cell.c in still_read]
    expect(not inside, "the state c of a step before the last is read elsewhere")
    y, *finals = layer.apply(layer.sequences(), layer.initial())
    several = any(h in still_read for h in hidden[:-1])
    changes = {h: step(y, t) for t, h in enumerate(hidden)}
    if not several:
        changes[last.h] = finals[0]
    if last.c is not None:
        changes[last.c] = finals[1]
    return rewire(graph, changes)
