"""Views and joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.frontends.onnx.values import axes_of, ints, sizes
from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def target_shape(x: Value, wanted: Sequence[Dim], allowzero: bool) -> tuple[Dim, ...]:
    """A Reshape's target with 0 (copy the axis) and -1 (what is left) resolved.

    Sizes that only a run can tell may be 0 or -1 too, so they are resolved by arithmetic.
    """
    out: list[Dim] = []
    for k, n in enumerate(wanted):
        copies = not allowzero and (n == 0 if isinstance(n, int) else dims.bounds(n)[0] < 0)
        if copies and isinstance(n, int) and k >= x.type.rank:
            raise ShapeError(f"shape {list(wanted)} copies axis {k}, which {x.type} lacks")
        if copies and k < x.type.rank:
            is_zero = 1 - dims.minimum(1, dims.maximum(n, -1 * n))
            out.append(n + is_zero * x.shape[k])
        else:
            out.append(n)
    if not any(isinstance(n, dims.Expr) and dims.bounds(n)[0] < 0 for n in out):
        return tuple(out)
    rest = dims.floordiv(x.type.size, dims.product(dims.maximum(n, 1) for n in out))
    return tuple(dims.maximum(n, rest * dims.minimum(1, dims.maximum(-1 * n, 0))) for n in out)


@operator("Reshape")
def reshape(x: Value, shape: Value, *, allowzero: int = 0) -> Value:
    """The same elements under another shape."""
    return common.reshape(x, target_shape(x, sizes(shape, "shape"), bool(allowzero)))


@operator("Flatten")
def flatten(x: Value, *, axis: int = 1) -> Value:
    """A matrix: the axes before `axis`, and those from it on."""
    k = axis + x.type.rank if axis < 0 else axis
    return common.reshape(x, (dims.product(x.shape[:k]), dims.product(x.shape[k:])))


@operator("Squeeze")
def squeeze_1(x: Value, *, axes: Sequence[int] | None = None) -> Value:
    """The same with an attribute (opset 1)."""
    return common.squeeze(x, *(_axes_of_one(x) if axes is None else axes))


def _axes_of_one(x: Value) -> list[int]:
    """The axes of size 1; raises ShapeError where a size may be 1 or another."""
    axes = []
    for axis, n in enumerate(x.shape):
        size = n if isinstance(n, int) else _settled(x, n)
        if size is None and dims.bounds(n)[0] <= 1:
            raise ShapeError(
                f"without axes it must be known which sizes of {x.type} are 1; "
                "fix them with --input-shape"
            )
        axes += [axis] if size == 1 else []
    return axes


def _settled(x: Value, size: Dim) -> int | None:
    """The number that a size must be for what `x` is computed from, or None."""
    seen, stack = {x.node}, [x.node]
    while stack:
        node = stack.pop()
        for left, right in node.guards:
            for a, b in ((left, right), (right, left)):
                if a == size and isinstance(b, int):
                    return b
        behind = {v.node for v in node.inputs if v is not None} - seen
        seen |= behind
        stack += behind
    return None


@operator("Squeeze", since=13)
def squeeze_13(x: Value, axes: Value | None = None) -> Value:
    """Without axes of size 1: the given ones or all."""
    return squeeze_1(x, axes=axes_of(axes))


@operator("Unsqueeze")
def unsqueeze_1(x: Value, *, axes: Sequence[int]) -> Value:
    """With axes of size 1 (opset 1)."""
    return common.expand_dims(x, *axes)


@operator("Unsqueeze", since=13)
def unsqueeze_13(x: Value, axes: Value) -> Value:
    """With axes of size 1."""
    return common.expand_dims(x, *ints(axes, "axes"))


@operator("Transpose")
def transpose(x: Value, *, perm: Sequence[int] | None = None) -> Value:
    """Axes permuted, by default reversed."""
    rank = x.type.rank
    order = range(rank)[::-1] if perm is None else [normalise_axis(a, rank) for a in perm]
    return common.transpose(x, list(order))


@operator("Concat")
def concat(*inputs: Value, axis: int) -> Value:
    """Joined along an axis."""
    return common.concat(inputs, axis)


def _even(n: Dim, parts: int) -> list[Dim]:
    """Sizes of equal parts; the last is smaller if `n` does not divide."""
    each = dims.ceildiv(n, parts)
    return [dims.maximum(dims.minimum(each, n - k * each), 0) for k in range(parts)]


def _split(x: Value, parts: Sequence[Dim] | None, axis: int, count: int) -> tuple[Value, ...]:
    pieces = _even(x.shape[normalise_axis(axis, x.type.rank)], count) if parts is None else parts
    total = sum(pieces[1:], pieces[0])
    whole = x.shape[normalise_axis(axis, x.type.rank)]
    if isinstance(total, int) and isinstance(whole, int) and total != whole:
        raise ShapeError(f"parts {list(pieces)} must add up to the axis of {whole}")
    return tuple(common.split(x, pieces, axis))


@operator("Split", context=True)
def split_2(call: Any, x: Value, *, axis: int = 0, split: Sequence[int] | None = None) -> Any:
    """Cut along an axis (opset 2: sizes as an attribute)."""
    return _split(x, split, axis, len(call.node.output))


@operator("Split", since=13, context=True)
def split_13(
    call: Any, x: Value, split: Value | None = None, *, axis: int = 0, num_outputs: int = 0
) -> Any:
    """Cut along an axis into given sizes or equal parts."""
    parts = None if split is None else sizes(split, "split")
    return _split(x, parts, axis, num_outputs or len(call.node.output))


@operator("Expand")
def expand(x: Value, shape: Value) -> Value:
    """Broadcast with a shape, both ways."""
    wanted = sizes(shape, "shape")
    rank = max(len(wanted), x.type.rank)
    own = (1,) * (rank - x.type.rank) + x.shape
    target = (1,) * (rank - len(wanted)) + tuple(wanted)
    return common.broadcast_to(x, tuple(map(_broadcast_size, own, target)))


def _broadcast_size(n: Dim, wanted: Dim) -> Dim:
    """The size of an axis of n elements that meets another, of which only a run may tell."""
    if wanted == 1 or (isinstance(n, int) and n != 1):
        return n
    if n == 1 or isinstance(wanted, int):
        return wanted
    return dims.maximum(n, wanted)


@operator("Tile")
def tile(x: Value, repeats: Value) -> Value:
    """The whole of each axis several times."""
    return common.tile(x, sizes(repeats, "repeats"))


@operator("DepthToSpace")
def depth_to_space(x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """Channels moved into blocks of space."""
    n, c, h, w = x.shape
    b = blocksize
    if isinstance(c, int) and c % (b * b):
        raise ShapeError(f"{c} channels do not divide into blocks of {b}")
    depth = dims.floordiv(c, b * b)
    if mode == "DCR":
        y = common.transpose(common.reshape(x, (n, b, b, depth, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = common.transpose(common.reshape(x, (n, depth, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return common.reshape(y, (n, depth, h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """Blocks of space moved into channels."""
    n, c, h, w = x.shape
    b = blocksize
    y = common.reshape(x, (n, c, dims.floordiv(h, b), b, dims.floordiv(w, b), b))
    y = common.transpose(y, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return common.reshape(y, (n, c * b * b, dims.floordiv(h, b), dims.floordiv(w, b)))
