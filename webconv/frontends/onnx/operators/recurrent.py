"""LSTM, GRU, RNN.

T time, B batch, I input size, H hidden size, D directions, G gates. ONNX has weights [D, G * H, K],
with gates i, o, f, g of an LSTM and z, r, n of a GRU, and biases [D, 2 * G * H]: those of the input
before those of the recurrence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import dtypes, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.ops import Unary

# Where the gates i, f, g, o of the LSTM operator stand among those of ONNX.
LSTM_ORDER = (0, 2, 3, 1)

ACTIVATIONS: dict[str, type[Any]] = {
    name.lower(): getattr(ops, name)
    for name in (
        *("Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid"),
        *("Softplus", "Softsign", "Tanh", "ThresholdedRelu"),
    )
}

# Weights of any size are brought into order when converting.
ANY_SIZE = 1 << 62


@dataclass(frozen=True)
class Options:
    """The attributes that all three operators have."""

    activations: Sequence[str]
    activation_alpha: Sequence[float]
    activation_beta: Sequence[float]
    clip: float
    direction: str
    hidden_size: int
    layout: int

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.direction == "bidirectional" else 1

    def functions(self, default: Sequence[str]) -> list[tuple[Unary, ...]]:
        """The activations of each direction; `default` has those of one."""
        names = self.activations or [*default] * self.directions
        if len(names) != len(default) * self.directions:
            raise ModelFormatError(
                f"{len(default) * self.directions} activations are needed, not {len(names)}"
            )
        alphas, betas = iter(self.activation_alpha), iter(self.activation_beta)
        made = [_activation(name, alphas, betas) for name in names]
        count = len(default)
        return [tuple(made[d * count : (d + 1) * count]) for d in range(self.directions)]


def _activation(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Unary:
    """An activation; it takes the next alpha and beta if it has such parameters."""
    kind = ACTIVATIONS.get(name.lower())
    if kind is None:
        known = ", ".join(ACTIVATIONS)
        raise UnsupportedError(f"activation {name!r} is not supported; there are {known}")
    fields = {f.name for f in dataclasses.fields(kind)}
    taken = {
        field: value
        for field, values in (("alpha", alphas), ("beta", betas))
        if field in fields and (value := next(values, None)) is not None
    }
    made: Unary = kind(**taken)
    return made


def _gates(w: Value, order: Sequence[int], what: str) -> Value:
    """Weights `[D, G * H, K]` as `[D, K, G, H]`, gates in `order`."""
    if w.type.rank != 3:
        raise ShapeError(f"{what} must have 3 axes, but it is {w.type}")
    split = _split_gates(w, len(order), what)
    return common.folded(common.transpose(_ordered(split, order), (0, 3, 1, 2)), ANY_SIZE)


def _split_gates(w: Value, gates: int, what: str) -> Value:
    """`[D, G * H, ...]` as `[D, G, H, ...]`."""
    d, rows, *rest = w.shape
    if not isinstance(rows, int) or rows % gates:
        raise ShapeError(f"axis 1 of {what} must be a multiple of {gates}, but it is {w.type}")
    return common.reshape(w, (d, gates, rows // gates, *rest))


def _ordered(w: Value, order: Sequence[int]) -> Value:
    """`w` with the entries of axis 1 in `order`."""
    if [*order] == [*range(len(order))]:
        return w
    return common.concat([common.slice_axis(w, 1, g, g + 1) for g in order], 1)


def _biases(b: Value | None, order: Sequence[int]) -> tuple[Value, Value] | None:
    """The biases of the input and of the recurrence, each `[D, G, H]`."""
    if b is None:
        return None
    if b.type.rank != 2:
        raise ShapeError(f"B must have 2 axes, but it is {b.type}")
    halves = _split_gates(b, 2, "B")
    parts = [_split_gates(common.at(halves, 1, k), len(order), "B") for k in range(2)]
    first, second = (common.folded(_ordered(part, order)) for part in parts)
    return first, second


def _sum(biases: tuple[Value, Value] | None) -> Value | None:
    return None if biases is None else common.folded(ops.Add()(*biases))


def _mask(lengths: Value | None, x: Value) -> Value | None:
    """True where a step [T, B] lies within its sequence; None if all do."""
    if lengths is None:
        return None
    steps = x.shape[0]
    array = lengths.constant
    if array is not None and isinstance(steps, int) and bool((array >= steps).all()):
        return None
    times = common.expand_dims(ops.Iota(steps)(), 1)
    return ops.Less()(times, common.expand_dims(common.cast(lengths, dtypes.i32), 0))


def _unless_empty(final: Value, lengths: Value) -> Value:
    """A final state [D, B, H], 0 for sequences of length 0: what onnxruntime makes of them."""
    if lengths.constant is not None and bool((lengths.constant > 0).all()):
        return final
    some = common.expand_dims(ops.Greater()(lengths, common.scalar(0, lengths)), 0, 2)
    shown: Value = ops.Where()(some, final, common.scalar(0, final))
    return shown


def _run(
    op: type[Any],
    options: Options,
    activations: Sequence[Unary],
    x: Value,
    weights: Sequence[Value | None],
    lengths: Value | None,
    states: Sequence[Value | None],
    **attributes: Any,
) -> tuple[Value, ...]:
    """`op` applied, in ONNX's layouts."""
    if options.layout:
        x = common.swap_axes(x, 0, 1)
        states = [None if s is None else common.swap_axes(s, 0, 1) for s in states]
    hidden = weights[1].shape[-1] if weights[1] is not None else 0
    if options.hidden_size not in (0, hidden):
        raise ModelFormatError(
            f"hidden_size must be that of the weights, but {options.hidden_size} is not {hidden}"
        )
    made = op(
        direction=options.direction,
        activations=tuple(activations),
        clip=float(options.clip),
        masked_output="zero",
        **attributes,
    )
    y, *finals = made(x, *weights, *states, _mask(lengths, x))
    if lengths is not None and any(s is not None for s in states):
        finals = [_unless_empty(f, lengths) for f in finals]
    if options.layout:
        return (common.swap_axes(y, 0, 1), *(common.swap_axes(f, 0, 1) for f in finals))
    return (common.swap_axes(y, 1, 2), *finals)


