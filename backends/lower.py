"""From a graph to an Entry of kernels, and the one place that decides what is stored.

A node's result stays lazy while reading it again costs nothing (a view), or while its only reader
reads each element once. Then it is part of that reader's kernel. Everything else is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from webconv.backends.expr import Load, walk
from webconv.backends.kernel import Buffer, Entry
from webconv.backends.lowering import LOWERINGS
from webconv.backends.tensor import LOOP_COST, Context, Tensor, stored
from webconv.ir import dims, ops
from webconv.ir.errors import UnsupportedError
from webconv.ir.graph import Constant, Graph, Input, Node, Program, Value
from webconv.ir.ops.elementwise import Elementwise
from webconv.ir.ops.reduction import Reduce

# Operators that read each element of their inputs at most once.
READ_ONCE = (
    *(Elementwise, Reduce, ops.Cast, ops.Where, ops.Transpose, ops.Slice, ops.Reshape),
    *(ops.Concat, ops.Pad),
)
# Of these, the ones whose kernel is the reader's: a product's epilogue.
EPILOGUE = (Elementwise, ops.Cast, ops.Where)
# WebGPU binds 8 buffers by default, one of which is written.
MOST_READ = 7
# An expression of more operations is stored, so that kernels stay readable and compile fast.
MOST_INLINED = 120


class Lowering(Context):
    """A Context that walks graphs."""

    def __init__(self) -> None:
        super().__init__()
        self._uses: dict[Value, list[tuple[Node, int]]] = {}
        self._node: Node | None = None

    def used(self, output: int) -> bool:
        """True if something reads this output of the node that is being lowered."""
        assert self._node is not None
        return bool(self._uses.get(self._node.outputs[output]))

    def lower_graph(self, graph: Graph, values: Mapping[Value, Tensor]) -> dict[Value, Tensor]:
        """The tensors of all values, given those of the inputs."""
        outer_uses, outer_node = self._uses, self._node
        self._uses = _uses(graph)
        tensors = dict(values)
        for node in graph.nodes:
            if isinstance(node.op, Input):
                continue
            self._node = node
            self._lower_node(node, tensors)
        self._uses, self._node = outer_uses, outer_node
        return tensors

    def _lower_node(self, node: Node, tensors: dict[Value, Tensor]) -> None:
        self.name = node.name or type(node.op).__name__
        self.computes = f"{type(node.op).__name__} {node.name}".strip()
        if isinstance(node.op, Constant):
            tensors[node.outputs[0]] = self.weight(node.op.array)
            return
        self._limit_reads([v for v in node.inputs if v is not None], tensors)
        inputs = [None if v is None else tensors[v] for v in node.inputs]
        results = LOWERINGS[type(node.op)](self, node.op, *inputs)
        results = results if isinstance(results, tuple) else (results,)
        for value, tensor in zip(node.outputs, results, strict=True):
            keep = stays_lazy(tensor, self._uses.get(value, []))
            tensors[value] = tensor if keep else self.store(tensor)

    def _limit_reads(self, values: list[Value], tensors: dict[Value, Tensor]) -> None:
        """Store lazy inputs until what reads them all reads at most MOST_READ buffers."""
        while True:
            reads = {v: self.reads(tensors[v]) for v in values}
            if len(set().union(*reads.values())) <= MOST_READ:
                return
            widest = max(reads, key=lambda v: len(reads[v]))
            if len(reads[widest]) == 1:
                return
            tensors[widest] = self.store(tensors[widest])

    def reads(self, tensor: Tensor) -> set[Buffer]:
        """The buffers behind an element of `tensor`."""
        if tensor.buffer is not None:
            return {tensor.buffer}
        index = tuple(dims.symbol(f"read{k}", n) for k, n in enumerate(tensor.shape))
        return {e.buffer for e in walk(tensor.at(index)) if isinstance(e, Load)}


def _uses(graph: Graph) -> dict[Value, list[tuple[Node, int]]]:
    uses: dict[Value, list[tuple[Node, int]]] = defaultdict(list)
    for node in graph.nodes:
        for k, v in enumerate(node.inputs):
            if v is not None:
                uses[v].append((node, k))
    for v in (*graph.outputs.values(), *graph.writes.values()):
        uses[v].append((Node(Input(v.type), ()), 0))
    return uses


def stays_lazy(tensor: Tensor, uses: list[tuple[Node, int]]) -> bool:
    """True if `tensor` need not be stored for its readers."""
    if tensor.buffer is not None or tensor.cost == 0 or not uses:
        return True
    if len(uses) > 1:
        return False
    reader, position = uses[0]
    if isinstance(reader.op, Input):
        return True  # an output: stored there
    same = reader.outputs[0].shape == tensor.shape
    if tensor.cost >= LOOP_COST:
        return isinstance(reader.op, EPILOGUE) and same and tensor.cost < 2 * LOOP_COST
    once = isinstance(reader.op, READ_ONCE)
    if isinstance(reader.op, EPILOGUE):
        once = same or reader.inputs[position].shape == reader.outputs[0].shape  # type: ignore[union-attr]
    return once and tensor.cost < MOST_INLINED


def unsupported(program: Program) -> list[str]:
    """A line for every node that has no lowering."""
    return [
        f"{type(n.op).__name__} {n.name}".strip()
        for g in program.entries.values()
        for n in g.nodes
        if type(n.op) not in LOWERINGS and not isinstance(n.op, Constant | Input)
    ]


def lower(program: Program, entry: str = "main") -> Entry:
    """The kernels of one entry; raises UnsupportedError that lists all that has no lowering."""
    if missing := unsupported(program):
        raise UnsupportedError("no kernels exist for " + ", ".join(sorted(set(missing))))
    graph = program.entries[entry]
    ctx = Lowering()
    inputs = {
        name: Buffer(ctx.unique(name), v.type.dtype, v.shape, "input")
        for name, v in graph.inputs.items()
    }
    reads = {
        name: Buffer(ctx.unique(name), v.type.dtype, v.shape, "state")
        for name, v in graph.reads.items()
    }
    values = {graph.inputs[n]: stored(b) for n, b in inputs.items()}
    values |= {graph.reads[n]: stored(b) for n, b in reads.items()}
    tensors = ctx.lower_graph(graph, values)
    outputs = {n: _sink(ctx, n, tensors[v], "output") for n, v in graph.outputs.items()}
    writes = {n: _sink(ctx, f"{n}'", tensors[v], "state") for n, v in graph.writes.items()}
    return Entry(
        entry,
        (*graph.symbols, *graph.free_symbols),
        {n: (b, graph.inputs[n].shape) for n, b in inputs.items()},
        {n: (b, graph.outputs[n].shape) for n, b in outputs.items()},
        reads,
        writes,
        tuple(ctx.steps),
        tuple((g.left, g.right) for g in graph.guards),
    )


def _sink(ctx: Lowering, name: str, tensor: Tensor, kind: str) -> Buffer:
    """The buffer that the runner reads: the tensor's own if that is a temporary, else a new one."""
    if kind == "output" and tensor.buffer is not None and tensor.buffer.kind == "temp":
        return tensor.buffer
    ctx.name, ctx.computes = name, f"output {name}"
    target = Buffer(ctx.unique(name), tensor.dtype, tensor.shape, kind)
    ctx.store(tensor, target)
    return target
