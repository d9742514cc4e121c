"""What is decided while a model runs: sizes that data gives, branches and loops.

No kernel does this. An entry with such operators is cut into stages (`webconv.passes.stages`), and
the runner does on the host what lies between: it reads a size, takes a branch, counts a loop.

The bodies are closed: captured values are explicit inputs. A result whose size is not known when
converting has a symbol of its own there, which is bound when the result is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.graph import Graph
from webconv.ir.op import Array, Op, TensorType, require


class HostOp(Op):
    """Base of operators that the runner does between stages."""

    @property
    def free_symbols(self) -> set[str]:
        """Symbols that must be known before it runs, besides those of its inputs' shapes."""
        return set()


def free_symbols(graph: Graph) -> set[str]:
    """Symbols that a body uses and does not bind."""
    used: set[str] = set()
    bound = dims.symbols(*(d for v in graph.inputs.values() for d in v.shape))
    for node in graph.nodes:
        if isinstance(node.op, HostOp):
            used |= node.op.free_symbols
            bound |= dims.symbols(*(d for v in node.outputs for d in v.shape))
            bound |= set(node.op.symbols) if isinstance(node.op, Bind) else set()
        else:
            used |= dims.symbols(*node.op.dims)
    return used - bound


@dataclass(frozen=True)
class Bind(HostOp):
    """x itself; the elements of the integer `sizes` become the values of `symbols`.

    Inputs: x, sizes. What uses the symbols comes after this node, whether it reads x or not.
    """

    symbols: tuple[str, ...]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, sizes = types
        require(sizes.dtype.is_integer, f"sizes must be integers, but they are {sizes}")
        wanted = len(self.symbols)
        require(sizes.size == wanted, f"{wanted} symbols need as many sizes, but there are {sizes}")
        return (x,)

    def eval(self, x: Array, sizes: Array) -> tuple[Array, ...]:  # type: ignore[override]
        return (x,)

    def bound_by(self, sizes: Array) -> dict[str, int]:
        """The values of the symbols."""
        return {s: int(n) for s, n in zip(self.symbols, sizes.flat, strict=True)}


@dataclass(frozen=True)
class If(HostOp):
    """The outputs of `then` or of `otherwise`, by a bool scalar or by `on`, which is 0 or not.

    Inputs: the condition (None if `on` is given), then captured values, which both graphs take as
    their inputs. `types` are those of the outputs; where the branches differ in a size, it is a
    symbol of its own.
    """

    then: Graph
    otherwise: Graph
    types: tuple[TensorType, ...]
    on: Dim | None = None

    @property
    def free_symbols(self) -> set[str]:
        on = set() if self.on is None else dims.symbols(self.on)
        return on | free_symbols(self.then) | free_symbols(self.otherwise)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        for graph in (self.then, self.otherwise):
            _require_inputs(graph, types[1:])
            _require_outputs(graph, self.types, 0)
        return self.types

    def eval(self, condition: Array | None, *captured: Array) -> tuple[Array, ...]:  # type: ignore[override]
        taken = self.on if condition is None else bool(condition)
        return _evaluated(self.then if taken else self.otherwise, captured)


@dataclass(frozen=True)
class Loop(HostOp):
    """Runs `body` while its condition holds, at most `trip count` times (ONNX Loop).

    inputs   trip count (integer scalar or None: no limit), condition (bool scalar or None: true),
             `carries` initial values, then captured values
    body     iteration (i64 scalar), condition, carries, captured
             -> condition, the next carries, then what an iteration gives
    outputs  the final carries, then what the iterations gave, stacked; `types` are theirs
    """

    body: Graph
    carries: int
    types: tuple[TensorType, ...]

    @property
    def free_symbols(self) -> set[str]:
        return free_symbols(self.body)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        _require_inputs(self.body, types[2:], 2)
        stacked = [TensorType(t.dtype, t.shape[1:]) for t in self.types[self.carries :]]
        _require_outputs(self.body, [*self.types[: self.carries], *stacked], 1)
        return self.types

    def eval(self, trips: Array | None, condition: Array | None, *rest: Array) -> tuple[Array, ...]:  # type: ignore[override]
        carries, captured = list(rest[: self.carries]), rest[self.carries :]
        going = condition is None or bool(condition)
        limit = None if trips is None else int(trips)
        stacks: list[list[Array]] = [[] for _ in self.types[self.carries :]]
        k = 0
        while going and (limit is None or k < limit):
            given = (np.array(k, np.int64), np.array(going), *carries, *captured)
            first, *results = _evaluated(self.body, given)
            going, carries = bool(first), results[: self.carries]
            for stack, array in zip(stacks, results[self.carries :], strict=True):
                stack.append(array)
            k += 1
        stacked = [
            np.stack(stack) if stack else np.zeros(_nothing(t), t.dtype.numpy)
            for stack, t in zip(stacks, self.types[self.carries :], strict=True)
        ]
        return (*carries, *stacked)


def _nothing(t: TensorType) -> tuple[int, ...]:
    """The shape of a stack of no iterations."""
    return (0, *(d if isinstance(d, int) else 0 for d in t.shape[1:]))


def _require_inputs(graph: Graph, types: Sequence[TensorType], skipped: int = 0) -> None:
    inner = [v.type for v in graph.inputs.values()][skipped:]
    require(len(inner) == len(types), f"the body takes {len(inner)} values, not {len(types)}")
    for k, (a, b) in enumerate(zip(inner, types, strict=True)):
        rule = f"input {k} of the body is {a}, but it is given {b}"
        require(a.dtype == b.dtype and a.rank == b.rank, rule)


def _require_outputs(graph: Graph, types: Sequence[TensorType], skipped: int) -> None:
    outputs = [v.type for v in graph.outputs.values()][skipped:]
    require(len(outputs) == len(types), f"the body gives {len(outputs)} values, not {len(types)}")
    for k, (a, b) in enumerate(zip(outputs, types, strict=True)):
        rule = f"output {k} of the body is {a}, which must be {b}"
        require(a.dtype == b.dtype and a.rank == b.rank, rule)


def _evaluated(graph: Graph, given: Sequence[Array]) -> tuple[Array, ...]:
    from webconv.ir.reference import evaluate

    precision = next((a.dtype.type for a in given if a.dtype.kind == "f"), np.float64)
    sources = dict(zip(graph.inputs.values(), given, strict=True))
    sizes: dict[str, int] = {}
    for value, array in sources.items():
        bind_shape(value.type, array.shape, sizes)
    values = evaluate(graph, sources, sizes, precision)
    return tuple(values[v] for v in graph.outputs.values())


def bind_shape(t: TensorType, shape: Sequence[int], sizes: dict[str, int]) -> None:
    """Give the symbols that are bare dims of `t` their values, where they have none yet."""
    for d, n in zip(t.shape, shape, strict=True):
        found = dims.bare_atom(d)
        if isinstance(found, dims.Symbol):
            sizes.setdefault(found.name, n)


__all__ = ["Bind", "HostOp", "If", "Loop", "bind_shape"]
