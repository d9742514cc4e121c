"""Recurrent cells: what one step does, and the fused operator that does all steps at once.

A cell's function gives a `Cell`. Its `step` is written in plain operators and always works; `fused`
is there if every activation of the cell is one operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.keras.layers.activations import Activation
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array
from webconv.ir.ops import Unary

Step = Callable[[Value, Sequence[Value]], tuple[Value, Sequence[Value]]]


@dataclass(frozen=True)
class Fused:
    """A Recurrent operator: its class, activations and attributes, and weights by input name."""

    op: type[Any]
    activations: tuple[Unary, ...]
    arrays: Mapping[str, Array | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """What a cell is made of.

    `shapes` gives the states' shapes without the batch (the first is the output's) for an input
    [T, B, ...], and `names` what they are called. `prepare` does what needs no state for all steps
    at once; `step(x, states)` takes one step of that, and gives the output and the next states.
    """

    shapes: Callable[[Value], Sequence[tuple[Dim, ...]]]
    names: Sequence[str]
    step: Step
    fused: Fused | None = None
    prepare: Callable[[Value], Value] = lambda x: x


def vectors(units: int, count: int) -> Callable[[Value], Sequence[tuple[Dim, ...]]]:
    """`count` states of `units` numbers."""
    return lambda x: [(units,)] * count


TANH, SIGMOID = Activation("tanh"), Activation("sigmoid")


def _gates(layer: Layer, units: int, gates: int) -> tuple[Array, Array]:
    """The kernels as [I, G, H] and [H, G, H]."""
    w = layer.array("kernel", None, gates * units)
    r = layer.array("recurrent_kernel", units, gates * units)
    return w.reshape(-1, gates, units), r.reshape(units, gates, units)


def _fused(
    layer: Layer,
    op: type[Any],
    activations: Sequence[Activation],
    arrays: Mapping[str, Array | None],
    **attributes: Any,
) -> Fused | None:
    """The fused form, or None if an activation is no single operator."""
    if any(layer.plugin_function(a.name) for a in activations):
        return None
    operators = [a.operator(layer.dialect) for a in activations]
    if not all(operators):
        return None
    return Fused(op, tuple(o for o in operators if o), arrays, attributes)


def _product(layer: Layer, name: str, array: Array) -> Callable[[Value], Value]:
    """x -> x @ array, for weights [I, G, H]; the result is [B, G * H]."""
    flat = array.reshape(array.shape[0], -1)
    return lambda x: ops.MatMul()(x, layer.constant(name, lambda: flat))


def _inputs(layer: Layer, w: Array, b: Array | None) -> Callable[[Value], Value]:
    """x -> x w + b, which needs no state."""
    return lambda x: _plus(layer, _product(layer, "w", w)(x), "b", b)


def _plus(layer: Layer, x: Value, name: str, array: Array | None) -> Value:
    """x + array, if there is one."""
    if array is None:
        return x
    return ops.Add()(x, layer.constant(name, lambda: array.reshape(-1)))


def simple_rnn_cell(
    layer: Layer, *, units: Positive, activation: Activation = TANH, use_bias: bool = True
) -> Cell:
    """h' = activation(x w + h r + b)."""
    w, r = _gates(layer, units, 1)
    b = layer.array("bias", units).reshape(1, units) if use_bias else None

    def step(x: Value, states: Sequence[Value]) -> tuple[Value, Sequence[Value]]:
        h = activation.apply(layer, ops.Add()(x, _product(layer, "r", r)(states[0])))
        return h, [h]

    fused = _fused(layer, ops.RNN, [activation], {"w": w, "r": r, "b": b})
    return Cell(vectors(units, 1), ["h"], step, fused, _inputs(layer, w, b))


