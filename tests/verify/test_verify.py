"""Inputs, expectations and reports; wasm in this process stands for all machines."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import webconv
from tests.bundle.programs import counter, dense, listed, lookup, weights
from tests.conftest import require_models
from webconv.api import Bundle
from webconv.ir import dims, ops
from webconv.ir.dtypes import f32, i32
from webconv.ir.errors import ModelFormatError, ParityError, ShapeError, WebconvError
from webconv.ir.graph import Graph, Program, input
from webconv.ir.op import TensorType
from webconv.verify import assert_parity, runs
from webconv.verify.data import cast, complete, read_npz
from webconv.verify.names import by_name


def bundle_of(program: Program, folder: Path) -> Bundle:
    return webconv.convert(program, folder / "out", backends=["wasm"])


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **{k.lstrip("_"): np.asarray(v) for k, v in arrays.items()})
    return path


def test_both_modules_are_verified(tmp_path: Path) -> None:
    report = bundle_of(dense(), tmp_path).verify(browser="none")
    assert report.ok
    assert [(r.backend, r.variant, r.browser) for r in report.results] == [
        ("wasm", "simd", "none"),
        ("wasm", "relaxed", "none"),
    ]
    assert all(r.load_ms and r.run_ms for r in report.results)


def test_the_json_has_the_agreed_fields(tmp_path: Path) -> None:
    report = bundle_of(dense(), tmp_path).verify(browser="none").json()
    assert set(report) == {"ok", "results"}
    fields = {"backend", "variant", "browser", "ok", "error", "load_ms", "run_ms", "outputs"}
    assert set(report["results"][0]) == fields
    figures = {"name", "shape", "dtype", "max_abs_err", "max_rel_err", "needed_slack", "ok"}
    assert set(report["results"][0]["outputs"][0]) == figures
    json.dumps(report, allow_nan=False)


def test_expectations_from_files_by_name_and_position(tmp_path: Path) -> None:
    bundle = bundle_of(dense(), tmp_path)
    x = np.random.default_rng(1).standard_normal((3, 5))
    want = dense().run({"x": x})["probs"]
    for key, out in (("x", "probs"), ("_0", "_0")):
        inputs = save(tmp_path / "x.npz", **{key: x})
        expect = save(tmp_path / "y.npz", **{out: want})
        assert bundle.verify(browser="none", inputs=[inputs], expect=[expect]).ok
    expect = save(tmp_path / "y.npz", probs=want + 1)
    report = bundle.verify(browser="none", inputs=[inputs], expect=[expect])
    assert not report.ok
    assert "wasm simd: output 'probs': 9 of 9 elements differ" in report.failures()[0]


def test_states_are_carried_set_and_checked(tmp_path: Path) -> None:
    bundle = bundle_of(counter(), tmp_path)
    x = np.ones((1, 4), np.float32)
    inputs = [{"x": x}, {"x": x}, {"x": x, "h": 10 * x}]
    expect = [{"doubled": 3 * x, "h": 1.5 * x}, {"doubled": 5 * x}, {"h": 11 * x}]
    assert bundle.verify(browser="none", inputs=inputs, expect=expect).ok
    wrong = [*expect[:2], {"h": 12 * x}]
    report = bundle.verify(browser="none", inputs=inputs, expect=wrong)
    assert [o.ok for o in report.results[0].outputs] == [True, False]
    assert bundle.verify(browser="none", inputs=inputs).ok


def test_ids_are_cast_where_no_value_changes(tmp_path: Path) -> None:
    bundle = bundle_of(lookup(), tmp_path)
    for dtype in (np.int64, np.float64, np.uint8):
        ids = np.array([[1, 2, 3]], dtype)
        assert bundle.verify(browser="none", inputs=[{"ids": ids}]).ok
    t = TensorType(i32, (2,))
    for wrong in (np.array([0.5, 1]), np.array([2**40, 1]), np.array([np.nan, 1])):
        with pytest.raises(ShapeError, match="'x'"):
            cast("x", wrong, t)
    with pytest.raises(ShapeError, match="does not fit"):
        cast("x", np.array(["a"]), TensorType(f32, (1,)))
    assert cast("x", np.array([0.1]), TensorType(f32, (1,))).dtype == np.float32


def test_ids_out_of_the_vocabulary_are_refused(tmp_path: Path) -> None:
    """As the runner does: an input that is f32 in the file holds ids all the same."""
    bundle = bundle_of(lookup(), tmp_path)
    assert bundle.verify(browser="none", inputs=[{"ids": [[0, 49]]}]).ok
    for wrong in (-1, 0.5, 50, 99999, np.nan, np.inf):
        ids = np.array([[3, wrong]])
        rule = rf"input 'ids': ids must be integers in \[0, 50\), but one is {float(wrong)}"
        with pytest.raises(ShapeError, match=rule):
            bundle.verify(browser="none", inputs=[{"ids": ids}])
        with pytest.raises(ShapeError, match=rule):
            bundle.verify(browser="none", inputs=[{"ids": ids}], expect=[{"total": np.ones(8)}])
    words = bundle_of(listed(), tmp_path / "lists")
    with pytest.raises(ShapeError, match=r"input 'words': ids must be integers in \[0, \d+\)"):
        words.verify(browser="none", inputs=[{"words": [[1], [0, 999]], "scale": 1.0}])


def convolution(window: int) -> Program:
    """One whose window fits an axis of at least `window` elements."""
    x = input("x", TensorType(f32, (1, dims.symbol("time"), 1)))
    y = ops.Conv((1,), (1,), ((0, 0),))(x, weights(0, window, 1, 1))
    return Program({"main": Graph({"x": x}, {"y": y})}, name="convolution")


def test_random_sizes_fit_a_window() -> None:
    found = complete(convolution(1000), "main", {}, {}, np.random.default_rng(0))
    assert found["x"].shape == (1, 1024, 1)
    with pytest.raises(ShapeError, match=r"no sizes were found for time; give inputs \(--inputs"):
        complete(convolution(5000), "main", {}, {}, np.random.default_rng(0))


def test_sizes_that_a_run_refuses_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window of Silero's short-time Fourier transform is known in a branch only."""
    path = require_models("silero_vad_v4") / "silero_vad_legacy.onnx"
    bundle = webconv.convert(path, tmp_path / "out", backends=["wasm"])
    assert bundle.verify(browser="none").ok
    monkeypatch.setattr(runs, "LARGER", (8,))
    rule = r"a window of 256 .*; random inputs input \[2, 7\], .*: --inputs FILE.npz gives others"
    with pytest.raises(ShapeError, match=rule):
        bundle.verify(browser="none")


