"""The runner as bundles hold it: modules joined into a file per use."""

from __future__ import annotations

import pytest

from webconv.backends import runtime_files as module
from webconv.backends.runtime_files import join_modules, runtime_files, whole_entry
from webconv.ir.errors import GraphError


def test_local_imports_leave_and_others_point_to_the_joined_file() -> None:
    files = runtime_files(["wasm", "webgpu", "webgl"])
    runner = files["runtime/runner.js"].decode()
    assert "import " not in runner.replace("import(", "")
    for backend in ("wasm", "webgpu", "webgl"):
        session = files[f"runtime/session-{backend}.js"].decode()
        assert "from './runner.js';" in session
        assert "from './shape.js'" not in session


def test_one_name_in_two_modules_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {"a.js": "// A.\n\nconst x = 1;\n", "b.js": "// B.\n\nexport const x = 2;\n"}
    monkeypatch.setattr(module, "_source", sources.__getitem__)
    with pytest.raises(GraphError, match=r"b\.js and a.js both define x"):
        join_modules(("a.js", "b.js"), {})


@pytest.mark.parametrize("backend", ["wasm", "webgpu", "webgl"])
def test_an_entry_exports_only_what_is_public(backend: str) -> None:
    entry = {"schedule": {}, "inputs": [{"lengths": 1}, {}], "outputs": []}
    model = {"states": [{}], "entries": [entry]}
    text = whole_entry(backend, model, "// Head.\n\nexport const load = 1;\n")
    assert text.startswith("// Head.\n")
    exported = [line for line in text.splitlines() if line.startswith("export ")]
    assert exported == ["export const load = 1;"]
    assert "class States" in text
    assert "class ScheduledEntry extends Entry" in text
    assert "class ListEntry" in text
    assert "import {" not in text
