"""Convolutional LSTMs: cells whose products are convolutions, run by the Scan operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from webconv.frontends import common
from webconv.frontends.keras.layers.activations import Activation
from webconv.frontends.keras.layers.cells import CELL_IGNORES, SIGMOID, TANH, WEIGHTS, Cell
from webconv.frontends.keras.layers.recurrent import CELL
from webconv.frontends.keras.layers.windows import DataFormat, Sizes, pads, per_axis
from webconv.frontends.keras.schema import Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array
from webconv.ir.ops.linear import Pads, pooled_size


@dataclass(frozen=True)
class ConvLSTM:
    """An LSTM cell (Shi 2015): gates i, f, c, o of convolved input and state."""

    layer: Layer
    filters: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str
    channels_first: bool
    activation: Activation
    recurrent_activation: Activation
    use_bias: bool

    def weight(self, name: str, inputs: int | None) -> Value:
        """A kernel [K, I, 4 * filters]."""

        def make() -> Array:
            w = self.layer.array(name, *self.kernel, inputs, 4 * self.filters)
            flips = self.layer.dialect.flips_kernels
            return np.flip(w, tuple(range(len(self.kernel)))) if flips else w

        return self.layer.constant(name, make)

    def pads(self, spatial: Sequence[Dim]) -> Pads:
        """The zeros around the input."""
        return pads(self.padding, spatial, self.kernel, self.strides, self.dilations)

    def prepare(self, x: Value) -> Value:
        """The input's part of all gates for all steps at once, channels last."""
        lead = x.shape[:2]
        flat = common.reshape(x, (dims.product(lead), *x.shape[2:]))
        flat = common.channels_last(flat) if self.channels_first else flat
        op = ops.Conv(self.strides, self.dilations, self.pads(flat.shape[1:-1]))
        y = op(flat, self.weight("kernel", None))
        y = ops.Add()(y, self.layer.weight("bias", 4 * self.filters)) if self.use_bias else y
        return common.reshape(y, (*lead, *y.shape[1:]))

    def step(self, x: Value, states: Sequence[Value]) -> tuple[Value, Sequence[Value]]:
        """One step on the input's part of the gates."""
        layer, gate = self.layer, self.recurrent_activation
        h, c = (common.channels_last(s) if self.channels_first else s for s in states)
        ones = (1,) * len(self.kernel)
        op = ops.Conv(ones, ones, pads("same", h.shape[1:-1], self.kernel, ones, ones))
        total = ops.Add()(x, op(h, self.weight("recurrent_kernel", self.filters)))
        i, f, g, o = common.split(total, [self.filters] * 4, -1)
        kept = ops.Mul()(gate.apply(layer, f), c)
        c = ops.Add()(kept, ops.Mul()(gate.apply(layer, i), self.activation.apply(layer, g)))
        h = ops.Mul()(gate.apply(layer, o), self.activation.apply(layer, c))
        new = [common.channels_first(s) if self.channels_first else s for s in (h, c)]
        return new[0], new

    def shapes(self, x: Value) -> Sequence[tuple[Dim, ...]]:
        """The states' shapes for an input [T, B, ...]; raises ShapeError if its rank is wrong."""
        rank = len(self.kernel) + 3
        if x.type.rank != rank:
            raise ShapeError(f"the input must have {rank} axes, but it is {x.type}")
        spatial = x.shape[3:] if self.channels_first else x.shape[2:-1]
        around = self.pads(spatial)
        each = zip(spatial, self.kernel, self.strides, self.dilations, around, strict=True)
        out = [pooled_size(n, k, s, d, p) for n, k, s, d, p in each]
        return [(self.filters, *out) if self.channels_first else (*out, self.filters)] * 2


def _conv_lstm_cell(rank: int) -> Callable[..., Cell]:
    def conv_lstm_cell(
        layer: Layer,
        *,
        filters: Positive,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Literal["valid", "same"] = "valid",
        data_format: DataFormat = None,
        dilation_rate: Sizes = 1,
        activation: Activation = TANH,
        recurrent_activation: Activation = SIGMOID,
        use_bias: bool = True,
    ) -> Cell:
        """See `ConvLSTM`."""
        made = ConvLSTM(
            layer,
            filters,
            per_axis(kernel_size, rank, "kernel_size"),
            per_axis(strides, rank, "strides"),
            per_axis(dilation_rate, rank, "dilation_rate"),
            padding,
            data_format == "channels_first",
            activation,
            recurrent_activation,
            use_bias,
        )
        return Cell(made.shapes, ["h", "c"], made.step, prepare=made.prepare)

    return conv_lstm_cell


def _rules() -> dict[str, Rule]:
    rules = {}
    for rank in (1, 2, 3):
        rules[f"ConvLSTM{rank}D"] = CELL
        rules[f"ConvLSTM{rank}DCell"] = Rule(_conv_lstm_cell(rank), WEIGHTS, CELL_IGNORES)
    return rules


RULES: Mapping[str, Rule] = _rules()
