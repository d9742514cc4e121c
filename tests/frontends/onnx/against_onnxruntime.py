"""One operator as a model: what we compute, beside what onnxruntime computes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.backends.test_wasm import run_program
from webconv.frontends.onnx.convert import convert
from webconv.ir.graph import Program

Array = Any


def model(
    operator: str,
    inputs: Mapping[str, Array | None],
    weights: Sequence[str] = (),
    opset: int = 21,
    outputs: int = 1,
    shapes: Mapping[str, Sequence[object]] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node; inputs called in `weights` are initialisers, None is an absent one."""
    given = {n: np.asarray(a) for n, a in inputs.items() if a is not None}
    types = {n: helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in given.items()}
    declared = {n: list(a.shape) for n, a in given.items()} | dict(shapes or {})
    names = [n if a is not None else "" for n, a in inputs.items()]
    node = helper.make_node(operator, names, [f"y{k}" for k in range(outputs)], **attributes)
    graph = helper.make_graph(
        [node],
        operator,
        [
            helper.make_tensor_value_info(n, types[n], declared[n])
            for n in given
            if n not in weights
        ],
        [
            helper.make_tensor_value_info(f"y{k}", TensorProto.UNDEFINED, None)
            for k in range(outputs)
        ],
        [numpy_helper.from_array(given[n], n) for n in weights],
    )
    for value in graph.output:
        value.ClearField("type")
    domains = {"": opset, **({attributes["domain"]: 1} if "domain" in attributes else {})}
    # onnxruntime refuses the newest version of the file format.
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*d) for d in domains.items()], ir_version=10
    )


def wanted(made: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs of onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = onnxruntime.InferenceSession(
            onnx.shape_inference.infer_shapes(made).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        out: list[Array] = session.run(None, dict(feeds))
    return out


def agree(
    operator: str,
    inputs: Mapping[str, Array | None],
    weights: Sequence[str] = (),
    rtol: float = 1e-5,
    atol: float = 1e-5,
    wasm: bool = True,
    **options: Any,
) -> Program:
    """Check that the reference and the wasm kernels give what onnxruntime gives."""
    made = model(operator, inputs, weights, **options)
    feeds = {n: a for n, a in inputs.items() if a is not None and n not in weights}
    want = wanted(made, feeds)
    program = convert(made, Path(), {}, {})
    runs = [program.run(feeds), *([run_program(program, feeds)] if wasm else [])]
    for got in runs:
        for name, expected in zip(program.main.outputs, want, strict=True):
            assert got[name].shape == expected.shape
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(got[name], expected, rtol, atol, err_msg=name)
            else:
                np.testing.assert_array_equal(got[name], expected, name)
    return program
