"""Operations of Keras (`keras.ops`), each in small models against Keras itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontends.layer_case import Case
from tests.frontends.operation_cases import operations
from tests.frontends.oracle import built, called, compare, keras, sample, saved
from webconv.frontends.keras import load
from webconv.ir.errors import UnsupportedError

CASES = operations()
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras, JAX and NumPy warn about each other

# What Keras 3.15 builds and saves but fails to call, since it mixes up padding and output_padding:
# here the function is called with arrays.
EAGER = {"ConvTranspose"}

O = keras.ops  # noqa: E741
REFUSED = {
    "method 'nearest' is not supported; use one of linear": lambda x: O.percentile(
        x, 30, method="nearest"
    ),
    "q must be a number or a list, known when converting": lambda x: O.quantile(x, x[0, 0, 0]),
    "quantiles need a size known when converting": lambda x: O.quantile(x, 0.5),
    "dtype int32 is not supported; use a floating": lambda x: O.linspace(x, x, dtype="int32"),
    "closeness of i32 is not supported": lambda x: O.isclose(O.cast(x, "int32"), 3),
    "a shape must be known when converting": lambda x: O.slice(x, O.argmax(x[0], 0), (1, 1, 1)),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operation(case: Case, tmp_path: Path) -> None:
    model = built(case.function, case.shapes, case.dtypes)
    assert case.name in {type(op).__name__ for op in model.operations}
    arrays = [
        sample((2, *s), d, k + 1)
        for k, (s, d) in enumerate(zip(case.shapes, case.dtypes, strict=True))
    ]
    if case.name in EAGER:
        want = [np.asarray(v) for v in keras.tree.flatten(case.function(*arrays))]
    else:
        want = called(model, arrays)
    for suffix in (".keras", ".h5") if case.h5 else (".keras",):
        program = load(saved(model, tmp_path, suffix))
        compare(program, arrays, want, suffix)
        got = [v.type.dtype.numpy for v in program.main.outputs.values()]
        assert got == [v.dtype for v in want]


def test_heads_of_keys_serve_several_of_queries(tmp_path: Path) -> None:
    """Grouped queries, which Keras runs on JAX alone: as if each key and value stood twice."""
    attend = keras.ops.dot_product_attention
    shapes = [(4, 4, 3), (5, 2, 3), (5, 2, 3)]
    model = built(lambda q, k, v: attend(q, k, v), shapes, ["float32"] * 3)
    q, k, v = (sample((2, *s), "float32", n) for n, s in enumerate(shapes))
    want = attend(q, np.repeat(k, 2, 2), np.repeat(v, 2, 2))
    compare(load(saved(model, tmp_path, ".keras")), [q, k, v], [want], "grouped")


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message: str, tmp_path: Path) -> None:
    path = saved(built(REFUSED[message], [(4, 3)], ["float32"]), tmp_path, ".keras")
    with pytest.raises(UnsupportedError, match=message):
        load(path)
