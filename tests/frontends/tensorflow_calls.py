"""TensorFlow functions that models of tf.keras call, with what TensorFlow makes of them.

Run where TensorFlow is, to make `tensorflow_calls.npz` again:

    pip install tensorflow-cpu tf_keras
    python -m tests.frontends.tensorflow_calls tests/frontends/tensorflow_calls.npz
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras

SAMPLES = {
    "image": ((4, 6, 4), "float32"),
    "picture": ((5, 4, 3), "float32"),
    "rows": ((5, 4), "float32"),
    "square": ((4, 4), "float32"),
    "ids": ((5,), "int32"),
    "length": ((), "int32"),
}
V1 = tf.compat.v1.image
# By the input that they are called on.
CALLS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "image": {
        "resize": lambda x: tf.image.resize(x, (8, 9)),
        "resize_smaller": lambda x: tf.image.resize(x, (3, 4)),
        "resize_nearest": lambda x: tf.image.resize(x, (7, 4), method="nearest"),
        "resize_bicubic": lambda x: tf.image.resize(x, (3, 8), method="bicubic"),
        "resize_lanczos3": lambda x: tf.image.resize(x, (6, 5), method="lanczos3"),
        "resize_antialias": lambda x: tf.image.resize(x, (2, 3), antialias=True),
        "resize_cubic_antialias": lambda x: tf.image.resize(x, (2, 3), "bicubic", antialias=True),
        "resize_as_another": lambda x: tf.image.resize(x[:, ::2, ::2], tf.shape(x)[1:3]),
        "resize_v1": lambda x: V1.resize(x, (7, 9), align_corners=True),
        "resize_v1_nearest": lambda x: V1.resize(x, (7, 9), method="nearest", align_corners=True),
        "resize_bilinear": lambda x: V1.resize_bilinear(x, (7, 9)),
        "resize_bilinear_corners": lambda x: V1.resize_bilinear(x, (1, 3), align_corners=True),
        "resize_nearest_neighbor": lambda x: V1.resize_nearest_neighbor(x, (7, 9)),
        "resize_nearest_neighbor_half": lambda x: V1.resize_nearest_neighbor(
            x, (3, 4), half_pixel_centers=True
        ),
        "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
        "space_to_depth": lambda x: tf.nn.space_to_depth(x, 2),
        "max_pool": lambda x: tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], "VALID"),
        "max_pool2d": lambda x: tf.nn.max_pool2d(x, 2, 3, "SAME", data_format="NHWC"),
        "avg_pool": lambda x: tf.nn.avg_pool(x, 2, 2, "VALID"),
        "avg_pool2d": lambda x: tf.nn.avg_pool2d(x, (2, 3), 1, "SAME"),
        "conv2d": lambda x: tf.nn.conv2d(x, KERNEL, [1, 2, 1, 1], "SAME", dilations=(1, 1)),
        "depthwise_conv2d": lambda x: tf.nn.depthwise_conv2d(x, KERNEL, [1, 1, 1, 1], "VALID"),
        "lrn": lambda x: tf.nn.lrn(x, depth_radius=1, alpha=0.3),
        "flip_left_right": tf.image.flip_left_right,
        "flip_up_down": tf.image.flip_up_down,
        "crop_to_bounding_box": lambda x: tf.image.crop_to_bounding_box(x, 1, 2, 3, 2),
        "pad_to_bounding_box": lambda x: tf.image.pad_to_bounding_box(x, 1, 0, 6, 9),
        "central_crop": lambda x: tf.image.central_crop(x, 0.6),
        "per_image_standardization": tf.image.per_image_standardization,
        "adjust_brightness": lambda x: tf.image.adjust_brightness(x, 0.2),
    },
    "picture": {"rgb_to_grayscale": tf.image.rgb_to_grayscale},
    "rows": {
        "max_pool1d": lambda x: tf.nn.max_pool1d(x, 2, 2, "SAME"),
        "avg_pool1d": lambda x: tf.nn.avg_pool1d(x, 2, 2, "VALID"),
        "strided_slice": lambda x: tf.strided_slice(x, [0, 1, 0], [2, 4, 3], [1, 2, 1]),
        "strided_slice_masks": lambda x: tf.strided_slice(
            x, [0, 1, 3], [0, 0, 0], begin_mask=1, end_mask=3, shrink_axis_mask=4
        ),
        "strided_slice_new": lambda x: tf.strided_slice(
            x, [0, 0, 1], [0, 0, 3], ellipsis_mask=1, new_axis_mask=2
        ),
        "gather_batches": lambda x: tf.gather(x, tf.argmax(x, 1), axis=1, batch_dims=1),
        "gather_of_each": lambda x: tf.gather(x, tf.argmax(x, 2), batch_dims=2),
        "cumsum": lambda x: tf.cumsum(x, 1, exclusive=True, reverse=True),
        "cumprod": lambda x: tf.math.cumprod(x, 1, exclusive=True),
        "cumprod_reverse": lambda x: tf.math.cumprod(x, -1, reverse=True),
        "clip_by_norm": lambda x: tf.clip_by_norm(x, 1.5, axes=[-1]),
        "clip_by_norm_of_all": lambda x: tf.clip_by_norm(x, 3.0, axes=[1, 2]),
        "crelu": tf.nn.crelu,
        "diag": tf.linalg.diag,
        "argsort": lambda x: tf.argsort(x, axis=1),
        "argsort_down": lambda x: tf.argsort(tf.round(x), direction="DESCENDING"),
        "sort_down": lambda x: tf.sort(x, axis=1, direction="DESCENDING"),
        "ones": lambda x: tf.concat([x, tf.ones((tf.shape(x)[0], 5, 1))], -1),
        "zeros": lambda x: tf.concat([x, tf.zeros((tf.shape(x)[0], 5, 1))], -1),
        "fill": lambda x: x + tf.fill((tf.shape(x)[1], 1), 3.0),
        "ensure_shape": lambda x: tf.ensure_shape(x, (None, 5, 4)),
        "dropout": lambda x: tf.nn.dropout(x, 0.0),
        "reduce_euclidean_norm": lambda x: tf.math.reduce_euclidean_norm(x, axis=1),
        "count_nonzero": lambda x: tf.math.count_nonzero(x > 0, axis=1),
        "atan2": lambda x: tf.atan2(x, x - 1.0),
        "is_nan": lambda x: tf.math.is_nan(tf.sqrt(x)),
        "is_finite": lambda x: tf.math.is_finite(1.0 / tf.nn.relu(x)),
        "log_sigmoid": tf.math.log_sigmoid,
        "erfc": tf.math.erfc,
        "expm1": tf.math.expm1,
        "tan": tf.tan,
        "asin": lambda x: tf.asin(tf.tanh(x)),
        "acos": lambda x: tf.acos(tf.tanh(x)),
        "atan": tf.atan,
        "sinh": tf.sinh,
        "cosh": tf.cosh,
        "asinh": tf.asinh,
        "acosh": lambda x: tf.acosh(tf.abs(x) + 1.0),
        "atanh": lambda x: tf.atanh(tf.tanh(x)),
        "logical_xor": lambda x: tf.math.logical_xor(x > 0, x < 1),
    },
    "square": {"diag_part": tf.linalg.diag_part, "trace": tf.linalg.trace},
    "ids": {
        "one_hot": lambda x: tf.one_hot(x, 6, on_value=2.0, off_value=-1.0),
        "one_hot_first": lambda x: tf.one_hot(x, 4, axis=1, dtype="int32"),
        "embedding_lookup": lambda x: tf.nn.embedding_lookup(
            tf.reshape(tf.range(20.0), (10, 2)), x
        ),
    },
    "length": {
        "sequence_mask": lambda x: tf.sequence_mask(x, 7),
        "sequence_mask_f32": lambda x: tf.sequence_mask(x, 3, dtype=tf.float32),
    },
}
RANDOM = np.random.RandomState(0)
KERNEL = tf.constant(RANDOM.randn(2, 3, 4, 2).round(2), tf.float32)


def main(out: str) -> None:
    """Write config, input and output of each call."""
    found: dict[str, Any] = {}
    for kind, calls in CALLS.items():
        shape, dtype = SAMPLES[kind]
        drawn = RANDOM.randn(2, *shape) if dtype == "float32" else RANDOM.randint(0, 5, (2, *shape))
        found[f"{kind}/x"] = x = drawn.astype(dtype)
        for name, call in calls.items():
            tf_keras.backend.clear_session()
            given = tf_keras.Input(shape, dtype=dtype, name="x")
            model = tf_keras.Model(given, call(given))
            found[f"{kind}/{name}/config"] = np.array(model.to_json())
            found[f"{kind}/{name}/y"] = np.asarray(model(x))
    np.savez_compressed(out, **found)


if __name__ == "__main__":
    main(sys.argv[1])
