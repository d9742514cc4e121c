"""One program of several that were made with other numbers of steps.

Their operators must be the same; where the numbers in them differ, they must follow from the sizes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from webconv.frontends.chainer import patterns
from webconv.frontends.chainer.align import Mismatch, Sample, fit, short
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.dtypes import from_numpy
from webconv.ir.graph import Constant, Graph, Input, Node, Program, State, Value
from webconv.ir.op import Op, TensorType


def unified(programs: Sequence[Program], samples: Sequence[Sample]) -> Program:
    """The program of all sizes; raises Mismatch if programs differ in more than numbers."""
    first = programs[0]
    main = _graph([p.main for p in programs], samples)
    states = tuple(
        State(s.name, main.reads[s.name].type, s.initial) if s.name in main.reads else s
        for s in first.states
    )
    return dataclasses.replace(first, entries={"main": main}, states=states)


def _graph(graphs: Sequence[Graph], samples: Sequence[Sample]) -> Graph:
    """The graph of all sizes."""
    if len({len(g.nodes) for g in graphs}) > 1:
        counts = " and ".join(str(len(g.nodes)) for g in graphs)
        raise Mismatch(f"other sizes leave {counts} operators")
    positions = [{n: k for k, n in enumerate(g.nodes)} for g in graphs]
    values: dict[Value, Value] = {}
    for nodes in zip(*(g.nodes for g in graphs), strict=True):
        joined = {
            tuple(None if v is None else (at[v.node], v.index) for v in n.inputs)
            for n, at in zip(nodes, positions, strict=True)
        }
        if len(joined) > 1 or len({type(n.op) for n in nodes}) > 1:
            raise Mismatch(f"{nodes[0]} stands where another size has {nodes[1]}")
        new = _node(nodes, samples, values)
        values |= dict(zip(nodes[0].outputs, new, strict=True))
    g = graphs[0]
    # What no operator reads has sizes too.
    for name, value in g.inputs.items():
        if value not in values:
            values[value] = _node([own.inputs[name].node for own in graphs], samples, values)[0]
    groups = []
    for group in (g.inputs, g.outputs, g.reads, g.writes):
        groups.append({name: values.get(v, v) for name, v in group.items()})
    return Graph(*groups, lists=g.lists)


def _node(
    nodes: Sequence[Node], samples: Sequence[Sample], values: Mapping[Value, Value]
) -> tuple[Value, ...]:
    first = nodes[0]
    if isinstance(first.op, Constant):
        return _constant(nodes, samples)
    op = _op([n.op for n in nodes], samples)
    if op is first.op and isinstance(op, Input):
        return first.outputs
    inputs = [None if v is None else values[v] for v in first.inputs]
    return Node(op, inputs, first.name).outputs


def _constant(nodes: Sequence[Node], samples: Sequence[Sample]) -> tuple[Value, ...]:
    arrays = [n.outputs[0].constant for n in nodes]
    first = arrays[0]
    assert first is not None
    if all(np.array_equal(a, first) for a in arrays if a is not None):
        return nodes[0].outputs
    found = [a for a in arrays if a is not None]
    if len({a.ndim for a in found}) == 1:
        shape = tuple(fit(list(ns), samples) for ns in zip(*(a.shape for a in found), strict=True))
        pattern = patterns.found(found, shape, samples, fit)
        if pattern is not None:
            return (pattern.value(shape, from_numpy(first.dtype)),)
    raise Mismatch(f"a constant of {first.dtype}{list(first.shape)} depends on the size")


def _op(operators: Sequence[Op], samples: Sequence[Sample]) -> Op:
    first = operators[0]
    if all(op == first for op in operators):
        return first
    changes = {
        f.name: _attribute([getattr(op, f.name) for op in operators], samples)
        for f in dataclasses.fields(first)  # type: ignore[arg-type]
    }
    return dataclasses.replace(first, **changes)  # type: ignore[type-var]


def _attribute(values: Sequence[Any], samples: Sequence[Sample]) -> Any:
    first = values[0]
    if all(v == first for v in values):
        return first
    if isinstance(first, tuple):
        if len({len(v) for v in values}) > 1:
            raise Mismatch(f"{short(values)} differ in length")
        return tuple(_attribute(vs, samples) for vs in zip(*values, strict=True))
    if isinstance(first, TensorType):
        return TensorType(first.dtype, _attribute([v.shape for v in values], samples))
    if isinstance(first, Op):
        return _op(values, samples)
    if isinstance(first, Graph):
        return _graph(values, samples)
    if all(isinstance(v, int) for v in values):
        return fit(values, samples)
    if all(isinstance(v, int | dims.Expr) for v in values):
        return _sum(values, samples)
    raise Mismatch(f"{short(values)} differ")


def _sum(values: Sequence[Dim], samples: Sequence[Sample]) -> Dim:
    """Dims in other symbols whose coefficients follow from the sizes."""
    tables: list[dict[dims.Monomial, int]] = [
        dict(v.terms) if isinstance(v, dims.Expr) else {(): v} for v in values
    ]
    total: Dim = 0
    for monomial in dict.fromkeys(m for t in tables for m in t):
        coefficient = fit([t.get(monomial, 0) for t in tables], samples)
        total = total + coefficient * dims.product(dims.atom(a) for a in monomial)
    return total
