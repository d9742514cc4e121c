"""The table of Chainer's functions: one plain function per class of function.

It takes the call and its inputs as Values, and gives a Value or a tuple of them. The attributes of
Chainer's object are those of the call: `call.axis`, `call.slices`. Sizes among them may be Dims.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, TypeVar

from webconv.frontends.chainer.tape import Call
from webconv.ir.graph import Value

Convert: TypeAlias = Callable[..., Any]
Function = TypeVar("Function", bound=Convert)

FUNCTIONS: dict[str, Convert] = {}

_TRAINING = "it computes as in training; call it with chainer.config.train as False"
_LOSS = "it is a loss, which needs the right answers; convert the chain that makes its inputs"
_JUDGES = "it compares with the right answers; convert the chain that makes its inputs"

# Classes that are not converted, and why.
REASONS: dict[str, str] = {
    "Gaussian": "it draws at random; let an input be drawn from: F.gaussian(..., eps=noise.array)",
    "GumbelSoftmax": "it draws at random; use F.softmax of what is drawn from",
    **dict.fromkeys(
        ("Dropout", "Zoneout", "RandomReLU", "BatchRenormalizationFunction"), _TRAINING
    ),
    "DecorrelatedBatchNormalization": _TRAINING,
    **dict.fromkeys(
        (
            *("SoftmaxCrossEntropy", "SigmoidCrossEntropy", "Hinge", "HuberLoss", "Contrastive"),
            *("Triplet", "ConnectionistTemporalClassification", "NegativeSamplingFunction"),
            *("BinaryHierarchicalSoftmaxFunction", "DeCov", "CrossCovariance"),
        ),
        _LOSS,
    ),
    **dict.fromkeys(("Accuracy", "BinaryAccuracy", "ClassificationSummary", "R2_score"), _JUDGES),
}


def function(*names: str) -> Callable[[Function], Function]:
    """Register a function for classes of Chainer's functions."""

    def register(convert: Function) -> Function:
        FUNCTIONS.update(dict.fromkeys(names, convert))
        return convert

    return register


class Applied:
    """A call as its function sees it: Chainer's attributes, and what was made before."""

    def __init__(self, call: Call, made: dict[Hashable, Value]) -> None:
        self._call, self._made = call, made

    def __getattr__(self, name: str) -> Any:
        attributes: Mapping[str, Any] = self._call.attributes
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{self._call.name} has no attribute {name!r}")

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return len(self._call.outputs)

    @property
    def used(self) -> tuple[bool, ...]:
        """For each output whether something reads it."""
        return tuple(v is not None for v in self._call.outputs)

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gives, made once per key: the steps of a loop share their weights."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
