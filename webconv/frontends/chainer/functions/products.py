"""chainer.functions.math: products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from webconv.frontends import common
from webconv.frontends.chainer.functions.connection import turned
from webconv.frontends.chainer.registry import Applied, function
from webconv.frontends.einsum import einsum
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Value
from webconv.ir.op import normalise_axis


def _matrix(x: Value, turn: bool, call: Applied) -> Value:
    rank = x.type.rank
    if not turn or rank < 2:
        return x
    return turned(call, x, (*range(rank - 2), rank - 1, rank - 2))


@function("MatMul")
def matmul(call: Applied, a: Value, b: Value) -> Value:
    """a @ b by NumPy's rules, either or the result transposed."""
    a, b = _matrix(a, call.transa, call), _matrix(b, call.transb, call)
    row, column = a.type.rank == 1, b.type.rank == 1
    y = ops.MatMul()(
        common.expand_dims(a, 0) if row else a, common.expand_dims(b, 1) if column else b
    )
    y = common.squeeze(y, -2) if row else y
    y = common.squeeze(y, -1) if column else y
    if call.transc and y.type.rank >= 2:
        y = common.swap_axes(y, -1, -2)
    return y


@function("BatchMatMul")
def batch_matmul(call: Applied, a: Value, b: Value) -> Value:
    """Products of matrices one by one; vectors are columns."""
    a = common.expand_dims(a, -1) if a.type.rank == 2 else a
    b = common.expand_dims(b, -1) if b.type.rank == 2 else b
    return ops.MatMul()(_matrix(a, call.transa, call), _matrix(b, call.transb, call))


def _axes_pair(axes: Any, a: Value, b: Value) -> tuple[list[int], list[int]]:
    if isinstance(axes, Sequence):
        first, second = axes
        pairs = [[s] if isinstance(s, int) else list(s) for s in (first, second)]
        return (
            [normalise_axis(k, a.type.rank) for k in pairs[0]],
            [normalise_axis(k, b.type.rank) for k in pairs[1]],
        )
    return list(range(a.type.rank - axes, a.type.rank)), list(range(axes))


@function("TensorDot")
def tensordot(call: Applied, a: Value, b: Value) -> Value:
    """The product over some axes of both, as np.tensordot."""
    own, other = _axes_pair(call.axes, a, b)
    free_a = [k for k in range(a.type.rank) if k not in own]
    free_b = [k for k in range(b.type.rank) if k not in other]
    sizes: list[Dim] = [a.shape[k] for k in free_a]
    right: list[Dim] = [b.shape[k] for k in free_b]
    inner = dims.product(a.shape[k] for k in own)
    left = common.reshape(common.transpose(a, (*free_a, *own)), (dims.product(sizes), inner))
    rows = common.reshape(common.transpose(b, (*other, *free_b)), (inner, dims.product(right)))
    return common.reshape(ops.MatMul()(left, rows), (*sizes, *right))


@function("EinSum")
def einsum_(call: Applied, *xs: Value) -> Value:
    """np.einsum; `@` is Chainer's sign for the axes that an ellipsis stands for."""
    inputs = call.in_subs.split(",") if isinstance(call.in_subs, str) else call.in_subs
    equation = f"{','.join(inputs)}->{call.out_sub}".replace("@", "...")
    return einsum(equation, *xs)


@function("CooMatMul")
def coo_matmul(call: Applied, sp: Value, dn: Value) -> Value:
    """A sparse matrix, whose places are known, times a dense one."""
    rows, columns = np.asarray(call.sp_row), np.asarray(call.sp_col)
    m, k = call.sp_shape
    lead = rows.shape[:-1]
    batch = np.broadcast_to(
        np.arange(int(np.prod(lead)))[:, None], (int(np.prod(lead)), rows.shape[-1])
    )
    # Places that the format fills up with are -1.
    kept = rows.reshape(-1) >= 0
    place = ((batch.reshape(-1) * m + rows.reshape(-1)) * k + columns.reshape(-1))[kept]
    numbers = ops.Gather(0)(
        common.reshape(sp, (rows.size,)), graph.constant(np.flatnonzero(kept).astype(np.int32))
    )
    zeros = graph.constant(np.zeros(int(np.prod(lead)) * m * k, sp.type.dtype.numpy))
    where = graph.constant(place.astype(np.int32)[:, None])
    dense = common.reshape(ops.ScatterND("add")(zeros, where, numbers), (*lead, m, k))
    y = ops.MatMul()(_matrix(dense, call.transa, call), _matrix(dn, call.transb, call))
    return common.swap_axes(y, -1, -2) if call.transc else y
