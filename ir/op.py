"""What every operator is: a frozen dataclass of its attributes that owns its facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from webconv.ir import dims
from webconv.ir.dims import Dim, Expr, Shape
from webconv.ir.dtypes import DType
from webconv.ir.errors import ShapeError

if TYPE_CHECKING:
    from webconv.ir.graph import Graph, Value

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorType:
    """The dtype and shape of a value."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return dims.product(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class Guard(NamedTuple):
    """Two Dims that could not be proven equal; the runner checks them when sizes are bound."""

    left: Dim
    right: Dim


class Op:
    """An operator. Subclasses are frozen dataclasses; their fields are its attributes."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The output types; raises ShapeError with the rule that the input types break."""
        raise NotImplementedError

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        """What must hold of the symbols for `infer` to be right."""
        return ()

    def limits(self, *types: TensorType) -> tuple[Guard, ...]:
        """What must hold of the symbols for `eval` to stay within its inputs.

        Unlike guards, these go with the node: what does not read needs no limit.
        """
        return ()

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        """The NumPy reference; floats keep the precision that they come in."""
        raise NotImplementedError

    def __call__(self, *inputs: Value | None, name: str = "") -> Any:
        """Apply the op: a Value, or a tuple of Values if it has several outputs."""
        from webconv.ir.graph import Node

        outputs = Node(self, inputs, name).outputs
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def dims(self) -> Iterator[Dim]:
        """Every Dim among the attributes."""
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            yield from _dims_in(getattr(self, f.name))


def _dims_in(value: object) -> Iterator[Dim]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple):
        for v in value:
            yield from _dims_in(v)
    elif isinstance(value, TensorType):
        yield from _dims_in(value.shape)
    elif isinstance(value, _graph()):
        for node in value.nodes:
            yield from node.op.dims


def _graph() -> type[Graph]:
    from webconv.ir.graph import Graph

    return Graph


AnyOp = TypeVar("AnyOp", bound=Op)


def bind(op: AnyOp, values: Mapping[str, Dim]) -> AnyOp:
    """`op` with the symbols of its Dim attributes replaced."""
    if not any(True for _ in op.dims):
        return op
    changes = {
        f.name: _bind(getattr(op, f.name), values)
        for f in dataclasses.fields(op)  # type: ignore[arg-type]
    }
    return dataclasses.replace(op, **changes)  # type: ignore[type-var]


def _bind(value: Any, values: Mapping[str, Dim]) -> Any:
    if isinstance(value, Expr):
        return dims.bind(value, values)
    if type(value) is tuple:
        return tuple(_bind(v, values) for v in value)
    if isinstance(value, TensorType):
        return TensorType(value.dtype, _bind(value.shape, values))
    return value.bound(values) if isinstance(value, _graph()) else value


def require(condition: bool, rule: str) -> None:
    """Raise ShapeError with `rule` unless `condition` holds."""
    if not condition:
        raise ShapeError(rule)


def unify(a: Dim, b: Dim) -> tuple[Dim, Guard | None]:
    """The one size that two axes must share; an int wins over a symbol, under a guard."""
    if a == b:
        return a, None
    if isinstance(a, int) and isinstance(b, int):
        raise ShapeError(f"sizes must be equal, but {a} is not {b}")
    return (b if isinstance(b, int) else a), Guard(a, b)


def broadcast(shapes: Iterable[Shape]) -> tuple[Shape, tuple[Guard, ...]]:
    """NumPy's broadcasting; a symbol meets another size only under a guard."""
    shapes = list(shapes)
    rank = max(map(len, shapes), default=0)
    out: list[Dim] = []
    guards: list[Guard] = []
    for axis in range(-rank, 0):
        size: Dim = 1
        for shape in shapes:
            d = shape[axis] if -axis <= len(shape) else 1
            if d == 1:
                continue
            if size == 1:
                size = d
                continue
            if isinstance(size, int) and isinstance(d, int) and size != d:
                written = " and ".join(str(list(s)) for s in shapes)
                raise ShapeError(f"shapes must broadcast, but {written} differ on axis {axis}")
            size, guard = unify(size, d)
            guards += [guard] if guard else []
        out.append(size)
    return tuple(out), tuple(guards)


def concrete(shape: Iterable[Dim]) -> tuple[int, ...]:
    """Sizes that are known by now: `eval` is called on an op whose symbols are bound."""
    return tuple(dims.evaluate(d, {}) for d in shape)


def normalise_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front; raises ShapeError if there is no such axis."""
    require(-rank <= axis < rank, f"axis must lie in [{-rank}, {rank - 1}], but it is {axis}")
    return axis % rank


def float_array(array: Array) -> Array:
    """`array` if it is of floats, else as float64."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)
