"""The layers and models that a configuration describes, before any weight or tensor.

A `Layer` has a rule (how it becomes IR) and perhaps children (a wrapper's layer, a cell). A `Model`
has layers and the calls that connect them; a Sequential is a Model whose calls form a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from webconv.frontends.keras.errors import label, shown
from webconv.frontends.keras.reader import Dialect
from webconv.ir import dtypes, graph
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Value
from webconv.ir.op import Array

# The `weights` of a plugin's function that names none: it gets all arrays there are.
ALL_WEIGHTS = "*"


@dataclass(frozen=True)
class Rule:
    """How a layer class becomes IR.

    `function(layer, *tensors, **config)` gives the outputs; its keyword-only parameters are the
    config's arguments with Keras's defaults. `weights` names the layer's arrays in Keras's order of
    creation: `name?argument` exists only if that argument is true, `~name` is not trainable, and
    `=name` is a child's weight that the new layout of files repeats.
    `ignores` names arguments without a meaning at inference. With `keeps_mask` the outputs have the
    first input's mask. `children` gives the configs of layers inside of the layer, by attribute.
    `repack` turns arrays of an older layout into those that the function asks for.
    """

    function: Callable[..., Any]
    weights: str | Callable[[Mapping[str, Any]], str] = ""
    ignores: str = ""
    keeps_mask: bool = False
    children: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    repack: Callable[[Layer], None] | None = None


class Tensor(NamedTuple):
    """What travels between layers: a value, and the mask that Keras carries along with it."""

    value: Value
    mask: Value | None = None


class Ref(NamedTuple):
    """Output `output` of call `call` of a layer; all outputs if that is None."""

    layer: str
    call: int
    output: int | None


@dataclass(eq=False)
class Layer:
    """One layer: what a rule's function gets as its first argument."""

    name: str
    class_name: str
    config: dict[str, Any]
    rule: Rule
    dialect: Dialect
    dtype: DType = dtypes.f32
    trainable: bool = True
    is_operation: bool = False
    children: dict[str, Layer] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    constants: dict[str, Value] = field(default_factory=dict)
    plugins: Mapping[str, Rule] = field(default_factory=dict)
    tracer: Any = None
    outer_class: str = ""

    @property
    def label(self) -> str:
        """What errors call it; a cell that its layer brought along is called as the layer."""
        return label(self.outer_class or self.class_name, self.name)

    def stored(self, name: str) -> Array:
        """The weight `name` as the file has it."""
        if name not in self.arrays:
            raise ModelFormatError(f"{self.label}: weight {name} is missing")
        return self.arrays[name]

    def array(self, name: str, *shape: int | None) -> Array:
        """The weight `name` in the layer's compute dtype; None in `shape` stands for any size."""
        array = self.stored(name)
        fits = len(shape) == array.ndim and all(
            n is None or n == size for n, size in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise self.wrong_shape(name, f"shape [{wanted}]", str(list(array.shape)))
        return self.cast(array)

    def wrong_shape(self, name: str, wanted: str, found: str) -> ShapeError:
        """The error for a weight whose shape contradicts the config."""
        return ShapeError(f"{self.label}: weight {name} must have {wanted}, but it has {found}")

    def plugin_function(self, name: str) -> Callable[..., Any] | None:
        """What a plugin has for `name`, if anything."""
        found = self.plugins.get(name) or self.plugins.get(name.rpartition(">")[2])
        return found.function if found else None

    @property
    def weights(self) -> list[Array]:
        """All arrays, in the file's order."""
        return list(self.arrays.values())

    def cast(self, array: Array) -> Array:
        """`array` in the layer's compute dtype if it is of floats."""
        return array.astype(self.dtype.numpy, copy=False) if array.dtype.kind == "f" else array

    def weight(self, name: str, *shape: int | None) -> Value:
        """The weight `name` as a constant; the same one at every call."""
        return self.constant(name, lambda: self.array(name, *shape))

    def constant(self, name: str, make: Callable[[], Array]) -> Value:
        """A constant made once however often the layer is called, named `<layer>/<name>`."""
        if name not in self.constants:
            self.constants[name] = graph.constant(make(), f"{self.name}/{name}")
        return self.constants[name]

    def scalar(self, value: float) -> Value:
        """A constant of the layer's compute dtype."""
        return graph.constant(np.asarray(value, self.dtype.numpy))


@dataclass(eq=False)
class Call:
    """One call of a layer: arguments are Refs, constants, and lists and dicts of them."""

    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(eq=False)
class Model:
    """Layers and how they are connected; `inputs` and `outputs` are structures of Refs."""

    name: str
    layers: dict[str, Layer | Model]
    calls: dict[str, list[Call]]
    inputs: Any
    outputs: Any
    is_sequential: bool = False
    has_input_layer: bool = True
    class_name: str = "Functional"
    trainable: bool = True
    branches: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """What errors call it."""
        return label(self.class_name, self.name)

    def call(self, ref: Ref) -> Call:
        """The call that `ref` means; raises ModelFormatError if there is none."""
        calls = self.calls.get(ref.layer)
        if calls is None:
            raise ModelFormatError(f"{self.label}: there is no layer {shown(ref.layer)}")
        if not 0 <= ref.call < len(calls):
            rule = f"layer {shown(ref.layer)} has {len(calls)} calls"
            raise ModelFormatError(f"{self.label}: {rule}, so there is no call {ref.call}")
        return calls[ref.call]


def flatten(structure: Any) -> list[Any]:
    """The leaves of lists, tuples and dicts (in the order of sorted keys, as Keras does)."""
    if isinstance(structure, dict):
        return [leaf for k in sorted(structure) for leaf in flatten(structure[k])]
    if isinstance(structure, list | tuple) and not hasattr(structure, "_fields"):
        return [leaf for v in structure for leaf in flatten(v)]
    return [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with every leaf replaced."""
    if isinstance(structure, dict):
        return {k: map_leaves(function, v) for k, v in structure.items()}
    if isinstance(structure, list | tuple) and not hasattr(structure, "_fields"):
        return [map_leaves(function, v) for v in structure]
    return function(structure)


def refs(structure: Any) -> Iterator[Ref]:
    """The Refs in a structure."""
    return (leaf for leaf in flatten(structure) if isinstance(leaf, Ref))
