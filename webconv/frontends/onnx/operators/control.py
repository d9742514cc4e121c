"""If and Loop: what folds when converting disappears, the rest is done between stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

from webconv.frontends.onnx.operators.scan import folded_loop
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import known, origin
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError, UnsupportedError
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType


@operator("If", context=True)
def if_(
    call: Any, condition: Value, *, then_branch: onnx.GraphProto, else_branch: onnx.GraphProto
) -> Any:
    """One of two graphs: now if the condition is known, else when the model runs."""
    on = known(condition)
    if on is not None and isinstance(on.item(), int):
        return tuple(call.subgraph(then_branch if on.item() else else_branch))
    if on is not None and (squeezing := _squeezing(then_branch, else_branch)) is not None:
        return tuple(call.subgraph(squeezing))
    then, taken = call.closed(then_branch)
    otherwise, also = call.closed(else_branch)
    captured = list(dict.fromkeys((*taken, *also)))
    types = tuple(_joined(call, condition, a, b) for a, b in zip(then, otherwise, strict=True))
    op = ops.If(
        _body(then, [_input(taken, v) for v in captured]),
        _body(otherwise, [_input(also, v) for v in captured]),
        types,
        None if on is None else on.item(),
    )
    made = op(condition if on is None else None, *captured)
    return made if isinstance(made, tuple) else (made,)


def _squeezing(*branches: onnx.GraphProto) -> onnx.GraphProto | None:
    """The branch that squeezes an axis, if the other one leaves the tensor as it is.

    PyTorch writes `squeeze` so where a size is open. Only one of the ranks can be right for what
    follows; Squeeze itself brings the guard that the size is 1.
    """
    kinds = [[n.op_type for n in b.node if n.op_type != "Constant"] for b in branches]
    for k, branch in enumerate(branches):
        if kinds[k] == ["Squeeze"] and kinds[1 - k] in ([], ["Identity"]):
            return branch
    return None


def _input(captured: dict[Value, Value], value: Value) -> Value:
    """The input that stands for `value`, or a new one that the body does not read."""
    return captured.get(value) or graph.input("unused", value.type)


def _body(outputs: Sequence[Value], inputs: Sequence[Value]) -> Graph:
    return Graph(
        {str(k): v for k, v in enumerate(inputs)}, {str(k): v for k, v in enumerate(outputs)}
    )


def _joined(call: Any, condition: Value, a: Value, b: Value) -> TensorType:
    """The type of what is one of two values: a size in which they differ is a new symbol."""
    if a.type.dtype != b.type.dtype or a.type.rank != b.type.rank:
        rule = "both branches must give the same dtype and rank"
        raise ShapeError(
            f"{rule}, but one gives {a.type} and the other {b.type}; "
            f"the condition must be constant, but {origin(condition)}"
        )
    pairs = zip(a.shape, b.shape, strict=True)
    shape = tuple(m if m == n and not _is_own(m) else call.fresh("size") for m, n in pairs)
    return TensorType(a.type.dtype, shape)


@operator("Loop", context=True)
def loop(
    call: Any,
    trips: Value | None = None,
    condition: Value | None = None,
    *carries: Value,
    body: onnx.GraphProto,
) -> Any:
    """Iterations: a Scan if they are counted now, else counted when the model runs."""
    if len(body.input) != 2 + len(carries):
        raise ShapeError(f"the body takes {len(body.input)} inputs, not {2 + len(carries)}")
    if (made := folded_loop(call, trips, condition, carries, body)) is not None:
        return made
    shapes = [v.type for v in carries]
    for _ in range(3):
        own = [graph.input("k", _scalar(dtypes.i64)), graph.input("going", _scalar(dtypes.bool_))]
        own += [graph.input("carry", t) for t in shapes]
        outputs, captured = call.closed(body, own)
        settled = [_settled(call, a, b.type) for a, b in zip(shapes, outputs[1:], strict=False)]
        if settled == shapes:
            break
        shapes = settled
    else:
        raise UnsupportedError("the shapes of what the loop carries do not come to rest")
    n = len(carries)
    results = [_outer(call, t) for t in shapes]
    count = _count(call, trips, condition, outputs[0])
    results += [
        TensorType(v.type.dtype, (count, *_outer(call, v.type).shape)) for v in outputs[1 + n :]
    ]
    op = ops.Loop(_body(outputs, [*own, *captured.values()]), n, tuple(results))
    made = op(trips, condition, *carries, *captured)
    return made if isinstance(made, tuple) else (made,)


def _scalar(dtype: dtypes.DType) -> TensorType:
    return TensorType(dtype, ())


def _settled(call: Any, before: TensorType, after: TensorType) -> TensorType:
    """The type of a carry that enters as one type and leaves as another."""
    if before.dtype != after.dtype or before.rank != after.rank:
        raise UnsupportedError(f"what the loop carries enters as {before} and leaves as {after}")
    pairs = zip(before.shape, after.shape, strict=True)
    shape = tuple(a if a == b or _is_carried(a) else call.fresh("carried") for a, b in pairs)
    return TensorType(before.dtype, shape)


def _is_carried(d: Dim) -> bool:
    """True for a size that each iteration may find another."""
    found = dims.bare_atom(d)
    return isinstance(found, dims.Symbol) and found.name.startswith("carried_")


def _outer(call: Any, t: TensorType) -> TensorType:
    """A type in the body as one outside: sizes of the body's own get new symbols."""
    return TensorType(t.dtype, tuple(call.fresh("size") if _is_own(d) else d for d in t.shape))


def _is_own(d: Dim) -> bool:
    """True for a size that a body may have found itself."""
    own = ("carried_", "size_", "count_", dims.SIGNED + "of_data")
    return any(s.startswith(own) for s in dims.symbols(d))


def _count(call: Any, trips: Value | None, condition: Value | None, going: Value) -> Dim:
    """The number of iterations, if nothing but the trip count ends the loop."""
    often = known(trips)
    endless = [None if v is None else v.constant for v in (condition, going)]
    always = all(c is not None and bool(c) for c in endless[condition is None :])
    if often is not None and always:
        return dims.maximum(often.item(), 0)
    count: Dim = call.fresh("size")
    return count
