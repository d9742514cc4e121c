"""Functions of Chainer with their less common arguments, on arrays without axes or elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.frontends.chainer.cases import Array, Case

_random = np.random.RandomState(6)


def floats(*shape: int) -> Array:
    """Numbers around 0."""
    return _random.randn(*shape).astype(np.float32)


def positive(*shape: int) -> Array:
    """Numbers from 0.2 on."""
    return (0.2 + np.abs(_random.randn(*shape))).astype(np.float32)


def named(name: str, *rest: Any, **options: Any) -> Callable[..., Any]:
    """`F.name(x, ..., *rest, **options)`."""
    return lambda F, *xs: getattr(F, name)(*xs, *rest, **options)


X, IMAGE = floats(4, 5, 6), floats(2, 3, 7, 6)

WINDOWS = {
    "average_pooling_2d_default": Case(named("average_pooling_2d", 2), (IMAGE,)),
    "average_pooling_nd_zero": Case(named("average_pooling_nd", 3, 2, 1, pad_value=0), (IMAGE,)),
    "max_pooling_nd_cover": Case(named("max_pooling_nd", 3, 2, 1, cover_all=True), (IMAGE,)),
    "max_pooling_nd_exact": Case(named("max_pooling_nd", 3, 2, 1, cover_all=False), (IMAGE,)),
    "max_pooling_gaps": Case(named("max_pooling_2d", 2, 4), (IMAGE,)),
    "max_pooling_1d_default": Case(named("max_pooling_1d", 3), (floats(2, 3, 8),)),
    "max_pooling_indices": Case(
        named("max_pooling_2d", 3, 2, 1, cover_all=False, return_indices=True), (IMAGE,)
    ),
    "unpooling_nd_exact": Case(named("unpooling_nd", 2, cover_all=False), (floats(1, 2, 4),)),
    "unpooling_2d_pad_exact": Case(named("unpooling_2d", 3, 2, 1, cover_all=False), (IMAGE,)),
    "upsampling_2d_odd": Case(
        lambda F, x: F.upsampling_2d(
            *F.max_pooling_2d(x, 3, 2, 1, return_indices=True), 3, 2, 1, outsize=x.shape[2:]
        ),
        (IMAGE,),
    ),
    "convolution_2d_groups_dilate": Case(
        named("convolution_2d", stride=(2, 1), pad=(2, 1), dilate=(2, 1), groups=2),
        (floats(2, 4, 9, 8), floats(6, 2, 3, 3), floats(6)),
    ),
    "convolution_nd_cover_dilate": Case(
        named("convolution_nd", None, 3, 1, cover_all=True, dilate=2), (IMAGE, floats(4, 3, 3, 2))
    ),
    "convolution_2d_whole": Case(named("convolution_2d"), (IMAGE, floats(4, 3, 7, 6))),
    "convolution_2d_computed": Case(
        lambda F, x, w: F.convolution_2d(x, F.tanh(w)), (IMAGE, floats(4, 3, 2, 2))
    ),
    "convolution_1d_groups": Case(
        named("convolution_1d", None, 1, 2, dilate=2, groups=3), (floats(2, 6, 9), floats(9, 2, 3))
    ),
    "deconvolution_2d_outsize_exact": Case(
        named("deconvolution_2d", None, 2, 0, outsize=(10, 9)),
        (floats(2, 3, 4, 4), floats(3, 2, 3, 3)),
    ),
    "deconvolution_2d_dilate": Case(
        named("deconvolution_2d", stride=(2, 3), pad=(1, 2), dilate=(2, 1)),
        (floats(2, 3, 4, 4), floats(3, 2, 3, 3), floats(2)),
    ),
    "deconvolution_nd_groups": Case(
        named("deconvolution_nd", None, 2, 1, groups=2), (floats(1, 4, 3, 3), floats(4, 2, 2, 2))
    ),
    "deconvolution_nd_outsize": Case(
        named("deconvolution_nd", None, 2, 1, outsize=(6, 5)),
        (floats(1, 4, 3, 3), floats(4, 2, 3, 3)),
    ),
    "local_convolution_2d_strides": Case(
        named("local_convolution_2d", None, (2, 1)), (IMAGE, floats(4, 3, 5, 3, 3, 2))
    ),
    "resize_images_down": Case(named("resize_images", (1, 2)), (IMAGE,)),
    "resize_images_down_edges": Case(named("resize_images", (1, 2), align_corners=False), (IMAGE,)),
    "resize_images_of_one": Case(named("resize_images", (5, 6)), (floats(1, 2, 1, 1),)),
    "resize_images_nearest_twice": Case(named("resize_images", (14, 12), mode="nearest"), (IMAGE,)),
    "spatial_transformer": Case(
        lambda F, x, t: F.spatial_transformer_sampler(x, F.spatial_transformer_grid(t, (5, 4))),
        (IMAGE, floats(2, 2, 3)),
    ),
    "spatial_pyramid_pooling_2d_high": Case(
        named("spatial_pyramid_pooling_2d", 3, "max"), (floats(2, 3, 9, 8),)
    ),
    "local_response_normalization_even": Case(
        named("local_response_normalization", n=4, k=1, alpha=0.3, beta=0.5), (floats(2, 8, 3, 3),)
    ),
    "local_response_normalization_rows": Case(
        named("local_response_normalization", n=3), (floats(2, 8),)
    ),
}

ITEMS = {
    "reversed": np.s_[::-1],
    "steps_back": np.s_[:, ::-2, 4:0:-1],
    "new_axes": np.s_[None, 1, :, None],
    "ellipsis": np.s_[..., None, -2],
    "ellipsis_within": np.s_[0, ..., ::3],
    "nothing": np.s_[2:2],
    "negative_ends": np.s_[:-1, 1:-2],
    "beyond": np.s_[2:100, -100:3],
    "list": ([1, 2],),
    "empty_list": ([],),
    "numpy_number": np.s_[np.int64(2)],
    "pair": np.s_[np.array([0, 1]), np.array([1, 2])],
    "pair_apart": np.s_[np.array([0, 1]), :, np.array([1, -2])],
    "pair_around_new": np.s_[np.array([0, 1]), None, np.array([1, 2])],
    "array_and_number": np.s_[0, np.array([1, 1, 0])],
    "number_apart": np.s_[0, :, np.array([1, 1, 0])],
    "table": np.s_[..., np.array([[0, 1], [2, 3]])],
    "mask_of_two_axes": (_random.rand(4, 5) > 0.5,),
    "mask_within": np.s_[:, np.array([True, False, True, False, True])],
    "mask_of_all": (_random.rand(4, 5, 6) > 0.7,),
    "mask_of_none": (np.zeros(4, bool),),
    "mask_and_array": np.s_[np.array([True, False, True, True]), np.array([0, 1, 2])],
    "element": np.s_[1, 2, 3],
    "all": (Ellipsis,),
    "empty_tuple": (),
}

PAD = {
    "pad_ends": named("pad", ((1, 0), (0, 2), (1, 1)), "constant", constant_values=((1, 2),) * 3),
    "pad_pair": named("pad", (1, 2), "constant", constant_values=(3, 4)),
    "pad_wrap": named("pad", ((1, 0), (0, 2), (1, 1)), "wrap"),
    "pad_odd": named("pad", 1, "reflect", reflect_type="odd"),
    "pad_odd_symmetric": named("pad", ((1, 2), (0, 0), (3, 0)), "symmetric", reflect_type="odd"),
    "pad_ramp": named("pad", 2, "linear_ramp", end_values=((2.0, 1.0), (0, 0), (5, 5))),
    "pad_mean": named("pad", ((1, 0), (0, 2), (1, 1)), "mean"),
    "pad_maximum": named("pad", 1, "maximum", stat_length=2),
    "pad_minimum": named("pad", 1, "minimum"),
    "pad_far": named("pad", ((9, 9), (0, 0), (0, 0)), "reflect"),
    "pad_symmetric_far": named("pad", ((9, 9), (0, 0), (0, 0)), "symmetric"),
}

SHAPES = {
    **{
        f"get_item_{name}": Case(lambda F, x, i=item: F.get_item(x, i), (X,))
        for name, item in ITEMS.items()
    },
    **{name: Case(call, (X,)) for name, call in PAD.items()},
    "split_axis_array": Case(named("split_axis", np.array([1, 1, 4]), 1), (X,)),
    "split_axis_one": Case(named("split_axis", 1, 0, force_tuple=False), (X,)),
    "separate_last": Case(named("separate", -1), (X,)),
    "tile_number": Case(named("tile", 2), (X,)),
    "tile_longer": Case(named("tile", (2, 1, 1, 2)), (X,)),
    "tile_nothing": Case(named("tile", (0, 1, 1)), (X,)),
    "transpose_method": Case(lambda F, x: x.transpose(2, 0, 1), (X,)),
    "transpose_property": Case(lambda F, x: x.T, (X,)),
    "rollaxis_end": Case(named("rollaxis", 0, 3), (X,)),
    "moveaxis_number": Case(named("moveaxis", 0, -1), (X,)),
    "diagonal_negative": Case(named("diagonal", 0, -1, -2), (X,)),
    "scatter_add_part": Case(
        lambda F, x, y: F.scatter_add(x, (slice(1, 3), Ellipsis, 0), y), (X, floats(2, 5))
    ),
    "forget": Case(lambda F, x: F.forget(lambda a: F.relu(a) * 2, x), (X,)),
    "where_broadcast": Case(
        lambda F, x, y: F.where(np.arange(6) % 2 == 0, x, y), (X, floats(4, 5, 6))
    ),
}

EINSUM = {
    "ij->": [(3, 4)],
    "i,j->ij": [(3,), (4,)],
    "ij,jk": [(3, 4), (4, 5)],
    "ii->i": [(3, 3)],
    "abc,cd,de->abe": [(2, 3, 4), (4, 5), (5, 2)],
    "...i,i->...": [(2, 3, 4), (4,)],
    "i...->...": [(3, 4, 5)],
}

PRODUCTS = {
    **{
        f"einsum_{k}": Case(
            lambda F, *xs, e=equation: F.einsum(e, *xs), tuple(floats(*s) for s in shapes)
        )
        for k, (equation, shapes) in enumerate(EINSUM.items())
    },
    "einsum_numbers": Case(
        lambda F, x, y: F.einsum(x, [0, 1], y, [1, 2], [0, 2]), (floats(3, 4), floats(4, 5))
    ),
    "matmul_broadcast": Case(named("matmul"), (floats(2, 1, 3, 4), floats(5, 4, 2))),
    "matmul_vector_matrix": Case(named("matmul"), (floats(4), floats(2, 4, 3))),
    "matmul_matrix_vector": Case(named("matmul"), (floats(2, 3, 4), floats(4))),
    "batch_matmul_vectors": Case(named("batch_matmul", transa=True), (floats(3, 4), floats(3, 4))),
    "tensordot_none": Case(named("tensordot", 0), (floats(2, 3), floats(4))),
    "tensordot_numbers": Case(named("tensordot", axes=(1, 0)), (floats(2, 3), floats(3, 4))),
    "array_matmul": Case(lambda F, x: np.ones((2, 3), "f") @ x, (floats(3, 4),)),
    "array_minus": Case(lambda F, x: np.ones((3, 4), "f") - x, (floats(3, 4),)),
    "array_over": Case(lambda F, x: np.ones((3, 4), "f") / x, (positive(3, 4),)),
    "power_of_arrays": Case(lambda F, x: x ** np.array([1, 2, 3, 2], "f"), (positive(3, 4),)),
    "floor_of": Case(lambda F, x: 2 // x, (positive(3, 4),)),
    "sum_of_no_axes": Case(named("sum", ()), (X,)),
    "prod_axes": Case(named("prod", (0, 1), keepdims=True), (X,)),
    "logsumexp_axes": Case(named("logsumexp", (0, 2)), (X,)),
    "average_weighted": Case(named("average", None), (X,)),
    "clip_below": Case(named("clip", -0.2, None), (X,)),
    "normalize_eps": Case(named("normalize", eps=0.1, axis=(1,)), (floats(3, 4),)),
    "softmax_first": Case(named("softmax", axis=0), (floats(3, 4),)),
    "maxout_axis": Case(named("maxout", 3, axis=2), (floats(2, 3, 6),)),
    "prelu_whole": Case(named("prelu"), (floats(2, 3, 4), floats(3, 4))),
    "batch_l2_norm_squared_rows": Case(named("batch_l2_norm_squared"), (floats(3, 5),)),
    "squared_difference": Case(named("squared_difference"), (floats(3, 4), floats(3, 4))),
    "absolute_error": Case(named("absolute_error"), (floats(3, 4), floats(3, 4))),
    "mean_squared_error": Case(named("mean_squared_error"), (floats(3, 4), floats(3, 4))),
    "mean_absolute_error": Case(named("mean_absolute_error"), (floats(3, 4), floats(3, 4))),
    "squared_error": Case(named("squared_error"), (floats(3, 4), floats(3, 4))),
    "bernoulli_nll": Case(named("bernoulli_nll"), (positive(3, 4), floats(3, 4))),
    "gaussian_nll": Case(named("gaussian_nll"), (floats(3, 4), floats(3, 4), floats(3, 4))),
    "gaussian_kl_divergence": Case(
        named("gaussian_kl_divergence", reduce="no"), (floats(3, 4), floats(3, 4))
    ),
    "crf1d": Case(
        lambda F, c, x, y, s, t: F.crf1d(c, [x, y], [s, t]),
        (
            floats(4, 4),
            floats(3, 4),
            floats(2, 4),
            *(np.array(t, "i") for t in ([1, 0, 3], [2, 2])),
        ),
    ),
    "black_out": Case(
        lambda F, x, t: F.black_out(x, t, np.ones((5, 4), "f"), np.array([[1, 2]] * 3, "i")),
        (floats(3, 4), np.array([1, 0, 4], "i")),
    ),
    "gaussian_given": Case(
        lambda F, m, v, noise: F.gaussian(m, v, eps=noise.array),
        (floats(3, 4), floats(3, 4), floats(3, 4)),
    ),
    "argmax_crf1d": Case(
        lambda F, c, *xs: F.argmax_crf1d(c, list(xs)),
        (floats(4, 4), floats(3, 4), floats(3, 4), floats(2, 4)),
    ),
    "tree_lstm_one": Case(named("tree_lstm"), (floats(2, 3), floats(2, 12))),
}

_number, _nothing = np.array(0.7, np.float32), np.zeros((0, 4), np.float32)

SMALL = {
    **{
        f"number_{name}": Case(named(name), (_number,))
        for name in (
            *("sigmoid", "relu", "elu", "selu", "softplus", "erf", "floor", "lgamma", "square"),
            *("sum", "mean", "max", "prod", "logsumexp", "argmax", "cumsum"),
            *("flatten", "transpose", "squeeze"),
        )
    },
    "number_arithmetic": Case(lambda F, x: (x + 2 * x) ** 3, (_number,)),
    "number_broadcast_to": Case(named("broadcast_to", (2, 3)), (_number,)),
    "number_tile": Case(named("tile", (2, 3)), (_number,)),
    "number_repeat": Case(named("repeat", 3), (_number,)),
    "number_item": Case(lambda F, x: (x[()], x[None]), (_number,)),
    **{
        f"number_{name}": Case(lambda F, x, y, n=name: getattr(F, n)((x, y)), (_number, _number))
        for name in ("stack", "hstack", "vstack", "dstack")
    },
    **{
        f"nothing_{name}{len(rest) or ''}": Case(named(name, *rest), (_nothing,))
        for name, *rest in (
            *(("relu",), ("sum",), ("sum", 0), ("softmax",), ("transpose",), ("tile", (2, 1))),
            *(("prod", 0), ("reshape", (2, 0, 2)), ("cumsum", 0), ("mean", 1), ("max", 1)),
        )
    },
    "nothing_concat": Case(lambda F, x: F.concat((x, np.ones((2, 4), "f")), 0), (_nothing,)),
    "nothing_linear": Case(named("linear"), (_nothing, floats(3, 4))),
    "nothing_matmul": Case(lambda F, x: F.matmul(x, x, transa=True), (_nothing,)),
}


def typed(dtype: str, rtol: float, atol: float) -> dict[str, Case]:
    """Functions on arrays of another dtype."""
    calls = {
        "arithmetic": (lambda F, x: (2 * x + 1) / 3 - x**2, (3, 4)),
        "sigmoid": (named("sigmoid"), (3, 4)),
        "softmax": (named("softmax"), (3, 4)),
        "mean": (named("mean", 1), (3, 4)),
        "normalize": (named("normalize"), (3, 4)),
        "get_item": (lambda F, x: x[1, ::-1], (3, 4)),
        "average_pooling_2d": (named("average_pooling_2d", 2), (1, 2, 4, 4)),
        "grid": (named("spatial_transformer_grid", (2, 3)), (1, 2, 3)),
        "matmul": (lambda F, x: F.matmul(x, x, transb=True), (3, 4)),
        "layers": (lambda F, x: F.layer_normalization(x, x[0], x[1]), (3, 4)),
    }
    return {
        f"{dtype}_{name}": Case(call, (floats(*shape).astype(dtype),), rtol, atol)
        for name, (call, shape) in calls.items()
    }


_counts = _random.randint(0, 9, (3, 4)).astype(np.int32)

DTYPES = {
    **typed("float64", 1e-5, 1e-6),
    **typed("float16", 1e-2, 5e-3),
    "int32_arithmetic": Case(lambda F, x: 2 * x + x - 3, (_counts,)),
    "int32_floor": Case(named("floor"), (_counts,)),
    "int32_cast": Case(lambda F, x: F.cast(x, "f") / 2, (_counts,)),
    "bool_cast": Case(named("cast", "bool"), (floats(3, 4),)),
}

MORE = {
    "windows": WINDOWS,
    "shapes": SHAPES,
    "products": PRODUCTS,
    "small": SMALL,
    "dtypes": DTYPES,
}
