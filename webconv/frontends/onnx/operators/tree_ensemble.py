"""`ai.onnx.ml.TreeEnsemble`, the newest form of trees: interior nodes and leaves apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.classical import TRANSFORMS, classical, transformed
from webconv.frontends.onnx.operators.forest import AGGREGATES, LEAF, MEMBER, MODES, Forest, totals
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value
from webconv.ir.op import Array

EQ = MODES.index("BRANCH_EQ")


@classical("TreeEnsemble", since=5)
def tree_ensemble(
    x: Value,
    *,
    aggregate_function: int = 1,
    leaf_targetids: Sequence[int],
    leaf_weights: Array,
    membership_values: Array | None = None,
    n_targets: int = 1,
    nodes_falseleafs: Sequence[int],
    nodes_falsenodeids: Sequence[int],
    nodes_featureids: Sequence[int],
    nodes_hitrates: Array | None = None,
    nodes_missing_value_tracks_true: Sequence[int] = (),
    nodes_modes: Array,
    nodes_splits: Array,
    nodes_trueleafs: Sequence[int],
    nodes_truenodeids: Sequence[int],
    post_transform: int = 0,
    tree_roots: Sequence[int],
) -> Value:
    """What the leaves that each row reaches say, combined: [N, targets] of the dtype of x."""
    if not (0 <= aggregate_function < len(AGGREGATES) and 0 <= post_transform < len(TRANSFORMS)):
        raise ModelFormatError("aggregate_function or post_transform is unknown")
    n, leaves = len(nodes_featureids), len(leaf_targetids)
    mode = np.append(nodes_modes.astype(int), np.full(leaves, LEAF))
    own = np.arange(n, n + leaves)
    ends = [
        np.append(np.asarray(ids) + n * np.asarray(is_leaf, bool), own)
        for ids, is_leaf in (
            (nodes_truenodeids, nodes_trueleafs),
            (nodes_falsenodeids, nodes_falseleafs),
        )
    ]
    weights, given = np.zeros((n + leaves, n_targets)), np.zeros((n + leaves, n_targets), bool)
    weights[own, list(leaf_targetids)] = leaf_weights.reshape(-1)
    given[own, list(leaf_targetids)] = True
    zeros = np.zeros(leaves, int)
    forest = Forest(
        np.append(np.asarray(nodes_featureids, int), zeros),
        np.append(nodes_splits.reshape(-1), zeros),
        mode,
        np.append(np.asarray(nodes_missing_value_tracks_true or [0] * n, bool), zeros != 0),
        ends[0],
        ends[1],
        np.asarray(tree_roots, int),
        weights,
        given,
    )
    if (mode == MEMBER).any():
        forest = _without_members(forest, membership_values)
    scores = totals(forest, x, AGGREGATES[aggregate_function])
    return common.cast(transformed(scores, [*TRANSFORMS][post_transform]), x.type.dtype)


def _without_members(forest: Forest, members: Array | None) -> Forest:
    """Membership in a set as a chain of comparisons; the sets are delimited by NaN."""
    sets = _sets(np.array([]) if members is None else members.reshape(-1).astype(np.float64))
    asking = np.flatnonzero(forest.mode == MEMBER)
    if len(sets) != len(asking):
        raise ModelFormatError(f"{len(asking)} nodes need as many sets, not {len(sets)}")
    feature, threshold, mode = [*forest.feature], [*forest.threshold], [*forest.mode]
    missing, true, false = [*forest.missing], [*forest.true], [*forest.false]
    for node, values in zip(asking, sets, strict=True):
        if not len(values):
            mode[node], threshold[node], true[node] = EQ, 0.0, false[node]
            continue
        last, at = false[node], int(node)
        mode[node], threshold[node] = EQ, values[0]
        for value in values[1:]:
            false[at] = at = len(mode)
            feature.append(feature[node])
            threshold.append(value)
            mode.append(EQ)
            missing.append(missing[node])
            true.append(true[node])
            false.append(last)
        false[at] = last
    more = len(mode) - len(forest.mode)
    targets = forest.weights.shape[1]
    return Forest(
        np.array(feature),
        np.array(threshold),
        np.array(mode),
        np.array(missing),
        np.array(true),
        np.array(false),
        forest.roots,
        np.concatenate([forest.weights, np.zeros((more, targets))]),
        np.concatenate([forest.given, np.zeros((more, targets), bool)]),
    )


def _sets(values: Array) -> list[Array]:
    ends = np.flatnonzero(np.isnan(values))
    pieces = np.split(values, ends)
    whole = [p[~np.isnan(p)] for p in pieces]
    return whole[:-1] if len(ends) and not len(whole[-1]) else whole
