"""Converts a tape to a Program: a function of ours for every call."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends.chainer.align import Mismatch, Reciprocal, Varying, resolved
from webconv.frontends.chainer.interleaved import UNWEAVE
from webconv.frontends.chainer.items import GRID, MANY, TURNED, Item, Ragged
from webconv.frontends.chainer.lengths import of_lengths
from webconv.frontends.chainer.links import changed
from webconv.frontends.chainer.plugins import lines_to_write
from webconv.frontends.chainer.ragged import Lists, list_input, list_layout
from webconv.frontends.chainer.registry import FUNCTIONS, REASONS, Convert
from webconv.frontends.chainer.tape import Call, Leaf, Tape
from webconv.ir import graph
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import ModelFormatError, UnsupportedError, WebconvError
from webconv.ir.graph import Graph, Program, State, Value
from webconv.ir.lists import Lists as GraphLists
from webconv.ir.op import TensorType
from webconv.passes.driver import rewrite

# What functions of ours raise on attributes and inputs that Chainer itself would refuse.
MISFITS = (TypeError, ValueError, IndexError, KeyError, AttributeError, ZeroDivisionError)

# Names of outputs that the chain does not name.
AUTOMATIC = re.compile(r"output(_\d+)?")


def check(tape: Tape, table: Mapping[str, Convert]) -> None:
    """Raises UnsupportedError with all functions that `table` lacks."""
    missing: dict[str, list[Call]] = {}
    for call in tape.calls:
        if call.name not in table:
            missing.setdefault(call.name, []).append(call)
    if not missing:
        return
    lines = []
    for name, calls in missing.items():
        times = f" ({len(calls)} times)" if len(calls) > 1 else ""
        near = difflib.get_close_matches(name, table, 1)
        hint = REASONS.get(name) or (f"there is {near[0]}" if near else "")
        lines.append(f"  {name}{times}, at {calls[0].where}" + (f"; {hint}" if hint else ""))
    reason = "the chain uses functions that are not supported:\n" + "\n".join(lines)
    unknown = [calls[0] for name, calls in missing.items() if name not in REASONS]
    if unknown:
        reason += f"\nTeach them with --plugin FILE.py, which holds:\n{lines_to_write(unknown)}"
    raise UnsupportedError(reason)


def convert(
    tape: Tape,
    name: str,
    plugins: Mapping[str, Convert],
    plain: list[Call] | None = None,
    rows: Collection[int] = (),
) -> Program:
    """The program of a tape; sizes in shapes of its inputs may be symbols.

    `plain` is filled with the calls that have to do with no sequence of a list. Arrays of one of
    the sizes `rows` that are taken apart are lists too.
    """
    import webconv.frontends.chainer.functions  # noqa: F401  (fills the table)

    table = {**FUNCTIONS, **plugins}
    check(tape, table)
    values: dict[int, Value | Item] = {}
    lists = _list_inputs(tape, values)
    for leaf in tape.leaves:
        if leaf.value not in values:
            counted = of_lengths(leaf, [*lists.values()])
            values[leaf.value] = counted or _leaf(leaf, tape.counted)
    made: dict[Hashable, Value] = {}
    known = Lists([*lists.values()], tape.calls, rows)
    for call in tape.calls:
        outputs = _apply(table[call.name], call, values, made, known)
        met = [*(values[n] for n in call.inputs), *outputs]
        if plain is not None and not any(isinstance(v, Item) for v in met):
            plain.append(call)
        for number, value in zip(call.outputs, outputs, strict=True):
            if number is not None:
                values[number] = value
    main = _graph(tape, values, lists, known.least)
    states = [
        State(leaf.name, main.reads[leaf.name].type, _initial(leaf))
        for leaf in tape.leaves
        if leaf.kind == "state"
    ]
    states += [State(n, v.type) for n, v in main.writes.items() if n not in main.reads]
    layers = {path: _layer(calls, values) for path, calls in tape.layers.items()}
    program = Program({"main": main}, tuple(states), name, layers=layers)
    return changed(program, lambda p: rewrite(p, UNWEAVE))


def _layer(calls: Sequence[Sequence[int]], values: Mapping[int, Value | Item]) -> tuple[Value, ...]:
    """What a link gave, call by call; a list of sequences is one value."""
    made = [values[number] for call in calls for number in call]
    return tuple(
        v.of.values if isinstance(v, Item) else v
        for v in made
        if isinstance(v, Value) or v.index == 0
    )


def _list_inputs(tape: Tape, values: dict[int, Value | Item]) -> dict[str, Ragged]:
    """The inputs that are lists, by name; their members are put among the values."""
    leaves = {leaf.name: leaf for leaf in tape.leaves if leaf.kind == "input"}
    taken = {leaf.name for leaf in tape.leaves if leaf.kind in ("input", "state")} | {*tape.lists}
    layouts = {
        name: list_layout(name, [leaves[m] for m in members], taken)
        for name, members in tape.lists.items()
        if name not in tape.beside
    }
    found = {}
    for name, members in tape.lists.items():
        own = [leaves[m] for m in members]
        found[name] = list_input(name, own, layouts[tape.beside.get(name, name)])
        for leaf, item in zip(own, found[name].items, strict=True):
            values[leaf.value] = item
    return found


def _graph(
    tape: Tape,
    values: Mapping[int, Value | Item],
    lists: Mapping[str, Ragged],
    least: Mapping[str, int],
) -> Graph:
    found = {kind: {} for kind in ("input", "state")}  # type: dict[str, dict[str, Value]]
    for leaf in tape.leaves:
        value = values[leaf.value]
        if leaf.kind in found and isinstance(value, Value):
            found[leaf.kind][leaf.name] = value
    writes = {name: _single(values[number]) for name, number in tape.writes.items()}
    first = {members[0]: name for name, members in tape.lists.items()}
    inputs: dict[str, Value] = {}
    for name in tape.inputs:
        if name in first:
            whole = lists[first[name]]
            inputs[first[name]] = whole.values
            inputs[whole.layout.lengths.node.name] = whole.layout.lengths
        elif name in found["input"]:
            inputs[name] = found["input"][name]
    given = {name: whole.layout.lengths.node.name for name, whole in lists.items()}
    outputs, cut, more = _outputs(tape, values, given)
    rows = {name: least.get(str(whole.layout.source), 1) for name, whole in lists.items()}
    longer = {name: n for name, n in rows.items() if n > 1}
    return Graph(
        inputs, outputs, found["state"], writes, lists=GraphLists(given, cut, longer, more)
    )


def _outputs(
    tape: Tape, values: Mapping[int, Value | Item], given: Mapping[str, str]
) -> tuple[dict[str, Value], dict[str, str], dict[str, int]]:
    """The outputs, and which of them are lists, by the input with their lengths, and how many rows
    more they have."""
    made: list[tuple[str, Value | Ragged]] = []
    left: list[Item] = []
    for name, number in tape.outputs.items():
        value = values[number]
        first = left[0] if left else None
        if isinstance(value, Item) and first is None and value.index == 0:
            made.append((_list_name(name, tape.outputs), value.of))
            left = value.of.items[1:]
        elif isinstance(value, Item) and first is not None and value.same(first):
            left = left[1:]
        elif isinstance(value, Value) and first is None:
            made.append((name, value))
        else:
            raise UnsupportedError("the sequences of a list must be given all, in their order")
    if left:
        raise UnsupportedError("the sequences of a list must be given all, in their order")
    if all(AUTOMATIC.fullmatch(name) for name, _ in made):
        several = len(made) > 1
        made = [(f"output_{k}" if several else "output", v) for k, (_, v) in enumerate(made)]
    outputs = {name: v.values if isinstance(v, Ragged) else v for name, v in made}
    lists = {name: v for name, v in made if isinstance(v, Ragged)}
    cut = {name: _given_lengths(v, given) for name, v in lists.items()}
    more = {name: v.layout.more for name, v in lists.items() if v.layout.more}
    return outputs, cut, more


def _list_name(first: str, names: Collection[str]) -> str:
    """What a list is called whose first sequence is called `first`."""
    name = first.removesuffix("_0")
    return first if AUTOMATIC.fullmatch(first) or name in names else name


def _given_lengths(whole: Ragged, given: Mapping[str, str]) -> str:
    if whole.rows in (GRID, TURNED):
        raise UnsupportedError(
            "it gives a matrix of each sequence that is no list of rows; multiply it by rows "
            "(F.matmul), or transpose it back"
        )
    if whole.rows != MANY:
        raise UnsupportedError("it gives a row of each sequence; join them by F.stack or F.concat")
    if whole.layout.source is None:
        raise UnsupportedError(
            "it gives sequences whose lengths are not those of an input, or a number more or less; "
            "join them by F.concat"
        )
    return given[whole.layout.source]


def _single(value: Value | Item) -> Value:
    if isinstance(value, Item):
        raise UnsupportedError("a state cannot be a sequence of a list")
    return value


def _leaf(leaf: Leaf, counted: Mapping[str, Mapping[int, Dim]]) -> Value:
    dtype = from_numpy(leaf.array.dtype)
    shape = leaf.shape if leaf.shape is not None else leaf.array.shape
    if leaf.kind == "input":
        known = counted.get(leaf.name, {})
        shape = tuple(known.get(k, n) for k, n in enumerate(shape))
    if leaf.kind in ("input", "state"):
        return graph.input(leaf.name, TensorType(dtype, tuple(shape)))
    if leaf.pattern is not None:
        return leaf.pattern.value(tuple(shape), dtype)
    return graph.constant(np.array(leaf.array, order="C"), leaf.name)


def _initial(leaf: Leaf) -> Any:
    return leaf.array if np.any(leaf.array) else None


def _resolved(call: Call, values: Mapping[int, Value | Item]) -> Call:
    """`call` with numbers that follow from the sizes of arrays before it as Dims."""
    if not any(_varies(v) for v in call.attributes.values()):
        return call
    arrays = [v for v in values.values() if isinstance(v, Value)]
    known = dict.fromkeys(d for v in arrays for d in (*v.shape, v.type.size))
    open_ = [d for d in known if not isinstance(d, int)]
    attributes = {k: resolved(v, open_) for k, v in call.attributes.items()}
    return dataclasses.replace(call, attributes=attributes)


def _varies(value: object) -> bool:
    match value:
        case Varying() | Reciprocal():
            return True
        case tuple() | list():
            return any(_varies(v) for v in value)
        case slice():
            return any(_varies(v) for v in (value.start, value.stop, value.step))
    return False


def _apply(
    function: Convert,
    call: Call,
    values: Mapping[int, Value | Item],
    made: dict[Hashable, Value],
    lists: Lists,
) -> tuple[Value | Item, ...]:
    inputs = [values[n] for n in call.inputs]
    try:
        call = _resolved(call, values)
        outputs: Any = lists.applied(function, call, made, inputs)
        if outputs is None:
            outputs = lists.plain(function, call, made, inputs)
    except Mismatch as mismatch:
        raise UnsupportedError(
            f"{call.name} at {call.where}: {mismatch}; give the sizes plain numbers in the example"
        ) from None
    except WebconvError as error:
        error.args = (f"{call.name} at {call.where}: {error}",)
        raise
    except MISFITS as error:
        given = ", ".join(str(v.type) for v in inputs if isinstance(v, Value))
        reason = " ".join(str(error).split())
        raise ModelFormatError(
            f"{call.name} at {call.where}: it does not fit its inputs ({given}): {reason}"
        ) from error
    outputs = tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)
    if len(outputs) != len(call.outputs):
        raise ModelFormatError(
            f"{call.name} at {call.where}: it has {len(call.outputs)} outputs, but its function "
            f"gives {len(outputs)}"
        )
    for value in outputs:
        if isinstance(value, Value) and not value.node.name:
            value.node.name = call.label
    return outputs