def test_an_exact_name_wins_over_a_position() -> None:
    a, b = np.zeros(1), np.ones(1)
    assert by_name({"0": a, "1": b}, ["1", "x"], "input") == {"1": b}
    with pytest.raises(ModelFormatError, match="there is no input '7'; there are x"):
        by_name({"7": a}, ["x"], "input")


def test_random_inputs_suit_the_program() -> None:
    found = complete(lookup(), "main", {}, {("main", "ids"): 50}, np.random.default_rng(0))
    assert found["ids"].shape == (2, 7)
    assert found["ids"].min() >= 0
    assert found["ids"].max() < 50


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelFormatError, match=r"x\.npz: it is not an npz file of numbers$"):
        read_npz(path)
    path.write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(ModelFormatError, match=r"x\.npz: it is not an npz file$"):
        read_npz(path)
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ModelFormatError, match=r"x\.npz"):
        read_npz(path)
    with pytest.raises(ModelFormatError, match="No such file"):
        read_npz(tmp_path / "gone.npz")


def test_what_does_not_fit_the_bundle_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(dense(), tmp_path)
    x = np.zeros((1, 5), np.float32)
    with pytest.raises(ModelFormatError, match="there is no output 'y'; there are probs"):
        bundle.verify(browser="none", inputs=[{"x": x}], expect=[{"y": x}])
    with pytest.raises(ModelFormatError, match="there are 1 and 0"):
        bundle.verify(browser="none", expect=[{"probs": x}])
    with pytest.raises(WebconvError, match="made for wasm, not for webgpu"):
        bundle.verify(backends=["webgpu"])
    with pytest.raises(ShapeError, match="'x'"):
        bundle.verify(browser="none", inputs=[{"x": x[0]}])


def test_the_distance_to_another_model_is_a_figure_of_its_own(tmp_path: Path) -> None:
    bundle = bundle_of(dense(), tmp_path)
    report = bundle.verify(browser="none", model=dense())
    assert report.ok
    assert report.json()["model_distance"]["probs"] < 1e-6


def test_assert_parity_says_what_differs(tmp_path: Path) -> None:
    bundle = bundle_of(dense(), tmp_path)
    x = np.random.default_rng(2).standard_normal((2, 5)).astype(np.float32)
    assert assert_parity(bundle, {"x": x}, browser="none").ok
    with pytest.raises(ParityError, match="output 'probs': 6 of 6 elements differ"):
        assert_parity(bundle, {"x": x}, {"probs": np.full((2, 3), 9.0)}, browser="none")
