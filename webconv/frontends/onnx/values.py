"""Values that are known when converting, entirely or as expressions of sizes.

Graphs of exporters compute shapes with ordinary operators (Shape, Gather, Concat, Reshape). Here
such values carry the Dims that their elements are (`Value.known`), so that they end as attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DType
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array

# Larger tensors are data, not sizes.
MOST_KNOWN = 1 << 10


def known(x: Value | None) -> Array | None:
    """The Dims that the elements of an integer or bool value are, as an object array; or None."""
    if x is None:
        return None
    array = x.constant
    small = array is not None and not x.type.dtype.is_float and array.size <= MOST_KNOWN
    if x.known is None and small:
        assert array is not None
        x.known = np.array([int(v) for v in array.flat], object).reshape(array.shape)
    return x.known


def from_known(values: Array, dtype: DType = dtypes.i64) -> Value:
    """A value whose elements are Dims: a constant if all are numbers."""
    values = np.asarray(values, object)
    flat: list[Dim] = [v if isinstance(v, dims.Expr) else int(v) for v in values.flat]
    if all(isinstance(d, int) for d in flat):
        array = np.array(flat, object).reshape(values.shape)
        return graph.constant(array.astype(dtype.numpy))
    integer = dtypes.i64 if dtype == dtypes.bool_ else dtype
    value: Value = ops.Sizes(tuple(flat), integer)()
    if dtype == dtypes.bool_:
        value = ops.Cast(dtype)(value)
    if values.shape != value.shape:
        value = ops.Reshape(tuple(values.shape))(value)
    value.known = np.array(flat, object).reshape(values.shape)
    return value


class UnknownSizes(ShapeError):
    """`value` holds sizes that only a run can tell: the converter binds symbols to them."""

    def __init__(self, value: Value, rule: str) -> None:
        super().__init__(rule)
        self.value = value


def sizes(x: Value, what: str) -> Shape:
    """The elements of an integer vector (or scalar) as Dims; raises UnknownSizes if not known."""
    values = known(x)
    if values is None:
        rule = f"{what} must be known when converting, but {describe(x)} is computed from data"
        raise UnknownSizes(x, f"{rule}; if it is an input, give its value with --const")
    return tuple(values.flat)


def size(x: Value, what: str) -> Dim:
    """The one element of an integer value as a Dim."""
    values = sizes(x, what)
    if len(values) != 1:
        raise ShapeError(f"{what} must be one number, but it is {list(values)}")
    return values[0]


def ints(x: Value, what: str) -> tuple[int, ...]:
    """The elements of an integer value as numbers, such as axes."""
    try:
        values = sizes(x, what)
    except UnknownSizes as error:
        raise ShapeError(str(error)) from None  # No symbol can stand for an axis.
    if not all(isinstance(v, int) for v in values):
        raise ShapeError(f"{what} must be constant, but {origin(x)}")
    return values  # type: ignore[return-value]


def origin(x: Value) -> str:
    """Where the symbols of a known value come from, and the way out."""
    if x.known is None:
        return f"{describe(x)} is computed from data"
    names = dims.symbols(*x.known.flat)
    for node in graph.toposort([x]):
        if isinstance(node.op, graph.Input) and names & set(node.op.sizes):
            return f"{describe(node.outputs[0])} is an input; give its value with --const"
    return f"it is {list(x.known.flat)}; fix the sizes with --input-shape"


def array(x: Value, what: str) -> Array:
    """The array that a constant value is; raises ShapeError if it is not constant."""
    if x.constant is None:
        raise ShapeError(
            f"{what} must be constant, but {describe(x)} is computed from inputs; "
            "if it is an input, give its value with --const"
        )
    return x.constant


def number(x: Value, what: str) -> float:
    """The one element of a constant value."""
    values = array(x, what)
    if values.size != 1:
        raise ShapeError(f"{what} must be one number, but its shape is {list(values.shape)}")
    item: float = values.reshape(()).item()
    return item


def describe(x: Value) -> str:
    """What a message calls a value."""
    return f"{x.node.name!r} ({x.type})" if x.node.name else str(x.type)


def axes_of(axes: Sequence[int] | Value | None, what: str = "axes") -> tuple[int, ...] | None:
    """Axes that older opsets give as an attribute and newer ones as an input."""
    if axes is None or isinstance(axes, tuple):
        return axes
    return ints(axes, what) if isinstance(axes, Value) else tuple(axes)
