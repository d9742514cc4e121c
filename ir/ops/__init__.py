"""All operators. `OPS` is the registry: the support tables and the text form read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webconv.ir.graph import Constant, Input
from webconv.ir.op import Op
from webconv.ir.ops.control import Scan
from webconv.ir.ops.elementwise import (
    ELEMENTWISE,
    Affine,
    BitCast,
    BitwiseNot,
    Cast,
    Celu,
    Clip,
    Elementwise,
    Elu,
    Gelu,
    HardSigmoid,
    IsInf,
    LeakyRelu,
    ScaledTanh,
    Swish,
    ThresholdedRelu,
    Unary,
    Where,
)
from webconv.ir.ops.host import Bind, HostOp, If, Loop
from webconv.ir.ops.image import Col2Im, Sample
from webconv.ir.ops.indexing import (
    CumProd,
    CumSum,
    Gather,
    GatherElements,
    GatherND,
    ScatterElements,
    ScatterND,
    SearchSorted,
    TopK,
)
from webconv.ir.ops.linear import ArgMaxPool, AveragePool, Conv, ConvTranspose, MatMul, MaxPool
from webconv.ir.ops.movement import Concat, Expand, Iota, Pad, Reshape, Sizes, Slice, Transpose
from webconv.ir.ops.quantized import Quantize
from webconv.ir.ops.recurrent import GRU, LSTM, RNN, Recurrent
from webconv.ir.ops.reduction import (
    ArgMax,
    ArgMin,
    LogSoftmax,
    Normalize,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Softmax,
)

OPS: dict[str, type[Op]] = ELEMENTWISE | {
    op.__name__: op
    for op in (
        *(Affine, BitCast, BitwiseNot, Cast, Celu, Clip, Elu, Gelu, HardSigmoid, IsInf, LeakyRelu),
        *(ScaledTanh, Swish, ThresholdedRelu, Where),
        *(CumProd, CumSum, Gather, GatherElements, GatherND, ScatterElements, ScatterND),
        *(SearchSorted, TopK),
        *(Col2Im, Sample),
        *(ArgMaxPool, AveragePool, Conv, ConvTranspose, MatMul, MaxPool),
        *(Concat, Expand, Iota, Pad, Reshape, Sizes, Slice, Transpose),
        *(GRU, LSTM, RNN, Scan),
        *(Quantize,),
        *(ArgMax, ArgMin, LogSoftmax, Normalize, Softmax),
        *(ReduceMax, ReduceMean, ReduceMin, ReduceProd, ReduceSum),
        *(Bind, If, Loop),
        *(Constant, Input),
    )
}

__all__ = ["ELEMENTWISE", "OPS", "Elementwise", "HostOp", "Op", "Recurrent", "Unary", *OPS]


# The operators that `elementwise` makes from its tables: `ops.Add`, `ops.Tanh`, ...
globals().update(ELEMENTWISE)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """One of ELEMENTWISE, which type checkers cannot see."""
