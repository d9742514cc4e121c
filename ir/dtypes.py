"""Element types, and the table of how each is computed.

| dtype                   | computed as | stored                                    |
|-------------------------|-------------|-------------------------------------------|
| f32                     | f32         | as it is                                  |
| f16                     | f32         | rounded to nearest even                   |
| f64                     | f32         | as f32                                    |
| i32, i16, i8, u16, u8   | i32         | wrapping to its width                     |
| u32                     | u32         | as it is                                  |
| bool                    | bool        | 0 or 1                                    |
| i64, u64                | as they are on wasm, i32/u32 on GPUs | wrapping         |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.ir.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class DType:
    """An element type; `kind` is one of f, i, u, b and `bits` the width in a model file."""

    name: str
    kind: str
    bits: int

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype of the same values."""
        return np.dtype("bool" if self.kind == "b" else f"{self.kind}{self.bits // 8}")

    @property
    def is_float(self) -> bool:
        """True for f16, f32 and f64."""
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers, not for bool."""
        return self.kind in "iu"

    def __repr__(self) -> str:
        return self.name


f16, f32, f64 = (DType(f"f{n}", "f", n) for n in (16, 32, 64))
i8, i16, i32, i64 = (DType(f"i{n}", "i", n) for n in (8, 16, 32, 64))
u8, u16, u32, u64 = (DType(f"u{n}", "u", n) for n in (8, 16, 32, 64))
bool_ = DType("bool", "b", 8)

DTYPES: dict[str, DType] = {
    t.name: t for t in (f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, bool_)
}


def from_numpy(dtype: np.dtype[Any]) -> DType:
    """The DType of a NumPy dtype; raises UnsupportedError for strings, objects and complex."""
    if dtype.kind == "b":
        return bool_
    found = DTYPES.get(f"{dtype.kind}{dtype.itemsize * 8}")
    if found is None:
        raise UnsupportedError(f"dtype {dtype} is not supported; use one of {', '.join(DTYPES)}")
    return found