@operator("RNN", since=7)
def rnn(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int = 0,
    layout: int = 0,
) -> Any:
    """h' = f(x w + h r + b)."""
    options = Options(
        activations, activation_alpha, activation_beta, clip, direction, hidden_size, layout
    )
    functions = [f for each in options.functions(["Tanh"]) for f in each]
    weights = [_gates(w, (0,), "W"), _gates(r, (0,), "R"), _sum(_biases(b, (0,)))]
    return _run(ops.RNN, options, functions, x, weights, sequence_lens, [initial_h])


@operator("GRU", since=7)
def gru(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int = 0,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Any:
    """Gates z, r, n; `linear_before_reset` multiplies h by its weights before the reset gate."""
    options = Options(
        activations, activation_alpha, activation_beta, clip, direction, hidden_size, layout
    )
    functions = [f for each in options.functions(["Sigmoid", "Tanh"]) for f in each]
    order = (0, 1, 2)
    biases = _biases(b, order)
    bias, inner = _sum(biases), None
    if biases is not None and bias is not None and linear_before_reset:
        summed, own = common.slice_axis(bias, 1, 0, 2), common.slice_axis(biases[0], 1, 2, 3)
        bias = common.folded(common.concat([summed, own], 1))
        inner = common.folded(common.at(biases[1], 1, 2))
    weights = [_gates(w, order, "W"), _gates(r, order, "R"), bias, inner]
    after = bool(linear_before_reset)
    return _run(
        ops.GRU, options, functions, x, weights, sequence_lens, [initial_h], reset_after=after
    )


@operator("LSTM", since=7)
def lstm(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int = 0,
    input_forget: int = 0,
    layout: int = 0,
) -> Any:
    """Gates i, o, f, g with peepholes of i, o, f."""
    options = Options(
        activations, activation_alpha, activation_beta, clip, direction, hidden_size, layout
    )
    functions = [
        f
        for gate, cell, hidden in options.functions(["Sigmoid", "Tanh", "Tanh"])
        for f in (gate, gate, cell, gate, hidden)
    ]
    peepholes = None
    if p is not None:
        peepholes = common.folded(_ordered(_split_gates(p, 3, "P"), (0, 2, 1)))
    weights = [
        _gates(w, LSTM_ORDER, "W"),
        _gates(r, LSTM_ORDER, "R"),
        _sum(_biases(b, LSTM_ORDER)),
        peepholes,
    ]
    states = [initial_h, initial_c]
    forget = bool(input_forget)
    return _run(
        ops.LSTM, options, functions, x, weights, sequence_lens, states, input_forget=forget
    )
