"""Keras's own list of layers, each in small models against Keras itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.frontends.layer_cases import Case, L, cases
from tests.frontends.oracle import built, check, sample
from webconv.frontends.keras.convert import RULES

CASES = cases()
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras, JAX and NumPy warn about each other

# Public classes of keras.layers that are no row of the table, and why.
EXCEPTIONS = {
    "Layer": "the base class",
    "Wrapper": "a base class",
    "InputSpec": "no layer",
    "Lambda": "runs the user's code: see test_plugins.py",
    "FlaxLayer": "runs another framework's code",
    "JaxLayer": "runs another framework's code",
    "TorchModuleWrapper": "runs another framework's code",
    "TFSMLayer": "runs another framework's code",
    "StringLookup": "works on strings",
    "TextVectorization": "works on strings",
    "Hashing": "hashes the decimal strings of its input",
    "HashedCrossing": "hashes the decimal strings of its input",
    "IntegerLookup": "Keras runs it on TensorFlow only: see test_lookup.py",
    "MaxNumBoundingBoxes": "works on boxes for training, gives images as they are",
    "Equalization": "Keras cannot put it into a functional model",
    "ContrastLimitedAdaptiveHistogramEqualization": "augmentation by local histograms",
}


def test_every_layer_is_a_row_or_an_exception() -> None:
    public = {c.__name__ for c in vars(L).values() if inspect.isclass(c)}
    names = {"GroupedQueryAttention": "GroupQueryAttention", "CLAHE": ""}
    public = {names.get(n, n) for n in public} - {""}
    rows = {c.name for c in CASES}
    assert public - rows == set(EXCEPTIONS) & public
    assert not rows & set(EXCEPTIONS)
    assert rows - public == set()
    assert rows <= set(RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer(case: Case, tmp_path: Path) -> None:
    model = built(case.function, case.shapes, case.dtypes)
    shapes = [tuple(n or 3 for n in s) for s in case.shapes]
    arrays = [
        sample((2, *s), d, k + 1) for k, (s, d) in enumerate(zip(shapes, case.dtypes, strict=True))
    ]
    check(model, arrays, tmp_path, (".keras", ".h5") if case.h5 else (".keras",))
