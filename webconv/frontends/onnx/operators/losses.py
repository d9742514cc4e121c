"""Losses of classification."""

from __future__ import annotations

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import ops
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Value


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(
    x: Value,
    target: Value,
    weight: Value | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Value:
    """-weight * x at the target class: x [N, C, ...] of log-probabilities, target [N, ...].

    The mean is that by weights; what is ignored weighs 0.
    """
    ignored = None
    if ignore_index is not None:
        ignored = ops.Equal()(target, common.scalar(ignore_index, target))
        target = ops.Where()(ignored, common.scalar(0, target), target)
    chosen = ops.GatherElements(1)(x, common.expand_dims(target, 1))
    loss = ops.Neg()(common.squeeze(chosen, 1))
    weights = None if weight is None else ops.Gather(0)(weight, target)
    if ignored is not None:
        one = common.scalar(1, x) if weights is None else weights
        weights = ops.Where()(ignored, common.scalar(0, x), one)
        # What is ignored may be infinite.
        loss = ops.Where()(ignored, common.scalar(0, x), loss)
    if weights is not None:
        loss = ops.Mul()(loss, weights)
    match reduction:
        case "none":
            return loss
        case "sum":
            return ops.ReduceSum()(loss)
        case "mean" if weights is None:
            return ops.ReduceMean()(loss)
        case "mean":
            return ops.Div()(ops.ReduceSum()(loss), ops.ReduceSum()(weights))
    raise ModelFormatError(f"reduction {reduction!r} is none of none, sum and mean")


@operator("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(
    scores: Value,
    labels: Value,
    weights: Value | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> tuple[Value, Value]:
    """The loss of log_softmax(scores) over the classes, and that itself."""
    logarithms = ops.LogSoftmax(1)(scores)
    loss = negative_log_likelihood(
        logarithms, labels, weights, ignore_index=ignore_index, reduction=reduction
    )
    return loss, logarithms
