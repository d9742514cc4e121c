"""Nodes, graphs and programs: immutable, typed when made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.errors import GraphError, ShapeError
from webconv.ir.lists import NO_LISTS, Lists
from webconv.ir.op import Array, Guard, Op, TensorType, bind
from webconv.ir.schedule import Schedule


class Value:
    """Output `index` of a node; compared by identity.

    `known` holds the Dims that its elements are, where a frontend knows them: arithmetic on shapes.
    """

    __slots__ = ("index", "known", "node", "type")
    __match_args__ = ("node",)

    def __init__(self, node: Node, index: int, type: TensorType) -> None:
        self.node, self.index, self.type = node, index, type
        self.known: Array | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The sizes of the axes."""
        return self.type.shape

    @property
    def constant(self) -> Array | None:
        """The array that the value always is, if it is a constant."""
        return self.node.op.array if isinstance(self.node.op, Constant) else None

    def __repr__(self) -> str:
        return f"<{self.node.name or type(self.node.op).__name__}:{self.index} {self.type}>"


class Node:
    """An operator applied to inputs. It is typed when it is made, so no shape can be stale.

    An optional input that is absent is None. Raises ShapeError, naming op and node, if the input
    types break the op's rules.
    """

    __slots__ = ("guards", "inputs", "name", "op", "outputs")
    __match_args__ = ("op", "inputs")

    def __init__(self, op: Op, inputs: Iterable[Value | None], name: str = "") -> None:
        self.op, self.inputs, self.name = op, tuple(inputs), name
        types = [None if v is None else v.type for v in self.inputs]
        try:
            out = op.infer(*types)  # type: ignore[arg-type]
            self.guards: tuple[Guard, ...] = op.guards(*types)  # type: ignore[arg-type]
        except ShapeError as e:
            raise ShapeError(f"{' '.join(filter(None, [type(op).__name__, name]))}: {e}") from None
        self.outputs = tuple(Value(self, i, t) for i, t in enumerate(out))

    @property
    def limits(self) -> tuple[Guard, ...]:
        """What must hold of the symbols for the op to stay within its inputs."""
        return self.op.limits(*[None if v is None else v.type for v in self.inputs])  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<{type(self.op).__name__} {self.name}>"


@dataclass(frozen=True)
class Input(Op):
    """A value that comes from outside: an input of the graph or a state that it reads.

    `sizes` are symbols that its elements bind, in row-major order: an integer input that is used
    as a size. Such symbols are named `value_...` and may be negative.
    """

    type: TensorType
    sizes: tuple[str, ...] = ()

    def infer(self) -> tuple[TensorType, ...]:  # type: ignore[override]
        return (self.type,)


def content_digest(array: Array) -> str:
    """SHA-256 over dtype, shape and bytes."""
    sha = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    # Without a copy of what may be most of the machine's memory.
    sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """An array; equal to another by dtype, shape and content digest."""

    array: Array = field(repr=False)

    def infer(self) -> tuple[TensorType, ...]:  # type: ignore[override]
        return (TensorType(from_numpy(self.array.dtype), self.array.shape),)

    def eval(self) -> tuple[Array, ...]:  # type: ignore[override]
        return (self.array,)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over dtype, shape and bytes."""
        return content_digest(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and (
            self.array is other.array or self.digest == other.digest
        )

    def __hash__(self) -> int:
        return hash(self.digest)


def input(name: str, type: TensorType) -> Value:
    """A new graph input."""
    return Node(Input(type), (), name).outputs[0]


def constant(array: object, name: str = "") -> Value:
    """A constant value; Python floats become f32, ints i32."""
    if type(array) is float:  # np.float64 is a float too
        array = np.float32(array)
    elif type(array) is int:
        array = np.int32(array)
    return Node(Constant(np.asarray(array)), (), name).outputs[0]


def toposort(roots: Iterable[Value]) -> list[Node]:
    """Every node that `roots` depend on, inputs first; iterative, so depth is no limit."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(v.node, False) for v in reversed(list(roots))]
    while stack:
        node, expanded = stack.pop()
        if node in done:
            continue
        if expanded:
            done.add(node)
            order.append(node)
            continue
        stack.append((node, True))
        stack += [(v.node, False) for v in reversed(node.inputs) if v and v.node not in done]
    return order


