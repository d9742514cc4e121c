"""How every Keras layer becomes IR: one function per layer, one table of rules.

A layer function takes the layer, its input tensors and its config as keyword arguments with Keras's
defaults; its annotations are checked against the file. Absent from the table means unsupported.
"""

from __future__ import annotations

from collections.abc import Mapping

from webconv.frontends.keras.layers import (
    activations,
    attention,
    audio,
    bidirectional,
    cells,
    conv_lstm,
    convolution,
    core,
    images,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    reshaping,
    wrappers,
)
from webconv.frontends.keras.tree import Rule

FAMILIES = (
    *(
        activations,
        attention,
        audio,
        bidirectional,
        cells,
        conv_lstm,
        convolution,
        core,
        images,
        merging,
    ),
    *(normalization, pooling, preprocessing, recurrent, reshaping, wrappers),
)
RULES: Mapping[str, Rule] = {k: v for family in FAMILIES for k, v in family.RULES.items()}
