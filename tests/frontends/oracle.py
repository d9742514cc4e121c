"""What the tests of the Keras frontend share: random weights, the pass rule, and a comparison."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webconv.frontends.keras import load
from webconv.ir.graph import Program

os.environ["KERAS_BACKEND"] = "numpy"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras and JAX warn about themselves when imported
    import keras

Array = NDArray[Any]
ATOL, RTOL = 1e-5, 1e-4
ADAPTED = ("mean", "variance", "count")


def assert_close(got: Array, want: Array, what: str = "") -> None:
    """The pass rule of the design: equal shapes, integers exact, floats within the tolerances."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    if want.dtype.kind in "iub":
        assert (got == want).all(), f"{what}: integers differ"
        return
    assert np.array_equal(np.isnan(got), np.isnan(want)), f"{what}: NaN differs"
    with np.errstate(all="ignore"):
        far = np.abs(got - want) > ATOL + RTOL * np.abs(want)
    far &= ~(got == want)
    worst = np.abs(got - want)[far].max() if far.any() else 0
    assert not far.any(), f"{what}: {far.sum()} of {far.size} differ, by up to {worst}"


def by_position(names: Sequence[str], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays under names, of which a key may be a position."""
    found = {n: arrays[n] if n in arrays else arrays[str(k)] for k, n in enumerate(names)}
    assert len(found) == len(arrays), f"{list(arrays)} do not fit {list(names)}"
    return found


def randomise(model: Any, seed: int = 0) -> None:
    """Random weights, statistics included; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(0, 0.4, weight.shape)
        if "normalization" in weight.path and weight.path.rpartition("/")[2] in ADAPTED:
            continue
        if "variance" in weight.path:
            values = np.abs(values) + 0.5
        if str(weight.dtype).startswith("float"):
            weight.assign(values.astype("float32"))


def built(
    function: Callable[..., Any], shapes: Sequence[tuple[int | None, ...]], dtypes: Sequence[str]
) -> Any:
    """A functional model of `function` over inputs of `shapes` (without the batch)."""
    inputs = [
        keras.Input(s, dtype=d, name=f"in_{k}")
        for k, (s, d) in enumerate(zip(shapes, dtypes, strict=True))
    ]
    model = keras.Model(inputs, function(*inputs))
    randomise(model)
    return model


def sample(shape: tuple[int, ...], dtype: str, seed: int = 1) -> Array:
    """Random numbers around 0, or ids from 0 to 4."""
    rng = np.random.default_rng(seed)
    if dtype.startswith("int"):
        return rng.integers(0, 5, shape).astype(dtype)
    return rng.normal(0, 1.5, shape).astype(dtype)


def called(model: Any, arrays: Sequence[Array]) -> list[Array]:
    """The model's outputs at inference, flattened in Keras's order."""
    given = [keras.ops.convert_to_tensor(a) for a in arrays]
    outputs = model(given if len(given) > 1 else given[0], training=False)
    return [np.asarray(v) for v in keras.tree.flatten(outputs)]


def saved(model: Any, folder: Path, suffix: str) -> Path:
    """The model as a file; Keras warns that `.h5` is old."""
    path = folder / f"model{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def compare(program: Program, arrays: Sequence[Array], want: Sequence[Array], what: str) -> None:
    """The program in float64 and float32 against the oracle's outputs."""
    names = list(program.main.inputs)
    given = {names[k]: a for k, a in enumerate(arrays)}
    for precision in (np.float64, np.float32):
        got = list(program.run(given, precision=precision).values())
        assert len(got) == len(want), f"{what}: {len(got)} outputs, not {len(want)}"
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_close(g, w, f"{what}, output {k}, {precision.__name__}")


def check(model: Any, arrays: Sequence[Array], folder: Path, suffixes: Sequence[str]) -> Program:
    """The model, saved and read back in each format, computes what Keras does."""
    want = called(model, arrays)
    program = None
    for suffix in suffixes:
        program = load(saved(model, folder, suffix))
        compare(program, arrays, want, suffix)
    assert program is not None
    return program
