"""Cuts entries with host operators into stages: plain graphs, and a schedule that runs them.

A node's level is the number of host operators that it waits for, through values or through the
symbols in its shapes. Nodes of one level are a stage. What needs no input (constants, sizes) is
computed in every stage that reads it; everything else that crosses a level is an output of one
stage and an input of others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from webconv.ir import dims
from webconv.ir.graph import Graph, Input, Node, Program, Value, toposort
from webconv.ir.graph import input as new_input
from webconv.ir.ops.host import Bind, HostOp, If, Loop
from webconv.ir.schedule import Binding, Block, Branch, Read, Repeat, Run, Schedule, Step
from webconv.passes.substitute import substitute


def stage(program: Program) -> Program:
    """`program` without host operators: entries that had some are in `schedules`."""
    entries: dict[str, Graph] = {}
    schedules: dict[str, Schedule] = {}
    for name, graph in program.entries.items():
        if any(isinstance(n.op, HostOp) for n in graph.nodes):
            schedules[name] = _Stager(name, entries).schedule(graph)
        else:
            entries[name] = graph
    if not schedules:
        return program
    return dataclasses.replace(program, entries=entries, schedules=schedules)


@dataclass
class _Stager:
    """Makes the schedule of one entry; the stages go to `entries`."""

    entry: str
    entries: dict[str, Graph]
    slots: int = 0
    stages: int = 0
    names: list[str] = field(default_factory=list)

    def schedule(self, graph: Graph) -> Schedule:
        """The schedule of a whole entry."""
        slots = {v: self.slot() for v in graph.inputs.values()}
        start = set(graph.symbols)
        block = self.block(graph, slots, set(start))
        guards = tuple((g.left, g.right) for g in graph.guards)
        return Schedule(
            {name: v.type for name, v in graph.inputs.items()},
            {name: v.type for name, v in graph.outputs.items()},
            graph.symbols,
            graph.value_symbols,
            tuple(g for g in guards if dims.symbols(*g) <= start),
            self.slots,
            block,
            tuple(self.names),
            graph.lists,
        )

    def slot(self) -> int:
        """A new slot."""
        self.slots += 1
        return self.slots - 1

    def block(self, graph: Graph, slots: dict[Value, int], known: set[str]) -> Block:
        """The steps of a graph whose inputs are in `slots` and whose free symbols are `known`."""
        levels = _Levels(graph, known)
        steps: list[Step] = []
        for level in range(levels.last + 1):
            steps += self.stage(graph, levels, level, slots)
            for node in levels.hosts(level):
                self.names.append(_described(node))
                steps += self.host(node, slots, known)
        return Block(tuple(steps), tuple(slots[v] for v in graph.outputs.values()))

    def stage(
        self, graph: Graph, levels: _Levels, level: int, slots: dict[Value, int]
    ) -> Iterator[Step]:
        """The stage of a level, if anything is computed there."""
        wanted = [v for v in levels.wanted(level) if v not in slots]
        writes = dict(graph.writes) if level == levels.last else {}
        if not wanted and not writes:
            return
        outputs = {f"{k}": v for k, v in enumerate(wanted)}
        roots: dict[tuple[str, str], Value] = {("output", k): v for k, v in outputs.items()}
        roots |= {("write", k): v for k, v in writes.items()}
        given = list(_leaves(roots.values(), slots))
        inputs = {f"{k}": new_input(f"{k}", v.type) for k, v in enumerate(given)}
        made = substitute(roots, dict(zip(given, inputs.values(), strict=True)))
        reached = set(toposort(made.values()))
        name = f"{self.entry}.{self.stages}"
        self.stages += 1
        self.entries[name] = Graph(
            inputs,
            {k: made["output", k] for k in outputs},
            {k: v for k, v in graph.reads.items() if v.node in reached or k in writes},
            {k: made["write", k] for k in writes},
        )
        slots |= {v: self.slot() for v in wanted}
        yield Run(name, tuple(slots[v] for v in given), tuple(slots[v] for v in wanted))

    def host(self, node: Node, slots: dict[Value, int], known: set[str]) -> Iterator[Step]:
        """The step of a host operator."""
        match node.op:
            case Bind(symbols=symbols):
                x, sizes = node.inputs
                assert x is not None
                assert sizes is not None
                known |= set(symbols)
                slots[node.outputs[0]] = slots[x]
                yield Read(slots[sizes], symbols)
            case If():
                yield self.branch(node, node.op, slots, known)
            case Loop():
                yield self.repeat(node, node.op, slots, known)

    def branch(self, node: Node, op: If, slots: dict[Value, int], known: set[str]) -> Branch:
        condition, *captured = node.inputs
        blocks = []
        for graph in (op.then, op.otherwise):
            inner = {
                own: slots[outer]
                for own, outer in zip(graph.inputs.values(), captured, strict=True)
                if outer is not None
            }
            blocks.append(self.block(graph, inner, set(known)))
        outputs = {v: self.slot() for v in node.outputs}
        slots |= outputs
        on = 0 if op.on is None else op.on
        where = None if condition is None else slots[condition]
        bindings = _bindings(outputs.items(), known)
        return Branch(where, on, blocks[0], blocks[1], tuple(outputs.values()), bindings)

    def repeat(self, node: Node, op: Loop, slots: dict[Value, int], known: set[str]) -> Repeat:
        trips, condition, *rest = node.inputs
        initial, captured = rest[: op.carries], rest[op.carries :]
        own = list(op.body.inputs.values())
        parameters = {v: self.slot() for v in own[: 2 + op.carries]}
        inner = dict(parameters)
        for v, outer in zip(own[2 + op.carries :], captured, strict=True):
            assert outer is not None
            inner[v] = slots[outer]
        within = set(known)
        entering = _bindings(parameters.items(), within)
        body = self.block(op.body, inner, within)
        outputs = {v: self.slot() for v in node.outputs}
        slots |= outputs
        return Repeat(
            None if trips is None else slots[trips],
            None if condition is None else slots[condition],
            tuple(slots[v] for v in initial if v is not None),
            tuple(parameters.values()),
            body,
            tuple(outputs.values()),
            op.types[op.carries :],
            entering,
            _bindings(outputs.items(), known),
        )


def _bindings(slots: Iterable[tuple[Value, int]], known: set[str]) -> tuple[Binding, ...]:
    """The symbols that shapes bind which are not known yet; they are from now on."""
    out = []
    for value, slot in slots:
        for axis, d in enumerate(value.shape):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol) and found.name not in known:
                known.add(found.name)
                out.append(Binding(found.name, slot, axis))
    return tuple(out)


def _leaves(roots: Iterable[Value], slots: Mapping[Value, int]) -> dict[Value, None]:
    """The values in slots that `roots` are computed from."""
    found: dict[Value, None] = {}
    seen: set[Value] = set()
    stack = list(roots)
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in slots:
            found[v] = None
        else:
            stack += [i for i in v.node.inputs if i is not None]
    return found


class _Levels:
    """The level of every value of a graph, given the symbols that are known at level 0."""

    def __init__(self, graph: Graph, known: Iterable[str]) -> None:
        self.graph = graph
        self.of: dict[Value, int] = {}
        self._symbols = dict.fromkeys(known, 0)
        self._hosts: dict[int, list[Node]] = {}
        waiting = list(graph.nodes)
        while waiting:
            later = [node for node in waiting if not self._place(node)]
            if len(later) == len(waiting):
                names = ", ".join(sorted(self._open(later[0])))
                raise AssertionError(f"{later[0]}: nothing gives {names}")
            waiting = later
        self.last = max([0, *self.of.values()])

    def _open(self, node: Node) -> set[str]:
        return _used(node) - self._symbols.keys()

    def _place(self, node: Node) -> bool:
        """Give the node's outputs a level, if all that it waits for has one."""
        inputs = [v for v in node.inputs if v is not None]
        if any(v not in self.of for v in inputs) or self._open(node):
            return False
        level = max([0, *(self.of[v] for v in inputs), *(self._symbols[s] for s in _used(node))])
        if isinstance(node.op, HostOp):
            self._hosts.setdefault(level, []).append(node)
            level += 1
            bound = set(node.op.symbols) if isinstance(node.op, Bind) else set()
            bound |= dims.symbols(*(d for v in node.outputs for d in v.shape))
            for s in bound:
                self._symbols.setdefault(s, level)
        self.of |= dict.fromkeys(node.outputs, level)
        return True

    def hosts(self, level: int) -> Sequence[Node]:
        """The host operators whose inputs are complete at a level."""
        return self._hosts.get(level, ())

    def wanted(self, level: int) -> list[Value]:
        """What a level must give: outputs, what host operators read, what later levels read."""
        found: dict[Value, None] = {}
        for node in self.graph.nodes:
            reader = max((self.of[v] for v in node.outputs), default=0)
            host = isinstance(node.op, HostOp)
            for v in node.inputs:
                if v is None or self.of[v] != level:
                    continue
                crosses = reader > level and not _is_free(v)
                if (host or crosses) and not self._is_given(v):
                    found[v] = None
        for v in self.graph.outputs.values():
            if self.of[v] == level:
                found[v] = None
        if level != self.last:
            found |= {v: None for v in self.graph.writes.values() if self.of[v] == level}
        return list(found)

    def _is_given(self, v: Value) -> bool:
        """True for inputs of the graph: their slots are filled from the start."""
        return any(v is i for i in self.graph.inputs.values())


def _described(node: Node) -> str:
    """What a host operator does, for people."""
    match node.op:
        case Bind():
            what = "a size is read from data"
        case If(on=None):
            what = "a branch is taken by data"
        case If():
            what = "a branch is taken by an input's value or size"
        case _:
            what = "a loop is counted"
    return f"{node.name or type(node.op).__name__}: {what}"


def _used(node: Node) -> set[str]:
    """The symbols that must be known before a node is computed."""
    if isinstance(node.op, HostOp):
        return node.op.free_symbols
    return dims.symbols(*node.op.dims, *(d for v in node.outputs for d in v.shape))


def _is_free(v: Value) -> bool:
    """True if a stage may compute it again: a constant, or a function of sizes."""
    return not v.node.inputs and not isinstance(v.node.op, Input)
