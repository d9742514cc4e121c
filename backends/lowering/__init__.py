"""Operators to kernels: one function per operator, for all targets. Absent means unsupported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webconv.backends.lowering import (
    control,
    elementwise,
    image,
    indexing,
    linear,
    movement,
    quantized,
    recurrent,
    reduction,
)
from webconv.ir.op import Op

LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    **elementwise.LOWERINGS,
    **movement.LOWERINGS,
    **indexing.LOWERINGS,
    **reduction.LOWERINGS,
    **linear.LOWERINGS,
    **image.LOWERINGS,
    **recurrent.LOWERINGS,
    **quantized.LOWERINGS,
    **control.LOWERINGS,
}
