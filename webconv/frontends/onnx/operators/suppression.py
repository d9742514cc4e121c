"""NonMaxSuppression: a scan that takes the best box that is left, once per box to select."""

from __future__ import annotations

from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.dynamic import compress_padded, exact
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Graph, Value
from webconv.ir.op import TensorType

# Below every score; an infinity is not safe to compare on GPUs.
LOWEST = -3.4e38


def non_max_suppression_padded(
    boxes: Value,
    scores: Value,
    most: Value | None,
    iou_threshold: Value | None,
    score_threshold: Value | None,
    center_point_box: bool,
) -> tuple[Value, Value]:
    """Rows (batch, class, box) of the boxes selected, [batch * classes * most, 3], and their count.

    boxes [batch, boxes, 4], scores [batch, classes, boxes]. Per class, boxes are selected by
    descending score, those that overlap a selected one by more than `iou_threshold` dropped.
    """
    batch, classes, n = scores.shape
    limit = None if most is None else most.constant
    if most is None or (limit is not None and limit.item() <= 0):
        return graph.constant(np.zeros((0, 3), np.int64)), graph.constant(np.int64(0))
    steps = n if limit is None else dims.minimum(int(limit.item()), n)
    overlap = graph.constant(np.float32(0)) if iou_threshold is None else iou_threshold
    alive = common.broadcast_to(graph.constant(np.int32(1)), scores.shape)
    if score_threshold is not None:
        high = ops.Greater()(scores, _scalar(score_threshold))
        alive = common.cast(high, dtypes.i32)
    corners = _corners(boxes, center_point_box)
    body = _step(alive.type, scores.type, corners.type)
    inputs = (alive, ops.Iota(steps)(), scores, corners, _scalar(overlap))
    _, best, found = ops.Scan(body, 1, 1)(*inputs)
    if limit is None:
        wanted = common.cast(_scalar(most), dtypes.i32)
        early = common.expand_dims(ops.Less()(ops.Iota(steps)(), wanted), 1, 2)
        found = ops.And()(found, early)
    rows = _rows(common.transpose(best, (1, 2, 0)), (batch, classes, steps))
    valid = common.reshape(common.transpose(found, (1, 2, 0)), (batch * classes * steps,))
    return compress_padded(rows, valid, 0)


def _scalar(x: Value) -> Value:
    return common.reshape(x, ())


def _rows(best: Value, shape: tuple[Dim, Dim, Dim]) -> Value:
    batch, classes, steps = shape
    where = (
        common.expand_dims(ops.Iota(batch)(), 1, 2),
        common.expand_dims(ops.Iota(classes)(), 0, 2),
        best,
    )
    triples = common.stack([common.broadcast_to(v, shape) for v in where], -1)
    return common.cast(common.reshape(triples, (batch * classes * steps, 3)), dtypes.i64)


def _corners(boxes: Value, center_point_box: bool) -> Value:
    """[..., 4]: least and largest of the first coordinate, then of the second."""
    a, b, c, d = (common.at(boxes, 2, k) for k in range(4))
    if center_point_box:
        half = common.scalar(0.5, boxes)
        width, height = ops.Mul()(c, half), ops.Mul()(d, half)
        sides = [(ops.Sub()(a, width), ops.Add()(a, width))]
        sides.append((ops.Sub()(b, height), ops.Add()(b, height)))
    else:
        sides = [(ops.Min()(a, c), ops.Max()(a, c)), (ops.Min()(b, d), ops.Max()(b, d))]
    return common.stack([v for side in sides for v in side], 2)


def _step(alive_type: TensorType, scores_type: TensorType, corners_type: TensorType) -> Graph:
    """Takes the best box of each class; carries which are left."""
    scalar = TensorType(scores_type.dtype, ())
    inputs = {
        "alive": graph.input("alive", alive_type),
        "step": graph.input("step", TensorType(dtypes.i32, ())),
        "scores": graph.input("scores", scores_type),
        "corners": graph.input("corners", corners_type),
        "overlap": graph.input("overlap", scalar),
    }
    alive, _, scores, corners, overlap = inputs.values()
    left = common.cast(alive, dtypes.bool_)
    best = ops.ArgMax(-1)(ops.Where()(left, scores, common.scalar(LOWEST, scores)))
    pick = common.expand_dims(best, 2)
    found = common.cast(ops.GatherElements(2)(alive, pick), dtypes.bool_)
    chosen = ops.GatherND(1)(corners, pick)  # [batch, classes, 4]
    near = _overlaps(common.expand_dims(chosen, 2), common.expand_dims(corners, 1), overlap)
    itself = ops.Equal()(pick, ops.Iota(scores.shape[2])())
    gone = ops.And()(found, ops.Or()(near, itself))
    kept = ops.And()(left, ops.Not()(gone))
    outputs = {"alive": common.cast(kept, dtypes.i32), "best": best}
    return Graph(inputs, {**outputs, "found": common.squeeze(found, 2)})


def _overlaps(a: Value, b: Value, most: Value) -> Value:
    """True where the intersection is more than `most` of the union; both must have an area."""
    zero = common.scalar(0, a)
    first = [common.at(a, 3, k) for k in range(4)]
    second = [common.at(b, 3, k) for k in range(4)]
    height = ops.Sub()(ops.Min()(first[1], second[1]), ops.Max()(first[0], second[0]))
    width = ops.Sub()(ops.Min()(first[3], second[3]), ops.Max()(first[2], second[2]))
    shared = ops.Mul()(ops.Max()(height, zero), ops.Max()(width, zero))
    union = ops.Sub()(ops.Add()(_area(first), _area(second)), shared)
    real = ops.And()(ops.Greater()(shared, zero), ops.Greater()(union, zero))
    safe = ops.Where()(real, union, common.scalar(1, a))
    out: Value = ops.And()(real, ops.Greater()(ops.Div()(shared, safe), most))
    return out


def _area(c: list[Value]) -> Value:
    out: Value = ops.Mul()(ops.Sub()(c[1], c[0]), ops.Sub()(c[3], c[2]))
    return out


@operator("NonMaxSuppression", context=True)
def non_max_suppression(
    call: Any,
    boxes: Value,
    scores: Value,
    max_output_boxes_per_class: Value | None = None,
    iou_threshold: Value | None = None,
    score_threshold: Value | None = None,
    *,
    center_point_box: int = 0,
) -> Value:
    """Boxes selected per class, as rows of batch, class and box."""
    rest = (max_output_boxes_per_class, iou_threshold, score_threshold)
    rows, count = non_max_suppression_padded(boxes, scores, *rest, bool(center_point_box))
    return exact(call, count, (rows, 0))[0]
