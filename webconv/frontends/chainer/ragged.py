"""Lists of sequences of several lengths, whose number and lengths are open.

A list is one Value with all sequences one after another, `[total, ...]`, and their lengths. Its
members pass through a chain as `Item`s: what is done to each is done to all at once, and what joins
them is done on the whole. B sequences, T the longest, H hidden size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.n_step import layers
from webconv.frontends.chainer.registry import Applied, Convert
from webconv.frontends.chainer.tape import Call, Leaf
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import TensorType

# Functions that compute each row of their first input by itself.
BY_ROW = frozenset(
    (
        *("Sigmoid", "Tanh", "ReLU", "ClippedReLU", "ELU", "HardSigmoid", "LeakyReLU", "Softplus"),
        *("Neg", "Absolute", "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Square", "Sin", "Cos", "Erf"),
        *("AddConstant", "SubFromConstant", "MulConstant", "DivFromConstant", "PowVarConst"),
        *("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "Clip", "Cast", "Identity"),
        *("LinearFunction", "EmbedIDFunction", "LayerNormalization", "FixedBatchNormalization"),
    )
)


@dataclass(frozen=True, eq=False)
class Layout:
    """How the sequences of a list lie; `example` has the lengths that were traced."""

    name: str
    lengths: Value
    example: tuple[int, ...]

    @property
    def total(self) -> Dim:
        """The symbol for the sum of all lengths."""
        return dims.symbol(f"{self.name}_total")

    @property
    def count(self) -> Dim:
        """The symbol for the number of sequences."""
        return self.lengths.shape[0]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences one after another: values `[total, ...]`."""

    values: Value
    layout: Layout

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
    layout = Layout(name, lengths, tuple(len(leaf.array) for leaf in leaves))
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
        whole = items[0].of
        listed = [v.index for v in items] == list(range(len(whole.layout.example)))
        listed = listed and all(v.of is whole for v in items)
        rest = [v for v in inputs if not isinstance(v, Item)]
        if call.name == "NStep" and listed and not call.attributes["transposed"]:
            return self._recurrent(call, made, whole, rest)
        if call.name == "Concat" and listed and not rest and call.attributes["axis"] == 0:
            return [whole.values]
        if call.name == "PadSequence" and listed and call.attributes["length"] is None:
            return [_filled(whole, float(call.attributes["padding"]))[0]]
        return [self._by_row(function, call, made, inputs, items)]

    def _by_row(
        self,
        function: Convert,
        call: Call,
        made: dict[Any, Value],
        inputs: Sequence[Value | Item],
        items: Sequence[Item],
    ) -> Item:
        """What is done to each row, done to all."""
        first = items[0]
        alike = all(v.index == first.index and v.of.layout is first.of.layout for v in items)
        joins = call.name == "Concat" and len(items) == len(inputs)
        along = call.name in ("Softmax", "LogSoftmax") or joins
        by_row = call.name in BY_ROW or (along and call.attributes["axis"] != 0)
        if not (alike and by_row and isinstance(inputs[0], Item)):
            raise UnsupportedError(
                "a list of sequences may enter F.concat over axis 0, F.pad_sequence and L.NStep* "
                "as a whole, and functions of each row one by one; give the arrays as arguments "
                "of their own (forward(self, *xs)) to fix their number"
            )
        whole = tuple(v.of.values if isinstance(v, Item) else v for v in inputs)
        key = (call.name, repr(sorted(call.attributes.items())), *whole)
        if key not in self._made:
            y = function(Applied(call, made), *whole)
            self._made[key] = Ragged(y, first.of.layout)
        return Item(self._made[key], first.index)

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
        x, mask = _filled(xs, 0.0, time_first=True)
        y, finals = layers(Applied(call, made), x, mask, list(rest[:given]), list(rest[given:]))
        return [*finals, *Ragged(_packed(y, xs.layout), xs.layout).items]


def _ends(layout: Layout) -> Value:
    """Where each sequence ends: `[B]`."""
    made: Value = ops.CumSum(0)(layout.lengths)
    return made


def _filled(xs: Ragged, padding: float, time_first: bool = False) -> tuple[Value, Value]:
    """Sequences as `[B, T, ...]` or `[T, B, ...]`, and where there is something in it."""
    layout = xs.layout
    longest = dims.symbol(f"{layout.name}_longest")
    top = ops.ReduceMax((0,), True)(layout.lengths)
    values: Value = ops.Bind((f"{layout.name}_longest",))(xs.values, top)
    step = common.expand_dims(ops.Iota(longest)(), 1 if time_first else 0)
    lengths, ends = layout.lengths, _ends(layout)
    if not time_first:
        lengths, ends = common.expand_dims(lengths, 1), common.expand_dims(ends, 1)
    start = ops.Sub()(ends, lengths)
    mask = ops.Less()(step, lengths)
    padded = ops.Gather(0)(values, ops.Add()(start, step))
    wide = common.reshape(mask, (*mask.shape, *[1] * (padded.type.rank - 2)))
    return ops.Where()(wide, padded, common.scalar(padding, padded)), mask


def _packed(y: Value, layout: Layout) -> Value:
    """`[T, B, H]` one sequence after another: `[total, H]`."""
    t, count, h = y.shape
    ends, place = _ends(layout), ops.Iota(layout.total)()
    which = ops.SearchSorted(True)(ends, place)
    start = ops.Gather(0)(ops.Sub()(ends, layout.lengths), which)
    row = ops.Mul()(ops.Sub()(place, start), common.size_value(count))
    flat = common.reshape(y, (t * count, h))
    made: Value = ops.Gather(0)(flat, ops.Add()(row, which))
    return made
