"""The networks of the zoo by name: what `zoo_<family>` makes where Chainer is."""

from __future__ import annotations

ZOO = {
    "images": (
        *("MLP", "VGG", "AlexNet", "GoogLeNet", "GoogLeNetBN", "ResNet", "ResNeXt", "NIN"),
        *("MobileNet", "ShuffleNet", "DenseNet", "SqueezeExcite", "Capsules", "Straightened"),
        *("Siamese", "Pyramid"),
    ),
    "pictures": (
        *("Generator", "Discriminator", "UNet", "CroppedUNet", "VAE", "Distributions", "Style"),
        *(
            "CycleGAN",
            "SegNet",
            "Segmentation",
            "SuperResolution",
            "Boxes",
            "Yolo",
            "Masked",
            "Tied",
        ),
    ),
    "gans": ("Growing", "Spectral", "OpenUNet", "InstanceOwn"),
    "text": (
        *("RNNForLM", "ContinuousBoW", "SkipGram", "RNNEncoder", "CNNEncoder", "BOWMLPEncoder"),
        *("Seq2seq", "Stacks", "Memory", "CRFTagger", "Attention", "WaveNet", "QRNN"),
    ),
    "sequences": (
        *("LanguageModel", "Slices", "Luong", "Hierarchical", "Decomposable", "Conditioned"),
        *("Padded", "MaskedLoop", "Attended"),
    ),
    "attention": ("Transformer", "TransformerOpen", "GPT", "GPTOpen", "GGNN", "PointNet"),
    "loops": ("Tagger", "Weighed", "Pairs", "Translator"),
    "links": (
        *("Dueling", "Categorical", "A3C", "Actor", "Mixture", "Sequential", "Copies"),
        *("Perceptrons", "Sundry", "Branching", "Predictor"),
        *("Outputs", "Multivariate"),
    ),
    "sizes": (
        *("resize", "resize_edges", "resize_nearest", "outsize", "unpooling", "upsampling"),
        *("pyramid", "whole", "mirrored", "extremes", "corners", "scattered", "strides"),
        *("linspace", "grid", "cells"),
        *("places", "places_back", "places_doubled", "places_wide", "places_embedded", "waves"),
        *("running_sum", "later", "self_loops", "causal", "table", "table_wide", "table_end"),
        *("table_column", "count", "number", "start", "loop", "table_of_six"),
    ),
}

NAMES = [f"{family}/{name}" for family, names in ZOO.items() for name in names]
