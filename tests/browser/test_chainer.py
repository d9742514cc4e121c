"""Chainer's functions and the nets of chainer_rnn_generated on every backend in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.browser.test_cases import page, run_bundle
from tests.chainer_fixtures import Run
from tests.conftest import MODELS, require_models
from tests.frontends.chainer.cases import FAMILIES
from tests.frontends.chainer.test_functions import check, program_of, wanted
from tests.frontends.chainer.test_nets import LISTS, OPEN, STATES, compare, runs
from tests.frontends.chainer.test_zoo import TOLERANCE
from webconv.api import compile_program
from webconv.verify.machines import pairs

__all__ = ["page"]

NETS_OF_OURS = [
    *(f"states/{n}" for n in STATES),
    *(f"open/{n}" for n in OPEN),
    *(f"lists/{n}" for n in LISTS),
    *("plain/Translator", "plain/Peephole", "plain/Kept"),
]

NETS = (
    *("lstm_classifier", "stateless_lstm", "gru", "peephole", "cnn_lstm", "nsteplstm"),
    *("nstepbilstm", "nstepgru", "nstepbigru", "nsteprnntanh", "nstepbirnnrelu"),
)

MAKE = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
import nets

CLASSES = dict(lstm_classifier="LSTMClassifier", stateless_lstm="StatelessLSTMNet", gru="GRUNet",
               peephole="Peephole", cnn_lstm="CNNLSTM")
STACKS = ("NStepLSTM", "NStepBiLSTM", "NStepGRU", "NStepBiGRU", "NStepRNNTanh", "NStepBiRNNReLU")


def maker(name):
    def make_net():
        stacks = {{s.lower(): s for s in STACKS}}
        chain = nets.NStep(stacks[name]) if name in stacks else getattr(nets, CLASSES[name])()
        arrays = np.load({folder!r} + "/" + name + ".inputs.npz")
        return (chain, *(arrays[str(k)] for k in range(len(arrays.files))))

    return make_net


for name in {names!r}:
    globals()[name] = maker(name)
"""


# The sums of a GPU, and of special functions that are approximated, are not those of NumPy.
LOOSE = (1e-4, 1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_functions(page: Any, chainer_functions: dict[str, Any], family: str) -> None:
    for name, case in FAMILIES[family].items():
        program = program_of(chainer_functions, name)
        feeds = dict(zip(program.main.inputs, map(np.asarray, case.inputs), strict=True))
        rtol, atol = max(case.rtol, LOOSE[0]), max(case.atol, LOOSE[1])
        check(
            case._replace(rtol=rtol, atol=atol),
            run_bundle(page, program, feeds),
            wanted(family, name),
        )


@pytest.mark.parametrize("name", NETS)
def test_shared_nets_verify(
    chainer_python: Run, tmp_path: Any, name: str, request: pytest.FixtureRequest
) -> None:
    """The command line, in Chainer's environment: three backends with --all, else wasm."""
    require_models("chainer_rnn_generated")
    every = request.config.getoption("--all") or name in ("lstm_classifier", "nstepbilstm")
    where = [] if every else ["--browser", "none"]
    folder = MODELS / "chainer_rnn_generated"
    (tmp_path / "net.py").write_text(MAKE.format(folder=str(folder), names=NETS))
    done = chainer_python(
        *("-m", "webconv", "verify", f"{tmp_path / 'net.py'}:{name}", "--frontend", "chainer"),
        *("--weights", folder / f"{name}.npz", "--inputs", folder / f"{name}.inputs.npz"),
        *("--expect", folder / f"{name}.expect.npz", "--json", "-", *where),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["ok"]
    backends = {"wasm", "webgpu", "webgl"} if every else {"wasm"}
    assert {r["backend"] for r in report["results"]} == backends


SEVERAL = """async (url, runs) => {
  const { load } = await import(url);
  const runner = await load({ allowSoftware: true, device: globalThis.sharedDevice });
  const made = [];
  try {
    for (const inputs of runs) {
      const outputs = await runner.run(inputs);
      const listed = ([k, v]) => (Array.isArray(v) ? v.map((x, i) => [`${k}/${i}`, x]) : [[k, v]]);
      const tensors = Object.entries(outputs).flatMap(listed);
      const pairs = tensors.map(([k, v]) => [k, [v.data, v.shape]]);
      made.push(Object.fromEntries(pairs));
    }
  } finally {
    await runner.dispose();
  }
  return made;
}"""


@pytest.mark.parametrize("name", NETS_OF_OURS)
def test_nets(page: Any, chainer_nets: dict[str, Any], name: str) -> None:
    """Open sizes, lists of sequences and states: several runs of one bundle."""
    for outputs, want in several(page, chainer_nets, name):
        compare(outputs, want)


# Of the zoo, those that differ most.
ZOO = (
    *("images/GoogLeNetBN", "images/MobileNet", "images/Capsules", "images/Pyramid"),
    *("pictures/UNet", "pictures/VAE", "pictures/CycleGAN", "pictures/SegNet"),
    *("text/CNNEncoder", "text/Seq2seq", "text/CRFTagger", "text/WaveNet"),
    *("attention/TransformerOpen", "attention/GPTOpen", "links/A3C"),
    *("sizes/resize_edges", "sizes/causal", "loops/Weighed", "loops/Translator"),
    *("sequences/Features", "batches/Attention"),
)


@pytest.mark.parametrize("name", ZOO)
def test_zoo(page: Any, chainer_zoo: dict[str, Any], name: str) -> None:
    """Networks as people write them, with other sizes than traced."""
    for outputs, want in several(page, chainer_zoo, name):
        compare(outputs, want, *TOLERANCE)


def several(
    page: Any, found: dict[str, Any], name: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What each run of one bundle gives, and what Chainer gives."""
    backend, browser, opened = page
    program = program_of(found, name)
    bundle = compile_program(program, "net", "0" * 64, [backend])
    rows = list(runs(found, name))
    given = [dict(pairs(inputs)) for inputs, _ in rows]
    made = opened.evaluate(SEVERAL, f"{browser.mount(bundle.files)}{backend}.js", given)
    for outputs, (_, want) in zip(made, rows, strict=True):
        yield {n: np.reshape(data, shape) for n, (data, shape) in outputs.items()}, want
