"""Several entries of one chain against Chainer, and what may be wrong with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import instances
from tests.chainer_fixtures import Run
from tests.frontends.chainer.test_bad_input import convert
from tests.frontends.chainer.test_functions import program_of
from tests.frontends.chainer.test_nets import compare

Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(chainer_python: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The programs of all chains, traced now, with what Chainer computes."""
    out = tmp_path_factory.mktemp("chainer") / "entries.npz"
    made = chainer_python("-m", "tests.frontends.chainer.entries", out)
    assert made.returncode == 0, made.stderr
    with np.load(out) as arrays:
        return dict(arrays)


def runs(found: Found, name: str) -> list[tuple[str, Found, Found]]:
    """The entry, the inputs and the outputs of each run."""
    tables: dict[int, tuple[str, Found, Found]] = {}
    for key, array in found.items():
        if match := re.fullmatch(rf"{name}/run_(\d+)/(\w+)/(in|out)/(.+)", key):
            row = tables.setdefault(int(match[1]), (match[2], {}, {}))
            row[1 if match[3] == "in" else 2][match[4]] = array
    return [tables[k] for k in sorted(tables)]


@pytest.mark.parametrize("name", ["decoder", "layers", "first"])
def test_runs_follow_each_other(found: Found, name: str) -> None:
    """The states that one entry leaves are those that the next finds."""
    program = program_of(found, name)
    module = next(instances(program))
    states: dict[str, Any] = {}
    rows = runs(found, name)
    assert len(rows) > 4
    for entry, inputs, want in rows:
        compare(program.run(inputs, entry, states), want)
        compare(module.run(inputs, entry), want)


def test_what_entries_read_and_write(found: Found) -> None:
    """A state is written by each entry that changes it, also by one that does not read it."""
    entries = program_of(found, "decoder").entries
    assert list(entries["start"].inputs) == ["feature"]
    assert list(entries["step"].inputs) == ["word"]
    assert not entries["start"].reads
    assert set(entries["start"].writes) == set(entries["step"].reads) == {"lstm/c", "lstm/h"}
    layers = program_of(found, "layers").entries
    assert set(layers["warm"].writes) == {"below/c", "below/h"}
    assert set(layers["forget"].writes) == {"above/h"}
    assert not layers["read"].writes


NET = """
import chainer, chainer.functions as F, chainer.links as L, numpy as np
from webconv import Dim, example

class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.lstm = L.LSTM(3, 4)
            self.gru = L.StatefulGRU(3, 4, bias_init=1)
            self.other = L.StatefulMGU(3, 4)

    def step(self, x):
        return self.lstm(x)

    def start(self, x):
        self.lstm.reset_state()
        return self.lstm(x)

    def clear(self, x):
        self.lstm.reset_state()
        return F.relu(x)

    def both(self, x):
        return self.gru(x) + self.other(x)

    def single(self, x):
        return self.other(x)

net, stranger = Net(), Net()
X, Y = np.ones((2, 3), "f"), np.ones((3, 3), "f")

def make_net():
    return net, {entries}
"""


FAULTS = {
    "none": ("{}", "there must be an entry"),
    "bare": ("{'step': net.step}", "entry 'step' must be what it calls and its example inputs"),
    "no input": ("{'step': (net.step,)}", r"\{'step': \(chain.method, x\)\}"),
    "stranger": ("{'step': (stranger.step, X)}", "a method of Net, which is no link of Net"),
    "reset": (
        "{'step': (net.step, X), 'clear': (net.clear, X)}",
        r"entry 'clear': it resets lstm/c, lstm/h .*runner.states.reset\(\)",
    ),
    "sizes": (
        "{'start': (net.start, X), 'step': (net.step, Y)}",
        "entries called one after another fail at net.py:14.*must have one name",
    ),
    "first": (
        "{'both': (net.both, X), 'single': (net.single, X)}",
        "entry 'single' leaves gru/h as it was",
    ),
    "array": ("{'step': (lambda x: net.step(x).array * 2, X)}", "entry 'step': output 'output'"),
}

TRACE = """
import json, sys
import net, webconv
from webconv.frontends.chainer import trace

found = {}
for name, entries in json.loads(sys.argv[1]).items():
    try:
        trace(net.net, entries=eval(entries, vars(net)))
    except webconv.ir.errors.WebconvError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def write(folder: Path, entries: str) -> str:
    (folder / "net.py").write_text(NET.replace("{entries}", entries))
    return f"{folder / 'net.py'}:make_net"


def test_bad_entries(chainer_python: Run, tmp_path: Path) -> None:
    write(tmp_path, "{}")
    (tmp_path / "faults.py").write_text(TRACE)
    rows = json.dumps({name: entries for name, (entries, _) in FAULTS.items()})
    done = chainer_python(tmp_path / "faults.py", rows)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, (_, message) in FAULTS.items():
        assert re.search(message, found[name]), (name, found[name])


@pytest.mark.parametrize(("name", "code"), [("x", 0), ("word", 1)])
def test_sizes_are_named_on_the_command_line(
    chainer_python: Run, tmp_path: Path, name: str, code: int
) -> None:
    """Inputs of several entries by their names; one that is in none is told."""
    model = write(tmp_path, "{'start': (net.start, X), 'step': (net.step, X)}")
    found, text = convert(chainer_python, tmp_path, model, "--input-shape", f"{name}=batch,3")
    assert found == code
    assert "there is no input 'word'; there are x\n" in text if code else not text


def test_sizes_that_stay_are_told_for_each_entry(chainer_python: Run, tmp_path: Path) -> None:
    model = write(tmp_path, "{'start': (net.start, X), 'step': (net.step, X)}")
    rule = "x: axis 0 stays 2: a plain number; --input-shape x=batch,3 names it"
    plain, named = (tmp_path / f"{name}.json" for name in ("plain", "named"))
    assert convert(chainer_python, tmp_path, model, "--json", plain) == (0, "")
    assert json.loads(plain.read_text())["notes"] == [f"start: {rule}", f"step: {rule}"]
    names = ("--input-shape", "x=batch,3", "--force", "--json", named)
    assert convert(chainer_python, tmp_path, model, *names) == (0, "")
    assert "notes" not in json.loads(named.read_text())
