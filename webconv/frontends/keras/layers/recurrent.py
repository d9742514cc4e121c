"""RNN, LSTM, GRU, SimpleRNN, Bidirectional: cells run over time.

T time, B batch, D directions. Sequences are [B, T, ...] outside and [T, B, ...] inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.common import scalar
from webconv.frontends.keras.layers.cells import Cell, Fused
from webconv.frontends.keras.layers.scan import scan
from webconv.frontends.keras.tree import Layer, Rule, Tensor
from webconv.ir import dtypes, ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array, TensorType


@dataclass(frozen=True)
class Run:
    """One direction of a recurrence: the cell, the way it goes, its initial states or None."""

    layer: Layer
    cell: Cell
    reverse: bool
    states: Sequence[Value] | None


@dataclass(frozen=True)
class Result:
    """y [T, B, D, ...] in the order of time, last [B, D, ...], states [B, ...] by direction."""

    y: Value
    last: Value
    states: Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Masking:
    """The mask bool [T, B], and what a masked step gives.

    That is 0 with `zero`, else the output before; and 0 if there is none yet, even with an initial
    state, except where `holds_initial` (the JAX and NumPy backends of Keras 3).
    """

    mask: Value | None
    zero: bool
    holds_initial: bool


def run(runs: Sequence[Run], x: Value, masking: Masking) -> Result:
    """Runs one cell over x [T, B, ...], or both directions of one operator."""
    fused = [r.cell.fused for r in runs]
    if all(fused):
        return _run_fused(runs, [f for f in fused if f], x, masking)
    (one,) = runs
    return scan(one, x, masking)


def fit_together(runs: Sequence[Run]) -> bool:
    """True if two runs are the two directions of one operator."""
    forward, backward = runs
    a, b = forward.cell.fused, backward.cell.fused
    if a is None or b is None or forward.reverse or not backward.reverse:
        return False
    same = a.op is b.op and a.attributes == b.attributes
    shapes = [
        {k: None if v is None else v.shape for k, v in fused.arrays.items()} for fused in (a, b)
    ]
    return same and shapes[0] == shapes[1] and (forward.states is None) == (backward.states is None)


def _run_fused(runs: Sequence[Run], fused: Sequence[Fused], x: Value, masking: Masking) -> Result:
    direction = "bidirectional" if len(runs) == 2 else "reverse" if runs[0].reverse else "forward"
    activations = tuple(a for f in fused for a in f.activations)
    op = fused[0].op(
        direction=direction,
        activations=activations,
        masked_output="zero" if masking.zero else "hold",
        **fused[0].attributes,
    )
    weights = [_weight(runs, fused, name) for name in fused[0].arrays]
    states = [
        None if runs[0].states is None else common.stack([r.states[k] for r in runs if r.states], 0)
        for k in range(op.states)
    ]
    y, *finals = op(x, *weights, *states, masking.mask)
    last = common.swap_axes(finals[0], 0, 1)
    given = runs[0].states is not None
    y, last = _masked_outputs(runs, y, last, masking, given)
    by_direction = [[common.at(f, 0, d) for f in finals] for d in range(len(runs))]
    return Result(y, last, by_direction)


def _weight(runs: Sequence[Run], fused: Sequence[Fused], name: str) -> Value | None:
    """The weight `name` of all directions, stacked to [D, ...]."""
    arrays = [f.arrays[name] for f in fused]
    found: list[Array] = [a for a in arrays if a is not None]
    return runs[0].layer.constant(name, lambda: np.stack(found)) if found else None


def _masked_outputs(
    runs: Sequence[Run], y: Value, last: Value, masking: Masking, given: bool
) -> tuple[Value, Value]:
    """Outputs as Keras has them where the operator's differ: see `Masking`."""
    mask = masking.mask
    if mask is None:
        return y, last
    if masking.zero:
        ends = [common.at(mask, 0, 0 if r.reverse else -1) for r in runs]
        shown = common.expand_dims(common.stack(ends, 1), 2)
        return y, ops.Where()(shown, last, scalar(0, last))
    if not given or masking.holds_initial:
        return y, last
    counts = common.cast(mask, dtypes.i32)
    seen = [ops.CumSum(0, reverse=r.reverse)(counts) for r in runs]
    seen_by = common.cast(common.expand_dims(common.stack(seen, 2), 3), dtypes.bool_)
    ever = common.expand_dims(common.any_along(mask, 0), 1, 2)
    return (
        ops.Where()(seen_by, y, scalar(0, y)),
        ops.Where()(ever, last, scalar(0, last)),
    )


@dataclass(frozen=True)
class Stack:
    """The cells of a recurrent layer, the one nearest to the input first, and their states.

    `states` has per cell what the call gave or the last run left, or None for zeros.
    """

    layer: Layer
    cells: Sequence[tuple[Layer, Cell]]
    states: Sequence[Sequence[Value] | None]

    @property
    def runs(self) -> list[Run]:
        """Each cell as a run of its own."""
        reverse = self.layer.config.get("go_backwards", False)
        pairs = zip(self.cells, self.states, strict=True)
        return [Run(part, cell, reverse, states) for (part, cell), states in pairs]

    def over(self, x: Value, masking: Masking) -> Result:
        """The result of the last cell over x [T, B, ...], with the states of all."""
        finals: list[Value] = []
        result = None
        for one in self.runs:
            result = run([one], x, masking)
            x = common.squeeze(result.y, 2)
            finals += result.states[0]
        assert result is not None
        return Result(result.y, result.last, [finals])

    def keep(self, finals: Sequence[Value]) -> None:
        """Leave the states for the next run, if the layer is stateful."""
        if self.layer.config.get("stateful", False):
            for name, value in zip(_state_names(self.layer, self.cells), finals, strict=True):
                self.layer.tracer.write_state(name, value)


