"""Operators as they were before opset 7, which the first exports of PyTorch have.

Broadcasting was an attribute then: `axis` says where in the first input the axes of the second
begin, by default at its end.
"""

from __future__ import annotations

from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.operators.elementwise import prelu
from webconv.frontends.onnx.operators.normalization import per_channel
from webconv.frontends.onnx.registry import operator
from webconv.ir import ops
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

BINARY = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Sub", "Xor")


def _binary(name: str) -> None:
    @operator(name)
    def apply(
        x: Value,
        y: Value,
        *,
        axis: int | None = None,
        broadcast: int = 0,
        consumed_inputs: tuple[int, ...] = (),
    ) -> Any:
        return getattr(ops, name)()(x, aligned(y, x, axis) if broadcast else y)


for _name in BINARY:
    _binary(_name)


@operator("Pow")
def pow_1(x: Value, y: Value, *, axis: int | None = None, broadcast: int = 0) -> Any:
    """x to the y, of one dtype."""
    return ops.Pow()(x, aligned(y, x, axis) if broadcast else y)


def aligned(y: Value, x: Value, axis: int | None) -> Value:
    """`y` with its axes below those of `x` from `axis` on."""
    if axis is None:
        return y
    start = axis + x.type.rank if axis < 0 else axis
    missing = x.type.rank - start - y.type.rank
    if start < 0 or missing < 0:
        ranks = f"but it is {axis} for ranks {x.type.rank} and {y.type.rank}"
        raise ShapeError(f"axis must leave room for the second input, {ranks}")
    return common.reshape(y, (*y.shape, *[1] * missing))


@operator("PRelu")
def prelu_1(x: Value, slope: Value, *, consumed_inputs: tuple[int, ...] = ()) -> Any:
    """x where x >= 0, else slope * x; there is one slope, or one for each channel."""
    return prelu(x, slope if slope.type.size == 1 else per_channel(slope, x))