@dataclass(frozen=True)
class State:
    """A named tensor that outlives a run; it starts as `initial`, or as zeros if that is None."""

    name: str
    type: TensorType
    initial: Array | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """Named inputs and outputs, and the states that are read before and written after a run.

    `lists` says which inputs and outputs are lists of sequences for those who run it.
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    reads: Mapping[str, Value] = field(default_factory=dict)
    writes: Mapping[str, Value] = field(default_factory=dict)
    lists: Lists = field(default=NO_LISTS, kw_only=True)

    def __post_init__(self) -> None:
        if self.lists != self.lists.kept(self.inputs, self.outputs):
            raise GraphError(f"lists must be inputs and outputs of the graph: {self.lists}")
        sources = {v.node for v in (*self.inputs.values(), *self.reads.values())}
        for node in self.nodes:
            if isinstance(node.op, Input) and node not in sources:
                raise GraphError(f"input {node.name!r} is used but is not an input of the graph")

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that outputs and state writes reach, in topological order."""
        return tuple(toposort((*self.outputs.values(), *self.writes.values())))

    @cached_property
    def guards(self) -> tuple[Guard, ...]:
        """What must hold of the symbols, without repetition."""
        return tuple(dict.fromkeys(g for n in self.nodes for g in (*n.guards, *n.limits)))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the inputs' and states' shapes bind, in order of appearance."""
        found: dict[str, None] = {}
        for v in (*self.inputs.values(), *self.reads.values()):
            for d in v.shape:
                found |= dict.fromkeys(sorted(dims.symbols(d)))
        return (*found, *self.value_symbols)

    @cached_property
    def free_symbols(self) -> tuple[str, ...]:
        """Symbols that its operators use and no input binds: a stage's, which the runner knows."""
        from webconv.ir.ops.host import free_symbols

        return tuple(sorted(free_symbols(self) - set(self.symbols)))

    @cached_property
    def value_symbols(self) -> dict[str, tuple[str, int]]:
        """Symbols that an input's elements bind, if anything uses them: input name, element."""
        used = {s for n in self.nodes for s in dims.symbols(*n.op.dims)}
        used |= {s for g in self.guards for s in dims.symbols(g.left, g.right)}
        return {
            symbol: (name, k)
            for name, v in self.inputs.items()
            for k, symbol in enumerate(getattr(v.node.op, "sizes", ()))
            if symbol in used
        }

    def bound(self, values: Mapping[str, Dim]) -> Graph:
        """The graph with symbols replaced."""
        groups = (self.inputs, self.outputs, self.reads, self.writes)
        new: dict[Value, Value] = {}
        for node in toposort(v for group in groups for v in group.values()):
            inputs = [None if v is None else new[v] for v in node.inputs]
            made = Node(bind(node.op, values), inputs, node.name)
            new |= dict(zip(node.outputs, made.outputs, strict=True))
        bound = ({name: new[v] for name, v in group.items()} for group in groups)
        return Graph(*bound, lists=self.lists)

    @property
    def all_nodes(self) -> Iterator[Node]:
        """The nodes, and those of the graphs that operators hold."""
        for node in self.nodes:
            yield node
            for held in vars(node.op).values():
                if isinstance(held, Graph):
                    yield from held.all_nodes

    @property
    def values(self) -> Iterator[Value]:
        """Every value that some node gives."""
        for node in self.nodes:
            yield from node.outputs


@dataclass(frozen=True, eq=False)
class Program:
    """Entries over shared constants and states; most programs have the one entry `main`.

    After `webconv.passes.stages` an entry with host operators is in `schedules`, and its stages are
    among the entries. `layers` has the values that a frontend knows by the names of the model: what
    edits may cut at; `notes` are lines that it has to tell the user. Passes drop both.
    """

    entries: Mapping[str, Graph]
    states: tuple[State, ...] = ()
    name: str = "model"
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    layers: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {s.name for s in self.states}
        for entry, graph in self.entries.items():
            for name in (*graph.reads, *graph.writes):
                if name not in known:
                    raise GraphError(f"entry {entry!r} uses the unknown state {name!r}")

    @property
    def main(self) -> Graph:
        """The entry `main`, or the only one."""
        return self.entries["main"] if "main" in self.entries else next(iter(self.entries.values()))

    @property
    def parameters(self) -> int:
        """The number of elements of all floating-point constants, each counted once."""
        arrays = {
            n.op: n.op.array.size
            for g in self.entries.values()
            for n in g.all_nodes
            if isinstance(n.op, Constant) and n.op.array.dtype.kind == "f"
        }
        return sum(arrays.values())

    def run(
        self,
        inputs: Mapping[str, Any],
        entry: str = "main",
        states: dict[str, Array] | None = None,
        precision: type[np.floating] = np.float64,
    ) -> dict[str, Any]:
        """Evaluate by the NumPy reference; `states` is read and, at the end, written.

        An input or output that is a list of sequences is a list of arrays.
        """
        from webconv.ir.reference import run

        return run(self, inputs, entry, states, precision)