def stack_of(layer: Layer, x: Value, given: Sequence[Value] | None) -> Stack:
    """The cells of a recurrent layer with their initial states."""
    inner = layer.children["cell"]
    parts = list(inner.children.values()) if inner.class_name == "StackedRNNCells" else [inner]
    if not parts:
        raise ShapeError("at least one cell is needed")
    cells = []
    for part in parts:
        part.tracer = layer.tracer
        made = part.rule.function(part, **part.config)
        if not isinstance(made, Cell):
            raise ShapeError(f"{part.label} is no recurrent cell")
        cells.append((part, made))
    return Stack(layer, cells, _initial_states(layer, cells, x, given))


def _state_names(layer: Layer, cells: Sequence[tuple[Layer, Cell]]) -> list[str]:
    own = layer.tracer.own_name(layer)
    return [f"{own}/{name}" for name in _own_names(cells)]


def _own_names(cells: Sequence[tuple[Layer, Cell]]) -> list[str]:
    """What the states are called within their layer: `h` and `c`, of several cells `0/h`."""
    several = len(cells) > 1
    return [
        f"{k}/{name}" if several else name
        for k, (_, cell) in enumerate(cells)
        for name in cell.names
    ]


def _initial_states(
    layer: Layer, cells: Sequence[tuple[Layer, Cell]], x: Value, given: Sequence[Value] | None
) -> list[list[Value] | None]:
    counts = [len(cell.names) for _, cell in cells]
    stateful = layer.config.get("stateful", False)
    if given:
        if len(given) != sum(counts):
            raise ShapeError(f"{sum(counts)} initial states are needed, but {len(given)} are given")
        flat = [common.cast(s, layer.dtype) for s in given]
        if not stateful:
            names = _own_names(cells)
            flat = [layer.tracer.start_of(layer, n, s) for n, s in zip(names, flat, strict=True)]
        elif layer.dialect.is_tf_keras:
            flat = _unless_carried(_held_states(layer, cells, x), flat)
    elif stateful:
        flat = _held_states(layer, cells, x)
    else:
        return [None] * len(cells)
    rest = iter(flat)
    return [[next(rest) for _ in range(n)] for n in counts]


def _held_states(layer: Layer, cells: Sequence[tuple[Layer, Cell]], x: Value) -> list[Value]:
    """What the last run left."""
    shapes = [shape for _, cell in cells for shape in cell.shapes(x)]
    types = [TensorType(layer.dtype, (x.shape[1], *shape)) for shape in shapes]
    names = _state_names(layer, cells)
    return [layer.tracer.read_state(n, t) for n, t in zip(names, types, strict=True)]


def _unless_carried(held: Sequence[Value], given: Sequence[Value]) -> list[Value]:
    """The states that a call gives, where the last run left zeros only: so it is in tf.keras."""
    carried = common.not_equal(*[scalar(0, held[0])] * 2)
    for state in held:
        size = ops.ReduceMax(tuple(range(state.type.rank)))(ops.Abs()(state))
        carried = ops.Or()(carried, common.not_equal(size, scalar(0, size)))
    return [ops.Where()(carried, h, g) for h, g in zip(held, given, strict=True)]


def rnn(
    layer: Layer,
    x: Value,
    *,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    mask: Value | None = None,
    initial_state: list[Value] | None = None,
) -> Any:
    """Cells run over time, one above the other."""
    steps = x if time_major else common.swap_axes(x, 0, 1)
    masking = masking_of(layer, mask, zero_output_for_mask, time_major)
    stack = stack_of(layer, steps, initial_state)
    result = stack.over(steps, masking)
    (finals,) = result.states
    stack.keep(finals)
    output = common.squeeze(result.last, 1)
    if return_sequences:
        y = common.squeeze(result.y, 2)
        y = common.flip(y, 0) if go_backwards else y
        output = y if time_major else common.swap_axes(y, 0, 1)
    tensor = Tensor(output, mask if return_sequences else None)
    return [tensor, *finals] if return_state else tensor


def masking_of(layer: Layer, mask: Value | None, zero: bool, time_major: bool) -> Masking:
    """The mask of a layer's steps, and how its Keras treats them."""
    if mask is not None:
        mask = common.cast(mask, dtypes.bool_)
        mask = mask if time_major else common.swap_axes(mask, 0, 1)
    return Masking(mask, zero, layer.dialect.holds_initial)


def stacked_cells(layer: Layer) -> None:
    """Cells one above the other; `rnn` runs them."""


RNN_IGNORES = "unroll input_dim input_length cell"
CELL = Rule(rnn, ignores=RNN_IGNORES, children=lambda c: {"cell": c.get("cell")})


def _stacked(config: Mapping[str, Any]) -> Mapping[str, Any]:
    cells = config.get("cells")
    return {f"cells/{k}": c for k, c in enumerate(cells if isinstance(cells, list) else [])}


RULES: Mapping[str, Rule] = {
    "RNN": CELL,
    "LSTM": CELL,
    "GRU": CELL,
    "SimpleRNN": CELL,
    "StackedRNNCells": Rule(stacked_cells, ignores="cells", children=_stacked),
}
