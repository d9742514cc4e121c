"""A row of the table of small models: what it holds, and how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.frontends.oracle import keras

L = keras.layers
ACTIVATIONS = sorted(keras.src.activations.ALL_OBJECTS_DICT)


@dataclass(frozen=True)
class Case:
    """One model; `h5` is False where Keras cannot write or read its own `.h5` of it."""

    name: str
    label: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    h5: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name


def case(
    name: str,
    label: str,
    function: Callable[..., Any],
    *shapes: tuple[int | None, ...],
    dtypes: tuple[str, ...] | None = None,
    h5: bool = True,
) -> Case:
    return Case(name, label, function, shapes, dtypes or ("float32",) * len(shapes), h5)
