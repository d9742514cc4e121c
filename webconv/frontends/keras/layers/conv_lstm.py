"""Convolutional LSTMs: cells whose products are convolutions, run by the Scan operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array
from webconv.ir.ops.linear import pooled_size


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
        """An LSTM cell (Shi 2015): gates i, f, c, o of convolved input and state."""
        kernel = per_axis(kernel_size, rank, "kernel_size")
        stride = per_axis(strides, rank, "strides")
        dilation = per_axis(dilation_rate, rank, "dilation_rate")
        ones = (1,) * rank
        first = data_format == "channels_first"

        def weight(name: str, inputs: int | None) -> Value:
            def make() -> Array:
                w = layer.array(name, *kernel, inputs, 4 * filters)
                axes = tuple(range(rank))
                return np.flip(w, axes) if layer.dialect.flips_kernels else w

            return layer.constant(name, make)

        def prepare(x: Value) -> Value:
            """The input's part of all gates for all steps at once, channels last."""
            if x.type.rank != rank + 3:
                raise ShapeError(f"the input must have {rank + 3} axes, but it is {x.type}")
            lead = x.shape[:2]
            flat = common.reshape(x, (dims.product(lead), *x.shape[2:]))
            flat = common.channels_last(flat) if first else flat
            around = pads(padding, flat.shape[1:-1], kernel, stride, dilation)
            y = ops.Conv(stride, dilation, around)(flat, weight("kernel", None))
            y = ops.Add()(y, layer.weight("bias", 4 * filters)) if use_bias else y
            return common.reshape(y, (*lead, *y.shape[1:]))

        def step(x: Value, states: Sequence[Value]) -> tuple[Value, Sequence[Value]]:
            h, c = (common.channels_last(s) if first else s for s in states)
            around = pads("same", h.shape[1:-1], kernel, ones, ones)
            recur = ops.Conv(ones, ones, around)(h, weight("recurrent_kernel", filters))
            i, f, g, o = common.split(ops.Add()(x, recur), [filters] * 4, -1)
            i, f, o = (recurrent_activation.apply(layer, gate) for gate in (i, f, o))
            c = ops.Add()(ops.Mul()(f, c), ops.Mul()(i, activation.apply(layer, g)))
            h = ops.Mul()(o, activation.apply(layer, c))
            new = [common.channels_first(s) if first else s for s in (h, c)]
            return new[0], new

        def shapes(x: Value) -> Sequence[tuple[dims.Dim, ...]]:
            if x.type.rank != rank + 3:
                raise ShapeError(f"the input must have {rank + 3} axes, but it is {x.type}")
            spatial = x.shape[3:] if first else x.shape[2:-1]
            around = pads(padding, spatial, kernel, stride, dilation)
            each = zip(spatial, kernel, stride, dilation, around, strict=True)
            out = [pooled_size(n, k, s, d, p) for n, k, s, d, p in each]
            shape = (filters, *out) if first else (*out, filters)
            return [shape, shape]

        return Cell(shapes, ["h", "c"], step, prepare=prepare)

    return conv_lstm_cell


def _rules() -> dict[str, Rule]:
    rules = {}
    for rank in (1, 2, 3):
        rules[f"ConvLSTM{rank}D"] = CELL
        rules[f"ConvLSTM{rank}DCell"] = Rule(_conv_lstm_cell(rank), WEIGHTS, CELL_IGNORES)
    return rules


RULES: Mapping[str, Rule] = _rules()