def lstm_cell(
    layer: Layer,
    *,
    units: Positive,
    activation: Activation = TANH,
    recurrent_activation: Activation = SIGMOID,
    use_bias: bool = True,
) -> Cell:
    """Gates i, f, c, o; c' = f c + i g, h' = o activation(c')."""
    w, r = _gates(layer, units, 4)
    b = None
    if use_bias and layer.stored("bias").shape == (8 * units,):
        w, r = _from_cudnn(w, 4), _transposed(r)
        b = layer.array("bias", 8 * units).reshape(2, 4, units).sum(0)
    elif use_bias:
        b = layer.array("bias", 4 * units).reshape(4, units)

    def step(x: Value, states: Sequence[Value]) -> tuple[Value, Sequence[Value]]:
        h, c = states
        total = ops.Add()(x, _product(layer, "r", r)(h))
        i, f, g, o = common.split(total, [units] * 4, -1)
        i, f, o = (recurrent_activation.apply(layer, gate) for gate in (i, f, o))
        g = activation.apply(layer, g)
        c = ops.Add()(ops.Mul()(f, c), ops.Mul()(i, g))
        h = ops.Mul()(o, activation.apply(layer, c))
        return h, [h, c]

    chosen = [*[recurrent_activation] * 2, activation, recurrent_activation, activation]
    fused = _fused(layer, ops.LSTM, chosen, {"w": w, "r": r, "b": b, "p": None})
    return Cell(vectors(units, 2), ["h", "c"], step, fused, _inputs(layer, w, b))


def gru_cell(
    layer: Layer,
    *,
    units: Positive,
    activation: Activation = TANH,
    recurrent_activation: Activation = SIGMOID,
    use_bias: bool = True,
    reset_after: bool = True,
) -> Cell:
    """Gates z, r, n; n sees r * h, or r * (h rn + rb) with `reset_after`; h' = z h + (1 - z) n."""
    w, r = _gates(layer, units, 3)
    b: Array | None = None
    rb: Array | None = None
    if use_bias:
        raw = layer.stored("bias")
        if raw.shape == (6 * units,):
            w, r = _from_cudnn(w, 3), _transposed(r)
        elif raw.shape != ((2, 3 * units) if reset_after else (3 * units,)):
            wanted = [2, 3 * units] if reset_after else [3 * units]
            raise ShapeError(f"weight bias must have shape {wanted}, but it has {list(raw.shape)}")
        parts = layer.cast(raw).reshape(-1, 3, units)
        b = parts[0]
        if len(parts) == 2:
            b, rb = np.concatenate([parts.sum(0)[:2], parts[0, 2:]]), parts[1, 2]

    def step(x: Value, states: Sequence[Value]) -> tuple[Value, Sequence[Value]]:
        (h,) = states
        xz, xr, xn = common.split(x, [units] * 3, -1)
        hz, hr = common.split(_product(layer, "r_gates", r[:, :2])(h), [units] * 2, -1)
        z = recurrent_activation.apply(layer, ops.Add()(xz, hz))
        reset = recurrent_activation.apply(layer, ops.Add()(xr, hr))
        recur = _product(layer, "r_new", r[:, 2:])
        if reset_after:
            hn = ops.Mul()(reset, _plus(layer, recur(h), "rb", rb))
        else:
            hn = recur(ops.Mul()(reset, h))
        n = activation.apply(layer, ops.Add()(xn, hn))
        h = ops.Add()(n, ops.Mul()(z, ops.Sub()(h, n)))
        return h, [h]

    arrays = {"w": w, "r": r, "b": b, "rb": rb}
    chosen = [recurrent_activation, activation]
    fused = _fused(layer, ops.GRU, chosen, arrays, reset_after=reset_after)
    return Cell(vectors(units, 1), ["h"], step, fused, _inputs(layer, w, b))


def _from_cudnn(w: Array, gates: int) -> Array:
    """Input kernels as cuDNN orders them: each gate's array is the transpose in memory."""
    i, _, units = w.shape
    parts = [w[:, g].T.reshape((i, units), order="F") for g in range(gates)]
    return np.stack(parts, 1)


def _transposed(r: Array) -> Array:
    """Recurrent kernels of cuDNN, gate by gate transposed."""
    return np.ascontiguousarray(r.transpose(2, 1, 0))


CELL_IGNORES = (
    "dropout recurrent_dropout implementation unit_forget_bias seed use_cudnn units_output"
)
WEIGHTS = "kernel recurrent_kernel bias?use_bias"
Mode = Literal[0, 1, 2]

RULES: Mapping[str, Rule] = {
    "SimpleRNNCell": Rule(simple_rnn_cell, WEIGHTS, CELL_IGNORES),
    "LSTMCell": Rule(lstm_cell, WEIGHTS, CELL_IGNORES),
    "GRUCell": Rule(gru_cell, WEIGHTS, CELL_IGNORES),
}
