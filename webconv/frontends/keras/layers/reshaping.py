"""Layers that move, repeat, cut or pad elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from webconv.frontends import common
from webconv.frontends.keras.layers.resizing import Interpolation, resize
from webconv.frontends.keras.layers.windows import DataFormat, Sizes, per_axis
from webconv.frontends.keras.schema import Natural, Positive
from webconv.frontends.keras.tree import Layer, Rule
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

Pair = tuple[Natural, Natural]
Borders = Natural | tuple[Natural | Pair, ...]


def flatten(layer: Layer, x: Value, *, data_format: DataFormat = None) -> Value:
    """All axes but the batch joined, channels last."""
    if data_format == "channels_first" and x.type.rank > 2:
        x = common.channels_last(x)
    return common.flatten(x) if x.type.rank > 1 else common.expand_dims(x, 1)


def reshape(layer: Layer, x: Value, *, target_shape: tuple[int | None, ...]) -> Value:
    """Another shape for each sample; one size may be -1 (Keras 3 writes null too)."""
    shape = [-1 if d is None else d for d in target_shape]
    if any(d < -1 for d in shape):
        raise ShapeError(f"target_shape must not have negative sizes, but it is {shape}")
    if -1 in shape:
        rest = dims.product(d for d in shape if d != -1)
        own = dims.product(x.shape[1:])
        if rest == 0 or shape.count(-1) > 1:
            raise ShapeError(f"target_shape {shape} leaves more than one size open")
        if isinstance(own, int) and isinstance(rest, int) and own % rest:
            raise ShapeError(f"{own} elements do not fit target_shape {shape}")
        found: list[Dim] = [dims.floordiv(own, rest) if d == -1 else d for d in shape]
    else:
        found = list(shape)
    return common.reshape(x, (x.shape[0], *found))


def permute(layer: Layer, x: Value, *, dims: tuple[Positive, ...]) -> Value:
    """Axes after the batch permuted; counted from 1."""
    return common.transpose(x, (0, *dims))


def repeat_vector(layer: Layer, x: Value, *, n: Positive) -> Value:
    """[B, F] to [B, n, F]."""
    if x.type.rank != 2:
        raise ShapeError(f"the input must have 2 axes, but it is {x.type}")
    return common.broadcast_to(common.expand_dims(x, 1), (x.shape[0], n, x.shape[1]))


def _spatial(x: Value, rank: int, data_format: str | None) -> range:
    """The spatial axes of x."""
    if x.type.rank != rank + 2:
        raise ShapeError(f"the input must have {rank + 2} axes, but it is {x.type}")
    first = 2 if data_format == "channels_first" else 1
    return range(first, first + rank)


def _borders(value: object, rank: int, what: str) -> list[tuple[int, int]]:
    """(before, after) per axis, from one number, one per axis, or a pair per axis."""
    if isinstance(value, int):
        return [(value, value)] * rank
    assert isinstance(value, tuple)
    if rank == 1 and len(value) == 2 and all(isinstance(v, int) for v in value):
        return [(value[0], value[1])]
    if len(value) != rank:
        raise ShapeError(f"{what} must be given for {rank} axes, but it is {list(value)}")
    return [(v, v) if isinstance(v, int) else v for v in value]


def _zero_padding(rank: int) -> Callable[..., Value]:
    def zero_padding(
        layer: Layer, x: Value, *, padding: Borders = 1, data_format: DataFormat = None
    ) -> Value:
        """Zeros around the spatial axes."""
        before, after = [0] * (rank + 2), [0] * (rank + 2)
        axes = _spatial(x, rank, data_format)
        for a, (b, e) in zip(axes, _borders(padding, rank, "padding"), strict=True):
            before[a], after[a] = b, e
        return ops.Pad(tuple(before), tuple(after))(x)

    return zero_padding


def _cropping(rank: int) -> Callable[..., Value]:
    def cropping(
        layer: Layer,
        x: Value,
        *,
        cropping: Borders = 1 if rank != 2 else 0,
        data_format: DataFormat = None,
    ) -> Value:
        """Elements cut off around the spatial axes."""
        axes = _spatial(x, rank, data_format)
        spans = {}
        for a, (b, e) in zip(axes, _borders(cropping, rank, "cropping"), strict=True):
            size = x.shape[a] - b - e
            if isinstance(size, int) and size <= 0:
                raise ShapeError(f"cropping {b} and {e} leaves nothing of axis {a} of {x.type}")
            spans[a] = common.Span(b, size, 1)
        return common.slice_axes(x, spans)

    return cropping


def _up_sampling(rank: int) -> Callable[..., Value]:
    def up_sampling(
        layer: Layer,
        x: Value,
        *,
        size: Sizes = 2,
        data_format: DataFormat = None,
        interpolation: Interpolation = "nearest",
    ) -> Value:
        """Each element repeated, or images resized by a factor."""
        factors = per_axis(size, rank, "size")
        axes = _spatial(x, rank, data_format)
        if interpolation == "nearest":
            for a, n in zip(axes, factors, strict=True):
                x = common.repeat(x, n, a)
            return x
        sizes = [x.shape[a] * n for a, n in zip(axes, factors, strict=True)]
        return resize(x, dict(zip(axes, sizes, strict=True)), interpolation)

    return up_sampling


def _rules() -> dict[str, Rule]:
    rules = {
        "Flatten": Rule(flatten),
        "Reshape": Rule(reshape),
        "Permute": Rule(permute),
        "RepeatVector": Rule(repeat_vector),
    }
    for rank in (1, 2, 3):
        rules[f"ZeroPadding{rank}D"] = Rule(_zero_padding(rank))
        rules[f"Cropping{rank}D"] = Rule(_cropping(rank))
        rules[f"UpSampling{rank}D"] = Rule(_up_sampling(rank))
    return rules


RULES: Mapping[str, Rule] = _rules()
Mode = Literal["nearest"]
