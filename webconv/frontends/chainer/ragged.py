"""Lists of sequences of several lengths, whose number and lengths are open.

A list is one Value with all sequences one after another, `[total, ...]`, and their lengths. Its
members pass through a chain as `Item`s: what is done to each is done to all at once, and what joins
them is done on the whole. B sequences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.n_step import layers
from webconv.frontends.chainer.packing import (
    Layout,
    extended,
    filled,
    flipped,
    packed,
    row_count,
    taken,
)
from webconv.frontends.chainer.registry import Applied, Convert
from webconv.frontends.chainer.tape import Call, Leaf
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import TensorType

# Functions of each element.
ELEMENTWISE = frozenset(
    (
        *("Sigmoid", "Tanh", "ReLU", "ClippedReLU", "ELU", "HardSigmoid", "LeakyReLU", "Softplus"),
        *("Neg", "Absolute", "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Square", "Sin", "Cos", "Erf"),
        *("AddConstant", "SubFromConstant", "MulConstant", "DivFromConstant", "PowVarConst"),
        *("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "Clip", "Cast", "Identity"),
    )
)

# Functions that compute each row of their first input by itself.
BY_ROW = frozenset(
    ("LinearFunction", "EmbedIDFunction", "LayerNormalization", "FixedBatchNormalization")
)

# Functions of a whole sequence: the operator, and what is no part of the sequence.
POOLED: dict[str, tuple[Any, float]] = {
    "Sum": (ops.ReduceSum, 0.0),
    "Mean": (ops.ReduceSum, 0.0),
    "Max": (ops.ReduceMax, -np.inf),
    "Min": (ops.ReduceMin, np.inf),
}

# What an array of a list is: rows, one row `[1, ...]`, or a row without that axis.
MANY, ONE, BARE = "many", "one", "bare"

REFUSED = (
    "a list of sequences may enter F.concat over axis 0, F.pad_sequence and L.NStep* as a whole, "
    "and functions of each row one by one; give the arrays as arguments of their own "
    "(forward(self, *xs)) to fix their number"
)


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences one after another: values `[total, ...]`; or, of each, only a row: `[B, ...]`."""

    values: Value
    layout: Layout
    rows: str = MANY

    def fits(self, other: Ragged) -> bool:
        """True if rows of both are those of the same sequences."""
        return self.layout is other.layout and self.rows == other.rows

    @property
    def items(self) -> list[Item]:
        """The sequences."""
        return [Item(self, k) for k in range(len(self.layout.example))]


@dataclass(frozen=True, eq=False)
class Item:
    """A sequence of a list."""

    of: Ragged
    index: int

    def same(self, other: Item) -> bool:
        """True for the same sequence of the same list."""
        return self.of is other.of and self.index == other.index


def list_input(name: str, leaves: Sequence[Leaf], taken: Collection[str]) -> Ragged:
    """The input that stands for a list of arrays; `taken` are the names of others."""
    first = leaves[0].array
    own = f"{name}_lengths"
    while own in taken:
        own += "_"
    lengths = graph.input(own, TensorType(dtypes.i32, (dims.symbol(f"{name}_count"),)))
    total = dims.symbol(f"{name}_total")
    layout = Layout(name, lengths, total, tuple(len(leaf.array) for leaf in leaves))
    kind = TensorType(from_numpy(first.dtype), (layout.total, *first.shape[1:]))
    return Ragged(graph.input(name, kind), layout)


def is_ragged(arrays: Sequence[Any]) -> bool:
    """True for arrays that differ in their lengths at most."""
    first = arrays[0]
    same = all(a.shape[1:] == first.shape[1:] and a.dtype == first.dtype for a in arrays)
    return bool(same and first.ndim and all(a.ndim for a in arrays))


