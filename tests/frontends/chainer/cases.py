"""Every function of Chainer that we convert, as a row: what is called, and on what.

The rows need no Chainer to be read; `functions(F)` is called where Chainer is. `python -m
tests.frontends.chainer.generate` computes what they give (`make oracles`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any


class Case(NamedTuple):
    """`call(F, *xs)` on the inputs; `atol` is for functions that approximate."""

    call: Callable[..., Any]
    inputs: tuple[Array, ...]
    rtol: float = 2e-5
    atol: float = 2e-6


_random = np.random.RandomState(4)


def floats(*shape: int) -> Array:
    """Numbers around 0."""
    return _random.randn(*shape).astype(np.float32)


def positive(*shape: int) -> Array:
    """Numbers from 0.2 on."""
    return (0.2 + np.abs(_random.randn(*shape))).astype(np.float32)


def between(low: float, high: float, *shape: int) -> Array:
    """Numbers of a range, its ends left out."""
    return _random.uniform(low, high, shape).astype(np.float32)


def integers(high: int, *shape: int) -> Array:
    """Integers below `high`."""
    return _random.randint(0, high, shape).astype(np.int32)


X = floats(3, 4)
IMAGE = floats(2, 3, 7, 6)

ACTIVATION = {
    "sigmoid": Case(lambda F, x: F.sigmoid(x), (X,)),
    "tanh": Case(lambda F, x: F.tanh(x), (X,)),
    "relu": Case(lambda F, x: F.relu(x), (X,)),
    "relu6": Case(lambda F, x: F.relu6(x), (floats(3, 4) * 5,)),
    "clipped_relu": Case(lambda F, x: F.clipped_relu(x, 0.7), (X,)),
    "crelu": Case(lambda F, x: F.crelu(x, axis=1), (X,)),
    "elu": Case(lambda F, x: F.elu(x, alpha=0.6), (X,)),
    "selu": Case(lambda F, x: F.selu(x), (X,)),
    "hard_sigmoid": Case(lambda F, x: F.hard_sigmoid(x), (floats(3, 4) * 4,)),
    "leaky_relu": Case(lambda F, x: F.leaky_relu(x, slope=0.3), (X,)),
    "rrelu": Case(lambda F, x: F.rrelu(x), (X,)),
    "prelu": Case(lambda F, x, w: F.prelu(x, w), (IMAGE, floats(3))),
    "prelu_one": Case(lambda F, x, w: F.prelu(x, w), (X, np.array(0.3, "f"))),
    "swish": Case(lambda F, x, b: F.swish(x, b), (IMAGE, floats(3))),
    "softmax": Case(lambda F, x: F.softmax(x), (floats(2, 3, 4),)),
    "softmax_axis": Case(lambda F, x: F.softmax(x, axis=2), (floats(2, 3, 4),)),
    "log_softmax": Case(lambda F, x: F.log_softmax(x), (floats(2, 3, 4),)),
    "softplus": Case(lambda F, x: F.softplus(x), (X,)),
    "softplus_beta": Case(lambda F, x: F.softplus(x, beta=2.5), (X,)),
    "maxout": Case(lambda F, x: F.maxout(x, 2), (X,)),
}

ARRAY = {
    "reshape": Case(lambda F, x: F.reshape(x, (2, -1)), (X,)),
    "flatten": Case(lambda F, x: F.flatten(x), (X,)),
    "transpose": Case(lambda F, x: F.transpose(x, (1, -1, 0)), (floats(2, 3, 4),)),
    "transpose_all": Case(lambda F, x: F.transpose(x), (floats(2, 3, 4),)),
    "swapaxes": Case(lambda F, x: F.swapaxes(x, 0, -1), (floats(2, 3, 4),)),
    "moveaxis": Case(lambda F, x: F.moveaxis(x, (0, 1), (-1, 0)), (floats(2, 3, 4, 5),)),
    "rollaxis": Case(lambda F, x: F.rollaxis(x, 2, 1), (floats(2, 3, 4, 5),)),
    "rollaxis_back": Case(lambda F, x: F.rollaxis(x, 0, 3), (floats(2, 3, 4, 5),)),
    "rollaxis_negative": Case(lambda F, x: F.rollaxis(x, -1, -3), (floats(2, 3, 4, 5),)),
    "expand_dims": Case(lambda F, x: F.expand_dims(x, -2), (X,)),
    "squeeze": Case(lambda F, x: F.squeeze(x), (floats(1, 3, 1, 2),)),
    "squeeze_axis": Case(lambda F, x: F.squeeze(x, (0, -2)), (floats(1, 3, 1, 2),)),
    "broadcast_to": Case(lambda F, x: F.broadcast_to(x, (2, 3, 4)), (floats(3, 1),)),
    "broadcast": Case(lambda F, x, y: F.broadcast(x, y), (floats(3, 1), floats(2, 1, 4))),
    "cast": Case(lambda F, x: F.cast(x, np.int32), (floats(3, 4) * 5,)),
    "copy": Case(lambda F, x: F.copy(x, -1), (X,)),
    "concat": Case(lambda F, x, y: F.concat((x, y)), (X, floats(3, 2))),
    "hstack": Case(lambda F, x, y: F.hstack((x, y)), (X, floats(3, 2))),
    "hstack_vectors": Case(lambda F, x, y: F.hstack((x, y)), (floats(3), floats(2))),
    "vstack": Case(lambda F, x, y: F.vstack((x, y)), (X, floats(2, 4))),
    "vstack_vectors": Case(lambda F, x, y: F.vstack((x, y)), (floats(3), floats(3))),
    "dstack": Case(lambda F, x, y: F.dstack((x, y)), (X, floats(3, 4))),
    "dstack_vectors": Case(lambda F, x, y: F.dstack((x, y)), (floats(3), floats(3))),
    "stack": Case(lambda F, x, y: F.stack((x, y), axis=1), (X, floats(3, 4))),
    "separate": Case(lambda F, x: F.separate(x, axis=1), (X,)),
    "split_axis": Case(lambda F, x: F.split_axis(x, [1, 3], 1), (X,)),
    "split_axis_sections": Case(lambda F, x: F.split_axis(x, 2, 1), (X,)),
    "get_item": Case(lambda F, x: x[1, ..., None, ::2], (floats(3, 4, 5),)),
    "get_item_negative": Case(lambda F, x: x[-1, 3:0:-2], (floats(3, 4, 5),)),
    "get_item_array": Case(lambda F, x: x[:, [2, 0, -1]], (floats(3, 4, 5),)),
    "get_item_arrays": Case(
        lambda F, x: x[:, np.array([[0], [1]]), np.array([2, 3])], (floats(3, 4, 5),)
    ),
    "get_item_apart": Case(
        lambda F, x: x[np.array([0, 2]), :, np.array([2, 3])], (floats(3, 4, 5),)
    ),
    "get_item_mask": Case(lambda F, x: x[np.array([True, False, True])], (floats(3, 4, 5),)),
    "select_item": Case(lambda F, x, t: F.select_item(x, t), (X, integers(4, 3))),
    "flip": Case(lambda F, x: F.flip(x, -1), (X,)),
    "fliplr": Case(lambda F, x: F.fliplr(x), (X,)),
    "flipud": Case(lambda F, x: F.flipud(x), (X,)),
    "tile": Case(lambda F, x: F.tile(x, (2, 1, 3)), (X,)),
    "repeat": Case(lambda F, x: F.repeat(x, 2, axis=1), (X,)),
    "repeat_each": Case(lambda F, x: F.repeat(x, (2, 0, 3), axis=0), (X,)),
    "repeat_flat": Case(lambda F, x: F.repeat(x, 2), (X,)),
    "permutate": Case(lambda F, x: F.permutate(x, np.array([2, 0, 1], "i"), 0), (X,)),
    "permutate_back": Case(
        lambda F, x: F.permutate(x, np.array([2, 0, 3, 1], "i"), 1, inv=True), (X,)
    ),
    "diagonal": Case(lambda F, x: F.diagonal(x, 1, 0, 2), (floats(3, 4, 5),)),
    "diagonal_below": Case(lambda F, x: F.diagonal(x, -2), (floats(4, 3),)),
    "depth2space": Case(lambda F, x: F.depth2space(x, 2), (floats(2, 8, 3, 2),)),
    "space2depth": Case(lambda F, x: F.space2depth(x, 2), (floats(2, 3, 4, 6),)),
    "where": Case(lambda F, c, x, y: F.where(c, x, y), (X > 0, floats(3, 4), floats(3, 4))),
    "where_constant": Case(
        lambda F, x, y: F.where(np.eye(3, 4) > 0, x, y), (floats(3, 4), floats(3, 4))
    ),
    "pad": Case(lambda F, x: F.pad(x, ((1, 0), (2, 1)), "constant"), (X,)),
    "pad_value": Case(lambda F, x: F.pad(x, 1, "constant", constant_values=2.5), (X,)),
    "pad_edge": Case(lambda F, x: F.pad(x, ((1, 0), (2, 1)), "edge"), (X,)),
    "pad_reflect": Case(lambda F, x: F.pad(x, ((1, 0), (2, 1)), "reflect"), (X,)),
    "pad_symmetric": Case(lambda F, x: F.pad(x, ((1, 0), (2, 1)), "symmetric"), (X,)),
    "pad_sequence": Case(
        lambda F, x, y, z: F.pad_sequence([x, y, z], padding=-1.0),
        (floats(3, 2), floats(1, 2), floats(2, 2)),
    ),
    "pad_sequence_length": Case(
        lambda F, x, y: F.pad_sequence([x, y], length=5), (floats(3, 2), floats(1, 2))
    ),
    "transpose_sequence": Case(
        lambda F, x, y, z: F.transpose_sequence([x, y, z]),
        (floats(3, 2), floats(2, 2), floats(1, 2)),
    ),
    "scatter_add": Case(
        lambda F, x, y: F.scatter_add(x, (np.array([0, 2, 0]), slice(1, 3)), y), (X, floats(3, 2))
    ),
    "as_strided": Case(lambda F, x: F.as_strided(x, (3, 2), (4, 1), 1), (X,)),
    "im2col": Case(lambda F, x: F.im2col(x, 3, 2, 1), (IMAGE,)),
    "im2col_cover": Case(
        lambda F, x: F.im2col(x, (2, 3), (3, 2), (0, 1), cover_all=True, dilate=(2, 1)), (IMAGE,)
    ),
    "resize_images": Case(lambda F, x: F.resize_images(x, (5, 9)), (IMAGE,)),
    "resize_images_edges": Case(
        lambda F, x: F.resize_images(x, (5, 9), align_corners=False), (IMAGE,)
    ),
    "resize_images_nearest": Case(
        lambda F, x: F.resize_images(x, (5, 9), mode="nearest"), (IMAGE,)
    ),
    "spatial_transformer_grid": Case(
        lambda F, t: F.spatial_transformer_grid(t, (4, 3)), (floats(2, 2, 3),)
    ),
    "spatial_transformer_sampler": Case(
        lambda F, x, g: F.spatial_transformer_sampler(x, g), (IMAGE, between(-1.5, 1.5, 2, 2, 4, 3))
    ),
}


def weights(*shape: int) -> Array:
    """Small numbers."""
    return floats(*shape) * 0.3


CONNECTION = {
    "linear": Case(lambda F, x, w, b: F.linear(x, w, b), (X, weights(5, 4), weights(5))),
    "linear_no_bias": Case(lambda F, x, w: F.linear(x, w), (X, weights(5, 4))),
    "linear_batch_axes": Case(
        lambda F, x, w, b: F.linear(x, w, b, n_batch_axes=2),
        (floats(2, 3, 4), weights(5, 4), weights(5)),
    ),
    "embed_id": Case(lambda F, x, w: F.embed_id(x, w), (integers(6, 2, 3), floats(6, 4))),
    "embed_id_ignore": Case(
        lambda F, x, w: F.embed_id(x, w, ignore_label=-1), (integers(6, 2, 3) - 1, floats(6, 4))
    ),
    "bilinear": Case(
        lambda F, *xs: F.bilinear(*xs),
        (X, floats(3, 2), weights(4, 2, 5), weights(4, 5), weights(2, 5), weights(5)),
    ),
    "bilinear_short": Case(lambda F, *xs: F.bilinear(*xs), (X, floats(3, 2), weights(4, 2, 5))),
    "convolution_1d": Case(
        lambda F, x, w, b: F.convolution_1d(x, w, b, 2, 1),
        (floats(2, 3, 8), weights(4, 3, 3), weights(4)),
    ),
    "convolution_2d": Case(
        lambda F, x, w, b: F.convolution_2d(x, w, b, (2, 1), (1, 0)),
        (IMAGE, weights(4, 3, 3, 2), weights(4)),
    ),
    "convolution_2d_cover": Case(
        lambda F, x, w: F.convolution_2d(x, w, None, 3, 0, cover_all=True),
        (IMAGE, weights(4, 3, 2, 2)),
    ),
    "convolution_2d_groups": Case(
        lambda F, x, w: F.convolution_2d(x, w, None, 1, 1, groups=3, dilate=2),
        (IMAGE, weights(6, 1, 2, 2)),
    ),
    "dilated_convolution_2d": Case(
        lambda F, x, w: F.dilated_convolution_2d(x, w, dilate=2), (IMAGE, weights(4, 3, 2, 2))
    ),
    "depthwise_convolution_2d": Case(
        lambda F, x, w, b: F.depthwise_convolution_2d(x, w, b, 2, 1),
        (IMAGE, weights(2, 3, 3, 3), weights(6)),
    ),
    "convolution_3d": Case(
        lambda F, x, w, b: F.convolution_3d(x, w, b, 1, 1),
        (floats(1, 2, 3, 4, 5), weights(3, 2, 2, 2, 2), weights(3)),
    ),
    "deconvolution_1d": Case(
        lambda F, x, w, b: F.deconvolution_1d(x, w, b, 2, 1),
        (floats(2, 3, 5), weights(3, 4, 3), weights(4)),
    ),
    "deconvolution_2d": Case(
        lambda F, x, w, b: F.deconvolution_2d(x, w, b, 2, 1),
        (floats(2, 3, 4, 3), weights(3, 4, 3, 3), weights(4)),
    ),
    "deconvolution_2d_outsize": Case(
        lambda F, x, w: F.deconvolution_2d(x, w, None, 2, 1, outsize=(8, 6)),
        (floats(2, 3, 4, 3), weights(3, 4, 3, 3)),
    ),
    "deconvolution_2d_groups": Case(
        lambda F, x, w: F.deconvolution_2d(x, w, None, 1, 0, dilate=2, groups=2),
        (floats(2, 4, 4, 3), weights(4, 3, 2, 2)),
    ),
    "deconvolution_3d": Case(
        lambda F, x, w: F.deconvolution_3d(x, w, None, 2, 0),
        (floats(1, 2, 2, 3, 2), weights(2, 3, 2, 2, 2)),
    ),
    "local_convolution_2d": Case(
        lambda F, x, w, b: F.local_convolution_2d(x, w, b, stride=2),
        (IMAGE, weights(4, 3, 2, 3, 3, 3), weights(4, 3, 2)),
    ),
    "shift": Case(lambda F, x: F.shift(x, 3, 1), (floats(1, 11, 4, 5),)),
    "shift_dilated": Case(lambda F, x: F.shift(x, 3, 2), (floats(1, 9, 6, 5),)),
    "deformable_convolution_2d_sampler": Case(
        lambda F, x, o, w, b: F.deformable_convolution_2d_sampler(x, o, w, b, 1, 1),
        (floats(1, 2, 5, 4), floats(1, 18, 5, 4), weights(3, 2, 3, 3), weights(3)),
    ),
}

UNARY = {
    **dict.fromkeys(("exp", "expm1", "absolute", "sin", "cos", "tan", "sinh", "cosh"), X),
    **dict.fromkeys(("square", "erf", "arctan", "identity", "ceil", "floor", "fix", "sign"), X),
    **{name: positive(3, 4) for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt")},
    **{name: between(-0.9, 0.9, 3, 4) for name in ("arcsin", "arccos", "arctanh")},
}
SPECIAL = {
    "erfc": floats(3, 4) * 2,
    "erfcx": floats(3, 4) * 2,
    "ndtr": floats(3, 4) * 2,
    "log_ndtr": floats(3, 4) * 4,
    "erfinv": between(-0.99, 0.99, 3, 4),
    "erfcinv": between(0.01, 1.99, 3, 4),
    "ndtri": between(0.001, 0.999, 3, 4),
    "lgamma": between(-4, 20, 3, 4),
    "digamma": between(-4, 20, 3, 4),
}


def _named(name: str) -> Callable[..., Any]:
    return lambda F, *xs: getattr(F, name)(*xs)


A, B = floats(2, 3, 4), floats(2, 4, 5)
_square = floats(2, 4, 4)
_symmetric = (np.matmul(_square[0], _square[0].T) + np.eye(4)).astype(np.float32)

MATH = {
    **{name: Case(_named(name), (x,)) for name, x in UNARY.items()},
    **{name: Case(_named(name), (x,), 1e-4, 1e-5) for name, x in SPECIAL.items()},
    "add": Case(lambda F, x, y: x + y, (X, floats(3, 4))),
    "add_many": Case(lambda F, x, y, z: F.add(x, y, z), (X, floats(3, 4), floats(3, 4))),
    "add_constant": Case(lambda F, x: x + 1.5, (X,)),
    "add_broadcast": Case(lambda F, x, y: x + y, (X, floats(4))),
    "sub": Case(lambda F, x, y: x - y, (X, floats(3, 4))),
    "sub_from": Case(lambda F, x: 1.5 - x, (X,)),
    "mul": Case(lambda F, x, y: x * y, (X, floats(3, 4))),
    "mul_constant": Case(lambda F, x: x * 2.5, (X,)),
    "div": Case(lambda F, x, y: x / y, (X, positive(3, 4))),
    "div_from": Case(lambda F, x: 2.0 / x, (positive(3, 4),)),
    "neg": Case(lambda F, x: -x, (X,)),
    "pow": Case(lambda F, x, y: x**y, (positive(3, 4), floats(3, 4))),
    "pow_constant": Case(lambda F, x: x**2, (X,)),
    "pow_half": Case(lambda F, x: x**0.5, (positive(3, 4),)),
    "pow_of": Case(lambda F, x: 2.0**x, (X,)),
    "floor_divide": Case(lambda F, x, y: x // y, (X, positive(3, 4))),
    "matmul_operator": Case(lambda F, x, y: x @ y, (X, floats(4, 2))),
    "maximum": Case(lambda F, x, y: F.maximum(x, y), (X, floats(3, 4))),
    "minimum": Case(lambda F, x, y: F.minimum(x, y), (X, floats(3, 4))),
    "fmod": Case(lambda F, x, y: F.fmod(x, y), (floats(3, 4) * 5, positive(3, 4))),
    "arctan2": Case(lambda F, x, y: F.arctan2(x, y), (X, floats(3, 4))),
    "clip": Case(lambda F, x: F.clip(x, -0.5, 0.7), (X,)),
    "linear_interpolate": Case(
        lambda F, p, x, y: F.linear_interpolate(p, x, y),
        (positive(3, 4), floats(3, 4), floats(3, 4)),
    ),
    "sum": Case(lambda F, x: F.sum(x), (X,)),
    "sum_axis": Case(lambda F, x: F.sum(x, (0, -1), keepdims=True), (A,)),
    "sum_to": Case(lambda F, x: F.sum_to(x, (3, 1)), (A,)),
    "mean": Case(lambda F, x: F.mean(x, 1), (X,)),
    "average": Case(lambda F, x, w: F.average(x, 1, w), (X, positive(4))),
    "prod": Case(lambda F, x: F.prod(x, 1), (X,)),
    "max": Case(lambda F, x: F.max(x, 1), (X,)),
    "min": Case(lambda F, x: F.min(x, (0, 2), keepdims=True), (A,)),
    "argmax": Case(lambda F, x: F.argmax(x, 1), (X,)),
    "argmax_all": Case(lambda F, x: F.argmax(x), (X,)),
    "argmin": Case(lambda F, x: F.argmin(x, 0), (X,)),
    "logsumexp": Case(lambda F, x: F.logsumexp(x, 1), (X,)),
    "logsumexp_all": Case(lambda F, x: F.logsumexp(x), (X,)),
    "cumsum": Case(lambda F, x: F.cumsum(x, 1), (X,)),
    "cumsum_flat": Case(lambda F, x: F.cumsum(x), (X,)),
    "cumprod": Case(lambda F, x: F.cumprod(x, 1), (X,)),
    "batch_l2_norm_squared": Case(lambda F, x: F.batch_l2_norm_squared(x), (A,)),
    "matmul": Case(lambda F, x, y: F.matmul(x, y), (A, B)),
    "matmul_transposed": Case(
        lambda F, x, y: F.matmul(x, y, transa=True, transb=True), (floats(4, 3), floats(2, 4))
    ),
    "matmul_vectors": Case(lambda F, x, y: F.matmul(x, y), (floats(4), floats(4))),
    "batch_matmul": Case(lambda F, x, y: F.batch_matmul(x, y, transa=True), (A, floats(2, 3, 2))),
    "tensordot": Case(lambda F, x, y: F.tensordot(x, y, 2), (A, floats(3, 4, 5))),
    "tensordot_axes": Case(
        lambda F, x, y: F.tensordot(x, y, ((2, 0), (0, 2))), (A, floats(4, 3, 2))
    ),
    "einsum": Case(lambda F, x, y: F.einsum("bij,bjk->bki", x, y), (A, B)),
    "einsum_ellipsis": Case(lambda F, x, y: F.einsum("...ij,...jk->...ik", x, y), (A, B)),
    "einsum_diagonal": Case(lambda F, x: F.einsum("bii->b", x), (_square,)),
    "scale": Case(lambda F, x, y: F.scale(x, y, axis=1), (A, floats(3))),
    "bias": Case(lambda F, x, y: F.bias(x, y, axis=1), (A, floats(3))),
    "batch_det": Case(lambda F, x: F.batch_det(x), (_square,), 1e-4, 1e-5),
    "det": Case(lambda F, x: F.det(x), (_square[0],), 1e-4, 1e-5),
    "batch_inv": Case(lambda F, x: F.batch_inv(x), (_square,), 1e-3, 1e-4),
    "inv": Case(lambda F, x: F.inv(x), (_square[0],), 1e-3, 1e-4),
    "cholesky": Case(lambda F, x: F.cholesky(x), (_symmetric,), 1e-4, 1e-5),
    "fft": Case(lambda F, x, y: F.fft((x, y)), (A, floats(2, 3, 4)), 1e-4, 1e-5),
    "ifft": Case(lambda F, x, y: F.ifft((x, y)), (A, floats(2, 3, 4)), 1e-4, 1e-5),
    "zeta": Case(lambda F, q: F.zeta(np.full((3, 4), 2.5, "f"), q), (positive(3, 4),), 1e-4, 1e-5),
    "polygamma": Case(
        lambda F, x: F.polygamma(np.full((3, 4), 2, "i"), x), (positive(3, 4),), 1e-4, 1e-5
    ),
    "sparse_matmul": Case(lambda F, x: _sparse(F, x), (floats(4, 2),)),
}


def _sparse(F: Any, dense: Any) -> Any:
    import chainer

    row, column = np.array([0, 2, 2, 1], "i"), np.array([1, 0, 3, 3], "i")
    values = np.array([1.5, -2, 0.5, 3], "f")
    matrix = chainer.utils.CooMatrix(values, row, column, (3, 4))
    return F.sparse_matmul(matrix, dense)


NOISE = {
    "dropout": Case(lambda F, x: F.dropout(x) * 2, (X,)),
    "zoneout": Case(lambda F, h, x: F.zoneout(h, x, 0.3), (X, floats(3, 4))),
    "simplified_dropconnect": Case(
        lambda F, x, w, b: F.simplified_dropconnect(x, w, b, train=False),
        (X, weights(5, 4), weights(5)),
    ),
}

_gamma, _beta, _mean, _var = positive(3), floats(3), floats(3), positive(3)

NORMALIZATION = {
    "fixed_batch_normalization": Case(
        lambda F, x, *rest: F.fixed_batch_normalization(x, *rest),
        (IMAGE, _gamma, _beta, _mean, _var),
    ),
    "fixed_batch_normalization_axis": Case(
        lambda F, x, *rest: F.fixed_batch_normalization(x, *rest, axis=(0, 1)),
        (floats(2, 4, 3), _gamma, _beta, _mean, _var),
    ),
    "batch_normalization": Case(
        lambda F, x, g, b: F.batch_normalization(x, g, b), (IMAGE, _gamma, _beta), 1e-4, 1e-5
    ),
    "fixed_batch_renormalization": Case(
        lambda F, x, *rest: F.fixed_batch_renormalization(x, *rest),
        (IMAGE, _gamma, _beta, _mean, _var),
    ),
    "layer_normalization": Case(
        lambda F, x, g, b: F.layer_normalization(x, g, b), (X, positive(4), floats(4))
    ),
    "group_normalization": Case(
        lambda F, x, g, b: F.group_normalization(x, 3, g, b),
        (floats(2, 6, 4, 3), positive(6), floats(6)),
    ),
    "normalize": Case(lambda F, x: F.normalize(x), (IMAGE,)),
    "normalize_axes": Case(lambda F, x: F.normalize(x, axis=(1, 2)), (IMAGE,)),
    "local_response_normalization": Case(
        lambda F, x: F.local_response_normalization(x, n=3, alpha=0.1), (floats(2, 6, 4, 3),)
    ),
    "fixed_decorrelated_batch_normalization": Case(
        lambda F, x, m, p: F.fixed_decorrelated_batch_normalization(x, m, p, groups=2),
        (floats(2, 6, 4, 3), floats(2, 3), floats(2, 3, 3)),
    ),
}

_regions = np.array([[0, 1, 6, 5], [2, 0, 5.5, 3], [1.2, 2.4, 3.1, 9]], np.float32)
_which = np.array([0, 1, 0], np.int32)

POOLING = {
    "max_pooling_1d": Case(lambda F, x: F.max_pooling_1d(x, 3, 2), (floats(2, 3, 8),)),
    "max_pooling_2d": Case(lambda F, x: F.max_pooling_2d(x, 2), (IMAGE,)),
    "max_pooling_2d_exact": Case(
        lambda F, x: F.max_pooling_2d(x, (3, 2), (2, 1), 1, cover_all=False), (IMAGE,)
    ),
    "max_pooling_3d": Case(lambda F, x: F.max_pooling_3d(x, 2), (floats(1, 2, 3, 4, 5),)),
    "average_pooling_1d": Case(lambda F, x: F.average_pooling_1d(x, 3, 2, 1), (floats(2, 3, 8),)),
    "average_pooling_2d": Case(lambda F, x: F.average_pooling_2d(x, (3, 2), 2, 1), (IMAGE,)),
    "average_pooling_3d": Case(
        lambda F, x: F.average_pooling_3d(x, 2, 1, 1), (floats(1, 2, 3, 4, 5),)
    ),
    "average_pooling_nd_without_padding": Case(
        lambda F, x: F.average_pooling_nd(x, 3, 2, 1, pad_value=None), (IMAGE,)
    ),
    "unpooling_1d": Case(lambda F, x: F.unpooling_1d(x, 2, 2), (floats(2, 3, 4),)),
    "unpooling_2d": Case(lambda F, x: F.unpooling_2d(x, 2, 2, cover_all=False), (IMAGE,)),
    "unpooling_2d_cover": Case(lambda F, x: F.unpooling_2d(x, 3, 2, 1), (IMAGE,)),
    "unpooling_2d_outsize": Case(lambda F, x: F.unpooling_2d(x, 2, 2, outsize=(13, 11)), (IMAGE,)),
    "unpooling_3d": Case(lambda F, x: F.unpooling_3d(x, 2, 2), (floats(1, 2, 2, 3, 2),)),
    "spatial_pyramid_pooling_2d": Case(
        lambda F, x: F.spatial_pyramid_pooling_2d(x, 2, pooling="max"), (IMAGE,)
    ),
    "upsampling_2d": Case(lambda F, x: _upsampled(F, x), (IMAGE,)),
    "roi_pooling_2d": Case(
        lambda F, x, r: F.roi_pooling_2d(x, r, 3, 2, 0.6),
        (IMAGE, np.array([[0, 1, 1, 8, 9], [1, 0, 2, 5, 3], [0, 9, 9, 30, 30]], np.float32)),
    ),
    "roi_max_pooling_2d": Case(
        lambda F, x, r, i: F.roi_max_pooling_2d(x, r, i, (3, 2), 0.8), (IMAGE, _regions, _which)
    ),
    "roi_average_pooling_2d": Case(
        lambda F, x, r, i: F.roi_average_pooling_2d(x, r, i, (3, 2), 0.8), (IMAGE, _regions, _which)
    ),
    "roi_max_align_2d": Case(
        lambda F, x, r, i: F.roi_max_align_2d(x, r, i, (3, 2), 0.8, 2), (IMAGE, _regions, _which)
    ),
    "roi_average_align_2d": Case(
        lambda F, x, r, i: F.roi_average_align_2d(x, r, i, (3, 2), 0.8, (2, 3)),
        (IMAGE, _regions, _which),
    ),
}


def _upsampled(F: Any, x: Any) -> Any:
    pooled, where = F.max_pooling_2d(x, 2, 2, return_indices=True)
    return F.upsampling_2d(pooled * 2, where, 2, 2, outsize=(7, 6))


def _matrices(kind: str, layers: int, size: int, hidden: int, both: bool) -> Any:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    directions = 2 if both else 1
    ws, bs = [], []
    for layer in range(layers):
        for _ in range(directions):
            wide = size if layer == 0 else hidden * directions
            ws.append([weights(hidden, wide if k < gates else hidden) for k in range(2 * gates)])
            bs.append([weights(hidden) for _ in range(2 * gates)])
    return ws, bs


_STEPS = (floats(3, 4), floats(3, 4), floats(2, 4), floats(1, 4))


def _n_step(kind: str, both: bool, **options: Any) -> Case:
    ws, bs = _matrices(kind, 2, 4, 5, both)
    rows = 4 if both else 2
    name = f"n_step_{'bi' if both else ''}{kind}"
    states = [floats(rows, 3, 5) for _ in range(2 if kind == "lstm" else 1)]

    def call(F: Any, *inputs: Any) -> Any:
        given, xs = inputs[: len(states)], list(inputs[len(states) :])
        return getattr(F, name)(2, 0.0, *given, ws, bs, xs, **options)

    return Case(call, (*states, *_STEPS))


RNN = {
    "lstm": Case(lambda F, c, x: F.lstm(c, x), (X, floats(3, 16))),
    "lstm_fewer": Case(lambda F, c, x: F.lstm(c, x), (X, floats(2, 16))),
    "lstm_axes": Case(lambda F, c, x: F.lstm(c, x), (floats(3, 4, 2), floats(3, 16, 2))),
    "slstm": Case(lambda F, *xs: F.slstm(*xs), (X, floats(3, 4), floats(3, 16), floats(3, 16))),
    "tree_lstm": Case(lambda F, *xs: F.tree_lstm(*xs), (X, floats(3, 4), floats(3, 20))),
    "n_step_lstm": _n_step("lstm", False),
    "n_step_bilstm": _n_step("lstm", True),
    "n_step_gru": _n_step("gru", False),
    "n_step_bigru": _n_step("gru", True),
    "n_step_rnn": _n_step("rnn", False, activation="tanh"),
    "n_step_birnn": _n_step("rnn", True, activation="relu"),
}

FAMILIES = {
    "activation": ACTIVATION,
    "array": ARRAY,
    "connection": CONNECTION,
    "math": MATH,
    "noise": NOISE,
    "normalization": NORMALIZATION,
    "pooling": POOLING,
    "rnn": RNN,
}
