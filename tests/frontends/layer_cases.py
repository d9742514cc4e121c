"""A table of small models, by the Keras layer that they exercise."""

from __future__ import annotations

from tests.frontends.layer_case import Case, L
from tests.frontends.plain_cases import activations, core, normalization, reshaping
from tests.frontends.sequence_cases import attention, merging, recurrent
from tests.frontends.spatial_cases import convolution, pooling, preprocessing

__all__ = ["Case", "L", "cases"]


def cases() -> list[Case]:
    """The whole table."""
    return [
        *core(),
        *activations(),
        *convolution(),
        *pooling(),
        *reshaping(),
        *normalization(),
        *merging(),
        *attention(),
        *recurrent(),
        *preprocessing(),
    ]
