"""The NumPy reference: evaluates a program op by op, in float64 unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from webconv.ir import dims
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Graph, Input, Node, Program, Value
from webconv.ir.op import Array, Guard, TensorType, bind
from webconv.ir.ops.host import Bind, HostOp, bind_shape


def run(
    program: Program,
    inputs: Mapping[str, Any],
    entry: str = "main",
    states: dict[str, Array] | None = None,
    precision: type[np.floating] = np.float64,
) -> dict[str, Any]:
    """The outputs of `entry` by name; float outputs come in `precision`, lists as lists of arrays.

    States not in `states` start at their initial values; writes are committed to `states` at the
    end, so a failed run changes nothing. Raises ShapeError if an input is missing or misfits.
    """
    graph = program.entries[entry]
    states = {} if states is None else states
    inputs = graph.lists.pack(inputs, {name: v.type for name, v in graph.inputs.items()})
    given = {name: _input(name, v, inputs) for name, v in graph.inputs.items()}
    sizes = bind_sizes({n: (v, given[n].shape) for n, v in graph.inputs.items()})
    sizes |= {s: int(given[n].flat[k]) for s, (n, k) in graph.value_symbols.items()}
    sizes = state_sizes(graph, sizes, {name: np.shape(a) for name, a in states.items()})
    for state in program.states:
        if state.name in graph.reads and state.name not in states:
            shape = tuple(dims.evaluate(d, sizes) for d in state.type.shape)
            first = np.zeros((), state.type.dtype.numpy) if state.initial is None else state.initial
            states[state.name] = np.broadcast_to(first, shape)
    sources = {v: given[n] for n, v in graph.inputs.items()}
    sources |= {v: states[n] for n, v in graph.reads.items()}
    values = evaluate(graph, sources, sizes, precision)
    states |= {name: values[v] for name, v in graph.writes.items()}
    return graph.lists.unpack({name: values[v] for name, v in graph.outputs.items()}, given)


def _input(name: str, value: Value, inputs: Mapping[str, Array]) -> Array:
    if name not in inputs:
        raise ShapeError(f"input {name!r} is missing; given are {', '.join(inputs) or 'none'}")
    array = np.asarray(inputs[name])
    if array.ndim != value.type.rank:
        raise ShapeError(f"input {name!r} must be {value.type}, but its shape is {array.shape}")
    return array


def bind_sizes(
    shaped: Mapping[str, tuple[Value | TensorType, tuple[int, ...]]],
) -> dict[str, int]:
    """The values of symbols that are bare dims of the given values; raises on a contradiction."""
    sizes: dict[str, int] = {}
    for value, shape in shaped.values():
        for d, n in zip(value.shape, shape, strict=True):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol):
                sizes.setdefault(found.name, n)
    for name, (value, shape) in shaped.items():
        expected = tuple(dims.evaluate(d, sizes) for d in value.shape)
        if expected != tuple(shape):
            raise ShapeError(f"input {name!r} must have shape {expected}, but it has {shape}")
    return sizes


def state_sizes(
    graph: Graph, sizes: Mapping[str, int], held: Mapping[str, tuple[int, ...]]
) -> dict[str, int]:
    """`sizes`, and those that only states tell, which hold arrays of the shapes `held`.

    Raises ShapeError if a state is read whose size nothing tells.
    """
    out = dict(sizes)
    for name, value in graph.reads.items():
        for d, n in zip(value.shape, held.get(name, ()), strict=False):
            found = dims.bare_atom(d)
            if isinstance(found, dims.Symbol):
                out.setdefault(found.name, n)
    for name, value in graph.reads.items():
        if missing := sorted(dims.symbols(*value.shape) - out.keys()):
            rule = "holds nothing yet, so no run can tell"
            hint = "run an entry that writes it first"
            raise ShapeError(f"state {name!r} {rule} {' and '.join(missing)}; {hint}")
    return out


def evaluate(
    graph: Graph,
    sources: Mapping[Value, Array],
    sizes: Mapping[str, int],
    precision: type[np.floating] = np.float64,
) -> dict[Value, Array]:
    """Every value of `graph`, given its inputs and the values of its symbols.

    What a host operator gives binds further symbols; nodes that use them wait for it.
    """
    values = {v: _cast(np.asarray(array), v, precision) for v, array in sources.items()}
    known = dict(sizes)
    unchecked = list(graph.guards)
    waiting = [n for n in graph.nodes if not isinstance(n.op, Input)]
    with np.errstate(all="ignore"):
        while True:
            unchecked = [guard for guard in unchecked if not checked(guard, known, graph)]
            later = [n for n in waiting if not _evaluated(n, values, known, precision)]
            if not later or len(later) == len(waiting):
                break
            waiting = later
    if later:
        missing = ", ".join(sorted({s for n in later for s in dims.symbols(*n.op.dims)}))
        raise ShapeError(f"{later[0]}: no value is known for {missing}")
    return values


def checked(guard: Guard, sizes: Mapping[str, int], graph: Graph) -> bool:
    """True if the guard holds, False if it cannot be told yet."""
    if not dims.symbols(*guard) <= sizes.keys():
        return False
    left, right = (dims.evaluate(d, sizes) for d in guard)
    if left != right and guard.right == 0:
        used = dims.symbols(guard.left)
        shown = [
            f"{n!r} is {v.type}" for n, v in graph.inputs.items() if used & dims.symbols(*v.shape)
        ]
        known = ", ".join([*shown, *(f"{s} = {sizes[s]}" for s in sorted(used))])
        raise ShapeError(
            f"a slice or window would leave its tensor: {known}, so {guard.left} = {left}"
        )
    if left != right:
        values = [
            str(d) if isinstance(d, int) else f"{d} = {dims.evaluate(d, sizes)}" for d in guard
        ]
        raise ShapeError(" must equal ".join(values))
    return True


def _evaluated(
    node: Node,
    values: dict[Value, Array],
    sizes: dict[str, int],
    precision: type[np.floating],
) -> bool:
    """Evaluate a node, if its inputs and symbols are known."""
    if any(v is not None and v not in values for v in node.inputs):
        return False
    host = isinstance(node.op, HostOp)
    needed = node.op.free_symbols if isinstance(node.op, HostOp) else dims.symbols(*node.op.dims)
    if not needed <= sizes.keys():
        return False
    arguments = [None if v is None else values[v] for v in node.inputs]
    results = bind(node.op, sizes).eval(*arguments)  # type: ignore[arg-type]
    for value, array in zip(node.outputs, results, strict=True):
        values[value] = _cast(np.asarray(array), value, precision)
        if host:
            bind_shape(value.type, np.shape(array), sizes)
    if isinstance(node.op, Bind):
        assert arguments[1] is not None
        sizes |= node.op.bound_by(arguments[1])
    return True


def _cast(array: Array, value: Value, precision: type[np.floating]) -> Array:
    dtype = value.type.dtype
    return array.astype(precision if dtype.is_float else dtype.numpy, copy=False)
