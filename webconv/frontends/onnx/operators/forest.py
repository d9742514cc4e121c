"""Ensembles of decision trees as gathers.

All trees are one set of arrays, of which every row walks each tree at once: a fixed number of
steps, as many as the deepest tree has levels. A leaf leads to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.classical import rows
from webconv.ir import dtypes, graph, ops
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph, Value
from webconv.ir.op import Array, TensorType

MODES = (
    *("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"),
    *("BRANCH_MEMBER", "LEAF"),
)
MEMBER, LEAF = MODES.index("BRANCH_MEMBER"), MODES.index("LEAF")
COMPARISONS: tuple[type[ops.Op], ...] = (
    *(ops.LessOrEqual, ops.Less, ops.GreaterOrEqual, ops.Greater, ops.Equal),
)
NEQ = MODES.index("BRANCH_NEQ")
# Comparisons for which a threshold between two f32 numbers stands for the one below or above.
ROUNDED_DOWN, ROUNDED_UP = (0, 3), (1, 2)

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees: what each compares and where it leads; what leaves add to targets."""

    feature: Array
    threshold: Array
    mode: Array
    missing: Array
    true: Array
    false: Array
    roots: Array
    # [nodes, targets]; and which of them are given at all.
    weights: Array
    given: Array

    @property
    def depth(self) -> int:
        """The number of comparisons to the deepest leaf; raises ModelFormatError for a cycle."""
        level, steps = np.unique(self.roots), 0
        while (level := level[self.mode[level] != LEAF]).size:
            level = np.unique(np.concatenate([self.true[level], self.false[level]]))
            steps += 1
            if steps > len(self.mode):
                raise ModelFormatError("the nodes of a tree lead back to themselves")
        return steps


def thresholds_for(dtype: DType, threshold: Array, mode: Array) -> Array:
    """Thresholds of the dtype of the features: for f32, those that divide them as the given do.

    Features that are f64 meet thresholds that are rounded as they are.
    """
    if dtype == dtypes.f64:
        return threshold.astype(np.float64)
    near = threshold.astype(np.float32)
    wide = threshold.astype(np.float64)
    down = np.where(near > wide, np.nextafter(near, np.float32(-np.inf)), near)
    up = np.where(near < wide, np.nextafter(near, np.float32(np.inf)), near)
    picked = np.where(np.isin(mode, ROUNDED_DOWN), down, near)
    return np.where(np.isin(mode, ROUNDED_UP), up, picked).astype(np.float32)


def leaves_of(forest: Forest, x: Value) -> Value:
    """The leaf that each row of x [N, F] reaches in each tree: i32 [N, T]."""
    x = x if x.type.dtype == dtypes.f64 and x.type.rank == 2 else rows(x)
    roots = graph.constant(forest.roots.astype(np.int32))
    start = common.broadcast_to(roots, (x.shape[0], len(forest.roots)))
    steps = forest.depth
    if not steps:
        return start
    inputs = {
        "node": graph.input("node", start.type),
        "level": graph.input("level", TensorType(dtypes.i32, ())),
        "x": graph.input("x", x.type),
    }
    body = Graph(inputs, {"next": _step(forest, inputs["node"], inputs["x"])})
    out: Value = ops.Scan(body, 1, 1)(start, ops.Iota(steps)(), x)
    return out


def _step(forest: Forest, node: Value, x: Value) -> Value:
    """Where the nodes [N, T] lead."""

    def look(table: Array) -> Value:
        out: Value = ops.Gather(0)(graph.constant(table), node)
        return out

    value = ops.GatherElements(1)(x, look(forest.feature.astype(np.int32)))
    threshold = look(thresholds_for(x.type.dtype, forest.threshold, forest.mode))
    used = [int(m) for m in np.unique(forest.mode) if m != LEAF]
    mode = look(forest.mode.astype(np.int32)) if len(used) > 1 else None
    goes: Value | None = None
    for m in used:
        kept = ops.Equal() if m == NEQ else COMPARISONS[m]()
        holds = kept(value, threshold)
        holds = ops.Not()(holds) if m == NEQ else holds
        if goes is None:
            goes = holds
        else:
            assert mode is not None
            goes = ops.Where()(ops.Equal()(mode, graph.constant(np.int32(m))), holds, goes)
    assert goes is not None
    unknown = look((forest.missing.astype(bool) | (forest.mode == NEQ)).astype(np.int32))
    goes = ops.Where()(ops.IsNaN()(value), common.cast(unknown, dtypes.bool_), goes)
    out: Value = ops.Where()(
        goes, look(forest.true.astype(np.int32)), look(forest.false.astype(np.int32))
    )
    return out


def totals(forest: Forest, x: Value, aggregate: str) -> Value:
    """What the leaves that each row reaches add up to: [N, targets]."""
    leaf = leaves_of(forest, x)
    at = np.flatnonzero(forest.mode == LEAF)
    place = np.zeros(len(forest.mode), np.int32)
    place[at] = np.arange(len(at))
    index = ops.Gather(0)(graph.constant(place), leaf)
    if aggregate in ("MIN", "MAX"):
        return _extreme(forest, index, at, aggregate)
    own = _own_targets(forest)
    if own is not None:
        values = forest.weights[at].sum(1).astype(np.float32)
        per_tree = ops.Gather(0)(graph.constant(values), index)
        hot = np.eye(forest.weights.shape[1], dtype=np.float32)[own]
        out: Value = ops.MatMul()(per_tree, graph.constant(hot))
    else:
        table = graph.constant(forest.weights[at].astype(np.float32))
        out = ops.ReduceSum((1,))(ops.Gather(0)(table, index))
    if aggregate == "AVERAGE":
        out = ops.Mul()(out, common.scalar(1 / max(len(forest.roots), 1), out))
    return out


def _own_targets(forest: Forest) -> Array | None:
    """The one target that all leaves of a tree have, per tree; None if some have several."""
    out = []
    for root in forest.roots:
        seen, level = set(), np.array([root])
        while level.size:
            ends = forest.mode[level] == LEAF
            seen |= set(np.flatnonzero(forest.given[level[ends]].any(0)))
            level = level[~ends]
            level = np.unique(np.concatenate([forest.true[level], forest.false[level]]))
        if len(seen) > 1:
            return None
        out.append(next(iter(seen), 0))
    return np.array(out, int)


def _extreme(forest: Forest, index: Value, at: Array, aggregate: str) -> Value:
    """The least or greatest weight per target; 0 for a target without any."""
    end = np.float32(3.4e38 if aggregate == "MIN" else -3.4e38)
    weights = np.where(forest.given[at], forest.weights[at], end).astype(np.float32)
    reach = ops.Gather(0)(graph.constant(weights), index)
    out = (ops.ReduceMin if aggregate == "MIN" else ops.ReduceMax)((1,))(reach)
    none = ops.Equal()(out, graph.constant(end))
    shown: Value = ops.Where()(none, common.scalar(0, out), out)
    return shown
