"""Rows for convolution, pooling and preprocessing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.frontends.layer_case import Case, L, case
from tests.frontends.oracle import keras, sample


def convolution() -> Iterator[Case]:
    sizes = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
    for rank, spatial in sizes.items():
        conv, back = getattr(L, f"Conv{rank}D"), getattr(L, f"Conv{rank}DTranspose")
        name, shape = f"Conv{rank}D", (*spatial, 2)
        yield case(name, "valid", lambda x, c=conv: c(4, 2)(x), shape)
        yield case(
            name, "same stride", lambda x, c=conv: c(4, 3, 2, "same", activation="relu")(x), shape
        )
        yield case(
            name, "same even", lambda x, c=conv: c(4, 2, 3, "same", use_bias=False)(x), shape
        )
        yield case(
            name, "dilated", lambda x, c=conv: c(4, 2, padding="same", dilation_rate=2)(x), shape
        )
        yield case(name, "groups", lambda x, c=conv: c(4, 2, groups=2)(x), shape)
        first = (2, *spatial)
        yield case(
            name,
            "first",
            lambda x, c=conv: c(
                4, 2, padding="same", data_format="channels_first", activation="softmax"
            )(x),
            first,
        )
        yield case(back.__name__, "valid", lambda x, c=back: c(3, 2, 2)(x), shape)
        yield case(back.__name__, "same", lambda x, c=back: c(3, 3, 2, "same")(x), shape)
        yield case(
            back.__name__,
            "small",
            lambda x, c=back: c(3, 1, 2, "same", activation="tanh")(x),
            shape,
        )
        yield case(back.__name__, "small valid", lambda x, c=back: c(3, 2, 3)(x), shape)
        yield case(
            back.__name__, "extra", lambda x, c=back: c(3, 3, 2, "same", output_padding=1)(x), shape
        )
        yield case(
            back.__name__,
            "dilated",
            lambda x, c=back: c(3, 2, 1, "same", dilation_rate=2)(x),
            shape,
        )
    yield case(
        "Conv1D", "causal", lambda x: L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x), (9, 2)
    )
    yield case("Conv2D", "sizes", lambda x: L.Conv2D(4, (3, 2), (1, 2))(x), (7, 6, 2))
    for rank in (1, 2):
        shape = (*sizes[rank], 3)
        deep, apart = getattr(L, f"DepthwiseConv{rank}D"), getattr(L, f"SeparableConv{rank}D")
        yield case(deep.__name__, "", lambda x, c=deep: c(3, depth_multiplier=2)(x), shape)
        yield case(
            deep.__name__, "same", lambda x, c=deep: c(3, 2, "same", use_bias=False)(x), shape
        )
        yield case(apart.__name__, "", lambda x, c=apart: c(4, 3, depth_multiplier=2)(x), shape)
        yield case(
            apart.__name__,
            "same",
            lambda x, c=apart: c(4, 3, 2, "same", activation="relu")(x),
            shape,
        )


def pooling() -> Iterator[Case]:
    sizes = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
    for rank, spatial in sizes.items():
        shape, first = (*spatial, 2), (2, *spatial)
        for kind in ("Max", "Average"):
            pool = getattr(L, f"{kind}Pooling{rank}D")
            whole = getattr(L, f"Global{kind}Pooling{rank}D")
            fit = getattr(L, f"Adaptive{kind}Pooling{rank}D")
            yield case(pool.__name__, "", lambda x, c=pool: c(2)(x), shape)
            yield case(pool.__name__, "same", lambda x, c=pool: c(3, 2, "same")(x), shape)
            yield case(pool.__name__, "overlap", lambda x, c=pool: c(3, 1)(x), shape)
            yield case(
                pool.__name__,
                "first",
                lambda x, c=pool: c(2, padding="same", data_format="channels_first")(x),
                first,
            )
            yield case(whole.__name__, "", lambda x, c=whole: c()(x), shape)
            yield case(
                whole.__name__,
                "keep",
                lambda x, c=whole: c("channels_first", keepdims=True)(x),
                first,
            )
            yield case(
                fit.__name__, "", lambda x, c=fit, n=rank: c((3,) * n if n > 1 else 3)(x), shape
            )
            yield case(
                fit.__name__,
                "exact",
                lambda x, c=fit, n=rank: c((2,) * n if n > 1 else 2)(x),
                shape,
            )
    yield case(
        "GlobalAveragePooling1D",
        "mask",
        lambda x: L.GlobalAveragePooling1D()(L.Masking()(keras.ops.relu(x))),
        (9, 1),
    )


def _adapted(x: Any) -> Any:
    layer = L.Normalization(axis=-1)
    layer.adapt(sample((20, 3, 2), "float32"))
    return layer(x)


def preprocessing() -> Iterator[Case]:
    yield case("Rescaling", "", lambda x: L.Rescaling(0.5, 1.0)(x), (4,))
    yield case("Rescaling", "ints", lambda x: L.Rescaling(1 / 255)(x), (4,), dtypes=("int32",))
    yield case("Rescaling", "vectors", lambda x: L.Rescaling([1.0, 2.0], [0.0, 1.0])(x), (3, 2))
    yield case("Normalization", "", lambda x: L.Normalization(mean=1.0, variance=2.0)(x), (4,))
    yield case(
        "Normalization",
        "invert",
        lambda x: L.Normalization(mean=[1.0, 2.0], variance=[2.0, 3.0], invert=True)(x),
        (3, 2),
    )
    yield case("Normalization", "adapted", _adapted, (3, 2))
    yield case("Discretization", "", lambda x: L.Discretization([-1.0, 0.0, 0.5])(x), (4,))
    for mode in ("one_hot", "multi_hot", "count"):
        yield case(
            "Discretization",
            mode,
            lambda x, m=mode: L.Discretization([-1.0, 0.0, 0.5], output_mode=m)(x),
            (4,),
        )
        shape = (1,) if mode == "one_hot" else (4,)
        yield case(
            "CategoryEncoding",
            mode,
            lambda x, m=mode: L.CategoryEncoding(5, output_mode=m)(x),
            shape,
            dtypes=("int32",),
        )
    for mode in ("nearest", "bilinear", "bicubic", "lanczos3"):
        yield case("Resizing", mode, lambda x, m=mode: L.Resizing(5, 9, m)(x), (7, 6, 2))
    yield case(
        "Resizing", "crop", lambda x: L.Resizing(4, 4, crop_to_aspect_ratio=True)(x), (7, 6, 2)
    )
    yield case(
        "Resizing",
        "pad",
        lambda x: L.Resizing(4, 8, pad_to_aspect_ratio=True, fill_value=0.5)(x),
        (7, 6, 2),
    )
    yield case("Resizing", "antialias", lambda x: L.Resizing(3, 4, antialias=True)(x), (9, 10, 2))
    yield case(
        "Resizing", "first", lambda x: L.Resizing(3, 4, data_format="channels_first")(x), (2, 6, 5)
    )
    yield case("CenterCrop", "", lambda x: L.CenterCrop(3, 4)(x), (6, 7, 2))
    yield case("CenterCrop", "small", lambda x: L.CenterCrop(8, 4)(x), (6, 7, 2))
    yield case(
        "Pipeline", "", lambda x: L.Pipeline([L.Rescaling(0.5), L.RandomFlip()])(x), (4, 4, 3)
    )
    yield case("AutoContrast", "", lambda x: L.AutoContrast((-4, 4))(x), (5, 5, 3))
    yield case("RandomCrop", "", lambda x: L.RandomCrop(6, 7)(x), (6, 7, 3))
    arguments = {
        "RandomBrightness": (0.2,),
        "RandomContrast": (0.2,),
        "RandomRotation": (0.2,),
        "RandomTranslation": (0.2, 0.2),
        "RandomZoom": (0.2,),
        "RandomHue": (0.2,),
        "RandomSaturation": (0.2,),
        "RandomSharpness": (0.2,),
        "RandomPosterization": (4,),
        "RandomColorDegeneration": (0.2,),
        "RandomShear": (0.2, 0.2),
    }
    for name in (
        "AugMix",
        "CutMix",
        "MixUp",
        "RandAugment",
        "RandomColorJitter",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomInvert",
        "RandomPerspective",
        "Solarization",
        *arguments,
    ):
        given = arguments.get(name, ())
        yield case(name, "", lambda x, n=name, a=given: getattr(L, n)(*a)(x), (6, 6, 3), h5=False)
    for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
        yield case(
            "STFTSpectrogram",
            mode,
            lambda x, m=mode: L.STFTSpectrogram(m, 16, 8, padding="same", expand_dims=m == "log")(
                x
            ),
            (64, 2),
        )
    yield case(
        "MelSpectrogram",
        "",
        lambda x: L.MelSpectrogram(64, 16, sampling_rate=800, num_mel_bins=8)(x),
        (256,),
    )
    yield case(
        "MelSpectrogram",
        "power",
        lambda x: L.MelSpectrogram(
            64, 16, 32, sampling_rate=800, num_mel_bins=8, power_to_db=False, mag_exp=1.5
        )(x),
        (256,),
    )
