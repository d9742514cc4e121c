"""Control flow and sizes that only a run can tell, in Chromium on every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import webconv
from tests.frontends.onnx.control_models import MODELS, Model
from webconv.verify.browser import Browser

RUN = """async (url, backend, runs) => {
  const { load } = await import(url);
  const runner = await load({ backendOrder: backend, allowSoftware: true });
  const results = [];
  for (const inputs of runs) results.push(await runner.run(inputs));
  await runner.dispose();
  return results;
}"""


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_every_backend_gives_what_numpy_gives(
    model: Model, browser: Browser, tmp_path: Path
) -> None:
    bundle = webconv.convert(model.program(), tmp_path / "bundle")
    url = f"{browser.mount(bundle.path)}index.js"
    with browser.page() as page:
        for backend in bundle.backends:
            runs = [
                {
                    n: {"data": np.ravel(a).astype(np.float64).tolist(), "shape": list(np.shape(a))}
                    for n, a in feeds.items()
                }
                for feeds in model.runs
            ]
            results = page.evaluate(RUN, url, backend, runs)
            for feeds, got in zip(model.runs, results, strict=True):
                for name, want in model.numpy(**feeds).items():
                    assert got[name]["shape"] == list(np.shape(want)), (backend, name)
                    actual = np.reshape(got[name]["data"], np.shape(want))
                    np.testing.assert_allclose(actual, want, rtol=1e-5, err_msg=f"{backend} {name}")
