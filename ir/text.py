"""The text form of programs; `webconv.ir.parse` is the way back.

    program("sentiment")
    state("h", f32[1, batch, 4], constant(f32[()], [0.5]))

    with entry("main"):
        tokens = input("tokens", i32[batch, 80])
        k = input("k", i64[()], "value_k_0")
        table = weight(f32[6000, 128], 0)
        embedding = Gather(axis=0)(table, tokens)
        y, h_n, c_n = LSTM(direction="reverse")(x, w, r, None, name="lstm_1")
        output("probs", y)
        write("h", h_n)

The syntax is Python's, which is read by `ast` and never run. A node is named as its variable
unless it says otherwise. Small constants stand in the text; the arrays of others lie elsewhere:
`weight(type, *reference)`, where the reference is whatever `Store` gave for the array and `Fetch`
takes. A graph that an operator holds comes before it as `with graph(name):`. An input or output
that is a list of sequences names the input with their lengths:

    xs = input("xs", f32[xs_total, 4], lengths="xs_lengths")
"""

from __future__ import annotations

import dataclasses
import keyword
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Expr
from webconv.ir.dtypes import DType, from_numpy
from webconv.ir.errors import GraphError
from webconv.ir.graph import Constant, Graph, Input, Node, Program, Value
from webconv.ir.lists import Lists
from webconv.ir.op import Array, Op, TensorType

# Constants of at most this many elements stand in the text.
MOST_INLINE = 16

Reference: TypeAlias = tuple[int | str, ...]
# Keeps an array somewhere, and says where.
Store: TypeAlias = Callable[[Array], Reference]


def print_program(program: Program, store: Store | None = None) -> str:
    """`program` as text; without a `store` all constants stand in the text."""
    return "".join(line + "\n" for line in _Printer(store).program(program))


def _quoted(text: str) -> str:
    # As Python writes it, which is what parses it: JSON would split what lies beyond U+FFFF in two.
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'


def type_text(t: TensorType) -> str:
    """`f32[batch, 16]`, or `f32[()]` for a scalar."""
    return f"{t.dtype}[{', '.join(map(str, t.shape)) or '()'}]"


class _Printer:
    """Names values while it prints."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._names: dict[Value, str] = {}
        self._taken: dict[str, int] = {}
        self._graphs: dict[int, str] = {}

    def program(self, program: Program) -> Iterator[str]:
        yield f"program({_quoted(program.name)})"
        yield from self._bounds(program)
        for s in program.states:
            initial = "" if s.initial is None else f", {self._array(s.initial)}"
            yield f"state({_quoted(s.name)}, {type_text(s.type)}{initial})"
        for name, graph in program.entries.items():
            self._taken = {}
            yield from self._graph(f"entry({_quoted(name)})", graph)

    def _bounds(self, program: Program) -> Iterator[str]:
        shapes = (v.shape for g in program.entries.values() for v in g.values)
        found = {a for shape in shapes for d in shape for a in dims.atoms(d)}
        bounded = {a.name: a.bound for a in found if isinstance(a, dims.Symbol) and a.bound}
        for name, bound in sorted(bounded.items()):
            yield f"symbol({_quoted(name)}, {bound})"

    def _graph(self, head: str, graph: Graph) -> Iterator[str]:
        for node in graph.nodes:
            for _, value in _attributes(node.op):
                if isinstance(value, Graph) and id(value) not in self._graphs:
                    self._graphs[id(value)] = f"graph_{len(self._graphs) + 1}"
                    yield from self._graph(f"graph({self._graphs[id(value)]})", value)
        yield ""
        yield f"with {head}:"
        for kind, values in (("input", graph.inputs), ("read", graph.reads)):
            for name, v in values.items():
                variable = self._name(v, name)
                sizes = "".join(f", {_quoted(size)}" for size in _sizes(v))
                lengths = _list(graph.lists, name) if kind == "input" else ""
                head = f"{kind}({_quoted(name)}, {type_text(v.type)}{sizes}{lengths})"
                yield f"    {variable} = {head}"
        for node in graph.nodes:
            if not isinstance(node.op, Input):
                yield "    " + self._node(node)
        for kind, values in (("output", graph.outputs), ("write", graph.writes)):
            for name, v in values.items():
                lengths = _output_list(graph.lists, name) if kind == "output" else ""
                yield f"    {kind}({_quoted(name)}, {self._names[v]}{lengths})"

    def _node(self, node: Node) -> str:
        variables = [self._name(v, node.name or type(node.op).__name__) for v in node.outputs]
        named = [] if variables[0] == node.name else [f"name={_quoted(node.name)}"]
        if isinstance(node.op, Constant):
            call = self._array(node.op.array, named)
        else:
            inputs = ["None" if v is None else self._names[v] for v in node.inputs]
            call = f"{self._op(node.op)}({', '.join(inputs + named)})"
        return f"{', '.join(variables)} = {call}"

    def _name(self, value: Value, name: str) -> str:
        base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "value"
        if base[0].isdigit() or keyword.iskeyword(base):
            base = f"_{base}"
        while (count := self._taken.get(base, 0)) > 0:
            self._taken[base] = count + 1
            base = f"{base}_{count}"
        self._taken[base] = 1
        self._names[value] = base
        return base

    def _array(self, array: Array, named: list[str] | None = None) -> str:
        head = type_text(TensorType(from_numpy(array.dtype), array.shape))
        if self._store is None or array.size <= MOST_INLINE:
            numbers = ", ".join(map(_number, array.ravel()))
            return f"constant({', '.join([head, f'[{numbers}]', *(named or [])])})"
        reference = (_quoted(x) if isinstance(x, str) else str(x) for x in self._store(array))
        return f"weight({', '.join([head, *reference, *(named or [])])})"

    def _op(self, op: Op) -> str:
        written = (f"{name}={self._attribute(value)}" for name, value in _attributes(op))
        return f"{type(op).__name__}({', '.join(written)})"

    def _attribute(self, value: object) -> str:
        match value:
            case Graph():
                return self._graphs[id(value)]
            case Op():
                return self._op(value)
            case tuple():
                inner = ", ".join(map(self._attribute, value))
                return f"({inner},)" if len(value) == 1 else f"({inner})"
            case TensorType():
                return type_text(value)
            case str():
                return _quoted(value)
            case np.ndarray():
                return self._array(value)
            case bool() | None | DType() | Expr():
                return str(value)
            case int() | float() | np.number():
                return _number(value)
        raise GraphError(f"the text form has no way to write {type(value).__name__}")


def _attributes(op: Op) -> Iterator[tuple[str, object]]:
    """The attributes that are not at their defaults."""
    for f in dataclasses.fields(op):  # type: ignore[arg-type]
        value = getattr(op, f.name)
        if (
            f.default is dataclasses.MISSING
            or type(value) is not type(f.default)
            or value != f.default
        ):
            yield f.name, value


def _number(x: object) -> str:
    """The shortest text that gives the same number in its type."""
    if isinstance(x, np.bool_):
        return str(bool(x))
    return str(x)


def _list(lists: Lists, name: str) -> str:
    least = f", least={lists.least[name]}" if name in lists.least else ""
    return f", lengths={_quoted(lists.inputs[name])}{least}" if name in lists.inputs else ""


def _output_list(lists: Lists, name: str) -> str:
    more = f", more={lists.more[name]}" if name in lists.more else ""
    return f", lengths={_quoted(lists.outputs[name])}{more}" if name in lists.outputs else ""


def _sizes(value: Value) -> tuple[str, ...]:
    return value.node.op.sizes if isinstance(value.node.op, Input) else ()
