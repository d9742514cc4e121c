"""From floats to small integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from webconv.ir.dtypes import DType, i8
from webconv.ir.op import Array, TensorType, broadcast, require
from webconv.ir.ops.elementwise import Elementwise


@dataclass(frozen=True)
class Quantize(Elementwise):
    """x / scale (x * scale if `multiply`), rounded to even, plus zero_point, limited to `to`.

    The inputs x, scale and zero_point (of whole numbers) are floats that broadcast. The quotient is
    rounded to f32 before it becomes whole, in the reference too: where it lies halfway, one bit
    more would give another integer. NaN has no meaning.
    """

    to: DType = i8
    multiply: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        ok = self.to.is_integer and self.to.bits <= 16
        require(ok, f"the result must be of integers of at most 16 bits, not {self.to}")
        require(len(types) == 3, "x, scale and zero_point are needed")
        for t in types:
            require(t.dtype.is_float, f"the inputs must be floating-point, but one is {t.dtype}")
        return (TensorType(self.to, broadcast(t.shape for t in types)[0]),)

    def eval(self, x: Array, scale: Array, zero_point: Array) -> tuple[Array, ...]:  # type: ignore[override]
        x, scale = np.asarray(x, np.float32), np.asarray(scale, np.float32)
        whole = np.rint(x * scale if self.multiply else x / scale)
        limits = np.iinfo(self.to.numpy)
        near = np.clip(whole, limits.min - zero_point, limits.max - zero_point) + zero_point
        return (np.nan_to_num(near).astype(self.to.numpy),)
