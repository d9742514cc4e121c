"""Einsum: operands are joined from the left, each time by one product or one MatMul."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from webconv.frontends import common
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Value

Labels = list[str]


def einsum(equation: str, *operands: Value) -> Value:
    """The sums of products that an equation such as `bij,bjk->bik` describes.

    Without `->` the result has the labels that occur once, in the order of the alphabet. A label
    that an operand repeats takes its diagonal; `...` stands for axes that broadcast. Raises
    ShapeError if the equation does not fit the operands.
    """
    terms, out = _labels(equation, operands)
    pairs = [_diagonal(v, labels) for v, labels in zip(operands, terms, strict=True)]
    x, found = pairs[0]
    for k, (y, labels) in enumerate(pairs[1:], 2):
        needed = {*out, *(c for term in terms[k:] for c in term)}
        x, found = _product(x, found, y, labels, needed)
    x, found = _summed_out(x, found, set(out))
    return common.transpose(x, [found.index(c) for c in out])


def _labels(equation: str, operands: Sequence[Value]) -> tuple[list[Labels], Labels]:
    """The axes' labels of every operand and of the result; an ellipsis becomes #0, #1, ..."""
    text = re.sub(r"\s", "", equation)
    inputs, arrow, result = text.partition("->")
    terms = [_split(term, equation) for term in inputs.split(",")]
    if len(terms) != len(operands):
        count = f"{len(terms)} operands, but there are {len(operands)}"
        raise ShapeError(f"equation {equation!a} is of {count}")
    hidden = [v.type.rank - len(t) + 1 for t, v in zip(terms, operands, strict=True) if "..." in t]
    most = max(hidden, default=0)
    spread = [_spread(t, v.type.rank, most) for t, v in zip(terms, operands, strict=True)]
    for labels, value in zip(spread, operands, strict=True):
        if len(labels) != value.type.rank:
            raise ShapeError(f"equation {equation!a} does not fit {value.type}")
    every = [c for labels in spread for c in labels]
    if not arrow:
        once = sorted(c for c in set(every) if every.count(c) == 1 and c[0] != "#")
        return spread, [*(f"#{k}" for k in range(most)), *once]
    out = _spread(_split(result, equation), None, most)
    if len(set(out)) != len(out) or not set(out) <= set(every):
        raise ShapeError(f"equation {equation!a} has a label in its result twice or from nowhere")
    return spread, out


def _split(term: str, equation: str) -> Labels:
    labels: Labels = re.findall(r"\.\.\.|[a-zA-Z]", term)
    if "".join(labels) != term or labels.count("...") > 1:
        raise ShapeError(f"equation {equation!a} is not of the form ab,bc->ac")
    return labels


def _spread(labels: Labels, rank: int | None, most: int) -> Labels:
    """`labels` with the ellipsis written out; axes broadcast, so the last of #0, #1, ... meet."""
    if "..." not in labels:
        return labels
    at = labels.index("...")
    count = most if rank is None else max(rank - len(labels) + 1, 0)
    return [*labels[:at], *(f"#{k}" for k in range(most - count, most)), *labels[at + 1 :]]


def _diagonal(x: Value, labels: Labels) -> tuple[Value, Labels]:
    """x with one axis for each label: where two have the same, what has equal indices in both."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            first, second = [k for k, label in enumerate(labels) if label == c][:2]
            n = x.shape[second]
            row = common.expand_dims(ops.Iota(x.shape[first])(), 1)
            same = ops.Equal()(row, ops.Iota(n)())
            sizes = [n if k in (first, second) else 1 for k in range(x.type.rank)]
            only = ops.Where()(common.reshape(same, sizes), x, common.scalar(0, x))
            x = ops.ReduceSum((first,))(only)
            labels = [label for k, label in enumerate(labels) if k != first]
    return x, labels


def _product(
    a: Value, left: Labels, b: Value, right: Labels, needed: set[str]
) -> tuple[Value, Labels]:
    """The product of two operands, summed over the labels that nothing else needs."""
    a, left = _summed_out(a, left, {*right, *needed})
    b, right = _summed_out(b, right, {*left, *needed})
    inner = [c for c in left if c in right and c not in needed]
    batch = [c for c in left if c in right and c in needed]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    found = [*batch, *rows, *columns]
    if not inner:
        y = ops.Mul()(_aligned(a, left, found), _aligned(b, right, found))
        return y, found
    sizes: dict[str, Dim] = dict(zip(right, b.shape, strict=True))
    for c, n in zip(left, a.shape, strict=True):
        sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    a, b = _widened(a, left, inner, sizes), _widened(b, right, inner, sizes)
    x, y = _grouped(a, left, (batch, rows, inner)), _grouped(b, right, (batch, inner, columns))
    z = ops.MatMul()(x, common.folded(y) if b.constant is not None else y)
    return common.reshape(z, [sizes[c] for c in found]), found


def _summed_out(x: Value, labels: Labels, needed: Iterable[str]) -> tuple[Value, Labels]:
    """x without the axes that nothing else has."""
    gone = tuple(k for k, c in enumerate(labels) if c not in needed)
    return (ops.ReduceSum(gone)(x) if gone else x), [c for c in labels if c in needed]


def _aligned(x: Value, labels: Labels, found: Labels) -> Value:
    """x with its axes in the order of `found`, and axes of size 1 for the labels it lacks."""
    order = [c for c in found if c in labels]
    moved = common.transpose(x, [labels.index(c) for c in order])
    sizes = dict(zip(order, moved.shape, strict=True))
    return common.reshape(moved, [sizes.get(c, 1) for c in found])


def _widened(x: Value, labels: Labels, inner: Labels, sizes: dict[str, Dim]) -> Value:
    """x with the inner axes of size 1 broadcast to what the other operand has."""
    pairs = zip(labels, x.shape, strict=True)
    return common.broadcast_to(x, tuple(sizes[c] if c in inner and n == 1 else n for c, n in pairs))


def _grouped(x: Value, labels: Labels, groups: Sequence[Labels]) -> Value:
    """x with its axes in the order of the groups: the first as they are, the others joined."""
    order = [labels.index(c) for group in groups for c in group]
    moved = common.transpose(x, order)
    lead = len(groups[0])
    middle = lead + len(groups[1])
    shape = (dims.product(moved.shape[lead:middle]), dims.product(moved.shape[middle:]))
    return common.reshape(moved, (*moved.shape[:lead], *shape))