class Lists:
    """The lists of a chain, and what has been made of them."""

    def __init__(self, lists: Sequence[Ragged]) -> None:
        self._layouts = {r.layout.total: r.layout for r in lists}
        self._made: dict[tuple[Any, ...], Ragged] = {}

    def applied(
        self, function: Convert, call: Call, made: dict[Any, Value], inputs: Sequence[Value | Item]
    ) -> Sequence[Value | Item] | None:
        """The outputs of a call that has to do with a list; None for others."""
        items = [v for v in inputs if isinstance(v, Item)]
        if not items:
            return self._split(call, inputs[0]) if call.name == "SplitAxis" else None
        rest = [v for v in inputs if not isinstance(v, Item)]
        whole = self._whole(call, items, rest)
        if whole is not None:
            return whole if call.name != "NStep" else self._recurrent(call, made, items[0].of, rest)
        return [self._single(function, call, made, inputs, items)]

    def _whole(
        self, call: Call, items: Sequence[Item], rest: Sequence[Value]
    ) -> Sequence[Value] | None:
        """What a list becomes as a whole; None if it does not enter the call so."""
        of, at = items[0].of, call.attributes
        if [v.index for v in items] != list(range(len(of.layout.example))):
            return None
        if any(v.of is not of for v in items):
            return None
        if call.name == "NStep" and of.rows == MANY and not at["transposed"]:
            return []
        if rest:
            return None
        if call.name == "Concat" and at["axis"] == 0 and of.rows != BARE:
            return [of.values]
        if call.name == "Stack" and at["axis"] == 0 and of.rows == BARE:
            return [of.values]
        if call.name == "PadSequence" and of.rows == MANY and at["length"] is None:
            return [filled(of.values, of.layout, float(at["padding"]))[0]]
        return None

    def _single(
        self,
        function: Convert,
        call: Call,
        made: dict[Any, Value],
        inputs: Sequence[Value | Item],
        items: Sequence[Item],
    ) -> Item:
        """What is done to each sequence, done to all."""
        first = items[0]
        alike = all(v.index == first.index and v.of.fits(first.of) for v in items)
        if not alike:
            raise UnsupportedError(REFUSED)
        whole = tuple(v.of.values if isinstance(v, Item) else v for v in inputs)
        key = (call.name, first.of.rows, repr(sorted(call.attributes.items())), *map(_sign, whole))
        if key not in self._made:
            found = self._joined(call, inputs, first.of) or _of_each(call, first.of)
            if found is None:
                if not _is_by_row(call, inputs, items):
                    raise UnsupportedError(REFUSED)
                y = function(Applied(call, made), *whole)
                found = dataclasses.replace(first.of, values=y)
            self._made[key] = found
        return Item(self._made[key], first.index)

    def _joined(self, call: Call, inputs: Sequence[Value | Item], of: Ragged) -> Ragged | None:
        """Each sequence between rows that are the same for all, as a mark of its end."""
        if call.name != "Concat" or call.attributes["axis"] != 0 or of.rows != MANY:
            return None
        others = [v for v in inputs if isinstance(v, Value)]
        if len(others) != len(inputs) - 1:
            return None
        place = next(k for k, v in enumerate(inputs) if isinstance(v, Item))
        before, after = others[:place], others[place:]
        wanted = of.layout.longer(row_count(others))
        layout = self._layouts.setdefault(wanted.total, wanted)
        return Ragged(extended(before, of.values, after, of.layout, layout), layout)

    def _split(self, call: Call, x: Value | Item) -> Sequence[Item] | None:
        """A list again, cut where its sequences end."""
        assert isinstance(x, Value)
        layout = self._layouts.get(x.shape[0]) if x.shape and call.attributes["axis"] == 0 else None
        if layout is None or call.attributes["indices"] is None:
            return None
        ends = np.cumsum(layout.example)[:-1]
        if not np.array_equal(np.asarray(call.attributes["indices"]), ends):
            raise UnsupportedError("it cuts sequences at places that are not their ends")
        return Ragged(x, layout).items

    def _recurrent(
        self, call: Call, made: dict[Any, Value], xs: Ragged, rest: Sequence[Value]
    ) -> Sequence[Value | Item]:
        """Recurrent layers: final states, then the sequences."""
        given = call.attributes["given"]
        x, mask = filled(xs.values, xs.layout, 0.0, time_first=True)
        y, finals = layers(Applied(call, made), x, mask, list(rest[:given]), list(rest[given:]))
        return [*finals, *Ragged(packed(y, xs.layout), xs.layout).items]


def _sign(value: Value) -> Any:
    """What tells a value from others; constants that are equal are one."""
    return value.node.op if value.constant is not None else value


def _is_by_row(call: Call, inputs: Sequence[Value | Item], items: Sequence[Item]) -> bool:
    """True if the call computes each row of a list by itself."""
    joins = call.name == "Concat" and len(items) == len(inputs)
    along = call.name in ("Softmax", "LogSoftmax") or joins
    known = ELEMENTWISE if items[0].of.rows == BARE else ELEMENTWISE | BY_ROW
    if call.name in known:
        return isinstance(inputs[0], Item) or call.name in ELEMENTWISE
    return along and items[0].of.rows != BARE and call.attributes["axis"] != 0


def _of_each(call: Call, of: Ragged) -> Ragged | None:
    """A list of what each sequence becomes: one row, or the sequence backwards."""
    slices = call.attributes.get("slices") if call.name == "GetItem" else None
    backwards = slices is not None and [*slices] == [slice(None, None, -1)]
    if of.rows == MANY and (backwards or (call.name == "Flip" and call.attributes["axis"] == 0)):
        return Ragged(flipped(of.values, of.layout), of.layout)
    if of.rows == MANY and slices is not None and [*slices] in ([0], [-1]):
        return Ragged(taken(of.values, of.layout, int(slices[0])), of.layout, BARE)
    floats = of.rows == MANY and of.values.type.dtype.is_float
    if floats and call.name in POOLED and call.attributes["axis"] in (0, (0,)):
        kept = ONE if call.attributes["keepdims"] else BARE
        return Ragged(_pooled(call.name, of), of.layout, kept)
    if of.rows == BARE and call.name == "ExpandDims" and call.attributes["axis"] == 0:
        return Ragged(of.values, of.layout, ONE)
    return None


def _pooled(name: str, of: Ragged) -> Value:
    """The sum, mean or an extreme over each sequence: `[B, ...]`."""
    op, padding = POOLED[name]
    y: Value = op((1,))(filled(of.values, of.layout, padding)[0])
    if name != "Mean":
        return y
    lengths = common.cast(of.layout.lengths, y.type.dtype)
    made: Value = ops.Div()(y, common.reshape(lengths, (of.layout.count, *[1] * (y.type.rank - 1))))
    return made
