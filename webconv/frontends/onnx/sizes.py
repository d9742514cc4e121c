"""Arithmetic on sizes: what an operator does to Dims that are known when converting.

Each rule takes object arrays of Dims and the operator's attributes, and gives such an array, or
None where the result is no expression of sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends.onnx.values import MOST_KNOWN, from_known, known
from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.graph import Value
from webconv.ir.op import Array

Rule = Callable[..., "Array | None"]


def derive(
    name: str, inputs: Sequence[Value | None], attributes: Mapping[str, Any], version: int
) -> Value | None:
    """The output of an operator as a value whose Dims are known; None if no rule gives one."""
    if name in ("Shape", "Size") and inputs and inputs[0] is not None:
        return _of_shape(name, inputs[0], **attributes)
    rule = RULES.get(name)
    if rule is None or not inputs or inputs[0] is None:
        return None
    if all(v is None or v.constant is not None for v in inputs):
        return None  # Folding computes it, by the operator's own rules.
    arrays = [known(v) for v in inputs]
    if any(a is None and v is not None for a, v in zip(arrays, inputs, strict=True)):
        return None
    result = rule(*arrays, **attributes)
    if result is None or result.size > MOST_KNOWN:
        return None
    dtype = _dtype(name, inputs, attributes)
    if not (dtype.is_integer or dtype == dtypes.bool_):
        return None
    value = from_known(result, dtype)
    value.known = np.asarray(result, object)
    return value


def _dtype(name: str, inputs: Sequence[Value | None], attributes: Mapping[str, Any]) -> DType:
    from webconv.frontends.onnx.types import dtype_of

    if name == "Cast":
        return dtype_of(attributes["to"])
    if name in COMPARISONS:
        return dtypes.bool_
    source = inputs[1] if name == "Where" else inputs[0]
    if name == "ConstantOfShape":
        value = attributes.get("value")
        return dtypes.f32 if value is None else dtypes.from_numpy(value.dtype)
    assert source is not None
    return source.type.dtype


def _of_shape(name: str, x: Value, start: int = 0, end: int | None = None) -> Value:
    if name == "Size":
        return from_known(np.array(dims.product(x.shape), object))
    rank = x.type.rank
    first = max(start + rank, 0) if start < 0 else start
    last = rank if end is None else (max(end + rank, 0) if end < 0 else end)
    picked = x.shape[first:last]
    out = np.empty(len(picked), object)
    out[:] = picked
    return from_known(out)


def _elementwise(function: Callable[..., Dim | None]) -> Rule:
    def rule(*arrays: Array, **attributes: Any) -> Array | None:
        try:
            wide = np.broadcast_arrays(*arrays)
        except ValueError:
            return None
        if wide[0].size > MOST_KNOWN:
            return None
        out = np.empty(wide[0].shape, object)
        for k in range(wide[0].size):
            value = function(*(a.flat[k] for a in wide))
            if value is None:
                return None
            out.flat[k] = value
        return out

    return rule


def _fold(function: Callable[[Dim, Dim], Dim]) -> Callable[..., Dim]:
    def whole(first: Dim, *rest: Dim) -> Dim:
        for d in rest:
            first = function(first, d)
        return first

    return whole


def _divide(a: Dim, b: Dim) -> Dim | None:
    """Truncating division where it is the same as rounding down."""
    if dims.bounds(a)[0] >= 0 and dims.bounds(b)[0] > 0:
        return dims.floordiv(a, b)
    if isinstance(b, int) and b > 0 and isinstance(a, dims.Expr) and dims.mod(a, b) == 0:
        return dims.floordiv(a, b)
    if isinstance(b, dims.Expr) and dims.bounds(a)[0] >= 0 and dims.bounds(b)[0] >= 0:
        return dims.floordiv(a, b)  # A size of 0 as a divisor has no result in any case.
    return None


def _mod(a: Dim, b: Dim) -> Dim | None:
    return dims.mod(a, b) if dims.bounds(a)[0] >= 0 and dims.bounds(b)[0] > 0 else None


def _differ(a: Dim, b: Dim) -> Dim:
    """1 if a is not b, else 0."""
    return dims.minimum(1, dims.maximum(a - b, b - a))


def _less(a: Dim, b: Dim) -> Dim:
    return dims.maximum(0, dims.minimum(1, b - a))


def _choose(condition: Dim, a: Dim, b: Dim) -> Dim:
    return b + condition * (a - b)


COMPARISONS: dict[str, Callable[..., Dim | None]] = {
    "Equal": lambda a, b: 1 - _differ(a, b),
    "Less": _less,
    "LessOrEqual": lambda a, b: 1 - _less(b, a),
    "Greater": lambda a, b: _less(b, a),
    "GreaterOrEqual": lambda a, b: 1 - _less(a, b),
    "Not": lambda a: 1 - a,
    "And": dims.minimum,
    "Or": dims.maximum,
    "Xor": _differ,
}

ELEMENTWISE: dict[str, Callable[..., Dim | None]] = {
    **COMPARISONS,
    "Identity": lambda a: a,
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _divide,
    "Mod": _mod,
    "Neg": lambda a: -a,
    "Abs": lambda a: dims.maximum(a, -a),
    "Max": _fold(dims.maximum),
    "Min": _fold(dims.minimum),
    "Sum": _fold(lambda a, b: a + b),
    "Where": _choose,
}


def _numbers(values: Array | Sequence[int] | None) -> tuple[int, ...] | None:
    """Known Dims that are numbers, such as axes."""
    if values is None:
        return None
    flat = tuple(np.asarray(values, object).flat)
    return flat if all(isinstance(v, int) for v in flat) else None


def _gather(data: Array, indices: Array, *, axis: int = 0) -> Array | None:
    where = _numbers(indices)
    if where is None or any(not -data.shape[axis] <= i < data.shape[axis] for i in where):
        return None
    picked: Array = np.take(data, np.array(where, int).reshape(indices.shape), axis)
    return np.asarray(picked, object)


def _concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate([np.asarray(a, object) for a in arrays], axis)


def _slice(
    data: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Any = None,
    steps: Any = None,
    **old: Any,
) -> Array | None:
    """Slice of opset 10 with inputs, or of opset 1 with attributes."""
    first = _numbers(old.get("starts", starts))
    last = _numbers(old.get("ends", ends))
    if first is None or last is None:
        return None
    along = _numbers(old.get("axes", axes)) or tuple(range(len(first)))
    step = _numbers(steps) or (1,) * len(first)
    where = [slice(None)] * data.ndim
    for a, i, j, s in zip(along, first, last, step, strict=True):
        stop = None if s < 0 and j < -data.shape[a] else j
        where[a] = slice(i, stop, s)
    return data[tuple(where)]


def _squeeze(data: Array, axes: Any = None) -> Array | None:
    where = _numbers(axes)
    if axes is not None and where is None:
        return None
    return np.squeeze(data, where if where is None else tuple(where))


def _unsqueeze(data: Array, axes: Any) -> Array | None:
    where = _numbers(axes)
    return None if where is None else np.expand_dims(data, tuple(where))


def _reshape(data: Array, shape: Array, *, allowzero: int = 0) -> Array | None:
    sizes = _numbers(shape)
    if sizes is None:
        return None
    actual = [data.shape[k] if n == 0 and not allowzero else n for k, n in enumerate(sizes)]
    return data.reshape(actual)


def _expand(data: Array, shape: Array) -> Array | None:
    sizes = _numbers(shape)
    return None if sizes is None else np.broadcast_to(data, np.broadcast_shapes(data.shape, sizes))


def _reduce(function: Callable[[Dim, Dim], Dim], start: int) -> Rule:
    def rule(
        data: Array, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Array | None:
        where = _numbers(axes)
        if (
            (axes is not None and where is None)
            or data.ndim > 1
            or (not where and axes is not None)
        ):
            return None
        total: Dim = start if not data.size else data.flat[0]
        for d in list(data.flat)[1:]:
            total = function(total, d)
        out = np.array(total, object)
        return out.reshape(1) if keepdims and data.ndim else out

    return rule


def _cast(data: Array, *, to: int, saturate: int = 1, round_mode: str = "up") -> Array | None:
    from webconv.frontends.onnx.types import ELEMENTS

    target = ELEMENTS.get(to)
    if target == dtypes.bool_:
        rule = _elementwise(lambda a: _differ(a, 0))
        return rule(data)
    return data if target is not None and target.is_integer and target.bits >= 32 else None


def _constant_of_shape(shape: Array, *, value: Array | None = None) -> Array | None:
    sizes = _numbers(shape)
    if sizes is None or value is None or value.dtype.kind not in "iub":
        return None
    return np.full(sizes, int(value.reshape(-1)[0]), object)


def _range(start: Array, limit: Array, delta: Array) -> Array | None:
    numbers = _numbers([start.item(), limit.item(), delta.item()])
    return None if numbers is None else np.array(range(*numbers), object)


def _scatter(data: Array, indices: Array, updates: Array, **attributes: Any) -> Array | None:
    """ScatterElements and ScatterND on a vector: how a shape is written element by element."""
    where = _numbers(indices)
    if where is None or data.ndim != 1 or attributes.get("reduction", "none") != "none":
        return None
    out = data.copy()
    for i, v in zip(where, updates.flat, strict=True):
        out[i] = v
    return out


RULES: dict[str, Rule] = {
    **{name: _elementwise(function) for name, function in ELEMENTWISE.items()},
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Gather": _gather,
    "Range": _range,
    "ReduceMax": _reduce(dims.maximum, 0),
    "ReduceMin": _reduce(dims.minimum, 0),
    "ReduceProd": _reduce(lambda a, b: a * b, 1),
    "ReduceSum": _reduce(lambda a, b: a + b, 0),
    "Reshape": _reshape,
    "Scatter": _scatter,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
