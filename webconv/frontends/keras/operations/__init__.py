"""Operations that a functional model of Keras 3 calls (`keras.ops`), and TensorFlow's in Keras 2.

They stand in the graph beside layers. A rule's key is `op:` and the class that Keras writes.
"""

from __future__ import annotations

from collections.abc import Mapping

from webconv.frontends.keras.operations import (
    attention,
    elementwise,
    images,
    matrices,
    nans,
    neural,
    pieces,
    reductions,
    shapes,
    tensorflow,
)
from webconv.frontends.keras.tree import Rule

FAMILIES = (elementwise, reductions, shapes, neural, attention, images, nans, matrices, pieces)
RULES: Mapping[str, Rule] = {
    **{f"op:{k}": v for family in FAMILIES for k, v in family.RULES.items()},
    **tensorflow.RULES,
}
