"""ONNX's own test suite: small models with inputs and the outputs that the standard asks for.

The package `onnx` ships them; outputs are those of ONNX's definitions, tolerances the suite's own.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

from webconv.frontends.onnx.convert import convert
from webconv.frontends.onnx.types import symbol_name
from webconv.ir.errors import WebconvError
from webconv.ir.graph import Program

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

# What an error says of an input that must be constant.
NEEDED = re.compile(r"'([^']*)' \([^']*give its value with --const")
HELD = re.compile(r"\bvalue_(\w+)_\d+\b.* --const")
# Axes and shapes have few elements; what has more is data.
MOST_CONSTANT = 16
# Inputs that decide the result's shape though they may be floats, by operator.
SHAPES = {"Resize": 2, "Upsample": 1, "OneHot": 1}


@dataclass(frozen=True)
class Test:
    """A model and one set of inputs and outputs for each of its runs."""

    __test__ = False

    name: str
    kind: str
    model: onnx.ModelProto
    folder: Path
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in the order of the data."""
        weights = {t.name for t in self.model.graph.initializer}
        return [i.name for i in self.model.graph.input if i.name not in weights]

    def feeds(self, run: int, program: Program) -> dict[str, Any]:
        """The inputs of a run by name, those that were made constant left out."""
        given = dict(zip(self.inputs, self.data[run][0], strict=False))
        first = dict(zip(self.inputs, self.data[0][0], strict=False))
        for name in set(given) - set(program.main.inputs):
            assert np.array_equal(given[name], first[name]), f"{name} is not the same in all runs"
        return {name: np.asarray(given[name]) for name in program.main.inputs}

    def program(self) -> tuple[Program, dict[str, Any]]:
        """The program, and the inputs that it needs as constants: errors name them.

        Only axes and shapes may be constant: few integers, or scales and depths that decide a
        shape. Raises WebconvError if it cannot be converted.
        """
        given = dict(zip(self.inputs, self.data[0][0], strict=False))
        constants: dict[str, Any] = {}
        while True:
            try:
                return convert(self.model, self.folder, {}, constants), constants
            except WebconvError as error:
                name = self._needed(str(error))
                if name in constants or not self._may_be_constant(name, given.get(name)):
                    raise
                constants[name] = np.asarray(given[name])

    def _may_be_constant(self, name: str, value: Any) -> bool:
        if not isinstance(value, np.ndarray | np.generic) or value.size > MOST_CONSTANT:
            return False
        return value.dtype.kind in "iu" or any(
            SHAPES.get(node.op_type) == k
            for node in self.model.graph.node
            for k, read in enumerate(node.input)
            if read == name
        )

    def _needed(self, error: str) -> str:
        """The input that an error wants to be constant."""
        if found := NEEDED.search(error):
            return found.group(1)
        held = HELD.search(error)
        return next((n for n in self.inputs if held and symbol_name(n) == held.group(1)), "")

    def check(self, run: int, outputs: Mapping[str, Any]) -> None:
        """Raise AssertionError unless the outputs of a run are as the suite wants them."""
        names = [o.name for o in self.model.graph.output]
        for name, want in zip(names, self.data[run][1], strict=True):
            want = as_f32(np.asarray(want))
            got = np.asarray(outputs[name])
            assert got.shape == want.shape, f"{name}: shape {got.shape}, not {want.shape}"
            if want.dtype.kind in "iub":
                np.testing.assert_array_equal(got, want, name)
            else:
                np.testing.assert_allclose(
                    got.astype(np.float64),
                    want.astype(np.float64),
                    self.rtol,
                    self.atol,
                    err_msg=name,
                )


def as_f32(want: Any) -> Any:
    """Doubles as they are computed: what is too large for f32 is expected as an infinity.

    The same rule as in `webconv.verify`. Some tests of PyTorch hold what was in memory by chance.
    """
    if want.dtype != np.float64:
        return want
    with np.errstate(over="ignore"):
        return np.where(np.isinf(want.astype(np.float32)), np.copysign(np.inf, want), want)


def _array(data: Any) -> Any:
    return onnx.numpy_helper.to_array(data) if isinstance(data, onnx.TensorProto) else data


def _from_files(folder: Path, model: onnx.ModelProto) -> list[tuple[list[Any], list[Any]]]:
    def read(path: Path) -> Any:
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        return onnx.numpy_helper.to_array(tensor)

    def group(where: Path, kind: str) -> list[Any]:
        paths = where.glob(f"{kind}_*.pb")
        return [read(p) for p in sorted(paths, key=lambda p: int(p.stem.rpartition("_")[2]))]

    return [
        (group(where, "input"), group(where, "output"))
        for where in sorted(folder.glob("test_data_set_*"))
    ]


@cache
def load(kind: str = "node") -> dict[str, Test]:
    """All tests of a kind by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind=kind)
    out = {}
    for case in cases:
        folder = Path(case.model_dir) if case.model_dir else Path()
        model = case.model if case.model is not None else onnx.load(folder / "model.onnx")
        data = case.data_sets
        try:
            sets = (
                [([_array(v) for v in i], [_array(v) for v in o]) for i, o in data]
                if data
                else _from_files(folder, model)
            )
        except (ValueError, TypeError):
            sets = []  # Sequences and optionals as files: the model is refused for its types.
        out[case.name] = Test(case.name, kind, model, folder, sets, case.rtol, case.atol)
    return out
