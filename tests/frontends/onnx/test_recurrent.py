"""LSTM, GRU and RNN with random weights, beside onnxruntime: the node suite's are all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.passes.programs import run_wasm
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.passes import optimise

Array = Any
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ATOL = 3e-6


@dataclass(frozen=True)
class Case:
    """One node: its sizes, which optional inputs it has, and its attributes."""

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    lengths: Sequence[int] | None = None
    bias: bool = True
    states: bool = True
    peepholes: bool = False
    steps: int = 5
    batch: int = 3
    size: int = 4
    hidden: int = 6
    scale: float = 0.5
    opset: int = 22

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.attributes.get("direction") == "bidirectional" else 1

    @property
    def outputs(self) -> list[str]:
        """The names of all outputs."""
        return ["Y", "Y_h", "Y_c"][: 3 if self.op == "LSTM" else 2]

    def arrays(self) -> dict[str, Array]:
        """The inputs, absent ones left out."""
        rng = np.random.default_rng(self.hidden * 31 + self.steps)
        d, h, rows = self.directions, self.hidden, GATES[self.op] * self.hidden

        def normal(*shape: int) -> Array:
            return (rng.normal(size=shape) * self.scale).astype(np.float32)

        arrays: dict[str, Array] = {
            "X": normal(self.steps, self.batch, self.size) / self.scale,
            "W": normal(d, rows, self.size),
            "R": normal(d, rows, h),
        }
        if self.bias:
            arrays["B"] = normal(d, 2 * rows)
        if self.lengths is not None:
            arrays["sequence_lens"] = np.array(self.lengths, np.int32)
        if self.states:
            arrays["initial_h"] = normal(d, self.batch, h)
            if self.op == "LSTM":
                arrays["initial_c"] = normal(d, self.batch, h)
        if self.peepholes:
            arrays["P"] = normal(d, 3 * h)
        return arrays

    def model(
        self, arrays: Mapping[str, Array], given: Sequence[str], symbolic: bool = False
    ) -> onnx.ModelProto:
        """The model that takes `given` as inputs and has the other arrays as weights."""
        order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
        node = helper.make_node(
            self.op,
            [name if name in arrays else "" for name in order[: 8 if self.op == "LSTM" else 6]],
            self.outputs,
            hidden_size=self.hidden,
            **self.attributes,
        )
        sizes = {"X": ["time", "batch", self.size]} if symbolic else {}
        inputs = [
            helper.make_tensor_value_info(
                name, _kind(arrays[name]), sizes.get(name, list(arrays[name].shape))
            )
            for name in given
            if name in arrays
        ]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs
        ]
        weights = [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items() if n not in given]
        graph = helper.make_graph([node], "one", inputs, outputs, weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )


def _kind(array: Array) -> int:
    return TensorProto.INT32 if array.dtype == np.int32 else TensorProto.FLOAT


def reference(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime makes of it."""
    names = [o.name for o in model.graph.output]
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def agree(got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    """Every output is the same, up to rounding."""
    for name, array in want.items():
        np.testing.assert_allclose(got[name], array, 1e-5, ATOL, err_msg=name)


def check(
    case: Case, given: Sequence[str] = ("X", "sequence_lens"), symbolic: bool = False
) -> None:
    """The case runs as it does in onnxruntime, by the reference and on wasm."""
    arrays = case.arrays()
    model = case.model(arrays, given, symbolic)
    feeds = {name: arrays[name] for name in given if name in arrays}
    want = reference(model, feeds)
    program = convert(model, Path(), {}, {})
    agree(program.run(feeds), want)
    agree(run_wasm(optimise(program), feeds), want)


DIRECTIONS = ("forward", "reverse", "bidirectional")


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("lengths", [None, (5, 2, 3), (0, 5, 1)])
@pytest.mark.parametrize("states", [True, False])
def test_directions(op: str, direction: str, lengths: Any, states: bool) -> None:
    check(Case(op, {"direction": direction}, lengths, states=states))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("opset", [7, 14, 22])
def test_opsets_and_symbols(op: str, opset: int) -> None:
    check(Case(op, lengths=(1, 4, 5), opset=opset, states=False), symbolic=True)


@pytest.mark.parametrize("op", GATES)
def test_constant_lengths(op: str) -> None:
    check(Case(op, {"direction": "reverse"}, (1, 4, 5)), given=("X",))
    check(Case(op, {"direction": "reverse"}, (5, 5, 5)), given=("X",))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("hidden", [6, 8])
def test_computed_weights(op: str, hidden: int) -> None:
    case = Case(op, {"direction": "bidirectional"}, hidden=hidden, peepholes=op == "LSTM")
    check(case, given=tuple(case.arrays()))


@pytest.mark.parametrize(
    "case",
    [
        Case("LSTM", bias=False),
        Case("LSTM", peepholes=True),
        Case("LSTM", {"clip": 0.4}, scale=2.0),
        Case("LSTM", {"clip": 0.4, "input_forget": 1}, peepholes=True, scale=2.0),
        Case("LSTM", {"input_forget": 1}),
        Case("LSTM", {"direction": "bidirectional"}, peepholes=True, hidden=9),
        Case("LSTM", steps=1, batch=1, size=1, hidden=1),
        Case("GRU", bias=False),
        Case("GRU", {"linear_before_reset": 1}, bias=False),
        Case("GRU", {"linear_before_reset": 1}),
        Case("GRU", {"linear_before_reset": 1, "direction": "bidirectional"}, (5, 0, 2), hidden=8),
        Case("GRU", {"clip": 0.4}, scale=2.0),
        Case("GRU", {"clip": 0.4, "linear_before_reset": 1}, scale=2.0),
        Case("RNN", bias=False),
        Case("RNN", {"clip": 0.4}, scale=2.0),
    ],
    ids=lambda c: f"{c.op}-{'-'.join(map(str, c.attributes))}",
)
def test_options(case: Case) -> None:
    check(case)


# Alpha and beta of each activation; onnxruntime has no defaults of its own for some.
ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "Affine": (0.7, 0.2),
    "Elu": (0.8, None),
    "HardSigmoid": (0.3, 0.4),
    "LeakyRelu": (0.2, None),
    "Relu": (None, None),
    "ScaledTanh": (0.9, 0.6),
    "Sigmoid": (None, None),
    "Softplus": (None, None),
    "Softsign": (None, None),
    "Tanh": (None, None),
    "ThresholdedRelu": (0.15, None),
}


