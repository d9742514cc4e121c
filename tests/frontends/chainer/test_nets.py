"""Chains against Chainer: its links, chains with open sizes, chains with states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import instances
from tests.frontends.chainer.test_functions import program_of
from webconv.ir import ops
from webconv.ir.graph import Program
from webconv.ir.lists import members
from webconv.passes.recurrences import recognise_recurrences

LINKS = (
    *("Linear", "Bias", "Scale", "Bilinear", "Convolution1D", "Convolution2D", "Convolution3D"),
    *("Deconvolution1D", "Deconvolution2D", "Deconvolution3D", "DepthwiseConvolution2D"),
    *("DilatedConvolution2D", "DeformableConvolution2D", "LocalConvolution2D"),
    *("MLPConvolution2D", "Inception", "InceptionBN", "Highway", "Maxout", "PReLU", "Swish"),
    *("Parameter", "EmbedID", "BatchNormalization", "BatchRenormalization"),
    *("DecorrelatedBatchNormalization", "GroupNormalization", "LayerNormalization", "Sequential"),
    *("StatelessLSTM", "StatelessGRU", "StatelessMGU", "ChildSumTreeLSTM", "NaryTreeLSTM"),
)
STATES = (
    *("LSTM", "LSTM_open", "StatefulGRU", "GRU", "StatefulPeepholeLSTM", "StatefulMGU"),
    "StatefulZoneoutLSTM",
)
OPEN = (
    "Pooled",
    "Steps",
    "Gathered",
    "AfterGRU",
    "AfterFirst",
    "Both",
    "LSTMClassifier",
    "GRUNet",
    "CNNLSTM",
    "NStepBiLSTM",
)
LISTS = ("Tagger", "NStepGRU", "NStepBiRNNReLU", "NStepLSTM", "Translator", "Decoder", "Summary")
# Traced with plain arrays: the shapes that their inputs have then.
PLAIN = {
    "LSTMClassifier": ["i32[batch, time]"],
    "StatelessLSTMNet": ["f32[batch, 4]", "f32[batch, 5]", "f32[batch, 5]"],
    "GRUNet": ["f32[batch, time, 4]"],
    "Peephole": ["f32[batch, time, 4]"],
    "CNNLSTM": ["f32[batch, 1, 8, time]"],
    "Long": ["f32[batch, time, 4]"],
    "Translator": ["i32[batch, source_time]", "i32[batch, target_time]"],
    "Pairs": ["f32[time, batch, 2]", "f32[time, batch, 3]"],
    "Kept": ["f32[batch, time, 3]"],
    "Memory": ["f32[2, 3]"],
    "Started": ["f32[2, 3]"],
    "OneBatch": ["f32[3, time, 3]"],
    "Cut": ["f32[batch, 7, 3]"],
}
NETS = [
    *(f"plain/{n}" for n in PLAIN),
    *(f"lists/{n}" for n in LISTS),
    *(f"links/{n}" for n in LINKS),
    *(f"states/{n}" for n in STATES),
    *(f"open/{n}" for n in OPEN),
]


# A sequence of an input that is a list.
LIST_INPUT = re.compile(r"(.+)/\d+")


def runs(found: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Inputs and outputs of each run; outputs that are lists stand array by array."""
    pattern = re.compile(rf"{re.escape(name)}/run_(\d+)/(in|out)/(.+)")
    tables: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    for key, array in found.items():
        if match := pattern.fullmatch(key):
            inputs, outputs = tables.setdefault(int(match[1]), ({}, {}))
            of_list = LIST_INPUT.fullmatch(match[3])
            if match[2] == "out":
                outputs[match[3]] = array
            elif of_list:
                inputs.setdefault(of_list[1], []).append(array)
            else:
                inputs[match[3]] = array
    for k in sorted(tables):
        yield tables[k]


def compare(
    outputs: dict[str, Any], want: dict[str, Any], rtol: float = 5e-5, atol: float = 5e-6
) -> None:
    """Equal names, shapes and numbers."""
    got = dict(members(outputs))
    assert list(got) == list(want)
    for name, array in want.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, rtol, atol)


def names_of(found: dict[str, Any]) -> set[str]:
    """The rows of a table that was traced."""
    ends = ("/program", "/error", "/absent")
    return {k.rpartition("/")[0] for k in found if k.endswith(ends)}


def check_runs(found: dict[str, Any], name: str, *tolerance: float) -> None:
    """The reference and wasm give, run after run, what Chainer gave."""
    program = program_of(found, name)
    module = next(instances(program))
    states: dict[str, Any] = {}
    for inputs, want in runs(found, name):
        compare(program.run(inputs, states=states), want, *tolerance)
        compare(module.run(inputs), want, *tolerance)


def test_the_rows_are_those_of_the_table(chainer_nets: dict[str, Any]) -> None:
    assert names_of(chainer_nets) == set(NETS)


@pytest.mark.parametrize("name", NETS)
def test_net(chainer_nets: dict[str, Any], name: str) -> None:
    check_runs(chainer_nets, name)


def kinds(program: Program) -> list[str]:
    """The operators that a program is left with once recurrences are recognised."""
    nodes = recognise_recurrences(program).main.nodes
    return [type(n.op).__name__ for n in nodes if isinstance(n.op, ops.Recurrent)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Steps", ["GRU"]),
        ("AfterFirst", ["RNN"]),
        ("Both", ["LSTM", "LSTM"]),
        ("LSTMClassifier", ["LSTM", "LSTM"]),
        ("GRUNet", ["GRU"]),
        ("CNNLSTM", ["LSTM"]),
        ("NStepBiLSTM", ["LSTM", "LSTM"]),
    ],
)
def test_a_loop_over_time_is_one_operator(
    chainer_nets: dict[str, Any], name: str, found: list[str]
) -> None:
    assert kinds(program_of(chainer_nets, f"open/{name}")) == found


@pytest.mark.parametrize("name", PLAIN)
def test_sizes_that_steps_show_to_be_open(chainer_nets: dict[str, Any], name: str) -> None:
    program = program_of(chainer_nets, f"plain/{name}")
    assert [str(v.type) for v in program.main.inputs.values()] == PLAIN[name]
