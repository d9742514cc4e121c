"""The benchmark's own arithmetic and page, with stand-ins for both runtimes.

The stand-ins keep to what the page may rely on: `load` and `run` of a webconv bundle, and
`InferenceSession` of onnxruntime-web.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks import BenchmarkError
from benchmarks.files import write_inputs
from benchmarks.models import MODELS, make_input
from benchmarks.report import disagreements, first_row, missed_bars, ratios, spread, time_row
from benchmarks.session import ONNXRUNTIME_CODE, Session, Timing
from webconv.verify.browser import Browser, NoBrowserError

BUNDLE = """
import { sum } from './runtime/sum.js';
export async function load({ backendOrder, allowSoftware }) {
  if (!allowSoftware) throw new Error('allowSoftware is what a benchmark passes');
  await (await fetch(new URL('./weights-0-0.bin', import.meta.url))).arrayBuffer();
  const adapter = backendOrder[0] === 'webgpu' && await navigator.gpu.requestAdapter();
  const device = adapter && await adapter.requestDevice();
  return {
    inputs: [{ name: 'x' }],
    report: { backend: backendOrder[0] },
    run: async ({ x }) => {
      if (device) device.queue.submit([]);
      return { y: { data: sum(x.data), shape: x.shape, dtype: 'f32' } };
    },
    dispose: async () => {},
  };
}
"""

SUM = "export const sum = (data) => Float32Array.of(data.reduce((a, b) => a + b, 0), data.length);"

PEER = """
export const env = { wasm: {}, versions: { web: 'stand-in' } };
export class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
export class InferenceSession {
  static async create(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error('no model');
    return new InferenceSession();
  }
  async run({ x: { data, dims } }) {
    const length = dims.reduce((a, b) => a * b, 1);
    const total = data.reduce((a, b) => a + b, 0);
    return { y: new Tensor('float32', Float32Array.of(total, length), [2]) };
  }
  async release() {}
}
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session on folders with the stand-ins."""
    root = tmp_path_factory.mktemp("benchmark")
    for name in ("char", "sent"):
        bundle = root / "bundles" / f"{name}_web"
        (bundle / "runtime").mkdir(parents=True)
        for entry in ("wasm", "webgpu", "webgl"):
            (bundle / f"{entry}.js").write_text(BUNDLE)
        (bundle / "runtime" / "sum.js").write_text(SUM)
        (bundle / "weights-0-0.bin").write_bytes(b"\1" * 999)
    code = root / "node_modules" / "onnxruntime-web" / "dist"
    code.mkdir(parents=True)
    for file in ONNXRUNTIME_CODE.values():
        (code / file).write_text(PEER)
    (root / "models").mkdir()
    (root / "models" / "char.onnx").write_bytes(b"\2" * 999)
    for name in ("char", "sent"):
        write_inputs({"x": make_input(MODELS[name])}, root / "models" / f"{name}.inputs.json")
    try:
        with Browser() as browser:
            yield Session(browser, root / "node_modules", root / "models", root / "bundles")
    except NoBrowserError as error:
        pytest.skip(f"no browser: {error}")


def test_sides_take_turns_and_agree(session: Session) -> None:
    choices = [session.webconv("char", "wasm"), session.onnxruntime("char", "wasm")]
    measured = session.compare("char", choices, Timing(4, sample_ms=2, warm_ms=5))
    expected = make_input(MODELS["char"])
    for side in measured:
        assert side["output"].tolist() == [expected.sum(), expected.size]
        assert len(side["samples"]) == 4
        assert side["repeats"] > 1
    row = time_row("char", choices, measured)
    assert (row["max_abs_diff"], disagreements([row])) == (0, [])
    assert row["sides"][0]["report"] == {"backend": "wasm"}


def test_ids_go_in_as_they_are(session: Session) -> None:
    choices = [session.webconv("sent", "wasm")]
    (side,) = session.compare("sent", choices, Timing(1, sample_ms=1, warm_ms=1))
    ids = make_input(MODELS["sent"])
    np.testing.assert_array_equal(side["output"], np.array([ids.sum(), 80], np.float32))


def test_gpu_calls_are_counted(session: Session) -> None:
    choices = [session.webconv("char", "webgpu")]
    (side,) = session.compare("char", choices, Timing(1, sample_ms=1, warm_ms=1))
    assert side["loading"] == {"submits": 1}
    assert side["running"] == {"submits": 1}


def test_first_results_and_bytes_besides_weights(session: Session) -> None:
    choices = [session.webconv("char", "wasm"), session.onnxruntime("char", "wasm")]
    results = session.first_results("char", choices, rounds=2)
    assert [len(result.milliseconds) for result in results] == [2, 2]
    assert sorted(results[0].files) == [
        "/bundles/char_web/runtime/sum.js",
        "/bundles/char_web/wasm.js",
    ]
    assert sorted(results[1].files) == ["/onnxruntime/ort.wasm.bundle.min.mjs"]
    assert 0 < results[0].gzip_bytes < len(BUNDLE) + len(SUM)
    assert first_row("char", choices, results)["max_abs_diff"] == 0


def test_a_model_that_does_not_load_is_named(session: Session) -> None:
    choices = [session.onnxruntime("sent", "wasm")]
    with pytest.raises(BenchmarkError, match="onnxruntime on wasm, sent: Error: no model"):
        session.first_results("sent", choices, rounds=1)


def test_statistics() -> None:
    assert spread([1, 2, 3, 4, 5]) == {"median": 3, "low": 2, "high": 4}
    paired = ratios([[1, 2, 3], [2, 4, 12]])
    assert paired is not None
    assert paired["median"] == 0.5
    assert ratios([[1, 2]]) is None


@pytest.mark.parametrize(("gap", "count"), [(None, 0), (1e-6, 0), (1e-3, 1), (float("nan"), 1)])
def test_disagreement_is_an_error(gap: float | None, count: int) -> None:
    row = {"model": "char", "backend": "wasm", "max_abs_diff": gap}
    assert len(disagreements([row])) == count


def test_missed_bars_are_named() -> None:
    def row(model: str, backend: str, median: float) -> dict[str, object]:
        return {"model": model, "backend": backend, "ratio": {"median": median}}

    results = {
        "times": [
            *(row("char", "wasm", 0.7), row("big", "wasm", 1.2), row("big", "webgpu", 3)),
            *(row("aecmos", "wasm", 1.4), row("attacut", "wasm", 1.6)),
        ],
        "first_results": [row("char", "wasm", 0.2), row("big", "wasm", 0.5)],
    }
    assert missed_bars(results) == [
        "big on wasm: a run takes 1.200 of the peer's time",
        "attacut on wasm: a run takes 1.600 of the peer's time",
        "char on wasm: the first result takes 0.200 of the peer's time",
    ]
