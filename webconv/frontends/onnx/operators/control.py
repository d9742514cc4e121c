"""If, Loop, Scan: what folds when converting disappears."""

from __future__ import annotations

from typing import Any

import onnx

from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import number
from webconv.ir.graph import Value


@operator("If", context=True)
def if_(
    call: Any, condition: Value, *, then_branch: onnx.GraphProto, else_branch: onnx.GraphProto
) -> Any:
    """One of two graphs."""
    taken = then_branch if number(condition, "the condition") else else_branch
    return tuple(call.subgraph(taken))
