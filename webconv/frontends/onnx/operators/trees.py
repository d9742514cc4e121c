"""`ai.onnx.ml`: TreeEnsembleRegressor and TreeEnsembleClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.classical import (
    classical,
    labelled,
    numbers,
    of_two,
    refuse_strings,
    transformed,
)
from webconv.frontends.onnx.operators.forest import AGGREGATES, LEAF, MODES, Forest, totals
from webconv.ir import dtypes, ops
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value
from webconv.ir.op import Array


@dataclass(frozen=True)
class Nodes:
    """The attributes `nodes_*` of the older operators."""

    nodeids: Sequence[int]
    treeids: Sequence[int]
    featureids: Sequence[int]
    modes: Sequence[str]
    values: Sequence[float] | Array
    truenodeids: Sequence[int]
    falsenodeids: Sequence[int]
    missing: Sequence[int]

    def forest(
        self,
        trees: Sequence[int],
        nodes: Sequence[int],
        targets: Sequence[int],
        weights: Sequence[float] | Array,
        count: int,
    ) -> Forest:
        """All trees, with the weights of the leaves."""
        n = len(self.nodeids)
        lists = (self.treeids, self.featureids, self.modes, self.truenodeids, self.falsenodeids)
        if any(len(each) != n for each in lists) or len(self.values) != n:
            raise ModelFormatError(f"{n} nodes need as many values of each attribute")
        place = {key: k for k, key in enumerate(zip(self.treeids, self.nodeids, strict=True))}
        try:
            mode = np.array([MODES.index(m) for m in self.modes], int)
        except ValueError:
            raise ModelFormatError(f"nodes_modes must be of {', '.join(MODES)}") from None
        index = np.arange(n)
        ends = [
            np.array(
                [
                    k if mode[k] == LEAF else _find(place, tree, child)
                    for k, (tree, child) in enumerate(zip(self.treeids, children, strict=True))
                ],
                int,
            )
            for children in (self.truenodeids, self.falsenodeids)
        ]
        table = np.zeros((n, count))
        given = np.zeros((n, count), bool)
        for tree, node, target, weight in zip(trees, nodes, targets, weights, strict=True):
            k = _find(place, tree, node)
            if not 0 <= target < count:
                raise ModelFormatError(f"target {target} is not among {count}")
            table[k, target] += weight
            given[k, target] = True
        _, roots = np.unique(np.array(self.treeids), return_index=True)
        missing = np.array(self.missing, bool) if self.missing else np.zeros(n, bool)
        return Forest(
            np.where(mode == LEAF, 0, self.featureids),
            np.asarray(self.values)[index],
            mode,
            missing,
            ends[0],
            ends[1],
            np.sort(roots),
            table,
            given,
        )


def _find(place: dict[tuple[int, int], int], tree: int, node: int) -> int:
    if (tree, node) not in place:
        raise ModelFormatError(f"tree {tree} has no node {node}")
    return place[tree, node]


def with_base(scores: Value, base: Sequence[float] | Array) -> Value:
    """Scores plus the base value of each target."""
    out: Value = ops.Add()(scores, numbers(base)) if len(base) else scores
    return out


@classical("TreeEnsembleRegressor")
def tree_ensemble_regressor(
    x: Value,
    *,
    aggregate_function: str = "SUM",
    base_values: Sequence[float] = (),
    base_values_as_tensor: Array | None = None,
    n_targets: int = 1,
    nodes_falsenodeids: Sequence[int],
    nodes_featureids: Sequence[int],
    nodes_hitrates: Sequence[float] = (),
    nodes_hitrates_as_tensor: Array | None = None,
    nodes_missing_value_tracks_true: Sequence[int] = (),
    nodes_modes: Sequence[str],
    nodes_nodeids: Sequence[int],
    nodes_treeids: Sequence[int],
    nodes_truenodeids: Sequence[int],
    nodes_values: Sequence[float] = (),
    nodes_values_as_tensor: Array | None = None,
    post_transform: str = "NONE",
    target_ids: Sequence[int],
    target_nodeids: Sequence[int],
    target_treeids: Sequence[int],
    target_weights: Sequence[float] = (),
    target_weights_as_tensor: Array | None = None,
) -> Value:
    """The sum (average, least, greatest) of what the leaves say, [N, targets]."""
    forest = Nodes(
        nodes_nodeids,
        nodes_treeids,
        nodes_featureids,
        nodes_modes,
        nodes_values if nodes_values_as_tensor is None else nodes_values_as_tensor,
        nodes_truenodeids,
        nodes_falsenodeids,
        nodes_missing_value_tracks_true,
    ).forest(
        target_treeids,
        target_nodeids,
        target_ids,
        target_weights if target_weights_as_tensor is None else target_weights_as_tensor,
        n_targets,
    )
    if aggregate_function not in AGGREGATES:
        raise ModelFormatError(f"aggregate_function {aggregate_function!r} is unknown")
    base = base_values if base_values_as_tensor is None else base_values_as_tensor
    return transformed(with_base(totals(forest, x, aggregate_function), base), post_transform)


@classical("TreeEnsembleClassifier")
def tree_ensemble_classifier(
    x: Value,
    *,
    base_values: Sequence[float] = (),
    base_values_as_tensor: Array | None = None,
    class_ids: Sequence[int],
    class_nodeids: Sequence[int],
    class_treeids: Sequence[int],
    class_weights: Sequence[float] = (),
    class_weights_as_tensor: Array | None = None,
    classlabels_int64s: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    nodes_falsenodeids: Sequence[int],
    nodes_featureids: Sequence[int],
    nodes_hitrates: Sequence[float] = (),
    nodes_hitrates_as_tensor: Array | None = None,
    nodes_missing_value_tracks_true: Sequence[int] = (),
    nodes_modes: Sequence[str],
    nodes_nodeids: Sequence[int],
    nodes_treeids: Sequence[int],
    nodes_truenodeids: Sequence[int],
    nodes_values: Sequence[float] = (),
    nodes_values_as_tensor: Array | None = None,
    post_transform: str = "NONE",
) -> tuple[Value, Value]:
    """The label of the class with the greatest score, and the scores [N, classes]."""
    refuse_strings(classlabels_strings=classlabels_strings)
    weights = class_weights if class_weights_as_tensor is None else class_weights_as_tensor
    forest = Nodes(
        nodes_nodeids,
        nodes_treeids,
        nodes_featureids,
        nodes_modes,
        nodes_values if nodes_values_as_tensor is None else nodes_values_as_tensor,
        nodes_truenodeids,
        nodes_falsenodeids,
        nodes_missing_value_tracks_true,
    ).forest(class_treeids, class_nodeids, class_ids, weights, len(classlabels_int64s))
    base = np.asarray(base_values if base_values_as_tensor is None else base_values_as_tensor)
    scores = totals(forest, x, "SUM")
    own = set(class_ids)
    if len(classlabels_int64s) != 2 or len(own) != 1:
        scores = with_base(scores, base)
        best = ops.ArgMax(1)(scores)
        return labelled(best, classlabels_int64s), transformed(scores, post_transform)
    # All weights are of one of two classes. Without a negative one, they are probabilities.
    positive = bool((np.asarray(weights) >= 0).all())
    limit = 0.5 if positive else 0.0
    if own == {0} and len(base) < 2:
        score = with_base(common.slice_axis(scores, 1, 0, 1), base)
        return of_two(score, limit, positive, classlabels_int64s, post_transform)
    scores = with_base(scores, np.append(base, np.zeros(2 - len(base))))
    score = common.at(scores, 1, own.pop())
    second = ops.Greater()(score, common.scalar(limit, score))
    label = labelled(common.cast(second, dtypes.i32), classlabels_int64s)
    return label, transformed(scores, post_transform)
