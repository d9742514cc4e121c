"""What chains, files and weights may do wrong: one line that names it, and exit 1."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.chainer_fixtures import Run
from tests.frontends.chainer.hostile import CHAINS, SOURCES

NET = """
import chainer, chainer.functions as F, chainer.links as L, numpy as np
from webconv import Dim, example

class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.fc = L.Linear(4, 2)

    def forward(self, x):
        {body}

def make_net():
    return Net(), {example}
"""

X = "np.ones((3, 4), 'f') * np.arange(3, dtype='f')[:, None]"


def write(folder: Path, body: str, example: str = X) -> str:
    (folder / "net.py").write_text(NET.format(body=body, example=example))
    return f"{folder / 'net.py'}:make_net"


def convert(python: Run, folder: Path, model: str, *options: object) -> tuple[int, str]:
    out = folder / "out"
    done = python("-m", "webconv", "convert", model, "-o", out, "--backend", "wasm", *options)
    assert (done.returncode == 0) == out.exists()
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "example", "message"),
    [
        ("return chainer.Variable(self.fc(x).array * 2)", X, "is an array without a graph"),
        (
            "h = self.fc(x); return F.relu(h) if x.array[0, 0] < 0.3 else F.tanh(h)",
            X,
            "depends on the values of its inputs: it looks at numbers at net.py:12: h = self.fc",
        ),
        ("return F.gaussian(self.fc(x), self.fc(x))", X, "Gaussian, at net.py:12"),
        (
            "return F.dropout(self.fc(x)) if chainer.config.train else Mine().apply((x,))[0]\n"
            "class Mine(chainer.FunctionNode):\n    def forward(self, xs): return xs[0] + 1,",
            X,
            r"not supported:\n  Mine, at net.py:12(.|\n)*--plugin FILE.py(.|\n)*FUNCTIONS",
        ),
        ("return 3", X, "must give Variables, but it gives int"),
        ("return self.fc(x)", "'text'", "must be an array of numbers"),
        (
            "return F.reshape(self.fc(x), (int(x.shape[0] ** 2 / x.shape[0] ** 2), -1)) if"
            " x.shape[0] < 5 else self.fc(x)",
            "example((Dim('batch', 3), 4))",
            "size|sizes",
        ),
        ("return self.gone(x)", X, "at net.py:12: return self.gone.*AttributeError.*'gone'"),
        ("return self.fc(F.concat((x, x)))", X, "at net.py:12.*InvalidType"),
    ],
    ids=[
        *("variable", "if", "random", "unknown", "number", "text", "size"),
        *("fails", "misfit"),
    ],
)
def test_chains(chainer_python: Run, tmp_path: Path, body: str, example: str, message: str) -> None:
    code, text = convert(chainer_python, tmp_path, write(tmp_path, body, example))
    assert code == 1
    assert re.search(message, text), text


@pytest.fixture(scope="module")
def hostile(
    chainer_python: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str | float]:
    """What each chain of `hostile.py` gets."""
    out = tmp_path_factory.mktemp("hostile") / "found.json"
    done = chainer_python("-m", "tests.frontends.chainer.hostile", out)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("name", CHAINS)
def test_hostile_chains(hostile: dict[str, Any], name: str) -> None:
    wanted, found = CHAINS[name].error, hostile["chains"][name]
    if wanted:
        assert re.search(wanted, str(found)), found
        assert "\n" not in str(found) or "not supported:" in str(found)
    else:
        assert isinstance(found, float), found
        assert found < (1e-2 if name in ("cast", "mixed16") else 1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_hostile_files(hostile: dict[str, Any], name: str) -> None:
    wanted, found = SOURCES[name][1], hostile["sources"][name]
    assert re.search(wanted, found) if wanted else not found, found
    assert "\n" not in found


def test_a_plugin_teaches_a_function(chainer_python: Run, tmp_path: Path) -> None:
    model = write(
        tmp_path,
        "return Mine().apply((x,))[0]\n"
        "class Mine(chainer.FunctionNode):\n    def forward(self, xs): return (xs[0] + 1) / 4,",
    )
    (tmp_path / "mine.py").write_text(
        "from webconv.ir import ops\n"
        "from webconv.frontends.common import scalar\n"
        "def mine(call, x):\n"
        "    return ops.Div()(ops.Add()(x, scalar(1, x)), scalar(4, x))\n"
        "FUNCTIONS = {'Mine': mine}\n"
    )
    code, text = convert(chainer_python, tmp_path, model, "--plugin", tmp_path / "mine.py")
    assert code == 0, text


def test_a_plugin_that_gives_nothing(chainer_python: Run, tmp_path: Path) -> None:
    model = write(tmp_path, "return F.relu(self.fc(x))")
    (tmp_path / "mine.py").write_text("FUNCTIONS = {'ReLU': lambda call, x: None}")
    code, text = convert(chainer_python, tmp_path, model, "--plugin", tmp_path / "mine.py")
    assert code == 1
    assert "plugin mine.py: the function for ReLU must give what ops of webconv.ir make" in text


WEIGHTS = {"fc/W": np.ones((2, 4), "f"), "fc/b": np.ones(2, "f")}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fc/W": WEIGHTS["fc/W"]}, "fc/b is missing"),
        ({**WEIGHTS, "fc2/W": np.ones(2)}, "fc2/W belongs to nothing in the chain"),
        ({**WEIGHTS, "fc/W": np.ones((4, 2), "f")}, "fc/W is [4, 2], but the chain has [2, 4]"),
        ({**WEIGHTS, "fc/b": np.array([{}, 1], object)}, "it holds Python objects"),
        ({**WEIGHTS, "fc/b": np.array(["a", "b"])}, "fc/b"),
    ],
)
def test_weights(
    chainer_python: Run, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "w.npz", **arrays)
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "w.npz")
    assert code == 1
    assert "w.npz: " in text
    assert message in text


def test_all_faults_of_weights_are_told_at_once(chainer_python: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"fc/W": np.ones(3), "extra": np.ones(2)})
    model = write(tmp_path, "return self.fc(x)")
    _, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "w.npz")
    for fault in ("fc/b is missing", "extra belongs", "fc/W is [3]"):
        assert fault in text


def test_a_snapshot_of_a_trainer(chainer_python: Run, tmp_path: Path) -> None:
    prefix = "updater/model:main/predictor/"
    arrays = {f"{prefix}{name}": a for name, a in WEIGHTS.items()}
    np.savez(tmp_path / "s.npz", **arrays, **{"updater/iteration": np.int32(3)})
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "s.npz")
    assert code == 0, text


def test_a_snapshot_of_several_models(chainer_python: Run, tmp_path: Path) -> None:
    """Which of two is meant cannot be guessed, if they differ."""
    arrays = {
        f"updater/model:{m}/{n}": a * k for k, m in enumerate("ab") for n, a in WEIGHTS.items()
    }
    np.savez(tmp_path / "s.npz", **arrays)
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "s.npz")
    assert code == 1
    assert "several models that fit the chain (updater/model:a/, updater/model:b/)" in text
    assert "load_npz('s.npz', chain, path='updater/model:a/')" in text


LAZY = """
import chainer, chainer.functions as F, chainer.links as L, numpy as np
from chainer.link_hooks import SpectralNormalization
import sizes

