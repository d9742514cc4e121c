"""`keras.ops.image` and blocks of pixels, called in functional models, beside Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.oracle import check, keras, sample

OPS, FIRST = keras.ops, "channels_first"
CALLS: dict[str, tuple[tuple[int | None, ...], Callable[[Any], Any]]] = {
    "resize": ((5, 6, 3), lambda x: OPS.image.resize(x, (8, 4))),
    "resize_first": (
        (3, 5, 6),
        lambda x: OPS.image.resize(x, (4, 9), "nearest", data_format=FIRST),
    ),
    "resize_cropped": ((5, 8, 3), lambda x: OPS.image.resize(x, (4, 4), crop_to_aspect_ratio=True)),
    "resize_padded": (
        (5, 8, 3),
        lambda x: OPS.image.resize(x, (6, 6), pad_to_aspect_ratio=True, fill_value=0.5),
    ),
    "resize_antialias": (
        (8, 6, 3),
        lambda x: OPS.image.resize(x, (3, 4), "bicubic", antialias=True),
    ),
    "resize_whole": (
        (5, 6, 3),
        lambda x: OPS.cast(OPS.image.resize(3 * OPS.cast(x > 0, "int32"), (7, 6)), "float32"),
    ),
    "resize_beyond": (
        (5, 6, 3),
        lambda x: OPS.cast(
            OPS.image.resize(255 * OPS.cast(x > 0, "uint8"), (7, 6), "bicubic"), "float32"
        ),
    ),
    "saturated": ((5,), lambda x: OPS.cast(OPS.saturate_cast(x * 300.0, "uint8"), "float32")),
    "saturated_i16": ((5,), lambda x: OPS.cast(OPS.saturate_cast(x * 1e5, "int16"), "float32")),
    "saturated_i8": (
        (5,),
        lambda x: OPS.cast(OPS.saturate_cast(OPS.cast(x * 300.0, "int32"), "int8"), "float32"),
    ),
    "pad": ((4, 5, 2), lambda x: OPS.image.pad_images(x, 1, 2, 3, 0)),
    "pad_to": (
        (4, 5, 2),
        lambda x: OPS.image.pad_images(
            x, top_padding=1, right_padding=2, target_height=9, target_width=8
        ),
    ),
    "pad_first": ((2, 4, 5), lambda x: OPS.image.pad_images(x, 1, 0, 0, 2, data_format=FIRST)),
    "crop": ((6, 7, 2), lambda x: OPS.image.crop_images(x, 1, 2, 3, 0)),
    "crop_to": (
        (6, 7, 2),
        lambda x: OPS.image.crop_images(
            x, bottom_cropping=1, left_cropping=2, target_height=3, target_width=4
        ),
    ),
    "gray": ((4, 5, 3), OPS.image.rgb_to_grayscale),
    "gray_already": ((4, 5, 1), OPS.image.rgb_to_grayscale),
    "gray_first": ((3, 4, 5), lambda x: OPS.image.rgb_to_grayscale(x, data_format=FIRST)),
    "pixels": ((3, 4, 8), lambda x: OPS.depth_to_space(x, 2)),
    "pixels_first": ((8, 3, 4), lambda x: OPS.depth_to_space(x, 2, data_format=FIRST)),
    "channels": ((4, 6, 3), lambda x: OPS.space_to_depth(x, 2)),
    "channels_first": ((3, 4, 6), lambda x: OPS.space_to_depth(x, 2, data_format=FIRST)),
}


@pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other
@pytest.mark.parametrize("call", CALLS)
def test_call(call: str, tmp_path: Path) -> None:
    shape, function = CALLS[call]
    x = keras.Input(shape)
    check(keras.Model(x, function(x)), [sample((2, *shape), "float32")], tmp_path, [".keras"])


def test_blocks_of_images_of_any_size(tmp_path: Path) -> None:
    x = keras.Input((None, None, 8))
    model = keras.Model(x, OPS.space_to_depth(OPS.depth_to_space(x, 2) * 2.0, 4))
    for size in ((2, 4, 6, 8), (1, 2, 2, 8)):
        check(model, [sample(size, "float32")], tmp_path, [".keras"])
