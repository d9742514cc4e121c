"""Lists of sequences of several lengths, whose number and lengths are open.

A list is one Value with all sequences one after another, `[total, ...]`, and their lengths. Its
members pass through a chain as `Item`s: what is done to each is done to all at once, and what joins
them is done on the whole. B sequences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.by_sequence import BESIDE, by_sequence
from webconv.frontends.chainer.functions.n_step import layers, split_states
from webconv.frontends.chainer.items import BARE, MANY, ONE, REFUSED, Item, Ragged
from webconv.frontends.chainer.iterated import index_of, indexed
from webconv.frontends.chainer.packing import Layout, Part, filled, joined, packed, rows_layout
from webconv.frontends.chainer.registry import Applied, Convert
from webconv.frontends.chainer.shaped import SHAPES
from webconv.frontends.chainer.sites import LENGTH, Given, Length, Site
from webconv.frontends.chainer.tape import Call, Leaf
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import TensorType, normalise_axis


def list_input(name: str, leaves: Sequence[Leaf], layout: Layout) -> Ragged:
    """The input that stands for a list of arrays, which lie so."""
    first = leaves[0].array
    kind = TensorType(from_numpy(first.dtype), (layout.total, *first.shape[1:]))
    return Ragged(graph.input(name, kind), layout)


def list_layout(name: str, leaves: Sequence[Leaf], taken: Collection[str]) -> Layout:
    """How the arrays of a list lie, by an input of lengths; `taken` are the names of others."""
    own = f"{name}_lengths"
    while own in taken:
        own += "_"
    lengths = graph.input(own, TensorType(dtypes.i32, (dims.symbol(f"{name}_count"),)))
    example = tuple(len(leaf.array) for leaf in leaves)
    return Layout(name, lengths, dims.symbol(f"{name}_total"), example, name)


def is_ragged(arrays: Sequence[Any]) -> bool:
    """True for arrays that differ in their lengths at most."""
    if not arrays:
        return False
    first = arrays[0]
    same = all(a.shape[1:] == first.shape[1:] and a.dtype == first.dtype for a in arrays)
    return bool(same and first.ndim and all(a.ndim for a in arrays))


# What to do instead of what a list cannot do.
INSTEAD = {
    "TransposeSequence": "the steps of a list are as many as its longest sequence has; give the "
    "list to L.NStep* as it is, or sequences as arguments of their own (forward(self, *xs)), "
    "whose lengths are fixed then",
}


class Lists:
    """The lists of a chain, and what has been made of them.

    Arrays with a first axis of one of the sizes `rows` are lists of what they hold, where a chain
    takes it one by one. `least` has the rows that the sequences of an input need at least, if more
    than one.
    """

    def __init__(
        self, lists: Sequence[Ragged], calls: Sequence[Call] = (), rows: Collection[int] = ()
    ) -> None:
        self._calls = calls
        self._rows: dict[Dim, Layout] = {n: rows_layout(n) for n in rows}
        self._indexed = indexed(calls)
        self._layouts: dict[Any, Layout] = {r.layout.total: r.layout for r in lists}
        self._made: dict[tuple[Any, ...], list[Ragged]] = {}
        self._plain: dict[tuple[Any, ...], Any] = {}
        self.least: dict[str, int] = {}

    def applied(
        self, function: Convert, call: Call, made: dict[Any, Value], inputs: Sequence[Value | Item]
    ) -> Sequence[Value | Item] | None:
        """The outputs of a call that has to do with a list; None for others."""
        items = [v for v in inputs if isinstance(v, Item)]
        if not items and index_of(call) is not None:
            return self._row(call, inputs[0])
        if not items:
            return self._separated(call, inputs[0]) if inputs else None
        rest = [v for v in inputs if not isinstance(v, Item)]
        whole = self._whole(call, items, rest)
        if whole is not None:
            return whole if call.name != "NStep" else self._recurrent(call, made, items[0].of, rest)
        return self._single(function, call, made, inputs, items)

    def plain(
        self, function: Convert, call: Call, made: dict[Any, Value], inputs: Sequence[Any]
    ) -> Any:
        """The outputs of any other call. What a loop over a list does anew for each sequence is
        done once, so that it is known to be the same."""
        if not self._layouts and not self._rows:
            return function(Applied(call, made), *inputs)
        key = (*_key(call), *map(_sign, inputs))
        if key not in self._plain:
            self._plain[key] = function(Applied(call, made), *inputs)
        return self._plain[key]

    def _whole(
        self, call: Call, items: Sequence[Item], rest: Sequence[Value]
    ) -> Sequence[Value] | None:
        """What a list becomes as a whole; None if it does not enter the call so."""
        of, at = items[0].of, call.attributes
        if [v.index for v in items] != list(range(len(of.layout.example))):
            return None
        if any(v.of is not of for v in items):
            return None
        sequences = of.rows == MANY or (of.rows, of.rank) == (BARE, 2)
        if call.name == "NStep" and sequences and not at["transposed"]:
            return []
        if rest:
            return None
        if call.name == "Vstack" and of.rank == 1 and of.rows in (ONE, BARE):
            return [of.values if of.rows == BARE else common.expand_dims(of.values, 1)]
        axis = _joined_along(call, of.rank)
        if axis == 0 and of.rows in (MANY, ONE):
            return [of.values]
        if axis is not None and of.rows == BARE:
            return [_end_to_end(of, axis)]
        if call.name == "Stack" and of.rows == BARE:
            return [common.move_axis(of.values, 0, normalise_axis(at["axis"], of.rank + 1))]
        if call.name == "Stack" and of.rows == ONE and at["axis"] == 0:
            return [common.expand_dims(of.values, 1)]
        if call.name == "PadSequence" and at["length"] is None:
            if of.rows == BARE and of.rank:
                return [of.values]
            if of.rows == MANY:
                return [filled(of.values, of.layout, float(at["padding"]))[0]]
        return None

    def _single(
        self,
        function: Convert,
        call: Call,
        made: dict[Any, Value],
        inputs: Sequence[Value | Item],
        items: Sequence[Item],
    ) -> list[Value | Item]:
        """What is done to each sequence, done to all."""
        index = items[0].index
        if any(v.index != index for v in items):
            raise UnsupportedError(INSTEAD.get(call.name, REFUSED))
        given: Given = [v.of if isinstance(v, Item) else v for v in inputs]
        signs = [_sign(v) if isinstance(v, Value) else v for v in given]
        tries = [*self._with_lengths(call, given[0], index)]
        keys = [(*_key(c), target, *signs) for c, target in tries]
        if not any(key in self._made for key in keys):
            self._make(function, made, given, tries, keys)
        found = next(self._made[key] for key in keys if key in self._made)
        return [Item(of, index) for of in found]

    def _make(
        self,
        function: Convert,
        made: dict[Any, Value],
        given: Given,
        tries: Sequence[tuple[Call, Layout | None]],
        keys: Sequence[tuple[Any, ...]],
    ) -> None:
        """Keep what the first of `tries` makes that is known."""

        def apply(own: Call, *values: Value) -> Sequence[Value]:
            y: Any = function(Applied(own, made), *values)
            return tuple(y) if isinstance(y, tuple | list) else (y,)

        site = Site(self._layouts, self._needs, apply)
        for (call, target), key in zip(tries, keys, strict=True):
            found = self._joined(call, given) or by_sequence(call, given, target, site)
            if found:
                self._made[key] = found
                return
        raise UnsupportedError(INSTEAD.get(tries[0][0].name, REFUSED))

    def _with_lengths(
        self, call: Call, of: Ragged | Value, index: int
    ) -> Iterator[tuple[Call, Layout | None]]:
        """The call, with the list whose lengths may stand in its shape, that of `of` first."""
        name = SHAPES.get(call.name)
        if call.name in BESIDE and isinstance(of, Ragged):
            yield from self._beside(call, of, index)
        if name is None or not isinstance(of, Ragged) or not call.attributes[name]:
            yield call, None
            return
        n, *rest = call.attributes[name]
        layouts = [of.layout, *(v for v in self._layouts.values() if v is not of.layout)]
        if of.rows != MANY and call.name == "Reshape":
            layouts = []
        for layout in layouts:
            if layout.example[index : index + 1] == (n,):
                attributes = {**call.attributes, name: (LENGTH, *rest)}
                yield dataclasses.replace(call, attributes=attributes), layout
        yield call, of.layout

    def _beside(self, call: Call, of: Ragged, index: int) -> Iterator[tuple[Call, Layout]]:
        """The call with the length of a list for its number, if it is that, or its reciprocal, for
        all sequences: the line makes such calls for the others too."""
        value = call.attributes["value"]
        if not np.isscalar(value):
            return
        own = [c for c in self._calls if (c.name, c.where) == (call.name, call.where)]
        made = np.array([c.attributes["value"] for c in own], float)
        for layout in (of.layout, *(v for v in self._layouts.values() if v is not of.layout)):
            lengths = np.array(layout.example, float)
            if len(set(layout.example)) < 2 or index >= len(lengths) or not lengths.all():
                continue
            for numbers, reciprocal in ((lengths, False), (1 / lengths, True)):
                told = np.isclose(made[:, None], numbers, 1e-6, 0).any(axis=0).all()
                if told and np.isclose(float(value), numbers[index], 1e-6, 0):  # type: ignore[arg-type]
                    attributes = {**call.attributes, "value": Length(reciprocal)}
                    yield dataclasses.replace(call, attributes=attributes), layout

    def _needs(self, layout: Layout, rows: int) -> None:
        """Note that sequences have so many rows at least."""
        if layout.source is None:
            if rows > 1:
                raise UnsupportedError(
                    f"it needs {rows} rows of a slice whose length is no fixed number less than "
                    "that of its sequence"
                )
            return
        least = rows - layout.more
        if least > max(1, self.least.get(layout.source, 1)):
            self.least[layout.source] = least

    def _joined(self, call: Call, given: Given) -> list[Ragged] | None:
        """Each sequence between others, or between rows that are the same for all."""
        if call.name != "Concat" or call.attributes["axis"] != 0:
            return None
        lists = [v for v in given if isinstance(v, Ragged)]
        first = next((v for v in lists if v.rows == MANY), None)
        if first is None or any(v.rows not in (MANY, ONE) for v in lists):
            return None
        sizes = [v.shape[0] for v in given if isinstance(v, Value) and v.shape]
        counts = [n for n in sizes if isinstance(n, int)]
        if len(lists) + len(counts) < len(given):
            return None
        rows = sum(v.rows == ONE for v in lists) + sum(counts)
        wanted = _sum([v.layout for v in lists if v.rows == MANY], rows)
        layout = self._layouts.setdefault(wanted.total, wanted)
        ones = self._ones(first.layout)
        parts: list[Part] = []
        for v in given:
            if isinstance(v, Value):
                parts.append((v, None))
            else:
                parts.append((v.values, v.layout if v.rows == MANY else ones))
        return [Ragged(joined(parts, layout), layout)]

    def _ones(self, layout: Layout) -> Layout:
        """One row for each sequence."""
        zero = graph.constant(0)
        lengths = ops.Add()(ops.Mul()(layout.lengths, zero), graph.constant(1))
        return Layout(f"{layout.name}_ones", lengths, layout.count, (1,) * len(layout.example))

    def _separated(self, call: Call, x: Value | Item) -> Sequence[Item] | None:
        """A list again, of rows that were joined, or of a row for each sequence."""
        assert isinstance(x, Value)
        axis: Any = call.attributes.get("axis")
        if call.name == "Separate" and x.shape[axis] in self._rows:
            x, axis = common.move_axis(x, axis, 0), 0
        if not x.shape or axis != 0:
            return None
        if call.name == "SplitAxis" and call.attributes["indices"] is not None:
            layout = self._layouts.get(x.shape[0])
            if layout is None:
                return None
            ends = np.cumsum(layout.example)[:-1]
            if not np.array_equal(np.asarray(call.attributes["indices"]), ends):
                raise UnsupportedError("it cuts sequences at places that are not their ends")
            return Ragged(x, layout).items
        kinds = {"Separate": BARE, "SplitAxis": ONE}
        of = self._counted(x)
        if of is None or call.name not in kinds or len(call.outputs) != len(of.example):
            return None
        return Ragged(x, of, kinds[call.name]).items

    def _counted(self, x: Value) -> Layout | None:
        """The list that has as many sequences as x has rows."""
        known = next((v for v in self._layouts.values() if v.count == x.shape[0]), None)
        return known or self._rows.get(x.shape[0])

    def _row(self, call: Call, x: Value | Item) -> Sequence[Item] | None:
        """The row of a sequence, where a loop takes them all: `for h, y in zip(last, ys)`."""
        assert isinstance(x, Value)
        of = self._counted(x) if x.shape else None
        own, taken = self._indexed.get(call.inputs[0], (0, set()))
        if of is None or not taken.issuperset(range(len(of.example))):
            return None
        key = ("rows", own)
        if key not in self._made:
            self._made[key] = [Ragged(x, of, BARE)]
        return [Item(self._made[key][0], int(call.attributes["slices"][0]))]

    def _recurrent(
        self, call: Call, made: dict[Any, Value], xs: Ragged, rest: Sequence[Value]
    ) -> Sequence[Value | Item]:
        """Recurrent layers: final states, then the sequences."""
        states, weights = split_states(call.attributes["given"], rest)
        if xs.rows == BARE:
            y, finals = layers(
                Applied(call, made), common.swap_axes(xs.values, 0, 1), None, states, weights
            )
            return [*finals, *Ragged(common.swap_axes(y, 0, 1), xs.layout, BARE).items]
        x, mask = filled(xs.values, xs.layout, 0.0, time_first=True)
        y, finals = layers(Applied(call, made), x, mask, states, weights)
        return [*finals, *Ragged(packed(y, xs.layout, time_first=True), xs.layout).items]


def _joined_along(call: Call, rank: int) -> int | None:
    """The axis along which a call joins arrays of this rank; None for calls that do not."""
    if not rank or call.name not in ("Concat", "Vstack", "Hstack"):
        return None
    if call.name == "Concat":
        return normalise_axis(int(call.attributes["axis"]), rank)
    return int(call.name == "Hstack" and rank > 1)


def _end_to_end(of: Ragged, axis: int) -> Value:
    """Arrays that are joined along an axis."""
    moved = common.move_axis(of.values, 0, axis)
    before, (count, own, *rest) = moved.shape[:axis], moved.shape[axis:]
    return common.reshape(moved, (*before, count * own, *rest))


def _sum(layouts: Sequence[Layout], rows: int) -> Layout:
    """Sequences of several lists, one behind the other, and so many rows besides."""
    first, *others = layouts
    if not others:
        return first.longer(rows) if rows else first
    lengths, total, example = first.lengths, first.total, np.array(first.example)
    for layout in others:
        lengths, total = ops.Add()(lengths, layout.lengths), total + layout.total
        example = example + np.array(layout.example)
    name = "_and_".join(v.name for v in layouts)
    both = Layout(name, lengths, total, tuple(example.tolist()))
    return both.longer(rows) if rows else both


def _key(call: Call) -> tuple[Any, ...]:
    """What tells a call from others but for its inputs."""
    return call.name, _frozen(sorted(call.attributes.items()))


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    return tuple(map(_frozen, value)) if isinstance(value, tuple | list) else repr(value)


def _sign(value: Value) -> Any:
    """What tells a value from others; constants that are equal are one."""
    return value.node.op if value.constant is not None else value
