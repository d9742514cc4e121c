"""The inputs of a program: their names, dtypes and shapes, with symbols for what is unknown.

The batch is `batch`. The first unknown axis of a sequence is `time`, those of an image `height` and
`width`. Unknown axes of several inputs are sizes of their own (`time`, `time_2`, ...) unless the
model needs them to be equal, say because it adds the inputs: then they share the first's symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.operations.elementwise import dtype_named
from webconv.frontends.keras.tree import Layer, Model, flatten
from webconv.ir import dims, dtypes, graph
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Guard, TensorType

LARGEST_SIZE = 1 << 31


@dataclass(frozen=True)
class InputSpec:
    """One input as the file has it; a size of None is unknown, a shape of None is not there."""

    name: str
    dtype: DType
    shape: tuple[int | None, ...] | None


def input_specs(model: Model) -> list[InputSpec]:
    """The inputs of a model in its order; raises UnsupportedError for sparse and ragged ones."""
    specs = []
    for ref in flatten(model.inputs):
        layer = model.layers.get(ref.layer)
        if not isinstance(layer, Layer) or layer.class_name != "InputLayer":
            raise ModelFormatError(f"{model.label}: input {shown(ref.layer)} is not an InputLayer")
        specs.append(_spec(layer, ref.layer))
    names = [s.name for s in specs]
    if len(set(names)) < len(names) or not names:
        raise ModelFormatError(f"{model.label}: inputs must be distinct, but they are {names}")
    return specs


def _spec(layer: Layer, name: str) -> InputSpec:
    raw = layer.raw
    for kind in ("sparse", "ragged"):
        if raw.get(kind):
            raise UnsupportedError(f"{layer.label}: {kind} inputs are not supported")
    dtype = raw.get("dtype", raw.get("input_dtype"))
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else None
    if isinstance(dtype, str) and dtype.startswith("mixed_"):
        dtype = "float32"
    try:
        known = dtypes.f32 if dtype is None else dtype_named(dtype)
    except UnsupportedError as e:
        raise UnsupportedError(f"{layer.label}: {e}") from None
    shape = raw.get("batch_shape", raw.get("batch_input_shape"))
    if shape is None:
        return InputSpec(name, known, None)
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        rule = "the input shape must be a list of sizes and nulls"
        raise ModelFormatError(f"{layer.label}: {rule}, but it is {shown(shape)}")
    return InputSpec(name, known, tuple(shape))


def _is_size(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and 0 <= value < LARGEST_SIZE)


def roles(shape: tuple[int | None, ...]) -> dict[int, str]:
    """What the unknown axes after the batch are called."""
    unknown = [a for a, d in enumerate(shape) if d is None and a > 0]
    rank = len(shape)
    names: dict[int, str] = {}
    if rank >= 4:
        image = [a for a in unknown if a + 1 in unknown or a - 1 in unknown]
        image = image[1:3] if rank > 4 and len(image) > 2 else image[:2]
        names |= dict(zip(image, ("height", "width"), strict=False))
    sequence = [a for a in unknown if a not in names]
    if sequence and sequence[0] == 1:
        names[1] = "time"
    for a in unknown:
        if a not in names:
            names[a] = "features" if a == rank - 1 and rank == 3 else f"size_{a}"
    if rank == 4 and unknown == [2]:
        names[2] = "width"
    return names


def make_inputs(
    specs: Iterable[InputSpec],
    given: Mapping[str, tuple[Dim, ...]],
    merged: Mapping[str, str],
) -> dict[str, Value]:
    """Graph inputs by name; `given` replaces shapes, `merged` maps symbols to those they equal."""
    specs = list(specs)
    unknown = [n for n in given if n not in {s.name for s in specs}]
    if unknown:
        names = ", ".join(shown(s.name) for s in specs)
        raise ShapeError(f"there is no input {shown(unknown[0])}; the inputs are {names}")
    taken = {s for shape in given.values() for s in dims.symbols(*shape)}
    values = {}
    for spec in specs:
        shape = given.get(spec.name)
        shape = _checked(spec, shape) if shape is not None else _named(spec, taken, merged)
        values[spec.name] = graph.input(spec.name, TensorType(spec.dtype, shape))
    return values


def _checked(spec: InputSpec, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    written = ", ".join(map(str, shape))
    if spec.shape is not None and len(shape) != len(spec.shape):
        rule = f"a shape of {len(spec.shape)} sizes is needed, but {written} has {len(shape)}"
        raise ShapeError(f"input {shown(spec.name)}: {rule}")
    if any(isinstance(d, int) and not 0 < d < LARGEST_SIZE for d in shape):
        raise ShapeError(
            f"input {shown(spec.name)}: sizes must be positive, but they are {written}"
        )
    return tuple(shape)


def _named(spec: InputSpec, taken: set[str], merged: Mapping[str, str]) -> tuple[Dim, ...]:
    if spec.shape is None:
        rule = "the file does not say its shape; give one with --input-shape"
        raise ShapeError(f"input {shown(spec.name)}: {rule} {spec.name}=batch,...")
    names = roles(spec.shape)
    out: list[Dim] = []
    for axis, size in enumerate(spec.shape):
        if size is not None:
            out.append(size)
            continue
        base = name = names.get(axis, "batch")
        count = 1
        while axis and name in taken:
            count += 1
            name = f"{base}_{count}"
        taken |= {name} if axis else set()
        out.append(dims.symbol(merged.get(name, name)))
    return tuple(out)


def equal_symbols(guards: Iterable[Guard], known: Sequence[str]) -> dict[str, str]:
    """Symbols of inputs that guards demand to equal another, each with the first of its kind."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while name in root:
            name = root[name]
        return name

    for guard in guards:
        pair = [dims.bare_atom(d) for d in guard]
        names = [a.name for a in pair if isinstance(a, dims.Symbol) and a.name in known]
        if len(names) == 2:
            first, second = sorted(map(find, names), key=known.index)
            if first != second:
                root[second] = first
    return {name: find(name) for name in root}