class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.fc = L.Linear(None, sizes.OUT).add_hook(SpectralNormalization())

    def forward(self, x):
        import later
        print("forward")
        return self.fc(x)

def make_net():
    return Net(), np.ones((3, 4), 'f')
"""


@pytest.mark.parametrize(("columns", "message"), [(4, ""), (5, "fc/W is [2, 5], but the chain")])
def test_what_a_first_call_makes(
    chainer_python: Run, tmp_path: Path, columns: int, message: str
) -> None:
    """Sizes and arrays of hooks that are not there before, in a file with files beside it."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "my net.py").write_text(LAZY)
    (folder / "sizes.py").write_text("OUT = 2")
    (folder / "later.py").write_text("")
    arrays = {**WEIGHTS, "fc/W": np.ones((2, columns), "f"), "fc/W_u": np.ones(2, "f")}
    np.savez(tmp_path / "w.npz", **arrays)
    done = chainer_python(
        *("-m", "webconv", "convert", folder / "my net.py:make_net", "-o", tmp_path / "out"),
        *("--backend", "wasm", "--weights", tmp_path / "w.npz", "--json", "-"),
    )
    assert message in done.stderr
    if not message:
        # What the chain prints is not among what the command line gives.
        assert json.loads(done.stdout)["notes"] == [
            "x: axis 0 stays 3: a plain number; --input-shape x=batch,4 names it"
        ]


def test_a_snapshot_that_does_not_fit(chainer_python: Run, tmp_path: Path) -> None:
    """What is missing is told without the snapshot's own names."""
    np.savez(tmp_path / "s.npz", **{"updater/model:main/fc/W": WEIGHTS["fc/W"]})
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "s.npz")
    assert code == 1
    assert "s.npz: its arrays do not fit the chain: fc/b is missing\n" in text


def test_a_file_of_save_hdf5(chainer_python: Run, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for name, array in WEIGHTS.items():
            file[name] = array
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "w.h5")
    assert code == 0, text


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken", b"\x93NUMPY"])
def test_files_that_are_no_npz(chainer_python: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    model = write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, model, "--weights", tmp_path / "w.npz")
    assert code == 1
    assert "w.npz: it is not an npz file" in text


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (":gone", "net.py has no function gone"),
        (":Net", "must return the chain and its example inputs"),
        ("x:make_net", "the file cannot be read"),
    ],
)
def test_sources(chainer_python: Run, tmp_path: Path, tail: str, message: str) -> None:
    write(tmp_path, "return self.fc(x)")
    code, text = convert(chainer_python, tmp_path, f"{tmp_path / 'net.py'}{tail}")
    assert code == 1
    assert message in text or "returns no example inputs" in text
