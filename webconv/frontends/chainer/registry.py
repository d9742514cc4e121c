"""The table of Chainer's functions: one plain function per class of function.

It takes the call and its inputs as Values, and gives a Value or a tuple of them. The attributes of
Chainer's object are those of the call: `call.axis`, `call.slices`. Sizes among them may be Dims.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, TypeVar

from webconv.frontends import common
from webconv.frontends.chainer.tape import Call
from webconv.ir.dtypes import DType
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
        FUNCTIONS.update(dict.fromkeys(names, _with_mixed_floats(convert)))
        return convert

    return register


def _with_mixed_floats(convert: Convert) -> Convert:
    """`convert` for floats of several widths, as an f16 x with weights in f32 (`mixed16`).

    Chainer computes in the widest, and its results are as wide as its first input.
    """

    @functools.wraps(convert)
    def converted(call: Any, *inputs: Any) -> Any:
        floats = [v.type.dtype for v in inputs if isinstance(v, Value) and v.type.dtype.is_float]
        if len(set(floats)) < 2:
            return convert(call, *inputs)
        widest = max(floats, key=lambda dtype: dtype.bits)
        made = convert(call, *(_cast(v, widest) for v in inputs))
        if isinstance(made, tuple | list):
            return tuple(_cast(v, floats[0]) for v in made)
        return _cast(made, floats[0])

    return converted


def _cast(value: Any, dtype: DType) -> Any:
    is_float = isinstance(value, Value) and value.type.dtype.is_float
    return common.cast(value, dtype) if is_float else value


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
