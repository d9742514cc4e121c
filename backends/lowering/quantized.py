"""Quantisation: one scalar expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webconv.backends.expr import Expr, call
from webconv.backends.functions import apply
from webconv.backends.lowering.elementwise import pointwise
from webconv.backends.tensor import Context, Tensor
from webconv.ir import ops
from webconv.ir.op import Op


def quantize(ctx: Context, op: Any, *inputs: Tensor) -> Tensor:
    """Whole floats, limited so that the zero point can be added exactly."""
    bits, signed = op.to.bits, op.to.kind == "i"
    low = -float(1 << (bits - 1)) if signed else 0.0
    high = low + float((1 << bits) - 1)

    def compute(x: Expr, scale: Expr, zero: Expr) -> Expr:
        whole = call("round", x * scale if op.multiply else x / scale)
        near = call("max", call("min", whole, high - zero), low - zero)
        return apply("saturate_i32", near + zero)

    return pointwise(inputs, op.to, compute, 10)


LOWERINGS: dict[type[Op], Callable[..., Any]] = {ops.Quantize: quantize}