def _activations(*names: str) -> dict[str, Any]:
    alphas = [a for name in names if (a := ACTIVATIONS[name][0]) is not None]
    betas = [b for name in names if (b := ACTIVATIONS[name][1]) is not None]
    given = {"activations": list(names), "activation_alpha": alphas, "activation_beta": betas}
    return {name: value for name, value in given.items() if value}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("op", GATES)
def test_activations(op: str, name: str) -> None:
    others = {"LSTM": ("HardSigmoid", "Affine"), "GRU": ("ScaledTanh",), "RNN": ()}[op]
    check(Case(op, _activations(name, *others), scale=0.3))


@pytest.mark.parametrize("name", ["Elu", "HardSigmoid", "LeakyRelu", "Softsign"])
def test_default_parameters(name: str) -> None:
    check(Case("RNN", {"activations": [name]}))


def test_defaults_that_onnxruntime_lacks() -> None:
    case = Case("RNN", {"activations": ["ThresholdedRelu"]})
    arrays = case.arrays()
    given = Case("RNN", {"activations": ["ThresholdedRelu"], "activation_alpha": [1.0]})
    want = reference(given.model(arrays, ("X",)), {"X": arrays["X"]})
    agree(convert(case.model(arrays, ("X",)), Path(), {}, {}).run({"X": arrays["X"]}), want)


def test_parameters_are_taken_in_order() -> None:
    names = ("HardSigmoid", "LeakyRelu", "Tanh", "Elu", "ScaledTanh", "Affine")
    options = _activations(*names) | {"direction": "bidirectional"}
    check(Case("LSTM", options, (4, 0, 5)))
    pairs = _activations("Relu", "HardSigmoid", "ScaledTanh", "Tanh")
    check(Case("GRU", pairs | {"direction": "bidirectional"}))


@pytest.mark.parametrize("op", GATES)
def test_batch_first(op: str) -> None:
    """onnxruntime refuses layout 1: its results for layout 0, transposed, are the reference."""
    case = Case(op, {"direction": "bidirectional"}, (5, 2, 3))
    arrays = case.arrays()
    given = ("X", "sequence_lens", "initial_h", "initial_c")
    feeds = {name: arrays[name] for name in given if name in arrays}
    want = reference(case.model(arrays, given), feeds)
    swapped = {n: a.swapaxes(0, 1) if n != "sequence_lens" else a for n, a in feeds.items()}
    turned = Case(op, {**case.attributes, "layout": 1}, (5, 2, 3), opset=14)
    program = convert(turned.model(arrays | swapped, given), Path(), {}, {})
    wanted = {n: a.transpose(2, 0, 1, 3) if n == "Y" else a.swapaxes(0, 1) for n, a in want.items()}
    agree(program.run(swapped), wanted)
    agree(run_wasm(optimise(program), swapped), wanted)


@pytest.mark.parametrize(
    ("case", "kind", "message"),
    [
        (Case("RNN", {"activations": ["Cube"]}), UnsupportedError, "activation 'Cube'"),
        (Case("GRU", {"activations": ["Tanh"]}), ModelFormatError, "2 activations are needed"),
    ],
)
def test_errors(case: Case, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        convert(case.model(case.arrays(), ("X",)), Path(), {}, {})


def test_hidden_size_is_checked() -> None:
    case = Case("LSTM")
    model = case.model(case.arrays(), ("X",))
    next(a for a in model.graph.node[0].attribute if a.name == "hidden_size").i = 7
    with pytest.raises(ModelFormatError, match="7 is not 6"):
        convert(model, Path(), {}, {})
